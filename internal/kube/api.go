package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// The kinds besides workloads that changes are about.
const (
	CronJob = "CronJob"
	Job     = "Job"
	Node    = "Node"
	Pod     = "Pod"
	Service = "Service"
	HPA     = "HorizontalPodAutoscaler"
)

// reach says how objects of a kind are reached.
type reach struct {
	path   string // in the plural, as the API writes it
	client rest.Interface
	empty  runtime.Object
}

func reached(c kubernetes.Interface, kind string) (reach, error) {
	switch kind {
	case Deployment:
		return reach{"deployments", c.AppsV1().RESTClient(), &appsv1.Deployment{}}, nil
	case StatefulSet:
		return reach{"statefulsets", c.AppsV1().RESTClient(), &appsv1.StatefulSet{}}, nil
	case DaemonSet:
		return reach{"daemonsets", c.AppsV1().RESTClient(), &appsv1.DaemonSet{}}, nil
	case Node:
		return reach{"nodes", c.CoreV1().RESTClient(), &corev1.Node{}}, nil
	case Pod:
		return reach{"pods", c.CoreV1().RESTClient(), &corev1.Pod{}}, nil
	case Service:
		return reach{"services", c.CoreV1().RESTClient(), &corev1.Service{}}, nil
	case Job:
		return reach{"jobs", c.BatchV1().RESTClient(), &batchv1.Job{}}, nil
	case CronJob:
		return reach{"cronjobs", c.BatchV1().RESTClient(), &batchv1.CronJob{}}, nil
	case HPA:
		return reach{"horizontalpodautoscalers", c.AutoscalingV2().RESTClient(), &autoscalingv2.HorizontalPodAutoscaler{}}, nil
	}
	return reach{}, fault.New(fault.NotUnderstood, "I cannot change a %s.", kind)
}

// api is the API server as somebody sees it: every call of a verb goes through
// it, in the name of the one who asked.
type api struct {
	cluster *Cluster
	client  kubernetes.Interface
}

// object is an object as the API server answered, whatever its kind. The zero
// value stands for one that is not there.
type object struct {
	meta     *metav1.ObjectMeta
	template *corev1.PodTemplateSpec // nil where it is no workload
	replicas *int32                  // nil for a DaemonSet, and what is no workload
	whole    any
}

func objectOf(o any) object {
	switch d := o.(type) {
	case *appsv1.Deployment:
		return object{&d.ObjectMeta, &d.Spec.Template, d.Spec.Replicas, d}
	case *appsv1.StatefulSet:
		return object{&d.ObjectMeta, &d.Spec.Template, d.Spec.Replicas, d}
	case *appsv1.DaemonSet:
		return object{&d.ObjectMeta, &d.Spec.Template, nil, d}
	case *corev1.Node:
		return object{meta: &d.ObjectMeta, whole: d}
	case *corev1.Pod:
		return object{meta: &d.ObjectMeta, whole: d}
	case *corev1.Service:
		return object{meta: &d.ObjectMeta, whole: d}
	case *batchv1.Job:
		return object{meta: &d.ObjectMeta, whole: d}
	case *batchv1.CronJob:
		return object{meta: &d.ObjectMeta, whole: d}
	case *autoscalingv2.HorizontalPodAutoscaler:
		return object{meta: &d.ObjectMeta, whole: d}
	}
	return object{}
}

func dryRunOf(on bool) []string {
	if on {
		return []string{metav1.DryRunAll}
	}
	return nil
}

func (a api) get(ctx context.Context, ref Ref) (object, error) {
	r, err := reached(a.client, ref.Kind)
	if err != nil {
		return object{}, err
	}
	err = r.client.Get().NamespaceIfScoped(ref.Namespace, ref.Namespace != "").Resource(r.path).Name(ref.Name).Do(ctx).Into(r.empty)
	return objectOf(r.empty), err
}

func (a api) patch(ctx context.Context, ref Ref, patch []byte, dryRun bool) (object, error) {
	r, err := reached(a.client, ref.Kind)
	if err != nil {
		return object{}, err
	}
	opt := &metav1.PatchOptions{FieldManager: fieldManager, DryRun: dryRunOf(dryRun)}
	err = r.client.Patch(types.StrategicMergePatchType).NamespaceIfScoped(ref.Namespace, ref.Namespace != "").Resource(r.path).Name(ref.Name).
		VersionedParams(opt, scheme.ParameterCodec).Body(patch).Do(ctx).Into(r.empty)
	return objectOf(r.empty), err
}

// create makes an object, with the mark of an action in it; of a dry-run that is
// "".
func (a api) create(ctx context.Context, ref Ref, raw []byte, mark string) (object, error) {
	return a.send(ctx, ref, raw, mark, "")
}

// replace puts an object in the place of the one with that resourceVersion.
func (a api) replace(ctx context.Context, ref Ref, raw []byte, mark, resourceVersion string) (object, error) {
	return a.send(ctx, ref, raw, mark, resourceVersion)
}

func (a api) send(ctx context.Context, ref Ref, raw []byte, mark, resourceVersion string) (object, error) {
	r, err := reached(a.client, ref.Kind)
	if err != nil {
		return object{}, err
	}
	if err := json.Unmarshal(raw, r.empty); err != nil {
		return object{}, fmt.Errorf("kube: %s %s: %w", ref.Kind, ref.Name, err)
	}
	o := objectOf(r.empty)
	o.meta.ResourceVersion = resourceVersion
	if mark != "" {
		metav1.SetMetaDataAnnotation(o.meta, lastAction, mark)
	}
	var req *rest.Request
	if resourceVersion == "" {
		req = r.client.Post().VersionedParams(&metav1.CreateOptions{FieldManager: fieldManager, DryRun: dryRunOf(mark == "")}, scheme.ParameterCodec)
	} else {
		req = r.client.Put().Name(ref.Name).VersionedParams(&metav1.UpdateOptions{FieldManager: fieldManager, DryRun: dryRunOf(mark == "")}, scheme.ParameterCodec)
	}
	err = req.NamespaceIfScoped(ref.Namespace, ref.Namespace != "").Resource(r.path).Body(r.empty).Do(ctx).Into(r.empty)
	return objectOf(r.empty), err
}

// delete deletes this very object and no other of the same name, and in the
// background what it owns.
func (a api) delete(ctx context.Context, ref Ref, uid string, dryRun bool) error {
	r, err := reached(a.client, ref.Kind)
	if err != nil {
		return err
	}
	id, behind := types.UID(uid), metav1.DeletePropagationBackground
	opt := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &id}, PropagationPolicy: &behind, DryRun: dryRunOf(dryRun)}
	return r.client.Delete().NamespaceIfScoped(ref.Namespace, ref.Namespace != "").Resource(r.path).Name(ref.Name).Body(opt).Do(ctx).Error()
}

// diff compares two states of an object as YAML, without what the server
// manages and without firstmate's own marks. An object that is not there has no
// lines.
func diff(ref Ref, before, after object) (string, error) {
	a, err := shown(before)
	if err != nil {
		return "", err
	}
	b, err := shown(after)
	if err != nil {
		return "", err
	}
	name := strings.ToLower(ref.Kind) + "/" + ref.Name
	return udiff.Unified(name+" now", name+" then", a, b), nil
}

func shown(o object) (string, error) {
	m, err := bare(o, lastAction, changeCause, corev1.LastAppliedConfigAnnotation, appsv1.DeprecatedTemplateGeneration)
	if err != nil || m == nil {
		return "", err
	}
	y, err := yaml.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("kube: %w", err)
	}
	return string(y), nil
}

// bare is an object without what the server manages and without some annotations;
// nil for one that is not there.
func bare(o object, but ...string) (map[string]any, error) {
	if o.whole == nil {
		return nil, nil
	}
	raw, err := json.Marshal(o.whole)
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	delete(m, "status")
	if meta, ok := m["metadata"].(map[string]any); ok {
		for _, k := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"} {
			delete(meta, k)
		}
		if an, ok := meta["annotations"].(map[string]any); ok {
			for _, k := range but {
				delete(an, k)
			}
			if len(an) == 0 {
				delete(meta, "annotations")
			}
		}
	}
	return m, nil
}
