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
}

func (b *book) Entry(_ context.Context, id string) (action.Entry, error) {
	e, ok := b.entries[id]
	if !ok {
		return e, fault.New(fault.NotFound, "I do not know that proposal.")
	}
	return e, nil
}

func (b *book) Decide(_ context.Context, id string, d action.Decision) (action.Entry, error) {
	b.decided = append(b.decided, id)
	e := b.entries[id]
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

// place is a cluster that only knows where it is.
type place struct{ Reader }

func (place) Namespace(string) string { return "shop" }
func (place) Clusters() []string      { return []string{"home"} }
