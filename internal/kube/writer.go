package kube

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"k8s.io/client-go/kubernetes"
)

const (
	fieldManager = "firstmate"
	// lastAction marks an object with the last action that was applied to it:
	// after a crash it tells an applied change from one that was not.
	lastAction = "firstmate-ops.github.io/last-action"
	// changeCause is what `kubectl rollout history` shows.
	changeCause = "kubernetes.io/change-cause"
	restartedAt = "kubectl.kubernetes.io/restartedAt"
	// applyTries is how often a patch is tried when the object's status
	// changes under it; each try looks at the object anew.
	applyTries = 8
)

// Writer changes a cluster. Only the ledger may hold one.
type Writer struct {
	cluster *Cluster
	mu      sync.Mutex
	clients map[string]kubernetes.Interface // by who is impersonated
}

// NewWriter returns a Writer. It talks to nobody yet.
func NewWriter(c *Cluster) *Writer {
	return &Writer{cluster: c, clients: map[string]kubernetes.Interface{}}
}

// as returns the API server as somebody sees it.
func (w *Writer) as(as As) (api, error) {
	key := strings.Join(append([]string{as.User}, as.Groups...), "\x00")
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.clients[key]; ok {
		return api{w.cluster, c}, nil
	}
	c, err := kubernetes.NewForConfig(w.cluster.writing(as))
	if err != nil {
		return api{}, fmt.Errorf("kube: %w", err)
	}
	w.clients[key] = c
	return api{w.cluster, c}, nil
}

// Plan completes a change against the object as it is now and asks the API
// server what it would do (a server-side dry-run, so that admission, quota and
// RBAC have their say). The returned Change carries what is there now as From.
func (w *Writer) Plan(ctx context.Context, c Change) (Change, Diff, error) {
	a, v, err := w.begin(c)
	if err != nil {
		return c, Diff{}, err
	}
	var d Diff
	planned, unified, err := c, "", error(nil)
	switch v := v.(type) {
	case patcher:
		planned, unified, err = planPatch(ctx, a, v, c)
	case caller:
		planned, unified, err = v.plan(ctx, a, c)
	default:
		err = fmt.Errorf("kube: verb %q has no way to be done", c.Verb)
	}
	if err != nil {
		return c, Diff{}, w.cluster.sentence(err, c.doing())
	}
	d = Diff{Generation: planned.Generation, UID: planned.UID, Unified: unified}
	return planned, d, nil
}

// Applied is what the API server answered to a change.
type Applied struct {
	Generation int64  // of the object with the change in it
	UID        string // of an object that the change made
	Already    bool   // it had been applied before, by an attempt that did not live to say so
}

// Apply makes the change, once for an id: a second call finds the mark of the
// first on the object. It fails with fault.Conflict where what the change
// starts from is not there any more.
func (w *Writer) Apply(ctx context.Context, c Change, id string) (Applied, error) {
	a, v, err := w.begin(c)
	if err != nil {
		return Applied{}, err
	}
	var out Applied
	switch v := v.(type) {
	case patcher:
		out, err = applyPatch(ctx, a, v, c, id)
	case caller:
		out, err = v.apply(ctx, a, c, id)
	default:
		err = fmt.Errorf("kube: verb %q has no way to be done", c.Verb)
	}
	if err != nil {
		return Applied{}, w.cluster.sentence(err, c.doing())
	}
	return out, nil
}

// Step goes on with a change that ends stepwise and was applied: it looks anew,
// does what can be done now, and says how far it is. It is called again until
// that is Complete.
func (w *Writer) Step(ctx context.Context, c Change, id string) (Progress, error) {
	a, v, err := w.begin(c)
	if err != nil {
		return Progress{}, err
	}
	s, ok := v.(stepper)
	if !ok {
		return Progress{}, fmt.Errorf("kube: verb %q has no steps", c.Verb)
	}
	p, err := s.step(ctx, a, c, id)
	if err != nil {
		return Progress{}, w.cluster.sentence(err, c.doing())
	}
	return p, nil
}

func (w *Writer) begin(c Change) (api, verb, error) {
	v, err := c.known()
	if err != nil {
		return api{}, nil, err
	}
	a, err := w.as(c.As)
	return a, v, err
}
