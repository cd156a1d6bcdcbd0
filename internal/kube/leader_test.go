package kube_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// replica is one that wants to lead.
type replica struct {
	name  string
	stop  context.CancelFunc
	ended chan error
}

// leaders counts who leads at the same time.
type leaders struct {
	now, most atomic.Int32
	mu        sync.Mutex
	who       string
}

func (l *leaders) is() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.who
}

// wants starts a replica; finishing is how long it takes to stop leading.
func (l *leaders) wants(t *testing.T, lease, name string, finishing time.Duration) *replica {
	t.Helper()
	e := get[*kube.Elector](t)(kube.NewElector(cluster(t), lease, name, nil, discard))
	ctx, stop := context.WithCancel(t.Context())
	r := &replica{name: name, stop: stop, ended: make(chan error, 1)}
	go func() {
		r.ended <- e.Lead(ctx, func(ctx context.Context) error {
			l.most.Store(max(l.most.Load(), l.now.Add(1)))
			l.mu.Lock()
			l.who = name
			l.mu.Unlock()
			<-ctx.Done()
			time.Sleep(finishing)
			l.now.Add(-1)
			return nil
		})
	}()
	t.Cleanup(stop)
	return r
}

// TestOneLeads starts three replicas and stops whoever leads: one leads at a
// time, another follows at once, and what the first has to finish is finished
// before the next begins.
func TestOneLeads(t *testing.T) {
	sandboxtest.Need(t, sandbox)
	t.Parallel()
	lease := space(t) + "/firstmate"
	var l leaders
	all := map[string]*replica{}
	for _, name := range []string{"a", "b", "c"} {
		all[name] = l.wants(t, lease, name, 1500*time.Millisecond)
	}
	for range 3 {
		eventually(t, "somebody leads", func() bool { return l.now.Load() == 1 && all[l.is()] != nil })
		name := l.is()
		begun := time.Now()
		all[name].stop()
		ok(t, <-all[name].ended)
		delete(all, name)
		if len(all) > 0 {
			eventually(t, "another leads", func() bool { return l.is() != name && l.now.Load() == 1 })
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("it took %v until another led", took)
			}
		}
	}
	if n := l.most.Load(); n != 1 {
		t.Errorf("%d led at the same time", n)
	}
	ns, _, _ := strings.Cut(lease, "/")
	held := get[*coordinationv1.Lease](t)(admin(t).CoordinationV1().Leases(ns).Get(t.Context(), "firstmate", metav1.GetOptions{}))
	if h := held.Spec.HolderIdentity; h != nil && *h != "" {
		t.Errorf("the Lease still says %s", *h)
	}
}

// TestLeadsOnlyWithItsLease takes the Lease away from who leads, as a replica
// does that thought the first was dead.
func TestLeadsOnlyWithItsLease(t *testing.T) {
	sandboxtest.Need(t, sandbox)
	t.Parallel()
	ns := space(t)
	var l leaders
	r := l.wants(t, ns+"/firstmate", "a", 0)
	eventually(t, "it leads", func() bool { return l.now.Load() == 1 })
	leases := admin(t).CoordinationV1().Leases(ns)
	eventually(t, "the Lease is taken away", func() bool {
		held := get[*coordinationv1.Lease](t)(leases.Get(t.Context(), "firstmate", metav1.GetOptions{}))
		held.Spec.HolderIdentity, held.Spec.LeaseDurationSeconds = ptr("thief"), ptr[int32](600)
		held.Spec.RenewTime = &metav1.MicroTime{Time: time.Now()}
		_, err := leases.Update(t.Context(), held, metav1.UpdateOptions{})
		return err == nil
	})
	eventually(t, "it leads no more", func() bool { return l.now.Load() == 0 })
	r.stop()
	ok(t, <-r.ended)
}

// TestNoRightToTheLease says so instead of waiting for ever.
func TestNoRightToTheLease(t *testing.T) {
	sandboxtest.Need(t, sandbox)
	t.Parallel()
	conf := get[*clientcmdapi.Config](t)(clientcmd.LoadFromFile(sandbox.Kubeconfig))
	for _, u := range conf.AuthInfos {
		u.Impersonate = "nobody"
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	ok(t, clientcmd.WriteToFile(*conf, file))
	nobody := get[*kube.Cluster](t)(kube.Connect(file, "", ""))
	e := get[*kube.Elector](t)(kube.NewElector(nobody, "default/firstmate", "a", nil, discard))
	if err := e.Check(t.Context()); fault.KindOf(err) != fault.Forbidden || !strings.Contains(fault.Say(err), "get and update") {
		t.Errorf("it says %v", err)
	}
	e = get[*kube.Elector](t)(kube.NewElector(cluster(t), "default/none", "a", nil, discard))
	ok(t, e.Check(t.Context()))
}
