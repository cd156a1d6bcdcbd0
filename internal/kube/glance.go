package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Glance looks at what is next to a workload, as far as it takes no time: of a
// Survey, the pods that were restarted, the Services, the autoscaler and the
// nodes. All of it is watched, where that is allowed. More is asked only where a
// Service looks wrong, or where there is no watch.
func (r *Reader) Glance(ctx context.Context, w Workload) (Survey, error) {
	s := &surveyed{r: r, w: w, out: Survey{Workload: w, At: time.Now()}}
	var ok bool
	if s.template, ok = r.seenTemplate(w.Ref); !ok {
		return s.out, fault.New(fault.NotFound, "%s %s is not in %s any more.", w.Ref.Kind, w.Ref.Name, w.Ref.Namespace)
	}
	s.parallel(ctx, s.seenPods, s.seenServices, s.seenScaler)
	s.nodes()
	var near []ServiceState
	wrong := false
	for _, svc := range s.services {
		if state, ok := serviceState(w, s.template, nil, svc); ok {
			near = append(near, state)
			wrong = wrong || state.Wrong != ""
		}
	}
	s.pods = slices.DeleteFunc(s.pods, func(p corev1.Pod) bool {
		return !slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), func(c corev1.ContainerStatus) bool { return c.RestartCount > 0 })
	})
	s.details()
	if wrong { // unless pods of another version have the labels, or somebody else's are behind it
		s.listPods(ctx)
		s.exposure(ctx)
	} else {
		s.out.Services = near
	}
	return s.out, nil
}

// Glance looks at what is next to a workload, as far as it takes no time.
func (f *Fleet) Glance(ctx context.Context, w Workload) (Survey, error) {
	r, err := f.reader(ctx, w.Ref.Cluster)
	if err != nil {
		return Survey{Workload: w}, err
	}
	return r.Glance(ctx, w)
}

// seenTemplate is the pod template of a workload as far as it is kept.
func (r *Reader) seenTemplate(ref Ref) (corev1.PodTemplateSpec, bool) {
	inf := r.watchOf(ref.Kind)
	if inf == nil {
		return corev1.PodTemplateSpec{}, false
	}
	o, _, _ := inf.GetStore().GetByKey(ref.Namespace + "/" + ref.Name) // a cache cannot fail
	switch d := o.(type) {
	case *appsv1.Deployment:
		return d.Spec.Template, true
	case *appsv1.StatefulSet:
		return d.Spec.Template, true
	case *appsv1.DaemonSet:
		return d.Spec.Template, true
	}
	return corev1.PodTemplateSpec{}, false
}

// seenPods takes the pods from the watch, with what their status says of their
// containers.
func (s *surveyed) seenPods(ctx context.Context) {
	pods, err := s.r.podsOf(ctx, s.w)
	if s.lacks(err, "its pods") {
		return
	}
	for _, p := range pods {
		seen := *p
		if s.r.pods != nil {
			seen.Spec.InitContainers, seen.Spec.Containers = containersIn(p.Status.InitContainerStatuses), containersIn(p.Status.ContainerStatuses)
		}
		s.pods = append(s.pods, seen)
	}
}

func containersIn(all []corev1.ContainerStatus) []corev1.Container {
	out := make([]corev1.Container, len(all))
	for i, c := range all {
		out[i] = corev1.Container{Name: c.Name, Image: c.Image}
	}
	return out
}

// seenServices takes the Services from the watch, or asks for them.
func (s *surveyed) seenServices(ctx context.Context) {
	if !s.r.services.sees() {
		s.listServices(ctx)
		return
	}
	for _, svc := range inNamespace[corev1.Service](s.r.services, s.w.Ref.Namespace) {
		s.services = append(s.services, *svc)
	}
	slices.SortFunc(s.services, func(a, b corev1.Service) int { return cmp.Compare(a.Name, b.Name) })
}

// seenScaler takes the autoscaler from the watch, or asks for it.
func (s *surveyed) seenScaler(ctx context.Context) {
	if !s.r.scalers.sees() {
		s.scaler(ctx)
		return
	}
	for _, h := range inNamespace[autoscalingv2.HorizontalPodAutoscaler](s.r.scalers, s.w.Ref.Namespace) {
		if s.scales(h) {
			return
		}
	}
}

// extra is a watch of what is good to know at once, and asked for where it cannot
// be watched: one that is refused keeps nobody from starting.
type extra struct {
	inf   cache.SharedIndexInformer
	blind atomic.Bool // it was allowed, and is no more
}

// sees reports whether the watch can be relied on.
func (e *extra) sees() bool { return e != nil && e.inf.HasSynced() && !e.blind.Load() }

func newExtra(inf cache.SharedIndexInformer) (*extra, error) {
	e := &extra{inf: inf}
	err := inf.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		if apierrors.IsForbidden(err) {
			e.blind.Store(true)
			return
		}
		cache.DefaultWatchErrorHandler(ctx, r, err)
	})
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	return e, nil
}

// watchExtras begins to watch Services and autoscalers where that is allowed. Nobody
// waits for them to be seen. Endpoints are not among them: in a big cluster they
// are most of what changes.
func (r *Reader) watchExtras(ctx context.Context) error {
	f := informers.NewSharedInformerFactoryWithOptions(r.client, 0, informers.WithNamespace(r.scope), informers.WithTransform(slim))
	var err error
	if _, no := r.client.CoreV1().Services(r.scope).List(ctx, metav1.ListOptions{Limit: 1}); no == nil {
		if r.services, err = newExtra(f.Core().V1().Services().Informer()); err != nil {
			return err
		}
	}
	if _, no := r.client.AutoscalingV2().HorizontalPodAutoscalers(r.scope).List(ctx, metav1.ListOptions{Limit: 1}); no == nil {
		if r.scalers, err = newExtra(f.Autoscaling().V2().HorizontalPodAutoscalers().Informer()); err != nil {
			return err
		}
	}
	f.StartWithContext(ctx)
	return nil
}

// inNamespace are the objects of a namespace that a watch holds, in no order.
func inNamespace[T any](e *extra, namespace string) []*T {
	objs, _ := e.inf.GetIndexer().ByIndex(cache.NamespaceIndex, namespace) // the index exists
	out := make([]*T, 0, len(objs))
	for _, o := range objs {
		if t, ok := o.(*T); ok {
			out = append(out, t)
		}
	}
	return out
}
