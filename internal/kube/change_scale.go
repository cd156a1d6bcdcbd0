package kube

import (
	"fmt"
	"strconv"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// scaling sets spec.replicas.
type scaling struct{}

func (scaling) doing(c Change) string { return "scale " + c.Ref.Name }
func (scaling) from(c Change) string  { return strconv.Itoa(int(c.FromReplicas)) }
func (scaling) to(c Change) string    { return strconv.Itoa(int(c.ToReplicas)) }
func (scaling) aspect() Aspect        { return AspectReplicas }

func (scaling) inverse(c Change) (Change, bool) {
	c.FromReplicas, c.ToReplicas = c.ToReplicas, c.FromReplicas
	return c, true
}

func (scaling) onto(c Change, live object) (Change, error) {
	if c.Ref.Kind == DaemonSet {
		return c, fault.New(fault.Refused, "%s is a DaemonSet: it runs one pod on each node, so it has no number to change.", c.Ref.Name)
	}
	c.FromReplicas = replicasOf(live)
	return c, nil
}

func (scaling) moved(c Change, live object) (is string, field []string, err error) {
	switch n := replicasOf(live); n {
	case c.FromReplicas:
	case 1:
		is = "runs 1 replica"
	default:
		is = fmt.Sprintf("runs %d replicas", n)
	}
	return is, []string{"f:spec", "f:replicas"}, nil
}

func (scaling) patch(c Change) (map[string]any, error) {
	return map[string]any{"spec": map[string]any{"replicas": c.ToReplicas}}, nil
}

func (scaling) holds(c Change, w Workload) bool { return w.Progress.Desired == c.ToReplicas }

func (scaling) behind(c, before Change) (Change, error) {
	if before.Verb == VerbScale {
		c.FromReplicas = before.ToReplicas
	}
	return c, nil
}

func (scaling) further(c, back Change) Change {
	c.ToReplicas = back.ToReplicas
	return c
}

func (scaling) foresee(c Change, w *Workload) { w.Progress.Desired = c.ToReplicas }

func replicasOf(o object) int32 {
	if o.replicas == nil {
		return 1 // the API's default
	}
	return *o.replicas
}

// podsOf is how many pods a workload asks for, 0 where each node has its own.
func podsOf(ref Ref, o object) int32 {
	if ref.Kind == DaemonSet {
		return 0
	}
	return replicasOf(o)
}
