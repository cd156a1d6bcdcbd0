package kube_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/firstmate-ops/firstmate/internal/kube"
)

// surveyUntil surveys a workload until something holds.
func surveyUntil(t *testing.T, ref kube.Ref, what string, holds func(kube.Survey) bool) (s kube.Survey) {
	t.Helper()
	r := watching(t)
	eventually(t, "the reader sees it", func() bool { _, err := r.Get(t.Context(), ref); return err == nil })
	end := time.Now().Add(patience)
	for {
		s = get[kube.Survey](t)(r.Survey(t.Context(), get[kube.Workload](t)(r.Get(t.Context(), ref))))
		if holds(s) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s; the survey says %+v", patience, what, s)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if len(s.Missing) > 0 {
		t.Errorf("an administrator cannot see %q", s.Missing)
	}
	return s
}

func service(t *testing.T, ns, name string, selector map[string]string, target intstr.IntOrString) {
	t.Helper()
	_, err := admin(t).CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Port: 80, TargetPort: target}}},
	}, metav1.CreateOptions{})
	ok(t, err)
}

func TestSurveyOfABrokenImage(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "registry.example.com/shop/web:1")
	settled(t, ref)
	writer := kube.NewWriter(cluster(t))
	applied(t, writer, planned(t, writer, toImage(ref, "registry.example.com/shop/web:2-bad")), "a")
	s := surveyUntil(t, ref, "a pod cannot pull", func(s kube.Survey) bool {
		return s.Workload.Progress.Stuck != nil && s.Workload.Progress.Stuck.Reason == kube.ImagePull &&
			slices.ContainsFunc(s.Events, func(h kube.Happening) bool { return h.Reason == "Failed" && strings.Contains(h.Message, "not found") })
	})
	if len(s.Changes) != 2 || !s.Changes[0].Current || s.Changes[0].Version != "2-bad" || s.Changes[1].Version != "1" ||
		len(s.Changes[0].Changed) != 1 || s.Changes[0].Changed[0].Facet != kube.FacetImage || s.Changes[0].At.Before(s.Changes[1].At) {
		t.Errorf("changes %+v", s.Changes)
	}
	i := slices.IndexFunc(s.Pods, func(p kube.PodDetail) bool { return p.Version == "2-bad" })
	if i < 0 || s.Pods[i].Revision != s.Changes[0].Hash || s.Pods[i].Node == "" || s.Pods[i].Containers[0].State != "waiting" || !strings.Contains(s.Pods[i].Containers[0].Reason, "Pull") {
		t.Errorf("pods %+v", s.Pods)
	}
	// The way back takes up the old ReplicaSet: it began now, not when that was made.
	applied(t, writer, planned(t, writer, toImage(ref, "registry.example.com/shop/web:1")), "b")
	s = surveyUntil(t, ref, "the version before is back", func(s kube.Survey) bool { return s.Workload.Progress.Done() && s.Changes[0].Version == "1" })
	if now := s.Changes[0]; !now.Made.Before(s.Changes[1].Made) || now.At.Before(s.Changes[1].At) {
		t.Errorf("changes %+v", s.Changes)
	}
	if len(s.Nodes) == 0 || !s.Nodes[0].Ready || len(s.Nodes[0].Bad) > 0 || s.Nodes[0].Changed.IsZero() {
		t.Errorf("nodes %+v", s.Nodes)
	}
}

func TestSurveyOfACrash(t *testing.T) {
	t.Parallel()
	ns := space(t)
	for _, c := range []struct {
		name, image, reason string
		code                int32
	}{{"crash", "registry.example.com/shop/web:1-crash", "Error", 1}, {"oom", "registry.example.com/shop/web:1-oom", "OOMKilled", 137}} {
		ref := create(t, ns, kube.Deployment, c.image, func(d *appsv1.Deployment) {
			d.Name = c.name
			d.Spec.Template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}
			d.Spec.Template.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}}}
			d.Spec.Selector.MatchLabels = map[string]string{"app": c.name}
			d.Spec.Template.Labels = map[string]string{"app": c.name}
		})
		ref.Name = c.name
		s := surveyUntil(t, ref, "it crashed", func(s kube.Survey) bool {
			return len(s.Pods) > 0 && s.Pods[0].Containers[0].Last != nil && s.Pods[0].Containers[0].Restarts > 0
		})
		got := s.Pods[0].Containers[0]
		if got.Last.ExitCode != c.code || got.Last.Reason != c.reason || got.Last.At.IsZero() || got.MemoryLimit != 64<<20 || len(got.Probes) != 1 {
			t.Errorf("%s: %+v last %+v", c.name, got, got.Last)
		}
	}
}

func TestSurveyOfServices(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "registry.example.com/shop/web:1", func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}
	})
	service(t, ns, "web", map[string]string{"app": "wbe"}, intstr.FromInt32(8080))
	service(t, ns, "good", map[string]string{"app": "web"}, intstr.FromString("http"))
	service(t, ns, "port", map[string]string{"app": "web"}, intstr.FromInt32(9999))
	settled(t, ref)
	s := surveyUntil(t, ref, "the endpoints are there", func(s kube.Survey) bool {
		return len(s.Services) == 3 && slices.ContainsFunc(s.Services, func(v kube.ServiceState) bool { return v.Ref.Name == "good" && v.Ready == 2 })
	})
	by := map[string]kube.ServiceState{}
	for _, v := range s.Services {
		by[v.Ref.Name] = v
	}
	if v := by["web"]; v.Chooses != 0 || v.Ready != 0 || !v.Known || v.Wrong != "app=wbe, the pods have app=web" || v.Changed.IsZero() {
		t.Errorf("a wrong selector: %+v", v)
	}
	if v := by["port"]; v.Chooses != 2 || !v.Ports[0].Astray || v.Ports[0].Target != "9999" || !slices.Contains(v.Ports[0].Listens, "8080") {
		t.Errorf("a wrong port: %+v", v)
	}
	if v := by["good"]; v.Ports[0].Astray || v.Wrong != "" {
		t.Errorf("a good one: %+v", v)
	}
}

func TestSurveyOfConfiguration(t *testing.T) {
	t.Parallel()
	ns := space(t)
	_, err := admin(t).CoreV1().ConfigMaps(ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "conf"}, Data: map[string]string{"mode": "hush hush"}}, metav1.CreateOptions{FieldManager: "setup"})
	ok(t, err)
	service(t, ns, "payments", map[string]string{"app": "payments"}, intstr.FromInt32(80))
	key := func(name, key string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}}
	}
	ref := create(t, ns, kube.Deployment, "registry.example.com/shop/web:1", func(d *appsv1.Deployment) {
		c := &d.Spec.Template.Spec.Containers[0]
		c.Env = []corev1.EnvVar{{Name: "MODE", ValueFrom: key("conf", "mode")}, {Name: "LEVEL", ValueFrom: key("conf", "level")}, {Name: "GONE", ValueFrom: key("gone", "x")}, {Name: "PAY", Value: "http://payments:80/"}}
		d.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	})
	_, err = admin(t).CoreV1().PersistentVolumeClaims(ns).Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr("fast"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}, metav1.CreateOptions{})
	ok(t, err)
	s := surveyUntil(t, ref, "the claim is pending", func(s kube.Survey) bool {
		return len(s.Claims) == 1 && s.Claims[0].Phase == "Pending"
	})
	if c := s.Claims[0]; !c.NoClass || c.Class != "fast" || c.Size != "1Gi" {
		t.Errorf("claim %+v", c)
	}
	lacks := map[string]string{}
	for _, r := range s.References {
		lacks[r.Name+"/"+r.Key] = r.Lacks
		if r.Name == "conf" && (r.Changed.IsZero() || r.By != "setup") {
			t.Errorf("%+v does not say who changed it when", r)
		}
	}
	if lacks["conf/mode"] != "" || lacks["conf/level"] != "key" || lacks["gone/x"] != "object" || len(lacks) != 3 {
		t.Errorf("references %+v", s.References)
	}
	if len(s.Talks) != 1 || s.Talks[0].Name != "payments" {
		t.Errorf("talks to %v", s.Talks)
	}
}

func TestSurveyOfAQuota(t *testing.T) {
	t.Parallel()
	ns := space(t)
	_, err := admin(t).CoreV1().ResourceQuotas(ns).Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}},
	}, metav1.CreateOptions{})
	ok(t, err)
	eventually(t, "the quota counts", func() bool {
		q, err := admin(t).CoreV1().ResourceQuotas(ns).Get(t.Context(), "small", metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) > 0
	})
	ref := create(t, ns, kube.Deployment, "registry.example.com/shop/web:1")
	s := surveyUntil(t, ref, "pods are refused", func(s kube.Survey) bool {
		return s.Workload.Progress.Stuck != nil && len(s.Quotas) == 1 && s.Quotas[0].Used == 1
	})
	if s.Workload.Progress.Stuck.Reason != kube.Quota || s.Quotas[0].Full() != 1 || s.Quotas[0].Resource != "pods" || s.Quotas[0].Name != "small" {
		t.Errorf("%+v %+v", s.Workload.Progress.Stuck, s.Quotas)
	}
}

func TestSurveyOfPolicies(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "registry.example.com/shop/web:1")
	create(t, ns, kube.Deployment, "registry.example.com/shop/api:1", func(d *appsv1.Deployment) {
		d.Name, d.Spec.Selector.MatchLabels, d.Spec.Template.Labels = "api", map[string]string{"app": "api"}, map[string]string{"app": "api"}
	})
	_, err := admin(t).NetworkingV1().NetworkPolicies(ns).Create(t.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "closed"},
		Spec:       networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "api"}}, PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}},
	}, metav1.CreateOptions{FieldManager: "setup"})
	ok(t, err)
	s := surveyUntil(t, ref, "the way to api is shut", func(s kube.Survey) bool { return len(s.Blocked) > 0 })
	if b := s.Blocked[0]; len(s.Blocked) != 1 || b.From != ref || b.To.Name != "api" || b.Way != "in" || b.Policy.Name != "closed" || b.Changed.IsZero() || len(s.Policies) != 0 {
		t.Errorf("%+v %+v", s.Blocked, s.Policies)
	}
}

func TestEventsAreGrouped(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "registry.example.com/shop/web:1-bad")
	r := watching(t)
	var got []kube.Happening
	eventually(t, "both pods' failures are one", func() bool {
		w, err := r.Get(t.Context(), ref)
		if err != nil {
			return false
		}
		got, _, err = r.Events(t.Context(), kube.EventQuery{Workload: &w, Warnings: true})
		ok(t, err)
		return slices.ContainsFunc(got, func(h kube.Happening) bool {
			return h.Reason == "Failed" && h.Objects == 2 && strings.Contains(h.Message, "not found")
		})
	})
	for _, h := range got {
		if h.Type != "Warning" || h.First.IsZero() || h.Last.Before(h.First) || h.About.Namespace != ns {
			t.Errorf("%+v", h)
		}
	}
	w := get[kube.Workload](t)(r.Get(t.Context(), ref))
	eventually(t, "a word of the Deployment itself", func() bool { // events are recorded when there is time
		all, _, err := r.Events(t.Context(), kube.EventQuery{Workload: &w})
		ok(t, err)
		return slices.ContainsFunc(all, func(h kube.Happening) bool { return h.Reason == "ScalingReplicaSet" })
	})
	none, _, err := r.Events(t.Context(), kube.EventQuery{Workload: &w, To: time.Now().Add(-24 * time.Hour)})
	ok(t, err)
	if len(none) > 0 {
		t.Errorf("yesterday there was %+v", none)
	}
}

// TestSurveyNamesWhatItMayNotSee holds that a right that is missing makes a
// survey poorer, and that it says so.
func TestSurveyNamesWhatItMayNotSee(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "registry.example.com/shop/web:1")
	service(t, ns, "web", map[string]string{"app": "web"}, intstr.FromInt32(80))
	settled(t, ref)
	w := get[kube.Workload](t)(watching(t).Get(t.Context(), ref))
	file := account(t, ns, "deployments", "statefulsets", "daemonsets", "replicasets", "controllerrevisions", "pods", "events")
	r := reader(t, get[*kube.Cluster](t)(kube.Connect(file, "", "")), kube.ReaderOptions{})
	w.Ref.Cluster = r.Cluster()
	s := get[kube.Survey](t)(r.Survey(t.Context(), w))
	said := strings.Join(s.Missing, "; ")
	for _, what := range []string{"Services", "quotas", "NetworkPolicies", "autoscaler", "nodes"} {
		if !strings.Contains(said, what) {
			t.Errorf("%q does not name the %s", said, what)
		}
	}
	if len(s.Pods) != 2 || len(s.Changes) != 1 {
		t.Errorf("what may be seen is not there: %+v", s)
	}
}

func TestBehindAService(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "registry.example.com/shop/web:1")
	service(t, ns, "front", map[string]string{"app": "web"}, intstr.FromInt32(80))
	service(t, ns, "web", map[string]string{"app": "wbe"}, intstr.FromInt32(80))
	r := watching(t)
	for name, want := range map[string]int{"front": 1, "web": 1, "none": 0} {
		eventually(t, name+" leads to what it should", func() bool {
			ws, err := r.Behind(t.Context(), kube.Ref{Namespace: ns, Kind: "Service", Name: name})
			ok(t, err)
			return len(ws) == want && (want == 0 || ws[0].Ref == ref)
		})
	}
}
