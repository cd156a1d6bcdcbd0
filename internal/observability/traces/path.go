package traces

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// node is a span in its trace, with the time that it has within its parent.
type node struct {
	span       *observability.Span
	start, end time.Time
	children   []*node
}

// trees makes a tree of each trace. Where parts of one are missing, the longest
// tree of it counts.
func trees(spans []observability.Span) []*node {
	var out []*node
	for _, trace := range byTrace(spans) {
		nodes := map[string]*node{}
		for i := range trace {
			s := &trace[i]
			nodes[s.ID] = &node{span: s, start: s.Start, end: s.Start.Add(s.Duration)}
		}
		var root *node
		for i := range trace {
			n := nodes[trace[i].ID]
			if n.span != &trace[i] {
				continue // a second span of that id
			}
			if p := nodes[n.span.Parent]; n.span.Parent != "" && p != nil && !within(p, n, nodes) {
				p.children = append(p.children, n)
			} else if root == nil || n.span.Duration > root.span.Duration {
				root = n
			}
		}
		if root != nil && root.span.Duration > 0 {
			fit(root, 0)
			out = append(out, root)
		}
	}
	return out
}

// within reports whether a span stands above another one: whoever wrote them
// may have made a circle.
func within(n, above *node, nodes map[string]*node) bool {
	for range len(nodes) {
		if n == above {
			return true
		}
		next := nodes[n.span.Parent]
		if n.span.Parent == "" || next == nil {
			return false
		}
		n = next
	}
	return true
}

func byTrace(spans []observability.Span) [][]observability.Span {
	groups := map[string][]observability.Span{}
	for _, s := range spans {
		groups[s.Trace] = append(groups[s.Trace], s)
	}
	var out [][]observability.Span
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		out = append(out, groups[id])
	}
	return out
}

// fit moves what is below a span into its time. Clocks of machines differ: what
// seems to begin before it was asked for, or to end after the answer, is moved,
// and cut only where it is too long.
func fit(n *node, by time.Duration) {
	for _, c := range n.children {
		move := by
		start, end := c.span.Start.Add(move), c.span.Start.Add(move+c.span.Duration)
		if end.After(n.end) {
			move -= end.Sub(n.end)
			start, end = c.span.Start.Add(move), n.end
		}
		if start.Before(n.start) {
			move += n.start.Sub(start)
			start, end = n.start, c.span.Start.Add(move+c.span.Duration)
		}
		if end.After(n.end) {
			end = n.end
		}
		c.start, c.end = start, end
		fit(c, move)
	}
}

// overlap is how much of the shorter of two spans may lie within the other for
// them to count as one behind the other.
const overlap = 0.1

// walk gives each moment between from and to of a span to the deepest span on the
// critical path: backwards from the end, to the child that ended last, from its
// beginning to the one that had ended last by then, and so on. What no child is
// waited for in is the span's own.
func walk(n *node, to time.Time, own func(*observability.Span, time.Duration)) {
	slices.SortStableFunc(n.children, func(a, b *node) int {
		return cmp.Or(b.end.Compare(a.end), b.start.Compare(a.start), cmp.Compare(a.span.ID, b.span.ID))
	})
	at := to
	var last *node
	for _, c := range n.children {
		end := c.end
		if end.After(at) {
			short := c.end.Sub(c.start)
			if last != nil {
				short = min(short, last.end.Sub(last.start))
			}
			if last != nil && float64(end.Sub(at)) > overlap*float64(short) {
				continue // it ran beside what was waited for
			}
			end = at
		}
		if !c.start.Before(end) {
			continue
		}
		own(n.span, at.Sub(end))
		walk(c, end, own)
		at, last = c.start, c
	}
	own(n.span, at.Sub(n.start))
}

// CriticalPath says which services the time of requests is spent in: each moment
// of a trace belongs to the service that was waited for in it. The shares are of
// all traces together, add up to one, and come greatest first.
func CriticalPath(spans []observability.Span) []observability.Share {
	type sum struct {
		self         time.Duration
		of           map[string]time.Duration // by operation
		failed, seen int
	}
	sums := map[string]*sum{}
	var whole time.Duration
	at := func(service string) *sum {
		s := sums[service]
		if s == nil {
			s = &sum{of: map[string]time.Duration{}}
			sums[service] = s
		}
		return s
	}
	roots := trees(spans)
	for _, root := range roots {
		whole += root.end.Sub(root.start)
		walk(root, root.end, func(s *observability.Span, d time.Duration) {
			sum := at(s.Service)
			sum.self += d
			sum.of[s.Name] += d
		})
		each(root, func(n *node) {
			sum := at(n.span.Service)
			sum.seen++
			if n.span.Failed {
				sum.failed++
			}
		})
	}
	var out []observability.Share
	for _, service := range slices.Sorted(maps.Keys(sums)) {
		s := sums[service]
		share := observability.Share{
			Service: service, Self: s.self / time.Duration(len(roots)), Ratio: float64(s.self) / float64(whole), Failed: float64(s.failed) / float64(max(1, s.seen)),
		}
		for _, name := range slices.Sorted(maps.Keys(s.of)) {
			if share.Name == "" || s.of[name] > s.of[share.Name] {
				share.Name = name
			}
		}
		out = append(out, share)
	}
	slices.SortStableFunc(out, func(a, b observability.Share) int { return cmp.Compare(b.Ratio, a.Ratio) })
	return out
}

func each(n *node, f func(*node)) {
	f(n)
	for _, c := range n.children {
		each(c, f)
	}
}

// Of cuts traces down to what happens within a service and below it: each of its
// topmost spans becomes a trace of its own.
func Of(spans []observability.Span, service string) []observability.Span {
	var out []observability.Span
	var find func(n *node)
	take := func(top *node) {
		each(top, func(n *node) {
			s := *n.span
			s.Trace += "/" + top.span.ID
			if n == top {
				s.Parent = ""
			}
			out = append(out, s)
		})
	}
	find = func(n *node) {
		if n.span.Service == service {
			take(n)
			return
		}
		for _, c := range n.children {
			find(c)
		}
	}
	for _, root := range trees(spans) {
		find(root)
	}
	return out
}

// Call is what one service asks of another.
type Call struct {
	From   string        `json:"from"`
	To     string        `json:"to"`
	Count  int           `json:"count"`
	Failed float64       `json:"failed"` // ratio
	Median time.Duration `json:"median"`
	P95    time.Duration `json:"p95"`
}

// Calls says who calls whom, how often, how slow that is and how many of them
// fail; the most frequent come first.
func Calls(spans []observability.Span) []Call {
	type edge struct{ from, to string }
	times, failed := map[edge][]time.Duration{}, map[edge]int{}
	for _, trace := range byTrace(spans) {
		of := map[string]string{}
		for _, s := range trace {
			of[s.ID] = s.Service
		}
		for _, s := range trace {
			from, ok := of[s.Parent]
			if s.Parent == "" || !ok || from == s.Service {
				continue
			}
			e := edge{from, s.Service}
			times[e] = append(times[e], s.Duration)
			if s.Failed {
				failed[e]++
			}
		}
	}
	var out []Call
	for e, all := range times {
		slices.Sort(all)
		out = append(out, Call{
			From: e.from, To: e.to, Count: len(all), Failed: float64(failed[e]) / float64(len(all)), Median: all[(len(all)-1)/2], P95: all[(len(all)*95-1)/100],
		})
	}
	slices.SortFunc(out, func(a, b Call) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return out
}
