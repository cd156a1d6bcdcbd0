// Package sandboxtest gives tests a real Kubernetes control plane: the one of
// sandbox/, built once and kept in a cache folder.
package sandboxtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Variable names a sandbox binary to use instead of building it.
const Variable = "FIRSTMATE_SANDBOX"

// readyLimit is how long a sandbox may take until it is ready on a busy machine.
const readyLimit = 2 * time.Minute

// Sandbox is a running control plane.
type Sandbox struct {
	Kubeconfig string   // of a cluster administrator; its namespace is shop
	Env        []string // where its servers are, as lines for the environment
	binary     string
	cmd        *exec.Cmd
	stdin      io.Closer
}

// Main runs a package's tests with a sandbox, for TestMain: it starts one,
// hands it to use, runs the tests and stops it. With -short there is none and
// the tests that need one must skip (see Need). args are those of `sandbox up`.
func Main(m interface{ Run() int }, use func(*Sandbox), args ...string) (code int) {
	flag.Parse() // TestMain runs before anyone else does
	if testing.Short() {
		return m.Run()
	}
	s, err := start(args...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandboxtest:", err)
		return 1
	}
	defer func() {
		if err := s.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "sandboxtest: stop:", err)
			code = 1
		}
	}()
	use(s)
	return m.Run()
}

// Need skips a test, visibly, where there is no sandbox.
func Need(t testing.TB, s *Sandbox) {
	t.Helper()
	if s == nil {
		t.Skip("needs the sandbox: run without -short")
	}
}

func start(args ...string) (*Sandbox, error) {
	bin, err := binary()
	if err != nil {
		return nil, err
	}
	s := &Sandbox{binary: bin, cmd: exec.Command(bin, append([]string{"up", "--with-parent"}, args...)...)}
	var log bytes.Buffer
	s.cmd.Stderr = &log
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan bool, 1)
	go func() {
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			if v, ok := strings.CutPrefix(sc.Text(), "KUBECONFIG="); ok {
				s.Kubeconfig = v
			} else if name, _, ok := strings.Cut(sc.Text(), "="); ok && strings.HasSuffix(name, "_URL") {
				s.Env = append(s.Env, sc.Text())
			}
			if sc.Text() == "READY" {
				ready <- true
			}
		}
		ready <- false
	}()
	select {
	case ok := <-ready:
		if ok {
			return s, nil
		}
		err = errors.New("it ended before it was ready")
	case <-time.After(readyLimit):
		err = fmt.Errorf("it was not ready after %v", readyLimit)
	}
	return nil, errors.Join(err, s.stop(), fmt.Errorf("what it said:\n%s", log.String()))
}

func (s *Sandbox) stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		return errors.Join(errors.New("it did not stop in time"), s.cmd.Process.Kill())
	}
}

// Kubectl runs the real kubectl against the sandbox and returns what it
// printed; input is what it reads.
func (s *Sandbox) Kubectl(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.binary, append([]string{"kubectl"}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.Kubeconfig)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// binary builds the sandbox, or finds it built.
func binary() (string, error) {
	if b := os.Getenv(Variable); b != "" {
		return b, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "run", "./build")
	cmd.Dir = filepath.Join(root, "sandbox")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("building the sandbox: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Root is the folder of the main module, also for a test of a module below it.
func Root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	dir := filepath.Dir(strings.TrimSpace(string(out)))
	for below := dir; ; below = filepath.Dir(below) {
		if _, err := os.Stat(filepath.Join(below, "sandbox", "go.mod")); err == nil {
			return below, nil
		}
		if below == filepath.Dir(below) {
			return "", fmt.Errorf("no folder above %s has the sandbox", dir)
		}
	}
}
