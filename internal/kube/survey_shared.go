package kube

import (
	"context"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sharedLife is how long what is asked for of a whole namespace is shared among
// the surveys of its workloads: those of one question, which come together.
const sharedLife = 250 * time.Millisecond

// shares keeps the answers to questions about whole namespaces for a moment.
type shares struct {
	mu  sync.Mutex
	all map[string]*sharing
}

type sharing struct {
	done chan struct{} // closed once there is an answer
	val  any
	err  error
}

// shared asks something once for all who ask it at the same moment. Who asks
// while another does so waits for that answer; where that failed, for whatever
// reason of the other's, it asks by itself.
func shared[T any](ctx context.Context, s *shares, key string, ask func(context.Context) (T, error)) (T, error) {
	s.mu.Lock()
	if s.all == nil {
		s.all = map[string]*sharing{}
	}
	if e := s.all[key]; e != nil {
		s.mu.Unlock()
		select {
		case <-e.done:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
		if v, ok := e.val.(T); ok && e.err == nil {
			return v, nil
		}
		return ask(ctx)
	}
	e := &sharing{done: make(chan struct{})}
	s.all[key] = e
	s.mu.Unlock()
	v, err := ask(ctx)
	e.val, e.err = v, err
	close(e.done)
	forget := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.all[key] == e {
			delete(s.all, key)
		}
	}
	if err != nil {
		forget()
	} else {
		time.AfterFunc(sharedLife, forget)
	}
	return v, err
}

// cached says that the API server's own cache will do for an answer: for what
// there may be much of. Services, policies and quotas are few, and are read as
// they are, also right after somebody changed them.
func cached() metav1.ListOptions { return metav1.ListOptions{ResourceVersion: "0"} }

func (r *Reader) sharedDeployments(ctx context.Context, ns string) ([]appsv1.Deployment, error) {
	return shared(ctx, &r.shares, "deployments/"+ns, func(ctx context.Context) ([]appsv1.Deployment, error) {
		l, err := r.client.AppsV1().Deployments(ns).List(ctx, cached())
		return itemsOf(l, err, func(l *appsv1.DeploymentList) []appsv1.Deployment { return l.Items }), err
	})
}

func (r *Reader) sharedStatefulSets(ctx context.Context, ns string) ([]appsv1.StatefulSet, error) {
	return shared(ctx, &r.shares, "statefulsets/"+ns, func(ctx context.Context) ([]appsv1.StatefulSet, error) {
		l, err := r.client.AppsV1().StatefulSets(ns).List(ctx, cached())
		return itemsOf(l, err, func(l *appsv1.StatefulSetList) []appsv1.StatefulSet { return l.Items }), err
	})
}

func (r *Reader) sharedServices(ctx context.Context, ns string) ([]corev1.Service, error) {
	return shared(ctx, &r.shares, "services/"+ns, func(ctx context.Context) ([]corev1.Service, error) {
		l, err := r.client.CoreV1().Services(ns).List(ctx, metav1.ListOptions{})
		return itemsOf(l, err, func(l *corev1.ServiceList) []corev1.Service { return l.Items }), err
	})
}

func (r *Reader) sharedSlices(ctx context.Context, ns string) ([]discoveryv1.EndpointSlice, error) {
	return shared(ctx, &r.shares, "endpointslices/"+ns, func(ctx context.Context) ([]discoveryv1.EndpointSlice, error) {
		l, err := r.client.DiscoveryV1().EndpointSlices(ns).List(ctx, metav1.ListOptions{})
		return itemsOf(l, err, func(l *discoveryv1.EndpointSliceList) []discoveryv1.EndpointSlice { return l.Items }), err
	})
}

func (r *Reader) sharedPolicies(ctx context.Context, ns string) ([]networkingv1.NetworkPolicy, error) {
	return shared(ctx, &r.shares, "networkpolicies/"+ns, func(ctx context.Context) ([]networkingv1.NetworkPolicy, error) {
		l, err := r.client.NetworkingV1().NetworkPolicies(ns).List(ctx, metav1.ListOptions{})
		return itemsOf(l, err, func(l *networkingv1.NetworkPolicyList) []networkingv1.NetworkPolicy { return l.Items }), err
	})
}

func (r *Reader) sharedQuotas(ctx context.Context, ns string) ([]corev1.ResourceQuota, error) {
	return shared(ctx, &r.shares, "resourcequotas/"+ns, func(ctx context.Context) ([]corev1.ResourceQuota, error) {
		l, err := r.client.CoreV1().ResourceQuotas(ns).List(ctx, metav1.ListOptions{})
		return itemsOf(l, err, func(l *corev1.ResourceQuotaList) []corev1.ResourceQuota { return l.Items }), err
	})
}

func (r *Reader) sharedScalers(ctx context.Context, ns string) ([]autoscalingv2.HorizontalPodAutoscaler, error) {
	return shared(ctx, &r.shares, "horizontalpodautoscalers/"+ns, func(ctx context.Context) ([]autoscalingv2.HorizontalPodAutoscaler, error) {
		l, err := r.client.AutoscalingV2().HorizontalPodAutoscalers(ns).List(ctx, cached())
		return itemsOf(l, err, func(l *autoscalingv2.HorizontalPodAutoscalerList) []autoscalingv2.HorizontalPodAutoscaler {
			return l.Items
		}), err
	})
}

func (r *Reader) sharedEvents(ctx context.Context, ns, sel string) ([]corev1.Event, error) {
	return shared(ctx, &r.shares, "events/"+ns+"/"+sel, func(ctx context.Context) ([]corev1.Event, error) {
		l, err := r.client.CoreV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: sel, Limit: surveyEvents})
		return itemsOf(l, err, func(l *corev1.EventList) []corev1.Event { return l.Items }), err
	})
}

func itemsOf[L, T any](l L, err error, items func(L) []T) []T {
	if err != nil {
		return nil
	}
	return items(l)
}
