package skill

import (
	"cmp"
	"context"
	"slices"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// confirm says yes to the proposal that is open, or to the one that a button names.
func (c *Crew) confirm(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	id := t.Request.Confirm
	if id == "" {
		id = t.Session.Pending
	}
	if id == "" {
		r, err := t.Reply("confirm.nothing", nil)
		r.Fault = fault.NotUnderstood
		return r, err
	}
	e, err := c.ledger.Entry(ctx, id)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if e.State == action.Waiting && id == t.Session.Pending && e.Speaker.Key() != t.Request.Speaker.Key() {
		return c.agree(ctx, t, e) // it was read to them for that
	}
	if e.Conversation != t.Request.Conversation {
		return dialogue.Reply{}, fault.New(fault.Refused, "That was asked in another conversation, so it can only be answered there.")
	}
	e, r, asked, err := c.decide(ctx, t, id)
	if asked {
		return r, err
	}
	if id == t.Session.Pending && (e.State == action.Expired || err == nil) {
		t.Session.Close()
	}
	if err != nil {
		return dialogue.Reply{}, err
	}
	t.Session.LastAction = e.ID
	if e.State == action.Waiting {
		return c.waits(t, e)
	}
	say, err := c.phrases(e, "started.")
	if err != nil {
		return dialogue.Reply{}, err
	}
	r = dialogue.Reply{Speech: upper(say.Speech) + ".", Text: upper(say.Text) + " …", Proposal: proposal(e), Outcome: dialogue.OutcomePending}
	if e.State.Ended() { // said yes to twice
		told, err := c.told(e)
		if err != nil {
			return dialogue.Reply{}, err
		}
		r.Speech, r.Text, r.Outcome = told.Speech, told.Text, told.Outcome
	}
	return r, nil
}

// byWhat is by what somebody decided, for the audit trail.
func byWhat(t *dialogue.Turn) string {
	if button, _ := t.Request.Button(); button != "" {
		return "button"
	}
	return "words"
}

// deny says no to what is open; cancel is the same.
func (c *Crew) deny(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	s := t.Session
	if id := t.Request.Deny; id != "" && id != s.Pending {
		return c.denyOther(ctx, t, id)
	}
	if s.Pending == "" {
		key := "deny.nothing"
		if s.LastAction != "" {
			e, err := c.ledger.Entry(ctx, s.LastAction)
			if err == nil && e.State == action.Waiting {
				return c.withdraw(ctx, t, e.ID)
			}
			if err == nil && !e.State.Ended() {
				key = "deny.running"
				if at := e.Stuck(); at != nil {
					key = c.own(key, at.Change.Verb)
				}
				if at := e.Stuck(); len(e.Rest()) > 0 || at != nil && at.Change.Stops() {
					return c.callOff(ctx, t, e)
				}
			}
		}
		s.Question = nil
		return t.Reply(key, nil)
	}
	if e, err := c.ledger.Entry(ctx, s.Pending); err == nil && e.State == action.Waiting && e.Conversation != t.Request.Conversation {
		s.Close()
		return t.Reply("approve.not", nil)
	}
	return c.withdraw(ctx, t, s.Pending)
}

// denyOther says no, by a button, to a proposal that is not the open one: what is
// open stays so.
func (c *Crew) denyOther(ctx context.Context, t *dialogue.Turn, id string) (dialogue.Reply, error) {
	e, err := c.ledger.Entry(ctx, id)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if e.Conversation != t.Request.Conversation {
		return dialogue.Reply{}, fault.New(fault.Refused, "That was asked in another conversation, so it can only be answered there.")
	}
	return c.withdraw(ctx, t, id)
}

// withdraw says no to a proposal.
func (c *Crew) withdraw(ctx context.Context, t *dialogue.Turn, id string) (dialogue.Reply, error) {
	e, err := c.ledger.Decide(ctx, id, action.Decision{By: t.Request.Speaker, How: byWhat(t)})
	if err != nil && e.State != action.Expired {
		return dialogue.Reply{}, err
	}
	if t.Session.Pending == "" || t.Session.Pending == id {
		t.Session.Close()
	}
	var left []string
	for _, o := range targets(e) {
		left = append(left, o.Name)
	}
	return t.Reply("deny.done", dialogue.Data{"Names": left})
}

// callOff stops a chain behind the step that runs.
func (c *Crew) callOff(ctx context.Context, t *dialogue.Turn, e action.Entry) (dialogue.Reply, error) {
	t.Session.Question = nil
	left, err := c.ledger.CallOff(ctx, e.ID, t.Request.Speaker)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if len(left) == 0 {
		return t.Reply("deny.running", nil) // it came to its last step meanwhile
	}
	if left[0].Change.Stops() {
		r, err := t.Reply("deny.stop", dialogue.Data{"Name": left[0].Change.Ref.Name})
		r.Outcome = dialogue.OutcomePending
		return r, err
	}
	var names []string
	for _, s := range left {
		if !slices.Contains(names, s.Change.Ref.Name) {
			names = append(names, s.Change.Ref.Name)
		}
	}
	r, err := t.Reply("deny.chain", dialogue.Data{"Names": names})
	r.Outcome = dialogue.OutcomePending
	return r, err
}

// undo proposes to put back what the last change of this conversation changed.
func (c *Crew) undo(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if err := c.ledger.MayChange(ctx, t.Request.Speaker); err != nil {
		return dialogue.Reply{}, err
	}
	if err := c.landed(ctx, t); err != nil {
		return dialogue.Reply{}, err
	}
	e, ok, err := c.ledger.LastChange(ctx, t.Request.Conversation)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if !ok {
		r, err := t.Reply("undo.nothing", nil)
		r.Fault = fault.NotFound
		return r, err
	}
	changes, ok := e.Inverse()
	if !ok {
		var what []string
		for _, s := range e.Steps {
			what = append(what, s.Change.Ref.Name)
		}
		r, err := t.Reply(c.own("undo.impossible", e.Steps[0].Change.Verb), dialogue.Data{"Names": what})
		r.Fault = fault.Refused
		return r, err
	}
	for i := range changes {
		changes[i].Cause = cause(t.Request.Speaker, t.Request.Text)
	}
	if !e.State.Ended() {
		// Who wants it back does not want it to go on.
		if _, err := c.ledger.CallOff(ctx, e.ID, t.Request.Speaker); err != nil {
			return dialogue.Reply{}, err
		}
	}
	p := plan{changes: changes, undoes: e.ID}
	var stay []string
	var verb kube.Verb // of the first that stays
	for _, s := range e.Steps {
		if _, can := s.Change.Inverse(); s.Applied && !can && !slices.Contains(stay, s.Change.Ref.Name) {
			verb = cmp.Or(verb, s.Change.Verb)
			stay = append(stay, s.Change.Ref.Name)
		}
	}
	if len(stay) > 0 {
		w, err := c.catalogue.Say(c.own("undo.partly", verb), dialogue.Data{"Names": stay})
		if err != nil {
			return dialogue.Reply{}, err
		}
		p.warnings = append(p.warnings, w)
	}
	return c.propose(ctx, t, p)
}

// repeat says the last answer again.
func (c *Crew) repeat(_ context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if p := t.Session.PendingReply; p != nil && t.Session.Waiting() {
		return *p, nil // what waits for an answer is worth more than what was said after it
	}
	if p := t.Session.LastReply; p != nil {
		return *p, nil
	}
	return t.Reply("repeat.nothing", nil)
}

// help says what can be answered where something waits for an answer, what can
// be done where something went wrong, and else what can be asked for, as far as
// this person may.
func (c *Crew) help(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	s := t.Session
	topic := t.Intent.Slots.String("topic")
	if p := s.PendingReply; topic == "" && s.WaitingFor(t.Request.Speaker) {
		r, err := t.Reply("help.pending", dialogue.Data{"Speech": s.PendingAbout.Speech, "Text": s.PendingAbout.Text})
		r.Expect = dialogue.ExpectConfirm
		if p != nil {
			r.Proposal = p.Proposal
		}
		return r, err
	}
	if q := s.Question; topic == "" && q != nil && s.LastReply != nil {
		r, err := t.Reply("help.question", dialogue.Data{"Choices": q.Choices})
		r.Speech, r.Text = s.LastReply.Speech+" "+r.Speech, s.LastReply.Text+"\n"+r.Text
		r.Expect, r.Choices = s.LastReply.Expect, q.Choices
		return r, err
	}
	mayWrite := c.ledger.MayChange(ctx, t.Request.Speaker) == nil
	key := "help"
	data := dialogue.Data{"MayWrite": mayWrite}
	if topic == "" && mayWrite && s.LastAction != "" {
		e, err := c.ledger.Entry(ctx, s.LastAction)
		if at := e.Stuck(); err == nil && e.State == action.Failed && at != nil && at.Applied {
			key, data["Name"], data["Undo"] = "help.failed", at.Change.Ref.Name, at.Change.Aspect() == kube.AspectReplicas
		}
	}
	r, err := t.Reply(key, data)
	r.Blocks = []dialogue.Block{c.sayable(topic, mayWrite)}
	return r, err
}

// sayable lists what can be said, or what can be said about one intent.
func (c *Crew) sayable(topic string, mayWrite bool) dialogue.Block {
	b := dialogue.Block{Type: "table", Columns: []string{"WHAT", "SAY"}}
	handlers := c.Handlers()
	for _, s := range c.catalogue.Specs() {
		if handlers[s.Name] == nil || len(s.Examples) == 0 || s.Help == "" || s.Risk == "write" && !mayWrite {
			continue
		}
		if s.Name == topic {
			b.Rows = nil
			for _, e := range s.Examples {
				b.Rows = append(b.Rows, []string{s.Help, e})
			}
			return b
		}
		b.Rows = append(b.Rows, []string{s.Help, s.Examples[0]})
	}
	slices.SortFunc(b.Rows, func(x, y []string) int { return slices.Compare(x, y) })
	return b
}

// greet answers a greeting.
func (c *Crew) greet(_ context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	return t.Reply("greet", nil)
}

// thanks is answered as the last thing deserves.
func (c *Crew) thanks(_ context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	key := "thanks.nothing"
	switch t.Session.LastOutcome {
	case dialogue.OutcomeDone, dialogue.OutcomeRolledBack:
		key = "thanks.success"
	case dialogue.OutcomeFailed:
		key = "thanks.failure"
	case dialogue.OutcomePending:
		key = "thanks.pending"
		if t.Session.Waiting() {
			key = "thanks.answer"
		}
	case dialogue.OutcomeNone:
		key = "thanks.answer"
	}
	return t.Reply(key, nil)
}
