package oncall_test

import (
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/oncall"
)

func TestTwoAlertsOfOneCauseAreOneCall(t *testing.T) {
	for _, c := range []struct {
		name   string
		second func(w *world, now time.Time)
	}{
		{"of one target", func(w *world, now time.Time) { w.fires("CheckoutSlow", "checkout", "critical", now) }},
		{"told again", func(w *world, now time.Time) { w.fires("CheckoutErrors", "checkout", "critical", now) }},
		{"of one cause", func(w *world, now time.Time) {
			w.cause["web"] = "checkout"
			w.fires("WebErrors", "web", "critical", now)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			night(t, func(w *world, now time.Time) {
				w.fires("CheckoutErrors", "checkout", "critical", now)
				w.picksUp("1-1")
				c.second(w, now)
				w.after(10 * time.Second) // nobody is rung who is on the telephone
				w.ends("1-1", "completed")
				w.after(30 * time.Second)
				w.was("ann@1-1")
			})
		})
	}
	t.Run("of one group", func(t *testing.T) {
		night(t, func(w *world, now time.Time) {
			w.tell(change("CheckoutErrors", "checkout", "warning", now, "g"), change("NodeDown", "node", "critical", now, "g"))
			w.after(time.Second)
			w.was("ann@1-1")
			b := w.store.book(t)
			if a := b.Incidents[0].First(); a.Name != "NodeDown" || len(b.Open()) != 1 {
				t.Errorf("it is about %+v", a)
			}
		})
	})
	t.Run("two causes are two calls, one after the other", func(t *testing.T) {
		night(t, func(w *world, now time.Time) {
			w.cause["cart"] = "cart-db"
			w.fires("CheckoutErrors", "checkout", "critical", now)
			w.picksUp("1-1")
			w.fires("CartErrors", "cart", "critical", now)
			w.after(20 * time.Second)
			w.was("ann@1-1")
			if said := w.pushed["oncall-1-1"]; len(said) > 0 {
				t.Errorf("before anything is decided: %+v", said)
			}
			w.asks("1-1", "alert_ack")
			w.after(6 * time.Second)
			if said := w.pushed["oncall-1-1"]; len(said) != 1 || !strings.HasPrefix(said[0].Reply.Speech, "Meanwhile ") {
				t.Errorf("in the call: %+v", said)
			}
			w.ends("1-1", "completed")
			w.after(6 * time.Second)
			w.was("ann@1-1 ann@2-1")
		})
	})
}

func TestQuietHours(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutSlow", "checkout", "warning", now)
		w.after(time.Hour)
		w.was("")
		w.state(oncall.Quiet)
		w.after(4*time.Hour - time.Second)
		w.was("")
		w.after(2 * time.Second)
		w.was("ann@1-1") // at eight
	})
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutSlow", "checkout", "warning", now)
		w.resolves("CheckoutSlow", "checkout", now)
		w.after(6 * time.Hour)
		w.was("")
	})
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutSlow", "checkout", "warning", now)
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.was("ann@1-1")
	})
}
