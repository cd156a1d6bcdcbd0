package kube

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// PreStop is a preStop hook that lets a container go on for a while after its pod
// was taken from the endpoints, added or taken away together with an image.
type PreStop struct {
	Container string `json:"container"`
	Seconds   int64  `json:"seconds"`
	// Remove takes the hook away, Bare says that the container had no lifecycle.
	Remove bool `json:"remove,omitempty"`
	Bare   bool `json:"bare,omitempty"`
}

// serving are the containers that requests are sent to, as far as one can tell.
func serving(p corev1.PodSpec) []corev1.Container {
	out := slices.DeleteFunc(slices.Clone(p.Containers), func(c corev1.Container) bool { return len(c.Ports) == 0 })
	if len(out) == 0 {
		return p.Containers // ports need not be declared
	}
	return out
}

func stopsAbruptly(c corev1.Container) bool { return c.Lifecycle == nil || c.Lifecycle.PreStop == nil }

// pausing is a change with the hooks that its pods lack, where AddPause asks for
// them and requests are sent to these pods.
func (c Change) pausing(live object) Change {
	c.PreStop = nil
	if !slices.Contains(c.Blips, Abrupt) {
		return c
	}
	for _, s := range serving(live.template.Spec) {
		if stopsAbruptly(s) {
			c.PreStop = append(c.PreStop, PreStop{Container: s.Name, Seconds: c.AddPause, Bare: s.Lifecycle == nil})
		}
	}
	return c
}

// tryPatch asks for a dry-run. A cluster that knows no such hook, or pods that may
// not take that long, get the change without it: it was not asked for.
func tryPatch(ctx context.Context, a api, v patcher, c Change) (Change, object, error) {
	patch, err := patchOf(v, c, "", "")
	if err != nil {
		return c, object{}, err
	}
	would, err := a.patch(ctx, c.Ref, patch, true)
	if len(c.PreStop) == 0 || c.AddPause == 0 {
		return c, would, err
	}
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || err == nil && !sleeps(would, c.PreStop) {
		c.AddPause, c.PreStop = 0, nil
		return tryPatch(ctx, a, v, c)
	}
	return c, would, err
}

// sleeps reports whether an object has these hooks.
func sleeps(o object, hooks []PreStop) bool {
	return !slices.ContainsFunc(hooks, func(h PreStop) bool {
		s := preStopOf(o, h.Container)
		return s == nil || s.Sleep == nil || s.Sleep.Seconds != h.Seconds
	})
}

// preStopOf is what a container of an object does before it stops; nil for nothing.
func preStopOf(o object, container string) *corev1.LifecycleHandler {
	for _, c := range o.template.Spec.Containers {
		if c.Name == container && c.Lifecycle != nil {
			return c.Lifecycle.PreStop
		}
	}
	return nil
}

// patch is the lifecycle of a container, for a strategic merge patch.
func (p PreStop) patch() any {
	switch {
	case p.Remove && p.Bare:
		return nil
	case p.Remove:
		return map[string]any{"preStop": nil}
	}
	return map[string]any{"preStop": map[string]any{"sleep": map[string]any{"seconds": p.Seconds}}}
}

// movedHook says what a container does before it stops, where that is not what a
// hook is to be put in the place of.
func movedHook(live object, p PreStop) string {
	now := preStopOf(live, p.Container)
	switch {
	case !p.Remove && now != nil:
		return "does something else before it stops"
	case p.Remove && (now == nil || now.Sleep == nil || now.Sleep.Seconds != p.Seconds):
		return "does not wait any more before it stops as I had it do"
	}
	return ""
}

// unpaused are the hooks that take these away, or put them back.
func unpaused(hooks []PreStop) []PreStop {
	out := slices.Clone(hooks)
	for i := range out {
		out[i].Remove = !out[i].Remove
	}
	return out
}
