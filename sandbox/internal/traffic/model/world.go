package model

import (
	"slices"
	"time"
)

// World is the cluster as it stands: nothing in it is made up.
type World struct {
	Pods     []Pod
	Services map[ID]Exposed
	Nodes    map[string]Node
	// Policies are what NetworkPolicies let through.
	Policies []Policy
}

// Pod is a pod that was put on a node.
type Pod struct {
	Namespace, Name, UID, Node, IP string
	App                            string // the label of its selector
	Labels                         map[string]string
	Running                        bool // its containers run
	Ready                          bool
	Started                        time.Time // of its main container
	Restarts                       int32
	Containers                     []Container
	// Ports are those that its containers say they listen on.
	Ports []int32
	// Settings are its environment, as it was when the container started.
	Settings map[string]string
	// Idle is what a pod that the shop does not know uses.
	Idle Usage
}

// Usage is CPU in cores and memory in bytes.
type Usage struct{ CPU, Memory float64 }

// Container is what a pod's container may use. No limit is 0.
type Container struct {
	Name, Image, Tag           string
	CPULimit, CPURequest       float64 // cores
	MemoryLimit, MemoryRequest float64 // bytes
	Ready, Running             bool
	RestartCount               int32
	StartedAt                  time.Time
}

// Container returns a container by name, nil if there is none.
func (p *Pod) Container(name string) *Container {
	for i := range p.Containers {
		if p.Containers[i].Name == name {
			return &p.Containers[i]
		}
	}
	return nil
}

// Exposed is a Service of the cluster with what its EndpointSlices hold.
type Exposed struct {
	ClusterIP string // "None" for a headless one
	Ports     []int32
	Endpoints []Endpoint
}

// Endpoint is a pod behind a Service's port.
type Endpoint struct {
	Pod        string
	Port       int32 // of the Service
	TargetPort int32
	Ready      bool
}

// Node is what a node has.
type Node struct {
	Name   string
	Ready  bool
	CPUs   float64
	Memory float64
}

// Policy is a NetworkPolicy, in the parts that matter to pods calling pods.
type Policy struct {
	Namespace       string
	Selects         func(labels map[string]string) bool
	Ingress, Egress bool // which directions it holds for
	From, To        []Rule
}

// Rule lets traffic through: any of the peers, on any of the ports; none means all.
type Rule struct {
	Peers []func(namespace string, labels map[string]string) bool
	Ports []int32 // of the pod, not of the Service
}

func (r Rule) allows(namespace string, labels map[string]string, port int32) bool {
	if len(r.Ports) > 0 && !slices.Contains(r.Ports, port) {
		return false
	}
	if len(r.Peers) == 0 {
		return true
	}
	return slices.ContainsFunc(r.Peers, func(is func(string, map[string]string) bool) bool { return is(namespace, labels) })
}

// allowed says whether the policies let one pod call another; from is nil for
// what comes from outside.
func (w *World) allowed(from, to *Pod, port int32) bool {
	one := func(p *Pod, other *Pod, ingress bool) bool {
		selected := false
		for _, policy := range w.Policies {
			holds, rules := policy.Egress, policy.To
			if ingress {
				holds, rules = policy.Ingress, policy.From
			}
			if !holds || policy.Namespace != p.Namespace || !policy.Selects(p.Labels) {
				continue
			}
			selected = true
			namespace, labels := "", map[string]string(nil)
			if other != nil {
				namespace, labels = other.Namespace, other.Labels
			}
			if slices.ContainsFunc(rules, func(r Rule) bool { return r.allows(namespace, labels, port) }) {
				return true
			}
		}
		return !selected
	}
	if len(w.Policies) == 0 {
		return true
	}
	return one(to, from, true) && (from == nil || one(from, to, false))
}
