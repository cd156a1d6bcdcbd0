package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// Variable names the folder with the programs and images that run.sh built. It is
// set in the namespaces that run.sh makes, and nowhere else.
const Variable = "FIRSTMATE_NODE"

// startLimit is how long a part of the node may take to come up on a busy machine.
const startLimit = 3 * time.Minute

// node is a cluster of one real node.
type node struct {
	dir     string // what run.sh built, and what runs here keeps
	control *sandboxtest.Sandbox
	stops   []func()
}

// TestMain starts the node, where run.sh made a place for it.
func TestMain(m *testing.M) { os.Exit(run(m)) }

var here *node // nil where there is none

func run(m *testing.M) int {
	dir := os.Getenv(Variable)
	if dir == "" {
		return m.Run()
	}
	n := &node{dir: dir}
	defer n.stop()
	began := time.Now()
	if err := n.start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		for _, log := range []string{"containerd.log", "kubelet.log", "kube-proxy.log"} {
			fmt.Fprintf(os.Stderr, "--- %s\n%s\n", log, lastOf(filepath.Join(dir, log), 4000))
		}
		return 1
	}
	fmt.Fprintf(os.Stderr, "the node is ready after %v\n", time.Since(began).Round(100*time.Millisecond))
	here = n
	return m.Run()
}

// start starts all parts, each once what it needs is there.
func (n *node) start(ctx context.Context) error {
	for _, d := range []string{"cni", "volume-plugins", "pod-logs"} {
		if err := os.MkdirAll(filepath.Join(n.dir, d), 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(n.dir, "resolv.conf"), nil, 0o600); err != nil {
		return err
	}
	if err := n.configure("", map[string]string{"containerd.toml": "containerd.toml", "cni.conflist": "cni/10-node.conflist"}); err != nil {
		return err
	}
	if err := n.launch("containerd", "containerd", "-c", filepath.Join(n.dir, "containerd.toml")); err != nil {
		return err
	}
	var err error
	if n.control, err = sandboxtest.Another("--empty", "--nodes", "0"); err != nil {
		return err
	}
	n.stops = append(n.stops, func() { _ = n.control.Stop() }) // the namespace ends it otherwise
	if err := n.configure(n.control.Kubeconfig, map[string]string{"kubelet.yaml": "kubelet.yaml", "proxy.yaml": "proxy.yaml"}); err != nil {
		return err
	}
	socket := filepath.Join(n.dir, "containerd.sock")
	if err := within(ctx, startLimit, func() error { return exec.Command("ctr", "-a", socket, "version").Run() }); err != nil {
		return fmt.Errorf("containerd: %w", err)
	}
	if out, err := exec.Command("ctr", "-a", socket, "-n", "k8s.io", "images", "import", filepath.Join(n.dir, "images.tar")).CombinedOutput(); err != nil {
		return fmt.Errorf("importing the images: %w\n%s", err, out)
	}
	program := filepath.Join(n.dir, "node")
	err = n.launch("kubelet", program, "kubelet", "--config="+filepath.Join(n.dir, "kubelet.yaml"), "--kubeconfig="+n.control.Kubeconfig,
		"--root-dir="+filepath.Join(n.dir, "kubelet"), "--cert-dir="+filepath.Join(n.dir, "kubelet-pki"), "--hostname-override=node1", "--node-ip=10.99.0.1", "--v=2")
	if err == nil {
		err = n.launch("kube-proxy", program, "kube-proxy", "--config="+filepath.Join(n.dir, "proxy.yaml"), "--v=2")
	}
	if err != nil {
		return err
	}
	if err := within(ctx, startLimit, func() error {
		_, err := n.kubectl(ctx, "", "wait", "--for=condition=Ready", "node/node1", "--timeout=1s")
		return err
	}); err != nil {
		return fmt.Errorf("the node is not ready: %w", err)
	}
	if err := within(ctx, startLimit, func() error {
		_, err := n.kubectl(ctx, "", "get", "serviceaccount", "default")
		return err
	}); err != nil {
		return err
	}
	return n.apply(ctx)
}

// apply puts the workloads there and waits for their pods.
func (n *node) apply(ctx context.Context) error {
	b, err := os.ReadFile(filepath.Join("testdata", "hello.yaml"))
	if err != nil {
		return err
	}
	if _, err := n.kubectl(ctx, string(b), "apply", "-f", "-"); err != nil {
		return err
	}
	_, err = n.kubectl(ctx, "", "rollout", "status", "deployment", "--timeout=120s")
	return err
}

// configure writes configuration files with the folders of this run in them.
func (n *node) configure(kubeconfig string, files map[string]string) error {
	for from, to := range files {
		b, err := os.ReadFile(filepath.Join("testdata", from))
		if err != nil {
			return err
		}
		text := strings.NewReplacer("DIR", n.dir, "PKI", filepath.Join(filepath.Dir(kubeconfig), "pki"), "KUBECONFIG", kubeconfig).Replace(string(b))
		if err := os.WriteFile(filepath.Join(n.dir, to), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// launch starts a part that runs until the node is stopped; its log is kept.
func (n *node) launch(name, program string, args ...string) error {
	log, err := os.Create(filepath.Join(n.dir, name+".log"))
	if err != nil {
		return err
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	n.stops = append(n.stops, func() {
		_ = cmd.Process.Kill() // whatever it leaves goes with the namespaces
		_ = cmd.Wait()
		_ = log.Close()
	})
	return nil
}

func (n *node) stop() {
	for i := len(n.stops) - 1; i >= 0; i-- {
		n.stops[i]()
	}
}

func (n *node) kubectl(ctx context.Context, input string, args ...string) (string, error) {
	return n.control.Kubectl(ctx, input, append([]string{"-n", "default"}, args...)...)
}

// bot is a running `bot serve`.
type bot struct{ url string }

// serve starts bot serve on the node's cluster, for somebody who may change what
// is in the namespace default.
func (n *node) serve(t *testing.T) *bot {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "firstmate.yaml")
	text := `access: {people: [{name: ann, speakers: ["dialogflow:*", "web:*"], user: ann, groups: ["system:masters"], write: true}]}
dialogflow: {pin: false, es: {username: node, password: node}}
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(n.dir, "bot.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(n.dir, "bot"), "serve", "--config", config, "--listen", "127.0.0.1:0")
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + n.control.Kubeconfig, "FIRSTMATE_KUBERNETES_NAMESPACE=default"}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			if v, ok := strings.CutPrefix(sc.Text(), "FIRSTMATE_URL="); ok {
				ready <- v
			}
		}
		_, _ = io.Copy(io.Discard, out)
		close(ready)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})
	select {
	case u := <-ready:
		if u != "" {
			return &bot{url: u}
		}
	case <-time.After(startLimit):
	}
	t.Fatalf("bot serve does not start:\n%s", lastOf(log.Name(), 4000))
	return nil
}

// within tries until f succeeds.
func within(ctx context.Context, limit time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func lastOf(file string, n int) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-n):])
}
