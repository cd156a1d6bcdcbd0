package alertmanager_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// server is a real Alertmanager.
type server struct {
	url string
	cmd *exec.Cmd
}

// start starts an empty one, with a configuration or the smallest there is.
func start(t *testing.T, config string) *server {
	t.Helper()
	bin := os.Getenv("FIRSTMATE_ALERTMANAGER")
	if bin == "" {
		var err error
		if bin, err = exec.LookPath("prometheus-alertmanager"); err != nil {
			t.Skip("needs Debian's prometheus-alertmanager, or FIRSTMATE_ALERTMANAGER")
		}
	}
	if config == "" {
		config = "route: {receiver: nobody, group_wait: 0s}\nreceivers: [{name: nobody}]\n"
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	s := &server{url: "http://" + addr, cmd: exec.Command(bin, "--config.file="+file, "--storage.path="+dir, "--web.listen-address="+addr, "--cluster.listen-address=")}
	var log bytes.Buffer
	s.cmd.Stderr = &log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	for try := 0; ; try++ {
		if resp, err := http.Get(s.url + "/-/ready"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s
			}
		}
		if try > 200 {
			t.Fatalf("it is not ready: %s", log.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// fire posts alerts as Prometheus does.
func (s *server) fire(t *testing.T, alerts ...map[string]any) {
	t.Helper()
	b, err := json.Marshal(alerts)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(s.url+"/api/v2/alerts", "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(fmt.Sprint("posting alerts: ", resp.Status))
	}
}

func firing(name, severity string, since time.Time, labels map[string]string, annotations map[string]string) map[string]any {
	all := map[string]string{"alertname": name, "severity": severity}
	for k, v := range labels {
		all[k] = v
	}
	return map[string]any{"labels": all, "annotations": annotations, "startsAt": since, "generatorURL": "http://prometheus.example/graph"}
}
