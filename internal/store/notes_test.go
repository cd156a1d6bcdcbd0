package store_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/store"
)

// ear is what one process hears.
type ear struct {
	mu     sync.Mutex
	heard  []string
	missed int
}

func listen(t *testing.T, s *store.Store) *ear {
	t.Helper()
	e := &ear{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Listen(ctx, func(n []byte) { e.mu.Lock(); e.heard = append(e.heard, string(n)); e.mu.Unlock() },
			func() { e.mu.Lock(); e.missed++; e.mu.Unlock() }, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() { cancel(); <-done })
	return e
}

func (e *ear) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		e.mu.Lock()
		ok := holds()
		e.mu.Unlock()
		switch {
		case ok:
			return
		case time.Now().After(end):
			t.Fatalf("not: %s; heard %.100q, missed %d", what, e.heard, e.missed)
		}
	}
}

func TestNotes(t *testing.T) {
	bothEngines(t, func(t *testing.T, open opener) {
		a, b := open(t), open(t)
		ea, eb := listen(t, a), listen(t, b)
		if !a.Shared() {
			check(t, a.Tell(t.Context(), []byte("hello")))
			time.Sleep(100 * time.Millisecond)
			if len(ea.heard)+len(eb.heard)+ea.missed != 0 {
				t.Error("a file that is one process's own has listeners")
			}
			return
		}
		ea.until(t, "a listens", func() bool { return ea.missed == 1 })
		eb.until(t, "b listens", func() bool { return eb.missed == 1 })
		check(t, a.Tell(t.Context(), []byte("with 'quotes' and spaces")))
		check(t, a.Tell(t.Context(), []byte(strings.Repeat("long", 5000)))) // nobody hears it
		check(t, a.Tell(t.Context(), []byte(strings.Repeat("x", 7900))))
		eb.until(t, "b hears it", func() bool {
			return len(eb.heard) == 2 && eb.heard[0] == "with 'quotes' and spaces" && len(eb.heard[1]) == 7900
		})
		check(t, a.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"))
		eb.until(t, "b listens again", func() bool { return eb.missed == 2 })
		check(t, a.Tell(t.Context(), []byte("again")))
		eb.until(t, "b hears again", func() bool { return len(eb.heard) == 3 && eb.heard[2] == "again" })
		ea.until(t, "a hears itself not", func() bool { return len(ea.heard) == 0 })
	})
}
