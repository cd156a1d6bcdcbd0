package prometheus

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/promtest"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// counts tells how often a path is asked for.
type counts struct {
	mu    sync.Mutex
	asked map[string]int
}

// RoundTrip counts and passes on.
func (c *counts) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.asked[r.URL.Path[strings.LastIndex(r.URL.Path, "/v1/")+4:]]++
	c.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

// TestWhatIsAskedToFindOut holds that what a workload is called in a Prometheus is
// found by few questions where many workloads are called so, that each is found by
// the label that it has, and that one of which nothing is known still is not.
func TestWhatIsAskedToFindOut(t *testing.T) {
	server := sandboxtest.Prometheus(t)
	now := time.Now().Truncate(15 * time.Second)
	from := now.Add(-20 * time.Minute)
	names := []string{"web", "cart", "search", "catalog", "checkout", "payments"}
	var all []promtest.Series
	for i, n := range names {
		// By the pod, by the Service, by the job, by app.
		scope := [][]string{{"namespace", "shop", "pod", n + "-bbbbbbbbb-xxxx2"}, {"namespace", "shop", "service", n}, {"job", "shop/" + n}, {"namespace", "shop", "app", n}}[i%4]
		name := "http_requests_total"
		if i%4 == 2 { // the ways by job are OpenTelemetry's
			name = "http_server_request_duration_seconds_count"
		}
		all = append(all, promtest.Line(with(series(name, scope...), "code", "200", "job", map[bool]string{true: "shop/" + n, false: "scraper"}[i%4 == 2]), from, now, 15*time.Second, rising(float64(i+1))))
	}
	feed(t, server.URL, all...)
	seen := &counts{asked: map[string]int{}}
	b, err := backend.New(backend.Options{Name: "prometheus", URL: server.URL, Timeout: 20 * time.Second, Transport: seen})
	if err != nil {
		t.Fatal(err)
	}
	c := New(b, nil)
	w := observability.Window{From: now.Add(-15 * time.Minute), To: now}
	for i, n := range names {
		a, err := c.Measure(t.Context(), Question{Target: observability.Target{Namespace: "shop", Kind: "Deployment", Name: n}, Metric: observability.RequestRate, Window: w})
		if err != nil || len(a.Series) != 1 {
			t.Errorf("%s: %+v %v", n, a, err)
			continue
		}
		p := a.Series[0].Points
		around(t, n, p[len(p)-1].Value, float64(i+1))
	}
	if _, err := c.Measure(t.Context(), Question{Target: observability.Target{Namespace: "shop", Kind: "Deployment", Name: "nobody"}, Metric: observability.RequestRate, Window: w}); err == nil {
		t.Error("nobody is measured")
	}
	// One for all names, and for each of the seven workloads its pods and what else
	// names it.
	if n := seen.asked["label/__name__/values"]; n > 1+2*7 {
		t.Errorf("%d questions about names: %v", n, seen.asked)
	}
}

// TestANewWorkloadIsSeenSoon holds that what is measured for the first time is
// found within seconds, also where others of its namespace were asked about just
// before: a new version is judged by what it does then.
func TestANewWorkloadIsSeenSoon(t *testing.T) {
	server := sandboxtest.Prometheus(t)
	now := time.Now().Truncate(15 * time.Second)
	from, w := now.Add(-20*time.Minute), observability.Window{From: now.Add(-15 * time.Minute), To: now}
	series := func(name string) promtest.Series {
		return promtest.Line(with(series("http_requests_total", "namespace", "shop", "service", name), "code", "200", "job", "scraper"), from, now, 15*time.Second, rising(3))
	}
	feed(t, server.URL, series("web"))
	c := dial(t, server.URL)
	ask := func(name string) error {
		_, err := c.Measure(t.Context(), Question{Target: observability.Target{Namespace: "shop", Kind: "Deployment", Name: name}, Metric: observability.RequestRate, Window: w})
		return err
	}
	if err := ask("web"); err != nil {
		t.Fatal(err)
	}
	if err := ask("web-canary"); err == nil {
		t.Fatal("there are numbers of what is not there yet")
	}
	feed(t, server.URL, series("web-canary"))
	for began := time.Now(); ask("web-canary") != nil; time.Sleep(200 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("it is not seen after a minute")
		}
	}
}
