package skill

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// needs says what else than a yes a proposal takes.
func (c *Crew) needs(e action.Entry) ([]intents.Say, error) {
	var out []intents.Say
	for _, need := range []struct {
		key  string
		want bool
	}{{"needs.approval", len(e.Verdict.Approvals) > 0}, {"needs.pin", e.Verdict.Kind == access.PIN}} {
		if !need.want {
			continue
		}
		say, err := c.catalogue.Say(need.key, dialogue.Data{"Who": e.WaitsFor(), "Reason": strings.TrimRight(e.Verdict.Reason, ".")})
		if err != nil {
			return nil, err
		}
		out = append(out, say)
	}
	return out, nil
}

// decide says yes to a proposal for the speaker. asked is true where the answer
// asks for what the yes lacks.
func (c *Crew) decide(ctx context.Context, t *dialogue.Turn, id string) (e action.Entry, r dialogue.Reply, asked bool, err error) {
	e, err = c.ledger.Decide(ctx, id, action.Decision{By: t.Request.Speaker, Yes: true, PIN: t.Secret, How: byWhat(t)})
	var wrong *access.PINError
	switch {
	case errors.As(err, &action.PINWanted{}):
		r, err = t.Reply("pin.ask", nil)
	case errors.As(err, &wrong) && !wrong.Locked:
		if r, err = t.Reply("pin.again", dialogue.Data{"Problem": fault.Say(wrong)}); err == nil {
			r.Fault = fault.Refused
		}
	default:
		if wrong != nil && id == t.Session.Pending {
			t.Session.Close() // it would not be taken any more while this one waits
		}
		return e, r, false, err
	}
	if t.Session.Pending != id { // by a button, of what is not what was spoken of last
		about, perr := c.phrases(e, "started.")
		if err = errors.Join(err, perr); err == nil {
			t.Session.Propose(e.ID, e.Speaker, e.Expires, r, about)
		}
	}
	r.Proposal, r.Outcome = proposal(e), dialogue.OutcomePending
	return e, t.AskPIN(r), true, err
}

// waits says that somebody else has to agree.
func (c *Crew) waits(t *dialogue.Turn, e action.Entry) (dialogue.Reply, error) {
	r, err := t.Reply("waiting.approval", dialogue.Data{
		"Who": e.WaitsFor(), "Code": e.Code, "Spelled": strings.Join(strings.Split(e.Code, ""), " "), "Minutes": int(action.ApprovalLife.Minutes()),
	})
	r.Expect, r.Proposal, r.Outcome = dialogue.ExpectApproval, proposal(e), dialogue.OutcomePending
	return r, err
}

// approve agrees to what somebody else asked for. In the conversation that it
// was read back in, that is that; elsewhere it is read back first.
func (c *Crew) approve(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if id, shown, ok := strings.Cut(t.Request.Approve, "@"); ok {
		e, err := c.ledger.Entry(ctx, id)
		if err != nil {
			return dialogue.Reply{}, err
		}
		e.Digest = shown // what they were shown, which may be something else by now
		return c.agree(ctx, t, e)
	}
	if code, ok := t.Intent.Slots.Number("code"); ok {
		return c.approveCode(ctx, t, strconv.Itoa(int(code)))
	}
	if t.Session.Pending != "" && t.Session.WaitingFor(t.Request.Speaker) {
		return c.confirm(ctx, t) // their own way to say yes
	}
	var here, there []action.Entry
	err := c.ledger.Awaiting(ctx, func(e action.Entry) bool {
		if e.Conversation == t.Request.Conversation {
			here = append(here, e)
		} else if e.Speaker.Key() != t.Request.Speaker.Key() {
			there = append(there, e)
		}
		return len(here)+len(there) < manyWaiting
	})
	switch {
	case err != nil:
		return dialogue.Reply{}, err
	case len(here) == 1:
		return c.agree(ctx, t, here[0])
	case len(here) == 0 && len(there) == 1:
		return c.readForApproval(ctx, t, there[0])
	case len(here)+len(there) > 1:
		return c.manyWait(t, append(here, there...))
	}
	r, err := t.Reply("approve.nothing", nil)
	r.Fault = fault.NotUnderstood
	return r, err
}

// manyWaiting is of how many changes that wait a choice is offered.
const manyWaiting = 20

func (c *Crew) approveCode(ctx context.Context, t *dialogue.Turn, code string) (dialogue.Reply, error) {
	var found *action.Entry
	err := c.ledger.Awaiting(ctx, func(e action.Entry) bool {
		if e.Code == code {
			found = &e
		}
		return found == nil
	})
	switch {
	case err != nil:
		return dialogue.Reply{}, err
	case found == nil:
		r, err := t.Reply("approve.unknown", dialogue.Data{"Code": code})
		r.Fault = fault.NotFound
		return r, err
	case found.Conversation == t.Request.Conversation:
		return c.agree(ctx, t, *found)
	}
	return c.readForApproval(ctx, t, *found)
}

// agree approves an entry that was shown where the speaker is.
func (c *Crew) agree(ctx context.Context, t *dialogue.Turn, shown action.Entry) (dialogue.Reply, error) {
	e, err := c.ledger.Approve(ctx, shown.ID, shown.Digest, t.Request.Speaker)
	if t.Session.Pending == shown.ID {
		t.Session.Close()
	}
	if err != nil {
		return dialogue.Reply{}, err
	}
	if e.State == action.Waiting {
		r, err := t.Reply("waiting.more", dialogue.Data{"Who": e.WaitsFor()})
		r.Outcome = dialogue.OutcomePending
		return r, err
	}
	say, err := c.phrases(e, "started.")
	if err != nil {
		return dialogue.Reply{}, err
	}
	t.Session.LastAction = e.ID
	r, err := t.Reply("approved", dialogue.Data{"Person": e.Person, "Speech": upper(say.Speech), "Text": upper(say.Text)})
	r.Proposal, r.Outcome = proposal(e), dialogue.OutcomePending
	return r, err
}

// readForApproval reads somebody else's proposal to who may approve it.
func (c *Crew) readForApproval(ctx context.Context, t *dialogue.Turn, e action.Entry) (dialogue.Reply, error) {
	if err := c.ledger.MayApprove(ctx, e, t.Request.Speaker); err != nil {
		return dialogue.Reply{}, err
	}
	say, err := c.phrases(e, "change.")
	if err != nil {
		return dialogue.Reply{}, err
	}
	r, err := t.Reply("approve.readback", dialogue.Data{
		"Person": e.Person, "How": how(e.Speaker), "Speech": say.Speech, "Text": say.Text, "Reason": sentence(e.Verdict.Reason),
	})
	if err != nil {
		return dialogue.Reply{}, err
	}
	r.Expect, r.Proposal, r.Outcome, r.Blocks = dialogue.ExpectConfirm, proposal(e), dialogue.OutcomePending, diffs(e)
	t.Session.Question = nil
	t.Session.Propose(e.ID, t.Request.Speaker, e.Expires, r, say)
	return r, nil
}

func (c *Crew) manyWait(t *dialogue.Turn, all []action.Entry) (dialogue.Reply, error) {
	r, err := t.Reply("approve.many", dialogue.Data{"Count": len(all)})
	if err != nil {
		return r, err
	}
	table := dialogue.Block{Type: "table", Columns: []string{"NUMBER", "WHO", "WHAT"}}
	for _, e := range all {
		say, err := c.phrases(e, "change.")
		if err != nil {
			return r, err
		}
		table.Rows = append(table.Rows, []string{e.Code, e.Person, say.Text})
	}
	r.Blocks = []dialogue.Block{table}
	return r, nil
}

// how says by what a speaker is known.
func how(s access.Speaker) string {
	if s.Method == access.Unverified {
		return s.Channel + ", not verified"
	}
	return s.Channel + ", " + s.Assurance.String() + " by " + strings.ReplaceAll(string(s.Method), "_", " ")
}

// sentence ends a reason with a stop.
func sentence(s string) string {
	if s != "" && !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}
