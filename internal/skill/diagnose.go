package skill

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// Investigation is how causes are found.
type Investigation struct {
	// Collectors gives those of one diagnosis: they share what they learn.
	Collectors func() []diagnosis.Collector
	Deadline   time.Duration       // for all collectors together
	Now        func() time.Time    // in the time zone that people mean
	Mask       func(string) string // hides what looks like a secret
}

// Gather asks the collectors.
func (i Investigation) Gather(ctx context.Context, r diagnosis.Request) diagnosis.Case {
	return diagnosis.Gather(ctx, i.Deadline, i.Collectors(), r).Masked(i.Mask)
}

// TellVerdicts has what a diagnosis found told on, with its words, those few for
// who is rung up about it, and whose conversation it was asked in.
func (c *Crew) TellVerdicts(f func(conversation string, k diagnosis.Case, v diagnosis.Verdict, said, brief string)) {
	c.diagnosed = f
}

// Investigate gives the crew what it finds causes with. Without it, it knows of none.
func (c *Crew) Investigate(i Investigation) *Crew {
	c.investigation = i
	return c
}

const (
	usualWindow   = time.Hour // where trouble is looked for if nothing is said
	shortWindow   = 10 * time.Minute
	someSuspects  = 3 // workloads diagnosed in one turn
	shownCauses   = 4
	shownEvidence = 30
)

// diagnose says why something is as it is.
func (c *Crew) diagnose(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if c.investigation.Collectors == nil {
		return t.NotYet()
	}
	reqs, err := c.suspects(ctx, t)
	if err != nil {
		return answered(err)
	}
	picture := c.pictured(ctx, reqs)
	cases := make([]diagnosis.Case, len(reqs))
	var wg sync.WaitGroup
	for i, r := range reqs {
		wg.Go(func() { cases[i] = c.investigation.Gather(ctx, r) })
	}
	wg.Wait()
	verdicts := make([]diagnosis.Verdict, len(cases))
	first := 0
	for i := range cases {
		verdicts[i] = diagnosis.Rank(cases[i])
		if graver(verdicts[i], verdicts[first]) {
			first = i
		}
	}
	chart, charted := picture(cases[first], verdicts[first])
	r, err := c.tellVerdict(ctx, t, cases[first], verdicts[first])
	if err != nil {
		return dialogue.Reply{}, err
	}
	if charted {
		r.Blocks = slices.Insert(r.Blocks, 0, chart)
	}
	if c.diagnosed != nil {
		say, err := c.verdict(cases[first], verdicts[first])
		if err != nil {
			return dialogue.Reply{}, err
		}
		brief, err := c.brief(cases[first], verdicts[first], r.Expect == dialogue.ExpectConfirm)
		if err != nil {
			return dialogue.Reply{}, err
		}
		c.diagnosed(t.Request.Conversation, cases[first], verdicts[first], say.Text, brief)
	}
	goesBy, err := c.basisOf(cases[first], verdicts[first])
	if err != nil {
		return dialogue.Reply{}, err
	}
	t.Session.Basis = &goesBy
	for i := range cases {
		if i == first {
			continue
		}
		say, err := c.verdict(cases[i], verdicts[i])
		if err != nil {
			return dialogue.Reply{}, err
		}
		r.Text += "\n" + say.Text
	}
	return r, nil
}

// graver reports whether a verdict is more worth saying than another.
func graver(a, b diagnosis.Verdict) bool {
	score := func(v diagnosis.Verdict) float64 {
		switch {
		case len(v.Causes) > 0:
			return 1 + v.Causes[0].Score
		case v.Outcome == diagnosis.Unclear:
			return 1
		}
		return 0
	}
	return score(a) > score(b)
}

// suspects are what a turn asks about.
func (c *Crew) suspects(ctx context.Context, t *dialogue.Turn) ([]diagnosis.Request, error) {
	in := t.Intent.Slots
	now := c.investigation.Now()
	w := observability.Window{From: now.Add(-usualWindow), To: now}
	if in.Has("since") || in.Has("until") {
		said, err := asked(in.String("since"), in.String("until"), t.Request.Text, now)
		if err != nil {
			return nil, err
		}
		w.From = said.from
		if !said.to.IsZero() && said.to.Before(now) {
			w.To = said.to
		}
		// A moment ago is too short to see a step in anything.
		if w.Length() < shortWindow {
			w.From = w.To.Add(-shortWindow)
		}
	}
	of := func(target observability.Target) diagnosis.Request {
		return diagnosis.Request{Target: target, Symptom: diagnosis.Symptom(in.String("symptom")), Window: w}
	}
	names := in.Targets()
	if len(names) == 0 || len(names) == 1 && (names[0] == intents.TargetCluster || names[0] == intents.TargetAll) {
		ns := in.String("namespace")
		if ns == "" && (len(names) == 0 || names[0] == intents.TargetAll || !strings.Contains(strings.ToLower(t.Request.Text), "cluster")) {
			ns = c.home(ctx, t)
		}
		if ns != "" {
			if err := c.hasNamespace(ctx, c.where(t), ns); err != nil {
				return nil, err
			}
		}
		return []diagnosis.Request{of(observability.Target{Cluster: c.away(c.where(t)), Namespace: ns})}, nil
	}
	if r, ok := nodeSpokenOf(t); ok {
		r.Cluster = c.away(r.Cluster)
		return []diagnosis.Request{of(r)}, nil
	}
	ws, err := c.workloads(ctx, t)
	if err != nil {
		return nil, err
	}
	focus(t, ws)
	var out []diagnosis.Request
	for _, w := range ws[:min(len(ws), someSuspects)] {
		out = append(out, of(TargetOf(w, c.cluster.Cluster())))
	}
	return out, nil
}

// away is a cluster as back-ends know it: the home cluster has no name.
func (c *Crew) away(cluster string) string {
	if cluster == c.cluster.Cluster() {
		return ""
	}
	return cluster
}

// TargetOf is a workload as back-ends know it; home is the home cluster.
func TargetOf(w kube.Workload, home string) observability.Target {
	cluster := w.Ref.Cluster
	if cluster == home {
		cluster = ""
	}
	return observability.Target{Cluster: cluster, Namespace: w.Ref.Namespace, Kind: w.Ref.Kind, Name: w.Ref.Name, Labels: w.Selector, Release: w.Version()}
}

// nodeSpokenOf is the node that "it" is.
func nodeSpokenOf(t *dialogue.Turn) (observability.Target, bool) {
	names := t.Intent.Slots.Targets()
	if o := t.Session.Targets; len(names) == 1 && names[0] == intents.TargetIt && len(o) == 1 && o[0].Kind == "Node" {
		return observability.Target{Cluster: o[0].Cluster, Kind: "Node", Name: o[0].Name}, true
	}
	return observability.Target{}, false
}

// Explain words the verdict of a case that lies before it, perhaps long ago or
// of another cluster: what is to be done is advice.
func (c *Crew) Explain(k diagnosis.Case) (dialogue.Reply, error) {
	return c.tellVerdict(context.Background(), nil, k, diagnosis.Rank(k))
}

// tellVerdict words a verdict, shows what it goes by, and offers what can be
// done; without a turn it advises it.
func (c *Crew) tellVerdict(ctx context.Context, t *dialogue.Turn, k diagnosis.Case, v diagnosis.Verdict) (dialogue.Reply, error) {
	say, err := c.verdict(k, v)
	if err != nil {
		return dialogue.Reply{}, err
	}
	r := dialogue.Reply{Speech: say.Speech, Text: say.Text}
	if text, ok, err := c.reworded(ctx, t, k, v); err != nil {
		return dialogue.Reply{}, err
	} else if ok {
		r.Text = text
	}
	if len(v.Causes) > 0 {
		first := v.Causes[0]
		if t != nil && len(t.Session.Targets) == 0 && slices.Contains([]string{kube.Deployment, kube.StatefulSet, kube.DaemonSet}, first.About.Kind) {
			t.Session.Focus(dialogue.Target{Cluster: first.About.Cluster, Namespace: first.About.Namespace, Kind: first.About.Kind, Name: first.About.Name})
		}
		if r, err = c.withStep(ctx, t, r, k, first); err != nil {
			return dialogue.Reply{}, err
		}
	}
	more, err := c.besides(k, v)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if len(more) > 0 {
		r.Text += "\n" + strings.Join(more, "\n")
	}
	block, err := c.evidenceTable(v)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if len(block.Rows) > 0 {
		r.Blocks = append(r.Blocks, block)
	}
	return r, nil
}

// withStep adds what to do: as a proposal that waits for a yes where it is
// something that firstmate does, else as advice.
func (c *Crew) withStep(ctx context.Context, t *dialogue.Turn, r dialogue.Reply, k diagnosis.Case, cause diagnosis.Cause) (dialogue.Reply, error) {
	data := c.stepWords(k, cause)
	if t != nil && cause.Sure != diagnosis.Perhaps {
		o, plan, err := c.offerStep(ctx, t, cause.Next)
		if err != nil {
			return r, err
		}
		if o != nil {
			say, err := c.catalogue.Say("shall."+string(cause.Next.Do), data)
			if err != nil {
				return r, err
			}
			about, err := c.phrases(*o, "started.")
			if err != nil {
				return r, err
			}
			r.Speech, r.Text = r.Speech+" "+say.Speech, r.Text+"\n"+say.Text
			for _, w := range plan.warnings {
				r.Text += "\n" + w.Text
			}
			if risk, high, err := c.risky(*o); err != nil {
				return r, err
			} else if high {
				r.Text += "\n" + risk.Text
			}
			r.Expect, r.Proposal, r.Blocks = dialogue.ExpectConfirm, proposal(*o), append(r.Blocks, diffs(*o)...)
			t.Session.Question = nil
			t.Session.Propose(o.ID, o.Speaker, o.Expires, r, about)
			t.Session.PendingIsOffer, t.Session.TakesPIN = true, o.Verdict.PIN
			return r, nil
		}
	}
	say, err := c.catalogue.Say("advice."+string(cause.Next.Do), data)
	r.Speech, r.Text = strings.TrimSpace(r.Speech+" "+say.Speech), strings.TrimSpace(r.Text+"\n"+say.Text)
	return r, err
}

// offerStep proposes a step; nil where it is none of what firstmate does, or
// where the speaker could not have it done: then it is advice.
func (c *Crew) offerStep(ctx context.Context, t *dialogue.Turn, step diagnosis.Step) (*action.Entry, plan, error) {
	in, ok := doing(step)
	if !ok || c.ledger.MayChange(ctx, t.Request.Speaker) != nil {
		return nil, plan{}, nil
	}
	if step.About.Cluster == "" && c.several() {
		in.Slots["cluster"] = c.cluster.Cluster()
	}
	as := *t
	as.Intent = in
	as.Session = &dialogue.Session{Cluster: t.Session.Cluster, Home: t.Session.Home} // a planner that asks back leaves no question
	f, ok := c.planners()[in.Name]
	if !ok {
		return nil, plan{}, nil
	}
	p, err := f(ctx, &as, nil)
	if err == nil {
		p, err = c.kept(ctx, &as, p)
	}
	if err != nil {
		return nil, plan{}, nonOffer(err)
	}
	p = c.staged(p)
	key := t.Request.DeliveryID
	if key != "" {
		key += "/diagnosis"
	}
	e, err := c.ledger.Propose(ctx, action.Proposal{
		Key: key, Conversation: t.Request.Conversation, Speaker: t.Request.Speaker,
		Said: t.Request.Text, Intent: in.Name, Changes: p.changes, Then: p.then,
	})
	if err != nil {
		return nil, plan{}, nonOffer(err)
	}
	return &e, p, nil
}

// nonOffer drops the errors after which a step is advice: that it cannot be
// done, or not by this speaker. A defect of ours stays one.
func nonOffer(err error) error {
	if _, asks := answered(err); asks == nil || fault.KindOf(err) != fault.Internal || errors.Is(err, kube.ErrStale) {
		return nil
	}
	return err
}

// doing is what somebody would say to have a step done.
func doing(step diagnosis.Step) (intents.Intent, bool) {
	s := intents.Slots{}
	if step.About.Cluster != "" {
		s["cluster"] = step.About.Cluster
	}
	name := ""
	switch step.Do {
	case diagnosis.RollBack:
		name = "rollback"
		if step.Value > 0 {
			s["revision"] = step.Value
		}
	case diagnosis.ScaleUp:
		if step.Value <= 0 {
			return intents.Intent{}, false
		}
		name, s["replicas"] = "scale", step.Value
	case diagnosis.RaiseMaximum:
		if step.Value <= 0 {
			return intents.Intent{}, false
		}
		name, s["max"] = "autoscale", step.Value
	case diagnosis.Uncordon:
		name, s["node"] = "uncordon", step.About.Name
		return intents.Intent{Name: name, Slots: s}, true
	default:
		return intents.Intent{}, false
	}
	s["targets"], s["namespace"] = []string{step.About.Name}, step.About.Namespace
	return intents.Intent{Name: name, Slots: s}, true
}
