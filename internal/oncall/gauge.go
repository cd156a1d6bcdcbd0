package oncall

import (
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// Gauge is what shows whether all is well again: how the alert's own measure was
// before the trouble, and in it.
type Gauge struct {
	Metric observability.Metric `json:"metric,omitempty"` // "" where nothing was measured
	Target observability.Target `json:"target,omitzero"`
	Before float64              `json:"before"`
	Bad    float64              `json:"bad"`
}

// Well reports whether a value is as before the trouble: at least nine tenths of
// the way back. A few errors in a thousand are not trouble, whatever was before.
func (g Gauge) Well(now float64) bool {
	limit := g.Before + (g.Bad-g.Before)/10
	if g.Metric == observability.ErrorRate {
		limit = max(limit, usualErrors)
	}
	return now <= limit
}

// usualErrors is a ratio of errors that nobody is woken for.
const usualErrors = 0.005

// found is what a verdict means for an incident. said is how it was worded.
func found(k diagnosis.Case, v diagnosis.Verdict, said string) Finding {
	f := Finding{Said: said}
	if len(v.Causes) > 0 && v.Causes[0].Sure != diagnosis.Perhaps {
		f.Cause = v.Causes[0].About.String()
	}
	for _, e := range v.Shows {
		if e.Value == nil || e.Before == nil || *e.Value <= *e.Before || e.About.Name != k.Request.Target.Name {
			continue
		}
		switch e.Kind {
		case diagnosis.ErrorRatio:
			f.Gauge = Gauge{Metric: observability.ErrorRate, Target: k.Request.Target, Before: *e.Before, Bad: *e.Value}
		case diagnosis.Latency:
			if e.Name != "p99" || f.Gauge.Metric == observability.ErrorRate {
				continue
			}
			f.Gauge = Gauge{Metric: observability.Latency, Target: k.Request.Target, Before: *e.Before, Bad: *e.Value}
		}
	}
	return f
}

// Sample is a metric over a short window.
type Sample struct {
	At    time.Time // at the end of the window
	Value float64
	// Requests are how many came since the sample before, in the window of the first
	// one; 0 where nobody counts them.
	Requests float64
}

// Reading is how a metric was since a change was made: samples of windows that
// begin after it, the oldest first. Windows without a request have none.
type Reading struct {
	Window  time.Duration
	Samples []Sample
	// Soon is all that was counted since the change while no window is whole yet. It
	// may be told, as what is so far; nothing is decided by it.
	Soon Sample
}

// Recovered reports whether all is well again, and how it is now: the newest
// samples are all well, for so long that some scrapes are certain, and of so many
// requests that it is no chance; where there are few requests, for so long that it
// would have shown.
func (g Gauge) Recovered(r Reading) (now float64, ok bool) {
	run, sum, requests := 0, 0.0, 0.0
	var span time.Duration
	for _, s := range slices.Backward(r.Samples) {
		if !g.Well(s.Value) {
			break
		}
		run++
		sum += s.Value
		requests += s.Requests
		span = r.Window + r.Samples[len(r.Samples)-1].At.Sub(s.At)
	}
	if span < gaugeLeast || requests < g.enough() && (span < gaugeSpan || run < gaugeTimes) {
		return 0, false
	}
	return sum / float64(run), true
}

// enough is how many requests have to be seen well: of so many, five or more would
// have failed were it as bad as it was.
func (g Gauge) enough() float64 {
	if g.Metric == observability.ErrorRate && g.Bad > 0 {
		return max(gaugeRequests, gaugeFailed/g.Bad)
	}
	return gaugeRequests
}

const (
	// gaugeLeast is how long it must have been well in a row, whatever is counted;
	// gaugeRequests of how many requests, or else for gaugeSpan in gaugeTimes samples.
	gaugeLeast    = 15 * time.Second
	gaugeRequests = 50
	gaugeFailed   = 5
	gaugeSpan     = time.Minute
	gaugeTimes    = 3
	// gaugeEvery is how often is looked whether all is well again, and gaugeLater
	// how often where it was not within gaugeSoon.
	gaugeEvery = time.Second
	gaugeLater = 5 * time.Second
	gaugeSoon  = 2 * time.Minute
	// gaugeFor is how long after a change that should have helped it may take.
	gaugeFor = 10 * time.Minute
)
