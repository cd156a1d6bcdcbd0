package controlplane

import (
	"context"
	"time"

	ksm "k8s.io/kube-state-metrics/v2/pkg/app"
	ksmopts "k8s.io/kube-state-metrics/v2/pkg/options"
)

// RunKubeStateMetrics runs kube-state-metrics until ctx ends. Its options are set
// and not parsed: their flags would set klog's, which all components share.
func RunKubeStateMetrics(ctx context.Context, c Config) error {
	o := ksmopts.NewOptions()
	o.Kubeconfig = c.Kubeconfig
	o.Host, o.Port = "127.0.0.1", c.StateMetricsPort
	o.TelemetryHost, o.TelemetryPort = "127.0.0.1", c.StateTelemetryPort
	o.TotalShards = 1
	o.ServerReadTimeout, o.ServerReadHeaderTimeout = 60*time.Second, 5*time.Second
	o.ServerWriteTimeout, o.ServerIdleTimeout = 60*time.Second, 5*time.Minute
	return ksm.RunKubeStateMetricsWrapper(ctx, o)
}
