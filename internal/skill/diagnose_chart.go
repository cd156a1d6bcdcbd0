package skill

import (
	"context"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// chartGrace is for how long a diagnosis that has its evidence waits for its chart.
const chartGrace = 300 * time.Millisecond

// seenIn is what a symptom shows in, for the eye; "" where no line shows it.
func seenIn(s diagnosis.Symptom) (m observability.Metric, percentile float64) {
	switch s {
	case diagnosis.SymptomSlow, diagnosis.SymptomTimeout:
		return observability.Latency, 99
	case diagnosis.SymptomErrors, diagnosis.SymptomFailing:
		return observability.ErrorRate, 0
	}
	return "", 0
}

// pictured begins to measure what the symptom of one workload shows in, while its
// evidence is gathered. What it returns gives the chart, with the roll-outs that are
// in the evidence; ok is false where there is nothing to be seen, or not in time.
func (c *Crew) pictured(ctx context.Context, reqs []diagnosis.Request) func(diagnosis.Case, diagnosis.Verdict) (b dialogue.Block, ok bool) {
	none := func(diagnosis.Case, diagnosis.Verdict) (dialogue.Block, bool) { return dialogue.Block{}, false }
	if c.metrics.Source == nil || len(reqs) != 1 || reqs[0].Target.Name == "" || reqs[0].Target.Kind == "Node" {
		return none
	}
	target, window := reqs[0].Target, reqs[0].Window
	metric, percentile := seenIn(reqs[0].Symptom)
	if metric == "" || c.mayMeasure(ctx, target) != nil {
		return none
	}
	got := make(chan numbers, 1)
	ctx, stop := context.WithCancel(ctx)
	go func() { got <- c.read(ctx, measured{target: target}, metric, percentile, window) }()
	return func(k diagnosis.Case, v diagnosis.Verdict) (dialogue.Block, bool) {
		defer stop()
		if v.Outcome == diagnosis.Nothing {
			return dialogue.Block{}, false
		}
		var n numbers
		select {
		case n = <-got:
		case <-time.After(chartGrace):
			return dialogue.Block{}, false
		}
		if n.err != nil || len(n.Series) == 0 || len(n.Series[0].Points) < 2 {
			return dialogue.Block{}, false
		}
		for _, e := range k.Evidence {
			here := e.Kind == diagnosis.Rollout && e.About.Namespace == target.Namespace && e.About.Name == target.Name
			if here && e.At.After(window.From) && e.At.Before(window.To) && !slices.ContainsFunc(n.marks, func(m observability.Mark) bool { return m.At.Equal(e.At) }) {
				n.marks = append(n.marks, observability.Mark{At: e.At, Label: diagnosis.Clip(e.To, 24)})
			}
		}
		return c.chart([]numbers{n}, metric, window), true
	}
}
