package phone_test

import (
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/phone/carriertest"
)

// Who is rung hears few words; “more” says the rest and asks again, and “acknowledge”
// is about the alert that the call is about.
func TestWhatACallIsAbout(t *testing.T) {
	for _, ack := range []string{"acknowledge", "Acknowledged.", "ack", "I acknowledge it", "acknowledge the alert, please"} {
		exchanged(t, scripted(), carriertest.Config{}, func(t *testing.T, x *exchange) {
			x.carrier.Has(anns, carriertest.Subscriber{Person: script(t, says("^Checkout fails. Shall I roll it back.$", "more"), says("began at three.*version one", ack), hangsUp("well"))})
			k := x.ring(t, anns)
			r := x.engine.Requests()
			if len(r) != 1 || r[0].Text != "acknowledge HighErrorRate" {
				t.Errorf("%q: asked %+v\n%s", ack, r, k.Heard())
			}
		})
	}
	exchanged(t, scripted(), carriertest.Config{}, func(t *testing.T, x *exchange) {
		k := x.carrier.Dial(x.in(anns), script(t, says("what can i do", "acknowledge"), hangsUp("well")))
		if err := k.Wait(x.limit); err != nil || x.engine.Requests()[0].Text != "acknowledge" {
			t.Errorf("a call that came in is about no alert: %+v %v", x.engine.Requests(), err)
		}
	})
}
