package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"

	"github.com/firstmate-ops/firstmate/sandbox/internal/controlplane"
	"github.com/firstmate-ops/firstmate/sandbox/internal/fakenode"
	"github.com/firstmate-ops/firstmate/sandbox/internal/faults"
	"github.com/firstmate-ops/firstmate/sandbox/internal/kube"
	"github.com/firstmate-ops/firstmate/sandbox/internal/loopback"
	"github.com/firstmate-ops/firstmate/sandbox/internal/pki"
	"github.com/firstmate-ops/firstmate/sandbox/internal/shop"
	"github.com/firstmate-ops/firstmate/sandbox/internal/statedir"
)

// startTimeout is for the control plane; the load's pods may take longer.
const startTimeout = 3 * time.Minute

// cluster is one run of the sandbox.
type cluster struct {
	options upOptions
	state   *statedir.Dir
	say     func(format string, a ...any)

	config      controlplane.Config
	kubeletPort int
	kwokPort    int
	group       *controlplane.Group
	servers     servers
	faults      *faults.Set
	nodes       *fakenode.Simulator
	rest        *rest.Config
	client      kubernetes.Interface
}

// run starts everything, announces it on out, and stops it when ctx ends. Its
// error is nil when it was asked to stop, at whatever point.
func (c *cluster) run(ctx context.Context, out io.Writer) error {
	if err := c.prepare(); err != nil {
		return err
	}
	c.group = controlplane.NewGroup(ctx)
	defer func() {
		c.servers.stop()
		if err := c.group.Stop(stopTimeout); err != nil {
			klog.InfoS("The sandbox ends with components still running", "reason", err)
		}
	}()

	err := c.start(c.group.Context(), out)
	if err == nil {
		<-c.group.Context().Done()
		err = context.Cause(c.group.Context())
	}
	var stopped *controlplane.Stopped
	if errors.As(context.Cause(c.group.Context()), &stopped) {
		return stopped
	}
	if ctx.Err() != nil {
		c.say("stopping")
		return nil
	}
	return err
}

// prepare makes what the components need: ports, sockets, certificates.
func (c *cluster) prepare() error {
	ports, err := loopback.FreePorts(6)
	if err != nil {
		return err
	}
	files, err := pki.Ensure(c.state.File("pki"))
	if err != nil {
		return err
	}
	c.kubeletPort, c.kwokPort = ports[2], ports[3]
	c.config = controlplane.Config{
		EtcdDir:          c.state.File("etcd"),
		CertDir:          c.state.File("generated-certs"),
		APIPort:          ports[0],
		MetricsPort:      ports[1],
		StateMetricsPort: ports[4], StateTelemetryPort: ports[5],
		Kubeconfig: c.state.File("kubeconfig"),
		PKI:        files,
	}
	if c.config.EtcdSocket, err = c.state.Socket("etcd.sock"); err != nil {
		return err
	}
	if c.config.EtcdPeerSocket, err = c.state.Socket("peer.sock"); err != nil {
		return err
	}
	namespace := "shop"
	if c.options.empty {
		namespace = metav1.NamespaceDefault
	}
	if err := files.WriteKubeconfig(c.config.Kubeconfig, c.config.ServerURL(), namespace); err != nil {
		return err
	}
	if c.rest, err = kube.Config(c.config.Kubeconfig); err != nil {
		return err
	}
	c.client, err = kubernetes.NewForConfig(c.rest)
	return err
}

// start returns once everything is ready and announced.
func (c *cluster) start(ctx context.Context, out io.Writer) error {
	boot, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- c.startServers(boot) }()
	err := c.startControlPlane(boot)
	if err == nil {
		fmt.Fprintf(out, "KUBECONFIG=%s\n", c.config.Kubeconfig)
		c.startStateMetrics()
		err = c.fill(ctx, boot)
	}
	if err != nil {
		cancel()
		return errors.Join(err, <-ready) // so that none starts after the others were stopped
	}
	if err := <-ready; err != nil {
		return err
	}
	c.servers.announce(out)
	if err := c.startShop(ctx, out); err != nil {
		return err
	}
	// The start leaves much garbage behind.
	debug.FreeOSMemory()
	c.say("ready; try: KUBECONFIG=%s sandbox kubectl get pods", c.config.Kubeconfig)
	fmt.Fprintln(out, "READY")
	return nil
}

// startControlPlane starts the components in an order in which none waits for
// another, and returns when the nodes are ready.
func (c *cluster) startControlPlane(ctx context.Context) error {
	c.say("starting etcd and kube-apiserver")
	c.launch("etcd", controlplane.RunEtcd)
	if err := kube.WaitFor(ctx, "etcd is healthy", kube.Often, func(ctx context.Context) bool {
		return controlplane.EtcdHealthy(ctx, c.config)
	}); err != nil {
		return err
	}
	c.launch("kube-apiserver", controlplane.RunAPIServer)
	if err := kube.WaitFor(ctx, "kube-apiserver answers", kube.Often, func(ctx context.Context) bool {
		_, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil
	}); err != nil {
		return err
	}
	c.say("starting kube-scheduler and %d simulated nodes", c.options.nodes)
	c.launch("kube-scheduler", controlplane.RunScheduler)
	if c.options.nodes > 0 {
		if err := c.startNodes(ctx); err != nil {
			return err
		}
	}
	if err := kube.WaitFor(ctx, "kube-apiserver is ready", kube.Often, func(ctx context.Context) bool {
		b, err := c.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil && string(b) == "ok"
	}); err != nil {
		return err
	}
	if c.options.nodes == 0 { // metrics-server would wait for one
		c.say("starting kube-controller-manager; the nodes are yours")
		c.launch("kube-controller-manager", controlplane.RunControllerManager)
		return nil
	}
	c.say("starting kube-controller-manager and metrics-server")
	c.launch("kube-controller-manager", controlplane.RunControllerManager)
	c.launch("metrics-server", controlplane.RunMetricsServer)
	if err := controlplane.RegisterMetricsAPI(ctx, c.rest, c.config); err != nil {
		return fmt.Errorf("registering metrics.k8s.io: %w", err)
	}
	return c.waitNodes(ctx)
}

func (c *cluster) launch(name string, run func(context.Context, controlplane.Config) error) {
	c.group.Go(name, func(ctx context.Context) error { return run(ctx, c.config) })
}

func (c *cluster) startNodes(ctx context.Context) error {
	o := c.options
	// A sandbox started again has at least the nodes it had: pods run on them.
	o.nodes = max(o.nodes, c.state.Facts.Nodes)
	sim, err := fakenode.New(ctx, fakenode.Options{
		Kubeconfig:  c.config.Kubeconfig,
		Dir:         c.state.File("nodes"),
		KubeletPort: c.kubeletPort, KwokPort: c.kwokPort,
		CertFile: c.config.PKI.ServerCert, KeyFile: c.config.PKI.ServerKey, ClientCAFile: c.config.PKI.CACert,
		Nodes: o.nodes,
		// As on a real node, unless the load needs more.
		PodsPerNode: max(110, 110+o.pods/o.nodes),
		Version:     version.Get().GitVersion,
	})
	if err != nil {
		return err
	}
	for i := range o.nodes {
		if err := c.ensureNode(ctx, fakenode.Node(i)); err != nil {
			return fmt.Errorf("creating node %s: %w", fakenode.NodeName(i), err)
		}
	}
	c.nodes = sim
	c.group.Go("the node simulator (KWOK)", sim.Run)
	c.state.Facts.Nodes = o.nodes
	return c.state.Save()
}

// ensureNode creates a node. One that is there from an earlier run gets the
// kubelet's new port.
func (c *cluster) ensureNode(ctx context.Context, node *corev1.Node) error {
	var last error
	err := kube.WaitFor(ctx, "node "+node.Name+" exists", kube.Often, func(ctx context.Context) bool {
		_, last = c.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(last) {
			patch := fmt.Appendf(nil, `{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, c.kubeletPort)
			_, last = c.client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		}
		return last == nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}

func (c *cluster) waitNodes(ctx context.Context) error {
	return kube.WaitFor(ctx, "the nodes are ready", kube.Often, func(ctx context.Context) bool {
		nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil || len(nodes.Items) < c.options.nodes {
			return false
		}
		for _, n := range nodes.Items {
			if !nodeReady(n) {
				return false
			}
		}
		return true
	})
}

func nodeReady(n corev1.Node) bool {
	for _, cond := range n.Status.Conditions {
		if cond.Type == corev1.NodeReady {
			return cond.Status == corev1.ConditionTrue
		}
	}
	return false
}

// fill applies the sample, unless an earlier run in this folder did, and the load.
func (c *cluster) fill(ctx, boot context.Context) error {
	if !c.options.empty && !c.state.Facts.Filled {
		c.say("filling the sample shop")
		if err := shop.Apply(boot, c.rest); err != nil {
			return fmt.Errorf("filling the sample shop: %w", err)
		}
		if len(c.options.servers) > 0 {
			if err := c.makeOlder(boot); err != nil {
				return fmt.Errorf("making the sample shop older: %w", err)
			}
		}
		c.state.Facts.Filled = true
		if err := c.state.Save(); err != nil {
			return err
		}
	}
	if c.options.pods > 0 {
		c.say("adding %d pods", c.options.pods)
		err := shop.ApplyLoad(ctx, c.rest, c.options.pods, func(ready int) { c.say("%d pods are ready", ready) })
		if err != nil {
			return fmt.Errorf("adding pods: %w", err)
		}
	}
	return nil
}
