package kube

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Blip is a reason why requests fail while the pods of a workload are replaced.
type Blip string

// The blips. Where all pods go at once, the others add nothing.
const (
	Emptied Blip = "emptied" // for a while it has no pod
	Unready Blip = "unready" // no readiness probe: a pod is sent requests that it cannot answer yet
	Abrupt  Blip = "abrupt"  // no preStop hook: a pod stops while requests are still sent to it
)

// Blips says why requests to a workload would fail while its pods are replaced,
// worst first; none where they need not.
func Blips(workload any) []Blip {
	var pods corev1.PodSpec
	switch d := workload.(type) {
	case *appsv1.Deployment:
		if emptiesDeployment(d) {
			return []Blip{Emptied}
		}
		pods = d.Spec.Template.Spec
	case *appsv1.StatefulSet:
		if d.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
			return nil // whoever deletes the pods decides
		}
		if replicasOf(objectOf(d)) == 1 { // it never has one more
			return []Blip{Emptied}
		}
		pods = d.Spec.Template.Spec
	case *appsv1.DaemonSet:
		if d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
			return nil
		}
		if r := d.Spec.UpdateStrategy.RollingUpdate; r != nil && r.MaxUnavailable != nil && r.MaxUnavailable.String() == "100%" {
			return []Blip{Emptied}
		}
		pods = d.Spec.Template.Spec
	default:
		return nil
	}
	all := serving(pods)
	var out []Blip
	if slices.ContainsFunc(all, func(c corev1.Container) bool { return c.ReadinessProbe == nil }) {
		out = append(out, Unready)
	}
	if slices.ContainsFunc(all, stopsAbruptly) {
		out = append(out, Abrupt)
	}
	return out
}

// emptiesDeployment reports whether a roll-out of a Deployment may leave it
// without a pod.
func emptiesDeployment(d *appsv1.Deployment) bool {
	replicas := replicasOf(objectOf(d))
	if replicas == 0 {
		return false
	}
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return true
	}
	surge, away := intstr.FromString("25%"), intstr.FromString("25%") // the API's defaults
	if r := d.Spec.Strategy.RollingUpdate; r != nil {
		if r.MaxSurge != nil {
			surge = *r.MaxSurge
		}
		if r.MaxUnavailable != nil {
			away = *r.MaxUnavailable
		}
	}
	more, err := intstr.GetScaledValueFromIntOrPercent(&surge, int(replicas), true)
	if err != nil {
		return false // the API server refuses it
	}
	less, err := intstr.GetScaledValueFromIntOrPercent(&away, int(replicas), false)
	if err != nil {
		return false
	}
	if more == 0 && less == 0 {
		less = 1 // else it could not begin
	}
	return less >= int(replicas)
}

// blipsOf are the blips of a change of pods that Services send requests to, as far
// as the one who asks may see Services.
func blipsOf(ctx context.Context, a api, c Change, live object) []Blip {
	if c.Verb != VerbImage && c.Verb != VerbRestart {
		return nil // who goes back has other worries
	}
	all := Blips(live.whole)
	if len(all) == 0 {
		return nil
	}
	services, err := a.client.CoreV1().Services(c.Ref.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil // nobody is warned of what cannot be seen
	}
	sent := slices.ContainsFunc(services.Items, func(s corev1.Service) bool {
		return len(s.Spec.Selector) > 0 && s.Spec.Type != corev1.ServiceTypeExternalName &&
			labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(live.template.Labels))
	})
	if !sent {
		return nil
	}
	return all
}
