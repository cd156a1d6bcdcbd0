package kube

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

func planPatch(ctx context.Context, a api, v patcher, c Change) (Change, string, error) {
	live, err := a.get(ctx, c.Ref)
	if err != nil {
		return c, "", err
	}
	if c, err = onto(v, c, live); err != nil {
		return c, "", err
	}
	c.Blips = blipsOf(ctx, a, c, live)
	if c.Verb == VerbImage && c.AddPause > 0 {
		c = c.pausing(live)
	}
	c, would, err := tryPatch(ctx, a, v, c)
	if err != nil {
		return c, "", err
	}
	c.DeletePods, c.AddPause = brokenPods(ctx, a, c, live), 0
	unified, err := diff(c.Ref, live, would)
	return c, unified, err
}

func applyPatch(ctx context.Context, a api, v patcher, c Change, id string) (Applied, error) {
	for try := 1; ; try++ {
		live, err := a.get(ctx, c.Ref)
		if err != nil {
			return Applied{}, err
		}
		if live.meta.Annotations[lastAction] == id {
			deletePods(ctx, a, c)
			return Applied{Generation: live.meta.Generation, Already: true}, nil
		}
		if err := still(v, c, live); err != nil {
			return Applied{}, err
		}
		patch, err := patchOf(v, c, live.meta.ResourceVersion, id)
		if err != nil {
			return Applied{}, err
		}
		now, err := a.patch(ctx, c.Ref, patch, false)
		if apierrors.IsConflict(err) && try < applyTries {
			continue // the status moved on, or the spec: look again
		}
		if err != nil {
			return Applied{}, err
		}
		deletePods(ctx, a, c)
		return Applied{Generation: now.meta.Generation}, nil
	}
}

// onto takes over from the object what the change starts from.
func onto(v patcher, c Change, live object) (Change, error) {
	if c.Based != 0 && c.Based != live.meta.Generation {
		return c, fault.Wrap(ErrStale, fault.Conflict, "%s was being changed while I looked at it, so I propose nothing. Ask me again.", c.Ref.Name)
	}
	c.UID, c.Generation = string(live.meta.UID), live.meta.Generation
	c.Labels = live.meta.Labels
	return v.onto(c, live)
}

// still checks that the object is as it was when the change was shown.
func still(v patcher, c Change, live object) error {
	if string(live.meta.UID) != c.UID {
		return fault.New(fault.Conflict, "%s was deleted and made anew meanwhile, so I left it alone.", c.Ref.Name)
	}
	if live.meta.Generation == c.Generation && c.Generation != 0 { // some kinds have none
		return nil
	}
	is, field, err := v.moved(c, live)
	if err != nil || is == "" {
		return err
	}
	return moved(c, live.meta, is, field)
}

// moved is the refusal to change what is not any more what the change starts
// from: who made it what it is now.
func moved(c Change, m *metav1.ObjectMeta, is string, field []string) error {
	by := ""
	if m := changedBy(m, field); m != "" {
		by = " by " + m
	}
	return fault.New(fault.Conflict, "%s was changed%s meanwhile: it now %s. I left it alone.", c.Ref.Name, by, is)
}

// patchOf is the change as a strategic merge patch. A resourceVersion makes it
// conditional, an id leaves the mark of the action.
func patchOf(v patcher, c Change, resourceVersion, id string) ([]byte, error) {
	body, err := v.patch(c)
	if err != nil {
		return nil, err
	}
	annotations := map[string]any{}
	if id != "" {
		annotations[lastAction] = id
	}
	if v, ok := v.(verb); ok && v.aspect() == AspectTemplate && c.Cause != "" {
		annotations[changeCause] = c.Cause
	}
	meta := map[string]any{"annotations": annotations}
	if resourceVersion != "" {
		meta["resourceVersion"] = resourceVersion
	}
	body["metadata"] = meta
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	return b, nil
}

// changedBy names who gave a field its value: its owner, else who changed the
// object's spec last, controllers aside. A field's owner is the better answer,
// and the only one for kubectl scale, whose entry has no time.
func changedBy(m *metav1.ObjectMeta, field []string) string {
	var newest metav1.ManagedFieldsEntry
	for _, f := range m.ManagedFields {
		switch {
		case len(field) > 0 && owns(f, field):
			if f.Manager == controllerManager {
				return "an autoscaler" // no other controller sets what we change
			}
			return clip(f.Manager)
		case f.Subresource != "" || f.Time == nil || f.Manager == controllerManager:
		case newest.Time == nil || newest.Time.Before(f.Time):
			newest = f
		}
	}
	return clip(newest.Manager)
}

const controllerManager = "kube-controller-manager"

// owns reports whether an entry of managedFields holds a field.
func owns(f metav1.ManagedFieldsEntry, field []string) bool {
	if f.FieldsV1 == nil {
		return false
	}
	at := f.FieldsV1.GetRawBytes()
	for _, step := range field {
		var in map[string]json.RawMessage
		if json.Unmarshal(at, &in) != nil {
			return false // not what the API documents: nobody is named for it
		}
		next, ok := in[step]
		if !ok {
			return false
		}
		at = next
	}
	return true
}
