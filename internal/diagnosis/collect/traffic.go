package collect

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// traffic measures requests, errors and latency: of the target, of what it
// calls and of who calls it, now, before and a week ago.
type traffic struct{ *look }

// Name is how the collector is called.
func (traffic) Name() string { return "traffic" }

const fromPrometheus = "prometheus"

// measured is a metric that is compared.
type measured struct {
	kind       diagnosis.Kind
	metric     observability.Metric
	percentile float64
	name       string
	unit       observability.Unit
	noise      noise
}

// ofServers are how a workload answers.
func ofServers() []measured {
	return []measured{
		{diagnosis.Latency, observability.Latency, 99, "p99", observability.Seconds, noise{0.010, 1.3}},
		{diagnosis.Latency, observability.Latency, 50, "p50", observability.Seconds, noise{0.005, 1.3}},
		{diagnosis.ErrorRatio, observability.ErrorRate, 0, "", observability.Ratio, noise{0.005, 1.5}},
		{diagnosis.RequestRate, observability.RequestRate, 0, "", observability.PerSecond, noise{0.5, 1.4}},
	}
}

// ofCalls are how calls to others go, as the caller sees it.
func ofCalls() []measured {
	return []measured{
		{diagnosis.CallLatency, observability.Latency, 99, "p99", observability.Seconds, noise{0.010, 1.3}},
		{diagnosis.CallErrors, observability.ErrorRate, 0, "", observability.Ratio, noise{0.005, 1.5}},
		{diagnosis.Calls, observability.RequestRate, 0, "", observability.PerSecond, noise{0.5, 1.4}},
	}
}

const (
	week = 7 * 24 * time.Hour
	// sharp is how much of the newest past is looked at with short rates: what
	// began a moment ago shows there first.
	sharp = 30 * time.Minute
	// atWeek is how long a stretch of a week ago is looked at.
	atWeek = 20 * time.Minute
)

// Collect measures.
func (c traffic) Collect(ctx context.Context, r diagnosis.Request) ([]diagnosis.Evidence, error) {
	out := &found{source: fromPrometheus}
	return out.until(ctx, func() { c.collect(ctx, out, r) })
}

func (c traffic) collect(ctx context.Context, out *found, r diagnosis.Request) {
	var mu sync.Mutex
	hurt := map[kube.Ref]bool{}
	serves := func(n *node) {
		var wg sync.WaitGroup
		for _, m := range ofServers() {
			wg.Go(func() {
				e, ok := c.measure(ctx, out, n, m, r.Window)
				if !ok {
					return
				}
				out.add(e)
				if m.metric != observability.RequestRate && !e.At.IsZero() && *e.Value > *e.Before {
					mu.Lock()
					hurt[n.workload.Ref] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	// What is asked about does not wait for the way to be found.
	ahead := c.ahead(ctx, r)
	var first sync.WaitGroup
	first.Go(func() {
		each(ahead, func(n *node) {
			serves(n)
			if len(ahead) == 1 {
				c.apart(ctx, out, n, r.Window)
			}
		})
	})
	defer first.Wait()
	rc, err := c.reach(ctx, r)
	if err != nil {
		return // the collector of objects says what is wrong
	}
	for _, err := range rc.missing {
		out.lacks(err)
	}
	early := func(n *node) bool {
		return slices.ContainsFunc(ahead, func(a *node) bool { return a.workload.Ref == n.workload.Ref })
	}
	each(rc.nodes, func(n *node) {
		if !n.inside() {
			return
		}
		var wg sync.WaitGroup
		if !early(n) {
			wg.Go(func() { serves(n) })
		}
		if len(n.calls) > 0 || n.hop >= 0 {
			wg.Go(func() { c.calls(ctx, out, n, r.Window) })
		}
		wg.Wait()
	})
	first.Wait()
	// Is it only the new version, one pod, one node? That is asked where
	// something is off, and of the target.
	each(rc.nodes, func(n *node) {
		if n.inside() && hurt[n.workload.Ref] && (len(ahead) != 1 || !early(n)) {
			c.apart(ctx, out, n, r.Window)
		}
	})
}

// curve asks for a line over a window and its past: the past with a rate over
// minutes and, where it has to be sharp, the newest part with a shorter one.
func (l *look) curve(ctx context.Context, q Question, w observability.Window, sharply bool) (map[string][]observability.Point, Answer, error) {
	all := span(w)
	type part struct {
		a   Answer
		err error
	}
	edge := all.To.Add(-sharp)
	if !sharply {
		edge = all.From
	}
	windows := []observability.Window{all}
	if edge.After(all.From) {
		windows = []observability.Window{{From: all.From, To: edge}, {From: edge, To: all.To}}
	}
	parts := make([]part, len(windows))
	var wg sync.WaitGroup
	for i, win := range windows {
		wg.Go(func() {
			ask := q
			ask.Seen = all // and not for each part anew
			ask.Window, ask.Step = win, max(win.Length()/90, 15*time.Second).Truncate(time.Second)
			parts[i].a, parts[i].err = l.Metrics.Measure(ctx, ask)
		})
	}
	wg.Wait()
	lines := map[string][]observability.Point{}
	var answer Answer
	var missed error
	for i, p := range parts {
		if p.err != nil {
			if fault.KindOf(p.err) != fault.NotFound || missed == nil {
				missed = p.err
			}
			continue
		}
		answer = p.a
		for _, s := range p.a.Series {
			name := s.Labels[q.By]
			points := s.Points
			if i > 0 { // the edge belongs to one of them
				points = slices.DeleteFunc(slices.Clone(points), func(x observability.Point) bool { return !x.At.After(edge) })
			}
			lines[name] = append(lines[name], points...)
		}
	}
	if len(lines) == 0 || missed != nil && fault.KindOf(missed) != fault.NotFound {
		return lines, answer, missed
	}
	return lines, answer, nil
}

// measure compares one metric of one workload.
func (c traffic) measure(ctx context.Context, out *found, n *node, m measured, w observability.Window) (diagnosis.Evidence, bool) {
	q := Question{Target: n.target, Metric: m.metric, Percentile: m.percentile}
	lines, a, err := c.curve(ctx, q, w, m.name != "p50")
	if out.lacks(err) && len(lines) == 0 {
		return diagnosis.Evidence{}, false
	}
	s := compare(lines[""], w, m.noise)
	if !s.known {
		return diagnosis.Evidence{}, false
	}
	e := diagnosis.Evidence{Kind: m.kind, About: n.object, Name: m.name, Unit: m.unit, Query: a.Query, Link: a.Link}
	s.put(&e)
	if n.hop == 0 || !s.at.IsZero() {
		if v, ok := c.weekAgo(ctx, q, w); ok {
			e.Week = &v
		}
	}
	return e, true
}

// put puts numbers into evidence.
func (s shift) put(e *diagnosis.Evidence) {
	e.Value, e.At = &s.now, s.at
	if s.past {
		e.Before = &s.before
	}
}

// weekAgo is the level at the same hour a week ago.
func (l *look) weekAgo(ctx context.Context, q Question, w observability.Window) (float64, bool) {
	q.Window = observability.Window{From: w.To.Add(-atWeek), To: w.To}.Back(week)
	q.Seen, q.Step = span(w), time.Minute
	a, err := l.Metrics.Measure(ctx, q)
	if err != nil || len(a.Series) == 0 || len(a.Series[0].Points) < fewest {
		return 0, false // so far back there is often nothing
	}
	return median(values(a.Series[0].Points)), true
}

// calls compares how the calls of a workload go, by whom it calls.
func (c traffic) calls(ctx context.Context, out *found, n *node, w observability.Window) {
	var wg sync.WaitGroup
	for _, m := range ofCalls() {
		wg.Go(func() {
			lines, a, err := c.curve(ctx, Question{Target: n.target, Metric: m.metric, Percentile: m.percentile, By: byPeer}, w, true)
			if out.lacks(err) && len(lines) == 0 {
				return
			}
			for _, peer := range sorted(lines) {
				s := compare(lines[peer], w, m.noise)
				i := slices.IndexFunc(n.calls, func(e *edge) bool { return e.peer == peer })
				if peer == "" || !s.known && !s.past || i < 0 {
					continue
				}
				e := diagnosis.Evidence{Kind: m.kind, About: n.object, Peer: n.calls[i].to.object, Name: m.name, Unit: m.unit, Query: a.Query, Link: a.Link}
				s.put(&e)
				out.add(e)
			}
		})
	}
	wg.Wait()
}

// apart compares the versions and the pods of a workload with each other.
func (c traffic) apart(ctx context.Context, out *found, n *node, w observability.Window) {
	s, err := c.survey(ctx, n.workload)
	if err != nil {
		return // the collector of objects says so
	}
	kinds := []struct {
		m            measured
		pod, version diagnosis.Kind
	}{
		{measured{metric: observability.Latency, percentile: 99, name: "p99", unit: observability.Seconds, noise: noise{0.010, 1.3}}, diagnosis.PodLatency, diagnosis.VersionLatency},
		{measured{metric: observability.ErrorRate, unit: observability.Ratio, noise: noise{0.005, 1.5}}, diagnosis.PodErrors, diagnosis.VersionErrors},
	}
	rolled := len(s.Changes) > 1 && recent(s.Changes[0].At, w)
	var wg sync.WaitGroup
	for _, k := range kinds {
		wg.Go(func() {
			pods := c.byPod(ctx, out, n, s, k.m, k.pod, w)
			if rolled {
				c.byVersion(ctx, out, n, s, k.m, k.version, w, pods)
			}
		})
	}
	wg.Wait()
}

// byPod tells how each pod does, of those that are there now.
func (c traffic) byPod(ctx context.Context, out *found, n *node, s kube.Survey, m measured, kind diagnosis.Kind, w observability.Window) map[string][]observability.Point {
	lines, a, err := c.curve(ctx, Question{Target: n.target, Metric: m.metric, Percentile: m.percentile, By: byPod}, w, true)
	if out.lacks(err) && len(lines) == 0 {
		return nil
	}
	told := 0
	for _, p := range s.Pods {
		line := lines[p.Ref.Name]
		if len(line) == 0 || told == mostPods {
			continue
		}
		sh := compare(line, w, m.noise)
		if !sh.known {
			continue
		}
		told++
		e := diagnosis.Evidence{Kind: kind, About: object(p.Ref), Owner: n.object, Name: m.name, Unit: m.unit, Query: a.Query, Link: a.Link}
		if p.Node != "" {
			e.Peer = diagnosis.Object{Cluster: n.object.Cluster, Kind: nodeKind, Name: p.Node}
		}
		sh.put(&e)
		out.add(e)
	}
	return lines
}

// mostPods is how many pods of a workload are told of one by one.
const mostPods = 20

// byVersion tells how each version did while it ran: by a label where there is
// one, else by what is known of the pods.
func (c traffic) byVersion(ctx context.Context, out *found, n *node, s kube.Survey, m measured, kind diagnosis.Kind, w observability.Window, pods map[string][]observability.Point) {
	lines, a, err := c.curve(ctx, Question{Target: n.target, Metric: m.metric, Percentile: m.percentile, By: byVersion}, w, true)
	if out.lacks(err) {
		lines = nil
	}
	delete(lines, "")
	if len(lines) == 0 {
		lines = versionsOf(s, pods)
	}
	for _, v := range sorted(lines) {
		points := lines[v]
		if len(points) < fewest {
			continue
		}
		// How it did at last: the old one may be gone by now.
		now := median(latest(values(points)))
		last := points[len(points)-1].At
		e := diagnosis.Evidence{Kind: kind, About: n.object, Name: v, Unit: m.unit, Query: a.Query, Link: a.Link, Value: &now}
		if last.Before(w.From) {
			continue // it ran before all this
		}
		out.add(e)
	}
}

// versionsOf puts the lines of pods together by the version that they are of.
// Pods that are gone are known by the hash in their names.
func versionsOf(s kube.Survey, pods map[string][]observability.Point) map[string][]observability.Point {
	byHash := map[string]string{}
	for _, r := range s.Changes {
		if r.Hash != "" {
			byHash[r.Hash] = r.Version
		}
	}
	byName := map[string]string{}
	for _, p := range s.Pods {
		byName[p.Ref.Name] = p.Version
	}
	at := map[string]map[time.Time][]float64{}
	for pod, points := range pods {
		v := byName[pod]
		if parts := strings.Split(pod, "-"); v == "" && len(parts) > 2 {
			v = byHash[parts[len(parts)-2]]
		}
		if v == "" {
			continue
		}
		if at[v] == nil {
			at[v] = map[time.Time][]float64{}
		}
		for _, p := range points {
			at[v][p.At] = append(at[v][p.At], p.Value)
		}
	}
	out := map[string][]observability.Point{}
	for v, moments := range at {
		for t, all := range moments {
			out[v] = append(out[v], observability.Point{At: t, Value: median(all)})
		}
		slices.SortFunc(out[v], func(a, b observability.Point) int { return a.At.Compare(b.At) })
	}
	return out
}
