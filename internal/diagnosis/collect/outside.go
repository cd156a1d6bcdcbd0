package collect

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/observability/traces"
)

// alerts looks which alerts fire nearby.
type alerts struct{ *look }

// Name is how the collector is called.
func (alerts) Name() string { return "alerts" }

const mostAlerts = 20

// Collect asks for the alerts of the target's namespace, of what it calls, of
// the nodes, and of the cluster as a whole.
func (c alerts) Collect(ctx context.Context, r diagnosis.Request) ([]diagnosis.Evidence, error) {
	out := &found{source: "alertmanager"}
	all, err := c.Alerts.Alerts(ctx, alertmanager.Filter{})
	if err != nil {
		return nil, err
	}
	rc, err := c.reach(ctx, r)
	if err != nil {
		rc = &reach{}
	}
	var list []diagnosis.Evidence
	for _, a := range all {
		about, near := aboutOf(a, r, rc)
		if !near || a.Name == "Watchdog" || a.Severity == "none" {
			continue // one that always fires, to show that alerts arrive
		}
		list = append(list, diagnosis.Evidence{
			Kind: diagnosis.Alert, At: a.Since, About: about, Name: a.Name, Text: clip(a.Summary), To: a.Severity, Link: a.Link, Query: "state=active",
		})
	}
	slices.SortStableFunc(list, func(a, b diagnosis.Evidence) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Name, b.Name)) })
	out.add(list[:min(len(list), mostAlerts)]...)
	return out.give()
}

// aboutOf is what an alert's labels name, and whether that is near.
func aboutOf(a observability.Alert, r diagnosis.Request, rc *reach) (diagnosis.Object, bool) {
	l := a.Labels
	ns := cmp.Or(l["namespace"], l["exported_namespace"], l["kubernetes_namespace"])
	o := diagnosis.Object{Cluster: r.Target.Cluster, Namespace: ns}
	for _, k := range []struct{ label, kind string }{
		{"deployment", kube.Deployment}, {"statefulset", kube.StatefulSet}, {"daemonset", kube.DaemonSet},
		{"horizontalpodautoscaler", "HorizontalPodAutoscaler"}, {"persistentvolumeclaim", "PersistentVolumeClaim"}, {"pod", kube.Pod}, {"service", "Service"}, {"app", ""},
	} {
		if v := l[k.label]; v != "" {
			o.Kind, o.Name = k.kind, v
			break
		}
	}
	if o.Name == "" && l["node"] != "" {
		o = diagnosis.Object{Cluster: r.Target.Cluster, Kind: nodeKind, Name: l["node"]}
	}
	for _, n := range rc.nodes {
		if !n.inside() || n.workload.Ref.Namespace != ns {
			continue
		}
		if o.Name == n.workload.Ref.Name || o.Kind == kube.Pod && strings.HasPrefix(o.Name, n.workload.Ref.Name+"-") {
			return n.object, true
		}
	}
	switch {
	case o.Kind == nodeKind, ns == "":
		return o, true
	case ns == r.Target.Namespace, r.Target.Namespace == "":
		return o, true
	}
	return o, ns == "kube-system"
}

// issues looks for errors that are new since the last roll-out.
type issues struct{ *look }

// Name is how the collector is called.
func (issues) Name() string { return "issues" }

const mostIssues = 5

// Collect asks for the target and what it calls directly.
func (c issues) Collect(ctx context.Context, r diagnosis.Request) ([]diagnosis.Evidence, error) {
	out := &found{source: "sentry"}
	return out.until(ctx, func() { c.collect(ctx, out, r) })
}

func (c issues) collect(ctx context.Context, out *found, r diagnosis.Request) {
	rc, err := c.reach(ctx, r)
	if err != nil {
		return // the collector of objects says what is wrong
	}
	each(rc.nodes, func(n *node) {
		if !n.inside() || n.hop < 0 || n.hop > 1 {
			return
		}
		since := r.Window.From
		if s, err := c.survey(ctx, n.workload); err == nil && len(s.Changes) > 1 && recent(s.Changes[0].At, r.Window) {
			since = sooner(since, s.Changes[0].At)
		}
		all, err := c.Issues.Since(ctx, n.target, since)
		if out.lacks(err) {
			return
		}
		told := 0
		for _, i := range all {
			if i.First.Before(since) && !i.Regressed || told == mostIssues {
				continue
			}
			told++
			e := diagnosis.Evidence{
				Kind: diagnosis.Issue, At: i.First, About: n.object, Name: cmp.Or(i.Short, i.ID), Text: clip(i.Title), To: i.FirstRelease, Count: i.Events, Link: i.Link,
			}
			if i.Regressed {
				e.From = "regressed"
				e.At = i.Last
			}
			out.add(e)
		}
	})
}

// traced looks where the time of the target's requests is spent.
type traced struct{ *look }

// Name is how the collector is called.
func (traced) Name() string { return "traces" }

// Collect follows the critical path of the target's newest traces, and says who
// calls whom in them.
func (c traced) Collect(ctx context.Context, r diagnosis.Request) ([]diagnosis.Evidence, error) {
	spans, err := c.traces(ctx, r)
	if err != nil || len(spans) == 0 {
		return nil, err
	}
	about := diagnosis.TargetObject(r.Target)
	query := "service " + r.Target.Name
	var out []diagnosis.Evidence
	for _, s := range traces.CriticalPath(traces.Of(spans, r.Target.Name)) {
		if s.Ratio < 0.02 {
			continue
		}
		peer := diagnosis.Object{Name: s.Service}
		if s.Service == r.Target.Name {
			peer = about
		}
		ratio := s.Ratio
		out = append(out, diagnosis.Evidence{Kind: diagnosis.TimeShare, About: about, Peer: peer, Name: diagnosis.Clip(s.Name, 80), Value: &ratio, Unit: observability.Ratio, Source: "traces", Query: query})
	}
	calls := callsOf(spans)
	for _, from := range sorted(calls) {
		a := diagnosis.Object{Name: from}
		if from == r.Target.Name {
			a = about
		}
		for _, to := range calls[from] {
			out = append(out, diagnosis.Evidence{Kind: diagnosis.Calls, About: a, Peer: diagnosis.Object{Name: to}, Source: "traces", Query: query})
		}
	}
	return out, nil
}

// callsOf tells who calls whom in spans, in the order of their names.
func callsOf(spans []observability.Span) map[string][]string {
	out := map[string][]string{}
	for _, c := range traces.Calls(spans) {
		if c.From != "" && c.To != "" {
			out[c.From] = append(out[c.From], c.To)
		}
	}
	for _, to := range out {
		slices.Sort(to)
	}
	return out
}
