package compare_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/gate"
	"github.com/firstmate-ops/firstmate/internal/gate/compare"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
	"github.com/firstmate-ops/firstmate/internal/observability/prometheus"
	"github.com/firstmate-ops/firstmate/internal/observability/promtest"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// service is one version of a service, as it counts its requests.
type service struct {
	ns, name, pod, version string
	from, to               time.Duration // of its life, before now
	scrape                 time.Duration
	rate, fails, took      float64 // requests a second, ratio, seconds
}

// series are the counters of a service up to a moment, with some noise.
func (s service) series(now time.Time) []promtest.Series {
	rng := rand.New(rand.NewPCG(1, 2))
	labels := func(name string, more ...string) map[string]string {
		l := map[string]string{"__name__": name, "namespace": s.ns, "pod": s.pod, "service": s.name}
		if s.version != "" {
			l["version"] = s.version
		}
		for i := 0; i < len(more); i += 2 {
			l[more[i]] = more[i+1]
		}
		return l
	}
	const h = "http_request_duration_seconds"
	limits := []float64{0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2}
	good, bad := promtest.Series{Labels: labels(h+"_count", "code", "200")}, promtest.Series{Labels: labels(h+"_count", "code", "500")}
	buckets := make([]promtest.Series, len(limits)+1)
	counts := make([]float64, len(limits)+1)
	for i := range buckets {
		le := "+Inf"
		if i < len(limits) {
			le = fmt.Sprint(limits[i])
		}
		buckets[i].Labels = labels(h+"_bucket", "code", "200", "le", le)
	}
	var ok, failed float64
	for at := now.Add(-s.from); !at.After(now.Add(-s.to)); at = at.Add(s.scrape) {
		n := s.rate * s.scrape.Seconds() * (0.9 + 0.2*rng.Float64())
		ok, failed = ok+n*(1-s.fails), failed+n*s.fails
		for i := range counts { // most are quick, two in a hundred take as long as they take
			switch {
			case i == len(limits) || limits[i] >= s.took:
				counts[i] += n
			default:
				counts[i] += 0.98 * n
			}
		}
		good.Samples = append(good.Samples, promtest.Sample{At: at, Value: ok})
		if s.fails > 0 {
			bad.Samples = append(bad.Samples, promtest.Sample{At: at, Value: failed})
		}
		for i := range buckets {
			buckets[i].Samples = append(buckets[i].Samples, promtest.Sample{At: at, Value: counts[i]})
		}
	}
	return append(buckets, good, bad)
}

func client(t *testing.T, url string) *prometheus.Client {
	t.Helper()
	b, err := backend.New(backend.Options{Name: "Prometheus", URL: url, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return prometheus.NewWith(b, nil, prometheus.Options{Home: "home"})
}

func deployed(ns string) kube.Change {
	return kube.Change{Ref: kube.Ref{Cluster: "home", Namespace: ns, Kind: kube.Deployment, Name: "web"}, Verb: kube.VerbImage, FromVersion: "v2.2", ToVersion: "2.3"}
}

const minute = time.Minute

// TestMeasure has a real Prometheus with a service of each kind, five minutes after
// it was rolled out.
func TestMeasure(t *testing.T) {
	s := sandboxtest.Prometheus(t)
	now := time.Now().Truncate(time.Second)
	old := service{name: "web", pod: "web-7d9f8b6c5-bcdfg", version: "2.2", from: 30 * minute, to: 5*minute + 20*time.Second, scrape: 15 * time.Second, rate: 10, fails: 0.002, took: 0.15}
	is := func(s service, edit func(*service)) service {
		s.pod, s.version, s.from, s.to = "web-6b5c4d9f8-wxzkp", "2.3", 5*minute+10*time.Second, 0
		if edit != nil {
			edit(&s)
		}
		return s
	}
	bad := func(s *service) { s.fails = 0.12 }
	unlabelled := func(s *service) { s.version = "" }
	canary := func(c kube.Change) kube.Change {
		of := c.Ref
		c.Ref, c.Verb, c.Canary = kube.CanaryOf(of), kube.VerbCanary, &kube.Canary{Of: of, Pods: 1, Beside: 3}
		return c
	}
	lasting := func(s service) service { s.to = 0; return s }
	for i, tt := range []struct {
		name   string
		runs   []service
		change func(kube.Change) kube.Change
		back   bool
		kind   gate.Kind
		why    []gate.Reason
		parted bool
	}{
		{"as good", []service{old, is(old, nil)}, nil, false, gate.Good, nil, true},
		{"errors", []service{old, is(old, bad)}, nil, false, gate.Worse, []gate.Reason{gate.Errors}, true},
		{"slow", []service{old, is(old, func(s *service) { s.took = 0.7 })}, nil, false, gate.Worse, []gate.Reason{gate.Latency}, true},
		{"no version in its metrics, errors", []service{edit(old, unlabelled), is(old, func(s *service) { bad(s); unlabelled(s) })}, nil, false, gate.Worse, []gate.Reason{gate.Errors}, false},
		{"no version in its metrics, as good", []service{edit(old, unlabelled), is(old, unlabelled)}, nil, false, gate.Good, nil, false},
		{"scraped twice a minute, errors", []service{edit(old, twice), is(old, func(s *service) { bad(s); twice(s) })}, nil, false, gate.Worse, []gate.Reason{gate.Errors}, true},
		{"few requests", []service{edit(old, few), is(old, func(s *service) { bad(s); few(s) })}, nil, false, gate.Quiet, nil, true},
		{"nobody asks the new one", []service{old}, nil, false, gate.Quiet, nil, true},
		{"a canary with errors", []service{lasting(old), is(old, func(s *service) { bad(s); s.pod = "web-canary-6b5c4d9f8-wxzkp" })}, canary, false, gate.Worse, []gate.Reason{gate.Errors}, true},
		{"a canary without a version, as good", []service{lasting(edit(old, unlabelled)), is(old, func(s *service) { unlabelled(s); s.pod = "web-canary-6b5c4d9f8-wxzkp" })}, canary, false, gate.Good, nil, true},
		{"a canary without a version, slow", []service{lasting(edit(old, unlabelled)), is(old, func(s *service) { s.took = 0.7; unlabelled(s); s.pod = "web-canary-6b5c4d9f8-wxzkp" })}, canary, false, gate.Worse, []gate.Reason{gate.Latency}, true},
		{"went back, and it helped", []service{edit(old, bad), is(old, nil)}, nil, true, gate.Back, []gate.Reason{gate.Errors}, true},
		{"went back, and it did not help", []service{edit(old, bad), is(old, bad)}, nil, true, gate.Still, []gate.Reason{gate.Errors}, true},
		{"no metrics of it", nil, nil, false, gate.Unseen, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := fmt.Sprintf("ns%d", i)
			for _, r := range tt.runs {
				r.ns = ns
				if err := promtest.Write(t.Context(), s.URL, r.series(now)...); err != nil {
					t.Fatal(err)
				}
			}
			ch := deployed(ns)
			if tt.change != nil {
				ch = tt.change(ch)
			}
			c := compare.New(compare.Parts{Metrics: client(t, s.URL)})
			e := c.Measure(t.Context(), action.Trial{
				Change: ch, Begun: now.Add(-5*minute - 20*time.Second), Complete: now.Add(-5 * minute), Until: now, Back: tt.back,
				Interval: 15 * time.Second, Bake: 5 * minute,
			})
			v := gate.Decide(e, true)
			if tt.back {
				v = gate.Recovered(e, gate.Level{}, true)
			}
			if v.Kind != tt.kind || fmt.Sprint(v.Why) != fmt.Sprint(tt.why) || v.Parted != tt.parted {
				t.Errorf("%s %v parted %v, want %s %v parted %v: %+v", v.Kind, v.Why, v.Parted, tt.kind, tt.why, tt.parted, e)
			}
		})
	}
}

func edit(s service, f func(*service)) service { f(&s); return s }

func few(s *service) { s.rate = 0.05 }

func twice(s *service) { s.scrape = 30 * time.Second }

// A Prometheus that is gone is named, and is no reason to roll back.
func TestADeadPrometheusIsNamed(t *testing.T) {
	s := sandboxtest.Prometheus(t)
	c := compare.New(compare.Parts{Metrics: client(t, s.URL)})
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	v := gate.Decide(c.Measure(t.Context(), action.Trial{Change: deployed("x"), Begun: now.Add(-6 * minute), Complete: now.Add(-5 * minute), Until: now, Interval: 15 * time.Second, Bake: 5 * minute}), true)
	if v.Kind != gate.Blind || len(v.Missing) != 1 || !strings.Contains(v.Missing[0], "Prometheus") {
		t.Errorf("%+v", v)
	}
}

// parts are the other things that are looked at.
type parts struct {
	pods []kube.PodState
	log  map[bool][]string // by whether it is of the time before
}

func (parts) Measure(context.Context, prometheus.Question) (prometheus.Answer, error) {
	return prometheus.Answer{}, nil
}

func (p *parts) Pods(context.Context, kube.PodQuery) ([]kube.PodState, error) { return p.pods, nil }

func (p *parts) Lines(_ context.Context, q logs.Query) iter.Seq2[observability.LogLine, error] {
	return func(yield func(observability.LogLine, error) bool) {
		before := q.Window.To.Before(time.Now().Add(-minute))
		for _, m := range p.log[before] {
			if !yield(observability.LogLine{At: q.Window.From.Add(time.Second), Level: observability.LevelError, Message: m, Raw: m}, nil) {
				return
			}
		}
	}
}

func TestRestartsLogsAndIssues(t *testing.T) {
	now := time.Now()
	p := &parts{pods: []kube.PodState{
		{UID: "old", Created: now.Add(-time.Hour), Restarts: 1},
		{UID: "new", Created: now.Add(-5 * minute), Restarts: 1}, // while it came up
	}}
	var known, fresh []string
	for i := range 20 {
		known = append(known, fmt.Sprintf("cannot reach cache %d", i))
		fresh = append(fresh, fmt.Sprintf("cannot reach cache %d", i+50), fmt.Sprintf("no column total in table orders, request %d", i))
	}
	p.log = map[bool][]string{true: known, false: fresh}
	var asked string
	issues := func(_ context.Context, _ observability.Target, release string, _ time.Time) ([]observability.Issue, error) {
		asked = release
		return []observability.Issue{{Title: "KeyError: total", Events: 12}}, nil
	}
	c := compare.New(compare.Parts{Metrics: p, Pods: p, Logs: p, Issues: issues})
	trial := action.Trial{Change: deployed("x"), Begun: now.Add(-6 * minute), Complete: now.Add(-5 * minute), Until: now, Interval: 15 * time.Second, Bake: 5 * minute}
	e := c.Measure(t.Context(), trial)
	if e.New.Restarts != 0 || len(e.Logs) != 1 || !strings.Contains(e.Logs[0].Text, "no column") || e.Logs[0].Count != 20 || len(e.Issues) != 1 || asked != "2.3" {
		t.Errorf("%+v, asked for %s", e, asked)
	}
	p.pods[0].Restarts, p.pods[1].Restarts = 9, 3
	if e = c.Measure(t.Context(), trial); e.New.Restarts != 2 {
		t.Errorf("%d restarts", e.New.Restarts)
	}
	if v := gate.Decide(e, false); v.Kind != gate.Worse || v.Why[0] != gate.Restarts {
		t.Errorf("%+v", v)
	}
	trial.Back = true
	if e = c.Measure(t.Context(), trial); len(e.Logs)+len(e.Issues)+e.New.Restarts > 0 {
		t.Errorf("going back, it looks at %+v", e)
	}
}
