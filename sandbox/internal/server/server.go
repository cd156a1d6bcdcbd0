// Package server runs the servers beside the control plane, each the real one in
// a process of its own on loopback: Prometheus, Loki, Jaeger and Alertmanager.
//
// The package uses the standard library alone, so that tests and "go run ./serve"
// need not compile Kubernetes to have a Loki.
package server

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/loopback"
)

//go:embed manifests
var manifests embed.FS

const (
	// startLimit is how long a server may take until it is ready on a busy machine.
	startLimit = 90 * time.Second
	// attempts is how often a server is started with other ports: somebody else
	// may take one before it does.
	attempts = 3
)

// Options say how a server runs.
type Options struct {
	// Binary is the path of the program.
	Binary string
	// Dir is a folder for its data, its configuration and its log.
	Dir string

	// Alertmanager is where Prometheus sends alerts, Rules are the files with its
	// alert rules, Scrapes what it asks for metrics. It may have none of these.
	Alertmanager string
	Rules        []string
	Scrapes      []Scrape
	// Webhook is where Alertmanager tells of alerts, if anywhere. WebhookFile holds
	// that instead, and is read anew each time: who is told may begin later.
	Webhook, WebhookFile string
}

// Scrape is something that Prometheus asks for metrics.
type Scrape struct {
	Job string
	// Address is host:port.
	Address string
	// HonorLabels keeps labels such as namespace that the metrics have.
	HonorLabels bool
	// Keep is a regular expression for the metrics to keep; "" keeps all.
	Keep string
	// CAFile, CertFile and KeyFile make it HTTPS.
	CAFile, CertFile, KeyFile string
}

// Server is a running server.
type Server struct {
	// Name is that of the program.
	Name string
	// URL is where its API is, OTLP where Jaeger takes spans by OTLP over HTTP.
	URL, OTLP string
	// PID is the process.
	PID int

	process *os.Process
	done    chan struct{}
	err     error // of Wait, once done is closed
}

// Start starts the named server and returns it once it is ready. It ends with
// this process at the latest, however that ends (on Linux).
func Start(ctx context.Context, name string, o Options) (*Server, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	var failures []error
	for range attempts {
		s, err := start(ctx, name, o)
		if err == nil {
			return s, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || !errors.Is(err, errEnded) {
			break
		}
	}
	return nil, fmt.Errorf("starting %s: %w", name, errors.Join(failures...))
}

// errEnded says that a server ended before it was ready.
var errEnded = errors.New("it ended by itself")

func start(ctx context.Context, name string, o Options) (*Server, error) {
	r, err := describe(name, o)
	if err != nil {
		return nil, err
	}
	logFile := filepath.Join(o.Dir, name+".log")
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(o.Binary, r.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = o.Dir, log, log
	cmd.Env = append(os.Environ(), r.env...)
	cmd.SysProcAttr = attributes()
	s := &Server{Name: name, URL: r.url, OTLP: r.otlp, done: make(chan struct{})}
	if err := s.launch(cmd); err != nil {
		return nil, err
	}
	limit, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("it was not ready after %s", startLimit))
	defer cancel()
	if err := s.waitReady(limit, r.ready); err != nil {
		s.Stop(0)
		return nil, fmt.Errorf("%w%s", err, lastLines(logFile, 8))
	}
	return s, nil
}

// launch starts the process. The kernel ends it with the thread that started it,
// so that thread is kept for as long as the process runs.
func (s *Server) launch(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			s.process, s.PID = cmd.Process, cmd.Process.Pid
		}
		started <- err
		if err == nil {
			s.err = cmd.Wait()
			close(s.done)
		}
	}()
	return <-started
}

func (s *Server) waitReady(ctx context.Context, url string) error {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil); err != nil {
			return err
		} else if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.done:
			return fmt.Errorf("%w: %w", errEnded, s.Failure())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Variable is how the server's name begins in the environment: PROMETHEUS.
func (s *Server) Variable() string { return strings.ToUpper(s.Name) }

// Announce prints where the server is and which process, as lines for the
// environment.
func (s *Server) Announce(w io.Writer) {
	fmt.Fprintf(w, "%s_PID=%d\n", s.Variable(), s.PID)
	fmt.Fprintf(w, "%s_URL=%s\n", s.Variable(), s.URL)
	if s.OTLP != "" {
		fmt.Fprintf(w, "%s_OTLP_URL=%s\n", s.Variable(), s.OTLP)
	}
}

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Failure is why the process ended, once Done is closed.
func (s *Server) Failure() error {
	if s.err != nil {
		return s.err
	}
	return errors.New("exit status 0")
}

// Stop asks the process to end and kills it if it has not after the time: what
// it was told is on the disk by then, or, in a sandbox, not worth the wait.
func (s *Server) Stop(patience time.Duration) {
	if patience > 0 {
		_ = s.process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-s.done:
			return
		case <-time.After(patience):
		}
	}
	_ = s.process.Kill()
	<-s.done
}

// recipe is how a server is run this time.
type recipe struct {
	args, env        []string
	url, otlp, ready string
}

// describe finds ports for a server and writes its configuration.
func describe(name string, o Options) (recipe, error) {
	ports, err := loopback.FreePorts(10)
	if err != nil {
		return recipe{}, err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	r := recipe{url: "http://" + at(0)}
	data, config := filepath.Join(o.Dir, "data"), filepath.Join(o.Dir, name+".yaml")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return r, err
	}
	fill := map[string]string{
		"DIR": quote(data), "CHUNKS": quote(filepath.Join(data, "chunks")), "RULERS": quote(filepath.Join(data, "rules")),
		"ALERTMANAGERS": "[]", "WEBHOOKS": "[]", "RULES": list(o.Rules), "SCRAPES": scrapes(o.Scrapes),
	}
	for i := range ports {
		fill[fmt.Sprintf("PORT%d", i)] = fmt.Sprint(ports[i])
	}
	switch name {
	case "prometheus":
		if host, ok := strings.CutPrefix(o.Alertmanager, "http://"); ok {
			fill["ALERTMANAGERS"] = "[{static_configs: [{targets: " + list([]string{host}) + "}]}]"
		}
		r.ready = r.url + "/-/ready"
		r.args = []string{
			"--config.file=" + config, "--storage.tsdb.path=" + data, "--storage.tsdb.retention.time=30d",
			"--web.listen-address=" + at(0), "--web.enable-remote-write-receiver", "--web.enable-otlp-receiver",
			"--web.enable-lifecycle", "--log.level=warn",
		}
	case "loki":
		r.ready = r.url + "/ready"
		r.args = []string{"-config.file=" + config, "-target=all"}
	case "alertmanager":
		switch {
		case o.Webhook != "":
			fill["WEBHOOKS"] = "[{url: " + quote(o.Webhook) + ", send_resolved: true}]"
		case o.WebhookFile != "":
			fill["WEBHOOKS"] = "[{url_file: " + quote(o.WebhookFile) + ", send_resolved: true}]"
		}
		r.ready = r.url + "/-/ready"
		r.args = []string{
			"--config.file=" + config, "--storage.path=" + data, "--web.listen-address=" + at(0),
			"--cluster.listen-address=", "--log.level=warn",
		}
	case "jaeger":
		r.ready, r.otlp = "http://"+at(1)+"/", "http://"+at(2)
		r.env = []string{"SPAN_STORAGE_TYPE=memory"}
		r.args = []string{
			"--query.http-server.host-port=" + at(0), "--admin.http.host-port=" + at(1), "--collector.otlp.http.host-port=" + at(2),
			"--query.grpc-server.host-port=" + at(3), "--collector.otlp.grpc.host-port=" + at(4),
			"--collector.http-server.host-port=" + at(5), "--collector.grpc-server.host-port=" + at(6),
			"--http-server.host-port=" + at(7),
			"--processor.jaeger-binary.server-host-port=" + at(8), "--processor.jaeger-compact.server-host-port=" + at(9),
			"--processor.zipkin-compact.server-host-port=127.0.0.1:0",
			"--memory.max-traces=100000", "--log-level=warn",
		}
		return r, nil
	default:
		return r, fmt.Errorf("there is no server %q", name)
	}
	return r, writeConfig(name, config, fill)
}

func writeConfig(name, path string, fill map[string]string) error {
	b, err := manifests.ReadFile("manifests/" + name + ".yaml")
	if err != nil {
		return err
	}
	var pairs []string
	for key, value := range fill {
		pairs = append(pairs, "[["+key+"]]", value)
	}
	return os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(string(b))), 0o600)
}

// WriteRules writes the sandbox's alert rules to a file, for Options.Rules.
func WriteRules(path string) error {
	b, err := manifests.ReadFile("manifests/rules.yaml")
	if err != nil {
		return err
	}
	// Its folder is that of the servers, none of which may have been started.
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// scrapes are Prometheus' scrape_configs, in YAML's flow style.
func scrapes(all []Scrape) string {
	var out []string
	for _, s := range all {
		text := fmt.Sprintf("job_name: %s, honor_labels: %t, static_configs: [{targets: %s}]", quote(s.Job), s.HonorLabels, list([]string{s.Address}))
		if s.CAFile != "" {
			text += fmt.Sprintf(", scheme: https, tls_config: {ca_file: %s, cert_file: %s, key_file: %s}", quote(s.CAFile), quote(s.CertFile), quote(s.KeyFile))
		}
		if s.Keep != "" {
			text += fmt.Sprintf(", metric_relabel_configs: [{source_labels: [__name__], regex: %s, action: keep}]", quote(s.Keep))
		}
		out = append(out, "{"+text+"}")
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func list(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// quote makes a string safe in YAML.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// lastLines is the end of a log.
func lastLines(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return "\n  its log ends with:\n  | " + strings.Join(lines[max(0, len(lines)-n):], "\n  | ")
}
