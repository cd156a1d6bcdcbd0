package shop

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

// typed converts an object strictly: a misspelt field is an error.
func typed(t *testing.T, o *unstructured.Unstructured) runtime.Object {
	t.Helper()
	into, err := scheme.Scheme.New(o.GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, into, true); err != nil {
		t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
	}
	return into
}

func TestManifestsFitTheirTypes(t *testing.T) {
	objects, err := Objects()
	if err != nil {
		t.Fatal(err)
	}
	seen, count := map[string]bool{}, map[string]int{}
	namespaces := map[string]bool{"": true}
	for _, o := range objects {
		typed(t, o)
		id := o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
		count[o.GetKind()]++
		if o.GetKind() == "Namespace" {
			namespaces[o.GetName()] = true
		}
	}
	for _, o := range objects {
		if !namespaces[o.GetNamespace()] {
			t.Errorf("%s %s is in namespace %q, which nothing makes", o.GetKind(), o.GetName(), o.GetNamespace())
		}
	}
	for kind, want := range map[string]int{"Namespace": 3, "Deployment": 17, "StatefulSet": 2, "DaemonSet": 1, "CronJob": 1, "HorizontalPodAutoscaler": 2} {
		if count[kind] != want {
			t.Errorf("%d objects of kind %s, want %d", count[kind], kind, want)
		}
	}
}

func TestSelectorsFindTheirPods(t *testing.T) {
	objects, err := Objects()
	if err != nil {
		t.Fatal(err)
	}
	pods := map[string][]labels.Set{} // by namespace
	for _, o := range objects {
		l, ok, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
		if !ok {
			continue
		}
		pods[o.GetNamespace()] = append(pods[o.GetNamespace()], l)
		want, ok, _ := unstructured.NestedStringMap(o.Object, "spec", "selector", "matchLabels")
		if ok && !labels.SelectorFromSet(want).Matches(labels.Set(l)) {
			t.Errorf("%s %s does not select its own pods", o.GetKind(), o.GetName())
		}
	}
	for _, o := range objects {
		switch s := typed(t, o).(type) {
		case *corev1.Service:
			n := 0
			for _, l := range pods[s.Namespace] {
				if labels.SelectorFromSet(s.Spec.Selector).Matches(l) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("Service %s/%s selects the pods of %d workloads", s.Namespace, s.Name, n)
			}
		case *autoscalingv2.HorizontalPodAutoscaler:
			if ref := s.Spec.ScaleTargetRef; find(objects, ref.Kind, s.Namespace, ref.Name) == nil {
				t.Errorf("HorizontalPodAutoscaler %s scales nothing", s.Name)
			}
		}
	}
}

func find(objects []*unstructured.Unstructured, kind, namespace, name string) *unstructured.Unstructured {
	for _, o := range objects {
		if o.GetKind() == kind && o.GetNamespace() == namespace && o.GetName() == name {
			return o
		}
	}
	return nil
}

func TestDeploymentsHaveAHistory(t *testing.T) {
	objects, err := Objects()
	if err != nil {
		t.Fatal(err)
	}
	misbehaves := regexp.MustCompile(`:[^/]*-(bad|crash|oom|slow|unready)$`)
	got := map[string]string{}
	for _, o := range objects {
		if o.GetKind() != "Deployment" {
			continue
		}
		versions, err := history(o)
		if err != nil {
			t.Fatal(err)
		}
		if len(versions) < 2 {
			t.Errorf("%s/%s has one version only", o.GetNamespace(), o.GetName())
		}
		var tags []string
		for _, v := range versions {
			d := typed(t, v).(*appsv1.Deployment)
			image := d.Spec.Template.Spec.Containers[0].Image
			tags = append(tags, image[strings.LastIndex(image, ":")+1:])
			for _, c := range d.Spec.Template.Spec.Containers {
				if misbehaves.MatchString(c.Image) {
					t.Errorf("%s would not become available with image %s", d.Name, c.Image)
				}
			}
			if _, ok := d.Annotations[historyAnnotation]; ok || d.Annotations[changeCause] == "" {
				t.Errorf("%s: annotations %v", d.Name, d.Annotations)
			}
			if p := d.Spec.ProgressDeadlineSeconds; p == nil || *p != 60 {
				t.Errorf("%s: a stuck roll-out is not marked within a minute", d.Name)
			}
		}
		got[o.GetNamespace()+"/"+o.GetName()] = strings.Join(tags, " ")
	}
	for name, want := range map[string]string{
		"shop/web": "v1.8 v1.9", "shop/checkout": "v0.9 v1", "shop/cart": "1.9 2.0",
		"shop/payments-api": "3.1 3.2", "shop/search": "5.0.0 5.1.0",
	} {
		if got[name] != want {
			t.Errorf("%s had %q, want %q", name, got[name], want)
		}
	}
}

func TestUnknownKindIsAnError(t *testing.T) {
	if _, err := decode([]byte("apiVersion: v1\nkind: Deployment\n")); err == nil || !strings.Contains(err.Error(), "unknown kind") {
		t.Errorf("decode() = %v", err)
	}
}

func TestLoadIsExact(t *testing.T) {
	for pods, deployments := range map[int]int{0: 0, 1: 1, 5: 1, 12: 3, 5000: 1000} {
		list := loadDeployments(pods)
		sum := 0
		for _, d := range list {
			sum += int(*d.Spec.Replicas)
		}
		if sum != pods || len(list) != deployments {
			t.Errorf("%d pods: %d Deployments with %d", pods, len(list), sum)
		}
	}
	if got := fmt.Sprint(loadDeployments(6)[1].Name, *loadDeployments(6)[1].Spec.Replicas); got != "load-00021" {
		t.Errorf("the last is %s", got)
	}
}
