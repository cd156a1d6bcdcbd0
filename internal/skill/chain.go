package skill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// later are the questions of a chain that stand behind a change: they are
// answered with its outcome.
type later struct {
	Cluster string           `json:"cluster,omitempty"` // where names are looked for first
	Home    string           `json:"home,omitempty"`    // and in which namespace there
	Asked   []intents.Intent `json:"asked"`
}

func (l *later) encode() ([]byte, error) {
	if l == nil {
		return nil, nil
	}
	b, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("skill: %w", err)
	}
	return b, nil
}

// steps is a chain while it is gone through.
type steps struct {
	turn    *dialogue.Turn // of the chain
	session dialogue.Session
	at      int // the step that it is at
	changes [][]kube.Change
	of      []int // the step of each
	plan    plan
	answers []dialogue.Reply // of the questions before the first change
}

// chain does several things that were said in one sentence. The questions
// before the first change are answered at once; all changes are planned
// together, read back together and agreed to together; the questions behind
// are answered when the changes are done.
func (c *Crew) chain(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if err := c.landed(ctx, t); err != nil {
		return dialogue.Reply{}, err
	}
	return again(ctx, func() (dialogue.Reply, error) { return c.chainOnce(ctx, t) })
}

func (c *Crew) chainOnce(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	all := &steps{turn: t, session: *t.Session}
	all.session.Question = nil
	for i, in := range t.Intent.Slots.Steps() {
		all.at = i
		turn := t.As(in, &all.session)
		err := c.step(ctx, turn, all)
		if err == nil {
			continue
		}
		var instead instead
		switch {
		case !errors.As(err, &instead):
			return dialogue.Reply{}, ofStep(i, err)
		case all.session.Question != nil:
			q := *all.session.Question
			q.Intent, q.Step = t.Intent, i+1
			t.Session.Question = &q
			return instead.reply, nil
		case !instead.nothing:
			return instead.reply, nil
		}
		all.plan.warnings = append(all.plan.warnings, intents.Say{Speech: instead.reply.Speech, Text: instead.reply.Text})
	}
	if len(all.changes) == 0 {
		return all.answered(), nil
	}
	all.plan.changes, all.plan.then = all.changes[0], all.changes[1:]
	r, err := c.propose(ctx, t, all.plan)
	if err != nil {
		var at *action.StageError
		if errors.As(err, &at) {
			return dialogue.Reply{}, ofStep(all.of[at.Stage], at.Err)
		}
		return dialogue.Reply{}, err
	}
	t.Session.Cluster, t.Session.Home = all.session.Cluster, all.session.Home
	for _, a := range slices.Backward(all.answers) {
		r.Speech, r.Text = a.Speech+" "+r.Speech, a.Text+"\n"+r.Text
		r.Blocks = append(slices.Clone(a.Blocks), r.Blocks...)
	}
	return r, nil
}

// ofStep says which step of a chain cannot be done, and that therefore none is.
func ofStep(i int, err error) error {
	return fault.Wrap(err, fault.KindOf(err), "I propose nothing, because of step %d: %s", i+1, fault.Say(err))
}

// step plans or answers one step. "It" is, from step to step, what the step
// before was about.
func (c *Crew) step(ctx context.Context, t *dialogue.Turn, all *steps) error {
	spec, _ := c.catalogue.Spec(t.Intent.Name)
	h := c.Handlers()[t.Intent.Name]
	f := c.planners()[t.Intent.Name]
	switch {
	case f != nil:
		return c.stepChange(ctx, t, f, all)
	case h == nil:
		what, err := t.Want()
		if err != nil {
			return err
		}
		r, err := t.Reply("chain.not_yet", dialogue.Data{"Speech": what.Speech, "Text": what.Text})
		if err != nil {
			return err
		}
		return instead{reply: r}
	case strings.HasPrefix(t.Intent.Name, "switch_"):
		// The steps behind it are where it leads to.
		r, err := h.Handle(ctx, t)
		all.answers = append(all.answers, r)
		return err
	case spec.Risk != intents.RiskRead:
		return fault.New(fault.Refused, "I do that only by itself. Say it when the rest is done.")
	case len(all.changes) > 0:
		return c.stepLater(ctx, t, all)
	}
	r, err := h.Handle(ctx, t)
	if err != nil {
		return err
	}
	if all.session.Question != nil {
		return instead{reply: r}
	}
	in := t.Intent
	all.turn.Session.LastRead, all.turn.Session.ReadLast = &in, true
	all.answers = append(all.answers, r)
	return nil
}

// stepChange plans a change as the steps before it leave things.
func (c *Crew) stepChange(ctx context.Context, t *dialogue.Turn, f planner, all *steps) error {
	if err := c.ledger.MayChange(ctx, t.Request.Speaker); err != nil {
		return err
	}
	p, err := f(ctx, t, append([][]kube.Change{}, all.changes...)) // never nil: it is a chain
	if err == nil {
		p, err = c.kept(ctx, t, p)
	}
	if err != nil {
		return err
	}
	for _, stage := range append([][]kube.Change{p.changes}, p.then...) {
		all.changes, all.of = append(all.changes, stage), append(all.of, all.at)
	}
	for _, w := range p.warnings {
		if !slices.Contains(all.plan.warnings, w) {
			all.plan.warnings = append(all.plan.warnings, w)
		}
	}
	return nil
}

// foreseen is how workloads will be once the changes are made.
func foreseen(ws []kube.Workload, stages [][]kube.Change) []kube.Workload {
	out := slices.Clone(ws)
	for i := range out {
		w := &out[i]
		for _, ch := range slices.Concat(stages...) {
			ch.Foresee(w)
		}
	}
	return out
}

// stepLater keeps a question for when the changes are done. What it is about is
// settled now.
func (c *Crew) stepLater(ctx context.Context, t *dialogue.Turn, all *steps) error {
	in := t.Intent
	names := in.Slots.Targets()
	whole := len(names) == 0 || names[0] == intents.TargetCluster || names[0] == intents.TargetAll
	if !whole {
		ws, err := c.workloads(ctx, t)
		if err != nil {
			return err
		}
		focus(t, ws)
		settled := intents.Slots{}
		for k, v := range in.Slots {
			settled[k] = v
		}
		var said []string
		for _, w := range ws {
			said = append(said, w.Ref.Name)
		}
		settled["targets"] = said
		if where := namespaces(ws); len(where) == 1 {
			settled["namespace"] = where[0]
		}
		if c.several() && !settled.Has("cluster") {
			settled["cluster"] = ws[0].Ref.Cluster
		}
		in.Slots = settled
	}
	if all.plan.after == nil {
		all.plan.after = &later{Cluster: t.Session.Cluster, Home: t.Session.Home}
	}
	all.plan.after.Asked = append(all.plan.after.Asked, in)
	return nil
}

// answered is what a chain without a change comes to.
func (s *steps) answered() dialogue.Reply {
	s.turn.Session.Targets, s.turn.Session.Cluster, s.turn.Session.Home = s.session.Targets, s.session.Cluster, s.session.Home
	var out dialogue.Reply
	add := func(speech, text string) {
		if out.Speech != "" {
			speech, text = " "+speech, "\n"+text
		}
		out.Speech, out.Text = out.Speech+speech, out.Text+text
	}
	for _, a := range s.answers {
		add(a.Speech, a.Text)
		out.Blocks = append(out.Blocks, a.Blocks...)
	}
	for _, w := range s.plan.warnings {
		add(w.Speech, w.Text)
	}
	return out
}

// answerLater answers what was asked behind a change, now that it is done.
func (c *Crew) answerLater(ctx context.Context, e action.Entry, r dialogue.Reply) (dialogue.Reply, error) {
	if len(e.After) == 0 {
		return r, nil
	}
	var l later
	if err := json.Unmarshal(e.After, &l); err != nil {
		return r, fmt.Errorf("skill: what was asked behind %s: %w", e.ID, err)
	}
	req := dialogue.Request{Conversation: e.Conversation, Speaker: e.Speaker, Text: e.Said}
	for _, in := range l.Asked {
		h := c.Handlers()[in.Name]
		if h == nil {
			continue // asked of a version that could do more
		}
		s := &dialogue.Session{Cluster: l.Cluster, Home: l.Home, Targets: targets(e)}
		a, err := h.Handle(ctx, dialogue.NewTurn(c.catalogue, req, s, in))
		if err != nil {
			a = dialogue.Reply{Speech: fault.Say(err), Text: fault.Say(err)}
		}
		r.Speech, r.Text = r.Speech+" "+a.Speech, r.Text+"\n"+a.Text
		r.Blocks = append(r.Blocks, a.Blocks...)
	}
	return r, nil
}
