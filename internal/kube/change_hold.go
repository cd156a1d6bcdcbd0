package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// holding has an Application of Argo CD heal no more
// (spec.syncPolicy.automated.selfHeal), or suspends a Kustomization or
// HelmRelease of Flux (spec.suspend), and the other way round.
type holding struct{}

func (holding) doing(c Change) string {
	if c.Held != nil && !c.Held.On {
		return "have " + c.Ref.Name + " kept again"
	}
	return "have " + c.Ref.Name + " stand still"
}

func (holding) from(c Change) string { return onOff(c.Held != nil && c.Held.On) }
func (holding) to(c Change) string   { return onOff(c.Held == nil || !c.Held.On) }

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (holding) aspect() Aspect         { return "hold" }
func (holding) ending(_ Change) Ending { return EndsAtOnce }

func (holding) inverse(c Change) (Change, bool) {
	if c.Held == nil {
		return Change{}, false
	}
	h := *c.Held
	h.On = !h.On
	c.Held = &h
	return c, true
}

// field is where it is said whether an object is kept, and which value keeps it.
func (holding) field(kind string) (path []string, kept bool) {
	if kind == Application {
		return []string{"spec", "syncPolicy", "automated", "selfHeal"}, true
	}
	return []string{"spec", "suspend"}, false
}

func (v holding) plan(ctx context.Context, a api, c Change) (Change, string, error) {
	live, err := v.get(ctx, a, c)
	if err != nil {
		return c, "", err
	}
	c.UID, c.Generation = string(live.GetUID()), live.GetGeneration()
	if v.kept(c, live) != c.Held.On {
		return c, "", fault.New(fault.Conflict, "%s %s is so already.", c.Ref.Kind, c.Ref.Name)
	}
	would, err := v.patch(ctx, a, c, live.GetResourceVersion(), "", true)
	if err != nil {
		return c, "", err
	}
	unified, err := plainDiff(c.Ref, live, would)
	return c, unified, err
}

func (v holding) apply(ctx context.Context, a api, c Change, id string) (Applied, error) {
	for try := 1; ; try++ {
		live, err := v.get(ctx, a, c)
		if err != nil {
			return Applied{}, err
		}
		switch {
		case live.GetAnnotations()[lastAction] == id:
			return Applied{Generation: live.GetGeneration(), Already: true}, nil
		case string(live.GetUID()) != c.UID:
			return Applied{}, fault.New(fault.Conflict, "%s was deleted and made anew meanwhile, so I left it alone. Ask me again.", c.Ref.Name)
		case v.kept(c, live) != c.Held.On:
			return Applied{}, fault.New(fault.Conflict, "%s %s was changed meanwhile, so I left it alone. Ask me again.", c.Ref.Kind, c.Ref.Name)
		}
		now, err := v.patch(ctx, a, c, live.GetResourceVersion(), id, false)
		if apierrors.IsConflict(err) && try < applyTries {
			continue // its status moved on
		}
		if err != nil {
			return Applied{}, err
		}
		return Applied{Generation: now.GetGeneration()}, nil
	}
}

// kept reports whether the owner puts back what is changed now.
func (v holding) kept(c Change, live *unstructured.Unstructured) bool {
	path, kept := v.field(c.Ref.Kind)
	is, _, _ := unstructured.NestedBool(live.Object, path...) // absent, or of another type, is false
	return is == kept
}

func (v holding) request(a api, c Change, verb string) (*rest.Request, error) {
	gvr, ok := resourceOf(c.Ref.Kind)
	if !ok || c.Held == nil {
		return nil, fmt.Errorf("kube: a %s cannot be held", c.Ref.Kind)
	}
	r := a.client.CoreV1().RESTClient().Verb(verb)
	if verb == "PATCH" {
		r = a.client.CoreV1().RESTClient().Patch(types.MergePatchType)
	}
	return r.AbsPath("/apis", gvr.Group, gvr.Version).Namespace(c.Ref.Namespace).Resource(gvr.Resource).Name(c.Ref.Name).SetHeader("Accept", "application/json"), nil
}

func (v holding) get(ctx context.Context, a api, c Change) (*unstructured.Unstructured, error) {
	r, err := v.request(a, c, "GET")
	if err != nil {
		return nil, err
	}
	return plainObject(r.Do(ctx).Raw())
}

func plainObject(raw []byte, err error) (*unstructured.Unstructured, error) {
	if err != nil {
		return nil, err
	}
	out := &unstructured.Unstructured{}
	if err := out.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	return out, nil
}

func (v holding) patch(ctx context.Context, a api, c Change, resourceVersion, id string, dryRun bool) (*unstructured.Unstructured, error) {
	meta := map[string]any{"resourceVersion": resourceVersion}
	if id != "" {
		meta["annotations"] = map[string]any{lastAction: id}
	}
	body := map[string]any{"metadata": meta}
	path, kept := v.field(c.Ref.Kind)
	if err := unstructured.SetNestedField(body, c.Held.On != kept, path...); err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	r, err := v.request(a, c, "PATCH")
	if err != nil {
		return nil, err
	}
	opt := &metav1.PatchOptions{FieldManager: fieldManager, DryRun: dryRunOf(dryRun)}
	return plainObject(r.VersionedParams(opt, scheme.ParameterCodec).Body(b).Do(ctx).Raw())
}

// plainDiff compares the specs of two states of a plain object.
func plainDiff(ref Ref, before, after *unstructured.Unstructured) (string, error) {
	a, err := yaml.Marshal(map[string]any{"spec": before.Object["spec"]})
	if err != nil {
		return "", fmt.Errorf("kube: %w", err)
	}
	b, err := yaml.Marshal(map[string]any{"spec": after.Object["spec"]})
	if err != nil {
		return "", fmt.Errorf("kube: %w", err)
	}
	name := strings.ToLower(ref.Kind) + "/" + ref.Name
	return udiff.Unified(name+" now", name+" then", string(a), string(b)), nil
}
