// Package fakenode simulates the nodes of the sandbox, and what runs on them,
// with KWOK: no container is ever started. What a pod does is decided by its
// image tags (see manifests/stages-pod.yaml).
//
// KWOK's controllers and its fake kubelet are used as libraries. KWOK's own
// command parses os.Args, registers flags globally and ends the process on
// errors, which one program with five components in it cannot have.
package fakenode

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/kwok/server"
	kwokclient "sigs.k8s.io/kwok/pkg/utils/client"

	"github.com/firstmate-ops/firstmate/sandbox/internal/kube"
)

// nodeSelector picks the nodes that are simulated.
const nodeSelector = "kwok.x-k8s.io/node=fake"

// Options say how the nodes are simulated.
type Options struct {
	// Kubeconfig is the administrator's kubeconfig file.
	Kubeconfig string
	// Dir is a folder of the sandbox's state for the simulator's files.
	Dir string
	// KubeletPort is the port of the kubelets, for the API server and
	// metrics-server, KwokPort that of KWOK behind it. Both are on loopback.
	KubeletPort, KwokPort int
	// CertFile, KeyFile and ClientCAFile protect the kubelet's port: only
	// clients with a certificate of this CA get in, as with a real kubelet.
	CertFile, KeyFile, ClientCAFile string
	// Nodes is the number of nodes, PodsPerNode how many pods each takes.
	Nodes, PodsPerNode int
	// Version is the version that the nodes report.
	Version string
}

// NodeName is the name of the i-th simulated node, counted from 0.
func NodeName(i int) string { return fmt.Sprintf("node-%d", i+1) }

// Simulator plays the nodes and pods of a cluster.
type Simulator struct {
	opts    Options
	objects []config.InternalObject
	logs    *logBook
	podLogs *PodLogs
	usage   atomic.Pointer[Usage]
	tell    atomic.Pointer[func(Said)]
}

// Logs are the log files of single containers; what is written there is what
// "kubectl logs" shows.
func (s *Simulator) Logs() *PodLogs { return s.podLogs }

// Use makes the nodes tell what usage knows instead of the pods' annotations.
func (s *Simulator) Use(usage Usage) { s.usage.Store(&usage) }

// Tell makes known what containers write that cannot stay up: nobody else does.
func (s *Simulator) Tell(tell func(Said)) { s.tell.Store(&tell) }

// New prepares a simulator; Run starts it.
func New(ctx context.Context, opts Options) (*Simulator, error) {
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, err
	}
	logs, err := newLogBook(filepath.Join(opts.Dir, "logs"), time.Now())
	if err != nil {
		return nil, fmt.Errorf("writing the pods' logs: %w", err)
	}
	manifests, err := renderManifests(opts, logs)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(opts.Dir, "kwok.yaml")
	if err := os.WriteFile(file, manifests, 0o600); err != nil {
		return nil, err
	}
	// One local file instead of custom resources: no CRD has to be installed,
	// discovered and watched before the first pod can run.
	objects, err := config.Load(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("loading the simulator's configuration: %w", err)
	}
	podLogs := &PodLogs{dir: filepath.Join(opts.Dir, "pods")}
	// Those of an earlier run would not fit pods that were started again.
	if err := os.RemoveAll(podLogs.dir); err != nil {
		return nil, err
	}
	return &Simulator{opts: opts, objects: objects, logs: logs, podLogs: podLogs}, nil
}

// Run plays the nodes' part until ctx ends or something fails.
func (s *Simulator) Run(ctx context.Context) error {
	clients, err := kwokclient.NewClientset("", s.opts.Kubeconfig)
	if err != nil {
		return err
	}
	ctrl, rc, err := s.newController(clients)
	if err != nil {
		return err
	}
	if err := ctrl.Start(ctx); err != nil {
		return fmt.Errorf("starting KWOK's controllers: %w", err)
	}
	backend, err := s.newKwokServer(ctx, ctrl, rc)
	if err != nil {
		return fmt.Errorf("setting up KWOK's kubelet: %w", err)
	}
	own, err := kube.Config(s.opts.Kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(own)
	if err != nil {
		return err
	}
	front, err := newKubelet(s.opts, client.CoreV1(), s.logs, s.podLogs, &s.usage)
	if err != nil {
		return fmt.Errorf("setting up the kubelet's port: %w", err)
	}

	errs := make(chan error, 2)
	go func() { errs <- backend.Run(ctx, loopback(s.opts.KwokPort), "", "") }()
	go func() { errs <- front.run(ctx) }()
	go s.logs.keepWriting(ctx)
	go newSupervisor(client, s.podLogs, func(said Said) {
		if tell := s.tell.Load(); tell != nil {
			(*tell)(said)
		}
	}).run(ctx)
	select {
	case <-ctx.Done():
		return nil
	case err := <-errs:
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errors.New("the kubelet's server stopped")
		}
		return err
	}
}

func (s *Simulator) newController(clients kwokclient.Clientset) (*controllers.Controller, *rest.Config, error) {
	rc, err := clients.ToRESTConfig()
	if err != nil {
		return nil, nil, err
	}
	dynamicClient, err := clients.ToDynamicClient()
	if err != nil {
		return nil, nil, err
	}
	mapper, err := clients.ToRESTMapper()
	if err != nil {
		return nil, nil, err
	}
	restClient, err := rest.RESTClientFor(rc)
	if err != nil {
		return nil, nil, err
	}
	typed, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return nil, nil, err
	}
	kwokTyped, err := versioned.NewForConfig(rc)
	if err != nil {
		return nil, nil, err
	}
	stages := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, st := range config.FilterWithType[*internalversion.Stage](s.objects) {
		stages[st.Spec.ResourceRef] = append(stages[st.Spec.ResourceRef], st)
	}
	ctrl, err := controllers.NewController(controllers.Config{
		Clock:                             clock.RealClock{},
		DynamicClient:                     dynamicClient,
		RESTClient:                        restClient,
		RESTMapper:                        mapper,
		ImpersonatingDynamicClient:        clients.ToImpersonatingDynamicClient(),
		ImpersonatingTypedClient:          clients.ToImpersonatingTypedClient(),
		TypedClient:                       typed,
		TypedKwokClient:                   kwokTyped,
		EnableMetrics:                     true,
		EnablePodCache:                    true,
		ManageNodesWithAnnotationSelector: nodeSelector,
		CIDR:                              "10.250.0.0/16",
		NodeIP:                            "127.0.0.1",
		NodePort:                          s.opts.KubeletPort,
		PodPlayStageParallelism:           16,
		NodePlayStageParallelism:          4,
		LocalStages:                       stages,
		NodeLeaseParallelism:              4,
		NodeLeaseDurationSeconds:          40,
		ID:                                "sandbox",
		PodsOnNodeSyncParallelism:         4,
		EnablePodsOnNodeSyncStreamWatch:   true,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("setting up KWOK's controllers: %w", err)
	}
	return ctrl, rc, nil
}

// newKwokServer returns KWOK's fake kubelet, for logs and resource usage. It is
// given no exec, attach or port-forward: KWOK's exec would run commands on this
// machine as the person who started the sandbox.
func (s *Simulator) newKwokServer(ctx context.Context, ctrl *controllers.Controller, rc *rest.Config) (*server.Server, error) {
	kwokTyped, err := versioned.NewForConfig(rc)
	if err != nil {
		return nil, err
	}
	srv, err := server.NewServer(server.Config{
		TypedKwokClient:       kwokTyped,
		ClusterLogs:           config.FilterWithType[*internalversion.ClusterLogs](s.objects),
		ClusterResourceUsages: config.FilterWithType[*internalversion.ClusterResourceUsage](s.objects),
		Metrics:               config.FilterWithType[*internalversion.Metric](s.objects),
		DataSource:            ctrl,
		NodeCacheGetter:       ctrl.GetNodeCache(),
		PodCacheGetter:        ctrl.GetPodCache(),
	})
	if err != nil {
		return nil, err
	}
	srv.InstallHealthz()
	srv.InstallDebuggingHandlers()
	if err := srv.InstallCRD(ctx); err != nil {
		return nil, err
	}
	if err := srv.InstallMetrics(ctx); err != nil {
		return nil, err
	}
	return srv, nil
}

// Node is the object of the i-th simulated node.
func Node(i int) *corev1.Node {
	name := NodeName(i)
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name,
		Annotations: map[string]string{
			"kwok.x-k8s.io/node": "fake",
			// Where metrics-server finds this node's numbers: all nodes share a port.
			"metrics.k8s.io/resource-metrics-path": "/metrics/nodes/" + name + "/metrics/resource",
		},
		Labels: map[string]string{
			"type":                           "kwok",
			"kubernetes.io/arch":             "amd64",
			"kubernetes.io/hostname":         name,
			"kubernetes.io/os":               "linux",
			"topology.kubernetes.io/zone":    fmt.Sprintf("zone-%c", 'a'+i%3),
			"node-role.kubernetes.io/worker": "",
		},
	}}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", fmt.Sprint(port)) }
