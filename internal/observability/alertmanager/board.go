package alertmanager

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

const (
	// boardLife is how long an alert counts that nobody repeats: Alertmanager does
	// every four hours, unless repeat_interval says otherwise.
	boardLife = 24 * time.Hour
	boardSize = 5000
)

// Board is what fires as far as Alertmanager's webhook told, for where nobody can
// ask Alertmanager itself. It knows of no silences: what is silenced is not told.
type Board struct {
	now func() time.Time

	mu    sync.Mutex
	fires map[string]told // by fingerprint
}

type told struct {
	alert observability.Alert
	at    time.Time
}

// NewBoard returns an empty board.
func NewBoard(now func() time.Time) *Board { return &Board{now: now, fires: map[string]told{}} }

// Hear notes what fires and what is over.
func (b *Board) Hear(_ context.Context, changes []observability.AlertChange) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	for _, c := range changes {
		was, known := b.fires[c.Alert.Fingerprint]
		switch {
		case known && was.alert.Since.After(c.Alert.Since): // word of an earlier time comes late
		case c.Resolved:
			delete(b.fires, c.Alert.Fingerprint)
		case known || len(b.fires) < boardSize:
			b.fires[c.Alert.Fingerprint] = told{c.Alert, now}
		}
	}
	for f, t := range b.fires {
		if now.Sub(t.at) > boardLife {
			delete(b.fires, f)
		}
	}
	return nil
}

// Alerts lists what fires, the gravest first, then the newest; of a filter the
// matchers that are equalities count.
func (b *Board) Alerts(_ context.Context, f Filter) ([]observability.Alert, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []observability.Alert{}
	for _, t := range b.fires {
		if b.now().Sub(t.at) <= boardLife && !slices.ContainsFunc(f.Matchers, func(m observability.Matcher) bool { return !m.Regex && (t.alert.Labels[m.Name] == m.Value) == m.Not }) {
			out = append(out, t.alert)
		}
	}
	Sort(out)
	return out, nil
}

// Firing lists what fires in a cluster. An alert that names none may be of any.
func (b *Board) Firing(ctx context.Context, cluster string) ([]observability.Alert, error) {
	all, err := b.Alerts(ctx, Filter{})
	return inCluster(all, cluster), err
}
