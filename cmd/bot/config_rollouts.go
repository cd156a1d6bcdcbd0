package main

import (
	"path"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// RolloutsConfig is how long a roll-out may stand still, and how a new version is
// watched once it is rolled out.
type RolloutsConfig struct {
	StuckAfter   time.Duration `yaml:"stuck_after" doc:"How long an image that cannot be pulled or a crash loop is watched before the roll-out is called stuck."`
	StillAfter   time.Duration `yaml:"still_after" doc:"How long nothing may move where Kubernetes has no deadline itself."`
	BakeFor      time.Duration `yaml:"bake_for" doc:"How long a version that is rolled out is compared with the one before it, where observability.prometheus is configured; 0 is not at all. See docs/rollouts.md."`
	AutoRollback []string      `yaml:"auto_rollback" doc:"Namespaces, as patterns with *, where a version that does worse is rolled back, and a canary withdrawn, without a question, as the one who rolled it out; a policy that wants a PIN or an approval for that is asked for it all the same. Elsewhere it is offered."`
	AutoPromote  []string      `yaml:"auto_promote" doc:"Namespaces, as patterns with *, where a canary that does as well is promoted without a question. Elsewhere it is offered."`
}

func rolloutsDefaults() RolloutsConfig {
	return RolloutsConfig{StuckAfter: 5 * time.Second, StillAfter: 10 * time.Minute, BakeFor: 5 * time.Minute, AutoRollback: []string{}, AutoPromote: []string{}}
}

func (c RolloutsConfig) check() error {
	if c.StuckAfter <= 0 || c.StillAfter <= 0 {
		return fault.New(fault.Usage, "rollouts.stuck_after and rollouts.still_after are durations like 5s.")
	}
	if c.BakeFor != 0 && c.BakeFor < leastBake || c.BakeFor > mostBake {
		return fault.New(fault.Usage, "rollouts.bake_for is a duration from %v to %v, like 5m, or 0.", leastBake, mostBake)
	}
	for _, p := range slices.Concat(c.AutoRollback, c.AutoPromote) {
		if _, err := path.Match(p, ""); err != nil {
			return fault.New(fault.Usage, "rollouts: %q is no pattern of namespaces.", p)
		}
	}
	return nil
}

// A bake that is shorter has too few samples, and one that is longer is a watch
// for alerts to keep.
const (
	leastBake = 5 * time.Second
	mostBake  = time.Hour
)

// guard watches what is rolled out, by what measures it.
func (c RolloutsConfig) guard(m action.Measurer) action.Guard {
	in := func(patterns []string) func(kube.Ref) bool {
		return func(ref kube.Ref) bool {
			return slices.ContainsFunc(patterns, func(p string) bool {
				ok, err := path.Match(p, ref.Namespace)
				return ok && err == nil
			})
		}
	}
	return action.Guard{For: c.BakeFor, Measurer: m, Reverts: in(c.AutoRollback), Promotes: in(c.AutoPromote)}
}
