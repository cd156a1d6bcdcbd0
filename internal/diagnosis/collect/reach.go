package collect

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

const (
	// hops is how far calls are followed from the target.
	hops = 3
	// mostNodes is how many workloads a diagnosis looks at.
	mostNodes = 24
	// mostAsked is how many workloads of a namespace or cluster are looked at
	// where none is named.
	mostAsked = 8
)

// reach is the target, what it calls and who calls it.
type reach struct {
	nodes []*node // the target first, the nearest first
	// asked is how many of them the question is about; the others are around.
	asked   int
	missing []error
}

// node is a workload, or something outside that is called by a name.
type node struct {
	object   diagnosis.Object
	workload kube.Workload // the zero one where it is outside of the cluster
	target   observability.Target
	hop      int // 0 is the target, -1 a caller
	calls    []*edge
}

// inside reports whether it is a workload of the cluster.
func (n *node) inside() bool { return n.workload.Ref.Name != "" }

// edge is that one calls another.
type edge struct {
	to    *node
	peer  string // what the caller calls it; "" where only configuration says so
	known string // where that is known from: "prometheus", "traces", "kubernetes"
}

// reach finds out once what the target calls, over several hops, and who calls it.
func (l *look) reach(ctx context.Context, r diagnosis.Request) (*reach, error) {
	return l.around.get(func() (*reach, error) { return l.walk(ctx, r) })
}

func (l *look) walk(ctx context.Context, r diagnosis.Request) (*reach, error) {
	start, err := l.start(ctx, r)
	if err != nil {
		return nil, err
	}
	out := &reach{asked: len(start)}
	w := &walker{look: l, request: r, reach: out, byRef: map[kube.Ref]*node{}, byName: map[string]*node{}}
	level := []*node{}
	for _, wl := range start {
		level = append(level, w.node(wl, 0))
	}
	spanned := make(chan map[string][]string, 1)
	go func() { spanned <- l.spanCalls(ctx, r) }()
	around := w.around(ctx)
	for hop := 1; hop <= hops && len(level) > 0; hop++ {
		level = w.next(ctx, level, hop)
	}
	// Traces know all of the way at once; what they add is looked at as well.
	calls := <-spanned
	for name := range calls {
		if n := w.resolve(ctx, name, r.Target.Namespace, 1); n != nil {
			for _, peer := range calls[name] {
				w.connect(n, w.resolve(ctx, peer, n.workload.Ref.Namespace, 2), peer, "traces")
			}
		}
	}
	w.callers(ctx, <-around)
	slices.SortStableFunc(out.nodes, func(a, b *node) int {
		return cmp.Or(cmp.Compare(max(a.hop, -a.hop*10), max(b.hop, -b.hop*10)), cmp.Compare(a.object.String(), b.object.String()))
	})
	return out, nil
}

// start is what the question is about: a workload, or those of a namespace or
// of the cluster that are not well, else the biggest.
func (l *look) start(ctx context.Context, r diagnosis.Request) ([]kube.Workload, error) {
	t := r.Target
	if t.Kind == nodeKind {
		return nil, nil
	}
	all, err := l.Cluster.Find(ctx, kube.Query{Cluster: t.Cluster, Namespace: t.Namespace, Kind: t.Kind, Name: t.Name})
	if err != nil {
		return nil, err
	}
	if t.Name != "" {
		if len(all) == 0 {
			return nil, fault.New(fault.NotFound, "There is no %s in %s.", t.Name, cmp.Or(t.Namespace, "any namespace"))
		}
		return all[:1], nil
	}
	rank := func(w kube.Workload) int {
		if !w.Progress.Done() || w.Progress.Ready < w.Progress.Desired {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b kube.Workload) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Progress.Desired, a.Progress.Desired))
	})
	most := mostAsked
	for most < len(all) && most < mostNodes && (rank(all[most]) == 0 || t.Namespace != "") {
		most++ // all that are not well, and of one namespace all, as far as that goes
	}
	return all[:min(len(all), most)], nil
}

// ahead are the workloads that the question is about, before the way from them
// is known: the same that reach has first, without their calls.
func (l *look) ahead(ctx context.Context, r diagnosis.Request) []*node {
	all, err := l.start(ctx, r)
	if err != nil {
		return nil // the collector of objects says what is wrong
	}
	var out []*node
	for _, w := range all {
		out = append(out, &node{object: object(w.Ref), workload: w, target: targetOf(w)})
	}
	return out
}

const nodeKind = "Node"

// walker finds the way.
type walker struct {
	*look
	request diagnosis.Request
	reach   *reach

	mu     sync.Mutex
	byRef  map[kube.Ref]*node
	byName map[string]*node // of what is outside

	peersOf map[kube.Ref]*once[[]string]
}

// node is the node of a workload; nil where there are enough already.
func (w *walker) node(wl kube.Workload, hop int) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.byRef[wl.Ref]; n != nil {
		return n
	}
	if len(w.reach.nodes) >= mostNodes {
		return nil
	}
	n := &node{object: object(wl.Ref), workload: wl, target: targetOf(wl), hop: hop}
	w.byRef[wl.Ref] = n
	w.reach.nodes = append(w.reach.nodes, n)
	return n
}

func targetOf(w kube.Workload) observability.Target {
	return observability.Target{
		Cluster: w.Ref.Cluster, Namespace: w.Ref.Namespace, Kind: w.Ref.Kind, Name: w.Ref.Name, Labels: w.Selector, Release: w.Version(),
	}
}

// outside is the node of something that is called and no workload here.
func (w *walker) outside(name string, hop int) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.byName[name]
	if n == nil && len(w.reach.nodes) < mostNodes {
		n = &node{object: diagnosis.Object{Name: name}, target: observability.Target{Name: name}, hop: hop}
		w.byName[name] = n
		w.reach.nodes = append(w.reach.nodes, n)
	}
	return n
}

// connect notes that one calls another.
func (w *walker) connect(from, to *node, peer, known string) {
	if from == nil || to == nil || from == to {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range from.calls {
		if e.to == to {
			if e.peer == "" {
				e.peer, e.known = peer, known
			}
			return
		}
	}
	from.calls = append(from.calls, &edge{to, peer, known})
}

// next follows the calls of a level by one hop: as service metrics tell, and as
// configuration does.
func (w *walker) next(ctx context.Context, level []*node, hop int) []*node {
	known := map[*node]bool{}
	for _, n := range w.reach.nodes {
		known[n] = true
	}
	each(level, func(n *node) {
		if !n.inside() {
			return
		}
		for _, peer := range w.peers(ctx, n) {
			w.connect(n, w.resolve(ctx, peer, n.workload.Ref.Namespace, hop), peer, "prometheus")
		}
		if hop > 2 {
			return // a survey each is much to ask only to find the next
		}
		if s, err := w.survey(ctx, n.workload); err == nil {
			for _, svc := range s.Talks {
				w.connect(n, w.resolve(ctx, svc.Name, svc.Namespace, hop), "", "kubernetes")
			}
		}
	})
	var fresh []*node
	for _, n := range w.reach.nodes {
		if !known[n] {
			fresh = append(fresh, n)
		}
	}
	return fresh
}

// peers are whom a workload's own metrics say that it calls, asked once.
func (w *walker) peers(ctx context.Context, n *node) []string {
	w.mu.Lock()
	if w.peersOf == nil {
		w.peersOf = map[kube.Ref]*once[[]string]{}
	}
	o := w.peersOf[n.workload.Ref]
	if o == nil {
		o = &once[[]string]{}
		w.peersOf[n.workload.Ref] = o
	}
	w.mu.Unlock()
	out, _ := o.get(func() ([]string, error) { return w.askPeers(ctx, n), nil }) // what fails is noted
	return out
}

func (w *walker) askPeers(ctx context.Context, n *node) []string {
	if w.Metrics == nil {
		return nil
	}
	win := span(w.request.Window)
	a, err := w.Metrics.Measure(ctx, Question{Target: n.target, Metric: observability.RequestRate, Window: win, Seen: win, Step: max(win.Length()/20, time.Minute), By: byPeer})
	if err != nil {
		if fault.KindOf(err) != fault.NotFound {
			w.mu.Lock()
			w.reach.missing = append(w.reach.missing, err)
			w.mu.Unlock()
		}
		return nil
	}
	var out []string
	for _, s := range a.Series {
		if p := s.Labels[byPeer]; p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

const (
	byPeer    = "peer"
	byPod     = "pod"
	byVersion = "version"
)

// resolve finds what a name stands for that somebody calls: the workload behind
// the Service of the name, a workload of the name, or something outside.
func (w *walker) resolve(ctx context.Context, name, namespace string, hop int) *node {
	host, ns, ok := serviceName(name)
	if !ok {
		return w.outside(name, hop)
	}
	at := cmp.Or(ns, namespace)
	w.look.mu.Lock()
	if w.look.behind == nil {
		w.look.behind = map[string]*once[[]kube.Workload]{}
	}
	o := w.look.behind[at+"/"+host]
	if o == nil {
		o = &once[[]kube.Workload]{}
		w.look.behind[at+"/"+host] = o
	}
	w.look.mu.Unlock()
	ws, err := o.get(func() ([]kube.Workload, error) {
		ws, err := w.Cluster.Behind(ctx, kube.Ref{Cluster: w.request.Target.Cluster, Namespace: at, Kind: "Service", Name: host})
		if err == nil && len(ws) == 0 {
			ws, err = w.Cluster.Find(ctx, kube.Query{Cluster: w.request.Target.Cluster, Namespace: at, Name: host})
		}
		return ws, err
	})
	if err != nil || len(ws) == 0 {
		return w.outside(name, hop)
	}
	return w.node(ws[0], hop)
}

// serviceName takes what a caller calls a callee for the name of a Service:
// "payments", "http://payments:8080/", "payments.shop", "payments.shop.svc.cluster.local".
// ok is false for what cannot be one.
func serviceName(peer string) (name, namespace string, ok bool) {
	if _, rest, found := strings.Cut(peer, "://"); found {
		peer = rest
	}
	peer, _, _ = strings.Cut(peer, "/")
	if h, _, err := net.SplitHostPort(peer); err == nil {
		peer = h
	}
	if peer == "" || net.ParseIP(peer) != nil {
		return "", "", false
	}
	parts := strings.Split(strings.TrimSuffix(peer, "."), ".")
	switch {
	case len(parts) == 1:
		return parts[0], "", true
	case len(parts) == 2, len(parts) > 2 && parts[2] == "svc":
		return parts[0], parts[1], true
	}
	return "", "", false // api.stripe.com
}

// around asks ahead whom the workloads of the target's namespace call: each is
// on the way or may be a caller, and to ask hop by hop would take a round each.
// In a namespace of very many only those on the way are asked.
func (w *walker) around(ctx context.Context) <-chan []kube.Workload {
	out := make(chan []kube.Workload, 1)
	if w.reach.asked != 1 {
		out <- nil
		return out
	}
	target := w.reach.nodes[0].workload.Ref
	go func() {
		ws, err := w.Cluster.Find(ctx, kube.Query{Cluster: target.Cluster, Namespace: target.Namespace})
		if err != nil || len(ws) > mostAround {
			ws = nil
		}
		each(ws, func(wl kube.Workload) { w.peers(ctx, &node{workload: wl, target: targetOf(wl)}) })
		out <- ws
	}()
	return out
}

// mostAround is in how big a namespace all are asked whom they call.
const mostAround = 40

// callers adds who calls the target, as their own metrics and configuration say.
// What they suffer tells whether it is the target's doing.
func (w *walker) callers(ctx context.Context, around []kube.Workload) {
	if w.reach.asked != 1 {
		return
	}
	target := w.reach.nodes[0]
	names := map[string]bool{target.workload.Ref.Name: true}
	if s, err := w.survey(ctx, target.workload); err == nil {
		for _, svc := range s.Services {
			names[svc.Ref.Name] = true
		}
		for _, h := range s.Heard {
			ws, err := w.Cluster.Find(ctx, kube.Query(h))
			if err == nil && len(ws) == 1 {
				w.connect(w.node(ws[0], -1), target, "", "kubernetes")
			}
		}
	}
	for _, wl := range around {
		for _, peer := range w.peers(ctx, &node{workload: wl, target: targetOf(wl)}) {
			if host, _, ok := serviceName(peer); ok && names[host] && wl.Ref != target.workload.Ref {
				w.connect(w.node(wl, -1), target, peer, "prometheus")
			}
		}
	}
}

// mostTraces is how many traces of the target are looked at.
const mostTraces = 50

// traces are spans of requests through the target, asked for once.
func (l *look) traces(ctx context.Context, r diagnosis.Request) ([]observability.Span, error) {
	return l.spans.get(func() ([]observability.Span, error) {
		if l.Traces == nil || r.Target.Name == "" {
			return nil, nil
		}
		return l.Traces.Traces(ctx, r.Target.Name, r.Window, mostTraces)
	})
}

// spanCalls tells who calls whom in the target's traces, below the target.
func (l *look) spanCalls(ctx context.Context, r diagnosis.Request) map[string][]string {
	spans, err := l.traces(ctx, r)
	if err != nil {
		return nil // the collector of traces says so
	}
	return callsOf(spans)
}
