package oncall_test

import (
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/oncall"
)

// TestRecovered: "back to normal" needs samples in a row that are all well, for
// fifteen seconds of many requests, or else over a minute.
func TestRecovered(t *testing.T) {
	g := oncall.Gauge{Metric: observability.ErrorRate, Before: 0.001, Bad: 0.12}
	for _, c := range []struct {
		name     string
		requests float64 // a sample
		step     time.Duration
		values   []float64
		want     bool
	}{
		{"nothing measured", 50, time.Second, nil, false},
		{"too short", 50, 2 * time.Second, []float64{0, 0, 0}, false},
		{"long enough, of many requests", 17, 2500 * time.Millisecond, []float64{0, 0.002, 0}, true},
		{"of few requests", 16, 2500 * time.Millisecond, []float64{0, 0, 0}, false},
		{"the newest is not well", 50, 2500 * time.Millisecond, []float64{0, 0, 0, 0, 0.1}, false},
		{"one between is not well", 50, 2500 * time.Millisecond, []float64{0, 0, 0.1, 0, 0}, false},
		{"it was bad at first", 50, 2500 * time.Millisecond, []float64{0.12, 0.06, 0, 0, 0}, true},
		{"requests of what was bad do not count", 16, 2500 * time.Millisecond, []float64{0.12, 0.06, 0, 0, 0}, false},
		{"few requests for a minute", 0.2, 10 * time.Second, []float64{0, 0, 0, 0, 0, 0}, true},
		{"few requests for less", 0.2, 10 * time.Second, []float64{0, 0, 0, 0, 0}, false},
		{"hardly any", 0.2, time.Minute, []float64{0, 0}, false},
		{"not counted, for a minute", 0, 25 * time.Second, []float64{0, 0, 0}, true},
	} {
		r := oncall.Reading{Window: 10 * time.Second}
		at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
		for _, v := range c.values {
			r.Samples = append(r.Samples, oncall.Sample{At: at, Value: v, Requests: c.requests})
			at = at.Add(c.step)
		}
		now, ok := g.Recovered(r)
		if ok != c.want || now > 0.002 {
			t.Errorf("%s: %v, now %v", c.name, ok, now)
		}
	}
}

// TestAFewErrorsInAHundredNeedMoreRequests: fifty requests without an error are no
// proof where one in fifty failed.
func TestAFewErrorsInAHundredNeedMoreRequests(t *testing.T) {
	for requests, want := range map[float64]bool{100: false, 249: false, 251: true} {
		g := oncall.Gauge{Metric: observability.ErrorRate, Before: 0.001, Bad: 0.02}
		_, ok := g.Recovered(oncall.Reading{Window: 30 * time.Second, Samples: []oncall.Sample{{At: time.Unix(1, 0), Requests: requests}}})
		if ok != want {
			t.Errorf("%g requests without an error, where 2 percent failed: back to normal: %t", requests, ok)
		}
	}
}
