package traffic

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/buildcache"
)

// servers are where the real ones are.
type servers struct{ prometheus, loki, jaeger, otlp string }

// serve starts an empty Prometheus, Loki and Jaeger for a test.
func serve(t *testing.T) servers {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Prometheus, Loki and Jaeger: run without -short")
	}
	module, err := buildcache.FindModule()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(module + "/serve"); err != nil {
		t.Skipf("SKIPPED: nothing here starts servers: %v", err)
	}
	cmd := exec.Command("go", "run", "./serve", "prometheus", "loki", "jaeger")
	cmd.Dir, cmd.Stderr = module, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close() // it stops then
		if err := cmd.Wait(); err != nil {
			t.Errorf("stopping the servers: %v", err)
		}
	})
	ready := make(chan servers, 1)
	go func() {
		defer close(ready)
		var s servers
		for lines := bufio.NewScanner(out); lines.Scan(); {
			switch key, value, _ := strings.Cut(lines.Text(), "="); key {
			case "PROMETHEUS_URL":
				s.prometheus = value
			case "LOKI_URL":
				s.loki = value
			case "JAEGER_URL":
				s.jaeger = value
			case "JAEGER_OTLP_URL":
				s.otlp = value
			case "READY":
				ready <- s
			}
		}
	}()
	select {
	case s, ok := <-ready:
		if !ok {
			t.Fatal("the servers ended before they were ready")
		}
		return s
	case <-time.After(4 * time.Minute):
		t.Fatal("the servers are not ready")
	}
	return servers{}
}
