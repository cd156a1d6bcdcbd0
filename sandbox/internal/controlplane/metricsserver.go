package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"

	msopts "sigs.k8s.io/metrics-server/cmd/metrics-server/app/options"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	apiregv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
)

// RunMetricsServer runs metrics-server until ctx ends.
func RunMetricsServer(ctx context.Context, c Config) error {
	o := msopts.NewOptions()
	if err := parse("metrics-server", o.Flags(), []string{
		"--kubeconfig=" + c.Kubeconfig,
		"--authentication-kubeconfig=" + c.Kubeconfig,
		"--authorization-kubeconfig=" + c.Kubeconfig,
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.MetricsPort),
		"--cert-dir=" + c.CertDir,
		"--tls-cert-file=" + c.PKI.ServerCert,
		"--tls-private-key-file=" + c.PKI.ServerKey,
		"--kubelet-certificate-authority=" + c.PKI.CACert,
		"--kubelet-use-node-status-port",
		"--kubelet-preferred-address-types=InternalIP",
		"--metric-resolution=10s", "--kubelet-request-timeout=5s",
	}); err != nil {
		return err
	}
	if errs := o.Validate(); len(errs) > 0 {
		return errors.Join(errs...)
	}
	cfg, err := o.ServerConfig()
	if err != nil {
		return err
	}
	s, err := cfg.Complete()
	if err != nil {
		return err
	}
	return s.RunUntil(ctx.Done())
}

// RegisterMetricsAPI makes the API server send metrics.k8s.io to metrics-server.
// A Service of type ExternalName needs no kube-proxy to get there.
func RegisterMetricsAPI(ctx context.Context, rc *rest.Config, c Config) error {
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return err
	}
	_, err = client.CoreV1().Services("kube-system").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "metrics-server"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	agg, err := aggregator.NewForConfig(rc)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(c.PKI.CACert)
	if err != nil {
		return err
	}
	port := int32(c.MetricsPort)
	apis := agg.ApiregistrationV1().APIServices()
	want := &apiregv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1beta1.metrics.k8s.io"},
		Spec: apiregv1.APIServiceSpec{
			Group: "metrics.k8s.io", Version: "v1beta1",
			GroupPriorityMinimum: 100, VersionPriority: 100,
			CABundle: ca,
			Service:  &apiregv1.ServiceReference{Namespace: "kube-system", Name: "metrics-server", Port: &port},
		},
	}
	_, err = apis.Create(ctx, want, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	// A sandbox started again listens on another port.
	patch := fmt.Appendf(nil, `{"spec":{"service":{"port":%d}}}`, port)
	_, err = apis.Patch(ctx, want.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
