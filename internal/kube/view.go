package kube

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// A View is a Fleet as each person may see it: what comes from the shared watch
// is given only to whom the cluster itself would give it, by a
// SelfSubjectAccessReview in that person's name. Whose eyes they are stands in
// the context (Through); without that it shows nothing.
type View struct {
	fleet *Fleet
	now   func() time.Time

	mu    sync.Mutex
	known map[string]answer
}

// answer is what a cluster said about a right, and when.
type answer struct {
	at  time.Time
	yes bool
}

const (
	// rightsLife is how long an answer about a right counts: a right that was
	// taken away is gone half a minute later.
	rightsLife = 30 * time.Second
	// rightsKept bounds how many answers are remembered.
	rightsKept = 100_000
	// asked at once about the namespaces of a cluster.
	rightsAtOnce = 16
)

// NewView returns a View; now tells the time.
func NewView(f *Fleet, now func() time.Time) *View {
	return &View{fleet: f, now: now, known: map[string]answer{}}
}

// eyes is the key of the context under which the person stands.
type eyes struct{}

// person is whose eyes are looked through.
type person struct {
	as  As
	own bool // the process's own: whoever started it sees what it sees
}

// Through returns a context in which a View shows what somebody may see.
func Through(ctx context.Context, as As) context.Context {
	return context.WithValue(ctx, eyes{}, person{as: as})
}

// ThroughOwn returns a context in which a View shows all that the process sees.
func ThroughOwn(ctx context.Context) context.Context {
	return context.WithValue(ctx, eyes{}, person{own: true})
}

// viewer says whose eyes a context has, or refuses.
func viewer(ctx context.Context) (person, error) {
	p, _ := ctx.Value(eyes{}).(person)
	if !p.own && p.as.User == "" {
		return p, fault.New(fault.Refused, "I show only what you may see yourself, and I know no Kubernetes user for you. An admin can name one under access.people.")
	}
	return p, nil
}

// may asks whether the person of a context has a right in a cluster; the answer
// counts for half a minute.
func (v *View) may(ctx context.Context, cluster string, r Right) (bool, error) {
	p, err := viewer(ctx)
	if err != nil || p.own {
		return p.own, err
	}
	m, err := v.fleet.member(cluster)
	if err != nil {
		return false, err
	}
	key := strings.Join(append([]string{m.Name, r.Verb, r.Group, r.Resource, r.Namespace, r.Name, p.as.User}, p.as.Groups...), "\x00")
	now := v.now()
	v.mu.Lock()
	a, ok := v.known[key]
	v.mu.Unlock()
	if ok && now.Sub(a.at) < rightsLife {
		return a.yes, nil
	}
	c, err := m.cluster()
	if err != nil {
		return false, err
	}
	yes, err := NewRights(c).May(ctx, p.as, r)
	if err != nil {
		return false, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= rightsKept {
		clear(v.known)
	}
	v.known[key] = answer{now, yes}
	return yes, nil
}

// anywhere reports a right in a namespace, or one that holds in all.
func (v *View) anywhere(ctx context.Context, cluster string, r Right) (bool, error) {
	all := r
	all.Namespace, all.Name = "", ""
	if yes, err := v.may(ctx, cluster, all); yes || err != nil || r.Namespace == "" {
		return yes, err
	}
	return v.may(ctx, cluster, r)
}

// rightOn is what the API calls the objects of a kind.
func rightOn(kind string) Right {
	switch kind {
	case Deployment, StatefulSet, DaemonSet:
		return Right{Group: "apps", Resource: strings.ToLower(kind) + "s"}
	case "ReplicaSet":
		return Right{Group: "apps", Resource: "replicasets"}
	case Job, CronJob:
		return Right{Group: "batch", Resource: strings.ToLower(kind) + "s"}
	}
	return Right{Resource: strings.ToLower(kind) + "s"}
}

// sees reports whether the person of a context may see an object: all of its
// kind in its namespace, or that one by its name.
func (v *View) sees(ctx context.Context, ref Ref) (bool, error) {
	r := rightOn(ref.Kind)
	r.Verb, r.Namespace = "list", ref.Namespace
	if yes, err := v.anywhere(ctx, ref.Cluster, r); yes || err != nil || ref.Name == "" {
		return yes, err
	}
	r.Verb, r.Name = "get", ref.Name
	return v.may(ctx, ref.Cluster, r)
}

// Sees reports whether the person of a context may know of an object. A cluster
// that does not answer is no.
func (v *View) Sees(ctx context.Context, ref Ref) bool {
	yes, err := v.sees(ctx, ref)
	return yes && err == nil
}

// need refuses what the person of a context may not see.
func (v *View) need(ctx context.Context, cluster string, r Right) error {
	yes, err := v.anywhere(ctx, cluster, r)
	if err != nil || yes {
		return err
	}
	return fault.New(fault.Forbidden, "The cluster does not let you %s. Somebody who looks after it can give you that right.", r)
}

// needRef refuses an object that the person of a context may not see. It says the
// same whether there is one or not.
func (v *View) needRef(ctx context.Context, ref Ref) error {
	yes, err := v.sees(ctx, ref)
	if err != nil || yes {
		return err
	}
	r := rightOn(ref.Kind)
	r.Verb, r.Namespace = "get", ref.Namespace
	return fault.New(fault.Forbidden, "The cluster does not let you %s. Somebody who looks after it can give you that right.", r)
}

// spaces are the namespaces of a cluster in which the person of a context has a
// right; all is that they have it everywhere.
func (v *View) spaces(ctx context.Context, cluster string, rights ...Right) (in []string, all bool, err error) {
	for _, r := range rights {
		if yes, err := v.may(ctx, cluster, r); err != nil || yes {
			return v.fleet.Namespaces(ctx, cluster), yes, err
		}
	}
	names := v.fleet.Namespaces(ctx, cluster)
	yes, errs := make([]bool, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	gate := make(chan struct{}, rightsAtOnce)
	for i, ns := range names {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			for _, r := range rights {
				r.Namespace = ns
				if yes[i], errs[i] = v.may(ctx, cluster, r); yes[i] || errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for i, ns := range names {
		if errs[i] != nil {
			return nil, false, errs[i]
		}
		if yes[i] {
			in = append(in, ns)
		}
	}
	return in, false, nil
}

// listOf is the right to list a resource.
func listOf(group, resource string) Right {
	return Right{Verb: "list", Group: group, Resource: resource}
}

// workloadsSeen are the rights of which one makes a namespace somebody's.
func workloadsSeen() []Right {
	return []Right{listOf("", "namespaces"), listOf("apps", "deployments"), listOf("apps", "statefulsets"), listOf("apps", "daemonsets"), listOf("", "pods")}
}

// Names is what there is, as far as somebody may see it.
type Names struct {
	Workloads        []Ref
	Namespaces       []string
	Nodes            []string
	Containers, Tags []string
}

// AllNames are the names of all clusters.
func (f *Fleet) AllNames() Names {
	n := Names{Workloads: f.All(), Namespaces: f.AllNamespaces(), Nodes: f.Nodes()}
	n.Containers, n.Tags = f.Images()
	return n
}

// Whose names whose eyes a context has, for what is kept for each; "" is nobody's.
func Whose(ctx context.Context) string {
	p, _ := ctx.Value(eyes{}).(person)
	if p.own {
		return "\x00own"
	}
	return strings.Join(append([]string{p.as.User}, p.as.Groups...), "\x00")
}

// Names are the names that the person of a context may know of; what a cluster
// does not say is not among them, and err says of which.
func (v *View) Names(ctx context.Context) (n Names, err error) {
	p, err := viewer(ctx)
	if err != nil {
		return Names{}, nil // a stranger knows no names, and may be told so later
	}
	if p.own {
		return v.fleet.AllNames(), nil
	}
	for _, m := range v.fleet.members {
		r := m.reader()
		if r == nil {
			continue
		}
		if e := v.namesOf(ctx, m.Name, r, &n); e != nil {
			err = e
		}
	}
	for _, s := range []*[]string{&n.Namespaces, &n.Nodes, &n.Containers, &n.Tags} {
		slices.Sort(*s)
		*s = slices.Compact(*s)
	}
	return n, err
}

// namesOf adds what the person of a context may know of in a cluster.
func (v *View) namesOf(ctx context.Context, cluster string, r *Reader, n *Names) error {
	in, _, err := v.spaces(ctx, cluster, workloadsSeen()...)
	if err != nil {
		return err
	}
	n.Namespaces = append(n.Namespaces, in...)
	if yes, _ := v.may(ctx, cluster, listOf("", "nodes")); yes {
		n.Nodes = append(n.Nodes, r.Nodes()...)
	}
	mine := map[Ref]bool{} // by namespace and kind
	for _, ref := range r.All() {
		k := Ref{Cluster: cluster, Namespace: ref.Namespace, Kind: ref.Kind}
		yes, asked := mine[k]
		if !asked {
			yes = v.Sees(ctx, k)
			mine[k] = yes
		}
		if yes {
			n.Workloads = append(n.Workloads, ref)
		}
	}
	for k, yes := range mine {
		if !yes {
			continue
		}
		ws, _ := r.Find(ctx, Query{Namespace: k.Namespace, Kind: k.Kind}) // a cache cannot fail
		for _, w := range ws {
			for _, c := range w.Containers {
				n.Containers = append(n.Containers, c.Name)
				if tag := Tag(c.Image); tag != "" {
					n.Tags = append(n.Tags, tag)
				}
			}
		}
	}
	return nil
}
