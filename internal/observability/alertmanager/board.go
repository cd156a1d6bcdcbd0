package alertmanager

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// boardLife is how long an alert counts that nobody repeats: Alertmanager does
// every four hours, unless repeat_interval says otherwise.
const boardLife = 24 * time.Hour

// Keeper keeps the last word on each alert; *store.Store is one. Word of an
// earlier time than what is kept changes nothing.
type Keeper interface {
	PutAlert(ctx context.Context, id string, since time.Time, over bool, data []byte, at time.Time) error
	LastAlert(ctx context.Context, id string) (since time.Time, over, ok bool, err error)
	Alerts(ctx context.Context, heard time.Time, f func(data []byte) error) error
}

// Board keeps what fires by what Alertmanager's webhook told, for where
// Alertmanager itself cannot be asked, and over a restart. It may be used by
// several at a time, and by several processes.
type Board struct {
	kept Keeper
	now  func() time.Time
}

// NewBoard returns the board of what is kept.
func NewBoard(kept Keeper, now func() time.Time) *Board { return &Board{kept, now} }

// Hear takes what changed.
func (b *Board) Hear(ctx context.Context, changes []observability.AlertChange) error {
	now := b.now()
	for _, c := range changes {
		data, err := json.Marshal(c.Alert)
		if err != nil {
			return fmt.Errorf("alertmanager: %w", err)
		}
		if err := b.kept.PutAlert(ctx, c.Alert.Fingerprint, c.Alert.Since, c.Resolved, data, now); err != nil {
			return err
		}
	}
	return nil
}

// Knows reports whether the board was told of a change before, also by another
// process.
func (b *Board) Knows(ctx context.Context, c observability.AlertChange) (bool, error) {
	since, over, ok, err := b.kept.LastAlert(ctx, c.Alert.Fingerprint)
	return ok && over == c.Resolved && since.Equal(c.Alert.Since), err
}

// Alerts lists what fires as of what was told. Nobody told what is silenced or
// inhibited: those alerts are told of before and after, not meanwhile.
func (b *Board) Alerts(ctx context.Context, f Filter) ([]observability.Alert, error) {
	out := []observability.Alert{}
	err := b.kept.Alerts(ctx, b.now().Add(-boardLife), func(data []byte) error {
		var a observability.Alert
		if err := json.Unmarshal(data, &a); err != nil {
			return fmt.Errorf("alertmanager: %w", err)
		}
		if !slices.ContainsFunc(f.Matchers, func(m observability.Matcher) bool { return !m.Regex && (a.Labels[m.Name] == m.Value) == m.Not }) {
			out = append(out, a)
		}
		return nil
	})
	Sort(out)
	return out, err
}

// Firing lists what fires in a cluster; "" is all.
func (b *Board) Firing(ctx context.Context, cluster string) ([]observability.Alert, error) {
	all, err := b.Alerts(ctx, Filter{})
	return inCluster(all, cluster), err
}
