package dialogue_test

import (
	"context"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// An answer is waited for from a question until it is answered, and not beyond the
// time that a proposal waits.
func TestAsked(t *testing.T) {
	r := newRoom(t)
	wait := time.Hour
	r.do["scale"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		turn.Session.Propose("p1", turn.Request.Speaker, time.Now().Add(wait), dialogue.Reply{}, intents.Say{Speech: "scaling", Text: "scaling"})
		return dialogue.Reply{Speech: "Shall I?", Text: "Shall I?", Expect: dialogue.ExpectConfirm}, nil
	}
	r.do["confirm"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		turn.Session.Close()
		return dialogue.Reply{Speech: "ok", Text: "ok"}, nil
	}
	r.do["restart"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		return turn.Ask(dialogue.Reply{Speech: "Which one?", Text: "Which one?"}, "targets", []string{"web", "cart"}), nil
	}
	asked := func(when string, want bool) {
		t.Helper()
		if got, err := r.Asked(t.Context(), "c"); err != nil || got != want {
			t.Errorf("%s: %t, %v", when, got, err)
		}
	}
	asked("before anything was said", false)
	r.say("scale web to five")
	asked("while a proposal waits", true)
	r.say("yes")
	asked("when it was answered", false)
	r.say("restart web")
	asked("while one of several is to be chosen", true)
	if err := r.Leave(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	wait = -time.Second
	r.say("scale web to five")
	asked("when a proposal waits no longer", false)
	r.Respond(t.Context(), dialogue.Request{Conversation: "c", Text: "scale web to nine", Unsure: true})
	asked("when it is not sure what was heard", true)
}
