package sandboxtest

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Another starts one more control plane, for a test that needs several
// clusters. Stop or Kill must be called. args are those of `sandbox up`.
func Another(args ...string) (*Sandbox, error) { return start(args...) }

// Stop ends a control plane that Another started, if it still runs.
func (s *Sandbox) Stop() error {
	if s.cmd.ProcessState != nil {
		return nil // killed
	}
	return s.stop()
}

// Kill ends a control plane as a power cut would: nobody is told.
func (s *Sandbox) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	if err := s.cmd.Wait(); err == nil {
		return errors.New("it ended by itself")
	}
	return nil
}

// WithServers is a sandbox of a test's own that is watched: with these servers,
// the shop at work in it, and args. It skips the test, visibly, where a server
// cannot be had.
func WithServers(t testing.TB, servers []string, args ...string) *Sandbox {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range servers {
		cmd := exec.Command("go", "run", "./build", name)
		cmd.Dir = filepath.Join(root, "sandbox")
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil && strings.Contains(said.String(), "cannot be had") {
			t.Skipf("SKIPPED: %v\n%s", err, said.String())
		}
		if err != nil {
			t.Fatalf("building %s: %v\n%s", name, err, said.String())
		}
		args = append(args, "--server", name+"="+strings.TrimSpace(string(out)))
	}
	s, err := start(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("stopping the sandbox: %v", err)
		}
	})
	return s
}
