package skill

import (
	"context"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

const (
	spokenItems = 5   // more names than that nobody remembers
	shownItems  = 200 // more rows than that nobody reads
)

// clusterWide are the kinds that are in no namespace.
var clusterWide = []string{"nodes", "namespaces", "clusters"}

// list says what there is of a kind.
func (c *Crew) list(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	in := t.Intent.Slots
	kind, filter := in.String("kind"), in.String("filter")
	if kind == "" {
		kind = "workloads"
		if filter != "" {
			kind = "pods"
		}
	}
	ns := c.namespace(ctx, t)
	if slices.Contains(clusterWide, kind) {
		ns = ""
	} else if err := c.hasNamespace(ctx, c.where(t), ns); err != nil {
		return dialogue.Reply{}, err
	}
	table, err := c.cluster.List(ctx, kube.ListQuery{Cluster: c.where(t), Kind: kind, Namespace: ns})
	if err != nil {
		return dialogue.Reply{}, err
	}
	if targets := in.Targets(); kind == "pods" && len(targets) > 0 {
		ws, err := c.workloads(ctx, t)
		if err != nil {
			return answered(err)
		}
		focus(t, ws)
		table.Items = slices.DeleteFunc(table.Items, func(it kube.Item) bool {
			return !slices.ContainsFunc(ws, func(w kube.Workload) bool { return strings.HasPrefix(it.Name, w.Ref.Name+"-") })
		})
	}
	items := slices.DeleteFunc(slices.Clone(table.Items), func(it kube.Item) bool { return !fits(it, filter) })
	var all, bad []string
	for _, it := range items {
		all = append(all, it.Name)
		if !it.Healthy {
			bad = append(bad, it.Name)
		}
	}
	data := dialogue.Data{
		"Count": len(items), "Kind": kind, "One": strings.TrimSuffix(kind, "s"), "Namespace": c.namespaceIn(c.where(t), ns), "Filter": filter,
		"Some": all[:min(spokenItems, len(all))], "More": max(0, len(all)-spokenItems), "Bad": bad,
	}
	key := "list.some"
	switch {
	case len(items) == 0:
		key = "list.none"
	case kind == "clusters":
		key, data["Names"] = "list.clusters", all
	}
	r, err := t.Reply(key, data)
	if err != nil || len(items) == 0 {
		return r, err
	}
	b := dialogue.Block{Type: "table", Columns: table.Columns}
	for _, it := range items[:min(shownItems, len(items))] {
		b.Rows = append(b.Rows, append([]string{it.Name}, it.Cells...))
	}
	r.Blocks = []dialogue.Block{b}
	return r, nil
}

// fits reports whether an item is what a filter asks for.
func fits(it kube.Item, filter string) bool {
	status := strings.ToLower(it.Status)
	switch filter {
	case "":
		return true
	case "unhealthy", "failing", "broken", "not_ready", "unready":
		return !it.Healthy
	case "healthy", "ready":
		return it.Healthy
	case "pending":
		return strings.Contains(status, "pending") || strings.Contains(status, "creating") || strings.Contains(status, "initializing") ||
			strings.Contains(status, "imagepull")
	case "crashloop", "crashing":
		return strings.Contains(status, "crash") || status == "error" || status == "oomkilled"
	case "image_pull":
		return strings.Contains(status, "imagepull")
	}
	return strings.Contains(status, strings.ToLower(filter))
}
