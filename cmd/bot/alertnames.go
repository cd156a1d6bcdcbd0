package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

const (
	// alertsEvery is how often it is looked what fires, rulesEvery how often
	// what could.
	alertsEvery = 15 * time.Second
	rulesEvery  = 5 * time.Minute
	// alertsWait is how long a turn waits for the first look: one that is never
	// answered costs it no more.
	alertsWait = 300 * time.Millisecond
	alertsLook = 5 * time.Second
)

// alertNames are the names of alerts, so that they are understood when they are
// said: "silence high error rate". They are looked up beside the turns.
type alertNames struct {
	firing func(ctx context.Context, cluster string) ([]observability.Alert, error) // nil: nobody to ask
	rules  func(ctx context.Context) ([]string, error)                              // nil: nobody to ask
	log    *slog.Logger

	first  chan struct{} // closed after the first look
	mu     sync.Mutex
	alerts []observability.Alert
	named  []string // of rules
	all    []string
	count  uint64 // counts up when a name came or went
}

func newAlertNames(log *slog.Logger) *alertNames {
	return &alertNames{log: log, first: make(chan struct{})}
}

// known are the names, and a number that changes with them.
func (n *alertNames) known(ctx context.Context) ([]string, uint64) {
	if n.firing == nil && n.rules == nil {
		return nil, 0
	}
	select {
	case <-n.first:
	case <-ctx.Done():
	case <-time.After(alertsWait):
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all, n.count
}

// fires are the alerts that fire, as of the last look.
func (n *alertNames) fires() []observability.Alert {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.alerts
}

// watch looks again and again until ctx ends.
func (n *alertNames) watch(ctx context.Context) {
	if n.firing == nil && n.rules == nil {
		return
	}
	var ruled time.Time
	for look := 0; ; look++ {
		if n.rules != nil && time.Since(ruled) >= rulesEvery {
			ruled = time.Now()
			n.lookAtRules(ctx)
		}
		n.lookAtAlerts(ctx)
		if look == 0 {
			close(n.first)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(alertsEvery):
		}
	}
}

func (n *alertNames) lookAtRules(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, alertsLook)
	defer cancel()
	names, err := n.rules(ctx)
	if err != nil {
		n.log.DebugContext(ctx, "the names of alerting rules are not known", "err", err)
		return // those of before count
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.named = names
	n.join()
}

func (n *alertNames) lookAtAlerts(ctx context.Context) {
	if n.firing == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, alertsLook)
	defer cancel()
	all, err := n.firing(ctx, "")
	if err != nil {
		n.log.DebugContext(ctx, "what fires is not known", "err", err)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.alerts = all
	n.join()
}

// join puts the names together; the lock is held.
func (n *alertNames) join() {
	all := slices.Clone(n.named)
	for _, a := range n.alerts {
		if a.Name != "" {
			all = append(all, a.Name)
		}
	}
	slices.Sort(all)
	if all = slices.Compact(all); !slices.Equal(all, n.all) {
		n.all = all
		n.count++
	}
}
