package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// whole is what verbs have in common that make, replace or delete an object:
// Change.Before is what is there, Change.After what is to be.
type whole struct{}

// wholeVerbs are the verbs about whole objects.
func wholeVerbs() map[Verb]verb {
	return map[Verb]verb{VerbCreate: creating{}, VerbDelete: deleting{}, VerbAutoscale: autoscaling{}}
}

// planWhole completes a change whose After is known from what there is.
func planWhole(ctx context.Context, a api, c Change, live object) (Change, string, error) {
	var err error
	before := c.UID
	c.UID, c.Generation, c.Before = "", 0, nil
	if live.whole != nil {
		c.UID, c.Generation, c.Labels = string(live.meta.UID), live.meta.Generation, live.meta.Labels
		if c.Before, err = bareJSON(live); err != nil {
			return c, "", err
		}
	}
	var would object
	switch {
	case live.whole == nil && c.After == nil:
		return c, "", fault.New(fault.NotFound, "There is no %s %s in %s any more.", c.Ref.Kind, c.Ref.Name, c.Ref.Namespace)
	case live.whole != nil && before != "" && before != c.UID:
		return c, "", fault.New(fault.Conflict, "The %s %s in %s is not the one I mean: that was deleted, and somebody made another one. I leave it alone.", c.Ref.Kind, c.Ref.Name, c.Ref.Namespace)
	case c.After == nil:
		err = a.delete(ctx, c.Ref, c.UID, true)
	case live.whole == nil:
		if would, err = a.create(ctx, c.Ref, c.After, ""); err == nil && would.meta != nil {
			c.Labels = would.meta.Labels
		}
	default:
		would, err = a.replace(ctx, c.Ref, c.After, "", live.meta.ResourceVersion)
	}
	if err != nil {
		return c, "", err
	}
	unified, err := diff(c.Ref, live, would)
	return c, unified, err
}

// there returns the object of a change, the zero one where there is none.
func there(ctx context.Context, a api, ref Ref) (object, error) {
	live, err := a.get(ctx, ref)
	if apierrors.IsNotFound(err) {
		return object{}, nil
	}
	return live, err
}

func (whole) apply(ctx context.Context, a api, c Change, id string) (Applied, error) {
	for try := 1; ; try++ {
		live, err := there(ctx, a, c.Ref)
		if err != nil {
			return Applied{}, err
		}
		if live.whole != nil && live.meta.Annotations[lastAction] == id {
			return Applied{Generation: live.meta.Generation, UID: string(live.meta.UID), Already: true}, nil
		}
		var now object
		switch {
		case live.whole == nil && c.After == nil:
			return Applied{Already: true}, nil // gone is gone, whoever did it
		case live.whole == nil && c.Before != nil:
			return Applied{}, fault.New(fault.Conflict, "%s %s was deleted meanwhile, so I did not change it.", c.Ref.Kind, c.Ref.Name)
		case live.whole != nil && c.Before == nil:
			return Applied{}, taken(c, live)
		case c.Before != nil:
			if err := unmoved(c, live); err != nil {
				return Applied{}, err
			}
		}
		switch {
		case c.After == nil:
			err = a.delete(ctx, c.Ref, c.UID, false)
		case c.Before == nil:
			now, err = a.create(ctx, c.Ref, c.After, id)
		default:
			now, err = a.replace(ctx, c.Ref, c.After, id, live.meta.ResourceVersion)
		}
		if (apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) && c.After == nil) && try < applyTries {
			continue // it came, went or moved on: look again
		}
		if err != nil || now.whole == nil {
			return Applied{}, err
		}
		return Applied{Generation: now.meta.Generation, UID: string(now.meta.UID)}, nil
	}
}

// taken is the refusal to make what is there.
func taken(c Change, live object) error {
	by := ""
	if m := changedBy(live.meta, nil); m != "" {
		by = ", made by " + m
	}
	return fault.New(fault.Conflict, "There is a %s %s in %s already%s, so I made none.", c.Ref.Kind, c.Ref.Name, c.Ref.Namespace, by)
}

// unmoved checks that an object is as it was shown: the same one, and asked for
// the same.
func unmoved(c Change, live object) error {
	if string(live.meta.UID) != c.UID {
		return fault.New(fault.Conflict, "%s was deleted and made anew meanwhile, so I left it alone.", c.Ref.Name)
	}
	if live.meta.Generation == c.Generation && c.Generation != 0 {
		return nil
	}
	now, err := bareJSON(live)
	if err != nil {
		return err
	}
	var was, has map[string]any
	if err := json.Unmarshal(c.Before, &was); err != nil {
		return fmt.Errorf("kube: %w", err)
	}
	if err := json.Unmarshal(now, &has); err != nil {
		return fmt.Errorf("kube: %w", err)
	}
	// What is deleted may have got other notes of a controller; what is replaced
	// loses nobody's.
	if c.After != nil && reflect.DeepEqual(was, has) || c.After == nil && reflect.DeepEqual(was["spec"], has["spec"]) {
		return nil
	}
	is, field := "is not as I showed it", []string(nil)
	if c.Ref.Kind == HPA {
		is = "keeps " + boundsOf(now)
	}
	if k := differs(was["spec"], has["spec"]); k != "" {
		field = []string{"f:spec", "f:" + k}
	}
	return moved(c, live.meta, is, field)
}

// differs is the first field in which two specs differ, by name.
func differs(a, b any) string {
	was, _ := a.(map[string]any)
	is, _ := b.(map[string]any)
	for _, k := range slices.Sorted(maps.Keys(is)) {
		if !reflect.DeepEqual(was[k], is[k]) {
			return k
		}
	}
	return ""
}

func bareJSON(o object) (json.RawMessage, error) {
	m, err := bare(o, lastAction)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	return raw, nil
}

// nothing is how the state of an object is said that is not there.
const nothing = "none"
