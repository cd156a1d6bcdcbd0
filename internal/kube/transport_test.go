package kube

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

func TestRefusedToReader(t *testing.T) {
	const ns = "/api/v1/namespaces/shop"
	for path, why := range map[string]string{
		"/version": "", "/readyz": "", "/readyz/etcd": "", "/livez": "", "/healthz": "", "/api": "", "/apis": "", "/api/v1": "", "/apis/apps/v1": "",
		"/api/v1/pods": "", "/api/v1/namespaces": "", ns: "", ns + "/pods": "", ns + "/pods/web-1": "", ns + "/pods/web-1/log": "", ns + "/pods/web-1/status": "",
		"/apis/apps/v1/deployments": "", "/apis/apps/v1/namespaces/shop/deployments/web/scale": "",
		"/api/v1/watch/namespaces/shop/pods": "", "/api/v1/nodes/node-1": "",
		"/api/v1/namespaces/secrets": "", "/api/v1/namespaces/secrets/pods": "", ns + "/pods/secrets": "", // a name, not the resource

		"/api/v1/secrets": "reading Secrets", ns + "/secrets": "reading Secrets", ns + "/secrets/db": "reading Secrets", ns + "/secrets/": "reading Secrets",
		"/api/v1/watch/secrets": "reading Secrets", "/api/v1/watch/namespaces/shop/secrets": "reading Secrets", "/api/v1/watch/namespaces/shop/secrets/db": "reading Secrets",
		ns + "/Secrets": "reading Secrets", "/api/v1/SECRETS": "reading Secrets", "/apis/apps/v1/namespaces/shop/secrets": "reading Secrets",

		ns + "/pods/web-1/exec": "the subresource exec", ns + "/pods/web-1/attach": "the subresource attach",
		ns + "/pods/web-1/portforward": "the subresource portforward", ns + "/pods/web-1/proxy": "the subresource proxy",
		ns + "/pods/web-1/proxy/metrics": "the subresource proxy", ns + "/services/web/proxy": "the subresource proxy",
		"/api/v1/nodes/node-1/proxy/run/shop/web/app": "the subresource proxy", ns + "/serviceaccounts/default/token": "the subresource token",
		"/api/v1/watch/namespaces/shop/pods/web-1/exec": "the subresource exec",
		ns + "/services/web/log":                        "the subresource log", "/apis/apps/v1/namespaces/shop/deployments/web/log": "the subresource log",
		"/apis/other.io/v1/namespaces/shop/pods/web-1/log": "the subresource log", "/api/v1/nodes/node-1/log": "the subresource log",
		"/api/v1/proxy/nodes/log": "the subresource proxy", "/api/v1/proxy/namespaces/shop/pods/log": "the subresource proxy",

		ns + "/pods/../secrets": "an unclean path", ns + "/./secrets": "an unclean path", ns + "//secrets": "an unclean path", "/api//v1/secrets": "an unclean path",
		"/version/../api/v1/secrets": "an unclean path", "/apis/../api/v1/secrets": "an unclean path", "/readyz/../api/v1/secrets": "an unclean path",

		"": "reading /", "/": "reading /", "/logs/kube-apiserver.log": "reading /logs", "/metrics": "reading /metrics", "/debug/pprof": "reading /debug", "/openapi/v3": "reading /openapi",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if got := refusedToReader(method, path); got != why {
				t.Errorf("%s %s: got %q, want %q", method, path, got, why)
			}
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect, http.MethodOptions, "get", ""} {
			if got := refusedToReader(method, path); got != "the method "+strconv.Quote(method) {
				t.Errorf("%s %s: got %q", method, path, got)
			}
		}
	}
}

func TestRefusedToWriter(t *testing.T) {
	const ns, apps = "/api/v1/namespaces/shop", "/apis/apps/v1/namespaces/shop"
	for request, why := range map[string]string{
		"GET " + apps + "/deployments/web": "", "PATCH " + apps + "/deployments/web": "", "POST " + apps + "/deployments": "", "DELETE " + ns + "/pods/web-1": "",
		"POST " + ns + "/pods/web-1/eviction": "", "PATCH /api/v1/nodes/node-1": "", "POST /apis/batch/v1/namespaces/shop/jobs": "", "GET " + ns + "/pods": "",
		"PATCH /apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop": "",

		"GET " + ns + "/secrets/db": "reading Secrets", "GET /api/v1/secrets": "reading Secrets", "GET " + ns + "/Secrets/db": "reading Secrets",
		"POST " + ns + "/secrets": "POST api/v1/namespaces/shop/secrets", "PATCH " + ns + "/secrets/db": "PATCH api/v1/namespaces/shop/secrets/db",
		"PATCH " + ns + "/SECRETS/db": "reading Secrets", "PATCH " + ns + "/pods/../secrets/db": "an unclean path",
		"GET " + ns + "/pods/web-1/exec": "the subresource exec", "POST " + ns + "/pods/web-1/exec": "POST api/v1/namespaces/shop/pods/web-1/exec",
		"POST " + ns + "/pods/web-1/attach": "POST api/v1/namespaces/shop/pods/web-1/attach", "POST " + ns + "/pods/web-1/portforward": "POST api/v1/namespaces/shop/pods/web-1/portforward",
		"DELETE " + ns + "/services/web/proxy": "DELETE api/v1/namespaces/shop/services/web/proxy", "POST " + ns + "/serviceaccounts/default/token": "POST api/v1/namespaces/shop/serviceaccounts/default/token",
		"POST " + ns + "/pods":                                    "POST api/v1/namespaces/shop/pods",
		"DELETE " + ns + "/pods":                                  "DELETE of all pods",
		"DELETE " + apps + "/deployments":                         "DELETE of all deployments",
		"PUT " + apps + "/deployments/web":                        "PUT apis/apps/v1/namespaces/shop/deployments/web",
		"DELETE /api/v1/nodes/node-1":                             "DELETE api/v1/nodes/node-1",
		"DELETE /api/v1/namespaces/shop":                          "DELETE api/v1/namespaces/shop",
		"PATCH " + ns + "/configmaps/web":                         "PATCH api/v1/namespaces/shop/configmaps/web",
		"POST /apis/rbac.authorization.k8s.io/v1/namespaces":      "POST apis/rbac.authorization.k8s.io/v1/namespaces",
		"PATCH /apis/other.io/v1/namespaces/shop/deployments/web": "PATCH apis/other.io/v1/namespaces/shop/deployments/web", // not those that are meant
		"POST /metrics":                                           "reading /metrics",
	} {
		method, path, _ := strings.Cut(request, " ")
		if got := refusedToWriter(method, path); got != why {
			t.Errorf("%s: got %q, want %q", request, got, why)
		}
	}
}

// FuzzRefusedToWriter holds that rule from the other side.
func FuzzRefusedToWriter(f *testing.F) {
	for _, p := range []string{"/api/v1/namespaces/shop/pods/web-1/exec", "/api/v1/watch/secrets", "/apis/apps/v1/namespaces/shop/deployments/web", "/api/v1/namespaces/x/pods/y/eviction"} {
		for _, m := range []string{"POST", "PATCH", "DELETE", "PUT", "GET"} {
			f.Add(m, p)
		}
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		if refusedToWriter(method, path) != "" {
			return
		}
		parts := strings.Split(strings.Trim(path, "/"), "/")
		if method == "GET" || method == "HEAD" {
			if refusedToReader(method, path) != "" {
				t.Fatalf("%s %q is let through", method, path)
			}
			return
		}
		if method != "POST" && method != "PATCH" && method != "DELETE" || slices.Contains(parts, "..") || slices.Contains(parts, "") {
			t.Fatalf("%s %q is let through", method, path)
		}
		if i := slices.Index(parts, "secrets"); i == len(parts)-1 && method == "POST" || i == len(parts)-2 && i > 0 && parts[i-1] != "namespaces" {
			t.Fatalf("%s %q is let through", method, path)
		}
	})
}

// FuzzRefusedToReader holds the rule from the other side: of what is let
// through, no reading of the path names a Secret or a way into a pod.
func FuzzRefusedToReader(f *testing.F) {
	for _, p := range []string{"/api/v1/namespaces/shop/pods/web-1/exec", "/api/v1/watch/secrets", "/apis/a/b/../../../api/v1/secrets", "/version/..//api", "/api/v1/namespaces/x/pods/y/log"} {
		f.Add("GET", p)
	}
	f.Add("POST", "/api/v1/pods")
	f.Fuzz(func(t *testing.T, method, path string) {
		if refusedToReader(method, path) != "" {
			return
		}
		if method != "GET" && method != "HEAD" {
			t.Fatalf("%q is let through", method)
		}
		parts := strings.Split(strings.Trim(path, "/"), "/")
		for _, p := range parts {
			if p == ".." || p == "." || p == "" {
				t.Fatalf("%q is let through unclean", path)
			}
		}
		var rest []string
		switch parts[0] {
		case "api":
			rest = parts[min(2, len(parts)):]
		case "apis":
			rest = parts[min(3, len(parts)):]
		case "version", "readyz", "livez", "healthz":
			return
		default:
			t.Fatalf("%q is let through", path)
		}
		if len(rest) > 0 && rest[0] == "watch" {
			rest = rest[1:]
		}
		if len(rest) > 2 && rest[0] == "namespaces" {
			rest = rest[2:]
		}
		for i, p := range rest {
			if i == 0 && strings.EqualFold(p, "secrets") {
				t.Fatalf("%q is let through", path)
			}
			if i == 2 && p != "log" && p != "status" && p != "scale" {
				t.Fatalf("%q is let through", path)
			}
		}
	})
}

// TestReaderWritesNothing goes through the client that a Reader holds: nothing
// but reads may even reach the server.
func TestReaderWritesNothing(t *testing.T) {
	var reached atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		if r.Method != http.MethodGet {
			t.Errorf("%s %s left the process", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"PodList","apiVersion":"v1","items":[]}`))
	}))
	defer srv.Close()
	r, err := NewReader(&Cluster{Name: "test", config: &rest.Config{Host: srv.URL}}, ReaderOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, ctx := r.client, t.Context()
	if _, err := c.CoreV1().Pods("shop").List(ctx, metav1.ListOptions{}); err != nil || reached.Load() != 1 {
		t.Fatalf("a read does not reach the server: %v", err)
	}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	pods := func(sub string) error {
		return c.CoreV1().RESTClient().Get().Namespace("shop").Resource("pods").Name("web-1").SubResource(sub).Do(ctx).Error()
	}
	for name, do := range map[string]func() error{
		"create": func() error {
			_, err := c.AppsV1().Deployments("shop").Create(ctx, d, metav1.CreateOptions{})
			return err
		},
		"update": func() error {
			_, err := c.AppsV1().Deployments("shop").Update(ctx, d, metav1.UpdateOptions{})
			return err
		},
		"patch": func() error {
			_, err := c.AppsV1().Deployments("shop").Patch(ctx, "web", types.MergePatchType, []byte("{}"), metav1.PatchOptions{})
			return err
		},
		"a dry-run too": func() error {
			_, err := c.AppsV1().Deployments("shop").Patch(ctx, "web", types.MergePatchType, []byte("{}"), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		},
		"delete": func() error { return c.AppsV1().Deployments("shop").Delete(ctx, "web", metav1.DeleteOptions{}) },
		"delete many": func() error {
			return c.CoreV1().Pods("shop").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		},
		"evict": func() error {
			return c.CoreV1().RESTClient().Post().Namespace("shop").Resource("pods").Name("web-1").SubResource("eviction").Do(ctx).Error()
		},
		"a Secret":    func() error { _, err := c.CoreV1().Secrets("shop").Get(ctx, "db", metav1.GetOptions{}); return err },
		"Secrets":     func() error { _, err := c.CoreV1().Secrets("").List(ctx, metav1.ListOptions{}); return err },
		"watching":    func() error { _, err := c.CoreV1().Secrets("shop").Watch(ctx, metav1.ListOptions{}); return err },
		"exec":        func() error { return pods("exec") },
		"attach":      func() error { return pods("attach") },
		"portforward": func() error { return pods("portforward") },
		"proxy":       func() error { return pods("proxy") },
		"a token": func() error {
			return c.CoreV1().RESTClient().Get().Namespace("shop").Resource("serviceaccounts").Name("default").SubResource("token").Do(ctx).Error()
		},
	} {
		err := do()
		if fault.KindOf(err) != fault.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := reached.Load(); n != 1 {
		t.Errorf("%d requests reached the server", n-1)
	}
	if _, ok := c.(*kubernetes.Clientset); !ok {
		t.Errorf("the client is a %T: this test no longer goes the real way", c)
	}
}

// TestWriterMakesNoOtherChange goes through the client that a Writer holds, with
// credentials that the server refuses nothing.
func TestWriterMakesNoOtherChange(t *testing.T) {
	var reached []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached = append(reached, r.Method+" "+r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Success"}`))
	}))
	defer srv.Close()
	a, err := NewWriter(&Cluster{Name: "test", config: &rest.Config{Host: srv.URL}}).as(As{User: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	c, ctx := a.client, t.Context()
	patch := func(r rest.Interface, resource string, sub ...string) error {
		return r.Patch(types.MergePatchType).Namespace("shop").Resource(resource).Name("web").SubResource(sub...).Body([]byte("{}")).Do(ctx).Error()
	}
	if err := patch(c.AppsV1().RESTClient(), "deployments"); err != nil || len(reached) != 1 {
		t.Fatalf("what verbs need does not reach the server: %v", err)
	}
	core, rbac := c.CoreV1().RESTClient(), c.RbacV1().RESTClient()
	post := func(r rest.Interface, resource string, sub ...string) error {
		return r.Post().Namespace("shop").Resource(resource).Name("web").SubResource(sub...).Body([]byte("{}")).Do(ctx).Error()
	}
	for name, do := range map[string]func() error{
		"reading a Secret": func() error { _, err := c.CoreV1().Secrets("shop").Get(ctx, "db", metav1.GetOptions{}); return err },
		"listing Secrets":  func() error { _, err := c.CoreV1().Secrets("").List(ctx, metav1.ListOptions{}); return err },
		"watching Secrets": func() error { _, err := c.CoreV1().Secrets("").Watch(ctx, metav1.ListOptions{}); return err },
		"a Secret":         func() error { return patch(core, "secrets") },
		"a ConfigMap":      func() error { return patch(core, "configmaps") },
		"rights":           func() error { return patch(rbac, "roles") },
		"exec":             func() error { return post(core, "pods", "exec") },
		"attach":           func() error { return post(core, "pods", "attach") },
		"portforward":      func() error { return post(core, "pods", "portforward") },
		"proxy":            func() error { return post(core, "services", "proxy") },
		"a token":          func() error { return post(core, "serviceaccounts", "token") },
		"ephemeral":        func() error { return patch(core, "pods", "ephemeralcontainers") },
		"many at once": func() error {
			return c.CoreV1().Pods("shop").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		},
	} {
		if err := do(); fault.KindOf(err) != fault.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(reached) != 1 {
		t.Errorf("these reached the server: %q", reached[1:])
	}
}
