package sandboxtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a real server that was started for a test.
type Server struct {
	// URL is where its API is, OTLP where Jaeger takes spans by OTLP over HTTP.
	URL, OTLP string

	pid  int
	stop func() error
}

// serverLimit is how long a server that is built may take until it is ready. One
// that is not built, because "make servers" did not run, takes minutes.
const serverLimit = 15 * time.Minute

// Prometheus is an empty Prometheus: it takes samples by remote write and by
// OTLP, also old ones, and asks nobody for any.
func Prometheus(t testing.TB) *Server { return serve(t, "prometheus") }

// PrometheusWithRules is one that has the sandbox's alert rules.
func PrometheusWithRules(t testing.TB) *Server { return serve(t, "prometheus", "-rules") }

// Loki is an empty Loki that takes lines of any age.
func Loki(t testing.TB) *Server { return serve(t, "loki") }

// Alertmanager is one without alerts, which tells nobody of any.
func Alertmanager(t testing.TB) *Server { return serve(t, "alertmanager") }

// AlertmanagerCalling is one that tells a webhook of its alerts.
func AlertmanagerCalling(t testing.TB, webhook string) *Server {
	return serve(t, "alertmanager", "-webhook", webhook)
}

// Jaeger is an empty Jaeger, which keeps traces in memory.
func Jaeger(t testing.TB) *Server { return serve(t, "jaeger") }

// Kill ends the server as a power cut would, before the test is over.
func (s *Server) Kill() error {
	p, err := os.FindProcess(s.pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

// Stall stops the server from answering while its port stays open, until the
// returned function is called: the slowest server there is.
func (s *Server) Stall() (resume func() error, err error) {
	p, err := os.FindProcess(s.pid)
	if err != nil {
		return nil, err
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	for range 100 { // its threads stop one after the other
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid)); err != nil || bytes.Contains(stat, []byte(") T ")) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return func() error { return p.Signal(syscall.SIGCONT) }, nil
}

// serve starts a server that is stopped with the test. It skips the test,
// visibly, with -short, and where the server cannot be had.
func serve(t testing.TB, name string, flags ...string) *Server {
	t.Helper()
	if testing.Short() {
		t.Skipf("needs %s: run without -short", name)
	}
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	s, err := startServer(filepath.Join(root, "sandbox"), name, flags...)
	if errors.Is(err, errUnavailable) {
		t.Skipf("SKIPPED: %v", err)
	}
	if err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("stopping %s: %v", name, err)
		}
	})
	return s
}

// errUnavailable says that a server can be neither built nor downloaded here.
var errUnavailable = errors.New("the server cannot be had on this machine")

func startServer(module, name string, flags ...string) (*Server, error) {
	cmd := exec.Command("go", append(append([]string{"run", "./serve"}, flags...), name)...)
	cmd.Dir = module
	var said bytes.Buffer
	cmd.Stderr = &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{}
	s.stop = func() error {
		// It stops when its standard input is closed.
		return errors.Join(stdin.Close(), cmd.Wait())
	}
	ready := make(chan bool, 1)
	go func() {
		prefix := strings.ToUpper(name)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			key, value, _ := strings.Cut(lines.Text(), "=")
			switch key {
			case prefix + "_URL":
				s.URL = value
			case prefix + "_OTLP_URL":
				s.OTLP = value
			case prefix + "_PID":
				_, _ = fmt.Sscan(value, &s.pid) // 0 cannot be killed
			case "READY":
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
	case <-time.After(serverLimit):
		err = fmt.Errorf("it was not ready after %v", serverLimit)
	}
	err = errors.Join(err, s.stop(), fmt.Errorf("what it said:\n%s", said.String()))
	if strings.Contains(said.String(), "cannot be had") {
		err = errors.Join(errUnavailable, err)
	}
	return nil, err
}
