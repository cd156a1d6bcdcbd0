package kube

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ServiceState is a Service that has to do with a workload: one that chooses its
// pods, or that looks meant to and does not.
type ServiceState struct {
	Ref      Ref               `json:"ref"`
	Selector map[string]string `json:"selector,omitempty"`
	// Chooses is how many of the workload's pods the selector fits.
	Chooses int `json:"chooses"`
	// Wrong says in what the selector differs from the labels of the pods, where
	// it fits none: "app=chekout, the pods have app=checkout".
	Wrong string        `json:"wrong,omitempty"`
	Ports []ServicePort `json:"ports,omitempty"`
	// Ready and Unready are its endpoints, of whatever workload; Known that they
	// could be seen.
	Ready   int  `json:"ready"`
	Unready int  `json:"unready"`
	Known   bool `json:"known"`
	// Changed is when somebody last changed what it says, and By with what
	// program.
	Changed time.Time `json:"changed,omitzero"`
	By      string    `json:"by,omitempty"`
}

// ServicePort is a port of a Service and where it leads.
type ServicePort struct {
	Name   string `json:"name,omitempty"`
	Port   int32  `json:"port"`
	Target string `json:"target"` // a number or a name
	// Astray says that no container of the pods has the target: a name that none
	// has, or a number where they name other ones.
	Astray bool `json:"astray,omitempty"`
	// Listens are the ports that the containers do name.
	Listens []string `json:"listens,omitempty"`
}

// exposure finds the Services that have to do with the workload.
func (s *surveyed) exposure(ctx context.Context) {
	slices, err := s.r.sharedSlices(ctx, s.w.Ref.Namespace)
	s.lacks(err, "the endpoints of Services")
	for _, svc := range s.services {
		state, ok := serviceState(s.w, s.template, s.pods, svc)
		if !ok {
			continue
		}
		if at, by := lastChange(svc.ManagedFields); !at.IsZero() {
			state.Changed, state.By = at, by
		}
		if err == nil {
			state.Known = true
			state.Ready, state.Unready = endpoints(slices, svc.Name)
		}
		s.set(func(o *Survey) { o.Services = append(o.Services, state) })
	}
}

// endpoints counts the addresses of a Service, each once, also where there is a slice for IPv4 and
// one for IPv6.
func endpoints(all []discoveryv1.EndpointSlice, service string) (ready, unready int) {
	seen := map[string]bool{}
	for _, sl := range all {
		if sl.Labels[discoveryv1.LabelServiceName] != service {
			continue
		}
		for _, e := range sl.Endpoints {
			key := strings.Join(e.Addresses, ",")
			if e.TargetRef != nil {
				key = string(e.TargetRef.UID) + e.TargetRef.Name
			}
			switch {
			case seen[key], e.Conditions.Terminating != nil && *e.Conditions.Terminating:
				continue
			case e.Conditions.Ready == nil || *e.Conditions.Ready:
				ready++
			default:
				unready++
			}
			seen[key] = true
		}
	}
	return ready, unready
}

// serviceState tells what a Service has to do with a workload; ok is false where
// that is nothing.
func serviceState(w Workload, t corev1.PodTemplateSpec, pods []corev1.Pod, svc corev1.Service) (ServiceState, bool) {
	out := ServiceState{Ref: Ref{Cluster: w.Ref.Cluster, Namespace: svc.Namespace, Kind: "Service", Name: svc.Name}, Selector: svc.Spec.Selector}
	if len(svc.Spec.Selector) == 0 {
		return out, false // somebody else says where it leads
	}
	sel := labels.SelectorFromSet(svc.Spec.Selector)
	fits := sel.Matches(labels.Set(t.Labels))
	for i := range pods {
		if sel.Matches(labels.Set(pods[i].Labels)) {
			out.Chooses++
		}
	}
	if !fits && out.Chooses == 0 {
		// Is it meant to? It has the workload's name, or asks for a part of the
		// labels and is wrong in the rest.
		agree := 0
		var wrong []string
		for _, k := range sortedKeys(svc.Spec.Selector, nil) {
			if v, has := t.Labels[k]; has && v == svc.Spec.Selector[k] {
				agree++
				continue
			}
			say := k + "=" + svc.Spec.Selector[k] + ", the pods have "
			if v, has := t.Labels[k]; has {
				say += k + "=" + v
			} else {
				say += "no " + k
			}
			wrong = append(wrong, say)
		}
		if svc.Name != w.Ref.Name && (agree == 0 || svc.Labels["app"] != w.Ref.Name && svc.Labels["app.kubernetes.io/name"] != w.Ref.Name) {
			return out, false
		}
		out.Wrong = clip(strings.Join(wrong, "; "))
	}
	var numbers, namesOf []string
	for _, c := range t.Spec.Containers {
		for _, p := range c.Ports {
			numbers = append(numbers, fmt.Sprint(p.ContainerPort))
			if p.Name != "" {
				namesOf = append(namesOf, p.Name)
			}
		}
	}
	for _, p := range svc.Spec.Ports {
		port := ServicePort{Name: p.Name, Port: p.Port, Target: p.TargetPort.String(), Listens: numbers}
		switch {
		case svc.Spec.ClusterIP == corev1.ClusterIPNone && p.TargetPort == intstr.FromInt32(p.Port):
			// Headless: who asks gets the addresses and takes a port of their own.
		case p.TargetPort.Type == intstr.String:
			port.Astray, port.Listens = !slices.Contains(namesOf, p.TargetPort.StrVal), append(slices.Clone(numbers), namesOf...)
		default:
			port.Astray = len(numbers) > 0 && !slices.Contains(numbers, port.Target)
		}
		out.Ports = append(out.Ports, port)
	}
	return out, true
}

// lastChange is when somebody, apart from the cluster's own controllers, last
// changed an object, and with what program. Where nobody did since it was made,
// that is when it was made.
func lastChange(fields []metav1.ManagedFieldsEntry) (time.Time, string) {
	var last Edit
	for _, f := range fields {
		if f.Subresource != "" || f.Time == nil || slices.Contains([]string{"kube-controller-manager", "kubelet", "kube-scheduler"}, f.Manager) {
			continue
		}
		if f.Time.After(last.At) {
			last = Edit{At: f.Time.Time, By: clip(f.Manager)}
		}
	}
	return last.At, last.By
}

// Policy is a NetworkPolicy that holds for the workload's pods.
type Policy struct {
	Ref     Ref       `json:"ref"`
	Ingress bool      `json:"ingress"` // it says who may come in
	Egress  bool      `json:"egress"`  // it says where they may go
	Says    string    `json:"says"`    // in short: "in: from app=web on 8080; out: nothing"
	Changed time.Time `json:"changed,omitzero"`
	By      string    `json:"by,omitempty"`
}

// Blocked is a way between two workloads that NetworkPolicies shut.
type Blocked struct {
	From   Ref    `json:"from"`
	To     Ref    `json:"to"` // a workload, or the cluster's DNS
	Port   int32  `json:"port,omitempty"`
	Policy Ref    `json:"policy"` // one that holds and does not let it through
	Way    string `json:"way"`    // in: To does not let it in; out: From does not let it out
	// Changed is when that policy was last changed.
	Changed time.Time `json:"changed,omitzero"`
}

// policies finds what holds for the workload's pods, and which ways are shut:
// between it and those that its configuration names or whose configuration names
// it, to the cluster's DNS, and in from whoever it may be.
func (s *surveyed) policies(ctx context.Context) {
	s.names()
	all, err := s.r.sharedPolicies(ctx, s.w.Ref.Namespace)
	if s.lacks(err, "the NetworkPolicies of "+s.w.Ref.Namespace) || len(all) == 0 {
		return
	}
	nsLabels := s.r.NamespaceLabels(s.w.Ref.Namespace)
	self := party{s.w.Ref, s.template.Labels, nsLabels, s.template}
	for _, p := range all {
		if !holds(p, self) {
			continue
		}
		at, by := changedOrMade(p.ObjectMeta)
		in, out := directions(p)
		s.set(func(o *Survey) {
			o.Policies = append(o.Policies, Policy{Ref: s.ref("NetworkPolicy", p.Name), Ingress: in, Egress: out, Says: clip(policyText(p)), Changed: at, By: by})
		})
	}
	var blocked []Blocked
	// Whoever is in the namespace may have to do with it; what is shut between
	// any two is told, and who asks knows which of them talk.
	for _, o := range s.others {
		if o.ref == s.w.Ref {
			continue
		}
		other := party{o.ref, o.template.Labels, nsLabels, o.template}
		blocked = append(blocked, shut(all, self, other)...)
		blocked = append(blocked, shut(all, other, self)...)
	}
	dns := party{ref: Ref{Cluster: s.w.Ref.Cluster, Namespace: "kube-system", Kind: "Service", Name: "kube-dns"}, labels: map[string]string{"k8s-app": "kube-dns"}, ns: s.r.NamespaceLabels("kube-system")}
	if b, is := shutOut(all, self, dns, []int32{53}); is {
		blocked = append(blocked, b)
	}
	s.set(func(o *Survey) { o.Blocked = blocked })
}

// party is one end of a way.
type party struct {
	ref        Ref
	labels, ns map[string]string
	template   corev1.PodTemplateSpec
}

func changedOrMade(m metav1.ObjectMeta) (time.Time, string) {
	at, by := lastChange(m.ManagedFields)
	if at.IsZero() {
		at = m.CreationTimestamp.Time
	}
	return at, by
}

// shut tells whether a way between two workloads is shut, and by what.
func shut(all []networkingv1.NetworkPolicy, from, to party) []Blocked {
	var ports []int32
	for _, c := range to.template.Spec.Containers {
		for _, p := range c.Ports {
			ports = append(ports, p.ContainerPort)
		}
	}
	if b, is := shutOut(all, from, to, ports); is {
		return []Blocked{b}
	}
	if b, is := shutIn(all, from, to, ports); is {
		return []Blocked{b}
	}
	return nil
}

// shutOut tells whether from may not go to to. Policies add up: where none holds
// all is allowed, else what one of them allows.
func shutOut(all []networkingv1.NetworkPolicy, from, to party, ports []int32) (Blocked, bool) {
	return blockedBy(all, from, to, ports, "out", from, func(p networkingv1.NetworkPolicy) (bool, bool) {
		_, holds := directions(p)
		return holds, slices.ContainsFunc(p.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool {
			return lets(r.To, p.Namespace, to) && letsPort(r.Ports, ports, to.template)
		})
	})
}

// shutIn tells whether to does not let from in.
func shutIn(all []networkingv1.NetworkPolicy, from, to party, ports []int32) (Blocked, bool) {
	return blockedBy(all, from, to, ports, "in", to, func(p networkingv1.NetworkPolicy) (bool, bool) {
		holds, _ := directions(p)
		return holds, slices.ContainsFunc(p.Spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool {
			return lets(r.From, p.Namespace, from) && letsPort(r.Ports, ports, to.template)
		})
	})
}

func blockedBy(all []networkingv1.NetworkPolicy, from, to party, ports []int32, way string, of party, says func(networkingv1.NetworkPolicy) (holds, allows bool)) (Blocked, bool) {
	var by *networkingv1.NetworkPolicy
	for i := range all {
		if !holds(all[i], of) {
			continue
		}
		applies, allows := says(all[i])
		if !applies {
			continue
		}
		if allows {
			return Blocked{}, false
		}
		at, _ := changedOrMade(all[i].ObjectMeta)
		if by == nil {
			by = &all[i]
		} else if was, _ := changedOrMade(by.ObjectMeta); at.After(was) {
			by = &all[i] // the newest is the one that somebody wonders about
		}
	}
	if by == nil {
		return Blocked{}, false
	}
	at, _ := changedOrMade(by.ObjectMeta)
	b := Blocked{From: from.ref, To: to.ref, Way: way, Changed: at, Policy: Ref{Cluster: of.ref.Cluster, Namespace: by.Namespace, Kind: "NetworkPolicy", Name: by.Name}}
	if len(ports) > 0 {
		b.Port = ports[0]
	}
	return b, true
}

// holds reports whether a policy is about somebody's pods.
func holds(p networkingv1.NetworkPolicy, of party) bool {
	return p.Namespace == of.ref.Namespace && selects(&p.Spec.PodSelector, of.labels)
}

// directions tells what a policy is about; without types it is what comes in,
// and what goes out where it says something of that.
func directions(p networkingv1.NetworkPolicy) (in, out bool) {
	if len(p.Spec.PolicyTypes) == 0 {
		return true, len(p.Spec.Egress) > 0
	}
	return slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress), slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
}

// lets reports whether peers include somebody. No peers are all. Blocks of
// addresses are taken to include nobody in the cluster but where they are all
// addresses: a pod's address says little about a workload.
func lets(peers []networkingv1.NetworkPolicyPeer, namespace string, who party) bool {
	if len(peers) == 0 {
		return true
	}
	return slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		switch {
		case p.IPBlock != nil:
			return strings.HasSuffix(p.IPBlock.CIDR, "/0") || privateBlock(p.IPBlock.CIDR)
		case p.NamespaceSelector != nil:
			return selects(p.NamespaceSelector, who.ns) && (p.PodSelector == nil || selects(p.PodSelector, who.labels))
		case p.PodSelector != nil:
			return who.ref.Namespace == namespace && selects(p.PodSelector, who.labels)
		}
		return false
	})
}

// privateBlock reports whether a block is so big and private that pods are
// likely in it: nobody is then said to be shut out who may not be.
func privateBlock(cidr string) bool {
	return slices.ContainsFunc([]string{"10.", "172.", "192.168.", "100.", "fc", "fd"}, func(p string) bool { return strings.HasPrefix(cidr, p) })
}

// letsPort reports whether one of the ports is let through; none known is any.
func letsPort(rules []networkingv1.NetworkPolicyPort, ports []int32, t corev1.PodTemplateSpec) bool {
	if len(rules) == 0 || len(ports) == 0 {
		return true
	}
	return slices.ContainsFunc(rules, func(r networkingv1.NetworkPolicyPort) bool {
		if r.Port == nil {
			return true
		}
		if r.Port.Type == intstr.String {
			return slices.ContainsFunc(t.Spec.Containers, func(c corev1.Container) bool {
				return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == r.Port.StrVal })
			})
		}
		return slices.ContainsFunc(ports, func(n int32) bool {
			return n == r.Port.IntVal || r.EndPort != nil && n >= r.Port.IntVal && n <= *r.EndPort
		})
	})
}

func selects(sel *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(sel)
	return err == nil && s.Matches(labels.Set(set))
}

// policyText says in short what a policy lets through.
func policyText(p networkingv1.NetworkPolicy) string {
	ways := func(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) string {
		var who, on []string
		for _, p := range peers {
			switch {
			case p.IPBlock != nil:
				who = append(who, p.IPBlock.CIDR)
			case p.NamespaceSelector != nil:
				who = append(who, "namespaces "+cmp.Or(metav1.FormatLabelSelector(p.NamespaceSelector), "all"))
			default:
				who = append(who, metav1.FormatLabelSelector(p.PodSelector))
			}
		}
		for _, p := range ports {
			if p.Port != nil {
				on = append(on, p.Port.String())
			}
		}
		out := cmp.Or(strings.Join(who, " or "), "anybody")
		if len(on) > 0 {
			out += " on " + strings.Join(on, ", ")
		}
		return out
	}
	in, out := directions(p)
	var say []string
	if in {
		var rules []string
		for _, r := range p.Spec.Ingress {
			rules = append(rules, ways(r.From, r.Ports))
		}
		say = append(say, "in: "+cmp.Or(strings.Join(rules, "; "), "nobody"))
	}
	if out {
		var rules []string
		for _, r := range p.Spec.Egress {
			rules = append(rules, ways(r.To, r.Ports))
		}
		say = append(say, "out: "+cmp.Or(strings.Join(rules, "; "), "nowhere"))
	}
	return strings.Join(say, "; ")
}

// hostWord is what may be the name of a host in the value of a variable.
var hostWord = regexp.MustCompile(`[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?`)

// names finds which Services a workload's configuration names, and whose names
// it: that is who talks to whom, where nothing measures it.
func (s *surveyed) names() {
	services := map[string]corev1.Service{}
	for _, svc := range s.services {
		services[svc.Name] = svc
	}
	own := map[string]bool{s.w.Ref.Name: true}
	for _, svc := range s.services {
		if len(svc.Spec.Selector) > 0 && labels.SelectorFromSet(svc.Spec.Selector).Matches(labels.Set(s.template.Labels)) {
			own[svc.Name] = true
		}
	}
	var talks, heard []Ref
	for _, n := range namedIn(s.template.Spec) {
		if _, is := services[n]; is && !own[n] {
			talks = append(talks, s.ref("Service", n))
		}
	}
	for _, o := range s.others {
		if o.ref != s.w.Ref && slices.ContainsFunc(namedIn(o.template.Spec), func(n string) bool { return own[n] }) {
			heard = append(heard, o.ref)
		}
	}
	s.set(func(o *Survey) { o.Talks, o.Heard = talks, heard })
}

// namedIn are the names in the variables and arguments of containers that stand
// where a host does: in a URL, before a port, as a whole, or before a cluster's
// own domain.
func namedIn(p corev1.PodSpec) []string {
	seen := map[string]bool{}
	for _, c := range slices.Concat(p.InitContainers, p.Containers) {
		values := slices.Concat(c.Command, c.Args)
		for _, e := range c.Env {
			values = append(values, e.Value)
		}
		for _, v := range values {
			for _, h := range hosts(v) {
				seen[h] = true
			}
		}
	}
	return sortedKeys(seen, nil)
}

func hosts(v string) []string {
	var out []string
	for _, part := range strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(" ,;\"'=", r) }) {
		host := part
		if u, err := url.Parse(part); err == nil && u.Host != "" {
			host = u.Hostname()
		} else if h, _, found := strings.Cut(part, ":"); found {
			host = h
		}
		host, _, _ = strings.Cut(host, ".") // payments.shop.svc.cluster.local
		if hostWord.FindString(host) == host && host != "" {
			out = append(out, host)
		}
	}
	return out
}

// Behind returns the workloads that a Service leads to, by its selector: also
// where they have no pods now. A Service that is not there leads nowhere.
func (r *Reader) Behind(ctx context.Context, service Ref) ([]Workload, error) {
	svc, err := r.client.CoreV1().Services(service.Namespace).Get(ctx, service.Name, metav1.GetOptions{ResourceVersion: "0"})
	if apierrors.IsNotFound(err) || err == nil && len(svc.Spec.Selector) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, r.cluster.sentence(err, "look where the Service "+service.Name+" leads")
	}
	all, err := r.Find(ctx, Query{Namespace: service.Namespace})
	if err != nil {
		return nil, err
	}
	// A workload's own selector is a part of what its pods have, and mostly says
	// all that a Service goes by. Where it does not, the name does.
	sel := labels.SelectorFromSet(svc.Spec.Selector)
	out := slices.DeleteFunc(slices.Clone(all), func(w Workload) bool { return len(w.Selector) == 0 || !sel.Matches(labels.Set(w.Selector)) })
	if len(out) == 0 {
		out = slices.DeleteFunc(all, func(w Workload) bool { return w.Ref.Name != service.Name })
	}
	return out, nil
}

// Behind returns the workloads that a Service leads to.
func (f *Fleet) Behind(ctx context.Context, service Ref) ([]Workload, error) {
	r, err := f.reader(ctx, service.Cluster)
	if err != nil {
		return nil, err
	}
	return r.Behind(ctx, service)
}
