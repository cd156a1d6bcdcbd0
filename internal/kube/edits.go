package kube

import (
	"context"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Edit is a change of an object that the cluster itself remembers. Whose it was
// it does not know: only by what program, or what was written beside it.
type Edit struct {
	At    time.Time
	By    string // the program: "kubectl-edit", "argocd-controller"; "" where that is not known
	Cause string // the change-cause that came with it
	// Revision is that of the roll-out which it began, 0 for none.
	Revision int64
}

// Edits returns what the cluster remembers of who changed a workload, newest
// first, apart from what was done through firstmate and what controllers do by
// themselves: the last change by each program, and of a Deployment its roll-outs.
func (r *Reader) Edits(ctx context.Context, w Workload) ([]Edit, error) {
	var meta metav1.ObjectMeta
	var err error
	a, opt := r.client.AppsV1(), metav1.GetOptions{}
	switch w.Ref.Kind {
	case Deployment:
		d, e := a.Deployments(w.Ref.Namespace).Get(ctx, w.Ref.Name, opt)
		meta, err = d.ObjectMeta, e
	case StatefulSet:
		d, e := a.StatefulSets(w.Ref.Namespace).Get(ctx, w.Ref.Name, opt)
		meta, err = d.ObjectMeta, e
	case DaemonSet:
		d, e := a.DaemonSets(w.Ref.Namespace).Get(ctx, w.Ref.Name, opt)
		meta, err = d.ObjectMeta, e
	default:
		return nil, nil
	}
	if err != nil {
		return nil, r.cluster.sentence(err, "look at the history of "+w.Ref.Name)
	}
	out := managers(meta.ManagedFields)
	if w.Ref.Kind == Deployment {
		err = r.ownedReplicaSets(ctx, w, func(rs *appsv1.ReplicaSet, n int64) {
			if cause := clip(rs.Annotations[changeCause]); !strings.HasPrefix(cause, causePrefix) {
				out = append(out, Edit{At: rs.CreationTimestamp.Time, Cause: cause, Revision: n})
			}
		})
	}
	slices.SortStableFunc(out, func(a, b Edit) int { return b.At.Compare(a.At) })
	return out, err
}

// causePrefix begins the change-cause of what was done through firstmate.
const causePrefix = "firstmate, "

// managers are the programs that changed an object, as its managedFields say.
func managers(fields []metav1.ManagedFieldsEntry) []Edit {
	var out []Edit
	for _, f := range fields {
		own := f.Manager == fieldManager || f.Manager == "kube-controller-manager" || f.Manager == "kubelet"
		if own || f.Subresource == "status" || f.Time == nil {
			continue
		}
		out = append(out, Edit{At: f.Time.Time, By: clip(f.Manager)})
	}
	return out
}

// Edits returns what a workload's cluster remembers of who changed it.
func (f *Fleet) Edits(ctx context.Context, w Workload) ([]Edit, error) {
	r, err := f.reader(ctx, w.Ref.Cluster)
	if err != nil {
		return nil, err
	}
	return r.Edits(ctx, w)
}
