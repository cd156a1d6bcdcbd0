package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/tools/cache"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Item is one object of a list, in the columns that kubectl shows.
type Item struct {
	Name    string
	Cells   []string // the columns after the name
	Healthy bool
	Status  string // the word for its state: "Running", "CrashLoopBackOff", "2/3", …
}

// Table is a list of objects of a kind.
type Table struct {
	Kind    string // in the plural, as asked: "pods"
	Columns []string
	Items   []Item
}

// kinds are what List knows, in the plural.
const kinds = "pods, deployments, statefulsets, daemonsets, workloads, nodes, namespaces, services, cronjobs, jobs and clusters"

// ListQuery says what is to be listed.
type ListQuery struct {
	Cluster   string // asked of a Fleet, "" is the home cluster
	Kind      string // in the plural: "pods"
	Namespace string // "" is all
}

// List lists the objects of a kind in a namespace.
func (r *Reader) List(ctx context.Context, q ListQuery) (Table, error) {
	kind, namespace := q.Kind, q.Namespace
	if namespace == "" {
		namespace = r.scope
	}
	t := Table{Kind: kind}
	var err error
	switch kind {
	case "workloads", "deployments", "statefulsets", "daemonsets":
		only := map[string]string{"deployments": Deployment, "statefulsets": StatefulSet, "daemonsets": DaemonSet}[kind]
		t, err = r.listWorkloads(ctx, t, only, namespace)
	case "pods":
		t, err = r.listPods(ctx, t, namespace)
	case "nodes":
		t, err = r.listNodes(ctx, t)
	case "namespaces":
		t.Columns = []string{"NAME"}
		for _, ns := range r.Namespaces() {
			t.Items = append(t.Items, Item{Name: ns, Healthy: true, Status: "Active"})
		}
	case "services":
		t, err = r.listServices(ctx, t, namespace)
	case "jobs":
		t, err = r.listJobs(ctx, t, namespace)
	case "cronjobs":
		t, err = r.listCronJobs(ctx, t, namespace)
	default:
		return t, fault.New(fault.NotUnderstood, "I cannot list %s. I can list %s.", kind, kinds)
	}
	slices.SortStableFunc(t.Items, func(a, b Item) int { return cmp.Compare(a.Name, b.Name) })
	return t, r.cluster.sentence(err, "list the "+kind)
}

func (r *Reader) listWorkloads(ctx context.Context, t Table, only, namespace string) (Table, error) {
	ws, err := r.Find(ctx, Query{Namespace: namespace, Kind: only})
	t.Columns = []string{"NAME", "KIND", "READY", "VERSION"}
	for _, w := range ws {
		p := w.Progress
		ready := fmt.Sprintf("%d/%d", p.Ready, p.Desired)
		t.Items = append(t.Items, Item{
			Name: w.Ref.Name, Cells: []string{w.Ref.Kind, ready, w.Version()},
			Healthy: p.Done() && p.Ready >= p.Desired, Status: ready,
		})
	}
	return t, err
}

func (r *Reader) listPods(ctx context.Context, t Table, namespace string) (Table, error) {
	var pods []*corev1.Pod
	if r.pods != nil {
		objs := r.pods.GetStore().List()
		if namespace != "" {
			objs, _ = r.pods.GetIndexer().ByIndex(cache.NamespaceIndex, namespace) // the index exists
		}
		for _, o := range objs {
			if p, ok := o.(*corev1.Pod); ok {
				pods = append(pods, p)
			}
		}
	} else {
		l, err := r.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return t, err
		}
		for i := range l.Items {
			pods = append(pods, &l.Items[i])
		}
	}
	t.Columns = []string{"NAME", "READY", "STATUS", "RESTARTS", "AGE"}
	now := time.Now()
	for _, p := range pods {
		ready, total, restarts := 0, len(p.Status.ContainerStatuses), 0
		for _, c := range p.Status.ContainerStatuses {
			restarts += int(c.RestartCount)
			if c.Ready {
				ready++
			}
		}
		status := PodStatus(p)
		t.Items = append(t.Items, Item{
			Name: p.Name, Status: status, Healthy: status == "Running" && ready == total || status == "Completed",
			Cells: []string{fmt.Sprintf("%d/%d", ready, total), status, strconv.Itoa(restarts), age(now, p.CreationTimestamp)},
		})
	}
	return t, nil
}

// PodStatus is the word that kubectl shows in its STATUS column.
func PodStatus(p *corev1.Pod) string {
	switch {
	case p.DeletionTimestamp != nil && p.Status.Reason == "NodeLost":
		return "Unknown"
	case p.DeletionTimestamp != nil:
		return "Terminating"
	}
	if s := initStatus(p); s != "" {
		return s
	}
	status := cmp.Or(p.Status.Reason, string(p.Status.Phase))
	running := false
	for _, c := range slices.Backward(p.Status.ContainerStatuses) { // the first one has the last word
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			status = c.State.Waiting.Reason
		case c.State.Terminated != nil:
			status = ended(c.State.Terminated)
		default:
			running = running || c.Ready && c.State.Running != nil
		}
	}
	switch {
	case status == "Completed" && running && podReady(p):
		return string(corev1.PodRunning)
	case status == "Completed" && running:
		return "NotReady"
	case status == string(corev1.PodSucceeded):
		return "Completed"
	}
	return status
}

// initStatus is the word for a pod whose init containers are not through, ""
// where they are. One that runs in a running pod is a sidecar.
func initStatus(p *corev1.Pod) string {
	for i, c := range p.Status.InitContainerStatuses {
		switch t := c.State.Terminated; {
		case t != nil && t.ExitCode == 0, c.State.Running != nil && p.Status.Phase == corev1.PodRunning:
			continue
		case t != nil:
			return "Init:" + ended(t)
		case c.State.Waiting != nil && c.State.Waiting.Reason != "" && c.State.Waiting.Reason != "PodInitializing":
			return "Init:" + c.State.Waiting.Reason
		}
		return fmt.Sprintf("Init:%d/%d", i, len(p.Status.InitContainerStatuses))
	}
	return ""
}

func ended(t *corev1.ContainerStateTerminated) string {
	if t.Signal != 0 {
		return cmp.Or(t.Reason, fmt.Sprintf("Signal:%d", t.Signal))
	}
	return cmp.Or(t.Reason, fmt.Sprintf("ExitCode:%d", t.ExitCode))
}

func podReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func age(now time.Time, t metav1.Time) string { return duration.HumanDuration(now.Sub(t.Time)) }

func (r *Reader) listNodes(ctx context.Context, t Table) (Table, error) {
	l, err := r.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return t, err
	}
	t.Columns = []string{"NAME", "STATUS", "VERSION", "AGE"}
	for _, n := range l.Items {
		it := Item{Name: n.Name, Status: "NotReady"}
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				it.Status, it.Healthy = "Ready", true
			}
		}
		if n.Spec.Unschedulable {
			it.Status += ",SchedulingDisabled"
		}
		it.Cells = []string{it.Status, n.Status.NodeInfo.KubeletVersion, age(time.Now(), n.CreationTimestamp)}
		t.Items = append(t.Items, it)
	}
	return t, nil
}

func (r *Reader) listServices(ctx context.Context, t Table, namespace string) (Table, error) {
	l, err := r.client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return t, err
	}
	t.Columns = []string{"NAME", "TYPE", "CLUSTER-IP", "PORTS"}
	for _, s := range l.Items {
		ports := ""
		for i, p := range s.Spec.Ports {
			if i > 0 {
				ports += ","
			}
			ports += fmt.Sprintf("%d/%s", p.Port, p.Protocol)
		}
		t.Items = append(t.Items, Item{Name: s.Name, Healthy: true, Status: string(s.Spec.Type), Cells: []string{string(s.Spec.Type), s.Spec.ClusterIP, ports}})
	}
	return t, nil
}

func (r *Reader) listJobs(ctx context.Context, t Table, namespace string) (Table, error) {
	l, err := r.client.BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return t, err
	}
	t.Columns = []string{"NAME", "STATUS", "SUCCEEDED", "AGE"}
	for _, j := range l.Items {
		it := Item{Name: j.Name, Status: "Running", Healthy: true}
		for _, c := range j.Status.Conditions {
			if c.Status != corev1.ConditionTrue {
				continue
			}
			switch c.Type {
			case batchv1.JobComplete:
				it.Status = "Complete"
			case batchv1.JobFailed:
				it.Status, it.Healthy = "Failed", false
			case batchv1.JobSuspended:
				it.Status = "Suspended"
			}
		}
		it.Cells = []string{it.Status, strconv.Itoa(int(j.Status.Succeeded)), age(time.Now(), j.CreationTimestamp)}
		t.Items = append(t.Items, it)
	}
	return t, nil
}

func (r *Reader) listCronJobs(ctx context.Context, t Table, namespace string) (Table, error) {
	if r.cronJobs == nil { // may not be watched: the API server says why
		_, err := r.client.BatchV1().CronJobs(namespace).List(ctx, metav1.ListOptions{Limit: 1})
		return t, err
	}
	all, err := r.Batch(ctx, Query{Namespace: namespace, Kind: CronJob})
	if err != nil {
		return t, err
	}
	t.Columns = []string{"NAME", "SCHEDULE", "SUSPENDED", "LAST RUN", "RESULT", "NEXT RUN"}
	now := time.Now()
	for _, c := range all {
		it := Item{Name: c.Ref.Name, Status: c.Schedule, Healthy: true}
		suspended, last, result, next := "no", "never", "-", "-"
		if c.Suspended {
			suspended, it.Status = "yes", "Suspended"
		}
		if !c.LastRun.IsZero() {
			last = duration.HumanDuration(now.Sub(c.LastRun)) + " ago"
		}
		if s, ok := c.LastEnded(); ok {
			result, it.Healthy = s.Status, s.Status != "Failed"
		}
		if len(c.Running()) > 0 {
			result = "Running"
		}
		if !it.Healthy {
			it.Status = "Failed"
		}
		if !c.Next.IsZero() {
			next = "in " + duration.HumanDuration(c.Next.Sub(now))
		}
		it.Cells = []string{c.Schedule, suspended, last, result, next}
		t.Items = append(t.Items, it)
	}
	return t, nil
}

// Autoscaler is a HorizontalPodAutoscaler that owns a workload's replicas.
type Autoscaler struct {
	Name     string
	Min, Max int32
}

// AutoscalerOf returns the autoscaler of a workload, if it has one.
func (r *Reader) AutoscalerOf(ctx context.Context, ref Ref) (Autoscaler, bool, error) {
	l, err := r.client.AutoscalingV2().HorizontalPodAutoscalers(ref.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return Autoscaler{}, false, r.cluster.sentence(err, "look for an autoscaler of "+ref.Name)
	}
	i := slices.IndexFunc(l.Items, func(h autoscalingv2.HorizontalPodAutoscaler) bool {
		return h.Spec.ScaleTargetRef.Kind == ref.Kind && h.Spec.ScaleTargetRef.Name == ref.Name
	})
	if i < 0 {
		return Autoscaler{}, false, nil
	}
	a := Autoscaler{Name: l.Items[i].Name, Min: 1, Max: l.Items[i].Spec.MaxReplicas}
	if m := l.Items[i].Spec.MinReplicas; m != nil {
		a.Min = *m
	}
	return a, true, nil
}
