package skill

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/observability/prometheus"
)

// Usages says what pods and nodes use just now; *kube.Fleet is one.
type Usages interface {
	Usage(ctx context.Context, q kube.UsageQuery) ([]kube.Usage, error)
}

// Metered measures by metrics-server, for where there is no Prometheus: CPU and
// memory of this moment, and nothing else.
type Metered struct {
	from Usages
	now  func() time.Time
}

// NewMetered returns a Measurer that asks for nothing but usage.
func NewMetered(from Usages, now func() time.Time) *Metered { return &Metered{from, now} }

// meteredFor is how old a moment may be and still be this one.
const meteredFor = 2 * time.Minute

// noHistory is what is said beside such a number.
const noHistory = "That is from metrics-server, of this moment only: for how it was before, and for requests and errors, set observability.prometheus.url."

// may refuses what metrics-server does not know.
func (m *Metered) may(metric observability.Metric, w observability.Window) error {
	switch {
	case metric != observability.CPU && metric != observability.Memory:
		return fault.New(fault.Usage, "Without Prometheus I know only the CPU and memory that is used just now. For the rest set observability.prometheus.url to the address of your Prometheus.")
	case m.now().Sub(w.To) > meteredFor:
		return fault.New(fault.Usage, "Without Prometheus I know only what is used just now, not what was. Set observability.prometheus.url to the address of your Prometheus.")
	}
	return nil
}

// point is a series of one value.
func (m *Metered) point(name string, labels map[string]string, v float64, at time.Time, u observability.Unit) observability.Series {
	return observability.Series{Name: name, Labels: labels, Unit: u, Points: []observability.Point{{At: at, Value: v}}}
}

// usedOf is what a metric is counted in, and its value.
func usedOf(metric observability.Metric, u kube.Usage) (observability.Unit, float64) {
	if metric == observability.CPU {
		return observability.Cores, u.CPU
	}
	return observability.Bytes, u.Memory
}

func meteredAnswer(metric observability.Metric, series []observability.Series) prometheus.Answer {
	unit, _ := usedOf(metric, kube.Usage{})
	return prometheus.Answer{Series: series, Unit: unit, Family: "metrics-server", Warnings: []string{noHistory}}
}

// Measure adds up what a workload, a namespace, a node or the cluster uses.
func (m *Metered) Measure(ctx context.Context, q prometheus.Question) (prometheus.Answer, error) {
	if err := m.may(q.Metric, q.Window); err != nil {
		return prometheus.Answer{}, err
	}
	t := q.Target
	all, err := m.from.Usage(ctx, kube.UsageQuery{Cluster: t.Cluster, Nodes: t.Kind == kube.Node, Namespace: t.Namespace, Labels: t.Labels})
	if err != nil {
		return prometheus.Answer{}, err
	}
	switch {
	case t.Name == "":
	case t.Kind == kube.Node:
		all = slices.DeleteFunc(all, func(u kube.Usage) bool { return u.Ref.Name != t.Name })
	case len(t.Labels) == 0: // its selector has no plain labels: pods are told by their names
		all = slices.DeleteFunc(all, func(u kube.Usage) bool {
			_, ok := alertmanager.Concerns(observability.Alert{Labels: map[string]string{"namespace": u.Ref.Namespace, "pod": u.Ref.Name}}, t)
			return !ok
		})
	}
	if len(all) == 0 {
		return prometheus.Answer{}, fault.New(fault.NotFound, "metrics-server has no numbers of %s yet; of what has just started they come within a minute.", cmp.Or(t.Name, t.Namespace, "that"))
	}
	sum, at := 0.0, time.Time{}
	var unit observability.Unit
	for _, u := range all {
		var v float64
		unit, v = usedOf(q.Metric, u)
		sum += v
		if u.At.After(at) {
			at = u.At
		}
	}
	return meteredAnswer(q.Metric, []observability.Series{m.point("", nil, sum, at, unit)}), nil
}

// Top lists the pods, nodes or namespaces that use most.
func (m *Metered) Top(ctx context.Context, q prometheus.TopQuestion) (prometheus.Answer, error) {
	if err := m.may(q.Metric, q.Window); err != nil {
		return prometheus.Answer{}, err
	}
	if q.Node != "" || q.Kind == "workloads" {
		return prometheus.Answer{}, fault.New(fault.Usage, "metrics-server does not say that. Ask for the pods, nodes or namespaces that use most, or set observability.prometheus.url.")
	}
	all, err := m.from.Usage(ctx, kube.UsageQuery{Cluster: q.Target.Cluster, Nodes: q.Kind == "nodes", Namespace: q.Target.Namespace, Labels: q.Target.Labels})
	if err != nil {
		return prometheus.Answer{}, err
	}
	var series []observability.Series
	for _, u := range all {
		unit, v := usedOf(q.Metric, u)
		name, labels := u.Ref.Name, map[string]string{"namespace": u.Ref.Namespace, "pod": u.Ref.Name}
		switch q.Kind {
		case "nodes":
			labels = map[string]string{"node": name}
		case "namespaces":
			name, labels = u.Ref.Namespace, map[string]string{"namespace": u.Ref.Namespace}
			if i := slices.IndexFunc(series, func(s observability.Series) bool { return s.Name == name }); i >= 0 {
				series[i].Points[0].Value += v
				continue
			}
		}
		series = append(series, m.point(name, labels, v, u.At, unit))
	}
	if len(series) == 0 {
		return prometheus.Answer{}, fault.New(fault.NotFound, "metrics-server has no numbers of that yet.")
	}
	slices.SortStableFunc(series, func(a, b observability.Series) int {
		return cmp.Or(cmp.Compare(b.Points[0].Value, a.Points[0].Value), cmp.Compare(a.Name, b.Name))
	})
	return meteredAnswer(q.Metric, series[:min(len(series), cmp.Or(max(q.Limit, 0), topRows))]), nil
}
