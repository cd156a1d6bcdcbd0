package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// TopQuestion asks which of many has the most of something.
type TopQuestion struct {
	// Target is what they are of: a namespace, a workload, or all.
	Target     observability.Target
	Metric     observability.Metric
	Kind       string // "pods", "nodes", "namespaces" or "workloads"
	Percentile float64
	Window     observability.Window // its end counts, and its length for what is counted
	Limit      int                  // 10 by default
	Node       string               // only what is on this node; "" is anywhere
}

// Top returns the first, each a series of one point, with what it is in its
// labels: namespace and pod, workload or node. Answer.Series is in order.
func (c *Client) Top(ctx context.Context, q TopQuestion) (Answer, error) {
	if q.Limit <= 0 {
		q.Limit = 10
	}
	q.Percentile = percentile(q.Percentile)
	var by []string
	kind := ""
	switch q.Kind {
	case "nodes":
		by, kind = []string{"node"}, "node"
		q.Target = observability.Target{Cluster: q.Target.Cluster, Kind: "Node", Name: ""}
	case "namespaces":
		by = []string{"namespace"}
	case "workloads":
		by = []string{"namespace", "workload"}
	default:
		by = []string{"namespace", "pod"}
	}
	var on []matcher
	if q.Node != "" {
		on = append(on, matcher{"node", "=", q.Node})
	}
	found, looked, warnings, err := c.find(ctx, q.Target, q.Metric, kind, by, q.Window, on...)
	if err != nil {
		return Answer{}, err
	}
	for _, f := range found[:min(len(found), mostTries)] {
		whole := f.query(q.Percentile, rateWindow(q.Window.Length(), 0), q.Window.Length())
		query := whole
		fold := q.Kind == "workloads" && slices.Contains(labels("pod"), strings.TrimPrefix(f.by[len(f.by)-1], "exported_"))
		if !fold {
			query = fmt.Sprintf("topk(%d, %s)", q.Limit, whole)
		}
		lines, warned, err := c.query(ctx, query, q.Window.To)
		if err != nil {
			return Answer{}, err
		}
		warnings = append(warnings, warned...)
		lines = slices.DeleteFunc(lines, func(l line) bool { return slices.ContainsFunc(f.by, func(b string) bool { return l.label(b) == "" }) })
		if len(lines) == 0 {
			continue
		}
		for i := range lines {
			l := &lines[i]
			l.Labels, l.Unit = map[string]string{}, f.Unit
			for j, b := range by {
				v := l.label(f.by[j])
				if fold && b == "workload" {
					v = workload(v)
				}
				l.Labels[b], l.Name = v, v
			}
			scale(l.Points, f.Scale)
		}
		if fold {
			lines = folded(lines, by, f.Unit)
		}
		slices.SortStableFunc(lines, func(a, b line) int {
			return cmp.Or(cmp.Compare(b.Points[0].Value, a.Points[0].Value), cmp.Compare(a.Name, b.Name))
		})
		return c.answer(f, query, q.Window, q.Percentile, plain(lines[:min(len(lines), q.Limit)]), warnings), nil
	}
	return Answer{Warnings: warnings}, c.nothing(q.Target, q.Metric, looked)
}

// folded puts the pods of a workload together: what can be added is added, else
// the highest counts.
func folded(lines []line, by []string, u observability.Unit) []line {
	var out []line
	where := map[string]int{}
	for _, l := range lines {
		key := ""
		for _, b := range by {
			key += l.Labels[b] + "\x00"
		}
		i, ok := where[key]
		if !ok {
			where[key] = len(out)
			out = append(out, l)
			continue
		}
		if u == observability.Ratio || u == observability.Seconds {
			out[i].Points[0].Value = max(out[i].Points[0].Value, l.Points[0].Value)
		} else {
			out[i].Points[0].Value += l.Points[0].Value
		}
	}
	return out
}

// Since is the window of a length that ends at a moment.
func Since(end time.Time, length time.Duration) observability.Window {
	return observability.Window{From: end.Add(-length), To: end}
}
