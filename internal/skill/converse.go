package skill

import (
	"context"
	"slices"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
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
	if e.Conversation != t.Request.Conversation {
		return dialogue.Reply{}, fault.New(fault.Refused, "That was asked in another conversation, so it can only be answered there.")
	}
	e, err = c.ledger.Decide(ctx, id, action.Decision{By: t.Request.Speaker, Yes: true})
	if id == t.Session.Pending && (e.State == action.Expired || err == nil) {
		t.Session.Close()
	}
	if err != nil {
		return dialogue.Reply{}, err
	}
	t.Session.LastAction = e.ID
	say, err := c.phrases(e, "started.")
	if err != nil {
		return dialogue.Reply{}, err
	}
	r := dialogue.Reply{Speech: upper(say.Speech) + ".", Text: upper(say.Text) + " …", Proposal: proposal(e), Outcome: dialogue.OutcomePending}
	if e.State.Ended() { // said yes to twice
		told, err := c.told(e)
		if err != nil {
			return dialogue.Reply{}, err
		}
		r.Speech, r.Text, r.Outcome = told.Speech, told.Text, told.Outcome
	}
	return r, nil
}

// deny says no to what is open; cancel is the same.
func (c *Crew) deny(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	s := t.Session
	if s.Pending == "" {
		key := "deny.nothing"
		if s.LastAction != "" {
			e, err := c.ledger.Entry(ctx, s.LastAction)
			if err == nil && !e.State.Ended() {
				key = "deny.running"
			}
		}
		s.Question = nil
		return t.Reply(key, nil)
	}
	e, err := c.ledger.Decide(ctx, s.Pending, action.Decision{By: t.Request.Speaker})
	if err != nil && e.State != action.Expired {
		return dialogue.Reply{}, err
	}
	s.Close()
	var left []string
	for _, st := range e.Steps {
		left = append(left, st.Change.Ref.Name)
	}
	return t.Reply("deny.done", dialogue.Data{"Names": left})
}

// undo proposes to put back what the last change of this conversation changed.
func (c *Crew) undo(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if err := c.ledger.MayChange(t.Request.Speaker); err != nil {
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
		r, err := t.Reply("undo.impossible", dialogue.Data{"Names": what})
		r.Fault = fault.Refused
		return r, err
	}
	for i := range changes {
		changes[i].Cause = cause(t.Request.Speaker, t.Request.Text)
	}
	return c.propose(ctx, t, plan{changes: changes, undoes: e.ID})
}

// repeat says the last answer again.
func (c *Crew) repeat(_ context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if p := t.Session.PendingReply; p != nil {
		return *p, nil // what waits for an answer is worth more than what was said after it
	}
	if p := t.Session.LastReply; p != nil {
		return *p, nil
	}
	return t.Reply("repeat.nothing", nil)
}

// help says what can be asked for, as far as this person may.
func (c *Crew) help(_ context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	mayWrite := c.ledger.MayChange(t.Request.Speaker) == nil
	b := dialogue.Block{Type: "table", Columns: []string{"WHAT", "SAY"}}
	handlers := c.Handlers()
	for _, s := range c.catalogue.Specs() {
		if handlers[s.Name] == nil || len(s.Examples) == 0 || s.Help == "" {
			continue
		}
		if s.Risk == "write" && !mayWrite {
			continue
		}
		b.Rows = append(b.Rows, []string{s.Help, s.Examples[0]})
	}
	slices.SortFunc(b.Rows, func(x, y []string) int { return slices.Compare(x, y) })
	r, err := t.Reply("help", dialogue.Data{"MayWrite": mayWrite, "Pending": t.Session.Pending != ""})
	r.Blocks = []dialogue.Block{b}
	return r, err
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
	case dialogue.OutcomeNone:
		key = "thanks.answer"
	}
	return t.Reply(key, nil)
}
