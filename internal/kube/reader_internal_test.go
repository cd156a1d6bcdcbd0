package kube

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

func owned(p *corev1.Pod, kind, name, hash string) *corev1.Pod {
	p.OwnerReferences = []metav1.OwnerReference{
		{Kind: "Other", Name: "not-the-controller"},
		{Kind: kind, Name: name, Controller: ptr(true)},
	}
	if hash != "" {
		p.Labels = map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: hash, "app": "x"}
	}
	return p
}

func TestOwner(t *testing.T) {
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"Deployment":                         {owned(pod("p"), "ReplicaSet", "web-admin-7d4b9", "7d4b9"), "shop/Deployment/web-admin"},
		"a ReplicaSet of its own":            {owned(pod("p"), "ReplicaSet", "web-7d4b9", ""), "shop/ReplicaSet/web-7d4b9"},
		"a ReplicaSet whose hash is another": {owned(pod("p"), "ReplicaSet", "web", "7d4b9"), "shop/ReplicaSet/web"},
		"StatefulSet":                        {owned(pod("p"), "StatefulSet", "db", ""), "shop/StatefulSet/db"},
		"DaemonSet":                          {owned(pod("p"), "DaemonSet", "agent", ""), "shop/DaemonSet/agent"},
		"a Job":                              {owned(pod("p"), "Job", "nightly-1", ""), "shop/Job/nightly-1"},
		"nobody":                             {pod("p"), "shop//"},
	} {
		for form, p := range map[string]*corev1.Pod{"whole": c.pod, "slim": slimPod(c.pod)} {
			got, err := indexByOwner(p)
			if err != nil || !slices.Equal(got, []string{c.want}) {
				t.Errorf("%s, %s: %q %v, want %q", name, form, got, err, c.want)
			}
		}
	}
	if got, err := indexByOwner("no pod"); got != nil || err != nil {
		t.Errorf("%v %v", got, err)
	}
}

func TestPodStatusIsKubectlsWord(t *testing.T) {
	phase := func(p corev1.PodPhase, reason string, cs ...corev1.ContainerStatus) *corev1.Pod {
		out := pod("p", cs...)
		out.Status.Phase, out.Status.Reason = p, reason
		return out
	}
	ended := func(code int32, reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "app", State: died(code, reason, "")}
	}
	init := func(p *corev1.Pod, inits ...corev1.ContainerStatus) *corev1.Pod {
		p.Status.InitContainerStatuses = inits
		return p
	}
	going := func(p *corev1.Pod) *corev1.Pod { p.DeletionTimestamp = &metav1.Time{}; return p }
	signal := ended(0, "")
	signal.State.Terminated.Signal = 9
	ready := func(p *corev1.Pod) *corev1.Pod {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		return p
	}
	for want, pods := range map[string][]*corev1.Pod{
		"Pending":           {phase(corev1.PodPending, "")},
		"Running":           {phase(corev1.PodRunning, "", runs(true)), phase(corev1.PodRunning, "", runs(false)), init(phase(corev1.PodRunning, "", runs(true)), ended(0, "Completed")), ready(phase(corev1.PodRunning, "", runs(true), ended(0, "Completed"))), init(phase(corev1.PodRunning, "", runs(true)), runs(true))},
		"NotReady":          {phase(corev1.PodRunning, "", runs(true), ended(0, "Completed"))},
		"ContainerCreating": {phase(corev1.PodPending, "", waits("ContainerCreating", ""))},
		"ImagePullBackOff":  {phase(corev1.PodPending, "", waits("ImagePullBackOff", "")), phase(corev1.PodPending, "", waits("ImagePullBackOff", ""), waits("ErrImagePull", ""))},
		"CrashLoopBackOff":  {phase(corev1.PodRunning, "", waits("CrashLoopBackOff", ""), runs(true))},
		"Completed":         {phase(corev1.PodSucceeded, "", ended(0, "Completed")), phase(corev1.PodSucceeded, "")},
		"Error":             {phase(corev1.PodFailed, "", ended(1, "Error"))},
		"OOMKilled":         {phase(corev1.PodRunning, "", ended(137, "OOMKilled"))},
		"ExitCode:3":        {phase(corev1.PodFailed, "", ended(3, ""))},
		"Signal:9":          {phase(corev1.PodFailed, "", signal)},
		"Evicted":           {phase(corev1.PodFailed, "Evicted")},
		"Terminating":       {going(phase(corev1.PodRunning, "", runs(true)))},
		"Unknown":           {going(phase(corev1.PodRunning, "NodeLost", runs(true)))},
		"Init:0/1":          {init(phase(corev1.PodPending, "", waits("PodInitializing", "")), runs(false))},
		"Init:1/2":          {init(phase(corev1.PodPending, ""), ended(0, "Completed"), waits("PodInitializing", ""))},
		"Init:Error":        {init(phase(corev1.PodPending, ""), ended(1, "Error"))},
		"Init:ErrImagePull": {init(phase(corev1.PodPending, "", waits("PodInitializing", "")), waits("ErrImagePull", ""))},
	} {
		for i, p := range pods {
			if got, slimmed := PodStatus(p), PodStatus(slimPod(p)); got != want || slimmed != want {
				t.Errorf("%s (%d): got %s, and %s of the watched form", want, i, got, slimmed)
			}
		}
	}
}

func TestSlimKeepsWhatTheReaderReads(t *testing.T) {
	meta := metav1.ObjectMeta{
		Name: "web", Namespace: "shop", UID: "u", Generation: 7, ResourceVersion: "9", CreationTimestamp: metav1.Now(),
		Annotations:   map[string]string{lastAction: "a1", corev1.LastAppliedConfigAnnotation: strings.Repeat("x", 9999)},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}, Finalizers: []string{"f"},
	}
	tmpl := corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "web", Image: "acme/web:2", Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "hunter2"}}}, {Name: "side", Image: "side:1"}},
		Volumes:    []corev1.Volume{{Name: "v"}},
	}}
	sel := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	dep := &appsv1.Deployment{ObjectMeta: *meta.DeepCopy(), Spec: appsv1.DeploymentSpec{Replicas: ptr[int32](3), Selector: sel, Template: *tmpl.DeepCopy(), Paused: true}, Status: appsv1.DeploymentStatus{
		ObservedGeneration: 7, Replicas: 3, UpdatedReplicas: 1, Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota"}},
	}}
	set := &appsv1.StatefulSet{ObjectMeta: *meta.DeepCopy(), Spec: appsv1.StatefulSetSpec{Replicas: ptr[int32](3), Selector: sel, Template: *tmpl.DeepCopy(), VolumeClaimTemplates: make([]corev1.PersistentVolumeClaim, 1), UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}}, Status: appsv1.StatefulSetStatus{ObservedGeneration: 7, UpdateRevision: "b", CurrentRevision: "a"}}
	dae := &appsv1.DaemonSet{ObjectMeta: *meta.DeepCopy(), Spec: appsv1.DaemonSetSpec{Selector: sel, Template: *tmpl.DeepCopy()}, Status: appsv1.DaemonSetStatus{ObservedGeneration: 7, DesiredNumberScheduled: 3}}
	r := &Reader{cluster: &Cluster{Name: "c"}}
	for _, o := range []any{dep, set, dae} {
		before, ok := r.workload(o)
		slimmed, err := slim(o)
		if err != nil || !ok {
			t.Fatal(err, ok)
		}
		after, _ := r.workload(slimmed)
		if d := cmp.Diff(before, after); d != "" {
			t.Errorf("%T is read another way:\n%s", o, d)
		}
		if before.LastAction != "a1" || len(before.Containers) != 2 || before.Selector["app"] != "web" || before.UID != "u" {
			t.Errorf("%T: %+v", o, before)
		}
	}
	if dep.ManagedFields != nil || len(dep.Annotations) != 1 || dep.Spec.Template.Spec.Volumes != nil || dep.Spec.Template.Spec.Containers[0].Env != nil || set.Spec.VolumeClaimTemplates != nil {
		t.Error("what nobody reads is kept")
	}
	if !dep.Spec.Paused || len(dep.Status.Conditions) != 1 {
		t.Error("what a diagnosis reads is lost")
	}
	labelled := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "web", Image: "acme/web:2", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}},
	}}
	for _, spec := range []corev1.ServiceSpec{
		{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("http")}}},
		{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Name: "x", Port: 80, TargetPort: intstr.FromInt32(9999)}}},
		{Selector: map[string]string{"app": "wbe", "tier": "a"}, ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(80)}}},
		{},
	} {
		svc := &corev1.Service{ObjectMeta: *meta.DeepCopy(), Spec: spec}
		svc.Labels = map[string]string{"app": "web"}
		w := Workload{Ref: Ref{"c", "shop", Deployment, "web"}}
		before, was := serviceState(w, labelled, nil, *svc)
		slimmed, err := slim(svc)
		if err != nil {
			t.Fatal(err)
		}
		after, is := serviceState(w, slimTemplate(labelled), nil, *slimmed.(*corev1.Service))
		if d := cmp.Diff(before, after); d != "" || was != is || slimmed.(*corev1.Service).Annotations != nil {
			t.Errorf("a Service is read another way: %v %v\n%s", was, is, d)
		}
	}
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: *meta.DeepCopy(), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		MinReplicas: ptr[int32](2), MaxReplicas: 5, Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{},
		Metrics: []autoscalingv2.MetricSpec{{Resource: &autoscalingv2.ResourceMetricSource{Name: "cpu", Target: autoscalingv2.MetricTarget{AverageUtilization: ptr[int32](70)}}}},
	}, Status: autoscalingv2.HorizontalPodAutoscalerStatus{
		CurrentReplicas: 5, DesiredReplicas: 5, CurrentMetrics: []autoscalingv2.MetricStatus{{Resource: &autoscalingv2.ResourceMetricStatus{Name: "cpu", Current: autoscalingv2.MetricValueStatus{AverageUtilization: ptr[int32](140)}}}},
	}}
	scaler := scalerState(hpa)
	if o, err := slim(hpa); err != nil || hpa.ManagedFields != nil || !cmp.Equal(scaler, scalerState(o.(*autoscalingv2.HorizontalPodAutoscaler))) || !scaler.Limited {
		t.Errorf("an autoscaler: %+v %v", scaler, err)
	}
	ns := &corev1.Namespace{ObjectMeta: *meta.DeepCopy()}
	if _, err := slim(ns); err != nil || ns.ManagedFields != nil || ns.Name != "web" {
		t.Errorf("a namespace: %+v %v", ns, err)
	}
	if o, err := slim(cache.DeletedFinalStateUnknown{Key: "k"}); err != nil || o.(cache.DeletedFinalStateUnknown).Key != "k" {
		t.Error("what it does not know is changed")
	}
	if _, ok := r.workload("no workload"); ok {
		t.Error("a string is a workload")
	}
	gone := cache.DeletedFinalStateUnknown{Key: "shop/web", Obj: dep}
	if got := workloadRef("c", gone); got != (Ref{"c", "shop", Deployment, "web"}) {
		t.Errorf("a deletion that was missed: %v", got)
	}
}

func TestPrevious(t *testing.T) {
	h := []Revision{{Number: 5}, {Number: 4}, {Number: 2}}
	if got, err := Previous(h, 2, "web"); err != nil || got.Number != 2 {
		t.Errorf("%v %v", got, err)
	}
	for _, c := range []struct {
		h     []Revision
		steps int
		want  string
	}{
		{h, 3, "The cluster remembers only 2 earlier versions of web."},
		{h[:1], 1, "The cluster remembers no earlier version of web, so there is nothing to roll back to."},
		{nil, 1, "The cluster remembers no earlier version of web, so there is nothing to roll back to."},
		{h, 0, "I can only go back by one step or more."},
		{h[:2], 2, "The cluster remembers only 1 earlier version of web."},
	} {
		if _, err := Previous(c.h, c.steps, "web"); fault.Say(err) != c.want {
			t.Errorf("%d steps: %q", c.steps, fault.Say(err))
		}
	}
}

func TestEventTime(t *testing.T) {
	t0 := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	for _, e := range []corev1.Event{
		{LastTimestamp: metav1.NewTime(t0), FirstTimestamp: metav1.NewTime(t0.Add(-time.Hour))},
		{EventTime: metav1.NewMicroTime(t0)},
		{FirstTimestamp: metav1.NewTime(t0)},
		{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(t0)}},
	} {
		if !eventTime(e).Equal(t0) {
			t.Errorf("%+v", e)
		}
	}
}

func TestSentences(t *testing.T) {
	c := &Cluster{Name: "prod"}
	gr := schema.GroupResource{Group: "apps", Resource: "deployments"}
	invalid := apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "web", nil)
	invalid.ErrStatus.Message = "spec.replicas: must be at most 50\x1b[31m."
	for name, c2 := range map[string]struct {
		err  error
		kind fault.Kind
		say  string
	}{
		"quota":                     {apierrors.NewForbidden(gr, "web", errors.New("exceeded quota: small, used: 3, limited: 3")), fault.Forbidden, `The namespace's quota does not allow me to scale web: deployments.apps "web" is forbidden: exceeded quota: small, used: 3, limited: 3. Raise it (kubectl edit resourcequota small), or free some of it first.`},
		"quota wants more":          {apierrors.NewForbidden(gr, "web", errors.New("failed quota: small: must specify limits.cpu for: web")), fault.Forbidden, "The namespace's quota does not allow me to scale web: the quota small wants every container to say limits.cpu for: web. Add that to the pod template."},
		"a right in a namespace":    {apierrors.NewForbidden(gr, "web", errors.New(`User "ann" cannot patch resource "deployments" in API group "apps" in the namespace "shop"`)), fault.Forbidden, `The cluster does not allow me to scale web: deployments.apps "web" is forbidden: User "ann" cannot patch resource "deployments" in API group "apps" in the namespace "shop". Ask for the role edit in shop.`},
		"a right to look":           {apierrors.NewForbidden(gr, "web", errors.New(`User "ann" cannot get resource "deployments" in API group "apps" in the namespace "shop"`)), fault.Forbidden, `The cluster does not allow me to scale web: deployments.apps "web" is forbidden: User "ann" cannot get resource "deployments" in API group "apps" in the namespace "shop". Ask for the role view in shop.`},
		"a right of the cluster":    {apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "n1", errors.New(`User "ann" cannot patch resource "nodes" in API group "" at the cluster scope`)), fault.Forbidden, `The cluster does not allow me to scale web: nodes "n1" is forbidden: User "ann" cannot patch resource "nodes" in API group "" at the cluster scope. Ask for a cluster role with the verb patch on nodes.`},
		"a right of something rare": {apierrors.NewForbidden(gr, "x", errors.New(`User "ann" cannot patch resource "widgets" in API group "acme.io" in the namespace "shop"`)), fault.Forbidden, `The cluster does not allow me to scale web: deployments.apps "x" is forbidden: User "ann" cannot patch resource "widgets" in API group "acme.io" in the namespace "shop". Ask for a role with the verb patch on widgets.acme.io in shop.`},
		"our own right":             {apierrors.NewForbidden(schema.GroupResource{Resource: "users"}, "ann", errors.New(`User "bot" cannot impersonate resource "users" in API group "" at the cluster scope`)), fault.Forbidden, `The cluster does not allow me to scale web: users "ann" is forbidden: User "bot" cannot impersonate resource "users" in API group "" at the cluster scope. My own account lacks the right to act as that person: give it the verb impersonate on users.`},
		"a webhook":                 {&apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonForbidden, Message: `admission webhook "a.example.com" denied the request without explanation`}}, fault.Forbidden, "The cluster would not accept that: its admission webhook a.example.com refused it: it gave no reason. Change what it names, or ask whoever runs that webhook."},
		"Pod Security":              {apierrors.NewForbidden(gr, "web", errors.New(`violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false`)), fault.Forbidden, "The cluster would not accept that: the namespace takes only pods of the Pod Security level restricted:latest: allowPrivilegeEscalation != false. Change that in the pod template."},
		"a budget":                  {&apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonTooManyRequests, Code: 429, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "DisruptionBudget", Message: "The disruption budget web needs 2 healthy pods and has 2 currently"}}}}}, fault.Forbidden, "I could not scale web: the disruption budget web needs 2 healthy pods and has 2 currently. Wait until more pods are ready, or scale what it protects up first."},
		"a namespace that goes":     {apierrors.NewForbidden(gr, "web", errors.New("unable to create new content in namespace shop because it is being terminated")), fault.Forbidden, `The cluster does not allow me to scale web: deployments.apps "web" is forbidden: unable to create new content in namespace shop because it is being terminated. Take another namespace, or make it anew when it is gone.`},
		"rights":                    {apierrors.NewForbidden(gr, "web", errors.New(`User "ann" cannot patch it.`)), fault.Forbidden, `The cluster does not allow me to scale web: deployments.apps "web" is forbidden: User "ann" cannot patch it.`},
		"unauthorized":              {apierrors.NewUnauthorized("Unauthorized"), fault.Forbidden, "The cluster does not allow me to scale web: Unauthorized."},
		"gone":                      {apierrors.NewNotFound(gr, "web"), fault.NotFound, "I could not scale web: it is not there any more."},
		"conflict":                  {apierrors.NewConflict(gr, "web", errors.New("x")), fault.Conflict, "Somebody else was changing the same thing, so I did not scale web. Ask me again."},
		"admission":                 {invalid, fault.Forbidden, "The cluster would not accept that: spec.replicas: must be at most 50 [31m."},
		"bad request":               {apierrors.NewBadRequest("no latest tags"), fault.Forbidden, "The cluster would not accept that: no latest tags."},
		"busy":                      {apierrors.NewTooManyRequests("later", 1), fault.Unavailable, "The cluster prod does not answer, so I could not scale web."},
		"down":                      {apierrors.NewServiceUnavailable("x"), fault.Unavailable, "The cluster prod does not answer, so I could not scale web."},
		"no connection":             {&url.Error{Op: "Get", URL: "https://10.9.8.7:6443", Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}}, fault.Unavailable, "The cluster prod does not answer, so I could not scale web."},
		"deadline":                  {context.DeadlineExceeded, fault.Unavailable, "The cluster prod does not answer, so I could not scale web."},
		"stopped":                   {context.Canceled, fault.Unavailable, "I was interrupted before I could scale web."},
		"ours":                      {&url.Error{Op: "Post", Err: fault.New(fault.Refused, "Mine.")}, fault.Refused, "Mine."},
		"another answer":            {&apierrors.StatusError{ErrStatus: metav1.Status{Reason: "Teapot", Message: "webhook says no"}}, fault.Forbidden, "The cluster would not let me scale web: webhook says no."},
		"unknown":                   {errors.New("secret text"), fault.Internal, "Something went wrong on my side. It is in my log; please try again."},
	} {
		err := c.sentence(c2.err, "scale web")
		if fault.KindOf(err) != c2.kind || fault.Say(err) != c2.say {
			t.Errorf("%s: %s %q\nwant %s %q", name, fault.KindOf(err), fault.Say(err), c2.kind, c2.say)
		}
		if !errors.Is(err, c2.err) && c2.kind != fault.Refused {
			t.Errorf("%s: the cause is lost", name)
		}
	}
	if c.sentence(nil, "x") != nil {
		t.Error("no error has a sentence")
	}
}

func TestUnreachableClusterIsASentenceWithoutItsAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := &Cluster{Name: "prod", Namespace: "shop", config: &rest.Config{Host: "https://" + addr}}
	r, err := NewReader(c, ReaderOptions{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(c)
	change := changes()[VerbScale]
	_, _, planErr := w.Plan(t.Context(), change)
	_, applyErr := w.Apply(t.Context(), change, "a1")
	for name, err := range map[string]error{"start": r.Start(t.Context()), "plan": planErr, "apply": applyErr} {
		if say := fault.Say(err); fault.KindOf(err) != fault.Unavailable || strings.Contains(say, "127.0.0.1") || !strings.Contains(say, "The cluster prod does not answer") {
			t.Errorf("%s: %s %q", name, fault.KindOf(err), say)
		}
	}
}

func TestConnect(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	const config = `
apiVersion: v1
kind: Config
current-context: prod
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts:
- {name: prod, context: {cluster: c, user: u, namespace: shop}}
- {name: bare, context: {cluster: c, user: u}}
`
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ context, namespace, name, ns string }{
		{"", "", "prod", "shop"}, {"bare", "", "bare", "default"}, {"", "staging", "prod", "staging"},
	} {
		got, err := Connect(file, c.context, c.namespace)
		if err != nil || got.Name != c.name || got.Namespace != c.ns {
			t.Errorf("%+v: %+v %v", c, got, err)
		}
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for _, c := range [][2]string{{filepath.Join(dir, "none"), ""}, {file, "nowhere"}} {
		if _, err := Connect(c[0], c[1], ""); fault.KindOf(err) != fault.Usage || !strings.Contains(fault.Say(err), filepath.Base(c[0])) && !strings.Contains(fault.Say(err), "nowhere") {
			t.Errorf("%q: %v", c, err)
		}
	}
}
