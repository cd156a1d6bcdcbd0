package main

import (
	"math"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/prometheus"
	"github.com/firstmate-ops/firstmate/internal/observability/promtest"
	"github.com/firstmate-ops/firstmate/internal/oncall"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// TestHowSoonItIsBackToNormal has a real Prometheus with samples every five, ten,
// fifteen and thirty seconds of a release that failed one request in eight and was
// rolled back, and asks at every second when that shows.
func TestHowSoonItIsBackToNormal(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Prometheus: run without -short")
	}
	s := sandboxtest.Prometheus(t)
	b, err := backend.New(backend.Options{Name: "prometheus", URL: s.URL, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	base := time.Now().Add(-30 * time.Minute).Truncate(time.Minute)
	made := base.Add(20*time.Minute + 2*time.Second)
	for _, c := range []struct {
		every        time.Duration
		soon, normal time.Duration // by when
	}{
		{5 * time.Second, 8 * time.Second, 16 * time.Second},
		{10 * time.Second, 14 * time.Second, 31 * time.Second},
		{15 * time.Second, 20 * time.Second, 31 * time.Second},
		{30 * time.Second, 40 * time.Second, 61 * time.Second},
	} {
		t.Run(c.every.String(), func(t *testing.T) {
			ns := "n" + c.every.String()
			var all []promtest.Series
			for pod := range 6 { // three that fail until they are replaced, three that come then
				from, to, failed := base, made, 0.125
				if pod >= 3 {
					from, to, failed = made, base.Add(24*time.Minute), 0
				}
				offset := c.every * time.Duration(pod%3) / 3 // each is looked at in its own turn
				first := from.Truncate(c.every).Add(offset)
				for first.Before(from) {
					first = first.Add(c.every)
				}
				for code, share := range map[string]float64{"200": 1 - failed, "500": failed} {
					all = append(all, promtest.Line(map[string]string{
						"__name__": "http_requests_total", "namespace": ns, "pod": "web-5d4f8c7b9-" + []string{"bcdfg", "hjklm", "npqrs", "tvwxz", "24567", "89bcd"}[pod], "status": code,
					}, first, to, c.every, func(d time.Duration) float64 {
						return math.Floor((d + first.Sub(from)).Seconds() * 20 * share)
					}))
				}
			}
			if err := promtest.Write(t.Context(), s.URL, all...); err != nil {
				t.Fatal(err)
			}
			var now time.Time
			g := gauge{prometheus.New(b, nil), "", onCallDefaults().Window, func() time.Time { return now }}
			of := oncall.Gauge{Metric: observability.ErrorRate, Target: observability.Target{Namespace: ns, Kind: "Deployment", Name: "web"}, Before: 0.001, Bad: 0.12}
			var soon, normal time.Duration
			for after := time.Second; after <= 2*time.Minute && normal == 0; after += time.Second {
				now = made.Add(after)
				r, err := g.since(t.Context(), of.Target, of.Metric, made)
				if err != nil {
					t.Fatal(after, err)
				}
				if r.Soon.Requests > 0 && soon == 0 {
					soon = after
					if r.Soon.Value > 0 {
						t.Errorf("after %s %.3f of the requests fail: that is from before", after, r.Soon.Value)
					}
				}
				if value, ok := of.Recovered(r); ok {
					normal = after
					if value != 0 {
						t.Errorf("%.3f of the requests fail", value)
					}
				}
			}
			t.Logf("scraped every %s: something so far after %s, back to normal after %s", c.every, soon, normal)
			if soon == 0 || soon > c.soon || normal == 0 || normal > c.normal {
				t.Errorf("that is more than %s and %s", c.soon, c.normal)
			}
			now = made.Add(-time.Minute) // while it fails it is not back to normal
			r, err := g.since(t.Context(), of.Target, of.Metric, made.Add(-3*time.Minute))
			if err != nil || len(r.Samples) == 0 {
				t.Fatalf("%+v %v", r, err)
			}
			if _, ok := of.Recovered(r); ok {
				t.Errorf("back to normal while it fails: %+v", r)
			}
		})
	}
}
