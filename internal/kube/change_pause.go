package kube

import (
	appsv1 "k8s.io/api/apps/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// The verbs that hold a Deployment's roll-out and let it go on; each is the
// other's inverse.
const (
	VerbPause  Verb = "pause"
	VerbResume Verb = "resume"
)

func pauseVerbs() map[Verb]verb {
	return map[Verb]verb{VerbPause: pausing{paused: true}, VerbResume: pausing{}}
}

// pausing sets spec.paused.
type pausing struct{ paused bool }

// AspectPaused is whether a roll-out is held.
const AspectPaused Aspect = "paused"

func (p pausing) doing(c Change) string {
	if p.paused {
		return "pause the roll-out of " + c.Ref.Name
	}
	return "resume the roll-out of " + c.Ref.Name
}

func (p pausing) from(Change) string { return pausedWord(!p.paused) }
func (p pausing) to(Change) string   { return pausedWord(p.paused) }
func (pausing) aspect() Aspect       { return AspectPaused }

func pausedWord(paused bool) string {
	if paused {
		return "paused"
	}
	return "not paused"
}

func (p pausing) inverse(c Change) (Change, bool) {
	c.Verb = VerbPause
	if p.paused {
		c.Verb = VerbResume
	}
	return c, true
}

// A roll-out that was held goes on, and is watched; to hold one takes no time.
func (p pausing) ending(Change) Ending {
	if p.paused {
		return EndsAtOnce
	}
	return EndsRolledOut
}

func (p pausing) onto(c Change, live object) (Change, error) {
	if _, ok := live.whole.(*appsv1.Deployment); !ok {
		return c, NotPausable(c.Ref)
	}
	c.FromReplicas = replicasOf(live)
	return c, nil
}

// NotPausable says why the roll-out of something cannot be held.
func NotPausable(ref Ref) error {
	return fault.New(fault.Refused, "%s is a %s, and Kubernetes can only hold the roll-out of a Deployment. Roll it back instead, or restart it when you are ready.", ref.Name, ref.Kind)
}

func (p pausing) moved(_ Change, live object) (is string, field []string, err error) {
	if d, ok := live.whole.(*appsv1.Deployment); ok && d.Spec.Paused == p.paused {
		is = "is " + pausedWord(p.paused) + " already"
	}
	return is, []string{"f:spec", "f:paused"}, nil
}

func (p pausing) patch(Change) (map[string]any, error) {
	return map[string]any{"spec": map[string]any{"paused": p.paused}}, nil
}

func (p pausing) holds(_ Change, w Workload) bool { return w.Paused == p.paused }

func (p pausing) foresee(_ Change, w *Workload) { w.Paused = p.paused }
