package kube

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Writers change the clusters of a fleet, each through a Writer of its own: a
// change goes to the cluster that it names and to no other. Only the ledger may
// hold them.
type Writers struct {
	fleet *Fleet
	mu    sync.Mutex
	of    map[string]*Writer
}

// NewWriters returns the Writers of a fleet. They talk to nobody yet.
func NewWriters(f *Fleet) *Writers { return &Writers{fleet: f, of: map[string]*Writer{}} }

// at returns the Writer of a cluster. Which one is never guessed: what names no
// cluster is refused where there are several.
func (w *Writers) at(cluster string) (*Writer, error) {
	if cluster == "" && len(w.fleet.members) > 1 {
		return nil, fmt.Errorf("kube: a change that names no cluster")
	}
	m, err := w.fleet.member(cluster)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if of := w.of[m.Name]; of != nil {
		return of, nil
	}
	c, err := m.cluster()
	if err != nil {
		return nil, err
	}
	w.of[m.Name] = NewWriter(c)
	return w.of[m.Name], nil
}

// Plan completes a change in its cluster; see Writer.Plan. It does not wait long
// for a cluster that does not answer.
func (w *Writers) Plan(ctx context.Context, c Change) (Change, Diff, error) {
	of, err := w.at(c.Ref.Cluster)
	if err != nil {
		return c, Diff{}, err
	}
	if _, err := w.fleet.reader(ctx, c.Ref.Cluster); err != nil {
		return c, Diff{}, err
	}
	planned, d, err := of.Plan(ctx, c)
	return planned, d, w.named(c, err)
}

// Apply makes a change in its cluster, once for an id; see Writer.Apply.
func (w *Writers) Apply(ctx context.Context, c Change, id string) (Applied, error) {
	of, err := w.at(c.Ref.Cluster)
	if err != nil {
		return Applied{}, err
	}
	a, err := of.Apply(ctx, c, id)
	return a, w.named(c, err)
}

// Step goes on with a change in its cluster; see Writer.Step.
func (w *Writers) Step(ctx context.Context, c Change, id string) (Progress, error) {
	of, err := w.at(c.Ref.Cluster)
	if err != nil {
		return Progress{}, err
	}
	p, err := of.Step(ctx, c, id)
	return p, w.named(c, err)
}

// named lets an error say in which cluster it came up, where there are several.
func (w *Writers) named(c Change, err error) error {
	if err == nil || len(w.fleet.members) == 1 || fault.KindOf(err) == fault.Internal {
		return err
	}
	if say := fault.Say(err); !strings.Contains(say, c.Ref.Cluster) {
		return fault.Wrap(err, fault.KindOf(err), "In the cluster %s: %s", c.Ref.Cluster, say)
	}
	return err
}
