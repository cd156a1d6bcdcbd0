package kube

import (
	"context"
	"slices"
)

// part is a part of a survey, what one must be allowed to list to see it, and how
// it is left out.
type part struct {
	what            string
	group, resource string
	hide            func()
}

// veil leaves out the parts of a survey that the person may not see, and the
// nodes, and names them.
func (v *View) veil(ctx context.Context, ref Ref, s *Survey, parts []part) error {
	for _, p := range parts {
		r := listOf(p.group, p.resource)
		r.Namespace = ref.Namespace
		yes, err := v.anywhere(ctx, ref.Cluster, r)
		if err != nil {
			return err
		}
		if !yes {
			p.hide()
			s.Missing = append(s.Missing, p.what+": you may not see them")
		}
	}
	if yes, err := v.may(ctx, ref.Cluster, listOf("", "nodes")); err != nil || !yes {
		s.Nodes = nil
		s.Events = slices.DeleteFunc(s.Events, func(h Happening) bool { return h.About.Kind == Node })
		s.Missing = append(s.Missing, "the nodes: you may not see them")
	}
	return nil
}

// Glance looks at what is next to a workload, as far as the person may see that.
func (v *View) Glance(ctx context.Context, w Workload) (Survey, error) {
	if err := v.needRef(ctx, w.Ref); err != nil {
		return Survey{Workload: w}, err
	}
	s, err := v.fleet.Glance(ctx, w)
	if err != nil {
		return s, err
	}
	err = v.veil(ctx, w.Ref, &s, []part{
		{"its pods", "", "pods", func() { s.Pods = nil }},
		{"the Services", "", "services", func() { s.Services = nil }},
		{"its autoscaler", "autoscaling", "horizontalpodautoscalers", func() { s.Scaler = nil }},
	})
	if err != nil {
		return Survey{Workload: w}, err
	}
	return s, nil
}

// Survey looks at a workload and all around it, as far as the person may see
// that. What they may not is left out and named.
func (v *View) Survey(ctx context.Context, w Workload) (Survey, error) {
	if err := v.needRef(ctx, w.Ref); err != nil {
		return Survey{Workload: w}, err
	}
	s, err := v.fleet.Survey(ctx, w)
	if err != nil {
		return s, err
	}
	if err := v.veil(ctx, w.Ref, &s, []part{
		{"its pods", "", "pods", func() { s.Pods, s.Neighbours, s.Workload.Progress.Stuck = nil, nil, nil }},
		{"its earlier versions", "apps", revisionsOf(w.Ref.Kind), func() { s.Changes = nil }},
		{"the Services", "", "services", func() { s.Services, s.Talks = nil, nil }},
		{"the ConfigMaps", "", "configmaps", func() { s.References = nil }},
		{"the volumes", "", "persistentvolumeclaims", func() { s.Claims = nil }},
		{"the quotas", "", "resourcequotas", func() { s.Quotas = nil }},
		{"the NetworkPolicies", "networking.k8s.io", "networkpolicies", func() { s.Policies, s.Blocked = nil, nil }},
		{"its autoscaler", "autoscaling", "horizontalpodautoscalers", func() { s.Scaler = nil }},
		{"the events", "", "events", func() { s.Events = nil }},
	}); err != nil {
		return Survey{Workload: w}, err
	}
	if s.Neighbours, err = visible(ctx, v, s.Neighbours, func(n Neighbour) Ref { return n.Pod }); err != nil {
		return Survey{Workload: w}, err
	}
	if s.DNS, err = visible(ctx, v, s.DNS, func(w Workload) Ref { return w.Ref }); err != nil {
		return Survey{Workload: w}, err
	}
	if s.Heard, err = visible(ctx, v, s.Heard, func(r Ref) Ref { return r }); err != nil {
		return Survey{Workload: w}, err
	}
	seen := func(r Ref) bool { return r.Kind == "Service" || r == w.Ref || v.Sees(ctx, r) }
	s.Blocked = slices.DeleteFunc(s.Blocked, func(b Blocked) bool { return !seen(b.From) || !seen(b.To) })
	slices.Sort(s.Missing)
	return s, nil
}

func revisionsOf(kind string) string {
	if kind == Deployment {
		return "replicasets"
	}
	return "controllerrevisions"
}

// Events returns what happened, to whom may see events there: those of a node
// are everybody's who may see nodes.
func (v *View) Events(ctx context.Context, q EventQuery) ([]Happening, bool, error) {
	r := listOf("", "events")
	r.Namespace = q.Namespace
	switch {
	case q.Workload != nil:
		if err := v.needRef(ctx, q.Workload.Ref); err != nil {
			return nil, false, err
		}
		r.Namespace = q.Workload.Ref.Namespace
	case q.Node != "":
		r.Namespace = ""
		if err := v.needRef(ctx, Ref{Cluster: q.Cluster, Kind: Node, Name: q.Node}); err != nil {
			return nil, false, err
		}
	}
	if err := v.need(ctx, q.Cluster, r); err != nil {
		return nil, false, err
	}
	return v.fleet.Events(ctx, q)
}

// Behind returns the workloads that a Service leads to and the person may see.
func (v *View) Behind(ctx context.Context, service Ref) ([]Workload, error) {
	if err := v.needRef(ctx, service); err != nil {
		return nil, err
	}
	ws, err := v.fleet.Behind(ctx, service)
	if err != nil {
		return nil, err
	}
	return visible(ctx, v, ws, func(w Workload) Ref { return w.Ref })
}
