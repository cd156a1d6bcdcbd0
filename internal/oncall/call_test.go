package oncall_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/oncall"
)

func TestTheCallInWhichItIsRolledBack(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now.Add(-time.Minute))
		w.was("ann@1-1")
		if said := w.picksUp("1-1"); said != "ann, this is first mate. checkout fails because of checkout. Shall I roll it back?" {
			t.Errorf("heard %q", said)
		}
		if o, _ := w.desk.Opening(t.Context(), "1-1"); o.Rest != "checkout fails 12 percent since zero three because of checkout. Shall I roll it back to version one?" {
			t.Errorf("more is %q", o.Rest)
		}
		w.state(oncall.Talking)
		w.agrees("1-1")
		w.state(oncall.Taken)
		if o, _ := w.desk.Opening(t.Context(), "1-1"); !o.More {
			t.Error("the call does not wait for what is to come")
		}
		w.ends2("1-1", dialogue.OutcomeDone, "checkout is back on version one.")
		w.after(20 * time.Second)
		w.state(oncall.Taken) // errors are as they were
		if r, err := w.turn("1-1", "status"); err != nil || r.Speech != "Errors are at 12 percent; I go on watching." || r.Outcome != dialogue.OutcomePending {
			t.Errorf("how it goes: %+v %v", r, err)
		}
		w.mu.Lock()
		w.ratio = 0.002
		w.mu.Unlock()
		w.after(2 * 6 * time.Second)
		w.state(oncall.Over)
		heard := w.pushed["oncall-1-1"]
		if got := heard[len(heard)-1].Reply.Speech; got != "Errors are back to normal: 0.2 percent." {
			t.Errorf("the end is %q", got)
		}
		w.ends("1-1", "completed")
		w.fires("CheckoutErrors", "checkout", "critical", now.Add(-time.Minute)) // the rule has not noticed yet
		w.resolves("CheckoutErrors", "checkout", now.Add(-time.Minute))
		w.after(time.Hour)
		w.was("ann@1-1")
		if len(w.texts) > 0 {
			t.Errorf("texts %q", w.texts)
		}
		var line []string
		for _, l := range w.line {
			line = append(line, l[len("03:00:00 incident 1: "):])
		}
		want := []string{
			"CheckoutErrors (critical) fires on checkout in shop", "checkout fails because of checkout.", "I call ann", "ann picked up", "ann decided: Rolling back.",
			"checkout is back on version one.", "errors are back to normal: 0.2 percent",
		}
		if !slices.Equal(line[:len(want)], want) {
			t.Errorf("the time-line:\n%s", strings.Join(line, "\n"))
		}
	})
}

// TestWhatIsMadeIsMeasuredBeforeItsOutcome: a version that is rolled out is watched
// for minutes; nobody at three in the morning waits for that.
func TestWhatIsMadeIsMeasuredBeforeItsOutcome(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		made := false
		w.desk.RolledOut = func(context.Context, string) (bool, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return made, nil
		}
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.picksUp("1-1")
		w.agrees("1-1")
		w.mu.Lock()
		w.ratio = 0
		w.mu.Unlock()
		w.after(30 * time.Second)
		w.state(oncall.Taken) // the old version may be well for a moment: nothing is done yet
		w.mu.Lock()
		made = true
		w.mu.Unlock()
		w.after(14 * time.Second)
		w.state(oncall.Taken) // too little was measured since
		w.after(4 * time.Second)
		w.state(oncall.Over)
		w.mu.Lock()
		defer w.mu.Unlock()
		if said := w.pushed["oncall-1-1"]; len(said) != 1 || said[0].Reply.Speech != "Errors are back to normal: 0 percent." {
			t.Errorf("said %+v", said)
		}
	})
}

// TestWhatIsSoFar: while no window is whole, what was counted is told as so far; it
// ends nothing.
func TestWhatIsSoFar(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.picksUp("1-1")
		w.agrees("1-1")
		w.ends2("1-1", dialogue.OutcomeDone, "checkout is back on version one.")
		w.mu.Lock()
		w.ratio = 0
		w.mu.Unlock()
		w.after(5 * time.Second)
		if r, err := w.turn("1-1", "status"); err != nil || r.Speech != "So far, 0 percent of about 180 requests fail." {
			t.Errorf("%q %v", r.Speech, err)
		}
		w.state(oncall.Taken)
		w.after(6 * time.Second)
		if r, err := w.turn("1-1", "status"); err != nil || r.Speech != "Errors are at 0 percent; I go on watching." {
			t.Errorf("%q %v", r.Speech, err)
		}
	})
}

func TestWhatDoesNotHelpIsTold(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.picksUp("1-1")
		w.agrees("1-1")
		w.ends("1-1", "completed")
		w.ends2("1-1", dialogue.OutcomeFailed, "The roll-back is stuck.")
		w.after(3 * time.Second)
		w.was("ann@1-1 ann@1-2") // called back
		if said := w.picksUp("1-2"); !strings.HasPrefix(said, "ann, this is first mate. The change did not work.") {
			t.Errorf("heard %q", said)
		}
	})
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.picksUp("1-1")
		w.agrees("1-1")
		w.ends("1-1", "completed")
		w.ends2("1-1", dialogue.OutcomeDone, "Back on version one.")
		w.after(3 * time.Second)
		if len(w.texts) != 1 || !strings.Contains(w.texts[0], "Back on version one.") {
			t.Errorf("texts %q", w.texts)
		}
		w.after(11 * time.Minute) // and still errors
		w.was("ann@1-1 ann@1-2")
		if said := w.picksUp("1-2"); !strings.Contains(said, "It is not over.") {
			t.Errorf("heard %q", said)
		}
	})
}

func TestWhatResolvesMeanwhile(t *testing.T) {
	t.Run("while it rings", func(t *testing.T) {
		night(t, func(w *world, now time.Time) {
			w.fires("CheckoutErrors", "checkout", "critical", now)
			w.resolves("CheckoutErrors", "checkout", now)
			if !slices.Equal(w.off, []string{"CA1-1"}) {
				t.Errorf("called off: %v", w.off)
			}
			w.state(oncall.Over)
			if said := w.picksUp("1-1"); !strings.HasPrefix(said, "That is over already") {
				t.Errorf("who picks up all the same hears %q", said)
			}
			w.after(time.Hour)
			w.was("ann@1-1")
		})
	})
	t.Run("while they talk", func(t *testing.T) {
		night(t, func(w *world, now time.Time) {
			w.fires("CheckoutErrors", "checkout", "critical", now)
			w.picksUp("1-1")
			w.resolves("CheckoutErrors", "checkout", now)
			if said := w.pushed["oncall-1-1"]; len(said) != 1 || said[0].Reply.Speech != "The alert has just resolved by itself." {
				t.Errorf("said %+v", said)
			}
			w.ends("1-1", "completed")
			w.state(oncall.Over)
		})
	})
	t.Run("while the cause is looked for", func(t *testing.T) {
		night(t, func(w *world, now time.Time) {
			w.slow = 2 * time.Second
			w.fires("CheckoutErrors", "checkout", "critical", now)
			w.resolves("CheckoutErrors", "checkout", now)
			w.after(time.Minute)
			w.was("")
		})
	})
}

func TestADiagnosisThatFindsNothingRingsAllTheSame(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("StrangeThing", "mystery", "critical", now)
		w.was("ann@1-1")
		if said := w.picksUp("1-1"); !strings.Contains(said, "fires on mystery since 03:00") || strings.Contains(said, "Nothing is called") {
			t.Errorf("heard %q", said)
		}
	})
	night(t, func(w *world, now time.Time) {
		w.slow = time.Minute // it never comes
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.after(25 * time.Second)
		w.was("ann@1-1")
		if said := w.picksUp("1-1"); !strings.Contains(said, "fires on checkout") {
			t.Errorf("heard %q", said)
		}
		w.after(time.Minute) // and comes too late
		w.was("ann@1-1")
	})
}
