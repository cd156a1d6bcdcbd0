package kube

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// VerbDeletePod deletes one pod. There is no way back.
const VerbDeletePod Verb = "delete_pod"

func podVerbs() map[Verb]verb { return map[Verb]verb{VerbDeletePod: podDeleting{}} }

// PodDeletion is what the deletion of a pod is about, besides the pod.
type PodDeletion struct {
	TakeBare bool   `json:"take_bare,omitempty"` // it may go though nothing makes it anew
	Status   string `json:"status"`              // the pod's, when it was shown
	Owner    Ref    `json:"owner,omitzero"`      // who makes it anew
	// Broken are the UIDs of the owner's pods that were not ready before: they are
	// not what is waited for.
	Broken []string `json:"broken,omitempty"`
	Only   bool     `json:"only,omitempty"` // no other pod of its owner was ready
}

func (c Change) pod() PodDeletion {
	if c.Pod == nil {
		return PodDeletion{}
	}
	return *c.Pod
}

// podDeleting deletes a pod, and waits until its owner has made another one that
// is ready.
type podDeleting struct{}

func (podDeleting) doing(c Change) string         { return "delete the pod " + c.Ref.Name }
func (podDeleting) from(c Change) string          { return c.pod().Status }
func (podDeleting) to(Change) string              { return "deleted" }
func (podDeleting) inverse(Change) (Change, bool) { return Change{}, false }
func (podDeleting) aspect() Aspect                { return "existence" }

func (podDeleting) plan(ctx context.Context, a api, c Change) (Change, string, error) {
	live, err := a.get(ctx, c.Ref)
	if err != nil {
		return c, "", err
	}
	p, ok := live.whole.(*corev1.Pod)
	if !ok || c.UID != "" && c.UID != string(p.UID) {
		return c, "", fault.New(fault.Conflict, "%s was just made anew. Ask me again.", c.Ref.Name)
	}
	if _, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return c, "", fault.New(fault.Refused, "%s is kept by the kubelet of %s itself, from a file there: deleting it here does nothing.", c.Ref.Name, p.Spec.NodeName)
	}
	c.UID, c.Labels = string(p.UID), p.Labels
	d := PodDeletion{TakeBare: c.pod().TakeBare, Status: PodStatus(p)}
	if kind, name := owner(p); name != "" {
		d.Owner = Ref{Cluster: c.Ref.Cluster, Namespace: c.Ref.Namespace, Kind: kind, Name: name}
	} else if !d.TakeBare {
		return c, "", fault.New(fault.Refused, "Nothing would make %s anew, so I do not delete it. Say “delete pod %s for good” if it may go.", c.Ref.Name, c.Ref.Name)
	}
	if of, err := ownedPods(ctx, a, d.Owner); err == nil && of.desired >= 0 { // who may not look at the owner may still delete
		d.Only = true
		for _, o := range of.pods {
			switch {
			case o.UID == p.UID:
			case podReady(o) && o.DeletionTimestamp == nil:
				d.Only = false
			default:
				d.Broken = append(d.Broken, string(o.UID))
			}
		}
	}
	if err := a.delete(ctx, c.Ref, c.UID, true); err != nil {
		return c, "", err
	}
	c.Pod = &d
	line := c.Ref.Namespace + "/" + c.Ref.Name + "\n"
	return c, udiff.Unified("pods now", "pods then", line, ""), nil
}

// apply deletes this very pod. One that is gone, or of which only the name is
// left on another, was deleted before.
func (podDeleting) apply(ctx context.Context, a api, c Change, _ string) (Applied, error) {
	err := a.delete(ctx, c.Ref, c.UID, false)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return Applied{Already: true}, nil
	}
	return Applied{}, err
}

// step says whether the pod is gone and another one ready in its place.
func (podDeleting) step(ctx context.Context, a api, c Change, _ string) (Progress, error) {
	p := Progress{State: Terminating, Desired: 1, Total: 1}
	live, err := a.get(ctx, c.Ref)
	if err != nil && !apierrors.IsNotFound(err) {
		return Progress{}, err
	}
	if old, ok := live.whole.(*corev1.Pod); err == nil && ok && string(old.UID) == c.UID {
		if t := old.DeletionTimestamp; t != nil && time.Since(t.Time) > lingerAfter {
			p.Stuck = &Stuck{Reason: Lingering, Pods: 1, Pod: c.Ref.Name, Detail: clip(strings.Join(old.Finalizers, ", "))}
		}
		return p, nil
	}
	of, err := ownedPods(ctx, a, c.pod().Owner)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || of.desired < 0 {
		return Progress{State: Complete, Desired: 1, Updated: 1, Ready: 1}, nil // nobody whose pods could be waited for
	}
	if err != nil {
		return Progress{}, err
	}
	return replaced(of, c.pod().Broken), nil
}

// replaced is how far an owner is with making pods anew. Pods that were broken
// before stay out of it.
func replaced(of offspring, broken []string) Progress {
	p := Progress{State: Waiting, Desired: of.desired}
	var fresh []*corev1.Pod
	waits := false
	for _, o := range of.pods {
		if o.DeletionTimestamp != nil || o.Status.Phase == corev1.PodFailed || o.Status.Phase == corev1.PodSucceeded {
			continue
		}
		p.Total++
		p.Updated++
		switch {
		case podReady(o):
			p.Ready++
		case !slices.Contains(broken, string(o.UID)):
			waits, fresh = true, append(fresh, o)
		}
	}
	p.Available = p.Ready
	if p.Total >= p.Desired && !waits {
		p.State = Complete
		return p
	}
	p.Stuck = FindStuck(fresh, nil, of.conditions)
	return p
}

// offspring is the pods of an owner.
type offspring struct {
	desired    int32 // -1 where nobody says
	pods       []*corev1.Pod
	conditions []appsv1.DeploymentCondition
}

// ownedPods asks for the pods of a workload. Of another owner nothing is known
// but that it exists.
func ownedPods(ctx context.Context, a api, ref Ref) (offspring, error) {
	out := offspring{desired: -1}
	if !slices.Contains([]string{Deployment, StatefulSet, DaemonSet}, ref.Kind) {
		return out, nil
	}
	live, err := a.get(ctx, ref)
	if err != nil {
		return out, err
	}
	var selector *metav1.LabelSelector
	switch d := live.whole.(type) {
	case *appsv1.Deployment:
		out.desired, selector, out.conditions = replicasOf(live), d.Spec.Selector, d.Status.Conditions
	case *appsv1.StatefulSet:
		out.desired, selector = replicasOf(live), d.Spec.Selector
	case *appsv1.DaemonSet:
		out.desired, selector = d.Status.DesiredNumberScheduled, d.Spec.Selector
	}
	l, err := a.client.CoreV1().Pods(ref.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(selector)})
	if err != nil {
		return out, err
	}
	for i := range l.Items {
		if kind, name := owner(&l.Items[i]); kind == ref.Kind && name == ref.Name {
			out.pods = append(out.pods, &l.Items[i])
		}
	}
	return out, nil
}
