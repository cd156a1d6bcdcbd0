// Package controlplane runs a Kubernetes control plane inside this process:
// etcd, kube-apiserver, kube-controller-manager, kube-scheduler and
// metrics-server, all of them the real ones, on loopback and unix sockets.
package controlplane

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/firstmate-ops/firstmate/sandbox/internal/pki"
)

// Config says where the components keep their files and listen.
type Config struct {
	// EtcdDir holds etcd's data, CertDir whatever the components generate.
	EtcdDir, CertDir string
	// EtcdSocket and EtcdPeerSocket are paths of unix sockets.
	EtcdSocket, EtcdPeerSocket string
	// APIPort and MetricsPort are ports on 127.0.0.1.
	APIPort, MetricsPort int
	// StateMetricsPort and StateTelemetryPort are kube-state-metrics': what it
	// knows of the cluster, and of itself.
	StateMetricsPort, StateTelemetryPort int
	// Kubeconfig is the administrator's kubeconfig file.
	Kubeconfig string
	PKI        pki.Files
}

// ServerURL is the address of the API server.
func (c Config) ServerURL() string { return fmt.Sprintf("https://127.0.0.1:%d", c.APIPort) }

// Stopped is the error of a component that ended by itself.
type Stopped struct {
	Component string
	Err       error
}

func (s *Stopped) Error() string {
	if s.Err == nil {
		return s.Component + " stopped"
	}
	return s.Component + " failed: " + s.Err.Error()
}

func (s *Stopped) Unwrap() error { return s.Err }

// Group runs components and stops them in the right order: the last started
// first, because etcd must outlive the API server, and that its clients.
type Group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	mu     sync.Mutex
	parts  []part
}

type part struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
}

// NewGroup returns an empty group. Its Context ends with the first component
// that does, or with ctx.
func NewGroup(ctx context.Context) *Group {
	g := &Group{}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	return g
}

// Context ends when a component has stopped or the group should; its Cause tells.
func (g *Group) Context() context.Context { return g.ctx }

// Go runs a component, which must return when its context ends.
func (g *Group) Go(name string, run func(context.Context) error) {
	// Not derived from g.ctx: Stop decides when each component ends.
	ctx, cancel := context.WithCancel(context.WithoutCancel(g.ctx))
	p := part{name, cancel, make(chan struct{})}
	g.mu.Lock()
	g.parts = append(g.parts, p)
	g.mu.Unlock()
	go func() {
		defer close(p.done)
		err := guard(ctx, run)
		if ctx.Err() == nil {
			g.cancel(&Stopped{name, err})
		}
	}()
}

// guard turns a panic into an error; the stack goes to the log.
func guard(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			klog.ErrorS(nil, "A component panicked", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return run(ctx)
}

// Stop ends all components, giving up after the time. What still runs then ends
// with the process. The order matters: the API server waits for its clients'
// watches, and hangs without etcd.
func (g *Group) Stop(timeout time.Duration) error {
	g.cancel(context.Canceled)
	g.mu.Lock()
	defer g.mu.Unlock()
	var late []string
	wave := func(parts []part, patience time.Duration) {
		for _, p := range parts {
			p.cancel()
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, p := range parts {
			select {
			case <-p.done:
			case <-ctx.Done():
				late = append(late, p.name)
			}
		}
	}
	for len(g.parts) > 0 {
		n := min(len(g.parts)-1, firstClient)
		wave(g.parts[n:], timeout/3)
		g.parts = g.parts[:n]
	}
	if len(late) > 0 {
		return fmt.Errorf("did not stop in time: %s", strings.Join(late, ", "))
	}
	return nil
}

// firstClient is the place of the first component that is a client of the API
// server: etcd is started first, the API server second.
const firstClient = 2
