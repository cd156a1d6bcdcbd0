package kube_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// dam stands before the API server, counts what it is asked, and can hold back
// what watches are told.
type dam struct {
	asked atomic.Int32 // beside watches
	cut   func()       // breaks all connections

	mu   sync.Mutex
	open chan struct{} // closed while it lets through
}

func (d *dam) hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = make(chan struct{})
}

func (d *dam) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.open)
}

// held is the body of a watch: what has come waits until the dam is open.
type held struct {
	io.ReadCloser
	d   *dam
	ctx context.Context
}

func (h held) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.d.mu.Lock()
	open := h.d.open
	h.d.mu.Unlock()
	select {
	case <-open:
	case <-h.ctx.Done():
	}
	return n, err
}

// dammed is the cluster behind a dam, as its administrator sees it, or somebody
// else.
func dammed(t *testing.T, as ...string) (*kube.Cluster, *dam) {
	t.Helper()
	cluster(t) // or the test is skipped
	d := &dam{open: make(chan struct{})}
	close(d.open)
	rc := get[*rest.Config](t)(clientcmd.BuildConfigFromFlags("", sandbox.Kubeconfig))
	proxy := httputil.NewSingleHostReverseProxy(get[*url.URL](t)(url.Parse(rc.Host)))
	proxy.Transport, proxy.FlushInterval = get[http.RoundTripper](t)(rest.TransportFor(rc)), -1
	proxy.ModifyResponse = func(res *http.Response) error {
		if res.Request.URL.Query().Get("watch") != "" {
			res.Body = held{res.Body, d, res.Request.Context()}
		} else {
			d.asked.Add(1)
		}
		return nil
	}
	srv := httptest.NewServer(proxy)
	d.cut = srv.CloseClientConnections
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	file := filepath.Join(t.TempDir(), "kubeconfig")
	ok(t, os.WriteFile(file, []byte(`{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: "`+srv.URL+
		`"}}], contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {as: "`+strings.Join(as, "")+`"}}]}`), 0o600))
	return get[*kube.Cluster](t)(kube.Connect(file, "", "")), d
}

// Who hears that something is done reads how it is now, however far the watch
// lags behind.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	behind, dam := dammed(t)
	ns := space(t)
	web := create(t, ns, kube.Deployment, "acme/web:1")
	meta := metav1.ObjectMeta{Name: "slow-" + ns}
	_, err := admin(t).CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: meta, Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "slow", Effect: corev1.TaintEffectNoSchedule}}}}, metav1.CreateOptions{})
	ok(t, err)
	t.Cleanup(func() {
		ok(t, admin(t).CoreV1().Nodes().Delete(context.Background(), meta.Name, metav1.DeleteOptions{}))
	})
	r := reader(t, behind, kube.ReaderOptions{NoPods: true})
	w := kube.NewWriter(cluster(t))
	node := kube.Ref{Cluster: r.Cluster(), Kind: kube.Node, Name: meta.Name}
	cordoned := func() bool {
		n := get[kube.NodeState](t)(r.Node(t.Context(), node))
		return n.Unschedulable
	}
	// caughtUp begins to wait while the watch is held back.
	caughtUp := func(ref kube.Ref) chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.CatchUp(t.Context(), ref)
		}()
		select {
		case <-done:
			t.Errorf("%s: did not wait for the watch", ref)
		case <-time.After(200 * time.Millisecond):
		}
		return done
	}

	dam.hold()
	applied(t, w, planned(t, w, kube.Change{Ref: node, Verb: kube.VerbCordon}), "a1")
	done := caughtUp(node)
	if cordoned() {
		t.Fatal("the watch was not held back")
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r.CatchUp(short, node)
	dam.release()
	<-done
	if !cordoned() {
		t.Error("takes new pods still")
	}
	r.CatchUp(t.Context(), node) // nothing to wait for

	dam.hold()
	before := r.Names()
	applied(t, w, planned(t, w, kube.Change{Ref: web, Verb: kube.VerbDelete}), "a2")
	done = caughtUp(web)
	if _, err := r.Get(t.Context(), web); err != nil {
		t.Fatal("the watch was not held back")
	}
	dam.release()
	<-done
	if _, err := r.Get(t.Context(), web); fault.KindOf(err) != fault.NotFound {
		t.Errorf("still there: %v", err)
	}
	if r.Names() == before {
		t.Error("the names are not looked at anew")
	}

	for _, other := range []kube.Ref{{Kind: "Silence", Name: "x"}, {Kind: kube.Pod, Namespace: ns, Name: "none"}, {Kind: kube.Node, Name: "none"}} {
		r.CatchUp(t.Context(), other)
	}
}
