package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/prometheus"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// ObservabilityConfig is where metrics, logs, errors, alerts and traces are. A
// back-end without a url is not used.
type ObservabilityConfig struct {
	Timeout    time.Duration    `yaml:"timeout" doc:"How long one call to a back-end may take, retries included."`
	Prometheus PrometheusConfig `yaml:"prometheus" env:"PROMETHEUS_URL"`
	Loki       LokiConfig       `yaml:"loki" env:"LOKI_URL"`
	Logs       LogsConfig       `yaml:"logs"`

	Alertmanager AlertmanagerConfig `yaml:"alertmanager" env:"ALERTMANAGER_URL"`
	Sentry       SentryConfig       `yaml:"sentry"`
	Jaeger       JaegerConfig       `yaml:"jaeger" env:"JAEGER_URL"`
	Tempo        TempoConfig        `yaml:"tempo"`
}

// BackendConfig is how to reach a back-end, and what it wants to see.
type BackendConfig struct {
	URL      string            `yaml:"url" doc:"Its address, with the path before its API if there is one. Empty: it is not used."`
	Username string            `yaml:"username" doc:"Basic authentication."`
	Password Secret            `yaml:"password" doc:"Basic authentication."`
	Bearer   Secret            `yaml:"bearer" doc:"Or a bearer token."`
	Headers  map[string]Secret `yaml:"headers" doc:"Headers that every call carries, as in {X-Scope-OrgID: shop}."`
	CAFile   string            `yaml:"ca_file" doc:"PEM of the authorities to trust beside the system's."`
}

// PrometheusConfig is where metrics are, and what they are called there.
type PrometheusConfig struct {
	BackendConfig `yaml:",inline"`
	Link          string              `yaml:"link" doc:"Where people open it, for links in answers. Empty: url."`
	ClusterLabel  string              `yaml:"cluster_label" doc:"The label that tells clusters apart, if it has several; its values are the names of kubernetes.clusters. Empty: it has the home cluster only."`
	Families      []prometheus.Family `yaml:"families" doc:"What metrics of your own are called, a list of {name, histogram} or {name, metric, query, scopes}, tried before the built-in ones: docs/seeing.md."`
}

func observabilityDefaults() ObservabilityConfig {
	return ObservabilityConfig{Timeout: backend.DefaultTimeout, Alertmanager: alertmanagerDefaults()}
}

func (c ObservabilityConfig) check() error {
	if c.Timeout <= 0 {
		return fault.New(fault.Usage, "observability.timeout is a duration like 2s.")
	}
	if _, err := prometheus.Expand(c.Prometheus.Families); err != nil {
		return err
	}
	if err := c.checkOutside(); err != nil {
		return err
	}
	_, err := c.backend("Prometheus", c.Prometheus.BackendConfig, nil, nil)
	if err == nil {
		_, err = c.backend("Loki", c.Loki.withTenant(), nil, nil)
	}
	return err
}

// numbers is where the skills measure.
func (c ObservabilityConfig) numbers(p *prometheus.Client, shown clusters, used skill.Usages) skill.Metrics {
	m := skill.Metrics{
		Now: time.Now, May: shown.MayMeasure,
		Rollouts: func(ctx context.Context, w kube.Workload) ([]kube.Revised, error) {
			s, err := shown.Survey(ctx, w)
			return s.Changes, err
		},
	}
	m.Source = skill.NewMetered(used, time.Now)
	if p != nil {
		m.Source = p
	}
	return m
}

// prometheus is the client of Prometheus, nil where there is none. home is what
// the home cluster is called.
func (c ObservabilityConfig) prometheus(home string, log *slog.Logger, observe func(name, result string, took time.Duration)) (*prometheus.Client, error) {
	b, err := c.backend("Prometheus", c.Prometheus.BackendConfig, log, observe)
	if b == nil || err != nil {
		return nil, err
	}
	return prometheus.NewWith(b, c.Prometheus.Families, prometheus.Options{Home: home, ClusterLabel: c.Prometheus.ClusterLabel, Link: c.Prometheus.Link}), nil
}

// backend is the way to a back-end, nil where it is not configured.
func (c ObservabilityConfig) backend(name string, b BackendConfig, log *slog.Logger, observe func(name, result string, took time.Duration)) (*backend.Client, error) {
	if b.URL == "" {
		return nil, nil
	}
	o := backend.Options{
		Name: name, URL: b.URL, Username: b.Username, Password: string(b.Password), Bearer: string(b.Bearer),
		Header: make(map[string]string, len(b.Headers)), Timeout: c.Timeout, Log: log, Observe: observe,
	}
	for k, v := range b.Headers {
		o.Header[k] = string(v)
	}
	if b.CAFile != "" {
		pem, err := os.ReadFile(b.CAFile)
		if err != nil {
			return nil, fault.Wrap(err, fault.Usage, "The ca_file of %s cannot be read: %v.", name, err)
		}
		o.CA = pem
	}
	return backend.New(o)
}
