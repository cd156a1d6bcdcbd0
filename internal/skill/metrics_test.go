package skill

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/prometheus"
	"github.com/firstmate-ops/firstmate/internal/observability/promtest"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// gauged is a conversation about numbers.
func gauged(t *testing.T, m Metrics) func(text string) dialogue.Reply {
	t.Helper()
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	r, err := recognizer()
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	place := newTown()
	data := intents.InventoryData{Clusters: []string{"home"}, Namespaces: place.Namespaces(t.Context(), ""), Nodes: []string{"node-1"}}
	for _, w := range place.ws {
		data.Workloads = append(data.Workloads, intents.Workload{Name: w.Ref.Name, Namespace: w.Ref.Namespace, Kind: w.Ref.Kind})
	}
	inv := intents.NewInventory(data)
	crew := NewCrew(place, nil, c).UseMetrics(m)
	e := dialogue.NewEngine(c, r, func(context.Context, []string) (*intents.Inventory, error) { return inv, nil }, st, crew.Handlers(), dialogue.NewHub(), nil, slog.New(slog.DiscardHandler))
	return func(text string) dialogue.Reply {
		return e.Respond(context.Background(), dialogue.Request{Conversation: "c", Speaker: access.Speaker{Channel: "web", ID: "a1"}, Text: text})
	}
}

// TestNumbersAreTalkedAbout is a morning with a real Prometheus.
func TestNumbersAreTalkedAbout(t *testing.T) {
	s := sandboxtest.Prometheus(t)
	now := time.Now().Truncate(time.Minute)
	var data []promtest.Series
	add := func(from, to time.Time, labels map[string]string, f func(time.Time) float64) {
		data = append(data, promtest.Line(labels, from, to, 30*time.Second, func(d time.Duration) float64 { return f(from.Add(d)) }))
	}
	label := func(name string, pairs ...string) map[string]string {
		m := map[string]string{"__name__": name, "namespace": "shop"}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	slowSince := now.Add(-20 * time.Minute)
	for _, span := range []struct{ from, to time.Time }{{now.Add(-7*24*time.Hour - 70*time.Minute), now.Add(-7 * 24 * time.Hour)}, {now.Add(-130 * time.Minute), now}} {
		for _, pod := range []string{"web-7d9f8b6c5-bcdfg", "cart-7d9f8b6c5-bcdfg"} {
			rate := func(after bool) func(time.Time) float64 {
				return func(at time.Time) float64 { // one a second, from slowSince on or until then
					if pod[:3] != "web" {
						return map[bool]float64{false: at.Sub(span.from).Seconds()}[after]
					}
					if after {
						return max(0, at.Sub(slowSince).Seconds())
					}
					return min(at.Sub(span.from).Seconds(), max(0, slowSince.Sub(span.from).Seconds()))
				}
			}
			fast, slow := rate(false), rate(true)
			for le, f := range map[string]func(time.Time) float64{
				"0.1": func(time.Time) float64 { return 0 }, "0.2": fast, "0.4": fast,
				"0.8": func(at time.Time) float64 { return fast(at) + slow(at) }, "+Inf": func(at time.Time) float64 { return fast(at) + slow(at) },
			} {
				add(span.from, span.to, label("http_request_duration_seconds_bucket", "pod", pod, "le", le, "code", "200"), f)
			}
			add(span.from, span.to, label("http_request_duration_seconds_count", "pod", pod, "code", "200"), func(at time.Time) float64 { return fast(at) + slow(at) })
			mem := map[bool]float64{true: 300 << 20, false: 100 << 20}[pod[:3] == "web"]
			add(span.from, span.to, label("container_memory_working_set_bytes", "pod", pod, "container", "app", "node", "node-1"), func(time.Time) float64 { return mem })
			add(span.from, span.to, label("container_cpu_usage_seconds_total", "pod", pod, "container", "app", "node", "node-1"), func(at time.Time) float64 { return at.Sub(span.from).Seconds() * 0.25 })
		}
	}
	for _, d := range data {
		if err := promtest.Write(t.Context(), s.URL, d); err != nil {
			t.Fatal(err)
		}
	}
	b, err := backend.New(backend.Options{Name: "prometheus", URL: s.URL, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	say := gauged(t, Metrics{
		Source: prometheus.NewWith(b, nil, prometheus.Options{Home: "home"}), Now: func() time.Time { return now },
		Rollouts: func(context.Context, kube.Workload) ([]kube.Revised, error) {
			return []kube.Revised{{At: slowSince, Version: "v2", Current: true}}, nil
		},
	})
	check := func(text, speech, eye string) dialogue.Reply {
		t.Helper()
		r := say(text)
		if !regexp.MustCompile(speech).MatchString(r.Speech) || !regexp.MustCompile(eye).MatchString(r.Text) {
			t.Errorf("%s (%s %v)\n said    %s\n want    %s\n written %s\n want    %s", text, r.Intent, r.Slots, r.Speech, speech, r.Text, eye)
		}
		return r
	}
	r := check("p99 latency of web", `^p99 of web is 79\d milliseconds, four times what it was an hour ago\.$`,
		`^p99 of web is 79\d ms, four times .* in the last hour between 199 ms and 79\d ms\. \(An hour before: 199 ms; a week before: 199 ms\.\) Measured by HTTP request duration\.$`)
	if len(r.Blocks) != 1 || r.Blocks[0].Type != "chart" {
		t.Fatalf("blocks: %+v", r.Blocks)
	}
	if c := r.Blocks[0].Chart; !strings.HasPrefix(c.Link, s.URL) || c.Title != "web: latency, p99" || len(c.Series) != 1 || len(c.Earlier) != 2 || len(c.Marks) != 1 || c.Marks[0].Label != "v2" || !c.Earlier[1].Points[0].At.After(now.Add(-2*time.Hour)) {
		t.Errorf("chart %s: %d series, %d earlier, marks %v", c.Title, len(c.Series), len(c.Earlier), c.Marks)
	}
	check("how much memory does it use?", `^The memory usage of web is 300 megabytes, about what it was an hour ago\.$`, `300 MiB`)
	check("median latency of web since last deploy", `^p50 of web is 6\d\d milliseconds, four times`, `since v2 between`)
	check("error rate of cart", `^The error rate of cart is 0 percent, as it was an hour ago\.$`, `0 %`)
	r = check("latency of web and cart", `^p99 of web 79\d milliseconds and cart 199 milliseconds\.$`, `^p99: web 79\d ms and cart 199 ms\.$`)
	if len(r.Blocks) != 2 || len(r.Blocks[0].Rows) != 2 || len(r.Blocks[1].Chart.Series) != 2 {
		t.Errorf("blocks of two: %+v", r.Blocks)
	}
	r = check("which pods use the most memory?", `^The pod with the most memory usage is web in shop with 300 megabytes, before cart with 100 megabytes\.$`, `^memory usage by pod: web-7d9f8b6c5-bcdfg in shop has the most, 300 MiB`)
	if len(r.Blocks) != 2 || len(r.Blocks[0].Rows) != 2 || r.Blocks[1].Chart.Kind != observability.Bars {
		t.Errorf("blocks of the top: %+v", r.Blocks)
	}
	check("which deployments use the most cpu?", `^The workload with the most CPU usage is (web|cart) in shop with 0\.25 cores`, `0\.25 cores`)
	check("kubectl top nodes", `^The node with the most CPU usage is node 1 with 0\.5 cores\.$`, `0\.5 cores`)
	check("cpu of the cluster", `^The CPU usage of the cluster is 0\.5 cores, about what it was an hour ago\.$`, ``)
	check("memory of node-1", `^The memory usage of the node node 1 is 400 megabytes`, ``)
	check("cpu of cart in the last 10 minutes", `^The CPU usage of cart is 0\.25 cores`, ` between 250 m|between 0\.25`)
	r = check("consumer lag of web", `^Prometheus has nothing about the lag of web\. I looked for .*kafka_consumergroup_lag`, `observability\.prometheus\.families`)
	if r.Fault != fault.NotFound {
		t.Errorf("fault %q", r.Fault)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	// The kernel takes a moment; after that the circuit opens.
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if r := say("memory of cart"); strings.Contains(r.Speech, "leave it alone") {
			break
		}
	}
	start := time.Now()
	check("cpu of cart", `^Prometheus does not answer, so I leave it alone for a moment`, `observability\.prometheus\.url`)
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("a dead Prometheus held a turn for %v", took)
	}
}

func TestNoNumbersWithoutAnAddress(t *testing.T) {
	if r := gauged(t, Metrics{})("cpu of web"); !strings.Contains(r.Speech, "set observability.prometheus.url") || r.Fault != fault.Usage {
		t.Errorf("%s %s", r.Speech, r.Fault)
	}
}

// half is a source that knows one workload only.
type half struct{}

func (half) Measure(_ context.Context, q prometheus.Question) (prometheus.Answer, error) {
	if q.Target.Name != "web" {
		return prometheus.Answer{}, fault.New(fault.Unavailable, "Prometheus does not answer.")
	}
	return prometheus.Answer{Unit: observability.Cores, Warnings: []string{"a store is missing"}, Series: []observability.Series{{Points: []observability.Point{{At: q.Window.To, Value: 1}}}}}, nil
}

func (half) Top(context.Context, prometheus.TopQuestion) (prometheus.Answer, error) {
	return prometheus.Answer{}, errors.New("secret cause")
}

// TestAPartOfTheNumbers holds that what is missing is named beside what is there.
func TestAPartOfTheNumbers(t *testing.T) {
	say := gauged(t, Metrics{Source: half{}, Now: time.Now})
	if r := say("cpu of web and cart"); !strings.Contains(r.Text, "web 1 cores") || !strings.Contains(r.Text, "Prometheus does not answer") || !strings.Contains(r.Text, "! a store is missing") {
		t.Error(r.Text)
	}
	if r := say("which pods use the most memory?"); strings.Contains(r.Text, "secret") || r.Fault != fault.Internal {
		t.Error(r.Text)
	}
}

// TestNumbersAreForWhoMayLook holds that nobody learns of a back-end what the
// cluster would not tell them.
func TestNumbersAreForWhoMayLook(t *testing.T) {
	var asked []kube.Ref
	say := gauged(t, Metrics{Source: half{}, Now: time.Now, May: func(_ context.Context, ref kube.Ref) error {
		asked = append(asked, ref)
		return fault.New(fault.Forbidden, "You may not see that.")
	}})
	for _, text := range []string{"cpu of web", "cpu of the cluster", "memory of node-1", "which pods use the most memory?", "kubectl top nodes", "top pods in staging by cpu"} {
		if r := say(text); r.Fault != fault.Forbidden || r.Speech != "You may not see that." {
			t.Errorf("%s: %s (%s)", text, r.Text, r.Fault)
		}
	}
	want := []kube.Ref{{Namespace: "shop", Kind: "Deployment", Name: "web"}, {Cluster: "home"}, {Cluster: "home", Kind: "Node", Name: "node-1"}, {Cluster: "home"}, {Cluster: "home", Kind: "Node"}, {Cluster: "home", Namespace: "staging"}}
	if !slices.Equal(asked, want) {
		t.Errorf("asked about %v", asked)
	}
}

func TestTrend(t *testing.T) {
	for _, tt := range []struct {
		now, before float64
		want        string
	}{
		{840, 210, "four times what it was an hour ago"}, {2, 1, "twice what it was an hour ago"}, {13, 10, "30 percent more than an hour ago"}, {10, 10.5, "about what it was an hour ago"},
		{7, 10, "30 percent less than an hour ago"}, {5, 10, "half of what it was an hour ago"}, {1, 3, "a third of what it was an hour ago"}, {1, 4, "a quarter of what it was an hour ago"},
		{1, 100, "much less than an hour ago"}, {0, 0, "as it was an hour ago"}, {1, 0, "and it was zero an hour ago"}, {4200, 100, "42 times what it was an hour ago"},
	} {
		if got := trend(tt.now, tt.before, observability.CPU, "an hour ago"); got != tt.want {
			t.Errorf("%v after %v: %s, want %s", tt.now, tt.before, got, tt.want)
		}
	}
}
