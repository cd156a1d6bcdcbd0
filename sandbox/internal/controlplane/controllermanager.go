package controlplane

import (
	"context"
	"strings"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	logsapi "k8s.io/component-base/logs/api/v1"
	kcmapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmopts "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
)

// controllers are those that workloads need. The others (certificates,
// cloud, legacy tokens …) would only use memory.
var controllers = []string{
	"clusterrole-aggregation-controller",
	"cronjob-controller",
	"daemonset-controller",
	"deployment-controller",
	"disruption-controller",
	"endpoints-controller",
	"endpointslice-controller",
	"garbage-collector-controller",
	"horizontal-pod-autoscaler-controller",
	"job-controller",
	"namespace-controller",
	"node-lifecycle-controller",
	"persistentvolume-binder-controller",
	"replicaset-controller",
	"resourcequota-controller",
	"root-ca-certificate-publisher-controller",
	"serviceaccount-controller",
	"statefulset-controller",
	"taint-eviction-controller",
	"ttl-after-finished-controller",
}

// RunControllerManager runs kube-controller-manager until ctx ends. Start it
// once the API server is ready: it looks for that only once a second.
func RunControllerManager(ctx context.Context, c Config) error {
	s, err := kcmopts.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	all, off, aliases := kcmapp.KnownControllers(), kcmapp.ControllersDisabledByDefault(), kcmapp.ControllerAliases()
	if err := parse("kube-controller-manager", s.Flags(all, off, aliases), controllerManagerArgs(c)); err != nil {
		return err
	}
	if err := s.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	if err := logsapi.ValidateAndApply(s.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	cfg, err := s.Config(ctx, all, off, aliases)
	if err != nil {
		return err
	}
	return kcmapp.Run(ctx, cfg.Complete())
}

func controllerManagerArgs(c Config) []string {
	return []string{
		"--kubeconfig=" + c.Kubeconfig,
		"--controllers=" + strings.Join(controllers, ","),
		"--leader-elect=false",
		"--secure-port=0", // no listener
		"--service-account-private-key-file=" + c.PKI.ServiceAccountKey,
		"--root-ca-file=" + c.PKI.CACert,
		"--kube-api-qps=2000", "--kube-api-burst=4000",
		"--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20",
	}
}
