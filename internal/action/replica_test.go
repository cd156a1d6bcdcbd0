package action_test

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/postgrestest"
	"github.com/firstmate-ops/firstmate/internal/store"
)

var postgres postgrestest.Server

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m, &postgres)) }

// TestAnotherReplicaResumesOnPostgres kills a runner at each write to a journal
// in PostgreSQL, in real time: another replica goes on once the lease has ended.
func TestAnotherReplicaResumesOnPostgres(t *testing.T) {
	for at, name := range []string{"before it is begun", "before it is known to be applied", "while it is watched"} {
		dsn := postgres.DSN(t)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := func() *store.Store {
				s, err := store.OpenPostgres(t.Context(), dsn)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s
			}
			h := &house{t: t, cluster: newCluster(), store: open()}
			h.cluster.rolls = false
			log := slog.New(slog.DiscardHandler)
			first := action.NewLedger(&dying{Journal: open(), writes: at + 1}, h.cluster, h.cluster, people(), action.DefaultPatience, log)
			second := h.ledger()
			deaf, r := &reporter{}, &reporter{}
			stop := h.runWith(first, deaf)
			e := h.propose(first, "k", 5)
			h.yes(first, e.ID)
			time.Sleep(2 * time.Second)
			stop()
			h.cluster.mu.Lock()
			h.cluster.rolls = true
			h.cluster.mu.Unlock()
			stop = h.runWith(second, r)
			for end := time.Now().Add(30 * time.Second); len(r.told()) == 0 && time.Now().Before(end); {
				time.Sleep(100 * time.Millisecond)
			}
			second.Settle(t.Context())
			stop()
			told := r.told()
			if len(h.cluster.applied) != 1 || len(told) != 1 || told[0].State != action.Done || len(deaf.told()) != 0 {
				t.Errorf("applied %v, told %+v", h.cluster.applied, told)
			}
			if _, kinds := h.trail(); kinds != "proposed approved applied outcome" {
				t.Errorf("the trail tells %s", kinds)
			}
		})
	}
}
