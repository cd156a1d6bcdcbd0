package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

func TestAlertNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newAlertNames(slog.New(slog.DiscardHandler))
		if names, count := n.known(t.Context()); names != nil || count != 0 {
			t.Error("nobody to ask, and yet: ", names)
		}
		fires, broken := []string{"B"}, false
		n.firing = func(ctx context.Context, cluster string) ([]observability.Alert, error) {
			if broken {
				<-ctx.Done() // the slowest there is
				return nil, ctx.Err()
			}
			var out []observability.Alert
			for _, name := range fires {
				out = append(out, observability.Alert{Name: name})
			}
			return out, nil
		}
		rules := []string{"A", "B"}
		n.rules = func(context.Context) ([]string, error) {
			if broken {
				return nil, errors.New("garbage")
			}
			return rules, nil
		}
		is := func(when string, want ...string) uint64 {
			t.Helper()
			names, count := n.known(t.Context())
			if !slices.Equal(names, want) {
				t.Errorf("%s: %v, want %v", when, names, want)
			}
			return count
		}
		began := time.Now()
		is("before it was looked")
		if took := time.Since(began); took != alertsWait {
			t.Errorf("a turn waited for %v", took)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go n.watch(ctx)
		first := is("at first", "A", "B")
		time.Sleep(alertsEvery + time.Second)
		if again := is("again", "A", "B"); again != first {
			t.Error("nothing came or went, and yet all would be indexed anew")
		}
		fires = []string{"C", "C"}
		time.Sleep(alertsEvery)
		if later := is("when another fires", "A", "B", "C"); later == first {
			t.Error("nobody is told that a name came")
		}
		broken = true
		time.Sleep(2 * rulesEvery)
		is("while nobody answers", "A", "B", "C")
		began = time.Now()
		is("and without a wait", "A", "B", "C")
		if time.Since(began) > 0 {
			t.Error("a turn waited")
		}
		broken, rules = false, []string{"D"}
		time.Sleep(2 * rulesEvery)
		is("with other rules", "C", "D")
	})
}
