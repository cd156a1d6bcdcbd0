// Package e2e starts the built sandbox and looks at it with its own kubectl. The
// tests run when the binary is in the cache ("go run ./build"), or with
// SANDBOX_E2E=1, which builds it if need be: that takes minutes.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/buildcache"
)

// binary returns the path of the sandbox, or skips the test.
func binary(t *testing.T) string {
	t.Helper()
	module, err := buildcache.FindModule()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := buildcache.New(context.Background(), module, buildcache.NewProgress(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	target, err := buildcache.Sandbox(module)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("SANDBOX_E2E") == "1" {
		path, err := cache.Build(context.Background(), target)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	path, ok, err := cache.Lookup(target)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		t.Skip("SKIPPED: the sandbox is not built; run \"go run ./build\" in the folder sandbox, or set SANDBOX_E2E=1")
	}
	return path
}

// sandbox is a running "sandbox up".
type sandbox struct {
	t          *testing.T
	path       string
	cmd        *exec.Cmd
	stderr     bytes.Buffer
	kubeconfig string
	env        map[string]string // what else it said of where things are
	ended      chan error
}

func start(t *testing.T, path string, args ...string) *sandbox {
	t.Helper()
	s := &sandbox{t: t, path: path, env: map[string]string{}, ended: make(chan error, 1)}
	s.cmd = exec.Command(path, append([]string{"up", "--with-parent"}, args...)...)
	s.cmd.Stderr = &s.stderr
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close() })
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if path, ok := strings.CutPrefix(lines.Text(), "KUBECONFIG="); ok {
				s.kubeconfig = path
			} else if key, value, ok := strings.Cut(lines.Text(), "="); ok {
				s.env[key] = value
			} else if lines.Text() == "READY" {
				ready <- true
			}
		}
		s.ended <- s.cmd.Wait()
		close(ready)
	}()
	select {
	case ok := <-ready:
		if !ok {
			t.Fatalf("the sandbox ended: %v\n%s", <-s.ended, &s.stderr)
		}
	case <-time.After(3 * time.Minute):
		t.Fatalf("the sandbox is not ready after 3 minutes\n%s", &s.stderr)
	}
	t.Logf("ready after %s", time.Since(begun).Round(time.Millisecond))
	return s
}

// stop sends the signal and checks that the sandbox ends well and soon.
func (s *sandbox) stop(sig os.Signal) {
	s.t.Helper()
	begun := time.Now()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
	s.waitEnd()
	s.t.Logf("stopped after %s", time.Since(begun).Round(time.Millisecond))
}

func (s *sandbox) waitEnd() {
	s.t.Helper()
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Errorf("the sandbox ended with %v\n%s", err, &s.stderr)
		}
	case <-time.After(5 * time.Second):
		s.t.Errorf("the sandbox did not stop in 5 s")
	}
}

func (s *sandbox) try(args ...string) (string, error) {
	cmd := exec.Command(s.path, append([]string{"kubectl"}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *sandbox) kubectl(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// eventually waits until kubectl's output satisfies ok.
func (s *sandbox) eventually(what string, limit time.Duration, ok func(out string) bool, args ...string) {
	s.t.Helper()
	end := time.Now().Add(limit)
	for {
		out, err := s.try(args...)
		if err == nil && ok(out) {
			return
		}
		if time.Now().After(end) {
			s.t.Errorf("%s: not within %s; kubectl %s says %v\n%s", what, limit, strings.Join(args, " "), err, out)
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
}

func (s *sandbox) setImage(deployment, container, image string) {
	s.t.Helper()
	s.kubectl("set", "image", "deployment/"+deployment, container+"="+image)
}

func contains(parts ...string) func(string) bool {
	return func(out string) bool {
		for _, p := range parts {
			if !strings.Contains(out, p) {
				return false
			}
		}
		return true
	}
}

func TestSandbox(t *testing.T) {
	path := binary(t)
	s := start(t, path)
	state := filepath.Dir(s.kubeconfig)

	t.Run("shop", s.with(testShop))
	// Started together: each takes its time.
	s.setImage("web", "web", "registry.example.com/shop/web:v2.0-slow")
	slowSince := time.Now()
	s.setImage("cart", "cart", "registry.example.com/shop/cart:2.1-bad")
	s.setImage("checkout", "checkout", "registry.example.com/shop/checkout:v2-crash")
	s.setImage("gateway", "envoy", "registry.example.com/mesh/envoy:1.32-oom")
	t.Run("bad", s.with(testBad))
	t.Run("crash", s.with(testCrash))
	t.Run("oom in one of two containers", s.with(testOOM))
	t.Run("logs", s.with(testLogs))
	t.Run("exec is off", s.with(testExecIsOff))
	t.Run("access", s.with(testAccess))
	t.Run("top", s.with(testTop))
	t.Run("slow", s.with(func(s *sandbox) {
		ready := func(out string) bool { return strings.Contains(out, "true") }
		s.eventually("a slow pod is ready", 45*time.Second, ready,
			"get", "pods", "-l", "app=web", "-o", `jsonpath={.items[?(@.spec.containers[0].image=="registry.example.com/shop/web:v2.0-slow")].status.containerStatuses[0].ready}`)
		if took := time.Since(slowSince); took < 25*time.Second {
			s.t.Errorf("the slow pod was ready after %s", took)
		}
	}))

	s.stop(syscall.SIGTERM)
	if _, err := os.Stat(state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was left behind: %v", state, err)
	}
}

// with runs a part of the test with its own *testing.T.
func (s *sandbox) with(f func(*sandbox)) func(*testing.T) {
	return func(t *testing.T) {
		outer := s.t
		s.t = t
		defer func() { s.t = outer }()
		f(s)
	}
}

func testShop(s *sandbox) {
	for _, line := range strings.Split(strings.TrimSpace(s.kubectl("get", "deployments", "-A", "--no-headers")), "\n") {
		f := strings.Fields(line) // namespace name ready up-to-date available age
		if want, have, _ := strings.Cut(f[2], "/"); want != have || f[4] != have {
			s.t.Errorf("not available: %s", line)
		}
	}
	if out := s.kubectl("rollout", "history", "deployment/checkout"); !contains("checkout v0.9", "checkout v1")(out) {
		s.t.Errorf("the history of checkout:\n%s", out)
	}
	if out := s.kubectl("config", "view", "--minify", "-o", "jsonpath={.current-context} {.contexts[0].context.namespace}"); out != "sandbox shop" {
		s.t.Errorf("context and namespace are %q", out)
	}
	if out := s.kubectl("get", "--raw", "/readyz"); out != "ok" {
		s.t.Errorf("/readyz says %q", out)
	}
	s.kubectl("scale", "deployment/email-sender", "--replicas=3")
	s.kubectl("rollout", "status", "deployment/email-sender", "--timeout=20s")
}

func testBad(s *sandbox) {
	s.eventually("the image cannot be pulled", 15*time.Second, contains("ImagePullBackOff"), "get", "pods", "-l", "app=cart")
	s.eventually("events tell", 5*time.Second, contains(`Failed to pull image "registry.example.com/shop/cart:2.1-bad"`, "Back-off pulling image"), "get", "events")
}

func testCrash(s *sandbox) {
	s.eventually("a crash loop", 15*time.Second, contains("CrashLoopBackOff"), "get", "pods", "-l", "app=checkout")
	s.eventually("the exit code", 5*time.Second, contains("Exit Code:    1", "Back-off restarting failed container checkout"), "describe", "pod", crashing(s))
}

func testOOM(s *sandbox) {
	s.eventually("one of two is OOMKilled", 15*time.Second, contains("1/2", "CrashLoopBackOff"), "get", "pods", "-l", "app=gateway")
	s.eventually("the reason", 5*time.Second, contains("OOMKilled", "137"), "get", "pods", "-l", "app=gateway", "-o", "jsonpath={.items[*].status.containerStatuses[*].lastState}")
}

func testLogs(s *sandbox) {
	if out := s.kubectl("logs", "deployment/payments-api", "--tail=5"); strings.Count(out, "level=") != 5 {
		s.t.Errorf("the last five lines:\n%s", out)
	}
	pod := crashing(s)
	if out := s.kubectl("logs", pod, "--previous"); !contains("panic: checkout", "version=v2-crash")(out) {
		s.t.Errorf("the log of the crash:\n%s", out)
	}
	if out, err := s.try("logs", "postgres-0", "--previous"); err == nil || !strings.Contains(out, "previous terminated container") {
		s.t.Errorf("the previous log of a pod that never restarted: %v\n%s", err, out)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	follow := exec.CommandContext(ctx, s.path, "kubectl", "logs", "-f", "--tail=1", "postgres-0")
	follow.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig)
	out, err := follow.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := range 2 {
		if !lines.Scan() {
			s.t.Errorf("logs -f ended after %d lines", i)
		}
	}
	cancel()
	follow.Wait()
}

func crashing(s *sandbox) string {
	s.t.Helper()
	for _, line := range strings.Split(s.kubectl("get", "pods", "-l", "app=checkout", "--no-headers"), "\n") {
		if f := strings.Fields(line); len(f) > 2 && f[1] == "0/1" {
			return f[0]
		}
	}
	s.t.Fatal("no pod of checkout crashes")
	return ""
}

func testExecIsOff(s *sandbox) {
	if out, err := s.try("exec", "deployment/web", "--", "id"); err == nil || strings.Contains(out, "uid=") {
		s.t.Errorf("exec ran a command: %v\n%s", err, out)
	}
}

func testAccess(s *sandbox) {
	for _, c := range []struct {
		group, verb, resource, namespace, want string
	}{
		{"shop-operators", "patch", "deployments", "shop", "yes"},
		{"shop-operators", "update", "deployments/scale", "staging", "yes"},
		{"shop-operators", "list", "nodes", "", "yes"},
		{"shop-operators", "delete", "nodes", "", "no"},
		{"shop-operators", "create", "clusterrolebindings", "", "no"},
		{"shop-viewers", "get", "pods/log", "shop", "yes"},
		{"shop-viewers", "list", "namespaces", "", "yes"},
		{"shop-viewers", "patch", "deployments", "shop", "no"},
		{"others", "list", "pods", "shop", "no"},
	} {
		resource, sub, _ := strings.Cut(c.resource, "/")
		out, _ := s.try("auth", "can-i", c.verb, resource, "--subresource="+sub, "-n", c.namespace, "--as=demo", "--as-group="+c.group)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if got := lines[len(lines)-1]; got != c.want {
			s.t.Errorf("may %s %s %s in %q? %s, want %s", c.group, c.verb, c.resource, c.namespace, got, c.want)
		}
	}
}

func testTop(s *sandbox) {
	// What is used is a counter's rise over the time between two looks at it, which is never quite the same.
	s.eventually("metrics-server answers", 45*time.Second, regexp.MustCompile(`payments-api-\S+ +5[3-7]m +160Mi`).MatchString, "top", "pods", "-n", "shop")
	s.eventually("for nodes as well", 5*time.Second, contains("node-1", "node-3"), "top", "nodes")
}

func TestNamedFolder(t *testing.T) {
	path := binary(t)
	dir := filepath.Join(t.TempDir(), strings.Repeat("a-long-name-", 8))
	s := start(t, path, "--dir", dir, "--empty", "--nodes", "2")
	s.kubectl("create", "configmap", "kept")
	s.kubectl("create", "deployment", "app", "--image=registry.example.com/app:1")
	s.kubectl("rollout", "status", "deployment/app", "--timeout=20s")
	if out, err := exec.Command(path, "up", "--dir", dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "another sandbox is running") {
		t.Errorf("a second sandbox in the folder: %v\n%s", err, out)
	}
	s.stop(os.Interrupt)

	s = start(t, path, "--dir", dir, "--empty")
	s.kubectl("get", "configmap", "kept")
	s.kubectl("logs", "deployment/app", "--tail=1") // through the kubelet's new port
	if n := strings.Count(s.kubectl("get", "nodes", "--no-headers"), "Ready"); n != 3 {
		t.Errorf("%d nodes, want 3", n)
	}
	s.stop(os.Interrupt)
	if _, err := os.Stat(s.kubeconfig); err != nil {
		t.Errorf("the state is gone: %v", err)
	}
}

func TestStopsWithItsParent(t *testing.T) {
	path := binary(t)
	// A shell that is killed as no program expects to be.
	cmd := exec.Command("sh", "-c", fmt.Sprintf("%q up --with-parent --empty & echo $!; wait", path))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	kubeconfig := ""
	for lines.Scan() && lines.Text() != "READY" {
		if p, ok := strings.CutPrefix(lines.Text(), "KUBECONFIG="); ok {
			kubeconfig = p
		}
	}
	if kubeconfig == "" {
		t.Fatal("the sandbox did not start")
	}
	cmd.Process.Kill()
	gone := make(chan bool)
	go func() {
		for lines.Scan() { // ends when the sandbox closes its standard output
		}
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Error("the sandbox runs on")
	}
	cmd.Wait()
	if _, err := os.Stat(filepath.Dir(kubeconfig)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder was left behind: %v", err)
	}
}

func TestWrongUsage(t *testing.T) {
	path := binary(t)
	for args, want := range map[string]string{
		"":                  "sandbox up [flags]",
		"fly":               `no command "fly"`,
		"up --nodes 1001":   "--nodes must be",
		"up --nodes 0":      "add --empty",
		"up --pods -1":      "--pods must be",
		"up here":           `unexpected argument "here"`,
		"up --unknown-flag": "unknown-flag",
	} {
		out, err := exec.Command(path, strings.Fields(args)...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), want) {
			t.Errorf("sandbox %s: %v\n%s", args, err, out)
		}
	}
}
