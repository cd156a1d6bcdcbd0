package kube

import (
	"context"
	"slices"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Cluster is the name of the home cluster.
func (v *View) Cluster() string { return v.fleet.Cluster() }

// Clusters are the names of all clusters, home first. They stand in the
// configuration; no cluster guards them.
func (v *View) Clusters() []string { return v.fleet.Clusters() }

// Production reports whether a cluster is one that others depend on.
func (v *View) Production(cluster string) bool { return v.fleet.Production(cluster) }

// Namespace is where names are looked for first in a cluster.
func (v *View) Namespace(cluster string) string { return v.fleet.Namespace(cluster) }

// Namespaces lists the namespaces of a cluster in which the person may see
// something, as last seen.
func (v *View) Namespaces(ctx context.Context, cluster string) []string {
	in, _, err := v.spaces(ctx, cluster, workloadsSeen()...)
	if err != nil {
		return nil
	}
	return in
}

// Seen returns the workloads of a name that the person may see.
func (v *View) Seen(ctx context.Context, name string) []Ref {
	return slices.DeleteFunc(v.fleet.Seen(ctx, name), func(ref Ref) bool { return !v.Sees(ctx, ref) })
}

// Find returns the workloads that fit and that the person may see. Where a
// namespace is named of which they may see none, it says so.
func (v *View) Find(ctx context.Context, q Query) ([]Workload, error) {
	if _, err := viewer(ctx); err != nil {
		return nil, err
	}
	ws, err := v.fleet.Find(ctx, q)
	if err != nil {
		return nil, err
	}
	out, err := visible(ctx, v, ws, func(w Workload) Ref { return w.Ref })
	if err != nil || len(out) > 0 || q.Namespace == "" {
		return out, err
	}
	return out, v.needAny(ctx, q.Cluster, q.Namespace, q.Kind, q.Name)
}

// needAny refuses a namespace in which the person may see no workload of a kind,
// "" being any. It says the same of a namespace that is not there.
func (v *View) needAny(ctx context.Context, cluster, namespace, kind, name string) error {
	kinds := []string{Deployment, StatefulSet, DaemonSet}
	if kind != "" {
		kinds = []string{kind}
	}
	var first error
	for _, k := range kinds {
		err := v.needRef(ctx, Ref{Cluster: cluster, Namespace: namespace, Kind: k, Name: name})
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// visible keeps what the person of a context may see.
func visible[T any](ctx context.Context, v *View, all []T, ref func(T) Ref) ([]T, error) {
	type space struct{ cluster, namespace, kind string }
	whole := map[space]bool{}
	var out []T
	for _, o := range all {
		r := ref(o)
		s := space{r.Cluster, r.Namespace, r.Kind}
		yes, asked := whole[s]
		var err error
		if !asked {
			if yes, err = v.sees(ctx, Ref{Cluster: r.Cluster, Namespace: r.Namespace, Kind: r.Kind}); err != nil {
				return nil, err
			}
			whole[s] = yes
		}
		if !yes {
			one := rightOn(r.Kind)
			one.Verb, one.Namespace, one.Name = "get", r.Namespace, r.Name
			if len(all) <= fewNamed { // a right may be for one name
				if yes, err = v.may(ctx, r.Cluster, one); err != nil {
					return nil, err
				}
			}
		}
		if yes {
			out = append(out, o)
		}
	}
	return out, nil
}

// fewNamed is up to how many objects are asked about one by one.
const fewNamed = 8

// Get returns one workload as the watch last saw it.
func (v *View) Get(ctx context.Context, ref Ref) (Workload, error) {
	if err := v.needRef(ctx, ref); err != nil {
		return Workload{}, err
	}
	return v.fleet.Get(ctx, ref)
}

// kindsOf are what a list shows objects of.
func kindsOf(list string) []Right {
	switch list {
	case "workloads":
		return []Right{listOf("apps", "deployments"), listOf("apps", "statefulsets"), listOf("apps", "daemonsets")}
	case "deployments", "statefulsets", "daemonsets":
		return []Right{listOf("apps", list)}
	case "jobs", "cronjobs":
		return []Right{listOf("batch", list)}
	case "pods", "services", "nodes", "namespaces":
		return []Right{listOf("", list)}
	}
	return nil
}

// List lists the objects of a kind that the person may see in one cluster.
func (v *View) List(ctx context.Context, q ListQuery) (Table, error) {
	if _, err := viewer(ctx); err != nil {
		return Table{}, err
	}
	rights := kindsOf(q.Kind)
	switch {
	case q.Kind == "clusters" || rights == nil:
		return v.fleet.List(ctx, q)
	case q.Kind == "nodes":
		if err := v.need(ctx, q.Cluster, rights[0]); err != nil {
			return Table{}, err
		}
		return v.fleet.List(ctx, q)
	case q.Kind == "namespaces":
		t, err := v.fleet.List(ctx, q)
		mine := v.Namespaces(ctx, q.Cluster)
		t.Items = slices.DeleteFunc(t.Items, func(i Item) bool { return !slices.Contains(mine, i.Name) })
		return t, err
	}
	return v.listIn(ctx, q, rights)
}

// listIn lists what has a namespace, namespace by namespace where the person
// may not see all of them.
func (v *View) listIn(ctx context.Context, q ListQuery, rights []Right) (Table, error) {
	spaces := []string{q.Namespace}
	t := Table{Kind: q.Kind}
	if q.Namespace == "" {
		in, _, err := v.spaces(ctx, q.Cluster, rights...)
		if err != nil {
			return t, err
		}
		spaces = in
	}
	var refused error
	shown := false
	for i, r := range rights {
		kind := q.Kind
		if len(rights) > 1 {
			kind = r.Resource // of the workloads, kind by kind: each is a right of its own
		}
		if err := v.need(ctx, q.Cluster, r); err == nil && q.Namespace == "" {
			part, err := v.fleet.List(ctx, ListQuery{Cluster: q.Cluster, Kind: kind})
			if err != nil {
				return t, err
			}
			t.Columns, t.Items, shown = part.Columns, append(t.Items, part.Items...), true
			continue
		}
		for _, ns := range spaces {
			r.Namespace = ns
			if err := v.need(ctx, q.Cluster, r); err != nil {
				if i == 0 {
					refused = err
				}
				continue
			}
			part, err := v.fleet.List(ctx, ListQuery{Cluster: q.Cluster, Kind: kind, Namespace: ns})
			if err != nil {
				return t, err
			}
			t.Columns, t.Items, shown = part.Columns, append(t.Items, part.Items...), true
		}
	}
	if !shown {
		if refused == nil {
			refused = v.need(ctx, q.Cluster, rights[0])
		}
		return t, refused
	}
	slices.SortStableFunc(t.Items, func(a, b Item) int { return compareNames(a.Name, b.Name) })
	return t, nil
}

func compareNames(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// History returns the revisions of a workload.
func (v *View) History(ctx context.Context, w Workload) ([]Revision, error) {
	if err := v.needRef(ctx, w.Ref); err != nil {
		return nil, err
	}
	r := listOf("apps", "replicasets")
	if w.Ref.Kind != Deployment {
		r.Resource = "controllerrevisions"
	}
	r.Namespace = w.Ref.Namespace
	if err := v.need(ctx, w.Ref.Cluster, r); err != nil {
		return nil, err
	}
	return v.fleet.History(ctx, w)
}

// Diagnose returns a workload's progress; the reason it is stuck is in its pods
// and told to whom may see them.
func (v *View) Diagnose(ctx context.Context, w Workload) (Progress, error) {
	if err := v.needRef(ctx, w.Ref); err != nil {
		return Progress{}, err
	}
	pods := listOf("", "pods")
	pods.Namespace = w.Ref.Namespace
	if yes, err := v.anywhere(ctx, w.Ref.Cluster, pods); err != nil || !yes {
		return w.Progress, err
	}
	return v.fleet.Diagnose(ctx, w)
}

// AutoscalerOf returns the autoscaler of a workload, if it has one. It is asked
// before a change, which must not overlook it: a person who may see the workload
// learns of it.
func (v *View) AutoscalerOf(ctx context.Context, ref Ref) (Autoscaler, bool, error) {
	if err := v.needRef(ctx, ref); err != nil {
		return Autoscaler{}, false, err
	}
	return v.fleet.AutoscalerOf(ctx, ref)
}

// OwnerOf tells what a workload belongs to.
func (v *View) OwnerOf(ctx context.Context, ref Ref) (Owner, bool, error) {
	if err := v.needRef(ctx, ref); err != nil {
		return Owner{}, false, err
	}
	return v.fleet.OwnerOf(ctx, ref)
}

// SourceOf reads where an owner has what it keeps from. As with an autoscaler,
// whoever may see the workload learns what would take a change back.
func (v *View) SourceOf(ctx context.Context, cluster string, o Owner) (Source, error) {
	if _, err := viewer(ctx); err != nil {
		return Source{Owner: o}, err
	}
	return v.fleet.SourceOf(ctx, cluster, o)
}

// Node returns a node as it is.
func (v *View) Node(ctx context.Context, ref Ref) (NodeState, error) {
	if err := v.needRef(ctx, ref); err != nil {
		return NodeState{}, err
	}
	return v.fleet.Node(ctx, ref)
}

// Pods returns the pods that fit and that the person may see.
func (v *View) Pods(ctx context.Context, q PodQuery) ([]PodState, error) {
	if _, err := viewer(ctx); err != nil {
		return nil, err
	}
	if q.Namespace != "" {
		if err := v.needRef(ctx, Ref{Cluster: q.Cluster, Namespace: q.Namespace, Kind: Pod, Name: q.Name}); err != nil {
			return nil, err
		}
	}
	ps, err := v.fleet.Pods(ctx, q)
	if err != nil {
		return nil, err
	}
	return visible(ctx, v, ps, func(p PodState) Ref { return p.Ref })
}

// Batch returns the CronJobs and Jobs that fit and that the person may see.
func (v *View) Batch(ctx context.Context, q Query) ([]BatchJob, error) {
	if _, err := viewer(ctx); err != nil {
		return nil, err
	}
	js, err := v.fleet.Batch(ctx, q)
	if err != nil {
		return nil, err
	}
	return visible(ctx, v, js, func(j BatchJob) Ref { return j.Ref })
}

// Edits returns what a workload's cluster remembers of who changed it.
func (v *View) Edits(ctx context.Context, w Workload) ([]Edit, error) {
	if err := v.needRef(ctx, w.Ref); err != nil {
		return nil, err
	}
	return v.fleet.Edits(ctx, w)
}

// Refused reports whether an error says that the person may not see something.
func Refused(err error) bool {
	k := fault.KindOf(err)
	return k == fault.Refused || k == fault.Forbidden
}
