package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/buildcache"
)

// servers are the flags that start the servers that are in the cache.
func servers(t *testing.T, names ...string) []string {
	t.Helper()
	module, err := buildcache.FindModule()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := buildcache.New(context.Background(), module, buildcache.NewProgress(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	for _, name := range names {
		target, err := buildcache.Server(module, name)
		if err != nil {
			t.Fatal(err)
		}
		path, ok, err := cache.Lookup(target)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			t.Skipf("SKIPPED: %s is not built; run \"go run ./build %s\" in the folder sandbox", name, name)
		}
		flags = append(flags, "--server", name+"="+path)
	}
	return flags
}

// number asks Prometheus for one number; ok is false if there is none.
func (s *sandbox) number(expr string) (v float64, ok bool) {
	s.t.Helper()
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	s.get(s.env["PROMETHEUS_URL"]+"/api/v1/query?query="+url.QueryEscape(expr), &answer)
	if len(answer.Data.Result) == 0 {
		return 0, false
	}
	v, err := strconv.ParseFloat(answer.Data.Result[0].Value[1].(string), 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return v, v == v // NaN is none
}

// lines counts what a log query finds since a moment.
func (s *sandbox) lines(query string, since time.Time) int {
	s.t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]string }
		}
	}
	s.get(fmt.Sprintf("%s/loki/api/v1/query_range?limit=200&start=%d&query=%s", s.env["LOKI_URL"], since.UnixNano(), url.QueryEscape(query)), &answer)
	n := 0
	for _, r := range answer.Data.Result {
		n += len(r.Values)
	}
	return n
}

func (s *sandbox) get(address string, into any) {
	s.t.Helper()
	res, err := http.Get(address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s %s", address, res.Status, b)
	}
	if err := json.Unmarshal(b, into); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sandbox) switchFault(method, name string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.env["SANDBOX_URL"]+"/faults/"+name, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %s %s", method, name, res.Status, b)
	}
}

// sign is a raw signal of a fault: an expression with the bound that it passes
// while the fault is on.
type sign struct {
	name, expr string
	above      float64
	// Lines is a log query in place of an expression; above is then their number.
	lines bool
	// stays says that it does not go away by itself in the time of a test.
	stays bool
}

const window = "[20s]"

// sample are the faults that run without SANDBOX_FAULTS=all: one without any
// object, and one with a roll-out.
var sample = []string{"slow-callee", "bad-release-errors"}

func p90(service, route string) string {
	return fmt.Sprintf(`histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket{namespace="shop",service=%q,route=~%q}%s)))`, service, route, window)
}

func failed(service string) string {
	return fmt.Sprintf(`(sum(rate(http_request_duration_seconds_count{namespace="shop",service=%[1]q,code=~"5.."}%[2]s)) or vector(0)) / sum(rate(http_request_duration_seconds_count{namespace="shop",service=%[1]q}%[2]s))`, service, window)
}

func calls(service, peer string) string {
	return fmt.Sprintf(`histogram_quantile(0.9, sum by (le) (rate(http_client_request_duration_seconds_bucket{namespace="shop",service=%q,peer=%q}%s)))`, service, peer, window)
}

func perSecond(service string) string {
	return fmt.Sprintf(`sum(rate(http_request_duration_seconds_count{namespace="shop",service=%q}%s))`, service, window)
}

var (
	slowCheckout    = sign{name: "checkout is slow", expr: p90("checkout", "/api/checkout"), above: .7}
	failingCheckout = sign{name: "checkout fails", expr: failed("checkout"), above: .05}
)

func log(name, query string) sign { return sign{name: name, expr: query, lines: true, above: 1} }

// TestFaults switches every fault of the traffic on, sees it in what the servers
// got, switches it off and sees it go.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a sandbox with servers: run without -short")
	}
	flags := servers(t, "prometheus", "loki", "jaeger")
	s := start(t, binary(t), append(flags, "--history", "30m", "--scrape-interval", "5s")...)
	defer s.stop(syscall.SIGTERM)
	for _, test := range []struct {
		name  string
		signs []sign
		not   []sign // must not show
	}{
		{"slow-database", []sign{slowCheckout,
			{name: "queries take long", expr: `histogram_quantile(0.5, sum by (le) (rate(db_client_operation_duration_seconds_bucket{namespace="shop",service="checkout",peer="postgres"}[20s])))`, above: .4},
			log("the database says so", `{namespace="shop",app="postgres"} |= "duration:"`)}, nil},
		{"slow-callee", []sign{slowCheckout, {name: "calls of cart to catalog", expr: calls("cart", "catalog"), above: .4}, {name: "calls of checkout to cart", expr: calls("checkout", "cart"), above: .4}},
			[]sign{{name: "payments-api is slow", expr: p90("payments-api", ".*"), above: .5}}},
		{"bad-release-errors", []sign{failingCheckout,
			{name: "by version", expr: `sum(rate(http_request_duration_seconds_count{service="checkout",namespace="shop",version="v2",code="500"}[20s]))`, above: .2},
			log("a panic", `{namespace="shop",app="checkout"} |= "nil pointer"`)}, nil},
		{"bad-release-latency", []sign{slowCheckout}, []sign{{name: "callees are slow", expr: calls("checkout", "payments-api"), above: .5}}},
		{"innocent-release", []sign{slowCheckout, {name: "payments-api is slow", expr: calls("checkout", "payments-api"), above: .8},
			{name: "the new version runs", expr: `count(http_requests_in_flight{namespace="shop",service="checkout"} and on(pod) http_request_duration_seconds_count{version="v2"})`, above: .5}}, nil},
		{"cpu-limit", []sign{slowCheckout,
			{name: "throttled", expr: `sum(rate(container_cpu_cfs_throttled_periods_total{namespace="shop",container="checkout"}[20s])) / sum(rate(container_cpu_cfs_periods_total{namespace="shop",container="checkout"}[20s]))`, above: .5}}, nil},
		{"config-change", []sign{failingCheckout, log("time-outs", `{namespace="shop",app="checkout"} |= "context deadline exceeded"`)},
			[]sign{{name: "payments-api is slow", expr: p90("payments-api", ".*"), above: .5}}},
		{"noisy-neighbour", []sign{
			{name: "a pod of checkout is slow", expr: `max(histogram_quantile(0.9, sum by (pod, le) (rate(http_request_duration_seconds_bucket{namespace="shop",service="checkout",route="/api/checkout"}[20s]))))`, above: .6},
			{name: "a node has no CPU left", expr: `max(1 - avg by (node) (rate(node_cpu_seconds_total{mode="idle"}[20s])))`, above: .95}}, nil},
		{"dns", []sign{failingCheckout, log("in two services", `{namespace="shop",app=~"gateway|cart"} |~ "server misbehaving|i/o timeout|UnknownHost"`)}, nil},
		{"cert-expired", []sign{failingCheckout, log("the reason", `{namespace="shop",app="checkout"} |= "certificate has expired"`)}, nil},
		{"connection-pool", []sign{failingCheckout,
			{name: "the pools are used up", expr: `min(db_pool_connections_in_use{namespace="shop",service="checkout"} / db_pool_connections_max)`, above: .95},
			log("the reason", `{namespace="shop",app="checkout"} |= "waiting for a free connection"`)}, nil},
		{"retry-storm", []sign{{name: "payments-api is asked far more than the gateway is asked for checkouts", expr: perSecond("payments-api") + ` / sum(rate(http_request_duration_seconds_count{namespace="shop",service=~"web|frontend",route=~".*checkout"}[20s]))`, above: 4},
			slowCheckout, log("the retries", `{namespace="shop",app="checkout"} |= "retrying"`)}, nil},
		{"traffic-spike", []sign{slowCheckout, {name: "more requests", expr: perSecond("checkout"), above: 18}}, nil},
		{"memory-leak", []sign{
			{name: "killed and started again", expr: `sum(kube_pod_container_status_restarts_total{namespace="shop",container="checkout"})`, above: .5, stays: true},
			{name: "for its memory", expr: `sum(kube_pod_container_status_last_terminated_reason{namespace="shop",container="checkout",reason="OOMKilled"})`, above: .5, stays: true}}, nil},
		{"hpa-max", []sign{{name: "search is slow", expr: p90("search", ".*"), above: .25},
			{name: "at the maximum", expr: `kube_horizontalpodautoscaler_status_current_replicas{namespace="shop",horizontalpodautoscaler="search"} - kube_horizontalpodautoscaler_spec_max_replicas`, above: -.5, stays: true}}, nil},
	} {
		ok := t.Run(test.name, func(t *testing.T) {
			if !slices.Contains(sample, test.name) && os.Getenv("SANDBOX_FAULTS") != "all" {
				t.Skip("SKIPPED: one or two minutes each; \"make test-faults\" runs all")
			}
			s := *s
			s.t = t
			since := time.Now()
			shows := func(g sign) bool {
				if g.lines {
					return float64(s.lines(g.expr, since)) > g.above
				}
				v, ok := s.number(g.expr)
				return ok && v > g.above
			}
			for _, g := range test.signs {
				if !g.lines && !g.stays && shows(g) {
					t.Errorf("%s before the fault is on", g.name)
				}
			}
			s.switchFault(http.MethodPut, test.name)
			on := time.Now()
			left := slices.Clone(test.signs)
			for end := time.Now().Add(5 * time.Minute); len(left) > 0 && time.Now().Before(end); time.Sleep(2 * time.Second) {
				left = slices.DeleteFunc(left, shows)
			}
			for _, g := range left {
				v, _ := s.number(g.expr)
				t.Errorf("does not show: %s (%v)", g.name, v)
			}
			for _, g := range test.not {
				if shows(g) {
					t.Errorf("shows, but should not: %s", g.name)
				}
			}
			t.Logf("on after %s, seen %s later", on.Sub(since).Round(time.Second), time.Since(on).Round(time.Second))
			for _, word := range []string{test.name, "fault"} {
				if word == "dns" { // a word that every cluster knows
					continue
				}
				if n := s.lines(`{namespace=~".+"} |= "`+word+`"`, since); n > 0 {
					t.Errorf("%d lines say %q", n, word)
				}
				if out := s.kubectl("get", "all,cm,ns", "-A", "-o", "yaml"); strings.Contains(out, word) && word != "fault" {
					t.Errorf("an object says %q", word)
				}
			}
			s.switchFault(http.MethodDelete, test.name)
			left = slices.DeleteFunc(slices.Clone(test.signs), func(g sign) bool { return g.lines || g.stays })
			for end := time.Now().Add(3 * time.Minute); len(left) > 0 && time.Now().Before(end); time.Sleep(2 * time.Second) {
				left = slices.DeleteFunc(left, func(g sign) bool { return !shows(g) })
			}
			for _, g := range left {
				v, _ := s.number(g.expr)
				t.Errorf("still shows when it is off: %s (%v)", g.name, v)
			}
		})
		if !ok && t.Context().Err() != nil {
			return
		}
	}
}

// TestFaultsOfBefore starts with a fault that began a while ago, and looks at what
// the servers and the objects tell of that.
func TestFaultsOfBefore(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a sandbox with servers: run without -short")
	}
	flags := servers(t, "prometheus", "loki", "jaeger")
	s := start(t, binary(t), append(flags, "--history", "1h", "--fault", "bad-release-errors", "--fault", "memory-leak", "--fault-ago", "12m")...)
	defer s.stop(syscall.SIGTERM)
	errors := func(ago string) string {
		const requests = `sum(rate(http_request_duration_seconds_count{namespace="shop",service="checkout"%s}[4m] offset %s))`
		return "(" + fmt.Sprintf(requests, `,code="500"`, ago) + " or vector(0)) / " + fmt.Sprintf(requests, "", ago)
	}
	for ago, bad := range map[string]bool{"1s": true, "7m": true, "14m": false, "40m": false} {
		if r, ok := s.number(errors(ago)); !ok || bad != (r > .2) || !bad && r > .02 {
			t.Errorf("%s ago %.1f %% failed", ago, 100*r)
		}
	}
	now := time.Now()
	for _, line := range strings.Fields(s.kubectl("get", "replicasets", "-n", "shop", "-o", `jsonpath={range .items[*]}{.metadata.labels.app},{.status.replicas},{.metadata.creationTimestamp}{"\n"}{end}`)) {
		f := strings.Split(line, ",")
		at, err := time.Parse(time.RFC3339, f[2])
		if err != nil {
			t.Fatal(err)
		}
		age := now.Sub(at)
		if fresh := f[0] == "checkout" && f[1] == "3"; fresh && (age < 11*time.Minute || age > 16*time.Minute) || !fresh && age < 70*time.Hour {
			t.Errorf("the ReplicaSet %s is %s old", line, age.Round(time.Second))
		}
	}
	status := s.kubectl("get", "pods", "-n", "shop", "-l", "app=checkout", "-o", `jsonpath={range .items[*]}{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].lastState.terminated.reason} {.status.containerStatuses[0].state.running.startedAt}{"\n"}{end}`)
	for _, line := range strings.Split(strings.TrimSpace(status), "\n") {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] == "0" || f[1] != "OOMKilled" {
			t.Errorf("a pod of checkout: %q", line)
			continue
		}
		if at, err := time.Parse(time.RFC3339, f[2]); err != nil || at.After(now) {
			t.Errorf("it runs since %s", f[2])
		}
	}
}
