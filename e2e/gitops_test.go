package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/gitops/gitopstest"
)

// definitions are the real CRDs of Argo CD and Flux, as their modules have them.
// They are large, so they are fetched, not kept here.
var definitions = []struct{ module, file string }{
	{"github.com/argoproj/argo-cd/v3@v3.3.0", "manifests/crds/application-crd.yaml"},
	{"github.com/fluxcd/source-controller@v1.7.0", "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml"},
	{"github.com/fluxcd/kustomize-controller@v1.10.1", "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"},
	{"github.com/fluxcd/helm-controller@v1.4.0", "config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml"},
}

// define installs the CRDs, once.
var define = sync.OnceValue(func() error {
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range definitions {
		file := filepath.Join(strings.TrimSpace(string(cache)), filepath.FromSlash(d.module), filepath.FromSlash(d.file))
		if _, err := os.Stat(file); err != nil {
			// A module that wants a newer Go is fetched all the same, with an
			// error; whether the file is there is what counts.
			out, err := exec.Command("go", "mod", "download", "-json", d.module).CombinedOutput()
			if _, gone := os.Stat(file); gone != nil {
				return &unavailable{fmt.Errorf("%s: %w: %s", d.module, errors.Join(err, gone), out)}
			}
		}
		if _, err := kubectl(context.Background(), "", "apply", "--server-side", "-f", file); err != nil {
			errs = append(errs, err)
		}
	}
	if _, err := kubectl(context.Background(), "", "wait", "--for=condition=Established", "crd", "applications.argoproj.io", "gitrepositories.source.toolkit.fluxcd.io",
		"kustomizations.kustomize.toolkit.fluxcd.io", "helmreleases.helm.toolkit.fluxcd.io"); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
})

// unavailable is that the definitions cannot be had here.
type unavailable struct{ error }

// gitRules lets the shop's operators hold what keeps the shop.
const gitRules = `
kind: Role
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: holders}
rules:
- {apiGroups: [argoproj.io], resources: [applications], verbs: [get, patch]}
- {apiGroups: [kustomize.toolkit.fluxcd.io], resources: [kustomizations], verbs: [get, patch]}
- {apiGroups: [helm.toolkit.fluxcd.io], resources: [helmreleases], verbs: [get, patch]}
---
kind: RoleBinding
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: holders}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: holders}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: shop-operators}]
`

// gitWorld is a world whose cart comes from Git.
type gitWorld struct {
	*world
	*conversation
	t     *testing.T
	forge *gitopstest.Forge
}

// cartManifest is cart as its repository has it.
const cartManifest = `# Cart, as it is to run.
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, labels: {app: cart}}
spec:
  replicas: 2   # two are enough
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      containers:
      - {name: cart, image: "registry.example.com/shop/cart:2.0"}
`

func newGitWorld(t *testing.T, namespace string, more string) *gitWorld {
	t.Helper()
	w := worldOf(t, namespace)
	var none *unavailable
	if err := define(); errors.As(err, &none) {
		t.Skipf("needs the CRDs of Argo CD and Flux: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	forge, err := gitopstest.New(t.TempDir(), "forge-token")
	if err != nil {
		t.Skipf("needs the program git: %v", err)
	}
	t.Cleanup(forge.Close)
	if err := forge.Create("acme/deploy", map[string]string{"shop/cart.yaml": cartManifest, "README.md": "# deploy\n"}); err != nil {
		t.Fatal(err)
	}
	text := settings + "gitops:\n  argocd: {namespace: " + namespace + "}\n  github: {url: " + forge.URL + ", token: forge-token}\n" + more
	if err := os.WriteFile(filepath.Join(w.dir, "firstmate.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &gitWorld{world: w, conversation: w.conversation("main"), t: t, forge: forge}
	g.apply(gitRules)
	return g
}

func (g *gitWorld) apply(objects string) {
	g.t.Helper()
	if _, err := kubectl(g.t.Context(), objects, "-n", g.namespace, "apply", "-f", "-"); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gitWorld) run(args ...string) string {
	g.t.Helper()
	out, err := g.kubectl(g.t.Context(), args...)
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// says takes one turn; the answer must match.
func (g *gitWorld) says(text, want string) {
	g.t.Helper()
	if err := g.say(g.t.Context(), text); err != nil {
		g.t.Fatalf("%s: %v", text, err)
	}
	g.t.Logf("> %s\n%s", text, g.last.Text)
	if !regexp.MustCompile("(?s)" + want).MatchString(g.last.Text) {
		g.t.Fatalf("%s: the answer does not match %s:\n%s", text, want, g.last.Text)
	}
}

// ends waits for the end of what was said yes to.
func (g *gitWorld) ends(word, want string) {
	g.t.Helper()
	if err := g.outcome(g.t.Context(), word, regexp.MustCompile("(?s)"+want)); err != nil {
		g.t.Fatal(err)
	}
	g.t.Logf("< %s", g.last.Text)
}

// pulls waits until there are so many pull requests.
func (g *gitWorld) pulls(n int) gitopstest.Pull {
	g.t.Helper()
	for deadline := time.Now().Add(newsLimit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if all := g.forge.Pulls(); len(all) == n {
			return all[n-1]
		}
	}
	g.t.Fatalf("there are %d pull requests, not %d", len(g.forge.Pulls()), n)
	return gitopstest.Pull{}
}

func (g *gitWorld) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// field is a field of an object.
func (g *gitWorld) field(object, path string) string {
	g.t.Helper()
	return g.run("get", object, "-o", "jsonpath={"+path+"}")
}

func TestArgoCD(t *testing.T) {
	g := newGitWorld(t, "t-argocd", "  emergency: allow\n")
	g.apply(fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop-app}
spec:
  project: default
  source: {repoURL: %s/acme/deploy.git, path: shop, targetRevision: main}
  destination: {server: https://kubernetes.default.svc, namespace: %s}
  syncPolicy: {automated: {prune: true, selfHeal: true}}
`, g.forge.URL, g.namespace))
	g.run("annotate", "deployment", "cart", "argocd.argoproj.io/tracking-id=shop-app:apps/Deployment:"+g.namespace+"/cart")

	// A pull request, from the sentence to the cluster.
	g.says("scale cart to four", "Open a pull request in acme/deploy that scales Deployment cart in .* from 2 to 4 \\(shop/cart.yaml, into main\\).*Argo CD keeps cart.*emergency.*Shall I")
	if d := g.last.Blocks[0].Text; !strings.Contains(d, "-  replicas: 2   # two are enough\n+  replicas: 4   # two are enough\n") {
		t.Errorf("the diff:\n%s", d)
	}
	if n := len(g.forge.Pulls()); n != 0 {
		t.Fatal("a proposal opened a pull request")
	}
	g.says("yes", "")
	p := g.pulls(1)
	text, err := g.forge.Show("acme/deploy", p.Head, "shop/cart.yaml")
	g.must(err)
	if text != strings.Replace(cartManifest, "replicas: 2", "replicas: 4", 1) {
		t.Errorf("the file is now:\n%s", text)
	}
	log, err := g.forge.Log("acme/deploy", p.Head)
	g.must(err)
	if !strings.HasPrefix(log, "demo <demo@") && !strings.Contains(log, "<demo@users.noreply") {
		t.Errorf("the commit is not by the person:\n%s", log)
	}
	g.must(g.progress(regexp.MustCompile("pull request 1 is open; it waits to be merged")))
	g.must(g.forge.Check(1, "lint", "completed", "failure"))
	g.must(g.progress(regexp.MustCompile("the check .lint. has failed")))
	g.says("how is it going?", "pull request 1 is open, the check .lint. has failed; it waits to be merged: .*/acme/deploy/pull/1")
	g.must(g.forge.Check(1, "lint", "completed", "success"))
	g.must(g.progress(regexp.MustCompile("checks have passed")))
	g.must(g.crash()) // whoever comes next goes on with it
	g.must(g.forge.Merge(1))
	g.says("how is it going?", "cart")
	g.must(g.progress(regexp.MustCompile("pull request 1 is merged; Argo CD has yet to bring it")))
	g.run("scale", "deployment", "cart", "--replicas=4") // as Argo CD would
	g.ends("done", "pull request 1 is merged and cart runs 4 of 4 replicas \\(was 2\\)")
	if all := g.forge.Pulls(); len(all) != 1 {
		t.Errorf("there are %d pull requests", len(all))
	}

	// Past Git, in an emergency, and back.
	g.says("scale cart to five", "Open a pull request")
	g.says("do it directly", "Switch self-heal of the Application shop-app in .* off and scale Deployment cart .* from 4 to 5 replicas.*Git will still say something else.*alone until you say")
	g.says("yes", "")
	g.ends("done", "self-heal of the Application shop-app is off.*cart runs 5 of 5 replicas")
	if h, n := g.field("application/shop-app", ".spec.syncPolicy.automated"), g.field("deployment/cart", ".spec.replicas"); !strings.Contains(h, `"selfHeal":false`) || !strings.Contains(h, `"prune":true`) || n != "5" {
		t.Errorf("%s %s", h, n)
	}
	if len(g.forge.Pulls()) != 1 {
		t.Error("a direct change opened a pull request")
	}
	g.says("undo", "Scale Deployment cart .* from 5 to 4 replicas and switch self-heal of the Application shop-app in .* back on")
	g.says("yes", "")
	g.ends("done", "cart runs 4 of 4 replicas.*self-heal of the Application shop-app is on")
	if h, n := g.field("application/shop-app", ".spec.syncPolicy.automated.selfHeal"), g.field("deployment/cart", ".spec.replicas"); h != "true" || n != "4" {
		t.Errorf("%s %s", h, n)
	}
	g.says("emergency: roll back cart now", "Switch self-heal of the Application shop-app in .* off and roll Deployment cart .* back from 2.0 to 1.9")
	g.says("yes", "")
	g.ends("done", "cart is back on 1.9")
	g.says("how is it?", "cart")
	g.says("switch self-heal back on", "Switch self-heal of the Application shop-app in .* back on.*What differs from Git.*is put back then")
	g.says("yes", "")
	g.ends("done", "self-heal of the Application shop-app is on")
	g.says("switch self-heal back on for cart", "kept as Git says already")

	// A pull request is taken back while it is open: it is closed.
	g.run("set", "image", "deployment/cart", "cart=registry.example.com/shop/cart:2.0") // as Argo CD would
	g.run("rollout", "status", "deployment/cart")
	g.says("roll out 2.1 of cart", "Open a pull request in acme/deploy that moves Deployment cart .* from 2.0 to 2.1")
	g.says("yes", "")
	g.pulls(2)
	g.must(g.progress(regexp.MustCompile("pull request 2 is open")))
	g.says("undo", "Close pull request 2 of acme/deploy for cart without merging it")
	g.says("yes", "")
	g.ends("done", "pull request 2 of acme/deploy is closed")
	g.ends("failed", "cart is not changed: the pull request was closed without being merged")
	if p := g.forge.Pulls()[1]; p.State != "closed" || p.Merged {
		t.Errorf("%+v", p)
	}
}

// TestAMergedVersionThatCrashes is the call at three in the morning: what was
// merged does not run, and Git is too slow a way back.
func TestAMergedVersionThatCrashes(t *testing.T) {
	g := newGitWorld(t, "t-gitcrash", "  emergency: allow\n")
	g.apply(fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop-app}
spec:
  project: default
  source: {repoURL: %s/acme/deploy.git, path: shop}
  destination: {server: https://kubernetes.default.svc, namespace: %s}
  syncPolicy: {automated: {selfHeal: true}}
`, g.forge.URL, g.namespace))
	g.run("annotate", "deployment", "cart", "argocd.argoproj.io/tracking-id=shop-app:apps/Deployment:"+g.namespace+"/cart")
	g.says("roll out 2.1-crash of cart", "Open a pull request")
	g.says("yes", "")
	g.pulls(1)
	g.must(g.forge.Merge(1))
	g.run("set", "image", "deployment/cart", "cart=registry.example.com/shop/cart:2.1-crash") // as Argo CD would
	g.ends("failed", "cart is stuck on 2.1-crash: .*crashes again and again.*Shall I open a pull request that takes cart back to 2.0")
	g.says("do it directly", "Switch self-heal of the Application shop-app in .* off and roll Deployment cart .* back from 2.1-crash to 2.0")
	g.says("yes", "")
	g.ends("done", "self-heal of the Application shop-app is off.*cart is back on 2.0")
	if n := len(g.forge.Pulls()); n != 1 {
		t.Errorf("there are %d pull requests", n)
	}
	// The morning after, Git is to say the same.
	g.says("open a pull request for that", "Open a pull request in acme/deploy that moves Deployment cart in .* from 2.1-crash to 2.0.*The cluster does so already")
	g.says("yes", "")
	p := g.pulls(2)
	if text, err := g.forge.Show("acme/deploy", p.Head, "shop/cart.yaml"); err != nil || text != cartManifest {
		t.Errorf("%v\n%s", err, text)
	}
	g.must(g.forge.Merge(2))
	g.ends("done", "pull request 2 is merged and cart is on 2.0 \\(was 2.1-crash\\)")
}

func TestFlux(t *testing.T) {
	g := newGitWorld(t, "t-flux", "")
	g.apply(fmt.Sprintf(`
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: deploy}
spec: {interval: 1m, url: "%s/acme/deploy", ref: {branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, labels: {kustomize.toolkit.fluxcd.io/name: flux-system, kustomize.toolkit.fluxcd.io/namespace: flux-system}}
spec: {interval: 1m, path: ./shop, prune: true, sourceRef: {kind: GitRepository, name: deploy}}
`, g.forge.URL))
	g.run("label", "deployment", "cart", "kustomize.toolkit.fluxcd.io/name=apps", "kustomize.toolkit.fluxcd.io/namespace="+g.namespace)
	g.says("emergency: scale cart to five", "gitops.emergency does not allow me")
	g.says("roll cart back", "Open a pull request in acme/deploy that moves Deployment cart .* from 2.0 to 1.9.*Flux keeps cart.*Kustomization apps")
	g.says("yes", "")
	p := g.pulls(1)
	if text, err := g.forge.Show("acme/deploy", p.Head, "shop/cart.yaml"); err != nil || text != strings.Replace(cartManifest, "cart:2.0", "cart:1.9", 1) {
		t.Errorf("%v\n%s", err, text)
	}
	g.must(g.forge.CloseUnmerged(1))
	g.ends("failed", "cart is not changed: the pull request was closed without being merged")

	g.must(g.shutdown())
	config := filepath.Join(g.dir, "firstmate.yaml")
	b, err := os.ReadFile(config)
	g.must(err)
	g.must(os.WriteFile(config, append(b, "  emergency: allow\n"...), 0o600))
	g.says("emergency: scale cart to five", "Suspend the Kustomization apps in .* and scale Deployment cart.*Kustomization apps is itself kept by Kustomization flux-system, which may undo that")
	g.says("yes", "")
	g.ends("done", "the Kustomization apps is suspended.*cart runs 5 of 5")
	if s := g.field("kustomization.kustomize.toolkit.fluxcd.io/apps", ".spec.suspend"); s != "true" {
		t.Errorf("suspend: %q", s)
	}
	g.says("resume flux for cart", "Resume the Kustomization apps")
	g.says("yes", "")
	g.ends("done", "the Kustomization apps is going again")
	if s := g.field("kustomization.kustomize.toolkit.fluxcd.io/apps", ".spec.suspend"); s != "false" {
		t.Errorf("suspend: %q", s)
	}
}

func TestHelmAlone(t *testing.T) {
	g := newGitWorld(t, "t-helm", "")
	g.run("label", "deployment", "cart", "app.kubernetes.io/managed-by=Helm")
	g.run("annotate", "deployment", "cart", "meta.helm.sh/release-name=cart", "meta.helm.sh/release-namespace="+g.namespace)
	g.says("scale cart to three", "Scale Deployment cart .* from 2 to 3 replicas.*Helm made cart \\(release cart\\): the next “helm upgrade” will overwrite that.*Shall I")
	g.says("yes", "")
	g.ends("done", "cart runs 3 of 3")
}

// TestPullRequestOnce kills bot serve at different moments after a yes: there
// is one branch and one pull request in the end, and one end is told.
func TestPullRequestOnce(t *testing.T) {
	g := newGitWorld(t, "t-pullonce", "")
	g.apply(fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop-app}
spec:
  project: default
  source: {repoURL: %s/acme/deploy.git, path: shop}
  destination: {server: https://kubernetes.default.svc, namespace: %s}
`, g.forge.URL, g.namespace))
	g.run("label", "deployment", "cart", "argocd.argoproj.io/instance=shop-app")
	for i, after := range []time.Duration{0, 20, 60, 120, 200, 320} {
		n := i + 1
		g.says(fmt.Sprintf("scale cart to %d", 3+i), "Open a pull request")
		g.says("yes", "")
		time.Sleep(after * time.Millisecond)
		g.must(g.crash())
		there := len(g.forge.Pulls())
		g.says("hello", "")
		g.pulls(n)
		g.must(g.forge.CloseUnmerged(n))
		g.ends("failed", "closed without being merged")
		branches, err := g.forge.Branches("acme/deploy")
		if err != nil || len(branches) != n || len(g.forge.Pulls()) != n {
			t.Fatalf("killed after %d ms: %d branches, %d pull requests, %v", after, len(branches), len(g.forge.Pulls()), err)
		}
		t.Logf("killed after %d ms, with the pull request there: %v", after, there == n)
	}
	told, err := g.outcomes(t.Context())
	if err != nil || len(told) != 6 {
		out, _ := json.Marshal(told) // only to explain
		t.Errorf("%d ends were told: %v\n%s", len(told), err, out)
	}
}
