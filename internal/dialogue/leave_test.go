package dialogue_test

import (
	"context"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// Who hangs up leaves nothing open: a yes that comes later is to nothing.
func TestLeave(t *testing.T) {
	r := newRoom(t)
	r.do["scale"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		turn.Session.Propose("p1", turn.Request.Speaker, time.Now().Add(time.Hour), dialogue.Reply{}, intents.Say{Speech: "scaling", Text: "scaling"})
		return dialogue.Reply{Speech: "Shall I?", Text: "Shall I?", Expect: dialogue.ExpectConfirm}, nil
	}
	waiting := ""
	r.do["confirm"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		waiting = turn.Session.Pending
		return dialogue.Reply{Speech: "ok", Text: "ok"}, nil
	}
	r.say("scale web to five")
	if r.say("yes"); waiting != "p1" {
		t.Fatalf("%q waits", waiting)
	}
	if err := r.Leave(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if r.say("yes"); waiting != "" {
		t.Errorf("%q waits for somebody who has gone", waiting)
	}
	if err := r.Leave(t.Context(), "nobody spoke here"); err != nil {
		t.Error(err)
	}
}

// What nobody was told is given once.
func TestUntold(t *testing.T) {
	r := newRoom(t)
	tell := func(id string) {
		ev := dialogue.Event{Kind: dialogue.EventOutcome, Action: id, Reply: dialogue.Reply{Text: id}}
		if err := r.Push(t.Context(), "c", ev, nil); err != nil {
			t.Fatal(err)
		}
	}
	untold := func(want ...string) {
		t.Helper()
		got, err := r.Untold(t.Context(), "c")
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d, %v; want %v", len(got), err, want)
		}
		for i, w := range want {
			if got[i].Text != w {
				t.Errorf("%q, want %q", got[i].Text, w)
			}
		}
	}
	untold()
	tell("one")
	tell("two")
	untold("one", "two")
	untold()
	tell("three")
	r.Respond(t.Context(), dialogue.Request{Conversation: "c", Speaker: ann, Text: "how is web", Pull: true})
	untold()
}
