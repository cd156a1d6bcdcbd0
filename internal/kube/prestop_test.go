package kube_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// served is a Deployment with a Service in front, whose pods have time to stop.
func served(t *testing.T, change ...func(*appsv1.Deployment)) kube.Ref {
	t.Helper()
	ref := create(t, space(t), kube.Deployment, "acme/web:1", append([]func(*appsv1.Deployment){func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr[int64](30)
	}}, change...)...)
	_, err := admin(t).CoreV1().Services(ref.Namespace).Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}},
	}}, metav1.CreateOptions{})
	ok(t, err)
	return ref
}

func pausing(ref kube.Ref, image string) kube.Change {
	c := toImage(ref, image)
	c.AddPause = 3
	return c
}

// A pause before pods stop comes with the image in one change, and goes with it
// again, and nothing else of the object is touched.
func TestAPauseComesAndGoesWithTheImage(t *testing.T) {
	t.Parallel()
	hook := func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}}
	}
	for name, change := range map[string][]func(*appsv1.Deployment){"no lifecycle": nil, "another hook": {hook}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref := served(t, change...)
			w := kube.NewWriter(cluster(t))
			before := look(t, ref)
			c, d, err := w.Plan(t.Context(), pausing(ref, "acme/web:2"))
			ok(t, err)
			for _, line := range []string{"+        image: acme/web:2", "preStop:", "+            sleep:", "+              seconds: 3"} {
				if !strings.Contains(d.Unified, line) {
					t.Errorf("the diff lacks %q:\n%s", line, d.Unified)
				}
			}
			if !slices.Contains(c.Blips, kube.Abrupt) {
				t.Error("the pods that stop now have no pause: that is to be said")
			}
			first := applied(t, w, c, "a1")
			now := look(t, ref)
			if !applied(t, w, c, "a1").Already || now.Generation != before.Generation+1 || first.Generation != now.Generation {
				t.Errorf("it is one change, once: generation %d, was %d", now.Generation, before.Generation)
			}
			if l := now.Template.Spec.Containers[0].Lifecycle; l == nil || l.PreStop == nil || l.PreStop.Sleep == nil || l.PreStop.Sleep.Seconds != 3 || (l.PostStart != nil) != (change != nil) {
				t.Errorf("%+v", l)
			}
			inv, can := c.Inverse()
			if !can {
				t.Fatal("it cannot be undone")
			}
			applied(t, w, planned(t, w, inv), "undo")
			if d := cmp.Diff(before.Template, look(t, ref).Template); d != "" {
				t.Errorf("undo does not put the template back:\n%s", d)
			}
			again, can := inv.Inverse()
			if !can {
				t.Fatal("the undo cannot be undone")
			}
			applied(t, w, planned(t, w, again), "redo")
			if l := look(t, ref).Template.Spec.Containers[0].Lifecycle; l == nil || l.PreStop == nil {
				t.Errorf("undone twice: %+v", l)
			}
		})
	}
}

// Only where it helps, and only where it can be: it is not what was asked for.
func TestAPauseIsAddedWhereItHelps(t *testing.T) {
	t.Parallel()
	w := kube.NewWriter(cluster(t))
	has := func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/drain"}}}}
	}
	short := func(d *appsv1.Deployment) { d.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr[int64](2) }
	sidecar := func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}}
		d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: "logger", Image: "acme/logger:1"})
	}
	alone := create(t, space(t), kube.Deployment, "acme/web:1", func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr[int64](30)
	})
	for name, tt := range map[string]struct {
		ref  kube.Ref
		want []string
	}{
		"nobody sends requests": {alone, nil},
		"it has a hook":         {served(t, has), nil},
		"too little time":       {served(t, short), nil},
		"a sidecar":             {served(t, sidecar), []string{"web"}},
		"one pod":               {served(t, func(d *appsv1.Deployment) { d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType }), nil},
	} {
		c := planned(t, w, pausing(tt.ref, "acme/web:2"))
		var got []string
		for _, p := range c.PreStop {
			got = append(got, p.Container)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v", name, got)
		}
		applied(t, w, c, "a")
		if got := look(t, tt.ref).Template.Spec.Containers[0].Image; got != "acme/web:2" {
			t.Errorf("%s: the image is %s", name, got)
		}
	}
	// Without being asked for it, there is none.
	if c := planned(t, w, toImage(served(t), "acme/web:2")); c.PreStop != nil {
		t.Errorf("%v", c.PreStop)
	}
}

// What somebody else has a container do meanwhile is left alone.
func TestAPauseIsNotPutOverAnother(t *testing.T) {
	t.Parallel()
	ref := served(t)
	w := kube.NewWriter(cluster(t))
	c := planned(t, w, pausing(ref, "acme/web:2"))
	_, err := sandbox.Kubectl(t.Context(), "", "-n", ref.Namespace, "patch", "deploy/web", "-p",
		`{"spec":{"template":{"spec":{"containers":[{"name":"web","lifecycle":{"preStop":{"exec":{"command":["/drain"]}}}}]}}}}`)
	ok(t, err)
	if _, err := w.Apply(t.Context(), c, "a"); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Say(err), "it now does something else before it stops") {
		t.Errorf("%v", err)
	}
	if got := look(t, ref).Template.Spec.Containers[0]; got.Image != "acme/web:1" || got.Lifecycle.PreStop.Exec == nil {
		t.Errorf("%+v", got)
	}
}

// In a chain the second version finds the pause of the first.
func TestAPauseIsAddedOnce(t *testing.T) {
	t.Parallel()
	ref := served(t)
	w := kube.NewWriter(cluster(t))
	first := planned(t, w, pausing(ref, "acme/web:2"))
	second, err := planned(t, w, pausing(ref, "acme/web:3")).Behind(first)
	ok(t, err)
	applied(t, w, first, "one")
	applied(t, w, second, "two")
	one, _ := first.Inverse()
	two, _ := second.Inverse()
	applied(t, w, planned(t, w, two.Further(one)), "back")
	if got := look(t, ref).Template.Spec.Containers[0]; got.Image != "acme/web:1" || got.Lifecycle != nil {
		t.Errorf("%+v", got)
	}
}
