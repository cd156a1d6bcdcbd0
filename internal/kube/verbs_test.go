package kube_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// A roll-back is made up from the history; a roll-out that lands before the
// dry-run makes another one of it.
func TestAPlanFromWhatIsGoneIsRefused(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, kind string) {
		ref := create(t, space(t), kind, "acme/cart:1.9")
		settled(t, ref)
		r, w := watching(t), kube.NewWriter(cluster(t))
		applied(t, w, planned(t, w, toImage(ref, "acme/cart:2.0")), "up")
		settled(t, ref)
		seen := get[kube.Workload](t)(r.Get(t.Context(), ref))
		history := get[[]kube.Revision](t)(r.History(t.Context(), seen))
		if len(history) != 2 || history[1].Version(seen) != "1.9" {
			t.Fatalf("history %+v", history)
		}
		back := kube.Change{Ref: ref, Verb: kube.VerbTemplate, Based: seen.Generation, ToTemplate: history[1].Template, ToVersion: "1.9"}
		if p := planned(t, w, back); p.FromVersion != "2.0" {
			t.Errorf("from %s", p.FromVersion)
		}
		applied(t, w, planned(t, w, toImage(ref, "acme/cart:2.1-bad")), "bad") // the one to go back from is 2.0 no more
		p, _, err := w.Plan(t.Context(), back)
		if !errors.Is(err, kube.ErrStale) || fault.KindOf(err) != fault.Conflict {
			t.Errorf("planned from %s to %s: %v", p.From(), p.To(), err)
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	ref := create(t, space(t), kube.Deployment, "acme/web:1")
	settled(t, ref)
	w := kube.NewWriter(cluster(t))
	paused := func() bool {
		d := get[*appsv1.Deployment](t)(admin(t).AppsV1().Deployments(ref.Namespace).Get(t.Context(), ref.Name, metav1.GetOptions{}))
		return d.Spec.Paused
	}
	c, d, err := w.Plan(t.Context(), kube.Change{Ref: ref, Verb: kube.VerbPause})
	ok(t, err)
	if !strings.Contains(d.Unified, "+  paused: true") || c.From() != "not paused" || c.To() != "paused" || paused() {
		t.Errorf("%s → %s, %v\n%s", c.From(), c.To(), paused(), d.Unified)
	}
	applied(t, w, c, "hold")
	if !paused() || !applied(t, w, c, "hold").Already {
		t.Error("not held, or twice")
	}
	applied(t, w, planned(t, w, toImage(ref, "acme/web:2")), "image")
	seen := follow(t, watching(t), ref, look(t, ref).Generation, func(p kube.Progress) bool { return p.State == kube.Paused })
	if last := seen[len(seen)-1]; last.Updated != 0 {
		t.Errorf("it rolls though it is held: %s", story(seen))
	}
	inv, can := c.Inverse()
	if !can || inv.Verb != kube.VerbResume {
		t.Fatalf("the inverse is %+v", inv)
	}
	done := applied(t, w, planned(t, w, inv), "go")
	if paused() {
		t.Error("still held")
	}
	follow(t, watching(t), ref, done.Generation, func(p kube.Progress) bool { return p.Done() && p.Updated == 2 })
	set := create(t, space(t), kube.StatefulSet, "acme/web:1")
	if _, _, err := w.Plan(t.Context(), kube.Change{Ref: set, Verb: kube.VerbPause}); fault.KindOf(err) != fault.Refused || !strings.Contains(fault.Say(err), "only hold the roll-out of a Deployment") {
		t.Errorf("a StatefulSet: %v", err)
	}
}

// program plans a program and makes it.
func program(t *testing.T, w *kube.Writer, p kube.Program, id string) []kube.Change {
	t.Helper()
	changes, err := p.Creations()
	ok(t, err)
	for i, c := range changes {
		c, d, err := w.Plan(t.Context(), c)
		ok(t, err)
		if c.From() != "none" || strings.Contains(d.Unified, "\n-") || !strings.Contains(d.Unified, "+    app.kubernetes.io/name: "+p.Name) {
			t.Errorf("%s → %s\n%s", c.From(), c.To(), d.Unified)
		}
		a := applied(t, w, c, id)
		if again := applied(t, w, c, id); a.Already || !again.Already || a.UID == "" || again.UID != a.UID {
			t.Errorf("first %+v, then %+v", a, again)
		}
		c.UID = a.UID
		changes[i] = c
	}
	return changes
}

func TestCreateIsRestrictedAndUndoneExactly(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ctx := t.Context()
	space := get[*corev1.Namespace](t)(admin(t).CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{}))
	space.Labels["pod-security.kubernetes.io/enforce"] = "restricted" // the cluster itself refuses what is not
	_, err := admin(t).CoreV1().Namespaces().Update(ctx, space, metav1.UpdateOptions{})
	ok(t, err)
	w := kube.NewWriter(cluster(t))
	hello := kube.Program{Namespace: ns, Name: "hello", Image: "ghcr.io/acme/hello:1.0", Replicas: 3, Port: 8080}
	changes := program(t, w, hello, "run")
	ref := changes[0].Ref
	settled(t, ref)
	d := get[*appsv1.Deployment](t)(admin(t).AppsV1().Deployments(ns).Get(ctx, "hello", metav1.GetOptions{}))
	c := d.Spec.Template.Spec.Containers[0]
	if d.Status.ReadyReplicas != 3 || c.Image != "ghcr.io/acme/hello:1.0" || c.ReadinessProbe.TCPSocket == nil || c.LivenessProbe.TCPSocket == nil ||
		c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() || d.Labels["app.kubernetes.io/version"] != "1.0" {
		t.Errorf("%+v", d)
	}
	s := get[*corev1.Service](t)(admin(t).CoreV1().Services(ns).Get(ctx, "hello", metav1.GetOptions{}))
	if s.Spec.Ports[0].Port != 8080 || !cmp.Equal(s.Spec.Selector, d.Spec.Selector.MatchLabels) {
		t.Errorf("%+v", s.Spec)
	}

	// A name that exists is refused, and so is what somebody made meanwhile.
	again, err := hello.Creations()
	ok(t, err)
	if _, _, err := w.Plan(ctx, again[0]); fault.KindOf(err) != fault.Refused || !strings.Contains(fault.Say(err), "There is a Deployment hello in "+ns+" already.") {
		t.Errorf("%v", err)
	}

	// Undo deletes what was made, and nothing else of its name.
	undo := make([]kube.Change, len(changes))
	for i, c := range changes {
		inv, can := c.Inverse()
		if !can || inv.UID == "" {
			t.Fatalf("the inverse is %+v", inv)
		}
		undo[i] = planned(t, w, inv)
		if undo[i].To() != "none" || undo[i].From() != c.To() {
			t.Errorf("%s → %s", undo[i].From(), undo[i].To())
		}
	}
	ok(t, admin(t).CoreV1().Services(ns).Delete(ctx, "hello", metav1.DeleteOptions{}))
	somebodys := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "hello"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}}}
	_, err = admin(t).CoreV1().Services(ns).Create(ctx, somebodys, metav1.CreateOptions{})
	ok(t, err)
	applied(t, w, undo[0], "undo")
	if _, err := w.Apply(ctx, undo[1], "undo"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("somebody else's Service: %v", err)
	}
	if _, _, err := w.Plan(ctx, must(changes[1].Inverse())); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Say(err), "somebody made another one") {
		t.Errorf("%v", err)
	}
	if _, err := admin(t).AppsV1().Deployments(ns).Get(ctx, "hello", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Deployment is still there: %v", err)
	}
	if _, err := admin(t).CoreV1().Services(ns).Get(ctx, "hello", metav1.GetOptions{}); err != nil {
		t.Errorf("somebody else's Service is gone: %v", err)
	}
	if !applied(t, w, undo[0], "undo").Already {
		t.Error("deleted twice")
	}
}

func must(c kube.Change, ok bool) kube.Change {
	if !ok {
		panic("no inverse")
	}
	return c
}

func TestProgramsThatMakeNoSense(t *testing.T) {
	for _, p := range []kube.Program{{Name: "Hello", Image: "a"}, {Name: "-a", Image: "a"}, {Name: "", Image: "a"}, {Name: "a", Image: "a", Port: 70000}} {
		if _, err := p.Creations(); fault.KindOf(err) != fault.NotUnderstood {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestAutoscalerIsPutBackExactly(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "acme/web:1")
	w, ctx := kube.NewWriter(cluster(t)), t.Context()
	hpas := admin(t).AutoscalingV2().HorizontalPodAutoscalers(ns)
	change := func(b kube.Bounds) kube.Change {
		at := ref
		at.Kind = kube.HPA
		return kube.Change{Ref: at, Target: &ref, Verb: kube.VerbAutoscale, Bounds: &b}
	}
	now := func() *autoscalingv2.HorizontalPodAutoscaler {
		h, err := hpas.Get(ctx, "web", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		ok(t, err)
		h.ObjectMeta = metav1.ObjectMeta{Name: h.Name, Namespace: h.Namespace, Labels: h.Labels, Annotations: h.Annotations}
		delete(h.Annotations, "firstmate-ops.github.io/last-action")
		h.Status = autoscalingv2.HorizontalPodAutoscalerStatus{}
		return h
	}
	// make, and undo
	made := planned(t, w, change(kube.Bounds{Min: 2, Max: 10}))
	if made.From() != "none" || made.To() != "2 to 10 at 80% cpu" || now() != nil {
		t.Errorf("%s → %s", made.From(), made.To())
	}
	a := applied(t, w, made, "make")
	if h := now(); *h.Spec.MinReplicas != 2 || h.Spec.MaxReplicas != 10 || h.Spec.ScaleTargetRef.Kind != "Deployment" || !applied(t, w, made, "make").Already {
		t.Errorf("%+v", h)
	}
	made.UID = a.UID
	applied(t, w, planned(t, w, must(made.Inverse())), "unmake")
	if now() != nil {
		t.Error("undo leaves it")
	}
	// change and switch off what somebody made with care, and undo both
	window := int32(30)
	_, err := hpas.Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"team": "shop"}, Annotations: map[string]string{"note": "ask ann", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}, MinReplicas: ptr[int32](3), MaxReplicas: 6,
			Metrics:  []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: "memory", Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr[int32](60)}}}},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &window}},
		},
	}, metav1.CreateOptions{})
	ok(t, err)
	was := now()
	for name, b := range map[string]kube.Bounds{"more": {Max: 12}, "by cpu as well": {Percent: 70}, "off": {Off: true}} {
		c := planned(t, w, change(b))
		applied(t, w, c, name)
		is := now()
		switch name {
		case "more":
			if is.Spec.MaxReplicas != 12 || *is.Spec.MinReplicas != 3 || len(is.Spec.Metrics) != 1 || c.From() != "3 to 6 at 60% memory" {
				t.Errorf("from %s: %+v", c.From(), is.Spec)
			}
		case "by cpu as well":
			if len(is.Spec.Metrics) != 2 {
				t.Errorf("%+v", is.Spec.Metrics)
			}
		case "off":
			if is != nil || c.To() != "none" {
				t.Error("it is still there")
			}
		}
		applied(t, w, planned(t, w, must(c.Inverse())), "undo "+name)
		if d := cmp.Diff(was, now(), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: undo does not put it back:\n%s", name, d)
		}
	}
	// somebody changes it between the read-back and the yes
	c := planned(t, w, change(kube.Bounds{Max: 9}))
	_, err = hpas.Patch(ctx, "web", "application/merge-patch+json", []byte(`{"spec":{"maxReplicas":20}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	ok(t, err)
	if _, err := w.Apply(ctx, c, "late"); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Say(err), "by kubectl-edit meanwhile") {
		t.Errorf("%v", err)
	}
	for name, b := range map[string]kube.Bounds{"upside down": {Min: 30}} {
		if _, _, err := w.Plan(ctx, change(b)); fault.KindOf(err) != fault.NotUnderstood {
			t.Errorf("%s: %v", name, err)
		}
	}
	// It lives through the journal.
	raw, err := json.Marshal(c)
	ok(t, err)
	var back kube.Change
	ok(t, json.Unmarshal(raw, &back))
	if back.From() != c.From() || back.To() != c.To() || back.About() != ref {
		t.Errorf("%+v", back)
	}
}
