package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Revision is one of a workload's versions that the cluster remembers.
type Revision struct {
	Number     int64
	Containers []Container
	Template   json.RawMessage // the pod template, as it would be put back
	Current    bool
}

// Version is how the revision is said; see Workload.Version.
func (v Revision) Version(w Workload) string {
	w.Containers = v.Containers
	return w.Version()
}

// History returns the revisions that the cluster remembers, newest first: the
// ReplicaSets of a Deployment, the ControllerRevisions of the others.
func (r *Reader) History(ctx context.Context, w Workload) ([]Revision, error) {
	live, err := r.liveTemplate(ctx, w)
	if err != nil {
		return nil, err
	}
	var out []Revision
	if w.Ref.Kind == Deployment {
		out, err = r.replicaSets(ctx, w, live)
	} else {
		out, err = r.controllerRevisions(ctx, w, live)
	}
	if err != nil {
		return nil, err
	}
	newest := int64(0)
	for _, rev := range out {
		newest = max(newest, rev.Number)
	}
	if !slices.ContainsFunc(out, func(rev Revision) bool { return rev.Current }) {
		// The controller has not taken up the last change yet.
		now, err := revision(newest+1, live, live)
		if err != nil {
			return nil, err
		}
		out = append(out, now)
	}
	slices.SortFunc(out, func(a, b Revision) int {
		if a.Current != b.Current { // the current one may not have its new number yet
			if a.Current {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Number, a.Number)
	})
	return out, nil
}

// liveTemplate is the pod template that is asked for now.
func (r *Reader) liveTemplate(ctx context.Context, w Workload) (corev1.PodTemplateSpec, error) {
	var o object
	var err error
	a, opt := r.client.AppsV1(), metav1.GetOptions{}
	switch w.Ref.Kind {
	case Deployment:
		d, e := a.Deployments(w.Ref.Namespace).Get(ctx, w.Ref.Name, opt)
		o, err = objectOf(d), e
	case StatefulSet:
		d, e := a.StatefulSets(w.Ref.Namespace).Get(ctx, w.Ref.Name, opt)
		o, err = objectOf(d), e
	case DaemonSet:
		d, e := a.DaemonSets(w.Ref.Namespace).Get(ctx, w.Ref.Name, opt)
		o, err = objectOf(d), e
	default:
		return corev1.PodTemplateSpec{}, fault.New(fault.NotFound, "A %s has no history.", w.Ref.Kind)
	}
	if err != nil {
		return corev1.PodTemplateSpec{}, r.cluster.sentence(err, "look at the history of "+w.Ref.Name)
	}
	return *o.template, nil
}

// ownedReplicaSets lists a Deployment's ReplicaSets with their revisions.
func (r *Reader) ownedReplicaSets(ctx context.Context, w Workload, each func(rs *appsv1.ReplicaSet, revision int64)) error {
	l, err := r.client.AppsV1().ReplicaSets(w.Ref.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(w.Selector).String()})
	if err != nil {
		return r.cluster.sentence(err, "look at the history of "+w.Ref.Name)
	}
	for i := range l.Items {
		rs := &l.Items[i]
		if o := metav1.GetControllerOf(rs); o == nil || string(o.UID) != w.UID {
			continue
		}
		n, err := strconv.ParseInt(rs.Annotations["deployment.kubernetes.io/revision"], 10, 64)
		if err != nil {
			continue // the controller has not numbered it yet
		}
		each(rs, n)
	}
	return nil
}

func (r *Reader) replicaSets(ctx context.Context, w Workload, live corev1.PodTemplateSpec) ([]Revision, error) {
	var out []Revision
	var failed error
	err := r.ownedReplicaSets(ctx, w, func(rs *appsv1.ReplicaSet, n int64) {
		t := rs.Spec.Template.DeepCopy()
		delete(t.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
		rev, err := revision(n, *t, live)
		failed = cmp.Or(failed, err)
		out = append(out, rev)
	})
	if err != nil {
		return nil, err
	}
	return out, failed
}

// revision is what the cluster remembers under a number; live tells whether it
// is the one that is asked for now.
func revision(n int64, t, live corev1.PodTemplateSpec) (Revision, error) {
	raw, err := json.Marshal(t)
	if err != nil {
		return Revision{}, fmt.Errorf("kube: revision %d: %w", n, err)
	}
	rev := Revision{Number: n, Template: raw, Current: equality.Semantic.DeepEqual(t, live)}
	for _, c := range t.Spec.Containers {
		rev.Containers = append(rev.Containers, Container{Name: c.Name, Image: c.Image})
	}
	return rev, nil
}

func (r *Reader) ownedControllerRevisions(ctx context.Context, w Workload) ([]appsv1.ControllerRevision, error) {
	l, err := r.client.AppsV1().ControllerRevisions(w.Ref.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(w.Selector).String()})
	if err != nil {
		return nil, r.cluster.sentence(err, "look at the history of "+w.Ref.Name)
	}
	return slices.DeleteFunc(l.Items, func(c appsv1.ControllerRevision) bool {
		o := metav1.GetControllerOf(&c)
		return o == nil || string(o.UID) != w.UID
	}), nil
}

func (r *Reader) controllerRevisions(ctx context.Context, w Workload, live corev1.PodTemplateSpec) ([]Revision, error) {
	l, err := r.ownedControllerRevisions(ctx, w)
	if err != nil {
		return nil, err
	}
	var out []Revision
	for _, c := range l {
		// The data is a patch {"spec":{"template":{…,"$patch":"replace"}}}.
		var patch struct {
			Spec struct {
				Template corev1.PodTemplateSpec `json:"template"`
			} `json:"spec"`
		}
		if err := json.Unmarshal(c.Data.Raw, &patch); err != nil {
			return nil, fmt.Errorf("kube: revision %s: %w", c.Name, err)
		}
		rev, err := revision(c.Revision, patch.Spec.Template, live)
		if err != nil {
			return nil, err
		}
		out = append(out, rev)
	}
	return out, nil
}

// podRevision says how pods of a revision are told from others.
type podRevision struct{ label, hash, object string }

// newestRevision returns how the pods of the version that is asked for now are
// recognised; an empty label where that cannot be told.
func (r *Reader) newestRevision(ctx context.Context, w Workload) (podRevision, error) {
	switch w.Ref.Kind {
	case Deployment:
		out := podRevision{label: appsv1.DefaultDeploymentUniqueLabelKey}
		newest := int64(-1)
		err := r.ownedReplicaSets(ctx, w, func(rs *appsv1.ReplicaSet, n int64) {
			if n > newest {
				newest, out.hash, out.object = n, rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey], rs.Name
			}
		})
		if newest < 0 {
			return podRevision{}, err
		}
		return out, err
	case StatefulSet:
		if o, ok, _ := r.statefulSets.GetStore().GetByKey(w.Ref.Namespace + "/" + w.Ref.Name); ok { // a cache cannot fail
			if s, ok := o.(*appsv1.StatefulSet); ok {
				return podRevision{label: appsv1.ControllerRevisionHashLabelKey, hash: s.Status.UpdateRevision}, nil
			}
		}
	case DaemonSet:
		l, err := r.ownedControllerRevisions(ctx, w)
		if err != nil || len(l) == 0 {
			return podRevision{}, err
		}
		newest := slices.MaxFunc(l, func(a, b appsv1.ControllerRevision) int { return cmp.Compare(a.Revision, b.Revision) })
		return podRevision{label: appsv1.ControllerRevisionHashLabelKey, hash: newest.Labels[appsv1.ControllerRevisionHashLabelKey]}, nil
	}
	return podRevision{}, nil
}

// Previous picks the revision to go back to: steps before the current one.
func Previous(history []Revision, steps int, name string) (Revision, error) {
	if steps < 1 {
		return Revision{}, fault.New(fault.NotUnderstood, "I can only go back by one step or more.")
	}
	if steps >= len(history) {
		switch len(history) {
		case 0, 1:
			return Revision{}, fault.New(fault.NotFound, "The cluster remembers no earlier version of %s, so there is nothing to roll back to.", name)
		case 2:
			return Revision{}, fault.New(fault.NotFound, "The cluster remembers only 1 earlier version of %s.", name)
		}
		return Revision{}, fault.New(fault.NotFound, "The cluster remembers only %d earlier versions of %s.", len(history)-1, name)
	}
	return history[steps], nil
}
