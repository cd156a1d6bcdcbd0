package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// chartNamespace is where the chart is installed.
const chartNamespace = "t-chart"

// chartValues are what a user of the chart writes.
const chartValues = `
config:
  access:
    people:
    - name: demo
      speakers: ["web:*"]
      user: demo
      groups: [shop-operators]
      write: true
operators:
  bindings:
  - {namespace: t-chart-shop, groups: [shop-operators]}
  nodes:
    groups: [shop-operators]
`

// underTheChart are scripts in which everything is done that bot serve does.
var underTheChart = []string{
	"status", "list", "list-stuck", "scale", "deploy", "rollback", "restart", "chain", "undo",
	"stuck-rollback", "stuck-statefulset", "stuck-quota", "crash", "paused", "autoscale", "create", "jobs", "pods", "drain",
}

// TestUnderTheChartsRights installs the Helm chart, takes a token of its
// ServiceAccount, and runs the program with that and with the chart's
// configuration: what it does, it can do, and nothing else.
func TestUnderTheChartsRights(t *testing.T) {
	sandboxtest.Need(t, sandbox)
	t.Parallel()
	const shop = "t-chart-shop"
	if _, err := kubectl(t.Context(), "", "create", "namespace", shop); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := kubectl(context.Background(), "", "delete", "--wait=false", "namespace", shop); err != nil {
			t.Error(err)
		}
	})
	objects := install(t, chartNamespace, chartValues)
	r := rights{
		kubeconfig: accountOf(t, chartNamespace, "firstmate"),
		role:       "t-chart-firstmate-write",
		config:     configOf(t, objects),
	}
	t.Run("everything it does", func(t *testing.T) {
		var files []string
		for _, name := range underTheChart {
			files = append(files, filepath.Join("testdata", name+".txtar"))
		}
		converse(t, testscript.Params{Files: files, Setup: func(env *testscript.Env) error {
			return setUp(env, "t-", r)
		}})
	})
	t.Run("nothing else", func(t *testing.T) {
		ctx := t.Context()
		for _, step := range []string{
			"create secret generic web --from-literal=password=hush", "create deployment web --image=registry.example.com/shop/web:1.0", "rollout status deployment/web --timeout=30s",
		} {
			if _, err := kubectl(ctx, "", append([]string{"-n", shop}, strings.Fields(step)...)...); err != nil {
				t.Fatal(err)
			}
		}
		pod, err := kubectl(ctx, "", "-n", shop, "get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}")
		if err != nil {
			t.Fatal(err)
		}
		try := func(args ...string) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			return kubectl(ctx, "", append([]string{"--kubeconfig", r.kubeconfig, "-n", shop}, args...)...)
		}
		for _, may := range []string{
			"get deployments -A", "get nodes", "get pods", `--as=demo --as-group=shop-operators patch deployment web -p {"spec":{"replicas":2}}`,
			"--as=demo --as-group=shop-operators delete pod " + pod,
		} {
			if out, err := try(strings.Fields(may)...); err != nil {
				t.Errorf("%s: %s", may, out)
			}
		}
		if pod, err = kubectl(ctx, "", "-n", shop, "get", "pods", "-l", "app=web", "-o", "jsonpath={.items[-1:].metadata.name}"); err != nil {
			t.Fatal(err)
		}
		for _, may := range []string{
			"get secrets", "get secrets -A", "get secret web", "create secret generic more", "delete secret web", "get configmaps", "get serviceaccounts",
			"get roles", "get clusterroles", "create token default", "create token firstmate -n t-chart", "get leases -n t-chart", "exec " + pod + " -- true", "attach " + pod, "port-forward " + pod + " 1:1",
			"get --raw /api/v1/nodes/node-1/proxy/pods", `patch deployment web -p {"spec":{"replicas":3}}`, "delete pod " + pod, "create deployment more --image=x",
			"label node node-1 a=b", "get leases", "create clusterrolebinding more --clusterrole=cluster-admin --user=demo",

			"--as=somebody get pods", "--as=admin get pods", "--as=demo --as-group=other get pods", "--as=demo --as-group=system:masters get secrets",
			"--as=system:serviceaccount:kube-system:default get pods", "--as=demo --as-uid=1 get pods",

			"--as=demo --as-group=shop-operators get secrets", "--as=demo --as-group=shop-operators get secret web", "--as=demo --as-group=shop-operators exec " + pod + " -- true",
			"--as=demo --as-group=shop-operators create token default", `--as=demo --as-group=shop-operators patch deployment web -n kube-system -p {"spec":{"replicas":2}}`,
		} {
			if out, err := try(strings.Fields(may)...); err == nil || !strings.Contains(out, "orbidden") {
				t.Errorf("%s: %v: %s", may, err, out)
			}
		}
	})
}

// TestTheChartsPodsAreAdmitted installs the chart both ways into namespaces that
// enforce the restricted Pod Security Standard: with a file on a volume, and as
// two replicas, which come up on the simulated nodes.
func TestTheChartsPodsAreAdmitted(t *testing.T) {
	sandboxtest.Need(t, sandbox)
	t.Parallel()
	for ns, values := range map[string]string{
		"t-chart-one": chartValues,
		"t-chart-two": "replicas: 2\npostgres: {enabled: true}\ncredentials: {secret: firstmate}\n",
	} {
		install(t, ns, strings.ReplaceAll(values, "t-chart-shop", ns))
		if ns == "t-chart-one" {
			bindVolume(t, ns)
		}
		out, err := kubectl(t.Context(), "", "-n", ns, "rollout", "status", "deployment/firstmate", "--timeout=60s")
		if err != nil {
			events, _ := kubectl(t.Context(), "", "-n", ns, "get", "events,pods,pvc") // only to explain err
			t.Errorf("%s: %v\n%s\n%s", ns, err, out, events)
		}
		// The standard is enforced, or this test could not fail.
		if out, err := kubectl(t.Context(), "", "-n", ns, "run", "loose", "--image=x"); err == nil || !strings.Contains(out, "violates PodSecurity") {
			t.Errorf("%s: a pod without restrictions: %v, %s", ns, err, out)
		}
	}
}

// bindVolume does what the volume controller would do, which the sandbox has not.
func bindVolume(t *testing.T, ns string) {
	t.Helper()
	volume := fmt.Sprintf("{apiVersion: v1, kind: PersistentVolume, metadata: {name: %s}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], claimRef: {namespace: %[1]s, name: firstmate}, hostPath: {path: /none}}}", ns)
	if _, err := kubectl(t.Context(), volume, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := kubectl(context.Background(), "", "delete", "--wait=false", "persistentvolume", ns); err != nil {
			t.Error(err)
		}
	})
	bound := fmt.Sprintf(`{"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "spec": {"volumeName": %q}}`, ns)
	for _, args := range [][]string{{"-p", bound}, {"--subresource=status", "-p", `{"status": {"phase": "Bound"}}`}} {
		if _, err := kubectl(t.Context(), "", append([]string{"-n", ns, "patch", "persistentvolumeclaim", "firstmate"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
}

// install renders the chart with Helm's own engine, applies it into a namespace
// of its own that enforces the restricted standard, and returns what it applied.
func install(t *testing.T, namespace, values string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	cmd := exec.Command("go", "run", ".", "-plain", "-namespace", namespace, "../helm/firstmate", file)
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Join("..", "deploy", "render"), &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	if _, err := kubectl(t.Context(), out.String(), "apply", "--server-side", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := kubectl(context.Background(), out.String(), "delete", "--wait=false", "-f", "-"); err != nil {
			t.Error(err)
		}
	})
	return out.String()
}

// accountOf returns a kubeconfig with a token of a ServiceAccount, and nothing else.
func accountOf(t *testing.T, namespace, account string) string {
	t.Helper()
	token, err := kubectl(t.Context(), "", "-n", namespace, "create", "token", account)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(sandbox.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	var conf map[string]any
	if err := yaml.Unmarshal(b, &conf); err != nil {
		t.Fatal(err)
	}
	for _, u := range conf["users"].([]any) {
		u.(map[string]any)["user"] = map[string]any{"token": token}
	}
	if b, err = yaml.Marshal(conf); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// configOf returns the configuration in the ConfigMap, as the pod gets it but
// for where the file of the state is.
func configOf(t *testing.T, objects string) string {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(objects))
	for {
		var o struct {
			Kind string
			Data map[string]string
		}
		if err := d.Decode(&o); err != nil {
			t.Fatalf("no ConfigMap: %v", err)
		}
		if o.Kind == "ConfigMap" {
			return strings.Replace(o.Data["firstmate.yaml"], "path: /var/lib/firstmate/firstmate.db", `path: ""`, 1)
		}
	}
}

// TestReadOnlyIsSeenOnTheWire runs bot serve --read-only as the cluster's
// administrator and looks at everything that it asks the API server, whatever is
// said to it.
func TestReadOnlyIsSeenOnTheWire(t *testing.T) {
	w := worldOf(t, "t-read-only-wire")
	conf, target, transport := adminOf(t)
	var mu sync.Mutex
	var seen []string
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport, proxy.FlushInterval = transport, -1
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Method+" "+r.URL.Path)
		mu.Unlock()
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	t.Cleanup(func() { // first, or it would connect anew, and the server wait for that
		if err := w.crash(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range conf["clusters"].([]any) {
		c.(map[string]any)["cluster"] = map[string]any{"server": srv.URL}
	}
	for _, u := range conf["users"].([]any) {
		u.(map[string]any)["user"] = map[string]any{}
	}
	b, err := yaml.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	w.rights.kubeconfig = filepath.Join(w.dir, "kubeconfig")
	if err := os.WriteFile(w.rights.kubeconfig, b, 0o600); err != nil {
		t.Fatal(err)
	}
	w.flags = []string{"--read-only"}
	c := w.conversation("main")
	for _, text := range []string{
		"how is web?", "scale web to five", "yes", "roll out v2 of checkout", "yes", "roll back cart", "yes", "restart web", "yes", "undo", "yes",
		"drain node-1", "yes", "scale web to zero and then restart cart", "yes", "list pods", "list secrets", "show me the secret web", "exec into web",
	} {
		if err := c.say(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		if c.last.Proposal != nil || c.last.Outcome != dialogue.OutcomeNone && c.last.Outcome != "" {
			t.Errorf("%s: %s", text, c.last.Text)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, s := range seen {
		if !strings.HasPrefix(s, "GET ") || strings.Contains(s, "/secrets") {
			t.Errorf("on the wire: %s", s)
		}
	}
	if len(seen) < 5 {
		t.Errorf("only %q was seen: the program goes another way", seen)
	}
}

// adminOf reads the administrator's kubeconfig: as it is, where its cluster is,
// and a transport that goes there as the administrator.
func adminOf(t *testing.T) (conf map[string]any, target *url.URL, transport http.RoundTripper) {
	t.Helper()
	b, err := os.ReadFile(sandbox.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     string `yaml:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Cert string `yaml:"client-certificate-data"`
				Key  string `yaml:"client-key-data"`
			}
		}
	}
	for _, to := range []any{&conf, &c} {
		if err := yaml.Unmarshal(b, to); err != nil {
			t.Fatal(err)
		}
	}
	plain := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	cluster, user := c.Clusters[0].Cluster, c.Users[0].User
	pair, err := tls.X509KeyPair(plain(user.Cert), plain(user.Key))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(plain(cluster.CA))
	if target, err = url.Parse(cluster.Server); err != nil {
		t.Fatal(err)
	}
	return conf, target, &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}}
}
