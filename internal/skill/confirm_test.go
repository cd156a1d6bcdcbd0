package skill

import (
	"context"
	"testing"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// book is a ledger that only remembers what was decided.
type book struct {
	Ledger
	entries map[string]action.Entry
	decided []string
	denied  []string
}

func (b *book) Entry(_ context.Context, id string) (action.Entry, error) {
	e, ok := b.entries[id]
	if !ok {
		return e, fault.New(fault.NotFound, "I do not know that proposal.")
	}
	return e, nil
}

func (b *book) Decide(_ context.Context, id string, d action.Decision) (action.Entry, error) {
	e := b.entries[id]
	if !d.Yes {
		b.denied = append(b.denied, id)
		e.State = action.Denied
		return e, nil
	}
	b.decided = append(b.decided, id)
	e.State = action.Approved
	return e, nil
}

func TestYesCountsForOneProposalOfThisConversation(t *testing.T) {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	entry := func(id, conversation string) action.Entry {
		return action.Entry{ID: id, Conversation: conversation, Steps: []action.Step{{Change: kube.Change{
			Ref: kube.Ref{Name: "web", Namespace: "shop", Kind: kube.Deployment}, Verb: kube.VerbScale, ToReplicas: 5,
		}}}}
	}
	for _, tt := range []struct {
		name, button, pending string
		decided               string
		kind                  fault.Kind
		left                  string // what still waits
	}{
		{"yes to what waits", "", "mine", "mine", "", ""},
		{"a button of what waits", "mine", "mine", "mine", "", ""},
		{"a button of an earlier one leaves the later open", "earlier", "mine", "earlier", "", "mine"},
		{"a button of another conversation", "foreign", "mine", "", fault.Refused, "mine"},
		{"a button of nothing", "nonsense", "mine", "", fault.NotFound, "mine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &book{entries: map[string]action.Entry{"mine": entry("mine", "c"), "earlier": entry("earlier", "c"), "foreign": entry("foreign", "d")}}
			crew := NewCrew(place{}, b, c)
			s := &dialogue.Session{Pending: tt.pending}
			turn := &dialogue.Turn{Session: s, Request: dialogue.Request{Conversation: "c", Confirm: tt.button, Speaker: access.Speaker{Channel: "web", ID: "ann"}}}
			r, err := crew.confirm(t.Context(), turn)
			if fault.KindOf(err) != tt.kind || s.Pending != tt.left {
				t.Errorf("%v, %q still waits", err, s.Pending)
			}
			if tt.decided == "" && len(b.decided) > 0 || tt.decided != "" && (len(b.decided) != 1 || b.decided[0] != tt.decided || r.Proposal.ID != tt.decided || s.LastAction != tt.decided) {
				t.Errorf("decided %v, answered %+v", b.decided, r)
			}
		})
	}
}

// A no that is pressed is to what it stands under, whatever is open by then.
func TestNoCountsForOneProposalOfThisConversation(t *testing.T) {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, button string
		denied       string
		kind         fault.Kind
		left         string
	}{
		{"of what waits", "mine", "mine", "", ""},
		{"of an earlier one", "earlier", "earlier", "", "mine"},
		{"of another conversation", "foreign", "", fault.Refused, "mine"},
		{"of nothing", "nonsense", "", fault.NotFound, "mine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &book{entries: map[string]action.Entry{"mine": {ID: "mine", Conversation: "c"}, "earlier": {ID: "earlier", Conversation: "c"}, "foreign": {ID: "foreign", Conversation: "d"}}}
			s := &dialogue.Session{Pending: "mine"}
			turn := dialogue.NewTurn(c, dialogue.Request{Conversation: "c", Deny: tt.button, Speaker: access.Speaker{Channel: "web", ID: "ann"}}, s, intents.Intent{Name: "deny"})
			_, err := NewCrew(place{}, b, c).deny(t.Context(), turn)
			if fault.KindOf(err) != tt.kind || s.Pending != tt.left || len(b.decided) > 0 {
				t.Errorf("%v, %q still waits, yes to %v", err, s.Pending, b.decided)
			}
			if tt.denied == "" && len(b.denied) > 0 || tt.denied != "" && (len(b.denied) != 1 || b.denied[0] != tt.denied) {
				t.Errorf("no to %v", b.denied)
			}
		})
	}
}

// Approve takes what was shown last.
func (b *book) Approve(_ context.Context, id, shown string, by access.Speaker) (action.Entry, error) {
	e := b.entries[id]
	if shown != e.Digest || by.Key() == e.Speaker.Key() {
		return e, fault.New(fault.Refused, "Your approval does not count.")
	}
	b.decided = append(b.decided, id)
	e.State = action.Approved
	return e, nil
}

// An approval that is pressed counts for what was shown with it.
func TestAnApprovalIsPressedForWhatWasShown(t *testing.T) {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	ann := access.Speaker{Channel: "web", ID: "ann"}
	e := action.Entry{ID: "a1", Conversation: "c", Digest: "d1", State: action.Waiting, Speaker: ann, Person: "ann", Steps: []action.Step{{Change: kube.Change{
		Ref: kube.Ref{Name: "web", Namespace: "shop", Kind: kube.Deployment}, Verb: kube.VerbScale, ToReplicas: 5,
	}}}}
	for _, tt := range []struct {
		name, shown, by string
		kind            fault.Kind
	}{
		{"what was shown", "d1", "bob", ""},
		{"something else", "d0", "bob", fault.Refused},
		{"nothing", "", "bob", fault.Refused},
		{"one's own", "d1", "ann", fault.Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &book{entries: map[string]action.Entry{"a1": e}}
			req := dialogue.Request{Conversation: "elsewhere", Approve: "a1@" + tt.shown, Speaker: access.Speaker{Channel: "web", ID: tt.by}}
			turn := dialogue.NewTurn(c, req, &dialogue.Session{}, intents.Intent{Name: "approve"})
			r, err := NewCrew(place{}, b, c).approve(t.Context(), turn)
			if fault.KindOf(err) != tt.kind || (len(b.decided) > 0) != (tt.kind == "") {
				t.Errorf("%v, %v", err, b.decided)
			}
			if err == nil && (r.Proposal == nil || r.Proposal.Key() != "a1@d1") {
				t.Errorf("%+v", r)
			}
		})
	}
}

// place is a cluster that only knows where it is.
type place struct{ Reader }

func (place) Namespace(string) string { return "shop" }
func (place) Clusters() []string      { return []string{"home"} }
