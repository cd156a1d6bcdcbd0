package controlplane

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiapp "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiopts "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// RunAPIServer runs kube-apiserver until ctx ends.
func RunAPIServer(ctx context.Context, c Config) error {
	s := apiopts.NewServerRunOptions()
	if err := parse("kube-apiserver", s.Flags(), apiServerArgs(c)); err != nil {
		return err
	}
	registry := s.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := registry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	if err := logsapi.ValidateAndApply(s.Logs, registry.FeatureGateFor(basecompatibility.DefaultKubeComponent)); err != nil {
		return err
	}
	completed, err := s.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return errors.Join(errs...)
	}
	return apiapp.Run(ctx, completed)
}

func apiServerArgs(c Config) []string {
	return []string{
		"--etcd-servers=unix://" + c.EtcdSocket,
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.APIPort),
		"--cert-dir=" + c.CertDir,
		"--tls-cert-file=" + c.PKI.ServerCert,
		"--tls-private-key-file=" + c.PKI.ServerKey,
		"--client-ca-file=" + c.PKI.CACert,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.PKI.ServiceAccountPub,
		"--service-account-signing-key-file=" + c.PKI.ServiceAccountKey,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=Node,RBAC",
		"--anonymous-auth=false",
		"--allow-privileged=true",
		// Nothing in the sandbox can dial the API server through a Service.
		"--advertise-address=192.0.2.1",
		"--endpoint-reconciler-type=none",

		// The nodes' kubelet, for logs.
		"--kubelet-certificate-authority=" + c.PKI.CACert,
		"--kubelet-client-certificate=" + c.PKI.AdminCert,
		"--kubelet-client-key=" + c.PKI.AdminKey,
		"--kubelet-preferred-address-types=InternalIP",

		// Aggregated APIs: metrics.k8s.io.
		"--requestheader-client-ca-file=" + c.PKI.FrontCACert,
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + c.PKI.FrontCert,
		"--proxy-client-key-file=" + c.PKI.FrontKey,
		"--enable-aggregator-routing=false",

		// For a fast start and stop on a small machine.
		"--enable-priority-and-fairness=false",
		"--max-requests-inflight=4000", "--max-mutating-requests-inflight=2000",
		"--profiling=false",
		"--shutdown-delay-duration=0s",
		// TaintNodesByCondition gives new nodes a taint that must first be taken
		// away again; the others are for objects that nothing here uses.
		"--disable-admission-plugins=TaintNodesByCondition,DefaultStorageClass,StorageObjectInUseProtection," +
			"PersistentVolumeClaimResize,DefaultIngressClass,RuntimeClass,CertificateApproval,CertificateSigning," +
			"CertificateSubjectRestriction,ClusterTrustBundleAttest",
	}
}
