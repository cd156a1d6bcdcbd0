package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/controlplane"
	"github.com/firstmate-ops/firstmate/sandbox/internal/server"
)

// serverPatience is how long a server may take to end when it is asked to; what
// it was told before is in its write-ahead log by then.
const serverPatience = 400 * time.Millisecond

// binaries are the programs of the servers to start, by their names.
type binaries map[string]string

func (b binaries) String() string { return "" }

// Set takes name=path.
func (b binaries) Set(s string) error {
	name, path, ok := strings.Cut(s, "=")
	if !ok || name == "" || path == "" {
		return errors.New("want name=path")
	}
	if !slices.Contains([]string{"prometheus", "loki", "jaeger", "alertmanager"}, name) {
		return fmt.Errorf("there is no server %q", name)
	}
	abs, err := filepath.Abs(path)
	b[name] = abs
	return err
}

// servers are those that run beside the control plane, by their names.
type servers struct {
	mu   sync.Mutex
	all  map[string]*server.Server
	done sync.WaitGroup
}

// url is where a server is, "" if it was not asked for.
func (s *servers) url(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.all[name]; one != nil {
		return one.URL
	}
	return ""
}

// otlp is where spans go, "" if nobody was asked for who takes them.
func (s *servers) otlp() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.all["jaeger"]; one != nil {
		return one.OTLP
	}
	return ""
}

// announce prints where the servers are.
func (s *servers) announce(out io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.all)) {
		s.all[name].Announce(out)
	}
}

// stop ends the servers, all at the same time.
func (s *servers) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		s.done.Go(func() { one.Stop(serverPatience) })
	}
	s.done.Wait()
}

// startServers starts the servers that were asked for and returns when they are
// ready. They need nothing of the control plane: Prometheus waits for what it
// scrapes, and must know where Alertmanager is.
func (c *cluster) startServers(ctx context.Context) error {
	if len(c.options.servers) == 0 {
		return nil
	}
	c.say("starting %s", strings.Join(slices.Sorted(maps.Keys(c.options.servers)), ", "))
	rules := c.state.File("servers", "rules.yaml")
	prometheus := server.Options{Rules: []string{rules}, Scrapes: c.scrapes()}
	var wg sync.WaitGroup
	errs := make(chan error, len(c.options.servers))
	for name := range c.options.servers {
		if name != "prometheus" && name != "alertmanager" {
			wg.Go(func() { errs <- c.startServer(ctx, name, server.Options{}) })
		}
	}
	wg.Go(func() {
		if _, ok := c.options.servers["alertmanager"]; ok {
			if err := c.startServer(ctx, "alertmanager", c.alertsTo()); err != nil {
				errs <- err
				return
			}
			prometheus.Alertmanager = c.servers.url("alertmanager")
		}
		if _, ok := c.options.servers["prometheus"]; ok {
			errs <- c.startServer(ctx, "prometheus", prometheus)
		}
	})
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (c *cluster) startServer(ctx context.Context, name string, o server.Options) error {
	o.Binary, o.Dir = c.options.servers[name], c.state.File("servers", name)
	if len(o.Rules) > 0 {
		if err := server.WriteRules(o.Rules[0]); err != nil {
			return err
		}
	}
	s, err := server.Start(ctx, name, o)
	if err != nil {
		return err
	}
	c.servers.mu.Lock()
	defer c.servers.mu.Unlock()
	if c.servers.all == nil {
		c.servers.all = map[string]*server.Server{}
	}
	c.servers.all[name] = s
	c.say("%s is ready at %s", name, s.URL)
	// The cluster goes on without it: how firstmate does, somebody may want to see.
	go func() {
		select {
		case <-s.Done():
			if c.group.Context().Err() == nil {
				c.say("%s ended by itself: %v", name, s.Failure())
			}
		case <-c.group.Context().Done():
		}
	}()
	return nil
}

// alertsTo says whom Alertmanager tells.
func (c *cluster) alertsTo() server.Options {
	o := server.Options{Webhook: c.options.alertWebhook}
	if c.options.alertWebhookLater {
		o.WebhookFile = c.state.File(alertWebhookFile)
	}
	return o
}

// scrapes are what Prometheus asks for metrics.
func (c *cluster) scrapes() []server.Scrape {
	local := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	files := c.config.PKI
	return []server.Scrape{
		{Job: "kube-state-metrics", Address: local(c.config.StateMetricsPort), HonorLabels: true},
		// Of its 20,000 series, those that say how it is.
		{Job: "apiserver", Address: local(c.config.APIPort), Keep: "apiserver_request_total|apiserver_current_inflight_requests|process_.*|go_goroutines|go_memstats_heap_inuse_bytes",
			CAFile: files.CACert, CertFile: files.AdminCert, KeyFile: files.AdminKey},
	}
}

// startStateMetrics starts kube-state-metrics, if there is somebody to ask it.
func (c *cluster) startStateMetrics() {
	if _, ok := c.options.servers["prometheus"]; ok {
		c.launch("kube-state-metrics", controlplane.RunKubeStateMetrics)
	}
}
