package prometheus

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/promtest"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

func dial(t *testing.T, url string, extra ...Family) *Client {
	t.Helper()
	b, err := backend.New(backend.Options{Name: "prometheus", URL: url, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return New(b, extra)
}

func feed(t *testing.T, url string, all ...promtest.Series) {
	t.Helper()
	for part := range slices.Chunk(all, 2000) {
		if err := promtest.Write(t.Context(), url, part...); err != nil {
			t.Fatal(err)
		}
	}
}

// labels makes a series' labels of a name and pairs.
func series(name string, pairs ...string) map[string]string {
	m := map[string]string{"__name__": name}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func with(m map[string]string, pairs ...string) map[string]string {
	m = maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
		if pairs[i+1] == "" {
			delete(m, pairs[i])
		}
	}
	return m
}

// rising is a counter, steady a gauge.
func rising(perSecond float64) func(time.Duration) float64 {
	return func(d time.Duration) float64 { return d.Seconds() * perSecond }
}

func steady(v float64) func(time.Duration) float64 { return func(time.Duration) float64 { return v } }

// around checks a value within one in a hundred.
func around(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > math.Abs(want)/100+1e-9 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// TestEveryFamilyInEveryScope holds that each built-in query is valid, finds its
// workload by each way that its labels may say it, and gives the right number.
func TestEveryFamilyInEveryScope(t *testing.T) {
	s := sandboxtest.Prometheus(t)
	all, err := Expand(builtin())
	if err != nil {
		t.Fatal(err)
	}
	w := Since(time.Now().Truncate(time.Second), 10*time.Minute)
	type check struct {
		f      Family
		target observability.Target
		scope  string
	}
	var checks []check
	var data []promtest.Series
	add := func(labels map[string]string, value func(time.Duration) float64) {
		data = append(data, promtest.Line(labels, w.From.Add(-5*time.Minute), w.To, 30*time.Second, value))
	}
	for i, f := range all {
		for j, scope := range f.Scopes {
			target := observability.Target{Namespace: "shop", Kind: "Deployment", Name: fmt.Sprintf("cart%d-%d", i, j)}
			switch {
			case f.Of == "node":
				target = observability.Target{Kind: "Node", Name: fmt.Sprintf("node%d-%d", i, j)}
			case strings.Contains(f.Query, "statefulset"):
				target.Kind = "StatefulSet"
			case strings.Contains(f.Query, "daemonset"):
				target.Kind = "DaemonSet"
			}
			ms, err := parseScope(scope)
			if err != nil {
				t.Fatal(err)
			}
			base := map[string]string{"id": "/", "container": "app"} // cAdvisor's root has no container, which no check minds
			if f.Of == "node" && strings.Contains(f.Query, `id="/"`) {
				delete(base, "container")
			}
			for _, m := range ms {
				v := strings.NewReplacer("(?:$services)", target.Name, "(?:.+-)?", "", "(?:-.+)?", "", "(?:.+[-_.])?", "", "(?:[-_.].+)?", "", "(:[0-9]+)?", ":9100", ".*", "80",
					"$namespace", target.Namespace, "$name", target.Name, "$services", target.Name, "$pods", target.Name+"-7d9f8b6c5-bcdfg").Replace(m.value)
				if strings.Contains(m.value, "$pods") && target.Kind == "StatefulSet" {
					v = target.Name + "-0"
				}
				base[strings.ReplaceAll(m.label, "kind__", strings.ToLower(target.Kind))] = v
			}
			fine := "fine"
			if f.Failed == ".+" { // whatever has the label at all
				fine = ""
			}
			for _, n := range f.Needs {
				l := with(base, "__name__", n)
				counts := regexp.MustCompile(`(rate|increase)\(` + n + `\{`).MatchString(f.Query)
				switch {
				case f.Without != "":
					n := func(d time.Duration, per float64) promtest.Sample {
						return promtest.Sample{At: w.From.Add(-5 * time.Minute).Add(d), Native: &promtest.Native{Count: uint64(d.Seconds()*per) + 1, Bucket: 0, Sum: d.Seconds() * per}}
					}
					ok, bad := promtest.Series{Labels: with(l, f.Status[0], fine)}, promtest.Series{Labels: with(l, f.Status[0], example(f.Failed))}
					for d := time.Duration(0); d <= 15*time.Minute; d += 30 * time.Second {
						ok.Samples, bad.Samples = append(ok.Samples, n(d, 9)), append(bad.Samples, n(d, 1))
					}
					data = append(data, ok, bad)
				case strings.HasSuffix(n, "_bucket"):
					for le, per := range map[string]float64{"100": 0, "200": 10, "400": 10, "+Inf": 10} { // all between 100 and 200
						add(with(l, "le", le), rising(per))
					}
				case strings.HasSuffix(n, "_sum"):
					add(l, rising(10*150))
				case len(f.Status) > 0:
					add(with(l, f.Status[0], fine), rising(9))
					add(with(l, f.Status[0], example(f.Failed)), rising(1))
				case strings.Contains(n, "limit") || strings.Contains(n, "quota") || strings.Contains(n, "size") || strings.Contains(n, "MemTotal") || strings.Contains(n, "capacity"):
					if strings.Contains(f.Query, `resource="`) {
						add(with(l, "resource", "cpu"), steady(80))
						l = with(l, "resource", "memory")
					}
					add(l, steady(80))
				case strings.Contains(n, "time_seconds") || strings.Contains(n, "state_started"):
					add(l, steady(float64(w.To.Add(-time.Hour).Unix())))
				case counts:
					add(with(l, "mode", "idle"), rising(0.5))
					add(with(l, "mode", "user", "id", "/x"), rising(0.5))
				case strings.Contains(f.Query, `state="used"`):
					add(with(l, "state", "used"), steady(20))
				default:
					add(l, steady(20))
				}
			}
			if strings.Contains(f.Query, "kube_pod_spec_volumes_persistentvolumeclaims_info") {
				claim := target.Name + "-data"
				for k := range data[len(data)-1].Samples {
					data[len(data)-1].Samples[k].Value = 1
				}
				data[len(data)-1].Labels["persistentvolumeclaim"], data[len(data)-1].Labels["namespace"] = claim, "shop"
				add(series("kubelet_volume_stats_available_bytes", "namespace", "shop", "persistentvolumeclaim", claim), steady(20))
				add(series("kubelet_volume_stats_capacity_bytes", "namespace", "shop", "persistentvolumeclaim", claim), steady(80))
			}
			checks = append(checks, check{f, target, strings.Join(scope, ",")})
		}
	}
	feed(t, s.URL, data...)
	t.Logf("%d families, %d with their scopes, %d series", len(all), len(checks), len(data))
	client := dial(t, s.URL)
	for _, c := range checks {
		client.families = []Family{c.f}
		by := ""
		if c.f.Of == "peer" {
			c.f.Of = "" // as if asked by peer: there is one here
			client.families[0].Of = ""
		}
		a, err := client.Measure(t.Context(), Question{Target: c.target, Metric: c.f.Metric, Window: w, Percentile: 95, By: by})
		name := fmt.Sprintf("%s %s (%s) in %s", c.f.Metric, c.f.Name, strings.Join(c.f.Needs, "+"), c.scope)
		if err != nil || len(a.Series) != 1 {
			t.Errorf("%s: %d series, %v\n%s", name, len(a.Series), err, a.Query)
			continue
		}
		p := a.Series[0].Points
		v := p[len(p)-1].Value
		switch {
		case c.f.Metric == observability.Latency && c.f.Mean:
			around(t, name, v, 150*c.f.Scale)
		case c.f.Metric == observability.Latency && c.f.Without != "":
			if v < 0.5*c.f.Scale || v > 1*c.f.Scale {
				t.Errorf("%s is %v, want it in the bucket from 0.5 to 1", name, v)
			}
		case c.f.Metric == observability.Latency:
			around(t, name, v, 195*c.f.Scale)
		case c.f.Metric == observability.RequestRate:
			around(t, name, v, 10)
		case c.f.Metric == observability.ErrorRate:
			around(t, name, v, 0.1)
		case c.f.Metric == observability.Uptime:
			around(t, name, v, 3600)
		case c.f.Metric == observability.Network:
			around(t, name, v, 2)
		case c.f.Metric == observability.CPU && c.f.Of == "node" && c.f.Name == "node exporter":
			around(t, name, v, 0.5)
		case c.f.Metric == observability.Restarts:
			around(t, name, v, 600)
		case c.f.Metric == observability.Disk && c.f.Name != "cAdvisor":
			around(t, name, v, 0.75)
		default:
			if v <= 0 {
				t.Errorf("%s is %v", name, v)
			}
		}
	}
}

// example is something that a regular expression of failures matches.
func example(failed string) string {
	first, _, _ := strings.Cut(failed, "|")
	return strings.NewReplacer("..", "03", ".+", "timeout").Replace(first)
}

// TestMeasureARealShop holds what is asked of a workload as it looks in a
// cluster: among others of like names, over a roll-out, by version and by callee.
func TestMeasureARealShop(t *testing.T) {
	s := sandboxtest.Prometheus(t)
	w := Since(time.Now().Truncate(time.Minute), time.Hour)
	var data []promtest.Series
	add := func(labels map[string]string, value func(time.Duration) float64) {
		data = append(data, promtest.Line(labels, w.From.Add(-15*time.Minute), w.To, 30*time.Second, value))
	}
	for _, pod := range []struct{ name, version string }{
		{"checkout-7d9f8b6c5-bcdfg", "v1"}, {"checkout-7d9f8b6c5-hjklm", "v1"}, {"checkout-6c5b4d8f9-vwxzz", "v2"},
		{"checkout-worker-7d9f8b6c5-bcdfg", "v1"}, {"payments-7d9f8b6c5-bcdfg", "v1"},
	} {
		l := series("http_request_duration_seconds_bucket", "namespace", "shop", "pod", pod.name, "service", "s", "version", pod.version, "route", "/", "method", "GET")
		slow := 0.0 // v2 takes 0.5 to 1 s, the others 0.1 to 0.25
		if pod.version == "v2" {
			slow = 1
		}
		for le, per := range map[string]float64{"0.1": 0, "0.25": 1 - slow, "0.5": 1 - slow, "1": 1, "+Inf": 1} {
			add(with(l, "le", le, "code", "200"), rising(per))
		}
		add(with(l, "__name__", "http_request_duration_seconds_count", "code", "200"), rising(1))
		mem := series("container_memory_working_set_bytes", "namespace", "shop", "pod", pod.name, "image", "i", "node", "n1", "service", "kubelet")
		add(with(mem, "container", "app"), steady(100<<20))
		add(with(mem, "container", "proxy"), steady(20<<20))
		add(mem, steady(120<<20)) // the pod as a whole, which must not count twice
		add(series("container_cpu_usage_seconds_total", "namespace", "shop", "pod", pod.name, "container", "app", "node", "n1"), rising(0.25))
	}
	client := series("http_client_request_duration_seconds_bucket", "namespace", "shop", "pod", "checkout-7d9f8b6c5-bcdfg")
	for peer, le := range map[string]string{"payments": "0.5", "cart": "0.1"} {
		add(with(client, "peer", peer, "le", le), rising(1))
		add(with(client, "peer", peer, "le", "+Inf"), rising(1))
	}
	add(series("kube_node_info", "node", "n1"), steady(1))
	nasty := `x"} or vector(1e9) or up{a="`
	add(series("http_requests_total", "namespace", "shop", "pod", nasty, "code", "200"), rising(3))
	feed(t, s.URL, data...)

	c := dial(t, s.URL)
	checkout := observability.Target{Namespace: "shop", Kind: "Deployment", Name: "checkout"}
	ask := func(q Question) Answer {
		t.Helper()
		q.Window = w
		if q.Target.Namespace == "" {
			q.Target = checkout
		}
		a, err := c.Measure(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range a.Series {
			for _, p := range s.Points {
				if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
					t.Errorf("%s has %v", s.Name, p.Value)
				}
			}
		}
		return a
	}
	last := func(s observability.Series) float64 { return s.Points[len(s.Points)-1].Value }

	a := ask(Question{Metric: observability.RequestRate})
	around(t, "requests of checkout alone", last(a.Series[0]), 3)
	if a.Series[0].Name != "checkout" || a.Unit != observability.PerSecond || !strings.Contains(a.Link, "g0.expr=sum+%28rate") || len(a.Series[0].Points) < 200 {
		t.Errorf("%q in %s, %d points, link %s", a.Series[0].Name, a.Unit, len(a.Series[0].Points), a.Link)
	}
	around(t, "no errors", last(ask(Question{Metric: observability.ErrorRate}).Series[0]), 0)
	a = ask(Question{Metric: observability.Latency})
	if v := last(a.Series[0]); v < 0.9 || v > 1 || a.Percentile != 99 {
		t.Errorf("p%v is %v", a.Percentile, v)
	}
	a = ask(Question{Metric: observability.Latency, Percentile: 50, By: "version"})
	if len(a.Series) != 2 || a.Series[0].Labels["version"] == "" {
		t.Fatalf("by version: %+v", a.Series)
	}
	for _, s := range a.Series {
		want := map[string]float64{"v1": 0.175, "v2": 0.75}[s.Name]
		around(t, "p50 of "+s.Name, last(s), want)
	}
	a = ask(Question{Metric: observability.Latency, Percentile: 50, By: "peer"})
	if len(a.Series) != 2 || !slices.ContainsFunc(a.Series, func(s observability.Series) bool { return s.Name == "payments" && last(s) == 0.25 }) {
		t.Errorf("by peer: %+v", a.Series)
	}
	if a = ask(Question{Metric: observability.Memory, By: "pod"}); len(a.Series) != 3 {
		t.Errorf("%d pods of checkout", len(a.Series))
	}
	around(t, "a pod's memory", last(a.Series[0]), 120<<20)
	around(t, "cores of the namespace", last(ask(Question{Metric: observability.CPU, Target: observability.Target{Namespace: "shop", Name: ""}, By: "namespace"}).Series[0]), 1.25)
	a = ask(Question{Metric: observability.RequestRate, Target: observability.Target{Namespace: "shop", Kind: "Pod", Name: nasty}})
	around(t, "a name that would be a query", last(a.Series[0]), 3)
	if _, err := c.Measure(t.Context(), Question{Target: checkout, Metric: observability.Lag, Window: w}); fault.KindOf(err) != fault.NotFound || !strings.Contains(fault.Say(err), "kafka_consumergroup_lag") || !strings.Contains(fault.Say(err), "observability.prometheus.families") {
		t.Errorf("nothing found: %v", err)
	}
	if _, err := c.Measure(t.Context(), Question{Target: observability.Target{Cluster: "other", Name: "x"}, Metric: observability.CPU, Window: w}); !strings.Contains(fault.Say(err), "cluster_label") {
		t.Errorf("another cluster: %v", err)
	}

	top := func(q TopQuestion) []string {
		t.Helper()
		q.Window = w
		a, err := c.Top(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, s := range a.Series {
			out = append(out, fmt.Sprintf("%s %.3g", s.Name, s.Points[0].Value))
		}
		return out
	}
	for _, tt := range []struct {
		q    TopQuestion
		want string
	}{
		{TopQuestion{Metric: observability.Memory, Kind: "workloads"}, "checkout 3.77e+08 checkout-worker 1.26e+08 payments 1.26e+08"},
		{TopQuestion{Metric: observability.Memory, Kind: "pods", Limit: 1, Target: observability.Target{Namespace: "shop", Kind: "Deployment", Name: "payments"}}, "payments-7d9f8b6c5-bcdfg 1.26e+08"},
		{TopQuestion{Metric: observability.Memory, Kind: "namespaces"}, "shop 6.29e+08"},
		{TopQuestion{Metric: observability.CPU, Kind: "nodes"}, "n1 1.25"},
		{TopQuestion{Metric: observability.Latency, Kind: "pods", Percentile: 50, Limit: 1}, "checkout-6c5b4d8f9-vwxzz 0.75"},
	} {
		if got := strings.Join(top(tt.q), " "); got != tt.want {
			t.Errorf("top %s by %s: %s, want %s", tt.q.Kind, tt.q.Metric, got, tt.want)
		}
	}
	if got, err := c.Instant(t.Context(), "1/0", w.To); err != nil || len(got) != 0 {
		t.Errorf("infinity is shown: %v, %v", got, err)
	}
	if got, err := c.Range(t.Context(), `sum(rate(http_request_duration_seconds_count[5m]))`, w, time.Minute); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := c.Instant(t.Context(), "sum(", w.To); fault.KindOf(err) != fault.Failed || !strings.Contains(fault.Say(err), "families") {
		t.Errorf("a bad query: %v", err)
	}
	if v, err := c.Version(t.Context()); err != nil { // one that was built from its module says no version
		t.Errorf("version %q, %v", v, err)
	}
	// A family of the user's own comes first.
	own := dial(t, s.URL, Family{Name: "ours", Metric: observability.Memory, Query: "sum by ($by) (kube_node_info{$scope}) * 7", Scopes: [][]string{{`node=~"n1"`}}})
	if a, err := own.Measure(t.Context(), Question{Target: checkout, Metric: observability.Memory, Window: w}); err != nil || a.Family != "ours" || last(a.Series[0]) != 7 {
		t.Errorf("%+v, %v", a, err)
	}

	// The server dies: it is said at once and no turn waits.
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); { // the kernel takes a moment
		_, err := c.Measure(t.Context(), Question{Target: checkout, Metric: observability.Memory, Window: w})
		if err != nil && strings.Contains(fault.Say(err), "leave it alone") {
			break
		}
		if err != nil && (fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Say(err), "Prometheus")) {
			t.Errorf("killed: %v", err)
		}
	}
	start := time.Now()
	if _, err := c.Measure(t.Context(), Question{Target: checkout, Metric: observability.Memory, Window: w}); err == nil || time.Since(start) > 100*time.Millisecond {
		t.Errorf("dead: %v after %v", err, time.Since(start))
	}
}

func TestASlowPrometheus(t *testing.T) {
	s := sandboxtest.Prometheus(t)
	c := dial(t, s.URL)
	resume, err := s.Stall()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resume() }()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = c.Measure(ctx, Question{Target: observability.Target{Namespace: "a", Name: "b"}, Metric: observability.CPU, Window: Since(time.Now(), time.Hour)})
	if fault.KindOf(err) != fault.Unavailable || time.Since(start) > time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestBabble holds that no answer, however odd, is taken for numbers.
func TestBabble(t *testing.T) {
	w := Since(time.Now(), time.Hour)
	for _, text := range []string{"", "<html>", "null", "[]", `{"status":"success"}`, `{"status":"success","data":{"resultType":"scalar","result":[1,"x"]}}`,
		`{"status":"success","data":{"resultType":"matrix","result":"x"}}`, `{"status":"success","data":[1,2]}`, `{"status":"error","errorType":"internal","error":"boom"}`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"NaN"],[2,"+Inf"]]}]}}`} {
		for _, status := range []int{200, 422, 503} {
			s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(status)
				_, _ = io.WriteString(rw, text)
			}))
			c := dial(t, s.URL)
			a, err := c.Measure(t.Context(), Question{Target: observability.Target{Namespace: "a", Name: "b"}, Metric: observability.CPU, Window: w})
			if err == nil || len(a.Series) > 0 || fault.KindOf(err) == fault.Internal {
				t.Errorf("%d %s: %+v, %v", status, text, a, err)
			}
			if got, err := c.Range(t.Context(), "x", w, 0); err == nil && len(got) > 0 || fault.KindOf(err) == fault.Internal {
				t.Errorf("%d %s: %+v, %v", status, text, got, err)
			}
			s.Close()
		}
	}
}
