package kube_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/firstmate-ops/firstmate/internal/kube"
)

func container(ready, stops bool, ports ...int32) corev1.Container {
	var c corev1.Container
	for _, p := range ports {
		c.Ports = append(c.Ports, corev1.ContainerPort{ContainerPort: p})
	}
	if ready {
		c.ReadinessProbe = &corev1.Probe{}
	}
	if stops {
		c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 3}}}
	}
	return c
}

func TestBlips(t *testing.T) {
	pods := func(cs ...corev1.Container) corev1.PodTemplateSpec {
		return corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: cs}}
	}
	n := func(n int32) *int32 { return &n }
	is := func(s string) *intstr.IntOrString { v := intstr.Parse(s); return &v }
	good := pods(container(true, true, 80))
	deployment := func(replicas int32, t corev1.PodTemplateSpec, away, surge string) *appsv1.Deployment {
		d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: n(replicas), Template: t}}
		if away != "" {
			d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: is(away), MaxSurge: is(surge)}
		}
		return d
	}
	recreate := deployment(3, good, "", "")
	recreate.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
	every := &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: good}}
	every.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateDaemonSet{MaxUnavailable: is("100%")}
	manual := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: n(1), Template: pods(container(false, false))}}
	manual.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
	for _, tt := range []struct {
		name string
		of   any
		want []kube.Blip
	}{
		{"as it should be", deployment(3, good, "", ""), nil},
		{"no probe", deployment(3, pods(container(false, true, 80)), "", ""), []kube.Blip{kube.Unready}},
		{"no preStop", deployment(3, pods(container(true, false, 80)), "", ""), []kube.Blip{kube.Abrupt}},
		{"neither", deployment(3, pods(container(false, false, 80)), "", ""), []kube.Blip{kube.Unready, kube.Abrupt}},
		{"a sidecar that serves nothing", deployment(3, pods(container(true, true, 80), container(false, false)), "", ""), nil},
		{"a sidecar that serves", deployment(3, pods(container(true, true, 80), container(false, true, 81)), "", ""), []kube.Blip{kube.Unready}},
		{"no ports declared", deployment(3, pods(container(false, true)), "", ""), []kube.Blip{kube.Unready}},
		{"all may go", deployment(3, good, "100%", "25%"), []kube.Blip{kube.Emptied}},
		{"three of three may go", deployment(3, pods(container(false, false, 80)), "3", "1"), []kube.Blip{kube.Emptied}},
		{"two of three may go", deployment(3, good, "2", "1"), nil},
		{"one, with one more first", deployment(1, good, "25%", "25%"), nil},
		{"one, and no more", deployment(1, good, "25%", "0"), []kube.Blip{kube.Emptied}},
		{"none runs", deployment(0, good, "100%", "0"), nil},
		{"recreated", recreate, []kube.Blip{kube.Emptied}},
		{"a StatefulSet of one", &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Template: good}}, []kube.Blip{kube.Emptied}},
		{"a StatefulSet of three", &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: n(3), Template: good}}, nil},
		{"replaced by hand", manual, nil},
		{"on every node at once", every, []kube.Blip{kube.Emptied}},
		{"on one node after the other", &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: good}}, nil},
		{"no workload", &corev1.Pod{}, nil},
	} {
		if got := kube.Blips(tt.of); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
