package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// The verbs of canaries; each is the other's inverse.
const (
	VerbCanary   Verb = "canary"   // a second Deployment beside one, with another image
	VerbWithdraw Verb = "withdraw" // that Deployment is deleted
)

func canaryVerbs() map[Verb]verb {
	return map[Verb]verb{VerbCanary: canarying{}, VerbWithdraw: withdrawing{}}
}

const (
	// canarySuffix is what the name of a canary has more than that of the
	// Deployment it stands beside.
	canarySuffix = "-canary"
	// canaryOf is on the pods of a canary alone, and in its selector: so it never
	// takes a pod of the Deployment beside it. That one's selector does fit the
	// canary's pods, as the Services' must; but a Deployment takes ReplicaSets, and
	// a ReplicaSet pods, only where nothing else controls them.
	canaryOf = "firstmate-ops.github.io/canary-of"
)

// Canary is a few pods with another image beside a Deployment, behind the same
// Services.
type Canary struct {
	Of         Ref    `json:"of"`
	UID        string `json:"uid"`        // of the Deployment beside it
	Generation int64  `json:"generation"` // of that, as it was copied; 0 is any
	Percent    int    `json:"percent"`    // of the pods, as it was asked for
	Beside     int32  `json:"beside"`     // pods of that
	Pods       int32  `json:"pods"`       // its own
}

// Share is how many percent of the pods are the canary's.
func (c Canary) Share() int {
	if c.Pods+c.Beside == 0 {
		return 0
	}
	return int(math.Round(100 * float64(c.Pods) / float64(c.Pods+c.Beside)))
}

// CanaryOf is the name of a Deployment's canary.
func CanaryOf(ref Ref) Ref {
	ref.Name += canarySuffix
	return ref
}

// CanaryBeside returns the Deployment that a workload is the canary of.
func (w Workload) CanaryBeside() (Ref, bool) {
	name, ok := strings.CutSuffix(w.Ref.Name, canarySuffix)
	ref := w.Ref
	ref.Name = name
	return ref, ok && w.Selector[canaryOf] == labelValue(name)
}

// MostCanary is the greatest part of the pods that is a canary, in percent.
const MostCanary = 50

// canaryPods is how many pods make a part of all, where the others stay.
func canaryPods(beside int32, percent int) int32 {
	return max(1, int32(math.Round(float64(beside)*float64(percent)/float64(100-percent))))
}

func (c Change) canary() Canary {
	if c.Canary == nil {
		return Canary{Of: c.Ref}
	}
	return *c.Canary
}

// Promotion are the changes that give the Deployment beside a canary its image,
// and when that is rolled out remove the canary.
func (c Change) Promotion(cause string) (changes []Change, then [][]Change) {
	gone, _ := canarying{}.inverse(c)
	gone.As, gone.Cause = As{}, ""
	gone.FromVersion, gone.ToVersion = c.ToVersion, ""
	return []Change{{
		Ref: c.canary().Of, Verb: VerbImage, Images: c.Images, FromVersion: c.FromVersion, ToVersion: c.ToVersion, Cause: cause,
	}}, [][]Change{{gone}}
}

// canarying makes a canary.
type canarying struct{ whole }

func (canarying) doing(c Change) string { return "make a canary of " + c.canary().Of.Name }
func (canarying) from(Change) string    { return nothing }
func (canarying) aspect() Aspect        { return AspectObject }
func (canarying) ending(Change) Ending  { return EndsRolledOut }

func (canarying) to(c Change) string {
	return fmt.Sprintf("%s, %d of %d pods", c.ToVersion, c.canary().Pods, c.canary().Pods+c.canary().Beside)
}

func (canarying) inverse(c Change) (Change, bool) {
	c.Verb, c.Before, c.After = VerbWithdraw, c.After, nil
	return c, true
}

// plan copies the Deployment as it is now.
func (v canarying) plan(ctx context.Context, a api, c Change) (Change, string, error) {
	live, err := there(ctx, a, c.Ref)
	if err != nil {
		return c, "", err
	}
	if d, ok := live.whole.(*appsv1.Deployment); ok {
		if d.Spec.Template.Labels[canaryOf] == "" {
			return c, "", fault.New(fault.Refused, "There is a Deployment %s already, which is no canary that I made. I leave it alone.", c.Ref.Name)
		}
		return c, "", fault.New(fault.Refused, "%s has a canary already. Promote or withdraw that one first.", c.canary().Of.Name)
	}
	if c.After == nil { // what is put back is as it was
		if c, err = v.copied(ctx, a, c); err != nil {
			return c, "", err
		}
	}
	return planWhole(ctx, a, c, live)
}

// copied gives a change the canary, made from the Deployment beside it.
func (canarying) copied(ctx context.Context, a api, c Change) (Change, error) {
	can := c.canary()
	beside, err := a.get(ctx, can.Of)
	if err != nil {
		return c, err
	}
	d, ok := beside.whole.(*appsv1.Deployment)
	switch {
	case !ok:
		return c, NoCanary(can.Of)
	case c.Based != 0 && c.Based != d.Generation:
		return c, fault.Wrap(ErrStale, fault.Conflict, "%s was being changed while I looked at it, so I propose nothing. Ask me again.", d.Name)
	case replicasOf(beside) == 0:
		return c, fault.New(fault.Refused, "%s is scaled to zero, so there is nothing that a canary could be compared with.", d.Name)
	case can.Percent < 1 || can.Percent > MostCanary:
		return c, fault.New(fault.Refused, "A canary gets 1 to %d percent of the pods. For more, roll it out.", MostCanary)
	}
	can.UID, can.Generation, can.Beside = string(d.UID), d.Generation, replicasOf(beside)
	can.Pods = canaryPods(can.Beside, can.Percent)
	images := make([]ImageChange, len(c.Images))
	canary := canaryBeside(d, can.Pods, c.Cause)
	for i, im := range c.Images {
		at := -1
		for j, e := range canary.Spec.Template.Spec.Containers {
			if e.Name == im.Container {
				at = j
			}
		}
		if at < 0 {
			return c, fault.New(fault.NotFound, "%s has no container %s.", d.Name, im.Container)
		}
		images[i] = ImageChange{Container: im.Container, From: canary.Spec.Template.Spec.Containers[at].Image, To: im.To}
		canary.Spec.Template.Spec.Containers[at].Image = im.To
	}
	if c.After, err = json.Marshal(canary); err != nil {
		return c, fmt.Errorf("kube: %w", err)
	}
	c.Canary, c.Images, c.ToReplicas = &can, images, can.Pods
	return c, nil
}

// NoCanary says why something cannot have a canary.
func NoCanary(ref Ref) error {
	return fault.New(fault.Refused, "%s is a %s, and a canary is a second Deployment beside a first. Roll it out instead.", ref.Name, ref.Kind)
}

// canaryBeside is a canary of a Deployment that runs the same: its pods have all
// labels that those beside them have, so that all Services, network policies and
// disruption budgets count them too, and one more. Who owns the Deployment does
// not own the canary.
func canaryBeside(d *appsv1.Deployment, pods int32, cause string) *appsv1.Deployment {
	out := &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: Deployment}, Spec: *d.Spec.DeepCopy()}
	out.Name, out.Namespace = d.Name+canarySuffix, d.Namespace
	out.Labels = maps.Clone(d.Labels)
	maps.DeleteFunc(out.Labels, func(k, _ string) bool {
		return k == argoInstance || k == helmManagedBy || strings.HasPrefix(k, fluxKustomize) || strings.HasPrefix(k, fluxHelm)
	})
	mark := labelValue(d.Name)
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	out.Labels[canaryOf], out.Labels[helmManagedBy] = mark, fieldManager
	if cause != "" {
		out.Annotations = map[string]string{changeCause: cause}
	}
	out.Spec.Replicas, out.Spec.Paused = &pods, false
	if out.Spec.Template.Labels == nil {
		out.Spec.Template.Labels = map[string]string{}
	}
	out.Spec.Template.Labels[canaryOf] = mark
	selector := d.Spec.Selector.DeepCopy()
	if selector.MatchLabels == nil {
		selector.MatchLabels = map[string]string{}
	}
	selector.MatchLabels[canaryOf] = mark
	out.Spec.Selector = selector
	return out
}

// apply makes what was shown, while what it was copied from is still the same.
func (v canarying) apply(ctx context.Context, a api, c Change, id string) (Applied, error) {
	live, err := there(ctx, a, c.Ref)
	if err != nil {
		return Applied{}, err
	}
	if live.whole == nil && c.canary().Generation != 0 {
		if err := asCopied(ctx, a, c); err != nil {
			return Applied{}, err
		}
	}
	return v.whole.apply(ctx, a, c, id)
}

// asCopied checks that the Deployment beside a canary still has the pods that were
// copied. Another number of them makes no other Deployment: an autoscaler changes
// that.
func asCopied(ctx context.Context, a api, c Change) error {
	can := c.canary()
	beside, err := a.get(ctx, can.Of)
	if err != nil {
		return err
	}
	d, ok := beside.whole.(*appsv1.Deployment)
	of := c
	of.Ref, of.UID, of.Generation = can.Of, can.UID, can.Generation
	if err := still(imaging{}, of, beside); err != nil || !ok || d.Generation == can.Generation {
		return err
	}
	var shown appsv1.Deployment
	if err := json.Unmarshal(c.After, &shown); err != nil {
		return fmt.Errorf("kube: %w", err)
	}
	now := canaryBeside(d, can.Pods, "").Spec.Template
	for i, e := range now.Spec.Containers {
		if at := containerAt(c.Images, e.Name); at >= 0 {
			now.Spec.Containers[i].Image = c.Images[at].To
		}
	}
	if !equality.Semantic.DeepEqual(now, shown.Spec.Template) {
		return moved(of, beside.meta, "runs other pods than I copied", []string{"f:spec", "f:template"})
	}
	return nil
}

// withdrawing deletes a canary.
type withdrawing struct{ whole }

func (withdrawing) doing(c Change) string { return "withdraw the canary of " + c.canary().Of.Name }
func (withdrawing) from(c Change) string  { return c.FromVersion }
func (withdrawing) to(Change) string      { return nothing }
func (withdrawing) aspect() Aspect        { return AspectObject }
func (withdrawing) ending(Change) Ending  { return EndsAtOnce }

func (withdrawing) inverse(c Change) (Change, bool) {
	c.Verb, c.Before, c.After, c.UID = VerbCanary, nil, c.Before, ""
	if c.Canary != nil {
		can := *c.Canary
		can.Generation = 0 // it is put back as it was, whatever is beside it now
		c.Canary = &can
	}
	return c, true
}

func (withdrawing) plan(ctx context.Context, a api, c Change) (Change, string, error) {
	live, err := there(ctx, a, c.Ref)
	if err != nil {
		return c, "", err
	}
	d, ok := live.whole.(*appsv1.Deployment)
	switch {
	case !ok:
		return c, "", fault.New(fault.NotFound, "%s has no canary.", c.canary().Of.Name)
	case d.Spec.Template.Labels[canaryOf] != labelValue(c.canary().Of.Name):
		return c, "", fault.New(fault.Refused, "The Deployment %s is no canary that I made. I leave it alone.", c.Ref.Name)
	}
	return planWhole(ctx, a, c, live)
}
