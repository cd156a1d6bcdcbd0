package main

import (
	"context"
	"iter"
	"log/slog"
	"maps"
	"time"

	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
	"github.com/firstmate-ops/firstmate/internal/observability/loki"
	"github.com/firstmate-ops/firstmate/internal/observability/podlogs"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// LogsConfig is what is done with the lines of logs, wherever they are read.
type LogsConfig struct {
	MaskEmails bool `yaml:"mask_emails" doc:"Mask e-mail addresses too. Passwords, tokens and keys are masked always."`
}

// LokiConfig is where logs are kept.
type LokiConfig struct {
	BackendConfig `yaml:",inline"`
	Tenant        string `yaml:"tenant" doc:"The tenant, sent as X-Scope-OrgID. Empty: there is but one."`
	ClusterLabel  string `yaml:"cluster_label" doc:"The label that tells clusters apart, if it has several; its values are the names of kubernetes.clusters. Empty: it has the home cluster only."`
}

// withTenant is how Loki is reached, its tenant among the headers.
func (c LokiConfig) withTenant() BackendConfig {
	b := c.BackendConfig
	if c.Tenant != "" {
		b.Headers = maps.Clone(b.Headers)
		if b.Headers == nil {
			b.Headers = map[string]Secret{}
		}
		b.Headers["X-Scope-OrgID"] = Secret(c.Tenant)
	}
	return b
}

// logs is where the skills read logs.
func (c ObservabilityConfig) logs(shown clusters, log *slog.Logger, observe func(name, result string, took time.Duration)) (skill.Logs, error) {
	l := skill.Logs{Pods: podlogs.New(shown, podlogs.Options{Masker: c.masker()}), May: shown.MayReadLogs, Now: time.Now, Log: log}
	kept, err := c.loki(shown, log, observe)
	if kept != nil {
		l.Store, l.Name = kept, "Loki"
	}
	return l, err
}

func (c ObservabilityConfig) masker() logs.Masker { return logs.Masker{Emails: c.Logs.MaskEmails} }

// loki is where logs are kept, as much of it as who asks may read; nil where it
// is not configured.
func (c ObservabilityConfig) loki(shown clusters, log *slog.Logger, observe func(name, result string, took time.Duration)) (logs.Source, error) {
	b, err := c.backend("Loki", c.Loki.withTenant(), log, observe)
	if b == nil || err != nil {
		return nil, err
	}
	return permitted{loki.New(b, loki.Options{Masker: c.masker(), ClusterLabel: c.Loki.ClusterLabel, Home: shown.Cluster()}), shown}, nil
}

// permitted is a source that knows more than who asks may see: the cluster is
// asked whether they may read the logs of the namespace themselves.
type permitted struct {
	source logs.Several
	shown  clusters
}

// Lines gives them, or the refusal.
func (p permitted) Lines(ctx context.Context, q logs.Query) iter.Seq2[observability.LogLine, error] {
	t := q.Target
	if err := p.shown.MayReadLogs(ctx, kube.Ref{Cluster: t.Cluster, Namespace: t.Namespace, Kind: t.Kind, Name: t.Name}); err != nil {
		return func(yield func(observability.LogLine, error) bool) { yield(observability.LogLine{}, err) }
	}
	return p.source.Lines(ctx, q)
}

// Several gives each its share, or the refusal.
func (p permitted) Several(ctx context.Context, targets []observability.Target, q logs.Query) []logs.Share {
	out := make([]logs.Share, len(targets))
	var allowed []observability.Target
	var at []int
	for i, t := range targets {
		if out[i].Err = p.shown.MayReadLogs(ctx, kube.Ref{Cluster: t.Cluster, Namespace: t.Namespace, Kind: t.Kind, Name: t.Name}); out[i].Err == nil {
			allowed, at = append(allowed, t), append(at, i)
		}
	}
	for i, s := range p.source.Several(ctx, allowed, q) {
		out[at[i]] = s
	}
	return out
}
