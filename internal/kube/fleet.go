package kube

import (
	"context"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Member is a cluster of a Fleet.
type Member struct {
	Name       string
	Aliases    []string // what people call it besides
	Production bool     // what is done there has a higher risk
	Lazy       bool     // looked at when somebody first speaks of it
	// Connect says how to reach it; called once, when that is needed.
	Connect func() (*Cluster, error)
}

// Fleet is the clusters that are looked after, one or several: each has a
// Reader of its own, and what is asked goes to the one that is meant. One that
// does not answer keeps no other from answering.
type Fleet struct {
	members []*member // the first is home
	log     *slog.Logger
	opt     FleetOptions
}

// FleetOptions are how a Fleet behaves.
type FleetOptions struct {
	ReaderOptions
	// Wait makes Start wait for the home cluster however long that takes, also
	// where there are others.
	Wait bool
	// Patience is how long a question waits for a cluster that was not seen
	// yet; 0 is three seconds.
	Patience time.Duration
	// Beat is how often a cluster is asked whether it still answers; 0 is ten
	// seconds.
	Beat time.Duration
}

// NewFleet returns a Fleet that has not begun to watch; see Start. The first
// member is home: where names are looked for first.
func NewFleet(members []Member, opt FleetOptions, log *slog.Logger) (*Fleet, error) {
	f := &Fleet{log: log, opt: opt}
	for _, m := range members {
		f.members = append(f.members, newMember(m, opt, log))
	}
	if len(f.members) == 0 {
		return nil, fault.New(fault.Usage, "I found no cluster to talk to.")
	}
	f.members[0].Lazy = false
	if len(f.members) == 1 {
		_, err := f.members[0].cluster()
		return f, err
	}
	return f, nil
}

// Start begins to watch and returns once the home cluster has been seen, or,
// where there are others and Wait does not say otherwise, could not be. The
// others follow by themselves, the lazy ones when they are first spoken of. All
// ends with ctx.
func (f *Fleet) Start(ctx context.Context) error {
	home := f.members[0]
	if len(f.members) == 1 {
		r, err := home.connect(ctx)
		if err != nil {
			return err
		}
		home.seen(r)
	}
	for _, m := range f.members {
		m.start(ctx)
	}
	if f.opt.Wait {
		_, err := home.await(ctx)
		return err
	}
	if _, err := home.answering(ctx); err != nil {
		f.log.WarnContext(ctx, "home cluster not seen", "cluster", home.Name, "err", err)
	}
	return nil
}

// member finds a cluster by its name; "" is home.
func (f *Fleet) member(cluster string) (*member, error) {
	if cluster == "" {
		return f.members[0], nil
	}
	for _, m := range f.members {
		if m.Name == cluster {
			return m, nil
		}
	}
	return nil, fault.New(fault.NotFound, "I know no cluster %s. I look after %s.", cluster, strings.Join(f.Clusters(), ", "))
}

// reader returns the Reader of a cluster that answers now.
func (f *Fleet) reader(ctx context.Context, cluster string) (*Reader, error) {
	m, err := f.member(cluster)
	if err != nil {
		return nil, err
	}
	if len(f.members) == 1 {
		if r := m.reader(); r != nil {
			return r, nil
		}
	}
	return m.answering(ctx)
}

// Learn waits until the names of clusters are known, and returns the error of
// the first whose are not.
func (f *Fleet) Learn(ctx context.Context, clusters ...string) error {
	errs := make([]error, len(clusters))
	each(len(clusters), func(i int) {
		m, err := f.member(clusters[i])
		if err == nil && m.reader() == nil {
			_, err = m.answering(ctx)
		}
		errs[i] = err
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Cluster is the name of the home cluster.
func (f *Fleet) Cluster() string { return f.members[0].Name }

// Clusters are the names of all clusters, home first.
func (f *Fleet) Clusters() []string {
	out := make([]string, len(f.members))
	for i, m := range f.members {
		out[i] = m.Name
	}
	return out
}

// Aliases maps what people call clusters to their names.
func (f *Fleet) Aliases() map[string]string {
	out := map[string]string{}
	for _, m := range f.members {
		for _, a := range m.Aliases {
			out[a] = m.Name
		}
	}
	return out
}

// Production reports whether a cluster is one that others depend on.
func (f *Fleet) Production(cluster string) bool {
	m, err := f.member(cluster)
	return err == nil && m.Production
}

// Namespace is where names are looked for first in a cluster.
func (f *Fleet) Namespace(cluster string) string {
	m, err := f.member(cluster)
	if err != nil {
		return ""
	}
	c, err := m.cluster()
	if err != nil {
		return ""
	}
	return c.Namespace
}

// Namespaces lists the namespaces of a cluster, as last seen.
func (f *Fleet) Namespaces(_ context.Context, cluster string) []string {
	m, err := f.member(cluster)
	if err != nil {
		return nil
	}
	if r := m.reader(); r != nil {
		return r.Namespaces()
	}
	return nil
}

// NamespaceLabels are the labels of a namespace, as last seen.
func (f *Fleet) NamespaceLabels(cluster, namespace string) map[string]string {
	m, err := f.member(cluster)
	if err != nil {
		return nil
	}
	if r := m.reader(); r != nil {
		return r.NamespaceLabels(namespace)
	}
	return nil
}

// Find returns the workloads that fit, of one cluster.
func (f *Fleet) Find(ctx context.Context, q Query) ([]Workload, error) {
	r, err := f.reader(ctx, q.Cluster)
	if err != nil {
		return nil, err
	}
	return r.Find(ctx, q)
}

// Get returns one workload as the watch last saw it.
func (f *Fleet) Get(ctx context.Context, ref Ref) (Workload, error) {
	r, err := f.reader(ctx, ref.Cluster)
	if err != nil {
		return Workload{}, err
	}
	return r.Get(ctx, ref)
}

// List lists the objects of a kind in one cluster.
func (f *Fleet) List(ctx context.Context, q ListQuery) (Table, error) {
	if q.Kind == "clusters" {
		return f.listClusters(ctx), nil
	}
	r, err := f.reader(ctx, q.Cluster)
	if err != nil {
		return Table{}, err
	}
	return r.List(ctx, q)
}

// History returns the revisions that a workload's cluster remembers.
func (f *Fleet) History(ctx context.Context, w Workload) ([]Revision, error) {
	r, err := f.reader(ctx, w.Ref.Cluster)
	if err != nil {
		return nil, err
	}
	return r.History(ctx, w)
}

// Diagnose returns a workload's progress with the reason it is stuck.
func (f *Fleet) Diagnose(ctx context.Context, w Workload) (Progress, error) {
	r, err := f.reader(ctx, w.Ref.Cluster)
	if err != nil {
		return Progress{}, err
	}
	return r.Diagnose(ctx, w)
}

// AutoscalerOf returns the autoscaler of a workload, if it has one.
func (f *Fleet) AutoscalerOf(ctx context.Context, ref Ref) (Autoscaler, bool, error) {
	r, err := f.reader(ctx, ref.Cluster)
	if err != nil {
		return Autoscaler{}, false, err
	}
	return r.AutoscalerOf(ctx, ref)
}

// OwnerOf tells what a workload belongs to.
func (f *Fleet) OwnerOf(ctx context.Context, ref Ref) (Owner, bool, error) {
	r, err := f.reader(ctx, ref.Cluster)
	if err != nil {
		return Owner{}, false, err
	}
	return r.OwnerOf(ctx, ref)
}

// SourceOf reads where an owner in a cluster has what it keeps from.
func (f *Fleet) SourceOf(ctx context.Context, cluster string, o Owner) (Source, error) {
	r, err := f.reader(ctx, cluster)
	if err != nil {
		return Source{Owner: o}, err
	}
	return r.SourceOf(ctx, o)
}

// WatchRollout follows a roll-out in the cluster of its workload. A cluster that
// was not seen yet, as after a restart of the process, is waited for.
func (f *Fleet) WatchRollout(ctx context.Context, ref Ref, generation int64) iter.Seq2[Workload, error] {
	return func(yield func(Workload, error) bool) {
		m, err := f.member(ref.Cluster)
		if err != nil {
			yield(Workload{}, err)
			return
		}
		r, err := m.await(ctx)
		if err != nil {
			yield(Workload{}, err)
			return
		}
		r.WatchRollout(ctx, ref, generation)(yield)
	}
}

// Names is a number that grows whenever a name comes or goes in any cluster.
func (f *Fleet) Names() uint64 {
	n := uint64(0)
	for _, r := range f.readers() {
		n += 1 + r.Names()
	}
	return n
}

// readers are those of the clusters that have been seen.
func (f *Fleet) readers() []*Reader {
	var out []*Reader
	for _, m := range f.members {
		if r := m.reader(); r != nil {
			out = append(out, r)
		}
	}
	return out
}

// All returns the names of the workloads of all clusters, in no order.
func (f *Fleet) All() []Ref {
	var out []Ref
	for _, r := range f.readers() {
		out = append(out, r.All()...)
	}
	return out
}

// Seen returns the workloads of a name in all clusters that were looked at, as
// last seen. It asks nobody.
func (f *Fleet) Seen(_ context.Context, name string) []Ref {
	var out []Ref
	for _, r := range f.readers() {
		for _, ref := range r.All() {
			if ref.Name == name {
				out = append(out, ref)
			}
		}
	}
	return out
}

// Sees reports whether an object may be known of; a Fleet hides nothing.
func (f *Fleet) Sees(context.Context, Ref) bool { return true }

// Nodes lists the nodes of all clusters, each name once.
func (f *Fleet) Nodes() []string {
	return f.union(func(r *Reader) []string { return r.Nodes() })
}

// AllNamespaces lists the namespaces of all clusters, each name once.
func (f *Fleet) AllNamespaces() []string {
	return f.union(func(r *Reader) []string { return r.Namespaces() })
}

// Images lists the containers and the tags of all clusters, each once.
func (f *Fleet) Images() (containers, tags []string) {
	containers = f.union(func(r *Reader) []string { c, _ := r.Images(); return c })
	return containers, f.union(func(r *Reader) []string { _, t := r.Images(); return t })
}

func (f *Fleet) union(of func(*Reader) []string) []string {
	rs := f.readers()
	if len(rs) == 1 {
		return of(rs[0])
	}
	seen := map[string]bool{}
	for _, r := range rs {
		for _, n := range of(r) {
			seen[n] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
