package traffic

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

// watcher keeps the cluster as the model wants to see it.
type watcher struct {
	factory  informers.SharedInformerFactory
	stale    atomic.Bool
	mu       sync.Mutex
	world    *model.World
	settings map[string]map[string]string // by pod's UID and run
}

// newWatcher starts to watch and returns once everything has been seen.
func newWatcher(ctx context.Context, client kubernetes.Interface) (*watcher, error) {
	w := &watcher{factory: informers.NewSharedInformerFactory(client, 0), settings: map[string]map[string]string{}}
	w.stale.Store(true)
	core := w.factory.Core().V1()
	all := map[string]cache.SharedIndexInformer{
		"pods": core.Pods().Informer(), "services": core.Services().Informer(), "nodes": core.Nodes().Informer(),
		"configmaps": core.ConfigMaps().Informer(), "endpointslices": w.factory.Discovery().V1().EndpointSlices().Informer(),
		"networkpolicies": w.factory.Networking().V1().NetworkPolicies().Informer(), "namespaces": core.Namespaces().Informer(),
	}
	for name, i := range all {
		if err := i.SetTransform(strip); err != nil {
			return nil, err
		}
		handler := cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { w.stale.Store(true) }, UpdateFunc: func(any, any) { w.stale.Store(true) }, DeleteFunc: func(any) { w.stale.Store(true) },
		}
		if _, err := i.AddEventHandler(handler); err != nil {
			return nil, fmt.Errorf("watching %s: %w", name, err)
		}
	}
	w.factory.StartWithContext(ctx)
	for kind, ok := range w.factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return nil, fmt.Errorf("watching %v: %w", kind, context.Cause(ctx))
		}
	}
	return w, nil
}

// strip drops what takes much memory and is never asked for.
func strip(o any) (any, error) {
	if m, ok := o.(metav1.Object); ok {
		m.SetManagedFields(nil)
	}
	return o, nil
}

// now is the cluster as it stands. The answer is the same value until something
// changes.
func (w *watcher) now() *model.World {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stale.Swap(false) && w.world != nil {
		return w.world
	}
	out := &model.World{Services: map[model.ID]model.Exposed{}, Nodes: map[string]model.Node{}}
	core := w.factory.Core().V1()
	// The caches of running informers do not fail.
	pods, _ := core.Pods().Lister().List(labels.Everything())
	alive := map[string]bool{}
	for _, p := range pods {
		if p.Spec.NodeName == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		v := podOf(p)
		run := fmt.Sprintf("%s/%d", v.UID, v.Restarts)
		alive[run] = true
		if _, ok := w.settings[run]; !ok && v.Running {
			w.settings[run] = w.settingsOf(p)
		}
		v.Settings = w.settings[run]
		out.Pods = append(out.Pods, v)
	}
	maps.DeleteFunc(w.settings, func(run string, _ map[string]string) bool { return !alive[run] })
	services, _ := core.Services().Lister().List(labels.Everything())
	for _, s := range services {
		e := model.Exposed{ClusterIP: s.Spec.ClusterIP}
		for _, p := range s.Spec.Ports {
			e.Ports = append(e.Ports, p.Port)
		}
		e.Endpoints = w.endpointsOf(s)
		out.Services[model.ID{Namespace: s.Namespace, Name: s.Name}] = e
	}
	nodes, _ := core.Nodes().Lister().List(labels.Everything())
	for _, n := range nodes {
		v := model.Node{Name: n.Name, CPUs: cores(n.Status.Capacity[corev1.ResourceCPU]), Memory: bytesOf(n.Status.Capacity[corev1.ResourceMemory])}
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady {
				v.Ready = c.Status == corev1.ConditionTrue
			}
		}
		out.Nodes[n.Name] = v
	}
	policies, _ := w.factory.Networking().V1().NetworkPolicies().Lister().List(labels.Everything())
	for _, p := range policies {
		out.Policies = append(out.Policies, w.policyOf(p))
	}
	w.world = out
	return out
}

func cores(q resource.Quantity) float64   { return float64(q.MilliValue()) / 1000 }
func bytesOf(q resource.Quantity) float64 { return float64(q.Value()) }

// podOf reads what matters of a pod.
func podOf(p *corev1.Pod) model.Pod {
	v := model.Pod{
		Namespace: p.Namespace, Name: p.Name, UID: string(p.UID), Node: p.Spec.NodeName, IP: p.Status.PodIP,
		App: p.Labels["app"], Labels: p.Labels, Idle: model.Usage{CPU: .005, Memory: 24 << 20},
	}
	if v.App == "" {
		v.App = p.Labels["app.kubernetes.io/name"]
	}
	for key, into := range map[string]*float64{"kwok.x-k8s.io/usage-cpu": &v.Idle.CPU, "kwok.x-k8s.io/usage-memory": &v.Idle.Memory} {
		if q, err := resource.ParseQuantity(p.Annotations[key]); err == nil {
			*into = cores(q)
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			v.Ready = c.Status == corev1.ConditionTrue
		}
	}
	for i, c := range p.Spec.Containers {
		colon := strings.LastIndex(c.Image, ":")
		out := model.Container{
			Name: c.Name, Image: c.Image, Tag: c.Image[colon+1:],
			CPULimit: cores(c.Resources.Limits[corev1.ResourceCPU]), CPURequest: cores(c.Resources.Requests[corev1.ResourceCPU]),
			MemoryLimit: bytesOf(c.Resources.Limits[corev1.ResourceMemory]), MemoryRequest: bytesOf(c.Resources.Requests[corev1.ResourceMemory]),
		}
		for _, port := range c.Ports {
			v.Ports = append(v.Ports, port.ContainerPort)
		}
		for _, s := range p.Status.ContainerStatuses {
			if s.Name != c.Name {
				continue
			}
			out.Ready, out.RestartCount = s.Ready, s.RestartCount
			if s.State.Running != nil {
				out.Running, out.StartedAt = true, s.State.Running.StartedAt.Time
			}
		}
		if i == 0 {
			v.Running, v.Started, v.Restarts = out.Running, out.StartedAt, out.RestartCount
		}
		v.Containers = append(v.Containers, out)
	}
	return v
}

// settingsOf is a pod's environment as its container gets it when it starts.
func (w *watcher) settingsOf(p *corev1.Pod) map[string]string {
	out := map[string]string{}
	configMaps := w.factory.Core().V1().ConfigMaps().Lister().ConfigMaps(p.Namespace)
	c := p.Spec.Containers[0]
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil {
			continue
		}
		if cm, err := configMaps.Get(from.ConfigMapRef.Name); err == nil {
			for k, v := range cm.Data {
				out[from.Prefix+k] = v
			}
		}
	}
	for _, e := range c.Env {
		out[e.Name] = e.Value
		if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
			if cm, err := configMaps.Get(e.ValueFrom.ConfigMapKeyRef.Name); err == nil {
				out[e.Name] = cm.Data[e.ValueFrom.ConfigMapKeyRef.Key]
			}
		}
	}
	return out
}

func (w *watcher) endpointsOf(s *corev1.Service) []model.Endpoint {
	list, _ := w.factory.Discovery().V1().EndpointSlices().Lister().EndpointSlices(s.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: s.Name}))
	slices.SortFunc(list, func(a, b *discoveryv1.EndpointSlice) int { return strings.Compare(a.Name, b.Name) })
	var out []model.Endpoint
	for _, es := range list {
		for _, port := range es.Ports {
			i := slices.IndexFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return port.Name == nil || p.Name == *port.Name })
			if i < 0 || port.Port == nil {
				continue
			}
			for _, ep := range es.Endpoints {
				if ep.TargetRef == nil {
					continue
				}
				out = append(out, model.Endpoint{
					Pod: ep.TargetRef.Name, Port: s.Spec.Ports[i].Port, TargetPort: *port.Port,
					Ready: ep.Conditions.Ready == nil || *ep.Conditions.Ready,
				})
			}
		}
	}
	return out
}

// policyOf reads a NetworkPolicy, without blocks of addresses: no pod calls what
// is outside.
func (w *watcher) policyOf(p *networkingv1.NetworkPolicy) model.Policy {
	out := model.Policy{Namespace: p.Namespace, Selects: matcher(&p.Spec.PodSelector)}
	for _, t := range p.Spec.PolicyTypes {
		out.Ingress = out.Ingress || t == networkingv1.PolicyTypeIngress
		out.Egress = out.Egress || t == networkingv1.PolicyTypeEgress
	}
	for _, r := range p.Spec.Ingress {
		out.From = append(out.From, w.ruleOf(p.Namespace, r.From, r.Ports))
	}
	for _, r := range p.Spec.Egress {
		out.To = append(out.To, w.ruleOf(p.Namespace, r.To, r.Ports))
	}
	return out
}

func (w *watcher) ruleOf(own string, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) model.Rule {
	var r model.Rule
	for _, p := range ports {
		if p.Port != nil && p.Port.IntVal > 0 {
			r.Ports = append(r.Ports, p.Port.IntVal)
		}
	}
	for _, peer := range peers {
		pods, inNamespace := matcher(peer.PodSelector), func(namespace string) bool { return namespace == own }
		if peer.NamespaceSelector != nil {
			fits := matcher(peer.NamespaceSelector)
			inNamespace = func(namespace string) bool {
				ns, err := w.factory.Core().V1().Namespaces().Lister().Get(namespace)
				return err == nil && fits(ns.Labels)
			}
		}
		block := peer.IPBlock != nil
		r.Peers = append(r.Peers, func(namespace string, l map[string]string) bool {
			return !block && inNamespace(namespace) && pods(l)
		})
	}
	return r
}

// matcher is a label selector as a function; none fits everything.
func matcher(s *metav1.LabelSelector) func(map[string]string) bool {
	if s == nil {
		return func(map[string]string) bool { return true }
	}
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return func(map[string]string) bool { return false }
	}
	return func(l map[string]string) bool { return sel.Matches(labels.Set(l)) }
}
