package kube_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// changesOf are the changes that make sense for a kind, from web:1 to others.
func changesOf(t *testing.T, ref kube.Ref) map[string]kube.Change {
	t.Helper()
	other := template("acme/web:3")
	other.Labels["tier"] = "front"
	other.Spec.Containers[0].Env = nil
	raw, err := json.Marshal(other)
	ok(t, err)
	out := map[string]kube.Change{
		"image":    toImage(ref, "acme/web:2"),
		"restart":  {Ref: ref, Verb: kube.VerbRestart, RestartedAt: "2026-03-01T03:00:00Z"},
		"template": {Ref: ref, Verb: kube.VerbTemplate, ToTemplate: raw, ToVersion: "3"},
	}
	if ref.Kind != kube.DaemonSet {
		out["scale"] = toScale(ref, 3)
	}
	return out
}

func TestPlanChangesNothingAndShowsWhatWould(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, kind string) {
		ref := create(t, space(t), kind, "acme/web:1")
		settled(t, ref)
		w := kube.NewWriter(cluster(t))
		before := look(t, ref)
		want := map[string][]string{
			"scale":    {"-  replicas: 2", "+  replicas: 3"},
			"image":    {"-        image: acme/web:1", "+        image: acme/web:2"},
			"restart":  {`+        kubectl.kubernetes.io/restartedAt: "2026-03-01T03:00:00Z"`},
			"template": {"+        tier: front", "-          value: \"1\"", "image: acme/web:3", "-        image: acme/web:1"},
		}
		for name, c := range changesOf(t, ref) {
			p, d, err := w.Plan(t.Context(), c)
			ok(t, err)
			for _, line := range want[name] {
				if !strings.Contains(d.Unified, line) {
					t.Errorf("%s: the diff lacks %q:\n%s", name, line, d.Unified)
				}
			}
			for _, noise := range []string{"managedFields", "resourceVersion", "last-action", "change-cause", "status:", "annotations: {}", "deprecated"} {
				if strings.Contains(d.Unified, noise) {
					t.Errorf("%s: the diff shows %s:\n%s", name, noise, d.Unified)
				}
			}
			if p.UID != string(before.UID) || p.Generation != before.Generation || d.UID != p.UID || d.Generation != p.Generation {
				t.Errorf("%s: planned against another object: %+v", name, p)
			}
			switch name {
			case "scale":
				if p.FromReplicas != 2 {
					t.Errorf("from %d", p.FromReplicas)
				}
			case "image":
				if p.Images[0].From != "acme/web:1" || p.FromVersion != "1" {
					t.Errorf("from %+v", p)
				}
			case "template":
				if p.FromVersion != "1" || len(p.FromTemplate) == 0 {
					t.Errorf("from %+v", p)
				}
			}
		}
		if d := cmp.Diff(before.ObjectMeta, look(t, ref).ObjectMeta); d != "" {
			t.Errorf("planning changed the object:\n%s", d)
		}
		_, d, err := w.Plan(t.Context(), toImage(ref, "acme/web:1"))
		if err != nil || d.Unified != "" {
			t.Errorf("a change to what is there: %v\n%s", err, d.Unified)
		}
	})
}

func TestApplyOnce(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, kind string) {
		ref := create(t, space(t), kind, "acme/web:1")
		w := kube.NewWriter(cluster(t))
		for name, c := range changesOf(t, ref) {
			c = planned(t, w, c)
			first := applied(t, w, c, "id-"+name)
			now := look(t, ref)
			if first.Already || first.Generation != now.Generation || now.Generation <= c.Generation {
				t.Errorf("%s: %+v, and the object is at generation %d", name, first, now.Generation)
			}
			if now.Annotations["firstmate-ops.github.io/last-action"] != "id-"+name {
				t.Errorf("%s: no mark: %v", name, now.Annotations)
			}
			second := applied(t, w, c, "id-"+name)
			if again := look(t, ref); !second.Already || second.Generation != now.Generation || again.Generation != now.Generation {
				t.Errorf("%s: twice: %+v at generation %d, was %d", name, second, again.Generation, now.Generation)
			}
			if !slices.ContainsFunc(now.ManagedFields, func(m metav1.ManagedFieldsEntry) bool { return m.Manager == "firstmate" && m.Subresource == "" }) {
				t.Errorf("%s: managed by %+v", name, now.ManagedFields)
			}
			container := now.Template.Spec.Containers[0]
			switch name {
			case "scale":
				if now.Replicas != 3 {
					t.Errorf("%d replicas", now.Replicas)
				}
			case "image":
				if container.Image != "acme/web:2" || len(container.Env) != 1 && container.Env != nil || now.Annotations["kubernetes.io/change-cause"] != "a test" {
					t.Errorf("%+v %v", container, now.Annotations)
				}
			case "restart":
				if now.Template.Annotations["kubectl.kubernetes.io/restartedAt"] != "2026-03-01T03:00:00Z" {
					t.Errorf("%v", now.Template.Annotations)
				}
			case "template": // the whole of it, nothing left over
				if container.Image != "acme/web:3" || container.Env != nil || now.Template.Labels["tier"] != "front" || len(now.Template.Annotations) != 0 {
					t.Errorf("%+v", now.Template)
				}
			}
			inv, reversible := c.Inverse()
			if !reversible {
				continue
			}
			applied(t, w, planned(t, w, inv), "undo-"+name)
			back := look(t, ref)
			if c.Verb == kube.VerbTemplate {
				var from corev1.PodTemplateSpec
				ok(t, json.Unmarshal(c.FromTemplate, &from))
				if d := cmp.Diff(from, back.Template); d != "" {
					t.Errorf("undo does not put the template back:\n%s", d)
				}
			} else if back.Template.Spec.Containers[0].Image != "acme/web:1" && name == "image" || kind != kube.DaemonSet && back.Replicas != 2 {
				t.Errorf("%s: undo leaves %+v", name, back)
			}
		}
	})
}

func TestApplyToWhatMoved(t *testing.T) {
	t.Parallel()
	kubectl := func(t *testing.T, ns string, args ...string) {
		t.Helper()
		out, err := sandbox.Kubectl(t.Context(), "", append([]string{"-n", ns}, args...)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for name, c := range map[string]struct {
		change func(kube.Ref) kube.Change
		then   []string // kubectl
		want   []string // of the sentence; none for no conflict
	}{
		"image, by kubectl":           {func(r kube.Ref) kube.Change { return toImage(r, "acme/web:2") }, []string{"set", "image", "deploy/web", "web=acme/web:9"}, []string{"web was changed by kubectl-set meanwhile: it now runs 9.", "I left it alone."}},
		"scale, by kubectl":           {func(r kube.Ref) kube.Change { return toScale(r, 5) }, []string{"scale", "deploy/web", "--replicas=4"}, []string{"web was changed by kubectl meanwhile", "it now runs 4 replicas."}},
		"image, and another scale":    {func(r kube.Ref) kube.Change { return toImage(r, "acme/web:2") }, []string{"scale", "deploy/web", "--replicas=1"}, nil},
		"scale, and a label":          {func(r kube.Ref) kube.Change { return toScale(r, 3) }, []string{"label", "deploy/web", "a=b"}, nil},
		"scale, and another template": {func(r kube.Ref) kube.Change { return toScale(r, 3) }, []string{"set", "env", "deploy/web", "B=2"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := space(t)
			ref := create(t, ns, kube.Deployment, "acme/web:1")
			w := kube.NewWriter(cluster(t))
			p := planned(t, w, c.change(ref))
			kubectl(t, ns, c.then...)
			before := look(t, ref)
			_, err := w.Apply(t.Context(), p, "a1")
			if c.want == nil {
				ok(t, err)
				return
			}
			for _, part := range c.want {
				if fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Say(err), part) {
					t.Errorf("%s %q, want %q", fault.KindOf(err), fault.Say(err), part)
				}
			}
			if after := look(t, ref); after.Generation != before.Generation {
				t.Error("it was changed all the same")
			}
		})
	}
	t.Run("status only", func(t *testing.T) {
		t.Parallel()
		ref := create(t, space(t), kube.Deployment, "acme/web:1")
		w := kube.NewWriter(cluster(t))
		p := planned(t, w, toScale(ref, 3))
		version := look(t, ref).ResourceVersion
		settled(t, ref)
		if look(t, ref).ResourceVersion == version {
			t.Fatal("the status has not moved: the test shows nothing")
		}
		applied(t, w, p, "a1")
	})
	t.Run("deleted", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		ref := create(t, ns, kube.Deployment, "acme/web:1")
		w := kube.NewWriter(cluster(t))
		p := planned(t, w, toScale(ref, 3))
		ok(t, admin(t).AppsV1().Deployments(ns).Delete(t.Context(), "web", metav1.DeleteOptions{}))
		if _, err := w.Apply(t.Context(), p, "a1"); fault.KindOf(err) != fault.NotFound || fault.Say(err) != "I could not scale web: it is not there any more." {
			t.Errorf("%v", err)
		}
		if _, _, err := w.Plan(t.Context(), p); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%v", err)
		}
		create(t, ns, kube.Deployment, "acme/web:1")
		if _, err := w.Apply(t.Context(), p, "a1"); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Say(err), "made anew") {
			t.Errorf("%v", err)
		}
	})
}

func TestWritesAreDoneAsTheSpeaker(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "acme/web:1")
	ctx, c := t.Context(), admin(t)
	_, err := c.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "edit"}, RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "edit"},
		Subjects: []rbacv1.Subject{{Kind: "User", Name: "ann@example.com"}, {Kind: "Group", Name: "sre"}},
	}, metav1.CreateOptions{})
	ok(t, err)
	// The API server itself says whom it sees: it refuses everybody but these.
	policy(t, ns, "seen", "deployments", "apps", `request.userInfo.username == "ann@example.com" || "sre" in request.userInfo.groups`, "only ann and sre")
	w := kube.NewWriter(cluster(t))
	change := func(as kube.As) kube.Change { c := toScale(ref, 3); c.As = as; return c }
	eventually(t, "the policy refuses the process itself", func() bool {
		_, _, err := w.Plan(ctx, change(kube.As{}))
		return fault.KindOf(err) == fault.Forbidden && strings.Contains(fault.Say(err), "only ann and sre")
	})

	for _, who := range []kube.As{{User: "bob@example.com"}, {User: "bob@example.com", Groups: []string{"dev"}}} {
		_, _, err := w.Plan(ctx, change(who))
		say := fault.Say(err)
		if fault.KindOf(err) != fault.Forbidden || !strings.HasPrefix(say, `The cluster does not allow me to scale web: deployments.apps "web" is forbidden: User "bob@example.com" cannot`) {
			t.Errorf("%+v: %s %q", who, fault.KindOf(err), say)
		}
		p := planned(t, w, change(kube.As{User: "ann@example.com"}))
		p.As = who
		if _, err := w.Apply(ctx, p, "bob"); fault.KindOf(err) != fault.Forbidden {
			t.Errorf("%+v applies: %v", who, err)
		}
	}
	applied(t, w, planned(t, w, change(kube.As{User: "ann@example.com"})), "a1")
	c5 := change(kube.As{User: "carl@example.com", Groups: []string{"dev", "sre"}})
	c5.ToReplicas = 4
	applied(t, w, planned(t, w, c5), "a2")
	if got := look(t, ref); got.Replicas != 4 {
		t.Errorf("%d replicas", got.Replicas)
	}
}

// policy makes the API server refuse objects of one namespace for which the
// expression is false.
func policy(t *testing.T, ns, name, resource, group, expression, message string) {
	t.Helper()
	name = ns + "-" + name
	c, ctx := admin(t).AdmissionregistrationV1(), t.Context()
	_, err := c.ValidatingAdmissionPolicies().Create(ctx, &admv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admv1.MatchResources{ResourceRules: []admv1.NamedRuleWithOperations{{RuleWithOperations: admv1.RuleWithOperations{
				Operations: []admv1.OperationType{admv1.Create, admv1.Update},
				Rule:       admv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: []string{resource}},
			}}}},
			Validations: []admv1.Validation{{Expression: expression, Message: message}},
		},
	}, metav1.CreateOptions{})
	ok(t, err)
	_, err = c.ValidatingAdmissionPolicyBindings().Create(ctx, &admv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admv1.ValidationAction{admv1.Deny},
			MatchResources: &admv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"test": ns}}},
		},
	}, metav1.CreateOptions{})
	ok(t, err)
}

func TestRefusalsAreSentences(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "acme/web:1")
	w := kube.NewWriter(cluster(t))
	p := planned(t, w, toScale(ref, 12)) // before the policy, which may bind at once
	policy(t, ns, "small", "deployments", "apps", "object.spec.replicas <= 9", "nobody needs more than nine")
	eventually(t, "the policy refuses twelve", func() bool {
		_, _, err := w.Plan(t.Context(), toScale(ref, 12))
		return fault.KindOf(err) == fault.Forbidden && strings.Contains(fault.Say(err), "nobody needs more than nine")
	})
	if _, err := w.Apply(t.Context(), p, "a1"); fault.KindOf(err) != fault.Forbidden || !strings.HasPrefix(fault.Say(err), "The cluster would not accept that:") {
		t.Errorf("%s %q", fault.KindOf(err), fault.Say(err))
	}
	for name, c := range map[string]kube.Change{
		"a negative scale": toScale(ref, -1), "an empty image": toImage(ref, ""),
		"a template that fits not its selector": {Ref: ref, Verb: kube.VerbTemplate, ToTemplate: json.RawMessage(`{"metadata":{"labels":{"app":"other"}},"spec":{"containers":[{"name":"web","image":"x"}]}}`)},
	} {
		_, _, err := w.Plan(t.Context(), c)
		if fault.KindOf(err) != fault.Forbidden || !strings.HasPrefix(fault.Say(err), "The cluster would not accept that:") {
			t.Errorf("%s: %s %q", name, fault.KindOf(err), fault.Say(err))
		}
	}
	if got := look(t, ref); got.Generation != 1 {
		t.Errorf("generation %d", got.Generation)
	}
}
