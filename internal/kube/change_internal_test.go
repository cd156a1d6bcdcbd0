package kube

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

const digest = "sha256:9b7cc10f2c0a1f3c1b4f1e6f4a1b7f5f9a9c1d2e3f405162738495a6b7c8d9e0"

func TestTagAndRepository(t *testing.T) {
	for image, want := range map[string][2]string{
		"nginx":                                 {"latest", "nginx"},
		"nginx:1.27":                            {"1.27", "nginx"},
		"acme/web:v2":                           {"v2", "acme/web"},
		"registry.example.com:5000/acme/web":    {"latest", "registry.example.com:5000/acme/web"},
		"registry.example.com:5000/acme/web:v2": {"v2", "registry.example.com:5000/acme/web"},
		"localhost:5000/web":                    {"latest", "localhost:5000/web"},
		"acme/web@" + digest:                    {"sha256:9b7cc10f2c0a", "acme/web"},
		"acme/web:2.1@" + digest:                {"2.1", "acme/web"},
		"r.example.com:5000/web@" + digest:      {"sha256:9b7cc10f2c0a", "r.example.com:5000/web"},
		"Not An Image":                          {"Not An Image", "Not An Image"},
		"":                                      {"", ""},
	} {
		if got := [2]string{Tag(image), Repository(image)}; got != want {
			t.Errorf("%q: got %q, want %q", image, got, want)
		}
	}
}

func TestWithVersion(t *testing.T) {
	for _, c := range []struct {
		image, version string
		known          []string
		want           string
	}{
		{"acme/web:1.0", "2.0", nil, "acme/web:2.0"},
		{"acme/web:1.0", "v2.0", nil, "acme/web:v2.0"},
		{"acme/web:v1.0", "2.0", nil, "acme/web:v2.0"},
		{"acme/web:v1.0", "v2.0", nil, "acme/web:v2.0"},
		{"acme/web:v1.0", "stable", nil, "acme/web:stable"},
		{"acme/web:vanilla", "2.0", nil, "acme/web:2.0"},
		{"acme/web:1.0", "v2", []string{"2"}, "acme/web:2"},
		{"acme/web:v1.0", "2.0", []string{"2.0"}, "acme/web:2.0"},
		{"acme/web:1.0", "2.0", []string{"1.9", "v2.0"}, "acme/web:v2.0"},
		{"acme/web", "2.0", nil, "acme/web:2.0"},
		{"r.example.com:5000/web", "2.0", nil, "r.example.com:5000/web:2.0"},
		{"r.example.com:5000/web:v1", "2", nil, "r.example.com:5000/web:v2"},
		{"acme/web@" + digest, "2.0", nil, "acme/web:2.0"},
		{"acme/web:v1@" + digest, "2", nil, "acme/web:v2"},
		{"acme/web:1.0", digest, nil, "acme/web@" + digest},
	} {
		if got := WithVersion(c.image, c.version, c.known); got != c.want {
			t.Errorf("%s to %s (known %q): got %s, want %s", c.image, c.version, c.known, got, c.want)
		}
	}
}

func TestMainContainerAndVersion(t *testing.T) {
	for name, c := range map[string]struct {
		workload   string
		containers []Container
		main       string // "" where there is a choice
		version    string
	}{
		"the only one":          {"web", []Container{{"x", "other:1"}}, "x", "1"},
		"named like it":         {"web", []Container{{"proxy", "envoy:9"}, {"web", "acme/site:2"}}, "web", "2"},
		"imaged like it":        {"web", []Container{{"proxy", "envoy:9"}, {"app", "r.example.com:5000/acme/web:3"}}, "app", "3"},
		"the name before image": {"web", []Container{{"app", "web:3"}, {"web", "site:2"}}, "web", "2"},
		"two imaged like it":    {"web", []Container{{"a", "x/web:3"}, {"b", "y/web:4"}}, "", "a 3, b 4"},
		"none":                  {"web", []Container{{"a", "x:3"}, {"b", "y:4"}}, "", "a 3, b 4"},
		"no containers":         {"web", nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := Workload{Ref: Ref{Name: c.workload}, Containers: c.containers}
			m, ok := w.Main()
			if ok != (c.main != "") || ok && m.Name != c.main {
				t.Errorf("the main container is %v %v, want %q", m, ok, c.main)
			}
			if got := w.Version(); got != c.version {
				t.Errorf("version %q, want %q", got, c.version)
			}
			if got := (Revision{Containers: c.containers}).Version(Workload{Ref: w.Ref}); got != c.version {
				t.Errorf("the revision's version is %q, want %q", got, c.version)
			}
		})
	}
	w := Workload{Containers: []Container{{"a", "x:3"}}}
	if w.Image("a") != "x:3" || w.Image("b") != "" {
		t.Error("the image of a container")
	}
}

func changes() map[Verb]Change {
	base := Change{Ref: Ref{"c", "shop", Deployment, "web"}, As: As{User: "ann"}}
	scale, image, template, restart := base, base, base, base
	scale.Verb, scale.FromReplicas, scale.ToReplicas = VerbScale, 2, 0
	image.Verb, image.FromVersion, image.ToVersion = VerbImage, "1", "2"
	image.Images = []ImageChange{{"web", "web:1", "web:2"}, {"side", "side:1", "side:2"}}
	template.Verb, template.FromVersion, template.ToVersion = VerbTemplate, "1", "2"
	template.FromTemplate, template.ToTemplate = json.RawMessage(`{"a":1}`), json.RawMessage(`{"a":2}`)
	restart.Verb, restart.RestartedAt = VerbRestart, "2026-03-01T03:00:00Z"
	return map[Verb]Change{VerbScale: scale, VerbImage: image, VerbTemplate: template, VerbRestart: restart}
}

func TestAVerbIsAPatchOrCallsForItself(t *testing.T) {
	for _, name := range Verbs() {
		v := verbs(name)
		_, patches := v.(patcher)
		_, calls := v.(caller)
		if patches == calls {
			t.Errorf("%s: a patch %v, calls of its own %v", name, patches, calls)
		}
		if _, steps := v.(stepper); steps != ((Change{Verb: name}).Ending() == EndsStepwise) {
			t.Errorf("%s: its ending and its steps disagree", name)
		}
		if v.aspect() == "" {
			t.Errorf("%s changes nothing", name)
		}
	}
}

func TestInverse(t *testing.T) {
	for verb, c := range changes() {
		inv, ok := c.Inverse()
		if verb == VerbRestart {
			if ok {
				t.Error("a restart has something to put back")
			}
			continue
		}
		if !ok || inv.From() != c.To() || inv.To() != c.From() || inv.Ref != c.Ref || inv.As.User != c.As.User {
			t.Errorf("the inverse of %+v is %+v", c, inv)
		}
		if d := cmp.Diff(c, must(inv.Inverse())); d != "" {
			t.Errorf("%s: the inverse of the inverse differs:\n%s", verb, d)
		}
	}
	seen := changes()[VerbImage]
	seen.UID, seen.Generation, seen.Cause, seen.ToRevision = "u", 7, "why", 3
	inv := must(seen.Inverse())
	if inv.UID != "" || inv.Generation != 0 || inv.Cause != "" || inv.ToRevision != 0 {
		t.Errorf("what was true of the object then is kept: %+v", inv)
	}
	inv.Images[0].To = "spoiled"
	if seen.Images[0].From != "web:1" {
		t.Error("the inverse shares its images with the change")
	}
}

func must(c Change, ok bool) Change {
	if !ok {
		panic("no inverse")
	}
	return c
}

func TestFromAndTo(t *testing.T) {
	for verb, want := range map[Verb][2]string{
		VerbScale: {"2", "0"}, VerbImage: {"1", "2"}, VerbTemplate: {"1", "2"}, VerbRestart: {"", "restarted"},
	} {
		c := changes()[verb]
		if c.From() != want[0] || c.To() != want[1] {
			t.Errorf("%s: from %q to %q, want %q", verb, c.From(), c.To(), want)
		}
	}
	if got := (Ref{"c", "shop", DaemonSet, "node-agent"}).String(); got != "shop/daemonset/node-agent" {
		t.Error(got)
	}
}

func TestStillConflicts(t *testing.T) {
	t0 := metav1.NewTime(time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC))
	t1 := metav1.NewTime(t0.Add(time.Second))
	live := func() *appsv1.Deployment {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{UID: "u1", Generation: 7}}
		d.ManagedFields = []metav1.ManagedFieldsEntry{
			{Manager: "helm", Time: &t0}, {Manager: "kubectl-edit", Time: &t1}, {Manager: "no-time"},
			{Manager: "kube-controller-manager", Time: ptr(metav1.NewTime(t1.Add(time.Hour)))},
			{Manager: "node", Subresource: "status", Time: ptr(metav1.NewTime(t1.Add(time.Hour)))},
		}
		d.Spec.Replicas = ptr[int32](2)
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Image: "web:1"}, {Name: "side", Image: "side:1"}}
		return d
	}
	planned := func(verb Verb) Change {
		c := changes()[verb]
		c, err := onto(verbs(c.Verb).(patcher), c, objectOf(live()))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, c := range map[string]struct {
		verb Verb
		then func(*appsv1.Deployment)
		want string // "" for no conflict
	}{
		"nothing happened":                 {VerbScale, func(*appsv1.Deployment) {}, ""},
		"scaled elsewhere":                 {VerbScale, func(d *appsv1.Deployment) { d.Generation++; d.Spec.Replicas = ptr[int32](9) }, "web was changed by kubectl-edit meanwhile: it now runs 9 replicas. I left it alone."},
		"scaled to the default":            {VerbScale, func(d *appsv1.Deployment) { d.Generation++; d.Spec.Replicas = nil }, "web was changed by kubectl-edit meanwhile: it now runs 1 replica. I left it alone."},
		"scale, and another image":         {VerbScale, func(d *appsv1.Deployment) { d.Generation++; d.Spec.Template.Spec.Containers[0].Image = "web:9" }, ""},
		"another image":                    {VerbImage, func(d *appsv1.Deployment) { d.Generation++; d.Spec.Template.Spec.Containers[0].Image = "web:9" }, "web was changed by kubectl-edit meanwhile: it now runs 9. I left it alone."},
		"another repository, the same tag": {VerbImage, func(d *appsv1.Deployment) { d.Generation++; d.Spec.Template.Spec.Containers[0].Image = "evil/web:1" }, "web was changed by kubectl-edit meanwhile: it now runs evil/web:1. I left it alone."},
		"the container is gone": {VerbImage, func(d *appsv1.Deployment) {
			d.Generation++
			d.Spec.Template.Spec.Containers = d.Spec.Template.Spec.Containers[:1]
		}, "web was changed by kubectl-edit meanwhile: it now has no container side. I left it alone."},
		"image, and another scale":    {VerbImage, func(d *appsv1.Deployment) { d.Generation++; d.Spec.Replicas = ptr[int32](9) }, ""},
		"image, and unrelated":        {VerbImage, func(d *appsv1.Deployment) { d.Generation++; d.Spec.Paused = true }, ""},
		"another template":            {VerbTemplate, func(d *appsv1.Deployment) { d.Generation++; d.Spec.Template.Labels = map[string]string{"a": "b"} }, "web was changed by kubectl-edit meanwhile: it now has another pod template. I left it alone."},
		"template, and another scale": {VerbTemplate, func(d *appsv1.Deployment) { d.Generation++; d.Spec.Replicas = ptr[int32](9) }, ""},
		"restart over anything":       {VerbRestart, func(d *appsv1.Deployment) { d.Generation++; d.Spec.Template.Spec.Containers[0].Image = "web:9" }, ""},
		"deleted and made anew":       {VerbRestart, func(d *appsv1.Deployment) { d.UID = "u2" }, "web was deleted and made anew meanwhile, so I left it alone."},
		"scaled by an autoscaler": {VerbScale, func(d *appsv1.Deployment) {
			d.Generation++
			d.Spec.Replicas = ptr[int32](9)
			d.ManagedFields = append(d.ManagedFields, metav1.ManagedFieldsEntry{Manager: "kube-controller-manager", Subresource: "scale", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)})
		}, "web was changed by an autoscaler meanwhile: it now runs 9 replicas. I left it alone."},
		"the owner of the field, not the last to write": {VerbImage, func(d *appsv1.Deployment) {
			d.Generation++
			d.Spec.Template.Spec.Containers[1].Image = "side:9"
			d.ManagedFields = append(d.ManagedFields,
				metav1.ManagedFieldsEntry{Manager: "argo", Time: &t0, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"side\"}":{"f:image":{}}}}}}}`)},
				metav1.ManagedFieldsEntry{Manager: "odd", FieldsV1: metav1.NewFieldsV1(`{"f:spec":[]}`)})
		}, "web was changed by argo meanwhile: it now runs 9. I left it alone."},
		"by nobody known": {VerbScale, func(d *appsv1.Deployment) { d.Generation++; d.Spec.Replicas = ptr[int32](9); d.ManagedFields = nil }, "web was changed meanwhile: it now runs 9 replicas. I left it alone."},
	} {
		t.Run(name, func(t *testing.T) {
			change := planned(c.verb)
			d := live()
			c.then(d)
			err := still(verbs(change.Verb).(patcher), change, objectOf(d))
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if fault.KindOf(err) != fault.Conflict || fault.Say(err) != c.want {
				t.Errorf("got %v %q\nwant %q", fault.KindOf(err), fault.Say(err), c.want)
			}
		})
	}
}

func TestChangesThatMakeNoSense(t *testing.T) {
	d := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{UID: "u"}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "a", Image: "a:1"}}
	for name, c := range map[string]struct {
		change Change
		kind   fault.Kind
		say    string
	}{
		"scale a DaemonSet":    {Change{Ref: Ref{Kind: DaemonSet, Name: "agent"}, Verb: VerbScale}, fault.Refused, "one pod on each node"},
		"no such container":    {Change{Ref: Ref{Name: "agent"}, Verb: VerbImage, Images: []ImageChange{{Container: "b"}}}, fault.NotFound, "agent has no container b."},
		"a restart at no time": {Change{Verb: VerbRestart}, fault.Internal, ""},
	} {
		_, err := onto(verbs(c.change.Verb).(patcher), c.change, objectOf(d))
		if fault.KindOf(err) != c.kind || !strings.Contains(fault.Say(err), c.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := NewWriter(&Cluster{config: &rest.Config{}})
	odd := Change{Verb: "explode"}
	if _, _, err := w.Plan(t.Context(), odd); err == nil {
		t.Error("an unknown verb is planned")
	}
	if _, err := w.Apply(t.Context(), odd, "a1"); err == nil {
		t.Error("an unknown verb is applied")
	}
	if _, err := w.Step(t.Context(), Change{Verb: VerbScale}, "a1"); err == nil {
		t.Error("a scaling has steps")
	}
	if _, ok := odd.Inverse(); ok || odd.From()+odd.To() != "" {
		t.Error("an unknown verb is known")
	}
}

func TestPatch(t *testing.T) {
	for verb, want := range map[Verb]string{
		VerbScale:    `{"metadata":{"annotations":{"firstmate-ops.github.io/last-action":"a1"},"resourceVersion":"9"},"spec":{"replicas":0}}`,
		VerbImage:    `{"metadata":{"annotations":{"firstmate-ops.github.io/last-action":"a1","kubernetes.io/change-cause":"why"},"resourceVersion":"9"},"spec":{"template":{"spec":{"containers":[{"image":"web:2","name":"web"},{"image":"side:2","name":"side"}]}}}}`,
		VerbTemplate: `{"metadata":{"annotations":{"firstmate-ops.github.io/last-action":"a1","kubernetes.io/change-cause":"why"},"resourceVersion":"9"},"spec":{"template":{"$patch":"replace","a":2}}}`,
		VerbRestart:  `{"metadata":{"annotations":{"firstmate-ops.github.io/last-action":"a1","kubernetes.io/change-cause":"why"},"resourceVersion":"9"},"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-03-01T03:00:00Z"}}}}}`,
	} {
		c := changes()[verb]
		c.Cause = "why"
		got, err := patchOf(verbs(verb).(patcher), c, "9", "a1")
		if err != nil || string(got) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", verb, err, got, want)
		}
	}
}
