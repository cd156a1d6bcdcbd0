package kube

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// How soon another replica leads after one died: at most the life of the Lease
// and one try. Who cannot renew stops well before that.
const (
	leadLife  = 5 * time.Second
	leadRenew = 3 * time.Second
	leadTry   = time.Second
)

// Elector lets one of several replicas lead: the one that holds a Lease.
type Elector struct {
	lock *resourcelock.LeaseLock
	log  *slog.Logger
	on   func(holder string, me bool)

	mu     sync.Mutex
	holder string
}

// NewElector returns an elector for a Lease, NAMESPACE/NAME or a NAME in the
// namespace of the connection. me is what this replica is called in it; on is
// told whenever somebody else leads, and may be nil.
func NewElector(c *Cluster, lease, me string, on func(holder string, me bool), log *slog.Logger) (*Elector, error) {
	namespace, name, ok := strings.Cut(lease, "/")
	if !ok {
		namespace, name = c.Namespace, lease
	}
	rc := rest.CopyConfig(c.config)
	rc.Timeout = leadRenew // an answer that comes later is of no use
	rc.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return oneLease{next, "/apis/coordination.k8s.io/v1/namespaces/" + namespace + "/leases", name}
	})
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	if on == nil {
		on = func(string, bool) {}
	}
	return &Elector{log: log, on: on, lock: &resourcelock.LeaseLock{
		LeaseMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Client: client.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: me},
	}}, nil
}

// oneLease lets through what it takes to hold one Lease.
type oneLease struct {
	next       http.RoundTripper
	path, name string
}

// RoundTrip refuses or passes on.
func (t oneLease) RoundTrip(r *http.Request) (*http.Response, error) {
	at := r.Method + " " + r.URL.Path
	if at != "POST "+t.path && at != "GET "+t.path+"/"+t.name && at != "PUT "+t.path+"/"+t.name {
		return refused(r, "I only hold a Lease here: %s is not allowed.", at)
	}
	return t.next.RoundTrip(r)
}

// Lead calls lead whenever this replica holds the Lease, until ctx ends. The
// context of lead ends when the Lease is lost, or with ctx; only when lead has
// returned is the Lease given back, at once, for another to take.
func (e *Elector) Lead(ctx context.Context, lead func(context.Context) error) error {
	for ctx.Err() == nil {
		if err := e.term(ctx, lead); err != nil {
			return err
		}
	}
	return nil
}

// term waits for the Lease, and leads until it is lost.
func (e *Elector) term(ctx context.Context, lead func(context.Context) error) error {
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	t := tenure{ended: make(chan error, 1)}
	el, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: e.lock, LeaseDuration: leadLife, RenewDeadline: leadRenew, RetryPeriod: leadTry, ReleaseOnCancel: true, Name: e.lock.LeaseMeta.Name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(holding context.Context) {
				if !t.begin() {
					return
				}
				defer release()
				leading, cancel := context.WithCancel(ctx)
				defer cancel()
				defer context.AfterFunc(holding, cancel)()
				e.log.InfoContext(ctx, "leading", "lease", e.lock.Describe(), "as", e.lock.Identity())
				t.ended <- lead(leading)
			},
			OnStoppedLeading: func() {},
			OnNewLeader:      e.led,
		},
	})
	if err != nil {
		return fmt.Errorf("kube: %w", err)
	}
	defer context.AfterFunc(ctx, func() {
		if t.over() {
			release() // there is nothing to finish
		}
	})()
	el.Run(holding)
	if t.over() {
		return nil
	}
	err = <-t.ended
	e.log.InfoContext(ctx, "no longer leading", "lease", e.lock.Describe())
	e.led("")
	return err
}

// tenure is whether this replica led: client-go begins that in a goroutine of its
// own, which may come after all is over.
type tenure struct {
	mu          sync.Mutex
	begun, done bool
	ended       chan error // receives what lead returned, once
}

// begin reports whether it is not too late to lead.
func (t *tenure) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = !t.done
	return t.begun
}

// over lets nobody begin any more; false where somebody has.
func (t *tenure) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = true
	return !t.begun
}

func (e *Elector) led(holder string) {
	e.mu.Lock()
	e.holder = holder
	e.mu.Unlock()
	e.on(holder, holder == e.lock.Identity())
}

// Leader is who leads, as last seen; "" where nobody does.
func (e *Elector) Leader() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.holder
}

// Check says whether the Lease can be had at all: without the right to it no
// replica would ever do anything, silently.
func (e *Elector) Check(ctx context.Context) error {
	_, _, err := e.lock.Get(ctx)
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fault.Wrap(err, fault.Forbidden, "I cannot read the Lease %s by which replicas agree on who carries changes out: %s. The account needs get and update on it, and create on leases; the Helm chart gives that.", e.lock.Describe(), clip(err.Error()))
}
