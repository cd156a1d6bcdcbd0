// Package shop fills the sandbox: with the sample shop, which has a history of
// roll-outs as a cluster in use has, and with any number of idle pods.
package shop

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/firstmate-ops/firstmate/sandbox/internal/kube"
)

//go:embed manifests
var manifests embed.FS

const (
	// historyAnnotation lists, oldest first, the image tags that a Deployment's
	// first container had before. It is not applied to the cluster.
	historyAnnotation = "sandbox.firstmate.dev/history"
	// changeCause is what "kubectl rollout history" shows.
	changeCause = "kubernetes.io/change-cause"
)

// resources are the kinds that the manifests use. A list spares a round of
// discovery, and says early when a manifest has a typing mistake.
var resources = map[schema.GroupVersionKind]resource{
	{Group: "", Version: "v1", Kind: "Namespace"}:                                   {"namespaces", 0},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"}:        {"clusterroles", 1},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"}: {"clusterrolebindings", 1},
	{Group: "", Version: "v1", Kind: "ConfigMap"}:                                   {"configmaps", 1},
	{Group: "", Version: "v1", Kind: "Secret"}:                                      {"secrets", 1},
	{Group: "", Version: "v1", Kind: "Service"}:                                     {"services", 1},
	{Group: "apps", Version: "v1", Kind: "Deployment"}:                              {"deployments", 2},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"}:                             {"statefulsets", 2},
	{Group: "apps", Version: "v1", Kind: "DaemonSet"}:                               {"daemonsets", 2},
	{Group: "batch", Version: "v1", Kind: "CronJob"}:                                {"cronjobs", 2},
	{Group: "batch", Version: "v1", Kind: "Job"}:                                    {"jobs", 2},
	{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"}:                   {"poddisruptionbudgets", 2},
	{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"}:          {"horizontalpodautoscalers", 2},
}

type resource struct {
	plural string
	// stage is when it is applied: namespaces, what workloads refer to, workloads.
	stage int
}

const stages = 3

// Objects returns the sample's objects, in the order of the files.
func Objects() ([]*unstructured.Unstructured, error) {
	files, err := fs.Glob(manifests, "manifests/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	for _, file := range files {
		b, err := manifests.ReadFile(file)
		if err != nil {
			return nil, err
		}
		objects, err := decode(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, objects...)
	}
	return all, nil
}

func decode(text []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		if len(o.Object) == 0 {
			continue
		}
		if _, ok := resources[o.GroupVersionKind()]; !ok {
			return nil, fmt.Errorf("object %d: unknown kind %s", len(objects)+1, o.GroupVersionKind())
		}
		objects = append(objects, o)
	}
}

// Apply creates the sample in the cluster and waits until its workloads are
// available.
func Apply(ctx context.Context, rc *rest.Config) error {
	objects, err := Objects()
	if err != nil {
		return err
	}
	a, err := newApplier(rc)
	if err != nil {
		return err
	}
	for stage := range stages {
		var now []*unstructured.Unstructured
		for _, o := range objects {
			if resources[o.GroupVersionKind()].stage == stage {
				now = append(now, o)
			}
		}
		if err := parallel(ctx, now, a.apply); err != nil {
			return err
		}
	}
	return parallel(ctx, objects, a.waitAvailable)
}

type applier struct {
	typed   kubernetes.Interface
	dynamic dynamic.Interface
}

func newApplier(rc *rest.Config) (*applier, error) {
	typed, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(rc)
	if err != nil {
		return nil, err
	}
	return &applier{typed, dyn}, nil
}

// apply creates one object: a Deployment with its history.
func (a *applier) apply(ctx context.Context, o *unstructured.Unstructured) error {
	switch o.GetKind() {
	case "Namespace":
		if err := a.create(ctx, o); err != nil {
			return err
		}
		return a.waitServiceAccount(ctx, o.GetName())
	case "Deployment":
		versions, err := history(o)
		if err != nil {
			return err
		}
		for i, v := range versions {
			if i == 0 {
				err = a.create(ctx, v)
			} else {
				err = a.rollOut(ctx, v)
			}
			if err != nil {
				return err
			}
			if err := a.waitRevision(ctx, v, i+1); err != nil {
				return err
			}
		}
		return nil
	}
	return a.create(ctx, o)
}

func (a *applier) client(o *unstructured.Unstructured) dynamic.ResourceInterface {
	gvk := o.GroupVersionKind()
	r := a.dynamic.Resource(gvk.GroupVersion().WithResource(resources[gvk].plural))
	if o.GetNamespace() == "" {
		return r
	}
	return r.Namespace(o.GetNamespace())
}

func (a *applier) create(ctx context.Context, o *unstructured.Unstructured) error {
	_, err := a.client(o).Create(ctx, o, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// rollOut brings a Deployment to its next version.
func (a *applier) rollOut(ctx context.Context, o *unstructured.Unstructured) error {
	b, err := o.MarshalJSON()
	if err == nil {
		_, err = a.client(o).Patch(ctx, o.GetName(), types.MergePatchType, b, metav1.PatchOptions{})
	}
	if err != nil {
		return fmt.Errorf("rolling out %s: %w", o.GetName(), err)
	}
	return nil
}

// waitServiceAccount waits for what pods of a new namespace need: without it,
// their creation fails, and is tried again only later.
func (a *applier) waitServiceAccount(ctx context.Context, namespace string) error {
	return kube.WaitFor(ctx, "namespace "+namespace+" has a service account", kube.Often, func(ctx context.Context) bool {
		_, err := a.typed.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	})
}

// waitRevision waits until the Deployment's controller has made a ReplicaSet for
// its n-th version: versions that follow each other faster leave no trace.
func (a *applier) waitRevision(ctx context.Context, o *unstructured.Unstructured, n int) error {
	what := fmt.Sprintf("Deployment %s/%s has revision %d", o.GetNamespace(), o.GetName(), n)
	return kube.WaitFor(ctx, what, kube.Often, func(ctx context.Context) bool {
		d, err := a.typed.AppsV1().Deployments(o.GetNamespace()).Get(ctx, o.GetName(), metav1.GetOptions{})
		return err == nil && d.Status.ObservedGeneration >= d.Generation &&
			d.Annotations["deployment.kubernetes.io/revision"] == fmt.Sprint(n)
	})
}

// waitAvailable waits until a workload is as it should be.
func (a *applier) waitAvailable(ctx context.Context, o *unstructured.Unstructured) error {
	ns, name := o.GetNamespace(), o.GetName()
	var ok func(context.Context) bool
	switch o.GetKind() {
	case "Deployment":
		ok = func(ctx context.Context) bool {
			d, err := a.typed.AppsV1().Deployments(ns).Get(ctx, name, metav1.GetOptions{})
			return err == nil && available(d)
		}
	case "StatefulSet":
		ok = func(ctx context.Context) bool {
			s, err := a.typed.AppsV1().StatefulSets(ns).Get(ctx, name, metav1.GetOptions{})
			return err == nil && s.Status.ObservedGeneration >= s.Generation && s.Status.ReadyReplicas == *s.Spec.Replicas
		}
	case "DaemonSet":
		ok = func(ctx context.Context) bool {
			s, err := a.typed.AppsV1().DaemonSets(ns).Get(ctx, name, metav1.GetOptions{})
			return err == nil && s.Status.ObservedGeneration >= s.Generation &&
				s.Status.DesiredNumberScheduled > 0 && s.Status.NumberReady == s.Status.DesiredNumberScheduled
		}
	default:
		return nil
	}
	return kube.WaitFor(ctx, fmt.Sprintf("%s %s/%s is available", o.GetKind(), ns, name), kube.Often, ok)
}

// available says that a roll-out is complete and nothing of the former is left.
func available(d *appsv1.Deployment) bool {
	s, want := d.Status, *d.Spec.Replicas
	return s.ObservedGeneration >= d.Generation && s.Replicas == want && s.UpdatedReplicas == want && s.AvailableReplicas == want
}

// history returns a Deployment's versions, the oldest first and the manifest's
// own last. They differ in the first container's image tag and the change cause.
func history(o *unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	annotations := o.GetAnnotations()
	tags := strings.FieldsFunc(annotations[historyAnnotation], func(r rune) bool { return r == ',' || r == ' ' })
	containers, _, err := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) == 0 {
		return nil, fmt.Errorf("Deployment %s has no containers", o.GetName())
	}
	image, _, _ := unstructured.NestedString(containers[0].(map[string]any), "image")
	colon := strings.LastIndex(image, ":")
	if colon < strings.LastIndex(image, "/") {
		return nil, fmt.Errorf("Deployment %s: image %q has no tag", o.GetName(), image)
	}
	var versions []*unstructured.Unstructured
	for _, tag := range append(slices.Clone(tags), image[colon+1:]) {
		v := o.DeepCopy()
		list, _, _ := unstructured.NestedSlice(v.Object, "spec", "template", "spec", "containers")
		list[0].(map[string]any)["image"] = image[:colon] + ":" + tag
		if err := unstructured.SetNestedSlice(v.Object, list, "spec", "template", "spec", "containers"); err != nil {
			return nil, err
		}
		notes := maps.Clone(annotations)
		if notes == nil {
			notes = map[string]string{}
		}
		delete(notes, historyAnnotation)
		notes[changeCause] = fmt.Sprintf("%s %s", o.GetName(), tag)
		v.SetAnnotations(notes)
		versions = append(versions, v)
	}
	return versions, nil
}

// parallel calls f for all items, sixteen at a time, and returns the first error.
func parallel[T any](ctx context.Context, items []T, f func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for _, item := range items {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := f(ctx, item); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
