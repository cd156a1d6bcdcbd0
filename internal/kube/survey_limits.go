package kube

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// QuotaState is one limit of a ResourceQuota and how much of it is used.
type QuotaState struct {
	Name     string  `json:"name"`     // of the ResourceQuota
	Resource string  `json:"resource"` // "pods", "limits.cpu"
	Used     float64 `json:"used"`
	Hard     float64 `json:"hard"`
	Text     string  `json:"text"` // "3 of 3"
}

// Full is how much of it is used, 0 to 1 and beyond.
func (q QuotaState) Full() float64 {
	if q.Hard == 0 {
		return 1
	}
	return q.Used / q.Hard
}

func (s *surveyed) quotas(ctx context.Context) {
	all, err := s.r.sharedQuotas(ctx, s.w.Ref.Namespace)
	if s.lacks(err, "the quotas of "+s.w.Ref.Namespace) {
		return
	}
	var out []QuotaState
	for _, q := range all {
		for _, name := range slices.Sorted(maps.Keys(q.Status.Hard)) {
			hard, used := q.Status.Hard[name], q.Status.Used[name]
			out = append(out, QuotaState{
				Name: q.Name, Resource: string(name), Used: used.AsApproximateFloat64(), Hard: hard.AsApproximateFloat64(),
				Text: used.String() + " of " + hard.String(),
			})
		}
	}
	s.set(func(o *Survey) { o.Quotas = out })
}

// ScalerState is a workload's autoscaler as it is now.
type ScalerState struct {
	Name    string `json:"name"`
	Min     int32  `json:"min"`
	Max     int32  `json:"max"`
	Current int32  `json:"current"`
	Desired int32  `json:"desired"`
	// Limited says that it wants more than Max lets it have.
	Limited bool `json:"limited"`
	// Blind is why it cannot measure or scale, "" where it can.
	Blind    string    `json:"blind,omitempty"`
	Targets  []string  `json:"targets,omitempty"` // "cpu 180 % of 70 %"
	LastMove time.Time `json:"last_move,omitzero"`
	// Changed is when somebody last changed what it says, and By with what.
	Changed time.Time `json:"changed,omitzero"`
	By      string    `json:"by,omitempty"`
}

func (s *surveyed) scaler(ctx context.Context) {
	all, err := s.r.sharedScalers(ctx, s.w.Ref.Namespace)
	if s.lacks(err, "its autoscaler") {
		return
	}
	for i := range all {
		if s.scales(&all[i]) {
			return
		}
	}
}

// scales notes an autoscaler, and reports whether it is the workload's.
func (s *surveyed) scales(h *autoscalingv2.HorizontalPodAutoscaler) bool {
	if h.Spec.ScaleTargetRef.Kind != s.w.Ref.Kind || h.Spec.ScaleTargetRef.Name != s.w.Ref.Name {
		return false
	}
	state := scalerState(h)
	s.set(func(o *Survey) { o.Scaler = &state })
	return true
}

func scalerState(h *autoscalingv2.HorizontalPodAutoscaler) ScalerState {
	out := ScalerState{Name: h.Name, Min: 1, Max: h.Spec.MaxReplicas, Current: h.Status.CurrentReplicas, Desired: h.Status.DesiredReplicas}
	if h.Spec.MinReplicas != nil {
		out.Min = *h.Spec.MinReplicas
	}
	if h.Status.LastScaleTime != nil {
		out.LastMove = h.Status.LastScaleTime.Time
	}
	out.Changed, out.By = changedOrMade(h.ObjectMeta)
	for _, c := range h.Status.Conditions {
		switch {
		case c.Type == autoscalingv2.ScalingLimited && c.Status == corev1.ConditionTrue && c.Reason == "TooManyReplicas":
			out.Limited = true
		case (c.Type == autoscalingv2.ScalingActive || c.Type == autoscalingv2.AbleToScale) && c.Status == corev1.ConditionFalse:
			out.Blind = clipTo(c.Message, messageLimit)
		}
	}
	for _, m := range h.Spec.Metrics {
		if m.Resource == nil || m.Resource.Target.AverageUtilization == nil {
			continue
		}
		for _, now := range h.Status.CurrentMetrics {
			if now.Resource != nil && now.Resource.Name == m.Resource.Name && now.Resource.Current.AverageUtilization != nil {
				is, want := *now.Resource.Current.AverageUtilization, *m.Resource.Target.AverageUtilization
				out.Targets = append(out.Targets, fmt.Sprintf("%s %d %% of %d %%", m.Resource.Name, is, want))
				out.Limited = out.Limited || out.Current >= out.Max && is > want
			}
		}
	}
	return out
}

// Claim is a PersistentVolumeClaim that pods of the workload use.
type Claim struct {
	Name    string `json:"name"`
	Phase   string `json:"phase"` // Pending, Bound, Lost; "" where it is not there
	Missing bool   `json:"missing,omitempty"`
	Class   string `json:"class,omitempty"`
	// NoClass says that there is no StorageClass of that name.
	NoClass bool   `json:"no_class,omitempty"`
	Size    string `json:"size,omitempty"`
	Why     string `json:"why,omitempty"` // what the newest warning about it says
	Pods    int    `json:"pods"`          // how many use it
}

// claims looks at the volumes that the workload's pods ask for.
func (s *surveyed) claims(ctx context.Context) {
	used := map[string]int{}
	for _, p := range s.pods {
		for _, v := range p.Spec.Volumes {
			if v.PersistentVolumeClaim != nil {
				used[v.PersistentVolumeClaim.ClaimName]++
			}
		}
	}
	if len(s.pods) == 0 { // none could be made: what they would ask for
		for _, v := range s.template.Spec.Volumes {
			if v.PersistentVolumeClaim != nil {
				used[v.PersistentVolumeClaim.ClaimName] = 0
			}
		}
	}
	if len(used) == 0 {
		return
	}
	l, err := s.r.client.CoreV1().PersistentVolumeClaims(s.w.Ref.Namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if s.lacks(err, "its volumes") {
		return
	}
	var out []Claim
	for _, name := range sortedKeys(used, nil) {
		c := Claim{Name: name, Pods: used[name]}
		i := slices.IndexFunc(l.Items, func(p corev1.PersistentVolumeClaim) bool { return p.Name == name })
		if i < 0 {
			c.Missing = true
			out = append(out, c)
			continue
		}
		p := l.Items[i]
		c.Phase, c.Class = string(p.Status.Phase), fromPtr(p.Spec.StorageClassName)
		size := p.Spec.Resources.Requests[corev1.ResourceStorage]
		c.Size = size.String()
		if c.Phase == string(corev1.ClaimPending) {
			c.Why = clipTo(lastWarning(s.events, name), messageLimit)
			if c.Why == "" { // waiting for a volume is no warning to Kubernetes
				for _, e := range slices.Backward(s.events) {
					if e.InvolvedObject.Name == name && e.InvolvedObject.Kind == "PersistentVolumeClaim" {
						c.Why = clipTo(e.Message, messageLimit)
						break
					}
				}
			}
			if c.Class != "" {
				_, err := s.r.client.StorageV1().StorageClasses().Get(ctx, c.Class, metav1.GetOptions{})
				if c.NoClass = apierrors.IsNotFound(err); !c.NoClass {
					s.lacks(err, "the StorageClass "+c.Class)
				}
			}
		}
		out = append(out, c)
	}
	s.set(func(o *Survey) { o.Claims = out })
}

// NodeHealth is how a node is.
type NodeHealth struct {
	Name     string `json:"name"`
	Ready    bool   `json:"ready"`
	Cordoned bool   `json:"cordoned,omitempty"`
	// Bad are its conditions that are not as they should be: not ready, short of
	// memory, disk or process ids, without network.
	Bad  []Condition `json:"bad,omitempty"`
	Pods int         `json:"pods"` // of the workload, on it
	// Changed is when its readiness last changed.
	Changed time.Time `json:"changed,omitzero"`
}

// Neighbour is a pod that shares a node with pods of the workload.
type Neighbour struct {
	Node string `json:"node"`
	Pod  Ref    `json:"pod"`
	// Owner is what made it.
	Owner   Ref       `json:"owner"`
	Created time.Time `json:"created"`
}

// onNodes counts the workload's pods on each node.
func (s *surveyed) onNodes() map[string]int {
	on := map[string]int{}
	for _, p := range s.pods {
		if p.Spec.NodeName != "" && p.DeletionTimestamp == nil {
			on[p.Spec.NodeName]++
		}
	}
	return on
}

// nodes tells how the nodes are that the workload's pods are on, and which are
// not well. They are watched.
func (s *surveyed) nodes() {
	if s.r.nodes == nil {
		s.out.Missing = append(s.out.Missing, "the nodes: the cluster does not allow it")
		return
	}
	on := s.onNodes()
	for _, o := range s.r.nodes.GetStore().List() {
		n, ok := o.(*corev1.Node)
		if !ok {
			continue
		}
		h := nodeHealth(n)
		if h.Pods = on[n.Name]; h.Pods > 0 || len(h.Bad) > 0 {
			s.out.Nodes = append(s.out.Nodes, h)
		}
	}
	slices.SortFunc(s.out.Nodes, func(a, b NodeHealth) int { return cmp.Compare(a.Name, b.Name) })
}

// neighbours tells what else runs on the nodes that the workload's pods are on.
func (s *surveyed) neighbours() {
	on := s.onNodes()
	if s.r.pods == nil || len(on) == 0 {
		return
	}
	for _, o := range s.r.pods.GetStore().List() {
		p, ok := o.(*corev1.Pod)
		if !ok || on[p.Spec.NodeName] == 0 || p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning {
			continue
		}
		kind, name := owner(p)
		if p.Namespace == s.w.Ref.Namespace && kind == s.w.Ref.Kind && name == s.w.Ref.Name {
			continue
		}
		s.out.Neighbours = append(s.out.Neighbours, Neighbour{
			Node: p.Spec.NodeName, Pod: Ref{s.w.Ref.Cluster, p.Namespace, Pod, p.Name},
			Owner: Ref{s.w.Ref.Cluster, p.Namespace, kind, name}, Created: p.CreationTimestamp.Time,
		})
	}
	slices.SortFunc(s.out.Neighbours, func(a, b Neighbour) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Pod.Namespace, b.Pod.Namespace), cmp.Compare(a.Pod.Name, b.Pod.Name))
	})
}

func nodeHealth(n *corev1.Node) NodeHealth {
	out := NodeHealth{Name: n.Name, Cordoned: n.Spec.Unschedulable}
	for _, c := range n.Status.Conditions {
		good := corev1.ConditionFalse
		if c.Type == corev1.NodeReady {
			good, out.Ready, out.Changed = corev1.ConditionTrue, c.Status == corev1.ConditionTrue, c.LastTransitionTime.Time
		}
		if c.Status != good {
			out.Bad = append(out.Bad, Condition{string(c.Type), string(c.Status), clip(c.Reason), clipTo(c.Message, messageLimit), c.LastTransitionTime.Time})
		}
	}
	return out
}

// dns finds what answers for names in the cluster.
func (s *surveyed) dns(ctx context.Context) {
	all, err := s.r.Find(ctx, Query{Namespace: "kube-system"})
	if err != nil {
		return // the watch cannot fail
	}
	for _, w := range all {
		if w.Labels["k8s-app"] == "kube-dns" || w.Selector["k8s-app"] == "kube-dns" || strings.HasPrefix(w.Ref.Name, "coredns") {
			s.set(func(o *Survey) { o.DNS = append(o.DNS, w) })
		}
	}
}
