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
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// objects looks at the cluster's objects: what changed, the pods, and what
// stands between a workload and who calls it.
type objects struct{ *look }

// Name is how the collector is called.
func (objects) Name() string { return "kubernetes" }

const fromCluster = "kubernetes"

// Collect surveys the target, what it calls and who calls it.
func (c objects) Collect(ctx context.Context, r diagnosis.Request) ([]diagnosis.Evidence, error) {
	out := &found{source: fromCluster}
	if r.Target.Kind == nodeKind {
		return c.node(ctx, r)
	}
	return out.until(ctx, func() { c.collect(ctx, out, r) })
}

func (c objects) collect(ctx context.Context, out *found, r diagnosis.Request) {
	// What is asked about does not wait for the way to be found.
	var wg sync.WaitGroup
	var mu sync.Mutex
	told := map[kube.Ref]bool{}
	for _, n := range c.ahead(ctx, r) {
		wg.Go(func() {
			if s, err := c.survey(ctx, n.workload); err == nil { // else it is noted below
				out.add(alone(s, r.Window)...)
				mu.Lock()
				told[n.workload.Ref] = true
				mu.Unlock()
			}
		})
	}
	rc, err := c.reach(ctx, r)
	wg.Wait()
	if err != nil {
		out.lacks(err)
		return
	}
	var missing []string
	talk := map[kube.Ref]map[kube.Ref]bool{}
	for _, n := range rc.nodes {
		for _, e := range n.calls {
			if talk[n.workload.Ref] == nil {
				talk[n.workload.Ref] = map[kube.Ref]bool{}
			}
			talk[n.workload.Ref][e.to.workload.Ref] = true
			if e.known == fromCluster {
				out.add(diagnosis.Evidence{Kind: diagnosis.Calls, About: n.object, Peer: e.to.object, Text: "named in its configuration"})
			}
		}
	}
	dns := map[kube.Ref]bool{}
	each(rc.nodes, func(n *node) {
		if !n.inside() {
			return
		}
		s, err := c.survey(ctx, n.workload)
		if out.lacks(err) {
			return
		}
		if told[n.workload.Ref] {
			out.add(network(s, r.Window, talk)...)
		} else {
			out.add(of(s, r.Window, talk)...)
		}
		out.add(c.lastWords(ctx, s, r.Window)...)
		mu.Lock()
		defer mu.Unlock()
		for _, w := range s.DNS {
			if !dns[w.Ref] {
				dns[w.Ref] = true
				out.add(replicas(w, nil))
			}
		}
		for _, m := range s.Missing {
			if !slices.Contains(missing, m) {
				missing = append(missing, m)
			}
		}
	})
	// What answers for names has an own survey where it is not as it should be,
	// or its configuration may just have changed.
	for ref := range dns {
		ws, err := c.Cluster.Find(ctx, kube.Query(ref))
		if err != nil || len(ws) != 1 {
			continue
		}
		if s, err := c.survey(ctx, ws[0]); err == nil {
			out.add(of(s, r.Window, nil)...)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		out.lacks(fault.New(fault.Forbidden, "I could not see all of the cluster: %s.", strings.Join(missing, "; ")))
	}
}

// node looks at a node that is asked about, by way of what runs on it.
func (c objects) node(ctx context.Context, r diagnosis.Request) ([]diagnosis.Evidence, error) {
	out := &found{source: fromCluster}
	all, err := c.Cluster.Find(ctx, kube.Query{Cluster: r.Target.Cluster})
	if err != nil {
		return nil, err
	}
	// Any survey tells of the nodes that are not well; one of a workload that has
	// pods on this one tells of it in any case.
	for _, w := range all[:min(len(all), mostAsked)] {
		s, err := c.survey(ctx, w)
		if out.lacks(err) {
			continue
		}
		for _, n := range s.Nodes {
			if n.Name == r.Target.Name {
				out.add(nodes(s, r.Window)...)
				return out.give()
			}
		}
	}
	return out.give()
}

// of is what a survey says, as evidence. It asks nobody.
func of(s kube.Survey, win observability.Window, talk map[kube.Ref]map[kube.Ref]bool) []diagnosis.Evidence {
	return append(alone(s, win), network(s, win, talk)...)
}

// alone is that part of it for which it does not matter who talks to whom.
func alone(s kube.Survey, win observability.Window) []diagnosis.Evidence {
	return slices.Concat(changes(s, win), pods(s, win), needs(s, win), nodes(s, win))
}

// recent reports whether something happened within a window or shortly before.
func recent(at time.Time, win observability.Window) bool {
	return !at.IsZero() && !at.Before(past(win).From) && !at.After(win.To.Add(time.Minute))
}

// lastWords adds to crashes what the containers last said.
func (c objects) lastWords(ctx context.Context, s kube.Survey, win observability.Window) []diagnosis.Evidence {
	if c.PodLogs == nil {
		return nil
	}
	var out []diagnosis.Evidence
	said := map[string]bool{}
	for _, p := range s.Pods {
		for _, k := range p.Containers {
			if !crashed(p, k, win) || said[k.Name+p.Version] {
				continue
			}
			said[k.Name+p.Version] = true // one of a version will do
			q := logs.Query{
				Target:    observability.Target{Cluster: s.Workload.Ref.Cluster, Namespace: s.Workload.Ref.Namespace, Kind: kube.Pod, Name: p.Ref.Name, Pods: []string{p.Ref.Name}},
				Container: k.Name, Previous: k.State != "ended", Tail: lastLines,
			}
			text := lastOf(ctx, c.PodLogs, q)
			if text == "" {
				continue
			}
			e := crash(s, p, k)
			e.Text = text
			out = append(out, e)
		}
	}
	return out
}

// lastLines is how many lines of a container that died are looked at.
const lastLines = 20

// lastOf are the last lines that say why: the grave ones, else the very last.
func lastOf(ctx context.Context, src logs.Source, q logs.Query) string {
	var grave, all []string
	for l, err := range src.Lines(ctx, q) {
		if err != nil {
			break // what was read so far counts
		}
		if l.Message == "" {
			continue
		}
		text := because(l)
		all = append(all, text)
		if logs.AtLeast(l.Level, observability.LevelError) {
			grave = append(grave, text)
		}
	}
	if len(grave) > 0 {
		all = grave
	}
	return clip(strings.Join(all[max(0, len(all)-3):], " | "))
}
