package collect

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// saturation measures what is scarce: CPU and memory against their limits,
// connection pools, volumes, nodes and who else is on them.
type saturation struct{ *look }

// Name is how the collector is called.
func (saturation) Name() string { return "saturation" }

// Collect measures.
func (c saturation) Collect(ctx context.Context, r diagnosis.Request) ([]diagnosis.Evidence, error) {
	out := &found{source: fromPrometheus}
	return out.until(ctx, func() { c.collect(ctx, out, r) })
}

func (c saturation) collect(ctx context.Context, out *found, r diagnosis.Request) {
	// What is asked about, and its nodes, do not wait for the way to be found.
	ahead := c.ahead(ctx, r)
	var first sync.WaitGroup
	first.Go(func() { c.weigh(ctx, out, ahead, r.Window, nil) })
	defer first.Wait()
	rc, err := c.reach(ctx, r)
	if err != nil {
		return // the collector of objects says what is wrong
	}
	c.weigh(ctx, out, rc.nodes, r.Window, ahead)
}

// weigh measures workloads and the nodes that they are on, without those that
// were measured before.
func (c saturation) weigh(ctx context.Context, out *found, all []*node, w observability.Window, before []*node) {
	on := map[string][]kube.Neighbour{}
	known := map[string]bool{}
	var mu sync.Mutex
	place := func(s kube.Survey) {
		mu.Lock()
		defer mu.Unlock()
		for _, p := range s.Pods {
			if p.Node != "" && on[p.Node] == nil {
				on[p.Node] = []kube.Neighbour{}
			}
		}
		for _, nb := range s.Neighbours {
			if !slices.Contains(on[nb.Node], nb) {
				on[nb.Node] = append(on[nb.Node], nb)
			}
		}
	}
	for _, n := range before {
		if s, err := c.survey(ctx, n.workload); err == nil {
			for _, p := range s.Pods {
				known[p.Node] = true
			}
		}
	}
	var wg sync.WaitGroup
	each(all, func(n *node) {
		if !n.inside() || n.hop < 0 || slices.ContainsFunc(before, func(b *node) bool { return b.workload.Ref == n.workload.Ref }) {
			return
		}
		s, err := c.survey(ctx, n.workload)
		if err != nil {
			return
		}
		if n.hop <= 1 {
			place(s)
		}
		for _, f := range []func(context.Context, *found, *node, kube.Survey, observability.Window){c.cpu, c.throttled, c.memory, c.pools, c.disk} {
			wg.Go(func() { f(ctx, out, n, s, w) })
		}
	})
	for name := range known {
		delete(on, name)
	}
	if len(on) > 0 {
		c.onNodes(ctx, out, all[0].object.Cluster, on, w)
	}
	wg.Wait()
}

// limits sums what the pods of a workload may use, 0 where one may use all.
func limits(s kube.Survey, of func(kube.ContainerDetail) float64) float64 {
	sum := 0.0
	for _, p := range s.Pods {
		for _, k := range p.Containers {
			if k.Init || p.Leaving {
				continue
			}
			v := of(k)
			if v == 0 {
				return 0
			}
			sum += v
		}
	}
	return sum
}

func (c saturation) cpu(ctx context.Context, out *found, n *node, s kube.Survey, w observability.Window) {
	lines, a, err := c.curve(ctx, Question{Target: n.target, Metric: observability.CPU}, w, false)
	if out.lacks(err) && len(lines) == 0 {
		return
	}
	if sh := compare(lines[""], w, noise{0.02, 1.3}); sh.known {
		e := diagnosis.Evidence{Kind: diagnosis.CPUUse, About: n.object, Unit: observability.Cores, Query: a.Query, Link: a.Link}
		sh.put(&e)
		if l := limits(s, func(k kube.ContainerDetail) float64 { return k.CPULimit }); l > 0 {
			e.Limit = &l
		}
		out.add(e)
	}
}

func (c saturation) throttled(ctx context.Context, out *found, n *node, s kube.Survey, w observability.Window) {
	if !slices.ContainsFunc(s.Pods, func(p kube.PodDetail) bool {
		return slices.ContainsFunc(p.Containers, func(k kube.ContainerDetail) bool { return k.CPULimit > 0 })
	}) {
		return // without a limit nothing holds it back
	}
	lines, a, err := c.curve(ctx, Question{Target: n.target, Metric: observability.Throttling, By: "container"}, w, false)
	if out.lacks(err) && len(lines) == 0 {
		return
	}
	for _, name := range sorted(lines) {
		if sh := compare(lines[name], w, noise{0.05, 1.3}); sh.known {
			e := diagnosis.Evidence{Kind: diagnosis.CPUThrottled, About: n.object, Name: name, Unit: observability.Ratio, Query: a.Query, Link: a.Link}
			sh.put(&e)
			out.add(e)
		}
	}
}

// memory looks at each pod: a sum hides the one that is near its limit.
func (c saturation) memory(ctx context.Context, out *found, n *node, s kube.Survey, w observability.Window) {
	lines, a, err := c.curve(ctx, Question{Target: n.target, Metric: observability.Memory, By: byPod}, w, true)
	if out.lacks(err) && len(lines) == 0 {
		return
	}
	var worst diagnosis.Evidence
	full := -1.0
	for _, p := range s.Pods {
		sh := compare(lines[p.Ref.Name], w, noise{8 << 20, 1.3})
		if !sh.known {
			continue
		}
		e := diagnosis.Evidence{Kind: diagnosis.MemoryUse, About: object(p.Ref), Owner: n.object, Unit: observability.Bytes, Query: a.Query, Link: a.Link}
		sh.put(&e)
		limit := limits(kube.Survey{Pods: []kube.PodDetail{p}}, func(k kube.ContainerDetail) float64 { return k.MemoryLimit })
		ratio := 0.0
		if limit > 0 {
			e.Limit = &limit
			ratio = sh.now / limit
		}
		if ratio > full {
			worst, full = e, ratio
		}
		if slope, at, ok := growth(lines[p.Ref.Name]); ok && (limit == 0 || slope*60 > 0.02*limit) {
			out.add(diagnosis.Evidence{Kind: diagnosis.MemoryGrowth, At: at, About: e.About, Owner: n.object, Value: &slope, Limit: e.Limit, Unit: observability.Bytes, Query: a.Query, Link: a.Link})
		}
	}
	if full >= 0 {
		out.add(worst)
	}
}

// growth tells whether memory grows steadily, since its last fall, by how many
// bytes a minute, and since when. A heap that is collected goes up and down; what
// leaks makes nearly every stretch of it higher than the one before.
func growth(points []observability.Point) (slope float64, at time.Time, ok bool) {
	if len(points) < 12 {
		return 0, time.Time{}, false
	}
	start := 0
	for i := 1; i < len(points); i++ {
		if points[i].Value < 0.6*points[i-1].Value { // it was started anew
			start = i
		}
	}
	// The beginning of a leak may lie within: what was flat before is left out.
	p := points[start:]
	v := values(p)
	if len(v) < 12 {
		return 0, time.Time{}, false
	}
	low := median(v[:max(3, len(v)/10)])
	from := 0
	for i := range v {
		if v[i] <= 1.03*low {
			from = i
		}
	}
	p, v = p[from:], v[from:]
	if len(v) < 8 {
		return 0, time.Time{}, false
	}
	// Stretches of a quarter: each clearly above the one before.
	quarter := len(v) / 4
	var level [4]float64
	for i := range level {
		level[i] = median(v[i*quarter : (i+1)*quarter])
	}
	for i := 1; i < 4; i++ {
		if level[i] < 1.015*level[i-1] {
			return 0, time.Time{}, false
		}
	}
	// A step is no growth: most of the rise would be in one stretch.
	rise := level[3] - level[0]
	if rise < 0.08*level[0] {
		return 0, time.Time{}, false
	}
	for i := 1; i < 4; i++ {
		if level[i]-level[i-1] > 0.7*rise {
			return 0, time.Time{}, false
		}
	}
	minutes := p[len(p)-1].At.Sub(p[0].At).Minutes()
	if minutes <= 0 {
		return 0, time.Time{}, false
	}
	return (v[len(v)-1] - v[0]) / minutes, p[0].At, true
}

func (c saturation) disk(ctx context.Context, out *found, n *node, s kube.Survey, w observability.Window) {
	if len(s.Claims) == 0 {
		return // a container's own disk is its node's
	}
	lines, a, err := c.curve(ctx, Question{Target: n.target, Metric: observability.Disk}, w, false)
	if out.lacks(err) && len(lines) == 0 {
		return
	}
	if sh := compare(lines[""], w, noise{0.02, 1.05}); sh.known {
		e := diagnosis.Evidence{Kind: diagnosis.DiskUse, About: n.object, Unit: observability.Ratio, Query: a.Query, Link: a.Link}
		sh.put(&e)
		out.add(e)
	}
}

// poolPart is what a metric of a connection pool says.
type poolPart int

const (
	poolUsed poolPart = iota + 1
	poolSize
	poolWaits
)

// poolParts are names of metrics of pools, by what they end on after the name
// that a library gives its pools.
func poolParts(name string, labels map[string]string) poolPart {
	switch {
	case strings.HasSuffix(name, "_usage"), name == "db_client_connection_count":
		if labels["state"] == "used" {
			return poolUsed
		}
		return 0
	case poolSizes.MatchString(name):
		return poolSize
	case poolWaiting.MatchString(name):
		return poolWaits
	case poolInUse.MatchString(name):
		return poolUsed
	}
	return 0
}

var (
	poolSizes   = regexp.MustCompile(`_(max_open|max|size|limit|max_open_connections|connections_max|max_connections|capacity)(_connections)?$`)
	poolWaiting = regexp.MustCompile(`_(waiting|pending|pending_requests|pending_threads|queued|waiters|wait_queue)(_requests|_connections)?$`)
	poolInUse   = regexp.MustCompile(`_(in_use|active|used|acquired|busy|checked_out)(_connections)?$`)
)

// poolNames picks the series that are about pools of connections.
const poolNames = `(?:db|sql|go_sql|hikaricp|jdbc|pgx|pgxpool|pg|redis|mongodb|http_client|client|tomcat_jdbc|connection).*(?:pool|connections?).*`

// pools looks at pools of connections, whichever library has them: names differ,
// their parts hardly.
func (c saturation) pools(ctx context.Context, out *found, n *node, s kube.Survey, w observability.Window) {
	var names []string
	for _, p := range s.Pods {
		names = append(names, regexp.QuoteMeta(p.Ref.Name))
	}
	if len(names) == 0 {
		return
	}
	sel := fmt.Sprintf(`{__name__=~%s,__name__!~".+(_total|_bucket|_sum|_count)|pg_stat.*",%%s=%s,%%s=~%s}`, strconv.Quote(poolNames), strconv.Quote(n.workload.Ref.Namespace), strconv.Quote(strings.Join(names, "|")))
	query := fmt.Sprintf(sel, "namespace", "pod")
	now, err := c.Metrics.Instant(ctx, query, w.To)
	if err == nil && len(now) == 0 {
		query = fmt.Sprintf(sel, "exported_namespace", "exported_pod")
		now, err = c.Metrics.Instant(ctx, query, w.To)
	}
	if out.lacks(err) || len(now) == 0 {
		return
	}
	before, err := c.Metrics.Instant(ctx, query, past(w).To)
	if fault.KindOf(err) == fault.Unavailable {
		before = nil // now is what matters
	}
	is, was := poolsOf(now), poolsOf(before)
	for _, name := range sorted(is) {
		p := is[name]
		if !p.known[poolUsed] {
			continue
		}
		e := diagnosis.Evidence{Kind: diagnosis.Pool, About: n.object, Name: name, Unit: observability.Count, Value: diagnosis.Num(p.sum[poolUsed]), Count: int(p.sum[poolWaits]), Query: query}
		if p.known[poolSize] && p.sum[poolSize] > 0 {
			e.Limit = diagnosis.Num(p.sum[poolSize])
		}
		if b, ok := was[name]; ok && b.known[poolUsed] {
			e.Before = diagnosis.Num(b.sum[poolUsed])
		}
		if p.peer != "" {
			e.Peer = diagnosis.Object{Name: p.peer}
		}
		out.add(e)
	}
}

// pool is a pool of all pods together.
type pool struct {
	sum   map[poolPart]float64
	known map[poolPart]bool
	peer  string
}

// poolsOf sorts series into pools. A pool is told by a label, where it has one.
func poolsOf(all []observability.Series) map[string]pool {
	out := map[string]pool{}
	for _, s := range all {
		part := poolParts(s.Labels["__name__"], s.Labels)
		if part == 0 || len(s.Points) == 0 {
			continue
		}
		name := ""
		for _, l := range []string{"pool", "pool_name", "db_client_connection_pool_name", "db", "db_name", "database", "name"} {
			name = cmp.Or(name, s.Labels[l])
		}
		name = cmp.Or(name, "connections")
		p, ok := out[name]
		if !ok {
			p = pool{sum: map[poolPart]float64{}, known: map[poolPart]bool{}}
		}
		p.sum[part] += s.Points[len(s.Points)-1].Value
		p.known[part] = true
		for _, l := range []string{"peer", "server_address", "target", "host", "endpoint"} {
			p.peer = cmp.Or(p.peer, s.Labels[l])
		}
		out[name] = p
	}
	return out
}

const (
	// mostOnNodes is how many nodes are looked at.
	mostOnNodes = 8
	// busy is from what part of a node on its use is worth asking whose it is.
	busy = 0.7
	// mostNeighbours is how many neighbours of each node are told of.
	mostNeighbours = 4
)

// onNodes looks at the nodes of the target's pods and what else uses them.
func (c saturation) onNodes(ctx context.Context, out *found, cluster string, on map[string][]kube.Neighbour, w observability.Window) {
	names := sorted(on)
	each(names[:min(len(names), mostOnNodes)], func(name string) {
		about := diagnosis.Object{Cluster: cluster, Kind: nodeKind, Name: name}
		var wg sync.WaitGroup
		for _, m := range []struct {
			metric observability.Metric
			name   string
			unit   observability.Unit
			noise  noise
		}{{observability.CPU, "cpu", observability.Cores, noise{0.1, 1.3}}, {observability.Memory, "memory", observability.Bytes, noise{64 << 20, 1.2}}} {
			wg.Go(func() {
				lines, a, err := c.curve(ctx, Question{Target: observability.Target{Cluster: about.Cluster, Kind: nodeKind, Name: name}, Metric: m.metric}, w, false)
				if out.lacks(err) && len(lines) == 0 {
					return
				}
				sh := compare(lines[""], w, m.noise)
				if !sh.known {
					return
				}
				e := diagnosis.Evidence{Kind: diagnosis.NodeLoad, About: about, Name: m.name, Unit: m.unit, Query: a.Query, Link: a.Link}
				sh.put(&e)
				if l, ok := c.capacity(ctx, name, m.name, w.To); ok {
					e.Limit = &l
				}
				out.add(e)
				if e.Limit == nil || sh.now >= busy**e.Limit || !sh.at.IsZero() {
					c.neighbours(ctx, out, on[name], about, m.metric, m.name, w)
				}
			})
		}
		wg.Wait()
	})
}

// capacity is what a node has, as kube-state-metrics or the node's own exporter
// say.
func (c saturation) capacity(ctx context.Context, node, resource string, at time.Time) (float64, bool) {
	q := strconv.Quote(node)
	queries := []string{fmt.Sprintf(`max(kube_node_status_capacity{node=%s,resource=%q})`, q, resource)}
	if resource == "cpu" {
		queries = append(queries, fmt.Sprintf(`count(count by (cpu) (node_cpu_seconds_total{node=%s}))`, q), fmt.Sprintf(`max(machine_cpu_cores{node=%s})`, q))
	} else {
		queries = append(queries, fmt.Sprintf(`max(node_memory_MemTotal_bytes{node=%s})`, q), fmt.Sprintf(`max(machine_memory_bytes{node=%s})`, q))
	}
	for _, query := range queries {
		if v, err := c.Metrics.Instant(ctx, query, at); err == nil && len(v) > 0 && len(v[0].Points) > 0 {
			return v[0].Points[0].Value, true
		}
	}
	return 0, false
}

// neighbours tells which other pods use most of a node.
func (c saturation) neighbours(ctx context.Context, out *found, there []kube.Neighbour, on diagnosis.Object, m observability.Metric, name string, w observability.Window) {
	all := map[string]kube.Neighbour{}
	var names []string
	for _, nb := range there {
		all[nb.Pod.Name] = nb
		names = append(names, regexp.QuoteMeta(nb.Pod.Name))
	}
	used := `container_memory_working_set_bytes{container!="",container!="POD",%s}`
	if m == observability.CPU {
		used = `rate(container_cpu_usage_seconds_total{container!="",container!="POD",%s}[2m])`
	}
	of := func(selector string) string { return "sum by (namespace, pod) (" + fmt.Sprintf(used, selector) + ")" }
	query := of("pod=~" + strconv.Quote(strings.Join(names, "|")))
	if len(names) == 0 {
		// A process that lives for one turn watches no pods: then the measures
		// themselves tell what runs there.
		query = of("node="+strconv.Quote(on.Name)) + " or " + of("instance=~"+strconv.Quote(regexp.QuoteMeta(on.Name)+"(:[0-9]+)?"))
	}
	top, err := c.Metrics.Instant(ctx, "topk("+strconv.Itoa(mostNeighbours)+", "+query+")", w.To)
	if out.lacks(err) || len(top) == 0 {
		return
	}
	for _, v := range top {
		if len(names) == 0 {
			if nb, ok := c.stranger(ctx, on, v.Labels["namespace"], v.Labels["pod"]); ok {
				all[nb.Pod.Name] = nb
			}
		}
	}
	before := map[string]float64{}
	if was, err := c.Metrics.Instant(ctx, query, past(w).To); err == nil {
		for _, v := range was {
			if len(v.Points) > 0 {
				before[v.Labels["pod"]] = v.Points[0].Value
			}
		}
	}
	for _, v := range top {
		nb, ok := all[v.Labels["pod"]]
		if !ok || len(v.Points) == 0 {
			continue
		}
		e := diagnosis.Evidence{
			Kind: diagnosis.Neighbour, About: object(nb.Pod), Owner: object(nb.Owner), Peer: on, Name: name, Unit: observability.Cores, Query: query, Value: diagnosis.Num(v.Points[0].Value),
		}
		if name == "memory" {
			e.Unit = observability.Bytes
		}
		if b, ok := before[nb.Pod.Name]; ok {
			e.Before = &b
		} else if recent(nb.Created, w) {
			e.At = nb.Created // it was not there before
		}
		if l, ok := c.requested(ctx, nb, name, w.To); ok {
			e.Limit = &l
		}
		out.add(e)
	}
}

// stranger is a pod that only measures tell of, where whoever asks may see what
// made it.
func (c saturation) stranger(ctx context.Context, on diagnosis.Object, namespace, pod string) (kube.Neighbour, bool) {
	for _, ending := range []*regexp.Regexp{ofDeployment, ofSet} {
		name := ending.ReplaceAllString(pod, "")
		if name == pod || namespace == "" {
			continue
		}
		ws, err := c.Cluster.Find(ctx, kube.Query{Cluster: on.Cluster, Namespace: namespace, Name: name})
		if err != nil || len(ws) != 1 {
			continue
		}
		return kube.Neighbour{Node: on.Name, Pod: kube.Ref{Cluster: on.Cluster, Namespace: namespace, Kind: kube.Pod, Name: pod}, Owner: ws[0].Ref}, true
	}
	return kube.Neighbour{}, false
}

// What workloads add to their names for those of their pods.
var (
	ofDeployment = regexp.MustCompile(`-[a-z0-9]{1,10}-[a-z0-9]{5}$`)
	ofSet        = regexp.MustCompile(`-([0-9]+|[a-z0-9]{5})$`)
)

// requested is what a pod asked for, which kube-state-metrics knows.
func (c saturation) requested(ctx context.Context, nb kube.Neighbour, resource string, at time.Time) (float64, bool) {
	v, err := c.Metrics.Instant(ctx, fmt.Sprintf(`sum(kube_pod_container_resource_requests{namespace=%q,pod=%q,resource=%q})`, nb.Pod.Namespace, nb.Pod.Name, resource), at)
	if err != nil || len(v) == 0 || len(v[0].Points) == 0 {
		return 0, false
	}
	return v[0].Points[0].Value, true
}
