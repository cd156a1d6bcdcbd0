package main

import (
	"context"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/diagnosis/collect"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
	"github.com/firstmate-ops/firstmate/internal/observability/podlogs"
	"github.com/firstmate-ops/firstmate/internal/observability/prometheus"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// investigation is how causes are found: in the objects and the logs of the
// cluster, and in the back-ends that are configured.
func (c Config) investigation(shown clusters, home string, p *prometheus.Client, out outside, kept logs.Source) (skill.Investigation, error) {
	masker := logs.Masker{Emails: c.Observability.Logs.MaskEmails}
	sources := collect.Sources{Cluster: shown, PodLogs: podlogs.New(shown, podlogs.Options{Masker: masker}), Logs: kept}
	out.sources(&sources)
	if p != nil {
		sources.Metrics = measures{p, home}
	}
	return skill.Investigation{
		Collectors: func() []diagnosis.Collector { return collect.New(sources) },
		Deadline:   c.Diagnosis.Deadline, Now: time.Now, Mask: masker.Mask,
	}, nil
}

// measures is a Prometheus as collectors ask it.
type measures struct {
	*prometheus.Client
	home string // the home cluster, of which back-ends know no name
}

// Measure asks how a metric of a target went.
func (m measures) Measure(ctx context.Context, q collect.Question) (collect.Answer, error) {
	q.Target = athome(q.Target, m.home)
	a, err := m.Client.Measure(ctx, prometheus.Question{
		Target: q.Target, Metric: q.Metric, Percentile: q.Percentile, Window: q.Window, Seen: q.Seen, Step: q.Step, By: q.By,
	})
	return collect.Answer{Series: a.Series, Query: a.Query, Link: a.Link}, err
}

// athome is a target as back-ends know it: the home cluster has no name there.
func athome(t observability.Target, home string) observability.Target {
	if t.Cluster == home {
		t.Cluster = ""
	}
	return t
}
