package collect

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/prometheus"
	"github.com/firstmate-ops/firstmate/internal/observability/promtest"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// town is a cluster of surveys.
type town map[string]kube.Survey

func (c town) Find(_ context.Context, q kube.Query) ([]kube.Workload, error) {
	var out []kube.Workload
	for _, n := range sorted(c) {
		if w := c[n].Workload; q.Name == "" || q.Name == n {
			out = append(out, w)
		}
	}
	return out, nil
}

func (c town) Survey(_ context.Context, w kube.Workload) (kube.Survey, error) {
	return c[w.Ref.Name], nil
}

func (c town) Behind(_ context.Context, s kube.Ref) ([]kube.Workload, error) {
	if v, ok := c[strings.TrimSuffix(s.Name, "-svc")]; ok {
		return []kube.Workload{v.Workload}, nil
	}
	return nil, nil
}

// measures is a Prometheus as collectors ask it.
type measures struct{ *prometheus.Client }

func (m measures) Measure(ctx context.Context, q Question) (Answer, error) {
	a, err := m.Client.Measure(ctx, prometheus.Question{Target: q.Target, Metric: q.Metric, Percentile: q.Percentile, Window: q.Window, Seen: q.Seen, Step: q.Step, By: q.By})
	return Answer{Series: a.Series, Query: a.Query, Link: a.Link}, err
}

// requests makes a histogram of requests, so many a second, that take fast until
// onset and slow from then on; of them a share fails from then on.
func requests(name string, labels map[string]string, from, to, onset time.Time, fast, slow, failing float64) []promtest.Series {
	const perSecond = 20.0
	with := func(name, extra, value string, code string) map[string]string {
		out := map[string]string{"__name__": name, "namespace": "shop", "code": code}
		for k, v := range labels {
			out[k] = v
		}
		if extra != "" {
			out[extra] = value
		}
		return out
	}
	var all []promtest.Series
	for _, code := range []string{"200", "500"} {
		// How many requests of the code were there until a moment, before and after the onset.
		counts := func(since time.Duration) (before, after float64) {
			at, turn := since.Seconds(), onset.Sub(from).Seconds()
			share := failing
			if code == "200" {
				before, share = perSecond*min(at, turn), 1-failing
			}
			return before, perSecond * share * max(0, at-turn)
		}
		for _, le := range []float64{0.025, 0.05, 0.1, 0.25, 0.5, 1, 0} {
			bound := "+Inf"
			if le > 0 {
				bound = strconv.FormatFloat(le, 'f', -1, 64)
			}
			all = append(all, promtest.Line(with(name+"_bucket", "le", bound, code), from, to, 15*time.Second, func(since time.Duration) float64 {
				before, after := counts(since)
				sum := 0.0
				if le == 0 || fast <= le {
					sum += before
				}
				if le == 0 || slow <= le {
					sum += after
				}
				return sum
			}))
		}
		all = append(all, promtest.Line(with(name+"_count", "", "", code), from, to, 15*time.Second, func(since time.Duration) float64 {
			before, after := counts(since)
			return before + after
		}))
	}
	return all
}

// workload makes one with two pods, which run a version each where there was a
// roll-out, and a Service.
func workload(name string, rolled time.Time) kube.Survey {
	ref := kube.Ref{Namespace: "shop", Kind: kube.Deployment, Name: name}
	s := kube.Survey{At: time.Now(), Workload: kube.Workload{Ref: ref, Selector: map[string]string{"app": name}, Progress: kube.Progress{State: kube.Complete, Desired: 2, Ready: 2, Updated: 2, Total: 2, Available: 2}}}
	s.Changes = []kube.Revised{{Number: 1, At: time.Now().Add(-72 * time.Hour), Version: "v1", Hash: "bbbbbbbbb"}}
	if !rolled.IsZero() {
		s.Changes = append([]kube.Revised{{Number: 2, At: rolled, Version: "v2", Hash: "ccccccccc", Current: true, Changed: []kube.Difference{{Facet: kube.FacetImage, From: "a:v1", To: "a:v2"}}}}, s.Changes...)
	}
	for i, h := range []string{"bbbbbbbbb-xxxx2", "ccccccccc-xxxx4"} {
		s.Pods = append(s.Pods, kube.PodDetail{PodState: kube.PodState{Ref: kube.Ref{Namespace: "shop", Kind: kube.Pod, Name: name + "-" + h}, Ready: true, Created: time.Now().Add(-72 * time.Hour)}, Version: []string{"v1", "v2"}[i], Node: "node-" + strconv.Itoa(i+1)})
	}
	s.Services = []kube.ServiceState{{Ref: kube.Ref{Namespace: "shop", Kind: "Service", Name: name + "-svc"}, Chooses: 2, Ready: 2, Known: true}}
	return s
}

// TestTrafficOnARealPrometheus holds that the way of calls is found by metrics
// alone, that each onset is where it was fed, before the roll-out that came after
// it, and that versions and pods are told apart.
func TestTrafficOnARealPrometheus(t *testing.T) {
	server := sandboxtest.Prometheus(t)
	now := time.Now().Truncate(15 * time.Second)
	from, onset, rolled := now.Add(-3*time.Hour), now.Add(-14*time.Minute), now.Add(-9*time.Minute)
	pod := func(name, hash, version string) map[string]string {
		return map[string]string{"pod": name + "-" + hash, "service": name, "version": version, "method": "GET"}
	}
	peer := func(name, to string) map[string]string {
		return map[string]string{"pod": name + "-bbbbbbbbb-xxxx2", "service": name, "peer": to}
	}
	var all []promtest.Series
	for _, s := range [][]promtest.Series{
		// web calls api by its Service, api calls a database outside; api is slow since
		// the onset, and so is web. cart has nothing to do with it.
		requests("http_request_duration_seconds", pod("web", "bbbbbbbbb-xxxx2", "v1"), from, now, onset, 0.08, 0.4, 0),
		requests("http_request_duration_seconds", pod("web", "ccccccccc-xxxx4", "v2"), from, now, onset, 0.08, 0.4, 0),
		requests("http_request_duration_seconds", pod("api", "bbbbbbbbb-xxxx2", "v1"), from, now, onset, 0.04, 0.3, 0.1),
		requests("http_request_duration_seconds", pod("cart", "bbbbbbbbb-xxxx2", "v1"), from, now, onset, 0.04, 0.04, 0),
		requests("http_client_request_duration_seconds", peer("web", "api-svc:8080"), from, now, onset, 0.04, 0.3, 0.1),
		requests("http_client_request_duration_seconds", peer("api", "db.example.com"), from, now, onset, 0.02, 0.02, 0),
		requests("http_client_request_duration_seconds", peer("cart", "web-svc"), from, now, onset, 0.08, 0.4, 0),
	} {
		all = append(all, s...)
	}
	if err := promtest.Write(t.Context(), server.URL, all...); err != nil {
		t.Fatal(err)
	}
	b, err := backend.New(backend.Options{Name: "Prometheus", URL: server.URL, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c := town{"web": workload("web", rolled), "api": workload("api", time.Time{}), "cart": workload("cart", time.Time{})}
	sources := Sources{Cluster: c, Metrics: measures{prometheus.New(b, nil)}}
	request := diagnosis.Request{Target: observability.Target{Namespace: "shop", Kind: kube.Deployment, Name: "web"}, Window: observability.Window{From: now.Add(-time.Hour), To: now}}
	got := diagnosis.Gather(t.Context(), 60*time.Second, New(sources), request)
	for _, m := range got.Missing {
		t.Errorf("missing: %+v", m)
	}
	find := func(k diagnosis.Kind, about, peer, name string) diagnosis.Evidence {
		t.Helper()
		for _, e := range got.Evidence {
			if e.Kind == k && e.About.Name == about && (peer == "" || e.Peer.Name == peer) && (name == "" || e.Name == name) {
				return e
			}
		}
		t.Errorf("no %s of %s to %q, %q", k, about, peer, name)
		return diagnosis.Evidence{}
	}
	near := func(e diagnosis.Evidence, before, after float64, at time.Time) {
		t.Helper()
		if e.Value == nil || e.Before == nil || *e.Value < 0.5*after-1e-9 || *e.Value > 1.7*after+1e-9 || *e.Before > 1.7*before+0.001 {
			t.Errorf("%s of %s: %+v", e.Kind, e.About.Name, e)
		}
		if at.IsZero() != e.At.IsZero() || !at.IsZero() && e.At.Sub(at).Abs() > 90*time.Second {
			t.Errorf("%s of %s began at %v, and was fed to begin at %v", e.Kind, e.About.Name, e.At, at)
		}
	}
	near(find(diagnosis.Latency, "web", "", "p99"), 0.1, 0.5, onset)
	near(find(diagnosis.Latency, "api", "", "p99"), 0.05, 0.5, onset)
	near(find(diagnosis.ErrorRatio, "api", "", ""), 0, 0.1, onset)
	near(find(diagnosis.CallLatency, "web", "api", "p99"), 0.05, 0.5, onset)
	near(find(diagnosis.CallErrors, "web", "api", ""), 0, 0.1, onset)
	near(find(diagnosis.CallLatency, "api", "db.example.com", "p99"), 0.025, 0.025, time.Time{})
	near(find(diagnosis.RequestRate, "web", "", ""), 40, 40, time.Time{})
	near(find(diagnosis.ErrorRatio, "web", "", ""), 0, 0, time.Time{})
	if e := find(diagnosis.Latency, "cart", "", "p99"); e.Value == nil || *e.Value > 0.1 || !e.At.IsZero() {
		t.Errorf("a caller that is well: %+v", e)
	}
	if e := find(diagnosis.Rollout, "web", "", "image"); !e.At.After(onset) {
		t.Errorf("the roll-out is after the onset, not %v", e.At)
	}
	for _, v := range []string{"v1", "v2"} { // both are slow: the new one is not to blame
		if e := find(diagnosis.VersionLatency, "web", "", v); e.Value == nil || *e.Value < 0.25 {
			t.Errorf("version %s: %+v", v, e)
		}
	}
	if e := find(diagnosis.PodLatency, "web-ccccccccc-xxxx4", "node-2", ""); e.Owner.Name != "web" || e.Value == nil || *e.Value < 0.25 {
		t.Errorf("a pod: %+v", e)
	}
	verdict := diagnosis.Rank(got)
	if len(verdict.Causes) == 0 || verdict.Causes[0].About.Name != "api" {
		t.Errorf("what is slow is api: %+v", verdict.Causes)
	}
	if len(verdict.Innocent) != 1 || verdict.Innocent[0].Change.About.Name != "web" {
		t.Errorf("the roll-out is innocent: %+v", verdict.Innocent)
	}
	// Dead in the middle of it: named, and all else is there.
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	sources.Metrics = measures{prometheus.New(b, nil)}
	began := time.Now()
	got = diagnosis.Gather(t.Context(), 2*time.Second, New(sources), request)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("a dead Prometheus held it up for %v", took)
	}
	said := false
	for _, m := range got.Missing {
		said = said || strings.Contains(m.Why, "Prometheus")
	}
	if !said || find(diagnosis.Replicas, "web", "", "").Value == nil {
		t.Errorf("missing %+v", got.Missing)
	}
}
