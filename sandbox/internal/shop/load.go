package shop

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/firstmate-ops/firstmate/sandbox/internal/kube"
)

const (
	// LoadNamespace holds the pods that only make the cluster larger.
	LoadNamespace = "load"
	// loadReplicas is how many pods a Deployment of the load has.
	loadReplicas = 5
)

// ApplyLoad creates Deployments with pods in all in LoadNamespace and waits until
// every pod is ready. The progress is reported now and then.
func ApplyLoad(ctx context.Context, rc *rest.Config, pods int, progress func(ready int)) error {
	a, err := newApplier(rc)
	if err != nil {
		return err
	}
	_, err = a.typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: LoadNamespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := a.waitServiceAccount(ctx, LoadNamespace); err != nil {
		return err
	}
	if err := parallel(ctx, loadDeployments(pods), func(ctx context.Context, d *appsv1.Deployment) error {
		_, err := a.typed.AppsV1().Deployments(LoadNamespace).Create(ctx, d, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}); err != nil {
		return fmt.Errorf("creating the load's Deployments: %w", err)
	}
	return waitLoad(ctx, a.typed, pods, progress)
}

// loadDeployments are as many Deployments as the pods need; the last may be
// smaller.
func loadDeployments(pods int) []*appsv1.Deployment {
	var list []*appsv1.Deployment
	for left := pods; left > 0; left -= loadReplicas {
		name := fmt.Sprintf("load-%04d", len(list)+1)
		labels := map[string]string{"app": name, "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "load"}
		replicas := int32(min(left, loadReplicas))
		deadline := int32(600) // thousands of pods at once take their time
		list = append(list, &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
			Spec: appsv1.DeploymentSpec{
				Replicas:                &replicas,
				ProgressDeadlineSeconds: &deadline,
				Selector:                &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels},
					Spec: corev1.PodSpec{Containers: []corev1.Container{{
						Name: "idle", Image: "registry.example.com/load/idle:1.0",
					}}},
				},
			},
		})
	}
	return list
}

func waitLoad(ctx context.Context, client kubernetes.Interface, pods int, progress func(int)) error {
	last := -1
	return kube.WaitFor(ctx, fmt.Sprintf("%d pods of the load are ready", pods), kube.Seldom, func(ctx context.Context) bool {
		// The API server's cache will do, and costs etcd nothing.
		list, err := client.AppsV1().Deployments(LoadNamespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return false
		}
		ready := 0
		for _, d := range list.Items {
			ready += int(d.Status.ReadyReplicas)
		}
		if ready/1000 != last/1000 && ready < pods {
			progress(ready)
		}
		last = ready
		return ready >= pods
	})
}
