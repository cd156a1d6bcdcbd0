package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// metrics is what firstmate says about itself on /metrics.
type metrics struct {
	registry *prometheus.Registry
	turns    *prometheus.HistogramVec
	actions  *prometheus.CounterVec
	calls    *prometheus.HistogramVec
	asked    *prometheus.CounterVec
	tokens   *prometheus.CounterVec
	leader   prometheus.Gauge
	holder   *prometheus.GaugeVec
}

// newMetrics returns the metrics; up tells of each cluster whether it answers.
func newMetrics(clusters []string, up func(string) bool) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		turns: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "firstmate_intent_duration_seconds", Help: "How long intents take to answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"intent", "result"}),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firstmate_actions_total", Help: "Changes that ended, by how.",
		}, []string{"intent", "outcome"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "firstmate_backend_duration_seconds", Help: "How long calls to observability back-ends take, by how they ended; open is that none was made.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"backend", "result"}),
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firstmate_llm_questions_total", Help: "Questions for the language model, by what came of them; spent and withheld are that none was asked.",
		}, []string{"use", "result"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firstmate_llm_tokens_total", Help: "Tokens that these took, as the endpoint counts them, or as they are estimated.",
		}, []string{"use"}),
		leader: prometheus.NewGauge(prometheus.GaugeOpts{Name: "firstmate_leader", Help: "Whether this replica carries changes out."}),
		holder: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "firstmate_leader_info", Help: "Which replica carries changes out, as this one last saw.",
		}, []string{"holder"}),
	}
	for _, name := range clusters {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "firstmate_cluster_up", Help: "Whether a cluster answered when it was last asked.",
			ConstLabels: prometheus.Labels{"cluster": name},
		}, func() float64 {
			if up(name) {
				return 1
			}
			return 0
		}))
	}
	m.registry.MustRegister(m.turns, m.actions, m.calls, m.asked, m.tokens, m.leader, m.holder, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// time wraps handlers so that each is timed.
func (m *metrics) time(handlers map[string]dialogue.Handler) map[string]dialogue.Handler {
	out := make(map[string]dialogue.Handler, len(handlers))
	for name, h := range handlers {
		out[name] = dialogue.HandlerFunc(func(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
			start := time.Now()
			r, err := h.Handle(ctx, t)
			result := "ok"
			if err != nil {
				result = "error"
			}
			m.turns.WithLabelValues(name, result).Observe(time.Since(start).Seconds())
			return r, err
		})
	}
	return out
}

// backend notes a call to a back-end.
func (m *metrics) backend(name, result string, took time.Duration) {
	m.calls.WithLabelValues(strings.ToLower(name), result).Observe(took.Seconds())
}

// model notes a question for the language model.
func (m *metrics) model(use, result string, tokens int) {
	m.asked.WithLabelValues(use, result).Inc()
	m.tokens.WithLabelValues(use).Add(float64(tokens))
}

// counting counts outcomes on their way to the people.
type counting struct {
	action.Reporter
	m *metrics
}

func (m *metrics) count(r action.Reporter) action.Reporter { return counting{r, m} }

// Outcome tells and counts the end of an entry.
func (c counting) Outcome(ctx context.Context, e action.Entry) error {
	err := c.Reporter.Outcome(ctx, e)
	if err == nil {
		c.m.actions.WithLabelValues(e.Intent, string(e.State)).Inc()
	}
	return err
}

// leads notes which replica carries changes out; "" is none, or the only one.
func (m *metrics) leads(holder string, me bool) {
	m.leader.Set(0)
	if me {
		m.leader.Set(1)
	}
	m.holder.Reset()
	if holder != "" {
		m.holder.WithLabelValues(holder).Set(1)
	}
}
