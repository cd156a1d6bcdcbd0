package oncall_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/oncall"
)

// TestARestartNeitherRingsTwiceNorForgets stops the process at every moment of a
// night in which nobody answers, and begins another.
func TestARestartNeitherRingsTwiceNorForgets(t *testing.T) {
	for stopAt := time.Duration(0); stopAt < 4*time.Minute; stopAt += 11 * time.Second {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(3 * time.Hour)
			w := newWorld(t)
			w.cause["checkout"] = "checkout"
			w.slow = 2 * time.Second
			stop := w.run(w.desk)
			w.fires("CheckoutErrors", "checkout", "critical", time.Now())
			w.after(stopAt)
			stop()
			w.desk = w.newDesk()
			w.fires("CheckoutErrors", "checkout", "critical", time.Now().Add(-stopAt)) // Alertmanager tells it again
			stop = w.run(w.desk)
			w.after(10 * time.Minute)
			w.was("ann@1-1 ann@1-2 bob@1-3")
			w.state(oncall.Unreached)
			stop()
		})
	}
}

// TestReplicas: of several that hear the same at once, one acts.
func TestReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3 * time.Hour)
		w := newWorld(t)
		w.cause["checkout"] = "checkout"
		desks := []*oncall.Desk{w.desk, w.newDesk(), w.newDesk()}
		for _, d := range desks {
			defer w.run(d)() // even if all of them thought that they lead
		}
		now := time.Now()
		for i := range 30 {
			go func() {
				if err := desks[i%3].Hear(t.Context(), []observability.AlertChange{change("CheckoutErrors", "checkout", "critical", now)}); err != nil {
					t.Error(err)
				}
			}()
		}
		w.after(5 * time.Second)
		w.was("ann@1-1")
		w.desk = desks[2]
		w.ends("1-1", "busy")
		w.desk = desks[0]
		w.ends("1-1", "busy")
		w.after(20 * time.Second)
		w.was("ann@1-1 ann@1-2")
		if n := strings.Count(strings.Join(w.line, "\n"), "I call ann"); n != 2 {
			t.Errorf("told %d times:\n%s", n, strings.Join(w.line, "\n"))
		}
	})
}
