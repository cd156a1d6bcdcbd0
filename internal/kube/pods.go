package kube

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// PodState is a pod as it was last seen.
type PodState struct {
	Ref      Ref
	UID      string
	Created  time.Time
	Status   string // the word that kubectl shows: "Running", "CrashLoopBackOff"
	Ready    bool
	Leaving  bool // it is being deleted
	Restarts int
	// Owner is the workload, Job or whatever else made it and would make it anew;
	// the zero Ref for a pod that belongs to nothing.
	Owner  Ref
	Mirror bool // of a file of the kubelet: the API server has only its image
	// Trouble is what keeps it from being ready; nil for a ready pod and one that
	// is just starting.
	Trouble *Stuck
}

// Bare reports whether nothing makes the pod anew.
func (p PodState) Bare() bool { return p.Owner == Ref{} }

// Ended reports whether nothing runs in the pod any more.
func (p PodState) Ended() bool {
	return slices.Contains([]string{"Completed", "Succeeded", "Failed", "Evicted", "Error", "Shutdown", "NodeAffinity", "OutOfcpu", "OutOfmemory", "OutOfpods"}, p.Status)
}

// PodQuery says which pods are meant; an empty field means any.
type PodQuery struct {
	Cluster   string
	Namespace string
	Name      string
	Owner     string // the name of a workload, or of what else made it
	OwnerKind string
}

// Pods returns the pods that fit, by namespace and name.
func (r *Reader) Pods(ctx context.Context, q PodQuery) ([]PodState, error) {
	ns := cmp.Or(q.Namespace, r.scope)
	var pods []*corev1.Pod
	if r.pods != nil {
		objs := r.pods.GetStore().List()
		if ns != "" {
			objs, _ = r.pods.GetIndexer().ByIndex(cache.NamespaceIndex, ns) // the index exists
		}
		for _, o := range objs {
			if p, ok := o.(*corev1.Pod); ok {
				pods = append(pods, p)
			}
		}
	} else {
		opt := metav1.ListOptions{}
		if q.Name != "" {
			opt.FieldSelector = fields.OneTermEqualSelector("metadata.name", q.Name).String()
		}
		l, err := r.client.CoreV1().Pods(ns).List(ctx, opt)
		if err != nil {
			return nil, r.cluster.sentence(err, "look at the pods")
		}
		for i := range l.Items {
			pods = append(pods, &l.Items[i])
		}
	}
	var out []PodState
	for _, p := range pods {
		kind, name := owner(p)
		if q.Name != "" && p.Name != q.Name || q.Owner != "" && name != q.Owner || q.OwnerKind != "" && kind != q.OwnerKind {
			continue
		}
		out = append(out, podState(r.cluster.Name, p))
	}
	slices.SortFunc(out, func(a, b PodState) int {
		return cmp.Or(cmp.Compare(a.Ref.Namespace, b.Ref.Namespace), cmp.Compare(a.Ref.Name, b.Ref.Name))
	})
	return out, nil
}

func podState(cluster string, p *corev1.Pod) PodState {
	out := PodState{
		Ref: Ref{Cluster: cluster, Namespace: p.Namespace, Kind: Pod, Name: p.Name}, UID: string(p.UID), Created: p.CreationTimestamp.Time,
		Status: PodStatus(p), Ready: podReady(p), Leaving: p.DeletionTimestamp != nil, Trouble: podTrouble(p),
	}
	if kind, name := owner(p); name != "" {
		out.Owner = Ref{Cluster: cluster, Namespace: p.Namespace, Kind: kind, Name: name}
	}
	out.Mirror = out.Owner.Kind == Node
	for _, c := range p.Status.ContainerStatuses {
		out.Restarts += int(c.RestartCount)
	}
	return out
}

// Pods returns the pods of a cluster that fit.
func (f *Fleet) Pods(ctx context.Context, q PodQuery) ([]PodState, error) {
	r, err := f.reader(ctx, q.Cluster)
	if err != nil {
		return nil, err
	}
	return r.Pods(ctx, q)
}

// PickPods picks of pods those that are meant by a word: one for "oldest",
// "newest" and "any", else all that are so. What is being deleted already is
// picked only as "stuck". Of any, it is one that is missed least: one that is not
// ready, else the newest.
func PickPods(pods []PodState, which string) ([]PodState, error) {
	pods = slices.DeleteFunc(slices.Clone(pods), func(p PodState) bool { return p.Leaving && which != "stuck" })
	byAge := func(a, b PodState) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Ref.Namespace, b.Ref.Namespace), cmp.Compare(a.Ref.Name, b.Ref.Name))
	}
	one := func(better func(a, b PodState) int) []PodState {
		runs := slices.DeleteFunc(slices.Clone(pods), PodState.Ended)
		if len(runs) == 0 {
			return nil
		}
		return []PodState{slices.MinFunc(runs, better)}
	}
	is := func(fits func(PodState) bool) []PodState {
		return slices.DeleteFunc(pods, func(p PodState) bool { return !fits(p) })
	}
	status := func(words ...string) func(PodState) bool {
		return func(p PodState) bool {
			return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(p.Status), w) })
		}
	}
	switch which {
	case "", "all":
		return pods, nil
	case "oldest":
		return one(byAge), nil
	case "newest":
		return one(func(a, b PodState) int { return byAge(b, a) }), nil
	case "any":
		return one(func(a, b PodState) int { return cmp.Or(yesLast(a.Ready, b.Ready), byAge(b, a)) }), nil
	case "crashing":
		return is(func(p PodState) bool {
			return p.Trouble != nil && (p.Trouble.Reason == CrashLoop || p.Trouble.Reason == OOMKilled) || status("crashloop")(p)
		}), nil
	case "evicted":
		return is(status("evicted")), nil
	case "pending":
		return is(func(p PodState) bool {
			return status("pending", "creating", "initializing", "imagepull", "init:")(p) && !status("init:crash", "init:error")(p)
		}), nil
	case "failed":
		return is(status("failed", "error", "evicted", "crashloop", "oomkilled", "deadlineexceeded")), nil
	case "completed":
		return is(status("completed", "succeeded")), nil
	case "stuck":
		return is(func(p PodState) bool { return p.Leaving || p.Trouble != nil && p.Trouble.Reason.Hard() }), nil
	case "unhealthy":
		return is(func(p PodState) bool { return !p.Ready && p.Status != "Completed" && p.Status != "Succeeded" }), nil
	}
	return nil, fault.New(fault.NotUnderstood, "I do not know which pods are %s.", which)
}

func yesLast(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
