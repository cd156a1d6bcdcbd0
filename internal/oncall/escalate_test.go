package oncall_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/oncall"
)

func TestWhoDoesNotAnswerIsFollowed(t *testing.T) {
	for _, c := range []struct {
		name, status string
	}{{"no answer", "no-answer"}, {"busy", "busy"}, {"declined", "busy"}, {"failed", "failed"}, {"a machine that hangs up at once", "completed"}, {"a mailbox", "machine"}} {
		t.Run(c.name, func(t *testing.T) {
			night(t, func(w *world, now time.Time) {
				w.fires("CheckoutErrors", "checkout", "critical", now)
				w.ends("1-1", c.status)
				w.ends("1-1", c.status) // the carrier repeats itself
				w.was("ann@1-1")
				w.after(16 * time.Second)
				w.was("ann@1-1 ann@1-2") // the second call gets through a telephone that is told to be quiet
				w.ends("1-2", c.status)
				w.was("ann@1-1 ann@1-2 bob@1-3")
				w.picksUp("1-3")
				w.asks("1-3", "alert_ack")
				w.ends("1-3", "completed")
				w.state(oncall.Taken)
				w.after(50 * time.Minute)
				w.was("ann@1-1 ann@1-2 bob@1-3")
				w.after(11 * time.Minute) // the acknowledgement has ended, and it still fires
				w.was("ann@1-1 ann@1-2 bob@1-3 ann@1-4")
			})
		})
	}
}

func TestNobodyIsReached(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now)
		for i := 1; i <= 3; i++ {
			w.ends(fmt.Sprintf("1-%d", i), "no-answer")
			w.after(16 * time.Second)
		}
		w.state(oncall.Unreached)
		w.was("ann@1-1 ann@1-2 bob@1-3")
		if last := w.line[len(w.line)-1]; !strings.Contains(last, "I reached nobody in 3 calls") {
			t.Errorf("said at last: %q", last)
		}
		if len(w.texts) != 2 || !strings.HasPrefix(w.texts[0]+w.texts[1], "ann: firstmate: CheckoutErrors fires on checkout and I reached nobody.") && !strings.HasPrefix(w.texts[1], "ann: ") {
			t.Errorf("texts %q", w.texts)
		}
		w.after(time.Hour)
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.was("ann@1-1 ann@1-2 bob@1-3")
	})
}

func TestACarrierThatFailsIsFollowed(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.noCall = errors.New("no")
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.after(time.Minute)
		w.was("ann@1-1 ann@1-2 bob@1-3")
		w.state(oncall.Unreached)
	})
}

// TestWhoHangsUpHasDecidedNothing: nothing is done, and after five minutes
// somebody else is called.
func TestWhoHangsUpHasDecidedNothing(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.picksUp("1-1")
		// The read-back waits for a yes: that is no decision.
		w.desk.Listen(t.Context(), dialogue.Heard{
			Request: dialogue.Request{Conversation: "oncall-1-1"},
			Reply:   dialogue.Reply{Intent: "rollback", Proposal: &dialogue.Proposal{ID: "p-1-1"}, Outcome: dialogue.OutcomePending, Expect: dialogue.ExpectConfirm},
		})
		w.ends("1-1", "completed")
		w.state(oncall.Waiting)
		w.after(4 * time.Minute)
		w.was("ann@1-1")
		w.after(61 * time.Second)
		w.was("ann@1-1 bob@1-2")
	})
}

func TestTheNextOneIsCalled(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.picksUp("1-1")
		if r, err := w.turn("1-1", "oncall_next"); err != nil || r.Speech != "I call bob." {
			t.Errorf("%+v %v", r, err)
		}
		w.after(time.Second)
		w.was("ann@1-1 bob@1-2")
		w.asks("1-1", "oncall_next") // it is said again
		w.ends("1-1", "completed")
		w.after(4 * time.Minute)
		w.was("ann@1-1 bob@1-2")
	})
}

func TestWhoIsOnCall(t *testing.T) {
	night(t, func(w *world, _ time.Time) {
		if r, err := w.turn("1-1", "oncall_who"); err != nil || r.Speech != "ann is on call; secondary is bob." {
			t.Errorf("%q %v", r.Speech, err)
		}
	})
}
