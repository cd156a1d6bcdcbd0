package dialogue_test

import (
	"context"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// A conversation is known once something was said in it, and no other is.
func TestKnows(t *testing.T) {
	r := newRoom(t)
	for _, want := range []bool{false, true} {
		if got, err := r.Knows(t.Context(), "c"); err != nil || got != want {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
		r.say("help")
	}
	if got, err := r.Knows(t.Context(), "another"); err != nil || got {
		t.Errorf("%v, %v", got, err)
	}
}

// What was told in a conversation is about something, until somebody speaks of something
// else there.
func TestAbout(t *testing.T) {
	r := newRoom(t)
	it := ""
	r.do["status"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		it = ""
		for _, o := range turn.Session.Targets {
			it += o.Namespace + "/" + o.Name
		}
		turn.Session.Focus(dialogue.Target{Namespace: "shop", Name: "web"})
		return dialogue.Reply{Speech: "ok", Text: "ok"}, nil
	}
	checkout := []dialogue.Target{{Namespace: "shop", Name: "checkout"}}
	for _, want := range []string{"shop/checkout", "shop/web"} {
		if err := r.About(t.Context(), "c", checkout); err != nil {
			t.Fatal(err)
		}
		if r.say("how is it?"); it != want {
			t.Errorf("it is %q, want %q", it, want)
		}
	}
	if known, err := r.Knows(t.Context(), "c"); err != nil || !known {
		t.Errorf("%v %v", known, err)
	}
}
