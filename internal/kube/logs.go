package kube

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// defaultContainer is the annotation that says which container of a pod is
// meant where none is named.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// LogStream is what one container of a pod writes.
type LogStream struct {
	Pod       Ref
	UID       string // of the pod
	Container string
	Init      bool // it runs before the application, or beside it as a native sidecar
	Default   bool // the pod says that it is the one that is meant
	Running   bool
	Began     bool // it runs or has run: there is something to read
	Again     bool // it has run before this time: so there is a previous log
	Failed    bool // its last run ended badly
	Restarts  int
	Created   time.Time // of the pod
}

// LogOptions say which part of a log is wanted.
type LogOptions struct {
	Since    time.Time // to the second, which is all that the API knows; zero is from the beginning
	Tail     int64     // 0 is all
	Previous bool
	Follow   bool
}

// LogStreams are the logs of a workload's pods, of a Job's or CronJob's, or of
// one Pod, sorted by pod; the containers in the order of the pod.
func (r *Reader) LogStreams(ctx context.Context, ref Ref) ([]LogStream, error) {
	pods, err := r.podsBelow(ctx, ref)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	var out []LogStream
	for _, p := range pods {
		out = append(out, logStreams(r.cluster.Name, p)...)
	}
	return out, nil
}

// podsBelow are the pods of whatever has any.
func (r *Reader) podsBelow(ctx context.Context, ref Ref) ([]*corev1.Pod, error) {
	switch ref.Kind {
	case Deployment, StatefulSet, DaemonSet:
		w, err := r.Get(ctx, ref)
		if err != nil {
			return nil, err
		}
		return r.podsOf(ctx, w)
	case Pod:
		if r.pods != nil {
			o, ok, _ := r.pods.GetStore().GetByKey(ref.Namespace + "/" + ref.Name) // a cache cannot fail
			if p, is := o.(*corev1.Pod); ok && is {
				return []*corev1.Pod{p}, nil
			}
			return nil, nil
		}
	}
	var all []*corev1.Pod
	if r.pods != nil {
		for _, o := range r.pods.GetStore().List() {
			if p, ok := o.(*corev1.Pod); ok && p.Namespace == ref.Namespace {
				all = append(all, p)
			}
		}
	} else {
		opt := metav1.ListOptions{}
		if ref.Kind == Pod {
			opt.FieldSelector = fields.OneTermEqualSelector("metadata.name", ref.Name).String()
		}
		l, err := r.client.CoreV1().Pods(ref.Namespace).List(ctx, opt)
		if err != nil {
			return nil, r.cluster.sentence(err, "look at the pods of "+ref.Name)
		}
		for i := range l.Items {
			all = append(all, &l.Items[i])
		}
	}
	return slices.DeleteFunc(all, func(p *corev1.Pod) bool {
		kind, name := owner(p)
		switch ref.Kind {
		case Pod:
			return p.Name != ref.Name
		case "CronJob": // its Jobs are called NAME-MINUTES
			job, ok := strings.CutPrefix(name, ref.Name+"-")
			return kind != "Job" || !ok || strings.Contains(job, "-")
		}
		return kind != ref.Kind || name != ref.Name
	}), nil
}

func logStreams(cluster string, p *corev1.Pod) []LogStream {
	var out []LogStream
	add := func(statuses []corev1.ContainerStatus, init bool) {
		for _, c := range statuses {
			s := LogStream{
				Pod: Ref{Cluster: cluster, Namespace: p.Namespace, Kind: Pod, Name: p.Name}, UID: string(p.UID), Created: p.CreationTimestamp.Time,
				Container: c.Name, Init: init, Default: p.Annotations[defaultContainer] == c.Name, Restarts: int(c.RestartCount),
				Running: c.State.Running != nil, Again: c.LastTerminationState.Terminated != nil,
			}
			s.Began = s.Running || c.State.Terminated != nil || s.Again
			for _, end := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
				if end != nil {
					s.Failed = s.Failed || end.ExitCode != 0
				}
			}
			out = append(out, s)
		}
	}
	add(p.Status.InitContainerStatuses, true)
	add(p.Status.ContainerStatuses, false)
	return out
}

// OpenLog opens the log of a container, each line with the moment at which it
// was written, as the API server gives it. Who opens it closes it.
func (r *Reader) OpenLog(ctx context.Context, s LogStream, o LogOptions) (io.ReadCloser, error) {
	opt := &corev1.PodLogOptions{Container: s.Container, Timestamps: true, Follow: o.Follow, Previous: o.Previous}
	if !o.Since.IsZero() {
		t := metav1.NewTime(o.Since)
		opt.SinceTime = &t
	}
	if o.Tail > 0 {
		opt.TailLines = &o.Tail
	}
	rc, err := r.client.CoreV1().Pods(s.Pod.Namespace).GetLogs(s.Pod.Name, opt).Stream(ctx)
	switch {
	case err == nil:
		return rc, nil
	case apierrors.IsNotFound(err):
		return nil, fault.Wrap(err, fault.NotFound, "The pod %s is not there any more.", s.Pod.Name)
	case apierrors.IsBadRequest(err):
		// It has not begun, or has no previous run: there is nothing to read.
		return nil, fault.Wrap(err, fault.NotFound, "The container %s of %s has no such log.", s.Container, s.Pod.Name)
	}
	return nil, r.cluster.sentence(err, "read the log of "+s.Pod.Name)
}

// LogStreams are the logs of what a reference names, in its cluster.
func (f *Fleet) LogStreams(ctx context.Context, ref Ref) ([]LogStream, error) {
	r, err := f.reader(ctx, ref.Cluster)
	if err != nil {
		return nil, err
	}
	return r.LogStreams(ctx, ref)
}

// OpenLog opens the log of a container in the cluster of its pod.
func (f *Fleet) OpenLog(ctx context.Context, s LogStream, o LogOptions) (io.ReadCloser, error) {
	r, err := f.reader(ctx, s.Pod.Cluster)
	if err != nil {
		return nil, err
	}
	return r.OpenLog(ctx, s, o)
}

// MayReadLogs is nil: who asks a Fleet sees what the process sees.
func (f *Fleet) MayReadLogs(context.Context, Ref) error { return nil }

// MayReadLogs refuses where the person of a context may not read the logs of a
// namespace themselves, wherever these are kept.
func (v *View) MayReadLogs(ctx context.Context, ref Ref) error {
	return v.need(ctx, ref.Cluster, Right{Verb: "get", Resource: "pods/log", Namespace: ref.Namespace})
}

// LogStreams are the logs of what a reference names, for who may read them.
func (v *View) LogStreams(ctx context.Context, ref Ref) ([]LogStream, error) {
	if err := v.MayReadLogs(ctx, ref); err != nil {
		return nil, err
	}
	return v.fleet.LogStreams(ctx, ref)
}

// OpenLog opens the log of a container, for who may read it.
func (v *View) OpenLog(ctx context.Context, s LogStream, o LogOptions) (io.ReadCloser, error) {
	if err := v.MayReadLogs(ctx, s.Pod); err != nil {
		return nil, err
	}
	return v.fleet.OpenLog(ctx, s, o)
}
