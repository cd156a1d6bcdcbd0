package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	"github.com/firstmate-ops/firstmate/sandbox/internal/kube"
)

// Field managers: the tools with which people change things.
const (
	edited  = "kubectl-edit"
	applied = "kubectl-client-side-apply"
)

const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	causeAnnotation    = "kubernetes.io/change-cause"
	// mendLimit is how long it may take until a workload is as it was.
	mendLimit = 90 * time.Second
)

// hands do things to the cluster: those of a person of the shop's operators, and
// those of an administrator.
type hands struct{ person, admin kubernetes.Interface }

func newHands(rc *rest.Config) (*hands, error) {
	admin, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return nil, err
	}
	as := rest.CopyConfig(rc)
	as.Impersonate = rest.ImpersonationConfig{UserName: "anna", Groups: []string{"shop-operators", "system:authenticated"}}
	as.UserAgent = "kubectl"
	person, err := kubernetes.NewForConfig(as)
	return &hands{person, admin}, err
}

func (h *hands) wait(ctx context.Context, what string, ok func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, mendLimit)
	defer cancel()
	return kube.WaitFor(ctx, what, 100*time.Millisecond, ok)
}

// gone takes what is not there for removed.
func gone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// made is an object that should not be there.
type made struct {
	hands          *hands
	asked, symptom string
	make, remove   func(context.Context, *hands) error
}

// Asked tells what somebody would ask.
func (m *made) Asked() Asked { return Asked{m.asked, m.symptom} }

func (m *made) On(ctx context.Context) error  { return m.make(ctx, m.hands) }
func (m *made) Off(ctx context.Context) error { return m.remove(ctx, m.hands) }

// after is one thing, and another that suffers from it.
type after struct {
	first *made
	then  *rollOut
}

// Asked tells what somebody would ask.
func (a *after) Asked() Asked { return a.then.Asked() }

func (a *after) On(ctx context.Context) error {
	if err := a.first.On(ctx); err != nil {
		return err
	}
	return a.then.On(ctx)
}

// Off takes away the cause first: the way back may need what it denies.
func (a *after) Off(ctx context.Context) error {
	return errors.Join(a.first.Off(ctx), a.then.Off(ctx))
}

// edit is a Service that was changed by hand.
type edit struct {
	hands            *hands
	service, symptom string
	change           func(*corev1.ServiceSpec)
	before           *corev1.ServiceSpec
}

// Asked tells what somebody would ask.
func (e *edit) Asked() Asked { return Asked{e.service, e.symptom} }

func (e *edit) On(ctx context.Context) error {
	return e.update(ctx, func(s *corev1.ServiceSpec) {
		e.before = s.DeepCopy()
		e.change(s)
	})
}

func (e *edit) Off(ctx context.Context) error {
	if e.before == nil {
		return nil
	}
	if err := e.update(ctx, func(s *corev1.ServiceSpec) { s.Selector, s.Ports = e.before.Selector, e.before.Ports }); err != nil {
		return err
	}
	e.before = nil
	return nil
}

func (e *edit) update(ctx context.Context, change func(*corev1.ServiceSpec)) error {
	services := e.hands.person.CoreV1().Services(namespace)
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		s, err := services.Get(ctx, e.service, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(&s.Spec)
		_, err = services.Update(ctx, s, metav1.UpdateOptions{FieldManager: edited})
		return err
	})
}

// rollOut is a new version of a Deployment's pods that does not come up.
type rollOut struct {
	hands             *hands
	workload, symptom string
	// about are names of other objects that events tell of.
	about []string
	// change makes the new version and says why it is made.
	change func(*corev1.PodTemplateSpec) (cause string)

	before *appsv1.Deployment
	sets   map[string]map[string]string // the ReplicaSets there were, with their annotations
	events map[string]bool              // the events there were
}

// Asked tells what somebody would ask.
func (r *rollOut) Asked() Asked { return Asked{r.workload, r.symptom} }

func (r *rollOut) On(ctx context.Context) error {
	sets, err := r.replicaSets(ctx)
	if err != nil {
		return err
	}
	events, err := r.hands.admin.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	r.sets, r.events = map[string]map[string]string{}, map[string]bool{}
	for _, s := range sets {
		r.sets[s.Name] = s.Annotations
	}
	for _, e := range events.Items {
		r.events[e.Name] = true
	}
	return r.update(ctx, func(d *appsv1.Deployment) {
		r.before = d.DeepCopy()
		d.Annotations[causeAnnotation] = r.change(&d.Spec.Template)
	})
}

// Off brings back the version before, and then takes away every trace of the one
// that failed: the next fault must not be blamed on it.
func (r *rollOut) Off(ctx context.Context) error {
	if r.before == nil {
		return nil
	}
	err := r.update(ctx, func(d *appsv1.Deployment) {
		d.Spec.Template, d.Spec.Strategy = r.before.Spec.Template, r.before.Spec.Strategy
		d.Annotations[causeAnnotation] = r.before.Annotations[causeAnnotation]
	})
	if err != nil {
		return err
	}
	deployments := r.hands.admin.AppsV1().Deployments(namespace)
	if err := r.hands.wait(ctx, r.workload+" is as it was", func(ctx context.Context) bool {
		d, err := deployments.Get(ctx, r.workload, metav1.GetOptions{})
		if err != nil {
			return false
		}
		s, want := d.Status, *d.Spec.Replicas
		return s.ObservedGeneration >= d.Generation && s.Replicas == want && s.UpdatedReplicas == want && s.AvailableReplicas == want
	}); err != nil {
		return err
	}
	if err := r.forget(ctx); err != nil {
		return err
	}
	if err := r.hands.wait(ctx, r.workload+" has its revision again", func(ctx context.Context) bool {
		d, err := deployments.Get(ctx, r.workload, metav1.GetOptions{})
		return err == nil && d.Annotations[revisionAnnotation] == r.before.Annotations[revisionAnnotation]
	}); err != nil {
		return err
	}
	r.before = nil
	return nil
}

// forget removes the ReplicaSets that were not there before, gives the others
// their revisions back, and removes the events of what happened meanwhile.
func (r *rollOut) forget(ctx context.Context) error {
	sets, err := r.replicaSets(ctx)
	if err != nil {
		return err
	}
	about := append(slices.Clone(r.about), r.workload)
	api := r.hands.admin.AppsV1().ReplicaSets(namespace)
	for _, s := range sets {
		if _, ok := r.sets[s.Name]; !ok {
			about = append(about, s.Name)
			if err := gone(api.Delete(ctx, s.Name, metav1.DeleteOptions{})); err != nil {
				return err
			}
		}
	}
	for name, annotations := range r.sets {
		err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			s, err := api.Get(ctx, name, metav1.GetOptions{})
			if err != nil || maps.Equal(s.Annotations, annotations) {
				return gone(err)
			}
			s.Annotations = maps.Clone(annotations)
			_, err = api.Update(ctx, s, metav1.UpdateOptions{})
			return err
		})
		if err != nil {
			return fmt.Errorf("giving %s its revision back: %w", name, err)
		}
	}
	events, err := r.hands.admin.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, e := range events.Items {
		tells := slices.ContainsFunc(about, func(name string) bool {
			return e.InvolvedObject.Name == name || name != r.workload && strings.HasPrefix(e.InvolvedObject.Name, name+"-")
		})
		if tells && !r.events[e.Name] {
			if err := gone(r.hands.admin.CoreV1().Events(namespace).Delete(ctx, e.Name, metav1.DeleteOptions{})); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rollOut) replicaSets(ctx context.Context) ([]appsv1.ReplicaSet, error) {
	d, err := r.hands.admin.AppsV1().Deployments(namespace).Get(ctx, r.workload, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	list, err := r.hands.admin.AppsV1().ReplicaSets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(s appsv1.ReplicaSet) bool { return !metav1.IsControlledBy(&s, d) }), nil
}

func (r *rollOut) update(ctx context.Context, change func(*appsv1.Deployment)) error {
	deployments := r.hands.person.AppsV1().Deployments(namespace)
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		d, err := deployments.Get(ctx, r.workload, metav1.GetOptions{})
		if err != nil {
			return err
		}
		old := d.DeepCopy()
		if d.Annotations == nil {
			d.Annotations = map[string]string{}
		}
		change(d)
		if equality.Semantic.DeepEqual(old, d) {
			return nil // somebody has mended it
		}
		_, err = deployments.Update(ctx, d, metav1.UpdateOptions{FieldManager: edited})
		return err
	})
}
