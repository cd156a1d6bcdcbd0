package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// A verb is a file of its own, change_NAME.go: a type that is a verb and either
// a patcher or a caller, and as much of stepper, ender, holder, follower and
// foreseer as differs from what is said there to be usual. Its own values are a
// field of Change, a pointer to a struct of its own; its line stands in verbs.

// verb is what is said of a change, and how it is put back.
type verb interface {
	// doing is the change in words that follow "could not".
	doing(c Change) string
	// from and to are the states before and after, as a person would say them.
	from(c Change) string
	to(c Change) string
	// inverse turns c, which has lost what was true of the object only then, into
	// the change that puts back what was there. false: there is nothing to put back.
	inverse(c Change) (Change, bool)
	// aspect is what of its object it changes: two changes of one aspect undo or
	// replace each other.
	aspect() Aspect
}

// patcher is a verb that is one strategic merge patch of one object. The Writer
// reads the object, tries the patch as a dry-run, and applies it bound to the
// resourceVersion, with the mark of the action.
type patcher interface {
	// onto takes over from the object what the change starts from.
	onto(c Change, live object) (Change, error)
	// moved says what the object is now where that is not what the change starts
	// from, as in "runs 9 replicas", and which field that is, in the terms of
	// managedFields; "" where the change can still be made.
	moved(c Change, live object) (is string, field []string, err error)
	// patch is what is to be different; the Writer adds metadata to it.
	patch(c Change) (map[string]any, error)
}

// caller is a verb with calls of its own: a creation, a deletion, several calls.
type caller interface {
	// plan completes the change from what there is and asks for a dry-run.
	plan(ctx context.Context, a api, c Change) (Change, string, error)
	// apply does it, once for an id: what was done under the id before is
	// recognised, by the mark that it left or because it cannot be done twice.
	apply(ctx context.Context, a api, c Change, id string) (Applied, error)
}

// stepper is a verb that takes long: after apply, step is called again and again
// until it reports Complete, by the process that holds the entry's lease. Each call
// looks anew and does what can be done now, so that the next process can go on
// where one died, and two at once do no harm.
type stepper interface {
	step(ctx context.Context, a api, c Change, id string) (Progress, error)
}

// ender is a verb that does not end with the roll-out of a workload, which is
// how changes usually end.
type ender interface {
	ending(c Change) Ending
}

// holder is a verb of which one sees on the workload that rolls out that it is
// still what was asked for. Usually the action's mark says enough.
type holder interface {
	holds(c Change, w Workload) bool
}

// follower is a verb whose changes can be made one behind the other to one
// object, and put back together. Usually each stands for itself.
type follower interface {
	// behind is c as it must be where before is made before it.
	behind(c, before Change) (Change, error)
	// further is one change of the aspect that goes back as far as both, of which
	// back goes further.
	further(c, back Change) Change
}

// foreseer is a verb whose effect on a workload later steps of a chain count on.
type foreseer interface {
	foresee(c Change, w *Workload)
}

// pacer is a verb that takes another time than a roll-out does.
type pacer interface {
	pace() Pace
}

// stopper is a stepper that can be stopped between two steps, with part of it
// done for good.
type stopper interface {
	stops()
}

// Aspect is what of an object a verb changes.
type Aspect string

// The aspects that several verbs share, or that are asked for by name.
const (
	AspectReplicas Aspect = "replicas"
	AspectTemplate Aspect = "template"
	AspectObject   Aspect = "object" // whether it is there at all
)

// Ending is how one sees that a change is finished.
type Ending string

// The endings.
const (
	EndsRolledOut Ending = "rolled_out" // when the workload's roll-out is complete
	EndsAtOnce    Ending = "at_once"    // when the API server has taken it
	EndsStepwise  Ending = "stepwise"   // when Writer.Step says so
)

// Pace is how long a change may take.
type Pace string

// The paces.
const (
	PaceRollout Pace = "rollout" // as long as something moves
	PaceDrain   Pace = "drain"   // until a limit of its own
	PaceJob     Pace = "job"     // as long as it takes: Kubernetes itself ends it
)

// families are all verbs there are. Each family has a line here.
func families() []map[Verb]verb {
	return []map[Verb]verb{workloadVerbs(), pauseVerbs(), wholeVerbs(), nodeVerbs(), podVerbs(), jobVerbs(), gitopsVerbs(), silenceVerbs(), canaryVerbs()}
}

func workloadVerbs() map[Verb]verb {
	return map[Verb]verb{VerbScale: scaling{}, VerbImage: imaging{}, VerbTemplate: templating{}, VerbRestart: restarting{}}
}

// Verbs are the names of all verbs.
func Verbs() []Verb {
	var out []Verb
	for _, f := range families() {
		out = slices.AppendSeq(out, maps.Keys(f))
	}
	slices.Sort(out)
	return out
}

// verbs finds a verb by name; nil where there is none.
func verbs(name Verb) verb {
	for _, f := range families() {
		if v := f[name]; v != nil {
			return v
		}
	}
	return nil
}

// known returns the change's verb, or says that there is none of that name: the
// journal of a newer version, perhaps.
func (c Change) known() (verb, error) {
	if v := verbs(c.Verb); v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("kube: unknown verb %q", c.Verb)
}

// doing is the change in words that follow "could not".
func (c Change) doing() string {
	if v := verbs(c.Verb); v != nil {
		return v.doing(c)
	}
	return "change " + c.Ref.Name
}

// From is the state before, as a person would say it.
func (c Change) From() string {
	if v := verbs(c.Verb); v != nil {
		return v.from(c)
	}
	return ""
}

// To is the state after, as a person would say it.
func (c Change) To() string {
	if v := verbs(c.Verb); v != nil {
		return v.to(c)
	}
	return ""
}

// Inverse is the change that puts back what was there, and whether there is
// one: a restart leaves nothing to put back.
func (c Change) Inverse() (Change, bool) {
	v := verbs(c.Verb)
	if v == nil {
		return Change{}, false
	}
	inv := c
	inv.Generation, inv.Based, inv.AddPause, inv.Cause, inv.DeletePods, inv.Blips = 0, 0, 0, "", nil, nil
	if c.Before == nil && c.After == nil && c.Silence == nil { // what was made is deleted, and nothing else of its name
		inv.UID = ""
	}
	inv.FromVersion, inv.ToVersion, inv.ToRevision = c.ToVersion, c.FromVersion, 0
	inv.Images = slices.Clone(c.Images)
	inv, ok := v.inverse(inv)
	if !ok {
		return Change{}, false
	}
	return inv, true
}

// Aspect is what of its object the change changes.
func (c Change) Aspect() Aspect {
	if v := verbs(c.Verb); v != nil {
		return v.aspect()
	}
	return ""
}

// Ending is how one sees that the change is finished.
func (c Change) Ending() Ending {
	if e, ok := verbs(c.Verb).(ender); ok {
		return e.ending(c)
	}
	if _, ok := verbs(c.Verb).(stepper); ok {
		return EndsStepwise
	}
	return EndsRolledOut
}

// Pace is how long the change may take.
func (c Change) Pace() Pace {
	if p, ok := verbs(c.Verb).(pacer); ok {
		return p.pace()
	}
	return PaceRollout
}

// Subject is the object that people speak of when they speak of the change: of a
// pod its owner, of a run of a CronJob the CronJob.
func (c Change) Subject() Ref {
	ref := c.About()
	switch {
	case c.Verb == VerbDeletePod && slices.Contains([]string{Deployment, StatefulSet, DaemonSet}, c.pod().Owner.Kind):
		return c.pod().Owner
	case c.Run != nil:
		ref.Kind, ref.Name = CronJob, c.Run.CronJob
	}
	return ref
}

// Stops reports whether the change can be stopped while it is being made.
func (c Change) Stops() bool {
	_, ok := verbs(c.Verb).(stopper)
	return ok
}

// Holds reports whether a workload still is what the change made it.
func (c Change) Holds(w Workload) bool {
	if h, ok := verbs(c.Verb).(holder); ok {
		return h.holds(c, w)
	}
	return true
}

// Behind is the change as it must be where another one of the same object is
// made before it. Some cannot be known before the other is made.
func (c Change) Behind(before Change) (Change, error) {
	if f, ok := verbs(c.Verb).(follower); ok {
		return f.behind(c, before)
	}
	return c, nil
}

// Further is one change that goes back as far as both, of which back goes
// further. Both are of one verb and of one object.
func (c Change) Further(back Change) Change {
	if f, ok := verbs(c.Verb).(follower); ok {
		return f.further(c, back)
	}
	return back
}

// Foresee gives a workload what the change will make of it, as far as later
// steps of a chain count on it.
func (c Change) Foresee(w *Workload) {
	if f, ok := verbs(c.Verb).(foreseer); ok && c.Ref == w.Ref {
		f.foresee(c, w)
	}
}
