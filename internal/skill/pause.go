package skill

import (
	"context"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

func (c *Crew) pausePlanners() map[string]planner {
	return map[string]planner{"pause": c.ofWorkloads(c.pausing(true)), "resume": c.ofWorkloads(c.pausing(false))}
}

// pausing plans to hold roll-outs, or to let them go on.
func (c *Crew) pausing(hold bool) func(context.Context, *dialogue.Turn, []kube.Workload) (plan, error) {
	verb, same := kube.VerbResume, "resume.same"
	if hold {
		verb, same = kube.VerbPause, "pause.same"
	}
	return func(_ context.Context, t *dialogue.Turn, ws []kube.Workload) (plan, error) {
		var p plan
		var done []kube.Workload
		for _, w := range ws {
			switch {
			case w.Ref.Kind != kube.Deployment:
				return plan{}, kube.NotPausable(w.Ref)
			case w.Paused == hold:
				done = append(done, w)
			default:
				p.changes = append(p.changes, kube.Change{Ref: w.Ref, Verb: verb, Based: w.Generation})
			}
		}
		if len(p.changes) == 0 {
			return plan{}, already(t, done, same, dialogue.Data{})
		}
		return p, nil
	}
}
