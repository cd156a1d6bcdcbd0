package oncall

import (
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

const (
	// gaugeEvery is how often is looked whether all is well again, gaugeTimes how
	// often in a row it must be.
	gaugeEvery = 3 * time.Second
	gaugeTimes = 2
	// gaugeFor is how long after a change that should have helped it may take.
	gaugeFor = 10 * time.Minute
)
