package dialogue_test

import (
	"context"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// TestUnsureIsAskedAndNotDone: of what was not heard well nothing is done before
// somebody says that they said it.
func TestUnsureIsAskedAndNotDone(t *testing.T) {
	unsure := func(r *room, text string) dialogue.Reply {
		return r.Respond(context.Background(), dialogue.Request{Conversation: "c", Speaker: ann, Text: text, Unsure: true})
	}
	asked := func(t *testing.T, r *room, a dialogue.Reply, about string, done int) {
		t.Helper()
		if a.Expect != dialogue.ExpectConfirm || !strings.Contains(a.Speech, "Did you say: "+about+"?") || len(r.seen) != done {
			t.Fatalf("%+v; done: %v", a, r.seen)
		}
	}
	t.Run("yes", func(t *testing.T) {
		r := newRoom(t)
		asked(t, r, unsure(r, "scale web to five"), "scale web to five", 0)
		if r.say("yes"); r.last().Name != "scale" || r.last().Slots["replicas"] != 5.0 && r.last().Slots["replicas"] != 5 {
			t.Errorf("%+v", r.last())
		}
		if r.say("yes"); r.last().Name != "confirm" {
			t.Errorf("a second yes is %+v", r.last())
		}
	})
	t.Run("no", func(t *testing.T) {
		r := newRoom(t)
		asked(t, r, unsure(r, "restart web"), "restart web", 0)
		if a := r.say("no"); !strings.Contains(a.Speech, "say it again") || len(r.seen) != 0 {
			t.Errorf("%+v, %v", a, r.seen)
		}
		if r.say("yes"); r.last().Name != "confirm" {
			t.Errorf("after a no, yes is %+v", r.last())
		}
	})
	t.Run("said anew", func(t *testing.T) {
		r := newRoom(t)
		asked(t, r, unsure(r, "restart web"), "restart web", 0)
		if r.say("restart cart"); r.last().Name != "restart" || r.last().Slots.Targets()[0] != "cart" {
			t.Errorf("%+v", r.last())
		}
		if r.say("yes"); r.last().Name != "confirm" {
			t.Errorf("yes to what was dropped is %+v", r.last())
		}
	})
	t.Run("a yes that is unsure", func(t *testing.T) {
		r := newRoom(t)
		asked(t, r, unsure(r, "restart web"), "restart web", 0)
		asked(t, r, unsure(r, "yes"), "restart web", 0)
		if r.say("yes"); r.last().Name != "restart" {
			t.Errorf("%+v", r.last())
		}
	})
	t.Run("somebody else's yes", func(t *testing.T) {
		r := newRoom(t)
		asked(t, r, unsure(r, "restart web"), "restart web", 0)
		r.Respond(context.Background(), dialogue.Request{Conversation: "c", Speaker: access.Speaker{Channel: "web", ID: "bob"}, Text: "yes"})
		if r.last().Name != "confirm" {
			t.Errorf("%+v", r.last())
		}
	})
	t.Run("nothing", func(t *testing.T) {
		r := newRoom(t)
		if a := unsure(r, ""); !strings.Contains(a.Speech, "say it again") || len(r.seen) != 0 {
			t.Errorf("%+v", a)
		}
	})
	t.Run("a code is not said back", func(t *testing.T) {
		r := newRoom(t)
		if a := unsure(r, "link 4829 1374"); strings.Contains(a.Speech+a.Text, "4829") || len(r.seen) != 0 {
			t.Errorf("%+v", a)
		}
	})
}
