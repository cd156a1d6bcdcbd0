package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
)

// measure is a family that is there, with what it takes to ask.
type measure struct {
	Family
	scope  string   // matchers
	by     []string // the labels that lines are told apart by
	status string   // the label with the status
}

// query is the PromQL of a measure.
func (m measure) query(percentile float64, window, whole time.Duration) string {
	by := ""
	for _, l := range m.by {
		by += l + ", "
	}
	status := ""
	if m.status != "" {
		status = m.status + "=~" + strconv.Quote(m.Failed)
	}
	q := m.Query
	if m.scope == "" {
		q = strings.NewReplacer(",$scope", "", "$scope", "").Replace(q)
	}
	q = strings.NewReplacer(
		"$by le", by+"le", " by ($by)", byClause(m.by), "$by", strings.TrimSuffix(by, ", "),
		"$window", seconds(window), "$range", seconds(whole),
		"$q", strconv.FormatFloat(percentile/100, 'f', -1, 64), "$status", status, "$scope", m.scope).Replace(q)
	return q
}

func byClause(by []string) string {
	if len(by) == 0 {
		return ""
	}
	return " by (" + strings.Join(by, ", ") + ")"
}

func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(d/time.Second))) + "s"
}

// labels are where what lines are told apart by may stand, the surest first.
func labels(by string) []string {
	switch by {
	case "pod":
		return []string{"pod", "k8s_pod_name", "kubernetes_pod_name", "pod_name"}
	case "version":
		return []string{"version", "app_version", "service_version", "destination_version", "app_kubernetes_io_version", "release"}
	case "container":
		return []string{"container", "k8s_container_name", "container_name"}
	case "peer":
		return []string{"peer", "server_address", "destination_service_name", "destination_workload", "peer_service", "net_peer_name", "grpc_service", "db_system_name", "db_system", "upstream", "host"}
	case "namespace":
		return []string{"namespace", "k8s_namespace_name", "destination_workload_namespace", "service_namespace"}
	case "node":
		return []string{"node", "nodename", "kubernetes_node", "k8s_node_name", "instance"}
	case "workload":
		return []string{"workload", "destination_workload", "deployment", "k8s_deployment_name", "service", "service_name", "app"}
	case "route":
		return []string{"route", "http_route", "path", "handler", "uri", "endpoint"}
	case "code":
		return statuses()
	}
	return []string{by}
}

// find asks which families of a metric there are of a target, best first, with
// the names that were looked for.
func (c *Client) find(ctx context.Context, t observability.Target, metric observability.Metric, of string, by []string, w observability.Window, extra ...matcher) (found []measure, looked, warnings []string, err error) {
	switch cluster := cmp.Or(t.Cluster, c.opt.Home); {
	case c.opt.ClusterLabel != "" && cluster != "":
		extra = append(extra, matcher{c.opt.ClusterLabel, "=", cluster})
	case cluster != c.opt.Home:
		return nil, nil, nil, fault.New(fault.Refused, "%s has the metrics of the home cluster only, as far as I know. If it has those of %s too, name the label that tells clusters apart in %s.cluster_label.", c.back.Name(), t.Cluster, c.back.Key())
	}
	type option struct {
		Family
		scope string
	}
	// What there is not at all need not be looked for workload by workload: of
	// dozens of families a cluster has a few.
	names, labels, err := c.anything(ctx, w)
	if err != nil {
		return nil, nil, nil, err
	}
	var options []option
	wanted := map[string][]string{} // names, by scope
	ways := map[string][]matcher{}  // how a scope is put
	for _, f := range c.families {
		if f.Metric != metric || f.Of != of {
			continue
		}
		for _, n := range f.Needs {
			if !slices.Contains(looked, n) {
				looked = append(looked, n)
			}
		}
		if slices.ContainsFunc(f.Needs, func(n string) bool { return !names[n] }) {
			continue
		}
		for _, s := range f.Scopes {
			ms, err := parseScope(s)
			if err != nil || slices.ContainsFunc(ms, func(m matcher) bool { return m.op == "=" && !strings.HasSuffix(m.label, "kind__") && !labels[m.label] }) {
				continue // Expand refused it, or no series has such a label
			}
			scope, ok := render(ms, t, extra...)
			if !ok || slices.ContainsFunc(options, func(o option) bool { return o.scope == scope && o.Query == f.Query && o.Without == f.Without }) {
				continue
			}
			options = append(options, option{f, scope})
			wanted[scope] = slices.Collect(maps.Keys(names)) // one question for all metrics of a workload
			ways[scope] = ms
		}
	}
	c.prune(ctx, wanted, ways, t, names, w, extra...)
	there, err := c.names(ctx, wanted, w)
	var partial *backend.Partial
	switch {
	case errors.As(err, &partial):
		warnings = append(warnings, partial.Error())
	case err != nil:
		return nil, looked, nil, err
	}
	for _, o := range options {
		has := func(n string) bool { return slices.Contains(there[o.scope], n) }
		if slices.ContainsFunc(o.Needs, func(n string) bool { return !has(n) }) || o.Without != "" && has(o.Without) {
			continue
		}
		if len(found) >= mostTries {
			break
		}
		m := measure{Family: o.Family, scope: o.scope}
		if ok, err := c.told(ctx, &m, by, w); err != nil {
			return nil, looked, warnings, err
		} else if ok {
			found = append(found, m)
		}
	}
	return found, looked, warnings, nil
}

// prune drops the scopes in which nothing can be, by the values that their last
// label has at all: that is asked once for all workloads of a namespace, and the
// names in a scope for each. Most of the ways to name a workload are of no use in
// a given Prometheus.
func (c *Client) prune(ctx context.Context, wanted map[string][]string, ways map[string][]matcher, t observability.Target, names map[string]bool, w observability.Window, extra ...matcher) {
	if t.Name == "" || len(wanted) < 3 {
		return
	}
	name := `__name__=~` + strconv.Quote(strings.Join(slices.Sorted(maps.Keys(names)), "|"))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, scope := range slices.Sorted(maps.Keys(wanted)) {
		ms := ways[scope]
		last := ms[len(ms)-1]
		if slices.Contains(labels("pod"), strings.TrimPrefix(last.label, "exported_")) {
			continue // of which there are very many, and one of the two is there
		}
		wg.Go(func() {
			around, _ := render(ms[:len(ms)-1], t, extra...)
			rendered, _ := render([]matcher{last}, t)
			own := matcherForm.FindStringSubmatch(rendered)
			if own == nil || own[2] != "=" && own[2] != "=~" {
				return
			}
			value, err := strconv.Unquote(own[3])
			if err != nil {
				return
			}
			if own[2] == "=" {
				value = regexp.QuoteMeta(value)
			}
			is, err := regexp.Compile("^(?:" + value + ")$")
			if err != nil {
				return
			}
			match := "{" + strings.Trim(name+","+around, ",") + "}"
			ask := func(ctx context.Context) ([]string, error) {
				v, _, _, err := c.api.LabelValues(ctx, own[1], []string{match}, w.From, w.To)
				return texts(v), err
			}
			there, err := c.cached(ctx, "values "+own[1]+match, w, keepSeen, ask)
			if err == nil && !slices.ContainsFunc(there, is.MatchString) { // it may be new
				there, err = c.cached(ctx, "values "+own[1]+match, w, keepUnseen, ask)
			}
			if err != nil || slices.ContainsFunc(there, is.MatchString) {
				return // where it cannot be asked, the names in it cannot either, which is told
			}
			mu.Lock()
			defer mu.Unlock()
			delete(wanted, scope)
		})
	}
	wg.Wait()
}

// anything is which of the names of all families, and which labels, there are at
// all, whatever they are of.
func (c *Client) anything(ctx context.Context, w observability.Window) (names, labels map[string]bool, err error) {
	var all []string
	for _, f := range c.families {
		all = append(all, f.Needs...)
		all = append(all, f.Without)
	}
	all = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(all))), func(s string) bool { return s == "" })
	match := `{__name__=~` + strconv.Quote(strings.Join(all, "|")) + `}`
	there, err := c.cached(ctx, "names "+match, w, keepSeen, func(ctx context.Context) ([]string, error) {
		v, _, _, err := c.api.LabelValues(ctx, model.MetricNameLabel, []string{match}, w.From, w.To)
		return texts(v), err
	})
	if err != nil {
		return nil, nil, err
	}
	known, err := c.cached(ctx, "labels "+match, w, keepSeen, func(ctx context.Context) ([]string, error) {
		v, _, _, err := c.api.LabelNames(ctx, []string{match}, w.From, w.To)
		return texts(v), err
	})
	if err != nil {
		return nil, nil, err
	}
	names, labels = map[string]bool{}, map[string]bool{}
	for _, n := range there {
		names[n] = true
	}
	for _, l := range known {
		labels[l] = true
	}
	return names, labels, nil
}

// told finds the labels of a measure: of the status, and of what lines are told
// apart by. Without them it cannot be used.
func (c *Client) told(ctx context.Context, m *measure, by []string, w observability.Window) (bool, error) {
	by = slices.DeleteFunc(slices.Clone(by), func(s string) bool { return s == "" })
	status := strings.Contains(m.Query, "$status")
	if len(by) == 0 && !status {
		return true, nil
	}
	has, err := c.labelNames(ctx, m.Needs[0], m.scope, w)
	if err != nil {
		return false, err
	}
	first := func(all []string) string {
		if strings.HasPrefix(m.scope, "exported_") { // what the program calls so, not its scraper
			for _, l := range all {
				if slices.Contains(has, "exported_"+l) {
					return "exported_" + l
				}
			}
		}
		for _, l := range all {
			if slices.Contains(has, l) {
				return l
			}
		}
		return ""
	}
	if status {
		if m.status = first(m.Status); m.status == "" {
			return false, nil
		}
	}
	for _, b := range by {
		l := first(labels(b))
		if b == "workload" && m.Owner != "label" {
			l = "" // the label service of cAdvisor's is the kubelet's
		}
		if l == "" && b == "workload" {
			l = first(labels("pod")) // to be taken apart
		}
		if l == "" {
			return false, nil
		}
		m.by = append(m.by, l)
	}
	return true, nil
}

// names asks which of the wanted names there are within each scope, all scopes
// at once. Where some scopes failed the error is a Partial.
func (c *Client) names(ctx context.Context, wanted map[string][]string, w observability.Window) (map[string][]string, error) {
	out := make(map[string][]string, len(wanted))
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed []error
	for _, scope := range slices.Sorted(maps.Keys(wanted)) {
		wg.Go(func() {
			all := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(wanted[scope]))), func(s string) bool { return s == "" })
			match := `{__name__=~` + strconv.Quote(strings.Join(all, "|"))
			if scope != "" {
				match += "," + scope
			}
			got, err := c.cached(ctx, "names "+match+"}", w, keepSeen, func(ctx context.Context) ([]string, error) {
				v, _, _, err := c.api.LabelValues(ctx, model.MetricNameLabel, []string{match + "}"}, w.From, w.To)
				return texts(v), err
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, err)
				return
			}
			out[scope] = got
		})
	}
	wg.Wait()
	switch {
	case len(failed) == 0:
		return out, nil
	case len(failed) == len(wanted):
		return nil, failed[0]
	}
	return out, &backend.Partial{Name: c.back.Name(), Missing: []string{"some of what it has"}}
}

func (c *Client) labelNames(ctx context.Context, name, scope string, w observability.Window) ([]string, error) {
	match := name + "{" + scope + "}"
	return c.cached(ctx, "labels "+match, w, keepSeen, func(ctx context.Context) ([]string, error) {
		v, _, _, err := c.api.LabelNames(ctx, []string{match}, w.From, w.To)
		return texts(v), err
	})
}

// cached keeps for a moment what Prometheus says there is. What is older than
// the limit is asked anew.
func (c *Client) cached(ctx context.Context, key string, w observability.Window, limit time.Duration, ask func(context.Context) ([]string, error)) ([]string, error) {
	key += fmt.Sprint(" ", w.From.Truncate(time.Hour).Unix(), " ", w.To.Truncate(time.Hour).Unix())
	for {
		c.mu.Lock()
		s, ok := c.seen[key]
		if ok && time.Now().Before(s.until) && time.Since(s.at) < limit {
			c.mu.Unlock()
			return s.names, nil
		}
		// Many ask for the same at the same moment: one does, the others wait.
		other := c.asking[key]
		if other == nil {
			break // with the lock
		}
		c.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, c.fault(ctx.Err())
		}
	}
	done := make(chan struct{})
	if c.asking == nil {
		c.asking = map[string]chan struct{}{}
	}
	c.asking[key] = done
	c.mu.Unlock()
	names, err := ask(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asking, key)
	close(done)
	if err != nil {
		return nil, c.fault(err)
	}
	keep := keepSeen
	if len(names) == 0 {
		keep = keepUnseen
	}
	if len(c.seen) >= mostSeen {
		clear(c.seen)
	}
	now := time.Now()
	c.seen[key] = seen{names, now, now.Add(keep)}
	return names, nil
}

func texts[S ~string, L ~[]S](in L) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}
