package kube_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

func toCanary(of kube.Ref, image string, percent int) kube.Change {
	return kube.Change{
		Ref: kube.CanaryOf(of), Target: &of, Verb: kube.VerbCanary, Canary: &kube.Canary{Of: of, Percent: percent},
		Images: []kube.ImageChange{{Container: "web", To: image}}, FromVersion: "1", ToVersion: kube.Tag(image), Cause: "a test",
	}
}

// owners counts the pods of a namespace by the Deployment that made them, and
// fails where one has none.
func owners(t *testing.T, ns string) map[string]int {
	t.Helper()
	ctx := t.Context()
	sets := map[string]string{}
	for _, rs := range get[*appsv1.ReplicaSetList](t)(admin(t).AppsV1().ReplicaSets(ns).List(ctx, metav1.ListOptions{})).Items {
		if o := metav1.GetControllerOf(&rs); o != nil {
			sets[rs.Name] = o.Name
		}
	}
	out := map[string]int{}
	for _, p := range get[*corev1.PodList](t)(admin(t).CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})).Items {
		if o := metav1.GetControllerOf(&p); o != nil && p.DeletionTimestamp == nil {
			out[sets[o.Name]]++
		}
	}
	return out
}

// A canary stands behind the same Service, and the two Deployments never take each
// other's pods or ReplicaSets, whatever is done to either.
func TestACanaryStandsBesideItsDeployment(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "acme/web:1", func(d *appsv1.Deployment) {
		d.Spec.Replicas = ptr[int32](3)
		d.Labels = map[string]string{"team": "front", "argocd.argoproj.io/instance": "shop", "app.kubernetes.io/managed-by": "Helm"}
		d.Annotations = map[string]string{"meta.helm.sh/release-name": "shop"}
	})
	ctx, a := t.Context(), admin(t)
	_, err := a.CoreV1().Services(ns).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}},
	}}, metav1.CreateOptions{})
	ok(t, err)
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: policyv1.PodDisruptionBudgetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, MaxUnavailable: ptr(intstr.FromInt32(1)),
	}}
	_, err = a.PolicyV1().PodDisruptionBudgets(ns).Create(ctx, budget, metav1.CreateOptions{})
	ok(t, err)
	settled(t, ref)
	w := kube.NewWriter(cluster(t))

	c, d, err := w.Plan(ctx, toCanary(ref, "acme/web:2", 10))
	ok(t, err)
	if c.From() != "none" || c.To() != "2, 1 of 4 pods" || c.Canary.Share() != 25 || c.Images[0].From != "acme/web:1" || !strings.Contains(d.Unified, "+        image: acme/web:2") {
		t.Errorf("%s → %s, %+v\n%s", c.From(), c.To(), c.Canary, d.Unified)
	}
	if n := owners(t, ns); n["web-canary"] != 0 {
		t.Fatalf("the plan made pods: %v", n)
	}
	done := applied(t, w, c, "canary")
	if again := applied(t, w, c, "canary"); !again.Already || again.UID != done.UID {
		t.Errorf("applied twice: %+v", again)
	}
	can := kube.CanaryOf(ref)
	settled(t, can)
	both := map[string]int{"web": 3, "web-canary": 1}
	if n := owners(t, ns); !maps.Equal(n, both) {
		t.Errorf("pods %v", n)
	}
	eventually(t, "four endpoints", func() bool {
		n := 0
		for _, s := range get[*discoveryv1.EndpointSliceList](t)(a.DiscoveryV1().EndpointSlices(ns).List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=web"})).Items {
			n += len(s.Endpoints)
		}
		return n == 4
	})
	eventually(t, "the budget counts four", func() bool {
		b := get[*policyv1.PodDisruptionBudget](t)(a.PolicyV1().PodDisruptionBudgets(ns).Get(ctx, "web", metav1.GetOptions{}))
		return b.Status.ExpectedPods == 4 && b.Status.CurrentHealthy == 4
	})
	made := get[*appsv1.Deployment](t)(a.AppsV1().Deployments(ns).Get(ctx, "web-canary", metav1.GetOptions{}))
	if s := get[labels.Selector](t)(metav1.LabelSelectorAsSelector(made.Spec.Selector)); s.Matches(labels.Set(look(t, ref).Template.Labels)) {
		t.Errorf("the canary's selector %s chooses the pods beside it", s)
	}
	if made.Labels["team"] != "front" || made.Labels["argocd.argoproj.io/instance"] != "" || len(made.Annotations["meta.helm.sh/release-name"]) > 0 || made.Labels["app.kubernetes.io/managed-by"] == "Helm" {
		t.Errorf("it is labelled %v, annotated %v", made.Labels, made.Annotations)
	}
	seen := get[kube.Workload](t)(watching(t).Get(ctx, can))
	if of, is := seen.CanaryBeside(); !is || of != ref {
		t.Errorf("it is seen as a canary of %v, %v", of, is)
	}

	// Each is rolled out and scaled by itself.
	applied(t, w, planned(t, w, toImage(ref, "acme/web:1.1")), "image")
	settled(t, ref)
	applied(t, w, planned(t, w, toScale(ref, 5)), "scale")
	applied(t, w, planned(t, w, toScale(can, 2)), "more")
	settled(t, ref)
	settled(t, can)
	both = map[string]int{"web": 5, "web-canary": 2}
	eventually(t, "five and two pods", func() bool { return maps.Equal(owners(t, ns), both) })
	for name, p := range map[string]kube.Ref{"web": ref, "web-canary": can} {
		pods := get[[]kube.PodState](t)(watching(t).Pods(ctx, kube.PodQuery{Namespace: ns, Owner: p.Name, OwnerKind: kube.Deployment}))
		if n := len(slices.DeleteFunc(pods, func(p kube.PodState) bool { return p.Leaving })); n != both[name] {
			t.Errorf("the reader counts %d pods of %s", n, name)
		}
	}

	// A second one is refused, and so is one of what is none.
	for what, bad := range map[string]kube.Change{
		"a second": toCanary(ref, "acme/web:3", 10), "too much": toCanary(kube.Ref{Namespace: ns, Kind: kube.Deployment, Name: "web"}, "acme/web:3", 80),
	} {
		if _, _, err := w.Plan(ctx, bad); fault.KindOf(err) != fault.Refused {
			t.Errorf("%s: %v", what, err)
		}
	}

	// Withdrawn, it is gone with its pods, and those beside it stay.
	c.UID = done.UID
	back, can2 := c.Inverse()
	if !can2 || back.Verb != kube.VerbWithdraw {
		t.Fatalf("the inverse is %+v", back)
	}
	back, d, err = w.Plan(ctx, back)
	ok(t, err)
	if back.To() != "none" || !strings.Contains(d.Unified, "-        image: acme/web:2") {
		t.Errorf("%s → %s\n%s", back.From(), back.To(), d.Unified)
	}
	before := owners(t, ns)
	applied(t, w, back, "back")
	applied(t, w, back, "back") // gone is gone
	eventually(t, "the canary's pods are gone", func() bool { return owners(t, ns)["web-canary"] == 0 })
	if n := owners(t, ns); n["web"] != before["web"] {
		t.Errorf("pods %v", n)
	}
	if _, _, err := w.Plan(ctx, back); fault.KindOf(err) != fault.NotFound {
		t.Errorf("withdrawn twice: %v", err)
	}
	// Put back, it is as it was, though the one beside it is not.
	again, _ := back.Inverse()
	applied(t, w, planned(t, w, again), "again")
	settled(t, can)
	if n := owners(t, ns); n["web"] != 5 || n["web-canary"] == 0 {
		t.Errorf("pods %v", n)
	}
}

// What was copied is not there any more: it is left alone. An autoscaler's work
// is no reason.
func TestACanaryOfWhatMoved(t *testing.T) {
	t.Parallel()
	w := kube.NewWriter(cluster(t))
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, ref kube.Ref)
		kind   fault.Kind
	}{
		{"another image", func(t *testing.T, ref kube.Ref) {
			t.Helper()
			applied(t, w, planned(t, w, toImage(ref, "acme/web:9")), "x")
		}, fault.Conflict},
		{"other pods", func(t *testing.T, ref kube.Ref) {
			t.Helper()
			applied(t, w, planned(t, w, kube.Change{Ref: ref, Verb: kube.VerbRestart, RestartedAt: time.Now().Format(time.RFC3339)}), "x")
		}, fault.Conflict},
		{"made anew", func(t *testing.T, ref kube.Ref) {
			t.Helper()
			ok(t, admin(t).AppsV1().Deployments(ref.Namespace).Delete(t.Context(), ref.Name, metav1.DeleteOptions{}))
			create(t, ref.Namespace, kube.Deployment, "acme/web:1")
		}, fault.Conflict},
		{"scaled", func(t *testing.T, ref kube.Ref) { t.Helper(); applied(t, w, planned(t, w, toScale(ref, 4)), "x") }, ""},
		{"its name taken", func(t *testing.T, ref kube.Ref) {
			t.Helper()
			create(t, ref.Namespace, kube.Deployment, "acme/other:1", func(d *appsv1.Deployment) { d.Name = "web-canary" })
		}, fault.Conflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ref := create(t, space(t), kube.Deployment, "acme/web:1")
			settled(t, ref)
			c := planned(t, w, toCanary(ref, "acme/web:2", 10))
			tt.change(t, ref)
			if _, err := w.Apply(t.Context(), c, "canary"); fault.KindOf(err) != tt.kind {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("no canary is withdrawn that is none", func(t *testing.T) {
		t.Parallel()
		ref := create(t, space(t), kube.Deployment, "acme/web:1")
		create(t, ref.Namespace, kube.Deployment, "acme/other:1", func(d *appsv1.Deployment) { d.Name = "web-canary" })
		c := toCanary(ref, "acme/web:2", 10)
		if _, _, err := w.Plan(t.Context(), c); fault.KindOf(err) != fault.Refused {
			t.Errorf("made: %v", err)
		}
		c.Verb = kube.VerbWithdraw
		if _, _, err := w.Plan(t.Context(), c); fault.KindOf(err) != fault.Refused {
			t.Errorf("withdrawn: %v", err)
		}
	})
}

// Whoever asks is warned only of what is sent requests.
func TestBlipsAreOfWhatServicesChoose(t *testing.T) {
	t.Parallel()
	ref := create(t, space(t), kube.Deployment, "acme/web:1")
	settled(t, ref)
	w := kube.NewWriter(cluster(t))
	if c := planned(t, w, toImage(ref, "acme/web:2")); len(c.Blips) > 0 {
		t.Errorf("nobody sends it requests: %v", c.Blips)
	}
	_, err := admin(t).CoreV1().Services(ref.Namespace).Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}},
	}}, metav1.CreateOptions{})
	ok(t, err)
	if c := planned(t, w, toImage(ref, "acme/web:2")); !slices.Equal(c.Blips, []kube.Blip{kube.Unready, kube.Abrupt}) {
		t.Errorf("%v", c.Blips)
	}
	if c := planned(t, w, toScale(ref, 3)); len(c.Blips) > 0 {
		t.Errorf("no pod is replaced: %v", c.Blips)
	}
}
