package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Prometheus sees the cluster through kube-state-metrics, its rules fire, and
// Alertmanager hears of it.
func TestServersSeeTheCluster(t *testing.T) {
	path := binary(t)
	s := start(t, path, append(servers(t, "prometheus", "alertmanager"), "--history", "0s")...)
	defer s.stop(syscall.SIGTERM)
	s.kubectl("set", "image", "deployment/cart", "cart=registry.example.com/shop/cart:2.1-bad", "-n", "shop")
	var alerts []struct{ Labels map[string]string }
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		s.get(s.env["ALERTMANAGER_URL"]+"/api/v2/alerts", &alerts)
		for _, a := range alerts {
			if a.Labels["alertname"] == "KubeContainerWaiting" && a.Labels["reason"] == "ImagePullBackOff" && strings.HasPrefix(a.Labels["pod"], "cart-") {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("no alert tells of cart: %v", alerts)
		}
	}
}

// A sandbox that is killed leaves no server behind, and one whose server is
// killed goes on.
func TestServersEndWithTheSandbox(t *testing.T) {
	path := binary(t)
	s := start(t, path, append(servers(t, "prometheus", "loki", "jaeger", "alertmanager"), "--empty")...)
	answers := func(url string) bool {
		resp, err := (&http.Client{Timeout: 2 * time.Second}).Get(url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return true
	}
	for _, name := range []string{"PROMETHEUS_URL", "LOKI_URL", "JAEGER_URL", "ALERTMANAGER_URL"} {
		if !answers(s.env[name]) {
			t.Errorf("%s=%s does not answer", name, s.env[name])
		}
	}
	pid, err := strconv.Atoi(s.env["LOKI_PID"])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	s.kubectl("get", "nodes")
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	if !strings.Contains(s.stderr.String(), "loki ended by itself: signal: killed") {
		t.Errorf("nobody said that Loki was gone:\n%s", &s.stderr)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left := ""
		for _, name := range []string{"PROMETHEUS_URL", "JAEGER_URL", "ALERTMANAGER_URL"} {
			if answers(s.env[name]) {
				left += " " + name
			}
		}
		if left == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left behind:%s", left)
		}
	}
}
