package kube_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// ownNodes makes nodes that only the pods of one test run on.
func ownNodes(t *testing.T, ns string, n int) []string {
	t.Helper()
	var out []string
	for i := range n {
		name := fmt.Sprintf("%s-node-%d", ns, i+1)
		_, err := admin(t).CoreV1().Nodes().Create(t.Context(), &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}, Labels: map[string]string{"test": ns}},
			Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "test", Value: ns, Effect: corev1.TaintEffectNoSchedule}}},
		}, metav1.CreateOptions{})
		ok(t, err)
		t.Cleanup(func() {
			_ = admin(t).CoreV1().Nodes().Delete(t.Context(), name, metav1.DeleteOptions{}) // the sandbox ends anyway
		})
		out = append(out, name)
	}
	return out
}

// onTheirs makes pods run on the nodes of a test, and nowhere else.
func onTheirs(ns string, p *corev1.PodSpec) {
	p.NodeSelector = map[string]string{"test": ns}
	p.Tolerations = []corev1.Toleration{{Key: "test", Operator: corev1.TolerationOpExists}}
}

func nodeRef(name string) kube.Ref { return kube.Ref{Kind: kube.Node, Name: name} }

// podsOn lists the pods of a node that are not on their way out.
func podsOn(t *testing.T, node string) []corev1.Pod {
	t.Helper()
	l, err := admin(t).CoreV1().Pods("").List(t.Context(), metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	ok(t, err)
	return slices.DeleteFunc(l.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

func running(t *testing.T, node string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d pods run on %s", n, node), func() bool {
		pods := podsOn(t, node)
		return len(pods) == n && !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Status.Phase != corev1.PodRunning })
	})
}

// stepped goes on with a change until it is as wanted, and returns what it saw.
func stepped(t *testing.T, w *kube.Writer, c kube.Change, id, what string, until func(kube.Progress) bool) kube.Progress {
	t.Helper()
	var p kube.Progress
	eventually(t, what, func() bool {
		p = get[kube.Progress](t)(w.Step(t.Context(), c, id))
		return until(p)
	})
	return p
}

func complete(p kube.Progress) bool { return p.Done() }

func TestDrainANode(t *testing.T) {
	t.Parallel()
	ns := space(t)
	nodes := ownNodes(t, ns, 2)
	ctx, core := t.Context(), admin(t).CoreV1()
	ref := create(t, ns, kube.Deployment, "acme/web:1", func(d *appsv1.Deployment) {
		onTheirs(ns, &d.Spec.Template.Spec)
		d.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		d.Spec.Template.Annotations = map[string]string{"sandbox/ready-delay": "1s"}
	})
	agent := template("acme/agent:1")
	agent.Labels["app"] = "agent"
	onTheirs(ns, &agent.Spec)
	_, err := admin(t).AppsV1().DaemonSets(ns).Create(ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: ns},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: agent.Labels}, Template: agent},
	}, metav1.CreateOptions{})
	ok(t, err)
	both := intstr.FromInt32(2)
	_, err = admin(t).PolicyV1().PodDisruptionBudgets(ns).Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "front", Namespace: ns},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &both, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}, metav1.CreateOptions{})
	ok(t, err)
	settled(t, ref)
	node := nodes[0] // the one with pods of web on it, of which there are two on two nodes
	var on int
	for _, n := range nodes {
		web := slices.DeleteFunc(podsOn(t, n), func(p corev1.Pod) bool { return p.Labels["app"] != "web" })
		if len(web) > on {
			node, on = n, len(web)
		}
	}
	spec := template("acme/tool:1").Spec
	spec.NodeName = node
	onTheirs(ns, &spec)
	_, err = core.Pods(ns).Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "tool", Namespace: ns}, Spec: spec}, metav1.CreateOptions{})
	ok(t, err)
	running(t, node, on+2)

	w, r := kube.NewWriter(cluster(t)), watching(t)
	var state kube.NodeState
	eventually(t, "the reader sees the node", func() bool {
		state, err = r.Node(ctx, nodeRef(node))
		return err == nil && state.Ready
	})
	if state.Unschedulable || len(state.Pods.Evict) != on || len(state.Pods.Bare) != 1 || state.Pods.Daemon != 1 || len(state.Pods.Data) != on || state.Others < 1 {
		t.Errorf("the node is seen as %+v", state)
	}

	// What nothing makes anew is refused unless told.
	drain := kube.Change{Ref: nodeRef(node), Verb: kube.VerbDrain}
	if _, _, err := w.Plan(ctx, drain); fault.KindOf(err) != fault.Refused || !strings.Contains(fault.Say(err), "Nothing would make tool anew") {
		t.Errorf("a bare pod: %v", err)
	}
	drain.Drain = &kube.Drain{TakeBare: true}
	eventually(t, "the budget is in force", func() bool {
		drain = planned(t, w, drain)
		return slices.Equal(drain.Drain.Budgets, []string{"front"})
	})
	_, diff, err := w.Plan(ctx, drain)
	ok(t, err)
	for _, want := range []string{"+  unschedulable: true", "-" + ns + "/tool", "-" + ns + "/web-", " " + ns + "/agent-"} {
		if !strings.Contains(diff.Unified, want) {
			t.Errorf("the diff lacks %q:\n%s", want, diff.Unified)
		}
	}
	if d := drain.Drain; d.Pods != on+1 || d.Stay != 1 || len(d.Data) != on || len(d.Bare) != 1 || drain.From() != fmt.Sprintf("%d pods", on+1) || drain.To() != "drained" {
		t.Errorf("planned %+v", d)
	}
	if n := get[*corev1.Node](t)(core.Nodes().Get(ctx, node, metav1.GetOptions{})); n.Spec.Unschedulable || len(podsOn(t, node)) != on+2 {
		t.Error("planning changed something")
	}

	// The budget holds, and is named; the bare pod goes.
	applied(t, w, drain, "d1")
	if again := applied(t, w, drain, "d1"); !again.Already {
		t.Error("applied twice")
	}
	held := stepped(t, w, drain, "d1", "only the budget holds", func(p kube.Progress) bool { return p.Stuck != nil && int(p.Updated) == 1 })
	if held.Stuck.Reason != kube.Budget || held.Stuck.Detail != "front" || int(held.Desired) != on+1 || !strings.Contains(held.Stuck.Left, ns+"/web-") {
		t.Errorf("held: %+v %+v", held, held.Stuck)
	}
	if _, err := core.Pods(ns).Get(ctx, "tool", metav1.GetOptions{}); err == nil {
		t.Error("the bare pod is still there, though it was agreed that it goes")
	}

	// It lets go, one by one as what takes their place is ready, and another
	// process goes on.
	_, err = sandbox.Kubectl(ctx, "", "-n", ns, "patch", "pdb/front", "--type=merge", "-p", `{"spec":{"minAvailable":1}}`)
	ok(t, err)
	other := kube.NewWriter(cluster(t))
	stepped(t, other, drain, "d1", "it is drained", complete)
	if left := podsOn(t, node); len(left) != 1 || left[0].Labels["app"] != "agent" {
		t.Errorf("%d pods are left", len(left))
	}
	settled(t, ref) // on the other node

	// Undone: it takes pods again. What was cordoned before stays so.
	inv, can := drain.Inverse()
	if !can || inv.Verb != kube.VerbUncordon {
		t.Fatalf("undone by %+v", inv)
	}
	applied(t, w, planned(t, w, inv), "u1")
	if n := get[*corev1.Node](t)(core.Nodes().Get(ctx, node, metav1.GetOptions{})); n.Spec.Unschedulable {
		t.Error("it is still cordoned")
	}
	if _, err := w.Step(ctx, drain, "d1"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a drain of a node that takes pods again goes on: %v", err)
	}
	ok(t, cordonBy(t, node, true))
	if _, can := planned(t, w, kube.Change{Ref: nodeRef(node), Verb: kube.VerbDrain}).Inverse(); can {
		t.Error("to undo the drain of a cordoned node would uncordon it")
	}
}

func cordonBy(t *testing.T, node string, on bool) error {
	t.Helper()
	verb := "cordon"
	if !on {
		verb = "uncordon"
	}
	_, err := sandbox.Kubectl(t.Context(), "", verb, node)
	return err
}

func TestCordonANode(t *testing.T) {
	t.Parallel()
	ns := space(t)
	node := ownNodes(t, ns, 1)[0]
	w := kube.NewWriter(cluster(t))
	is := func() bool {
		return get[*corev1.Node](t)(admin(t).CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})).Spec.Unschedulable
	}
	c := planned(t, w, kube.Change{Ref: nodeRef(node), Verb: kube.VerbCordon})
	if c.From() != "schedulable" || c.To() != "cordoned" || is() {
		t.Errorf("planned from %s to %s; done: %v", c.From(), c.To(), is())
	}
	applied(t, w, c, "c1")
	if !is() || !applied(t, w, c, "c1").Already {
		t.Error("not cordoned once")
	}
	inv, can := c.Inverse()
	if !can {
		t.Fatal("no way back")
	}
	applied(t, w, planned(t, w, inv), "u1")
	if is() {
		t.Error("still cordoned")
	}

	// Somebody else was faster.
	c = planned(t, w, kube.Change{Ref: nodeRef(node), Verb: kube.VerbCordon})
	ok(t, cordonBy(t, node, true))
	_, err := w.Apply(t.Context(), c, "c2")
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Say(err), "by kubectl") || !strings.Contains(fault.Say(err), "it now is cordoned") {
		t.Errorf("%v", err)
	}
	if _, _, err := w.Plan(t.Context(), kube.Change{Ref: nodeRef("nowhere"), Verb: kube.VerbCordon}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a node that is not there: %v", err)
	}
}

// TestNodesAreChangedAsTheSpeaker: who may not is told so by the API server
// itself, and nothing is begun.
func TestNodesAreChangedAsTheSpeaker(t *testing.T) {
	t.Parallel()
	ns := space(t)
	node := ownNodes(t, ns, 1)[0]
	ref := create(t, ns, kube.Deployment, "acme/web:1", func(d *appsv1.Deployment) { onTheirs(ns, &d.Spec.Template.Spec) })
	settled(t, ref)
	running(t, node, 2)
	w := kube.NewWriter(cluster(t))
	grant := func(name string, rules ...rbacv1.PolicyRule) {
		t.Helper()
		name = ns + "-" + name
		_, err := admin(t).RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{})
		ok(t, err)
		_, err = admin(t).RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "Group", Name: ns}},
		}, metav1.CreateOptions{})
		ok(t, err)
	}
	c := kube.Change{Ref: nodeRef(node), Verb: kube.VerbDrain, As: kube.As{User: "ann", Groups: []string{ns}}}
	refused := func(part string) {
		t.Helper()
		eventually(t, "refused for "+part, func() bool {
			_, _, err := w.Plan(t.Context(), c)
			return fault.KindOf(err) == fault.Forbidden && strings.Contains(fault.Say(err), "does not allow me to drain "+node) && strings.Contains(fault.Say(err), part)
		})
	}
	refused("cannot get resource \"nodes\"")
	grant("look", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get"}})
	refused("cannot patch resource \"nodes\"")
	grant("cordon", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"patch"}})
	refused("cannot list resource \"pods\"")
	grant("pods", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}})
	refused("cannot create resource \"pods/eviction\"")
	if len(podsOn(t, node)) != 2 || get[*corev1.Node](t)(admin(t).CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})).Spec.Unschedulable {
		t.Error("something was begun")
	}
	grant("evict", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/eviction"}, Verbs: []string{"create"}})
	eventually(t, "with these four rights it may", func() bool {
		p, _, err := w.Plan(t.Context(), c)
		c.UID, c.Node, c.Drain = p.UID, p.Node, p.Drain
		return err == nil
	})
	applied(t, w, c, "d1")
	stepped(t, w, c, "d1", "it is drained", complete)
}

func podOf(t *testing.T, ns, prefix string) corev1.Pod {
	t.Helper()
	l, err := admin(t).CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	ok(t, err)
	i := slices.IndexFunc(l.Items, func(p corev1.Pod) bool { return strings.HasPrefix(p.Name, prefix) && p.DeletionTimestamp == nil })
	if i < 0 {
		t.Fatalf("no pod %s… in %s", prefix, ns)
	}
	return l.Items[i]
}

func deletion(ns string, p corev1.Pod) kube.Change {
	return kube.Change{Ref: kube.Ref{Namespace: ns, Kind: kube.Pod, Name: p.Name}, UID: string(p.UID), Verb: kube.VerbDeletePod}
}

func TestDeleteAPod(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, kind string) {
		ns := space(t)
		ref := create(t, ns, kind, "acme/web:1")
		settled(t, ref)
		w := kube.NewWriter(cluster(t))
		old := podOf(t, ns, "web-")
		c, diff, err := w.Plan(t.Context(), deletion(ns, old))
		ok(t, err)
		if c.Pod.Owner.Kind != kind || c.Pod.Owner.Name != "web" || c.Pod.Only || c.Subject().Name != "web" || !strings.Contains(diff.Unified, "-"+ns+"/"+old.Name) {
			t.Errorf("planned %+v\n%s", c.Pod, diff.Unified)
		}
		applied(t, w, c, "p1")
		p := stepped(t, w, c, "p1", "another pod is ready", complete)
		if p.Ready != p.Desired {
			t.Errorf("%d of %d", p.Ready, p.Desired)
		}
		if applied(t, w, c, "p1").Already != true {
			t.Error("deleted twice")
		}
		l, err := admin(t).CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
		ok(t, err)
		for _, q := range l.Items {
			if q.UID == old.UID {
				t.Errorf("%s is still there", q.Name)
			}
			if q.DeletionTimestamp != nil {
				t.Errorf("%s was deleted as well", q.Name)
			}
		}
	})
	t.Run("crashing", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		create(t, ns, kube.Deployment, "acme/web:1-crash")
		w := kube.NewWriter(cluster(t))
		r := watching(t)
		var crashing []kube.PodState
		eventually(t, "both crash", func() bool {
			all := get[[]kube.PodState](t)(r.Pods(t.Context(), kube.PodQuery{Namespace: ns, Owner: "web", OwnerKind: kube.Deployment}))
			crashing = get[[]kube.PodState](t)(kube.PickPods(all, "crashing"))
			return len(crashing) == 2
		})
		c := planned(t, w, kube.Change{Ref: crashing[0].Ref, UID: crashing[0].UID, Verb: kube.VerbDeletePod})
		if len(c.Pod.Broken) != 1 || !c.Pod.Only {
			t.Errorf("planned %+v", c.Pod)
		}
		applied(t, w, c, "p1")
		p := stepped(t, w, c, "p1", "the new one crashes too", func(p kube.Progress) bool { return p.Stuck != nil && p.Stuck.Reason == kube.CrashLoop })
		if p.Stuck.Pods != 1 {
			t.Errorf("%+v", p.Stuck)
		}
	})
	t.Run("bare", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		pod, err := admin(t).CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "debug", Namespace: ns}, Spec: template("acme/tool:1").Spec}, metav1.CreateOptions{})
		ok(t, err)
		w := kube.NewWriter(cluster(t))
		c := deletion(ns, *pod)
		if _, _, err := w.Plan(t.Context(), c); fault.KindOf(err) != fault.Refused || !strings.Contains(fault.Say(err), "Nothing would make debug anew") {
			t.Errorf("%v", err)
		}
		c.Pod = &kube.PodDeletion{TakeBare: true}
		c = planned(t, w, c)
		if _, can := c.Inverse(); can {
			t.Error("a deleted pod can be put back")
		}
		applied(t, w, c, "p1")
		stepped(t, w, c, "p1", "it is gone", complete)
	})
	t.Run("of the same name", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		ref := create(t, ns, kube.StatefulSet, "acme/web:1")
		settled(t, ref)
		w := kube.NewWriter(cluster(t))
		c := planned(t, w, deletion(ns, podOf(t, ns, "web-0")))
		ok(t, admin(t).CoreV1().Pods(ns).Delete(t.Context(), "web-0", metav1.DeleteOptions{}))
		var anew corev1.Pod
		eventually(t, "it is made anew", func() bool {
			p, err := admin(t).CoreV1().Pods(ns).Get(t.Context(), "web-0", metav1.GetOptions{})
			if err == nil {
				anew = *p
			}
			return err == nil && string(p.UID) != c.UID
		})
		if !applied(t, w, c, "p1").Already || podOf(t, ns, "web-0").UID != anew.UID {
			t.Error("another pod of the name was deleted")
		}
	})
}

func cron(t *testing.T, ns, image string, limit int32) kube.Ref {
	t.Helper()
	tmpl := template(image)
	tmpl.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err := admin(t).BatchV1().CronJobs(ns).Create(t.Context(), &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "nightly", Namespace: ns},
		Spec: batchv1.CronJobSpec{Schedule: "30 2 * * *", JobTemplate: batchv1.JobTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"team": "bi"}, Annotations: map[string]string{"note": "x"}},
			Spec:       batchv1.JobSpec{BackoffLimit: &limit, Template: tmpl},
		}},
	}, metav1.CreateOptions{})
	ok(t, err)
	return kube.Ref{Cluster: watching(t).Cluster(), Namespace: ns, Kind: kube.CronJob, Name: "nightly"}
}

func TestRunAJobNow(t *testing.T) {
	t.Parallel()
	t.Run("well", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		ref := cron(t, ns, "acme/report:1", 0)
		w := kube.NewWriter(cluster(t))
		jobs := admin(t).BatchV1().Jobs(ns)
		list := func() []batchv1.Job {
			return get[*batchv1.JobList](t)(jobs.List(t.Context(), metav1.ListOptions{})).Items
		}
		c, diff, err := w.Plan(t.Context(), kube.Change{Ref: ref, Verb: kube.VerbRunJob})
		ok(t, err)
		if c.Ref.Kind != kube.Job || !strings.HasPrefix(c.Ref.Name, "nightly-") || c.Subject() != ref || !strings.Contains(diff.Unified, "+    image: acme/report:1") && !strings.Contains(diff.Unified, "image: acme/report:1") || len(list()) != 0 {
			t.Errorf("planned %+v, %d jobs\n%s", c, len(list()), diff.Unified)
		}
		first := applied(t, w, c, "j1")
		second := applied(t, kube.NewWriter(cluster(t)), c, "j1")
		made := list()
		if first.Already || !second.Already || first.UID != second.UID || len(made) != 1 || string(made[0].UID) != first.UID {
			t.Fatalf("%+v, %+v, %d jobs", first, second, len(made))
		}
		j := made[0]
		own := metav1.GetControllerOf(&j)
		if j.Annotations["cronjob.kubernetes.io/instantiate"] != "manual" || j.Annotations["note"] != "x" || j.Labels["team"] != "bi" || own == nil || own.Kind != "CronJob" || own.Name != "nightly" {
			t.Errorf("made %v %v %+v", j.Annotations, j.Labels, own)
		}
		stepped(t, w, c, "j1", "it runs well", complete)

		r := watching(t)
		var b kube.BatchJob
		eventually(t, "the reader has seen the run", func() bool {
			found := get[[]kube.BatchJob](t)(r.Batch(t.Context(), kube.Query{Namespace: ns, Name: "nightly"}))
			if len(found) == 1 {
				b = found[0]
			}
			last, ok := b.LastEnded()
			return ok && last.Status == "Complete"
		})
		if b.Schedule != "30 2 * * *" || b.Next.IsZero() || b.LastRun.IsZero() || b.Suspended || len(b.Running()) != 0 {
			t.Errorf("seen as %+v", b)
		}
		if !slices.Contains(r.All(), ref) || slices.ContainsFunc(r.All(), func(o kube.Ref) bool { return o.Name == j.Name }) {
			t.Error("the names are not those of CronJobs without their runs")
		}

		inv, can := c.Inverse()
		if !can {
			t.Fatal("no way back")
		}
		inv = planned(t, w, inv)
		if len(list()) != 1 {
			t.Error("planning deleted it")
		}
		applied(t, w, inv, "u1")
		if !applied(t, w, inv, "u1").Already {
			t.Error("deleted twice")
		}
		eventually(t, "job and pods are gone", func() bool {
			pods := get[*corev1.PodList](t)(admin(t).CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{}))
			return len(list()) == 0 && len(pods.Items) == 0
		})
		if _, err := w.Step(t.Context(), c, "j1"); fault.KindOf(err) != fault.Conflict {
			t.Errorf("the run of a Job that is gone: %v", err)
		}
	})
	t.Run("badly", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		ref := cron(t, ns, "acme/report:1-crash", 0)
		w := kube.NewWriter(cluster(t))
		c := planned(t, w, kube.Change{Ref: ref, Verb: kube.VerbRunJob})
		applied(t, w, c, "j1")
		p := stepped(t, w, c, "j1", "it fails", func(p kube.Progress) bool { return p.State == kube.DeadlineExceeded })
		if p.Stuck == nil || p.Stuck.Reason != kube.CrashLoop || p.Stuck.ExitCode != 1 {
			t.Errorf("%+v", p.Stuck)
		}
	})
	t.Run("of another template", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		ref := cron(t, ns, "acme/report:1", 0)
		w := kube.NewWriter(cluster(t))
		c := planned(t, w, kube.Change{Ref: ref, Verb: kube.VerbRunJob})
		_, err := sandbox.Kubectl(t.Context(), "", "-n", ns, "set", "image", "cronjob/nightly", "web=acme/report:9")
		ok(t, err)
		if _, err := w.Apply(t.Context(), c, "j1"); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Say(err), "nightly was changed by ") || !strings.Contains(fault.Say(err), "runs something else than I showed") {
			t.Errorf("%v", err)
		}
	})
}

func TestSuspendAndResume(t *testing.T) {
	t.Parallel()
	ns := space(t)
	ref := cron(t, ns, "acme/report:1", 0)
	w := kube.NewWriter(cluster(t))
	is := func() bool {
		c := get[*batchv1.CronJob](t)(admin(t).BatchV1().CronJobs(ns).Get(t.Context(), "nightly", metav1.GetOptions{}))
		return c.Spec.Suspend != nil && *c.Spec.Suspend
	}
	c := planned(t, w, kube.Change{Ref: ref, Verb: kube.VerbSuspend})
	if c.From() != "active" || c.To() != "suspended" || is() {
		t.Errorf("planned from %s to %s", c.From(), c.To())
	}
	applied(t, w, c, "s1")
	if !is() || !applied(t, w, c, "s1").Already {
		t.Error("not suspended once")
	}
	inv, can := c.Inverse()
	if !can || inv.Verb != kube.VerbUnsuspend {
		t.Fatalf("undone by %+v", inv)
	}
	applied(t, w, planned(t, w, inv), "u1")
	if is() {
		t.Error("still suspended")
	}
	c = planned(t, w, kube.Change{Ref: ref, Verb: kube.VerbSuspend})
	_, err := sandbox.Kubectl(t.Context(), "", "-n", ns, "patch", "cronjob/nightly", "-p", `{"spec":{"suspend":true}}`)
	ok(t, err)
	if _, err := w.Apply(t.Context(), c, "s2"); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Say(err), "it now is suspended") {
		t.Errorf("%v", err)
	}

	// A Job's pods go while it is suspended.
	var job batchv1.Job
	ok(t, json.Unmarshal([]byte(`{"metadata":{"name":"migrate"},"spec":{"template":{"metadata":{"annotations":{"sandbox/job-duration":"90s"}},"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"acme/a:1"}]}}}}`), &job))
	_, err = admin(t).BatchV1().Jobs(ns).Create(t.Context(), &job, metav1.CreateOptions{})
	ok(t, err)
	jobRef := kube.Ref{Namespace: ns, Kind: kube.Job, Name: "migrate"}
	eventually(t, "the job runs", func() bool {
		return get[*batchv1.Job](t)(admin(t).BatchV1().Jobs(ns).Get(t.Context(), "migrate", metav1.GetOptions{})).Status.Active == 1
	})
	c = planned(t, w, kube.Change{Ref: jobRef, Verb: kube.VerbSuspend})
	if c.Hold.Active != 1 {
		t.Errorf("planned %+v", c.Hold)
	}
	applied(t, w, c, "s3")
	eventually(t, "its pod is gone", func() bool {
		return get[*batchv1.Job](t)(admin(t).BatchV1().Jobs(ns).Get(t.Context(), "migrate", metav1.GetOptions{})).Status.Active == 0
	})
	inv, _ = c.Inverse()
	applied(t, w, planned(t, w, inv), "u3")
	eventually(t, "it runs again", func() bool {
		return get[*batchv1.Job](t)(admin(t).BatchV1().Jobs(ns).Get(t.Context(), "migrate", metav1.GetOptions{})).Status.Active == 1
	})
}
