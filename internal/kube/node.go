package kube

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// NodeState is a node as it was last seen, with what runs on it.
type NodeState struct {
	Ref           Ref
	Ready         bool
	Unschedulable bool // cordoned
	Others        int  // nodes besides it that are ready and take pods
	Pods          OnNode
}

// OnNode is the pods of a node by what a drain does with them.
type OnNode struct {
	Evict    []PodRef // something makes them anew elsewhere
	Bare     []PodRef // nothing does: they go only if somebody says so
	Leaving  []PodRef // they are being deleted already
	Daemon   int      // of DaemonSets, which would put them back at once: they stay
	Mirror   int      // of the kubelet's own files: they stay
	Finished int      // ended, and of nothing that makes them anew: nothing runs in them
	// Data are those of Evict and Bare that keep something in an emptyDir, which
	// goes with them.
	Data []PodRef
}

// Running is how many pods run on the node, whatever a drain does with them.
func (o OnNode) Running() int {
	return len(o.Evict) + len(o.Bare) + len(o.Leaving) + o.Daemon + o.Mirror
}

// SortPods tells what a drain does with each pod of a node. The rules are those
// of kubectl drain, but for pods that have ended and belong to nothing: they
// stay, because their logs may be all that is left of what they did.
func SortPods(pods []corev1.Pod) OnNode {
	var out OnNode
	for i := range pods {
		p := &pods[i]
		ref := PodRef{Namespace: p.Namespace, Name: p.Name, UID: string(p.UID)}
		_, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]
		own := metav1.GetControllerOf(p)
		ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		switch {
		case mirror:
			out.Mirror++
			continue
		case own != nil && own.Kind == DaemonSet:
			out.Daemon++
			continue
		case p.DeletionTimestamp != nil:
			out.Leaving = append(out.Leaving, ref)
			continue
		case own == nil && ended:
			out.Finished++
			continue
		case own == nil:
			out.Bare = append(out.Bare, ref)
		default:
			out.Evict = append(out.Evict, ref)
		}
		if !ended && slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.EmptyDir != nil }) {
			out.Data = append(out.Data, ref)
		}
	}
	return out
}

// podsOn asks for all pods of a node.
func podsOn(ctx context.Context, c kubernetes.Interface, node string) ([]corev1.Pod, error) {
	l, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()})
	if err != nil {
		return nil, err
	}
	return l.Items, nil
}

// Node returns a node with what runs on it. The pods are asked for anew.
func (r *Reader) Node(ctx context.Context, ref Ref) (NodeState, error) {
	if r.nodes == nil {
		return NodeState{}, fault.New(fault.Forbidden, "I may not look at the nodes of %s. The credentials need get, list and watch on nodes and pods of the whole cluster.", r.cluster.Name)
	}
	out := NodeState{Ref: Ref{Cluster: r.cluster.Name, Kind: Node, Name: ref.Name}}
	found := false
	for _, o := range r.nodes.GetStore().List() {
		n, ok := o.(*corev1.Node)
		switch {
		case !ok:
		case n.Name == ref.Name:
			found, out.Ready, out.Unschedulable = true, nodeReady(n), n.Spec.Unschedulable
		case nodeReady(n) && !n.Spec.Unschedulable:
			out.Others++
		}
	}
	if !found {
		return NodeState{}, fault.New(fault.NotFound, "There is no node %s in %s.", ref.Name, r.cluster.Name)
	}
	pods, err := podsOn(ctx, r.client, ref.Name)
	if err != nil {
		return NodeState{}, r.cluster.sentence(err, "look at the pods on "+ref.Name)
	}
	out.Pods = SortPods(pods)
	return out, nil
}

func nodeReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// Node returns a node of a cluster with what runs on it.
func (f *Fleet) Node(ctx context.Context, ref Ref) (NodeState, error) {
	r, err := f.reader(ctx, ref.Cluster)
	if err != nil {
		return NodeState{}, err
	}
	return r.Node(ctx, ref)
}
