package alertmanager

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// workloadLabels are those by which rules name what an alert is about, the surest
// first; pods and jobs come last: their names have more behind them.
func workloadLabels() []string {
	return []string{
		"deployment", "statefulset", "daemonset", "workload", "cronjob", "app_kubernetes_io_name", "label_app_kubernetes_io_name",
		"app", "service_name", "service", "destination_workload", "container", "job_name", "job",
	}
}

// About is what an alert is about: the workload's name and the namespace as far
// as its labels say, and the label that says so.
func About(a observability.Alert) (name, namespace, label string) {
	for _, n := range []string{"namespace", "exported_namespace", "kubernetes_namespace", "destination_workload_namespace"} {
		if v := a.Labels[n]; v != "" {
			namespace = v
			break
		}
	}
	for _, l := range workloadLabels() {
		v := a.Labels[l]
		if i := strings.LastIndex(v, "/"); i >= 0 {
			v = v[i+1:] // a job of Prometheus: "shop/checkout"
		}
		if v != "" && (l != "job" || a.Labels["pod"] == "") {
			return v, namespace, l
		}
	}
	for _, l := range []string{"pod", "node", "instance"} {
		if v := a.Labels[l]; v != "" {
			return v, namespace, l
		}
	}
	return "", namespace, ""
}

// Concerns reports whether an alert is about a workload, and the condition on its
// labels that says so. A namespace of "" is any; an alert without one may be
// about any.
func Concerns(a observability.Alert, t observability.Target) (m observability.Matcher, ok bool) {
	_, ns, _ := About(a)
	if t.Namespace != "" && ns != "" && ns != t.Namespace {
		return m, false
	}
	for _, l := range workloadLabels() {
		v := a.Labels[l]
		if short := v[strings.LastIndex(v, "/")+1:]; v != "" && (short == t.Name || slices.Contains(t.Services, short)) {
			return observability.Matcher{Name: l, Value: v}, true
		}
	}
	p := a.Labels["pod"]
	switch {
	case p != "" && podsOf(t.Name).MatchString(p):
		return observability.Matcher{Name: "pod", Value: podExpr(t.Name), Regex: true}, true
	case p != "" && slices.Contains(t.Pods, p):
		return observability.Matcher{Name: "pod", Value: p}, true
	}
	for _, l := range []string{"node", "instance"} {
		if v := a.Labels[l]; t.Kind == "Node" && v != "" && (v == t.Name || strings.Split(v, ":")[0] == t.Name) {
			return observability.Matcher{Name: l, Value: v}, true
		}
	}
	return m, false
}

// podExpr matches the names of a workload's pods: of a Deployment with two parts
// behind its name, else with one. What controllers add has no vowels, so that it
// makes no word, and no pod of another workload with a longer name fits.
func podExpr(name string) string {
	const part = "[bcdfghjklmnpqrstvwxz0-9]"
	return regexp.QuoteMeta(name) + "-(" + part + "+-)?(" + part + "{5}|[0-9]+)"
}

func podsOf(name string) *regexp.Regexp { return regexp.MustCompile("^(?:" + podExpr(name) + ")$") }

// Group is alerts of one name in one place, the gravest first.
type Group struct {
	Name      string
	Severity  string // the gravest
	Namespace string
	Alerts    []observability.Alert
	About     []string // what is affected, each once, in the order of the alerts
}

// Groups puts alerts of one name and namespace together, in the order of their
// first.
func Groups(alerts []observability.Alert) []Group {
	var out []Group
	for _, a := range alerts {
		about, ns, _ := About(a)
		i := slices.IndexFunc(out, func(g Group) bool { return g.Name == a.Name && g.Namespace == ns })
		if i < 0 {
			i = len(out)
			out = append(out, Group{Name: a.Name, Severity: a.Severity, Namespace: ns})
		}
		g := &out[i]
		g.Alerts = append(g.Alerts, a)
		if Grave(a.Severity) > Grave(g.Severity) {
			g.Severity = a.Severity
		}
		if about != "" && !slices.Contains(g.About, about) {
			g.About = append(g.About, about)
		}
	}
	return out
}

// Held reports whether an alert is held back.
func Held(a observability.Alert) bool { return len(a.SilencedBy)+len(a.InhibitedBy) > 0 }

// Firing lists what fires in a cluster, held back or not: what somebody has
// acknowledged is there all the same. An alert that names no cluster may be of any.
func (c *Client) Firing(ctx context.Context, cluster string) ([]observability.Alert, error) {
	all, err := c.Alerts(ctx, Filter{Silenced: true, Inhibited: true})
	return inCluster(all, cluster), err
}

// inCluster drops what another cluster says of itself.
func inCluster(all []observability.Alert, cluster string) []observability.Alert {
	return slices.DeleteFunc(all, func(a observability.Alert) bool {
		of := a.Labels["cluster"]
		return cluster != "" && of != "" && of != cluster
	})
}
