package oncall_test

import (
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/oncall"
)

// TestRecovered: "back to normal" needs samples in a row that are all well, of
// many requests or else over a minute.
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
		{"two samples", 50, time.Second, []float64{0, 0}, false},
		{"three of many requests", 17, time.Second, []float64{0, 0.002, 0}, true},
		{"three of few requests", 16, time.Second, []float64{0, 0, 0}, false},
		{"the newest is not well", 50, time.Second, []float64{0, 0, 0, 0, 0.1}, false},
		{"one between is not well", 50, time.Second, []float64{0, 0, 0.1, 0, 0}, false},
		{"it was bad at first", 50, time.Second, []float64{0.12, 0.06, 0, 0, 0}, true},
		{"requests of what was bad do not count", 16, time.Second, []float64{0.12, 0.06, 0, 0, 0}, false},
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
