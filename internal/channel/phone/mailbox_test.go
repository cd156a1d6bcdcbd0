package phone_test

import (
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/phone/carriertest"
)

// ring has a number called and returns the call once it is over.
func (x *exchange) ring(t *testing.T, number string) *carriertest.Call {
	t.Helper()
	if _, err := x.line.Call(x.limit, number, "inc/1"); err != nil {
		t.Fatal(err)
	}
	k := x.carrier.Calls()[len(x.carrier.Calls())-1]
	if err := k.Over(x.limit); err != nil {
		t.Fatalf("%v\n%s", err, k.Heard())
	}
	return k
}

// A mailbox gets a message, does not count as somebody, and agrees to nothing,
// whatever its greeting says.
func TestAMailbox(t *testing.T) {
	for _, twice := range []bool{false, true} {
		exchanged(t, scripted(), carriertest.Config{Twice: twice}, func(t *testing.T, x *exchange) {
			x.carrier.Has(anns, carriertest.Mailbox("yes"))
			k := x.ring(t, anns)
			if got := k.Heard(); got != "Checkout fails. If you are there, press 1." {
				t.Errorf("the mailbox has %q", got)
			}
			if r := x.engine.Requests(); len(r) > 0 {
				t.Errorf("the greeting was taken for a turn: %+v", r)
			}
			if got := x.calls.all(); strings.Contains(got, "answered") || !strings.HasPrefix(got, "inc/1 machine") || strings.Contains(got, "completed") {
				t.Errorf("told: %s", got)
			}
		})
	}
}

// Somebody whom the carrier took for a mailbox presses a key, and is spoken with.
func TestSomebodyTakenForAMailbox(t *testing.T) {
	exchanged(t, scripted(), carriertest.Config{}, func(t *testing.T, x *exchange) {
		x.carrier.Has(anns, carriertest.Subscriber{Machine: true, Person: script(t, keys("press 1", "1"), says("roll it back", "no"), hangsUp("leave web"))})
		k := x.ring(t, anns)
		if !strings.Contains(k.Heard(), "I leave web as it is") {
			t.Error(k.Heard())
		}
		if got := x.calls.all(); !strings.HasPrefix(got, "inc/1 answered") || strings.Index(got, "machine") < strings.Index(got, "answered") {
			t.Errorf("told: %s", got)
		}
		if left := x.engine.Left(); len(left) != 1 {
			t.Errorf("what was open is not closed: %v", left)
		}
	})
}

// Where nobody tells mailboxes apart, what one says agrees to nothing all the same:
// it keys no PIN.
func TestAMailboxThatNobodyToldApart(t *testing.T) {
	exchangedWith(t, false, scripted(), carriertest.Config{}, func(t *testing.T, x *exchange) {
		x.carrier.Has(anns, carriertest.Mailbox("yes"))
		k := x.ring(t, anns)
		for _, r := range x.engine.Requests() {
			if r.Text == "2580" {
				t.Errorf("a mailbox keyed a PIN:\n%s", k.Heard())
			}
		}
		if left := x.engine.Left(); len(left) == 0 {
			t.Error("what was open is not closed")
		}
	})
}
