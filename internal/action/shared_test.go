package action_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/action"
)

// TestAnotherReplicaCarriesOut has two ledgers on one journal, of which one
// carries out: what is agreed at the other is begun without waiting for a lease
// to end, and when they change places it is the same the other way round.
func TestAnotherReplicaCarriesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		a, b := h.ledger(), h.ledger()
		lost := false // what is told
		a.Share(func() {
			if !lost {
				b.Look()
			}
		})
		b.Share(a.Look)
		r, stop := h.run(b)

		begun := time.Now()
		h.yes(a, h.propose(a, "k1", 5).ID)
		synctest.Wait()
		if len(h.cluster.applied) != 1 || time.Since(begun) > 0 {
			t.Fatalf("after %v %d are applied", time.Since(begun), len(h.cluster.applied))
		}
		time.Sleep(5 * time.Second)
		lost = true
		begun = time.Now()
		h.yes(a, h.propose(a, "k2", 6).ID)
		for len(h.cluster.applied) < 2 {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(begun); took > time.Second+10*time.Millisecond { // it was looked at every 10 ms
			t.Errorf("where nobody is told, it takes %v", took)
		}
		h.yes(b, h.propose(b, "k3", 7).ID) // at the one that carries out
		synctest.Wait()
		if len(h.cluster.applied) != 3 {
			t.Errorf("%d are applied", len(h.cluster.applied))
		}
		time.Sleep(5 * time.Second)
		stop()
		if n := len(r.told()); n != 3 {
			t.Errorf("%d told", n)
		}

		h.yes(b, h.propose(b, "k4", 8).ID) // nobody carries out now
		time.Sleep(time.Minute)
		if len(h.cluster.applied) != 3 {
			t.Error("it was applied by nobody")
		}
		r, stop = h.run(a)
		time.Sleep(5 * time.Second)
		h.yes(b, h.propose(b, "k5", 9).ID)
		synctest.Wait()
		time.Sleep(5 * time.Second)
		stop()
		if told := r.told(); len(h.cluster.applied) != 5 || len(told) != 2 || told[1].State != action.Done {
			t.Errorf("%d are applied, told %+v", len(h.cluster.applied), told)
		}
	})
}
