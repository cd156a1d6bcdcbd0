package action

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Noted is what of an entry the audit trail tells already. It is journaled with
// the entry, in the transaction that adds the lines: so each is there once.
type Noted struct {
	State     State `json:"state,omitempty"`
	Approvals int   `json:"approvals,omitempty"`
}

// Decider is who said yes or no, and how.
type Decider struct {
	Speaker access.Speaker `json:"speaker"`
	Person  string         `json:"person,omitempty"`
	How     string         `json:"how,omitempty"` // "words", "button"
}

// tell gives the lines for what has come about since the entry was last
// journaled, and the entry with that noted.
func (e Entry) tell(now time.Time) (Entry, [][]byte, error) {
	var events []audit.Event
	add := func(k audit.Kind, edit func(*audit.Event)) {
		ev := e.event(k, now)
		edit(&ev)
		events = append(events, ev)
	}
	fresh := e.State != e.Noted.State
	asker := func(ev *audit.Event) {
		ev.How = e.By.How
		if e.PINGiven {
			ev.How = strings.TrimPrefix(ev.How+", PIN", ", ")
		}
	}
	switch {
	case !fresh:
	case e.State == Proposed:
		add(audit.Proposed, func(ev *audit.Event) { ev.Objects, ev.How = objects(e.Steps, true), e.Verdict.Rule })
	case e.State == Waiting, e.State == Approved && e.Noted.State != Waiting:
		add(audit.Approved, asker)
	case e.State == Denied:
		add(audit.Denied, func(ev *audit.Event) { by(ev, e.By.Speaker, e.By.Person); ev.How = e.By.How })
	case e.State == Expired:
		add(audit.Expired, func(*audit.Event) {})
	}
	for _, a := range e.Approvals[min(e.Noted.Approvals, len(e.Approvals)):] {
		add(audit.Seconded, func(ev *audit.Event) { by(ev, a.Speaker, a.Person); ev.How = strings.Join(a.Rules, ", ") })
	}
	e.Steps = slices.Clone(e.Steps)
	for i, s := range e.Steps {
		if s.Applied && !s.Noted {
			e.Steps[i].Noted = true
			add(audit.Applied, func(ev *audit.Event) { ev.Objects = objects([]Step{s}, false) })
		}
	}
	if fresh && e.State.Ended() && e.State != Denied && e.State != Expired {
		if e.Fault == fault.Refused || e.Fault == fault.Conflict {
			add(audit.Refused, func(ev *audit.Event) { ev.Why = e.Problem })
		}
		add(audit.Outcome, func(ev *audit.Event) {
			ev.Objects, ev.State, ev.Why = objects(e.Steps, false), string(e.State), e.why()
		})
	}
	e.Noted = Noted{e.State, len(e.Approvals)}
	lines, err := encode(events...)
	return e, lines, err
}

// why is why an entry did not end well.
func (e Entry) why() string {
	if e.Bake != nil && e.Problem == "" {
		return e.Bake.why()
	}
	if s := e.Stuck(); e.Problem == "" && s != nil && s.Last.Stuck != nil {
		return strings.TrimSpace(string(s.Last.Stuck.Reason) + " " + s.Last.Stuck.Detail)
	}
	return e.Problem
}

// event is a line about an entry, by the one who asked for it.
func (e Entry) event(k audit.Kind, now time.Time) audit.Event {
	ev := audit.Event{Kind: k, At: now, Conversation: e.Conversation, Action: e.ID, Undoes: e.Undoes, Intent: e.Intent}
	by(&ev, e.Speaker, e.Person)
	if len(e.Steps) > 0 {
		ev.User = e.Steps[0].Change.As.User
	}
	return ev
}

func by(ev *audit.Event, s access.Speaker, person string) {
	ev.Channel, ev.Speaker, ev.Name, ev.Person = s.Channel, s.ID, s.Name, person
	ev.Assurance = s.Assurance.String()
}

func objects(steps []Step, diffs bool) []audit.Object {
	out := make([]audit.Object, len(steps))
	for i, s := range steps {
		ref := s.Change.Ref
		out[i] = audit.Object{
			Cluster: ref.Cluster, Namespace: ref.Namespace, Kind: ref.Kind, Name: ref.Name,
			Verb: string(s.Change.Verb), From: s.Change.From(), To: s.Change.To(), Done: s.Ready,
		}
		if diffs {
			out[i].Diff = s.Diff
		}
	}
	return out
}

func encode(events ...audit.Event) ([][]byte, error) {
	var out [][]byte
	for _, ev := range events {
		b, err := ev.Encode()
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// wrongPIN notes in the audit trail that somebody's PIN was not taken. The PIN
// itself is nowhere.
func (l *Ledger) wrongPIN(ctx context.Context, e Entry, d Decision, person string, cause error) {
	ev := e.event(audit.PIN, time.Now())
	by(&ev, d.By, person)
	ev.Why = fault.Say(cause)
	lines, err := encode(ev)
	if err == nil {
		err = l.journal.AppendAudit(ctx, "", lines...)
	}
	if err != nil {
		l.log.ErrorContext(ctx, "a wrong PIN is not in the audit trail", "action", e.ID, "person", person, "err", err)
	}
}
