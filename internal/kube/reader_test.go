package kube_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// TestReader asks a Reader that watches pods and one that does not the same
// questions about each kind: the answers must be right, and the same.
func TestReader(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, kind string) {
		ns := space(t)
		ref := create(t, ns, kind, "acme/web:1")
		settled(t, ref)
		w := kube.NewWriter(cluster(t))
		g := applied(t, w, planned(t, w, toImage(ref, "acme/web:2")), "a1").Generation
		follow(t, watching(t), ref, g, kube.Progress.Done)
		pods := int32(2)
		if kind == kube.DaemonSet {
			pods = 3
		}
		other := reader(t, cluster(t), kube.ReaderOptions{NoPods: true})
		both := map[string]*kube.Reader{"watching pods": watching(t), "asking for pods": other}
		answers := map[string]string{}
		for name, r := range both {
			ctx := t.Context()
			say := func(format string, a ...any) { answers[name] += fmt.Sprintf(format+"\n", a...) }
			for _, q := range []kube.Query{
				{Namespace: ns}, {Name: "web", Namespace: ns}, {Kind: kind, Namespace: ns}, {Kind: kind, Name: "web", Namespace: ns},
			} {
				found := get[[]kube.Workload](t)(r.Find(ctx, q))
				if len(found) != 1 || found[0].Ref != ref {
					t.Errorf("%s: %+v finds %+v", name, q, found)
				}
			}
			all := get[[]kube.Workload](t)(r.Find(ctx, kube.Query{Name: "web"}))
			if !slices.ContainsFunc(all, func(o kube.Workload) bool { return o.Ref == ref }) || !slices.IsSortedFunc(all, func(a, b kube.Workload) int { return strings.Compare(a.Ref.Namespace, b.Ref.Namespace) }) {
				t.Errorf("%s: over all namespaces %+v", name, all)
			}
			for _, q := range []kube.Query{{Namespace: ns, Name: "nothing"}, {Namespace: "nowhere"}, {Kind: "ReplicaSet", Namespace: ns}} {
				if found, err := r.Find(ctx, q); len(found) != 0 || err != nil {
					t.Errorf("%s: %+v finds %v %v", name, q, found, err)
				}
			}
			if !slices.Contains(r.All(), ref) || !slices.Contains(r.Namespaces(), ns) || !slices.Contains(r.Namespaces(), "kube-system") {
				t.Errorf("%s: not among the names", name)
			}
			if containers, tags := r.Images(); !slices.Contains(containers, "web") || !slices.Contains(tags, "2") {
				t.Errorf("%s: containers %v, tags %v", name, containers, tags)
			}
			o := get[kube.Workload](t)(r.Get(ctx, ref))
			if o.LastAction != "a1" || o.Version() != "2" || o.Progress.Desired != pods || o.Progress.Ready != pods || !o.Progress.Done() || o.UID == "" {
				t.Errorf("%s: %+v", name, o)
			}
			say("%+v", o)
			say("%+v", get[kube.Progress](t)(r.Diagnose(ctx, o)))

			h := get[[]kube.Revision](t)(r.History(ctx, o))
			if len(h) != 2 || !h[0].Current || h[1].Current || h[0].Version(o) != "2" || h[1].Version(o) != "1" || h[0].Number <= h[1].Number {
				t.Fatalf("%s: history %+v", name, h)
			}
			if strings.Contains(string(h[1].Template), "pod-template-hash") || !strings.Contains(string(h[1].Template), `"env":[{"name":"A","value":"1"}]`) {
				t.Errorf("%s: the template to go back to: %s", name, h[1].Template)
			}
			say("%+v", h)
			for _, list := range []string{"workloads", strings.ToLower(kind) + "s"} {
				tab := get[kube.Table](t)(r.List(ctx, kube.ListQuery{Kind: list, Namespace: ns}))
				want := []kube.Item{{Name: "web", Cells: []string{kind, fmt.Sprintf("%d/%d", pods, pods), "2"}, Healthy: true, Status: fmt.Sprintf("%d/%d", pods, pods)}}
				if d := cmp.Diff(want, tab.Items); d != "" || len(tab.Columns) != len(want[0].Cells)+1 {
					t.Errorf("%s: %s", name, d)
				}
			}
			tab := get[kube.Table](t)(r.List(ctx, kube.ListQuery{Kind: "pods", Namespace: ns}))
			if len(tab.Items) != int(pods) {
				t.Errorf("%s: pods %+v", name, tab.Items)
			}
			for _, p := range tab.Items {
				if !p.Healthy || p.Status != "Running" || p.Cells[0] != "1/1" || len(tab.Columns) != len(p.Cells)+1 {
					t.Errorf("%s: a pod: %+v", name, p)
				}
				say("%s %v", p.Name, p.Cells[:3])
			}
			if _, err := r.Get(ctx, kube.Ref{Namespace: ns, Kind: kind, Name: "nothing"}); fault.KindOf(err) != fault.NotFound || fault.Say(err) != kind+" nothing is not in "+ns+" any more." {
				t.Errorf("%s: %v", name, err)
			}
		}
		if d := cmp.Diff(answers["watching pods"], answers["asking for pods"]); d != "" {
			t.Errorf("two Readers, two answers:\n%s", d)
		}
		// Back to the revision before, as a roll-back does it.
		r := watching(t)
		h := get[[]kube.Revision](t)(r.History(t.Context(), get[kube.Workload](t)(r.Get(t.Context(), ref))))
		c := planned(t, w, kube.Change{Ref: ref, Verb: kube.VerbTemplate, ToTemplate: h[1].Template, ToVersion: "1"})
		follow(t, r, ref, applied(t, w, c, "a2").Generation, kube.Progress.Done)
		h = get[[]kube.Revision](t)(r.History(t.Context(), get[kube.Workload](t)(r.Get(t.Context(), ref))))
		if len(h) != 2 || h[0].Number != 3 {
			t.Errorf("a roll-back makes a version that was not there before: %+v", h)
		}
	})
}

func TestLists(t *testing.T) {
	t.Parallel()
	ns := space(t)
	c, ctx, opt := admin(t), t.Context(), metav1.CreateOptions{}
	_, err := c.CoreV1().Services(ns).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{
		ClusterIP: "None", Ports: []corev1.ServicePort{{Name: "a", Port: 80}, {Name: "b", Port: 53, Protocol: corev1.ProtocolUDP}},
	}}, opt)
	ok(t, err)
	job := batchv1.JobSpec{Suspend: ptr(true), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "a", Image: "a:1"}}}}}
	_, err = c.BatchV1().Jobs(ns).Create(ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "once"}, Spec: job}, opt)
	ok(t, err)
	_, err = c.BatchV1().CronJobs(ns).Create(ctx, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "nightly"}, Spec: batchv1.CronJobSpec{
		Schedule: "0 3 * * *", Suspend: ptr(true), JobTemplate: batchv1.JobTemplateSpec{Spec: job},
	}}, opt)
	ok(t, err)
	r := watching(t)
	eventually(t, "the job is seen to be suspended", func() bool {
		return get[kube.Table](t)(r.List(ctx, kube.ListQuery{Kind: "jobs", Namespace: ns})).Items[0].Status == "Suspended"
	})
	for kind, want := range map[string]string{
		"services": "[web None 80/TCP,53/UDP]", "jobs": "[once Suspended 0]", "cronjobs": "[nightly 0 3 * * * yes never - -]",
	} {
		tab := get[kube.Table](t)(r.List(ctx, kube.ListQuery{Kind: kind, Namespace: ns}))
		if len(tab.Items) != 1 || len(tab.Columns) != len(tab.Items[0].Cells)+1 {
			t.Errorf("%s: %+v", kind, tab)
			continue
		}
		cells := append([]string{tab.Items[0].Name}, tab.Items[0].Cells...)
		got := fmt.Sprint(cells)
		if kind == "services" {
			got = fmt.Sprint([]string{cells[0], cells[2], cells[3]})
		}
		if kind == "jobs" {
			got = fmt.Sprint(cells[:3]) // then its age
		}
		if got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
	nodes := get[kube.Table](t)(r.List(ctx, kube.ListQuery{Kind: "nodes"}))
	nodes.Items = slices.DeleteFunc(nodes.Items, func(i kube.Item) bool { return !strings.HasPrefix(i.Name, "node-") }) // others are of other tests
	if len(nodes.Items) != 3 || nodes.Items[0].Status != "Ready" || !nodes.Items[0].Healthy {
		t.Errorf("%+v", nodes)
	}
	if names := r.Nodes(); len(names) < 3 || names[0] != nodes.Items[0].Name {
		t.Errorf("nodes %v", names)
	}
	if tab := get[kube.Table](t)(r.List(ctx, kube.ListQuery{Kind: "namespaces"})); !slices.ContainsFunc(tab.Items, func(i kube.Item) bool { return i.Name == ns }) {
		t.Errorf("%+v", tab)
	}
	if _, err := r.List(ctx, kube.ListQuery{Kind: "unicorns", Namespace: ns}); fault.KindOf(err) != fault.NotUnderstood || !strings.HasPrefix(fault.Say(err), "I cannot list unicorns. I can list pods, deployments,") {
		t.Errorf("%v", err)
	}
}

func TestAutoscalerOf(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "acme/web:1")
	r := watching(t)
	if a, found, err := r.AutoscalerOf(t.Context(), ref); found || err != nil {
		t.Errorf("%+v %v %v", a, found, err)
	}
	for name, target := range map[string]string{"other": "web-admin", "web-hpa": "web"} {
		_, err := admin(t).AutoscalingV2().HorizontalPodAutoscalers(ns).Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: ptr[int32](2), MaxReplicas: 9, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: target, APIVersion: "apps/v1"}},
		}, metav1.CreateOptions{})
		ok(t, err)
	}
	if a, found, err := r.AutoscalerOf(t.Context(), ref); !found || err != nil || a != (kube.Autoscaler{Name: "web-hpa", Min: 2, Max: 9}) {
		t.Errorf("%+v %v %v", a, found, err)
	}
	ref.Kind = kube.StatefulSet // of the same name
	if _, found, err := r.AutoscalerOf(t.Context(), ref); found || err != nil {
		t.Errorf("an autoscaler of another kind: %v %v", found, err)
	}
}

func TestNamesGrowWhenOneComesOrGoes(t *testing.T) {
	t.Parallel()
	r := reader(t, cluster(t), kube.ReaderOptions{NoPods: true})
	n := r.Names()
	if n == 0 {
		t.Error("the names that were there count nothing")
	}
	grows := func(what string) {
		t.Helper()
		eventually(t, "Names grows: "+what, func() bool { return r.Names() > n })
		n = r.Names()
	}
	ns := space(t)
	grows("a namespace")
	ref := create(t, ns, kube.Deployment, "acme/web:1")
	grows("a workload")
	ok(t, admin(t).AppsV1().Deployments(ns).Delete(t.Context(), "web", metav1.DeleteOptions{}))
	grows("one less")
	eventually(t, "it is found no more", func() bool {
		_, err := r.Get(t.Context(), ref)
		return fault.KindOf(err) == fault.NotFound
	})
}

// TestOneNamespace reads with credentials that may read one namespace only.
func TestOneNamespace(t *testing.T) {
	t.Parallel()
	mine, foreign := space(t), space(t)
	ref := create(t, mine, kube.Deployment, "acme/web:1")
	create(t, foreign, kube.Deployment, "acme/web:1")
	settled(t, ref)
	ctx := t.Context()
	file := account(t, mine, "*")

	limited := get[*kube.Cluster](t)(kube.Connect(file, "", ""))
	for name, option := range map[string]kube.ReaderOptions{"watching pods": {}, "asking for pods": {NoPods: true}} {
		r := reader(t, limited, option)
		if got := r.Namespaces(); !slices.Equal(got, []string{mine}) {
			t.Errorf("%s: namespaces %q", name, got)
		}
		if got := r.All(); len(got) != 1 || got[0].Namespace != mine || got[0].Name != "web" {
			t.Errorf("%s: all %v", name, got)
		}
		if got, err := r.Find(ctx, kube.Query{Namespace: foreign}); len(got) != 0 || err != nil {
			t.Errorf("%s: %v %v", name, got, err)
		}
		if tab := get[kube.Table](t)(r.List(ctx, kube.ListQuery{Kind: "pods"})); len(tab.Items) != 2 {
			t.Errorf("%s: pods %+v", name, tab)
		}
		w := get[kube.Workload](t)(r.Get(ctx, kube.Ref{Namespace: mine, Kind: kube.Deployment, Name: "web"}))
		if h := get[[]kube.Revision](t)(r.History(ctx, w)); len(h) != 1 {
			t.Errorf("%s: history %v", name, h)
		}
		if _, _, err := r.AutoscalerOf(ctx, w.Ref); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := r.List(ctx, kube.ListQuery{Kind: "nodes"})
		if fault.KindOf(err) != fault.Forbidden || !strings.HasPrefix(fault.Say(err), "The cluster does not allow me to list the nodes: nodes is forbidden: User") {
			t.Errorf("%s: %q", name, fault.Say(err))
		}
	}
	stranger := get[*kube.Cluster](t)(kube.Connect(file, "", foreign))
	r, err := kube.NewReader(stranger, kube.ReaderOptions{}, discard)
	ok(t, err)
	if err := r.Start(ctx); fault.KindOf(err) != fault.Forbidden || !strings.HasPrefix(fault.Say(err), "The cluster does not allow me to look at the cluster:") {
		t.Errorf("no namespace at all: %v", err)
	}
	w := kube.NewWriter(limited)
	if _, _, err := w.Plan(ctx, toScale(ref, 3)); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("readers write: %v", err)
	}
}

// account makes a ServiceAccount that may read these resources of a namespace,
// and a kubeconfig of it.
func account(t *testing.T, mine string, resources ...string) string {
	t.Helper()
	c, ctx, opt := admin(t), t.Context(), metav1.CreateOptions{}
	_, err := c.CoreV1().ServiceAccounts(mine).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "firstmate"}}, opt)
	ok(t, err)
	_, err = c.RbacV1().Roles(mine).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "read"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"", "apps", "autoscaling"}, Resources: resources, Verbs: []string{"get", "list", "watch"}},
	}}, opt)
	ok(t, err)
	_, err = c.RbacV1().RoleBindings(mine).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "read"}, RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: "read"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "firstmate", Namespace: mine}},
	}, opt)
	ok(t, err)
	token, err := sandbox.Kubectl(ctx, "", "-n", mine, "create", "token", "firstmate")
	ok(t, err)
	return kubeconfig(t, token, mine)
}

// TestWatchRefused reads with credentials that may not see everything.
func TestWatchRefused(t *testing.T) {
	t.Parallel()
	file := account(t, space(t), "deployments", "daemonsets")
	limited := get[*kube.Cluster](t)(kube.Connect(file, "", ""))
	r, err := kube.NewReader(limited, kube.ReaderOptions{SyncLimit: 2 * time.Second}, discard)
	ok(t, err)
	err = r.Start(t.Context())
	if fault.KindOf(err) != fault.Forbidden || !strings.Contains(fault.Say(err), "cannot watch the cluster's pods, statefulsets.") {
		t.Errorf("started, or says %v", err)
	}
}

// kubeconfig writes one for a token.
func kubeconfig(t *testing.T, token, namespace string) string {
	t.Helper()
	rc, err := clientcmd.BuildConfigFromFlags("", sandbox.Kubeconfig)
	ok(t, err)
	ca := rc.CAData
	if len(ca) == 0 {
		ca, err = os.ReadFile(rc.CAFile)
		ok(t, err)
	}
	file := filepath.Join(t.TempDir(), "config")
	ok(t, os.WriteFile(file, fmt.Appendf(nil, `
apiVersion: v1
kind: Config
current-context: limited
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: u, user: {token: %q}}]
contexts: [{name: limited, context: {cluster: c, user: u, namespace: %s}}]
`, rc.Host, base64.StdEncoding.EncodeToString(ca), token, namespace), 0o600))
	return file
}

func TestStartStopsWithItsContext(t *testing.T) {
	t.Parallel()
	r, err := kube.NewReader(cluster(t), kube.ReaderOptions{}, discard)
	ok(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Start(ctx); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}
