package kube_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// These tests go every exported way of this package with credentials that may do
// everything, on a real API server, and look at what leaves the process: whatever
// the RBAC is, no Secret is read, and nothing is written without a Writer.

// ways are the functions that make something that holds a connection. What they
// return is gone through method by method, whatever it has.
func ways() []string {
	// The last three only write into a context, or read from it, whose eyes a View has.
	return []string{"Connect", "ConnectInside", "NewElector", "NewFleet", "NewReader", "NewRights", "NewView", "NewWriter", "NewWriters", "Through", "ThroughOwn", "Whose"}
}

// TestEveryWayIsTried finds the exported functions and methods through which a
// cluster can be reached: the tests below must know each.
func TestEveryWayIsTried(t *testing.T) {
	files := parsed(t)
	held := holders(files)
	var makers []string
	tried := map[string]bool{}
	for _, v := range []any{&kube.Cluster{}, &kube.Reader{}, &kube.Fleet{}, &kube.Writer{}, &kube.Writers{}, &kube.Elector{}, &kube.Rights{}, &kube.View{}} {
		tried[reflect.TypeOf(v).Elem().Name()] = true
	}
	for _, f := range files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() {
				continue
			}
			if fn.Recv != nil {
				of := strings.TrimPrefix(text(fn.Recv.List[0].Type), "*")
				if (held[of] || mentions(fn.Type, map[string]bool{"context.Context": true})) && ast.IsExported(of) && !tried[of] {
					t.Errorf("%s.%s can reach a cluster, and no test here goes through the methods of %s: add it to the tests of this file", of, fn.Name.Name, of)
				}
				continue
			}
			reach := map[string]bool{"context.Context": true}
			for name := range held {
				reach[name] = true
			}
			if mentions(fn.Type, reach) {
				makers = append(makers, fn.Name.Name)
			}
		}
	}
	slices.Sort(makers)
	if !slices.Equal(makers, ways()) {
		t.Errorf("these functions can reach a cluster:\n%q\nand these are tried:\n%q\nAdd what is new to the tests of this file", makers, ways())
	}
}

func parsed(t *testing.T) []*ast.File {
	t.Helper()
	names := get[[]string](t)(filepath.Glob("*.go"))
	var files []*ast.File
	for _, n := range names {
		if !strings.HasSuffix(n, "_test.go") {
			files = append(files, get[*ast.File](t)(parser.ParseFile(token.NewFileSet(), n, nil, parser.SkipObjectResolution)))
		}
	}
	if len(files) < 10 {
		t.Fatalf("only %d files", len(files))
	}
	return files
}

// holders are the types that hold a connection to a cluster, however deep.
func holders(files []*ast.File) map[string]bool {
	held := map[string]bool{"rest.Config": true, "kubernetes.Interface": true, "dynamic.Interface": true, "rest.Interface": true, "http.RoundTripper": true, "cache.SharedIndexInformer": true}
	for grown := true; grown; {
		grown = false
		for _, f := range files {
			for _, d := range f.Decls {
				g, ok := d.(*ast.GenDecl)
				if !ok || g.Tok != token.TYPE {
					continue
				}
				for _, s := range g.Specs {
					if s, ok := s.(*ast.TypeSpec); ok && !held[s.Name.Name] && mentions(s.Type, held) {
						held[s.Name.Name], grown = true, true
					}
				}
			}
		}
	}
	return held
}

// mentions reports whether a type has one of these names in it.
func mentions(typ ast.Node, names map[string]bool) bool {
	found := false
	ast.Inspect(typ, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field: // its name is no type
			found = found || mentions(n.Type, names)
			return false
		case ast.Expr:
			found = found || names[text(n)]
			_, selects := n.(*ast.SelectorExpr)
			return !selects
		}
		return true
	})
	return found
}

func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + text(e.X)
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	}
	return ""
}

// hush is in a Secret of the cluster, and must be in nothing that comes back.
const hush = "c0ffee-hush-hush"

// wire is a road to the API server on which everything is seen. Whoever goes it
// is the cluster's administrator.
type wire struct {
	kubeconfig string
	namespace  string

	mu   sync.Mutex
	seen []string // "GET /api/v1/pods"
}

func newWire(t *testing.T) *wire {
	t.Helper()
	sandboxtest.Need(t, sandbox)
	w := &wire{namespace: space(t)}
	_, err := admin(t).CoreV1().Secrets(w.namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "web"}, StringData: map[string]string{"password": hush}}, metav1.CreateOptions{})
	ok(t, err)
	rc := get[*rest.Config](t)(clientcmd.BuildConfigFromFlags("", sandbox.Kubeconfig))
	rt := get[http.RoundTripper](t)(rest.TransportFor(rc))
	proxy := httputil.NewSingleHostReverseProxy(get[*url.URL](t)(url.Parse(rc.Host)))
	proxy.Transport, proxy.FlushInterval, proxy.ErrorLog = rt, -1, log.New(io.Discard, "", 0) // callers hang up
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.seen = append(w.seen, r.Method+" "+r.URL.Path)
		w.mu.Unlock()
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections) // watches have no end of their own
	w.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	ok(t, os.WriteFile(w.kubeconfig, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: wire, contexts: [{name: wire, context: {cluster: wire, namespace: %s}}], clusters: [{name: wire, cluster: {server: "%s"}}]}`, w.namespace, srv.URL), 0o600))
	return w
}

// drain returns what was seen since it was last asked.
func (w *wire) drain() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// TestTheWireSees holds that the tests below can fail: with the same
// credentials, and without this package, the Secret is read.
func TestTheWireSees(t *testing.T) {
	w := newWire(t)
	c := get[*kubernetes.Clientset](t)(kubernetes.NewForConfig(get[*rest.Config](t)(clientcmd.BuildConfigFromFlags("", w.kubeconfig))))
	s := get[*corev1.Secret](t)(c.CoreV1().Secrets(w.namespace).Get(t.Context(), "web", metav1.GetOptions{}))
	if why := leaks([]any{s}); why == "" {
		t.Error("a Secret is not noticed in what comes back")
	}
	if seen := w.drain(); len(seen) != 1 || !strings.Contains(seen[0], "/secrets/") {
		t.Errorf("on the wire was %q", seen)
	}
}

// TestNoWayReadsASecretOrWrites calls every exported method of what only reads
// with names, kinds and namespaces that ask for Secrets, pods to go into, and
// other paths.
func TestNoWayReadsASecretOrWrites(t *testing.T) {
	w := newWire(t)
	create(t, w.namespace, kube.Deployment, "registry.example.com/shop/web:1.0")
	c := get[*kube.Cluster](t)(kube.Connect(w.kubeconfig, "", ""))
	r := get[*kube.Reader](t)(kube.NewReader(c, kube.ReaderOptions{}, discard))
	one := get[*kube.Reader](t)(kube.NewReader(c, kube.ReaderOptions{NoPods: true}, discard)) // asks where the other looks
	f := get[*kube.Fleet](t)(kube.NewFleet([]kube.Member{{Name: c.Name, Connect: func() (*kube.Cluster, error) { return c, nil }}}, kube.FleetOptions{}, discard))
	ok(t, r.Start(t.Context()))
	ok(t, one.Start(t.Context()))
	ok(t, f.Start(t.Context()))
	eventually(t, "the readers see it", func() bool {
		_, err := r.Get(t.Context(), kube.Ref{Namespace: w.namespace, Kind: kube.Deployment, Name: "web"})
		return err == nil
	})
	called := 0
	for _, v := range []any{c, r, one, f} {
		called += everyMethod(t, w, v, variants(w.namespace, "all"), readsOnly)
	}
	if called < 1000 {
		t.Errorf("only %d calls: this test no longer goes every way", called)
	}
}

// TestNoWriterTouchesASecret does so with a Writer, and with every verb.
func TestNoWriterTouchesASecret(t *testing.T) {
	w := newWire(t)
	create(t, w.namespace, kube.Deployment, "registry.example.com/shop/web:1.0")
	before := get[*corev1.Secret](t)(admin(t).CoreV1().Secrets(w.namespace).Get(t.Context(), "web", metav1.GetOptions{}))
	c := get[*kube.Cluster](t)(kube.Connect(w.kubeconfig, "", ""))
	var verbs []string
	for _, v := range kube.Verbs() {
		verbs = append(verbs, string(v))
	}
	f := get[*kube.Fleet](t)(kube.NewFleet([]kube.Member{{Name: c.Name, Connect: func() (*kube.Cluster, error) { return c, nil }}}, kube.FleetOptions{}, discard))
	ok(t, f.Start(t.Context()))
	for _, v := range []any{kube.NewWriter(c), kube.NewWriters(f)} {
		if called := everyMethod(t, w, v, variants(w.namespace, verbs...), noSecret); called < 100 {
			t.Errorf("only %d calls: this test no longer goes every way", called)
		}
	}
	after := get[*corev1.Secret](t)(admin(t).CoreV1().Secrets(w.namespace).Get(t.Context(), "web", metav1.GetOptions{}))
	if before.ResourceVersion != after.ResourceVersion {
		t.Error("the Secret was changed")
	}
}

// TestAnElectorHoldsItsLeaseAlone does so with what one of several replicas leads by.
func TestAnElectorHoldsItsLeaseAlone(t *testing.T) {
	w := newWire(t)
	c := get[*kube.Cluster](t)(kube.Connect(w.kubeconfig, "", ""))
	lease := "/apis/coordination.k8s.io/v1/namespaces/" + w.namespace + "/leases"
	e := get[*kube.Elector](t)(kube.NewElector(c, "firstmate", "a", nil, discard))
	everyMethod(t, w, e, variants(w.namespace)[:3], func(request string) string {
		if slices.Contains([]string{"POST " + lease, "GET " + lease + "/firstmate", "PUT " + lease + "/firstmate"}, request) {
			return ""
		}
		return "it is not about its Lease"
	})
	for _, name := range []string{"../../secrets/web", "firstmate/../../../secrets/web"} {
		e := get[*kube.Elector](t)(kube.NewElector(c, w.namespace+"/"+name, "a", nil, discard))
		if err := e.Check(t.Context()); err == nil {
			t.Errorf("%s is a Lease", name)
		}
		for _, req := range w.drain() {
			if why := noSecret(req); why != "" {
				t.Errorf("%s: %s: %s", name, why, req)
			}
		}
	}
}

// TestRightsOnlyAsk does so with what asks for what is allowed.
func TestRightsOnlyAsk(t *testing.T) {
	w := newWire(t)
	c := get[*kube.Cluster](t)(kube.Connect(w.kubeconfig, "", ""))
	called := everyMethod(t, w, kube.NewRights(c), variants(w.namespace, "all"), func(request string) string {
		if request == "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews" {
			return ""
		}
		return readsOnly(request)
	})
	if called < 10 {
		t.Errorf("only %d calls", called)
	}
}

// TestAViewOnlyAsksAndReads does so with what shows a person what they may see:
// this one may see all.
func TestAViewOnlyAsksAndReads(t *testing.T) {
	w := newWire(t)
	create(t, w.namespace, kube.Deployment, "registry.example.com/shop/web:1.0")
	c := get[*kube.Cluster](t)(kube.Connect(w.kubeconfig, "", ""))
	f := get[*kube.Fleet](t)(kube.NewFleet([]kube.Member{{Name: c.Name, Connect: func() (*kube.Cluster, error) { return c, nil }}}, kube.FleetOptions{}, discard))
	ok(t, f.Start(t.Context()))
	admin := kube.Through(t.Context(), kube.As{User: "root", Groups: []string{"system:masters"}})
	called := everyMethodIn(admin, t, w, kube.NewView(f, time.Now), variants(w.namespace, "all"), func(request string) string {
		if request == "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews" {
			return ""
		}
		return readsOnly(request)
	})
	if called < 100 {
		t.Errorf("only %d calls", called)
	}
}

// readsOnly says what is wrong with a request of something that only reads.
func readsOnly(request string) string {
	if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
		return "it writes"
	}
	return noSecret(request)
}

// noSecret says what is wrong with a request of anything.
func noSecret(request string) string {
	_, path, _ := strings.Cut(strings.ToLower(request), " ")
	parts := strings.Split(path, "/")
	for i, p := range parts {
		// /namespaces/secrets is a namespace of that name.
		if p == "secrets" && parts[i-1] != "namespaces" && i < 7 && (i < 6 || parts[4] != "namespaces") || p == ".." {
			return "it reaches for Secrets"
		}
		if i > 5 && slices.Contains([]string{"exec", "attach", "portforward", "proxy", "token"}, p) {
			return "it goes into a pod"
		}
	}
	return ""
}

// leaks says whether a Secret is in what came back.
func leaks(results []any) string {
	said := fmt.Sprintf("%+v", results)
	for _, r := range results {
		if b, err := json.Marshal(r); err == nil {
			said += string(b)
		}
	}
	for _, h := range []string{hush, base64.StdEncoding.EncodeToString([]byte(hush))} {
		if strings.Contains(said, h) {
			return "a Secret came back"
		}
	}
	return ""
}

// everyMethod calls all exported methods of v with all variants of arguments.
func everyMethod(t *testing.T, w *wire, v any, with []hostile, wrong func(request string) string) (called int) {
	t.Helper()
	return everyMethodIn(t.Context(), t, w, v, with, wrong)
}

// everyMethodIn does so in a context.
func everyMethodIn(in context.Context, t *testing.T, w *wire, v any, with []hostile, wrong func(request string) string) (called int) {
	t.Helper()
	typ := reflect.TypeOf(v)
	for i := range typ.NumMethod() {
		m := typ.Method(i)
		if m.Name == "Start" {
			continue // it was called, once as it must be
		}
		for _, h := range with {
			ctx, cancel := context.WithTimeout(in, callLimit)
			args := []reflect.Value{reflect.ValueOf(v)}
			for j := 1; j < m.Type.NumIn(); j++ {
				args = append(args, h.value(ctx, t, m.Type.In(j), ""))
			}
			call := m.Func.Call
			if m.Type.IsVariadic() {
				call = m.Func.CallSlice
			}
			var out []any
			for _, o := range call(args) {
				out = append(out, result(o)...)
			}
			cancel()
			called++
			what := fmt.Sprintf("%v.%s with %+v", typ, m.Name, h)
			for _, req := range w.drain() {
				if why := wrong(req); why != "" {
					t.Errorf("%s: %s: %s", what, why, req)
				}
			}
			if why := leaks(out); why != "" {
				t.Errorf("%s: %s: %+v", what, why, out)
			}
		}
	}
	return called
}

// result is a value that came back; of a sequence, its beginning.
func result(o reflect.Value) []any {
	if o.Kind() == reflect.Func && o.Type().CanSeq2() && !o.IsNil() {
		var out []any
		for a, b := range o.Seq2() {
			if out = append(out, a.Interface(), b.Interface()); len(out) > 4 {
				break
			}
		}
		return out
	}
	return []any{o.Interface()}
}

// hostile is what somebody might fill in who wants a Secret.
type hostile struct{ namespace, kind, name, other string }

// variants are hostile arguments; others are for what is neither name, kind nor
// namespace, such as a verb.
func variants(ns string, others ...string) []hostile {
	var out []hostile
	for _, other := range others {
		for _, kind := range []string{"Secret", "secrets", "Deployment", "Pod", "Node", "../secrets", ""} {
			out = append(out, hostile{ns, kind, "web", other})
		}
		out = append(out, hostile{ns + "/secrets", "Pod", "web", other}, hostile{ns, "Pod", "../secrets/web", other}, hostile{ns, "Service", "web/proxy", other},
			hostile{ns, "Pod", "web/exec", other}, hostile{"secrets", "Deployment", "web", other})
	}
	for _, other := range []string{"secrets", "Secret", "../secrets", "secrets/web", "nodes", "events", "pods"} {
		out = append(out, hostile{ns, "Secret", "web", other}, hostile{ns, other, "web", other}, hostile{"", other, "", other})
	}
	return out
}

// callLimit is how long one call may go on: some watch for ever.
const callLimit = 400 * time.Millisecond

// value makes an argument of any type; a struct's fields are filled by name.
func (h hostile) value(ctx context.Context, t *testing.T, typ reflect.Type, field string) reflect.Value {
	t.Helper()
	v := reflect.New(typ).Elem()
	if typ == reflect.TypeFor[context.Context]() {
		return reflect.ValueOf(ctx)
	}
	switch typ.Kind() {
	case reflect.String:
		switch strings.ToLower(field) {
		case "cluster":
			// home
		case "namespace":
			v.SetString(h.namespace)
		case "kind":
			v.SetString(h.kind)
		case "name", "container", "pod":
			v.SetString(h.name)
		default:
			v.SetString(h.other)
		}
	case reflect.Struct:
		if typ == reflect.TypeFor[time.Time]() {
			return reflect.ValueOf(time.Now())
		}
		for i := range typ.NumField() {
			// A change in a change's pull request goes no deeper.
			if f := typ.Field(i); f.IsExported() && !(typ == reflect.TypeFor[kube.PullRequest]() && f.Name == "Change") {
				v.Field(i).Set(h.value(ctx, t, f.Type, f.Name))
			}
		}
	case reflect.Slice:
		if typ == reflect.TypeFor[json.RawMessage]() {
			return reflect.ValueOf(json.RawMessage(`{"spec": {"containers": [{"name": "web", "image": "x:1"}]}}`))
		}
		v.Set(reflect.Append(v, h.value(ctx, t, typ.Elem(), field)))
	case reflect.Map:
		v.Set(reflect.MakeMap(typ))
		v.SetMapIndex(h.value(ctx, t, typ.Key(), field), h.value(ctx, t, typ.Elem(), field))
	case reflect.Pointer:
		if typ.Elem().Kind() == reflect.Struct && typ.Elem().PkgPath() != reflect.TypeFor[kube.Ref]().PkgPath() {
			return v
		}
		v.Set(reflect.New(typ.Elem()))
		v.Elem().Set(h.value(ctx, t, typ.Elem(), field))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(2)
	case reflect.Uint64, reflect.Float64, reflect.Interface:
		// nothing
	case reflect.Func:
		return reflect.MakeFunc(typ, func([]reflect.Value) []reflect.Value {
			var out []reflect.Value
			for i := range typ.NumOut() {
				out = append(out, reflect.Zero(typ.Out(i)))
			}
			return out
		})
	case reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("no value for a %v: teach this test to make one", typ)
	}
	return v
}
