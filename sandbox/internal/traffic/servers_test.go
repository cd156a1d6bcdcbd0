package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model/modeltest"
)

// still is a cluster in which nothing changes.
type still struct{ world *model.World }

func (s still) now() *model.World { return s.world }

// query asks Prometheus for one number.
func query(t *testing.T, base, expr string, at time.Time) float64 {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	get(t, base+"/api/v1/query?query="+url.QueryEscape(expr)+"&time="+fmt.Sprint(at.Unix()), &answer)
	if len(answer.Data.Result) != 1 {
		t.Errorf("%s has %d results", expr, len(answer.Data.Result))
		return 0
	}
	v, err := strconv.ParseFloat(answer.Data.Result[0].Value[1].(string), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func get(t *testing.T, address string, into any) {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s", address, res.Status, b)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", address, err)
	}
}

func TestThePastArrives(t *testing.T) {
	s := serve(t)
	now := time.Now().Truncate(time.Second)
	g := newGenerator(Options{Prometheus: s.prometheus, Loki: s.loki, Traces: s.otlp, Seed: 4, History: 24 * time.Hour}, nil, still{modeltest.Cluster()})
	begun := time.Now()
	if err := g.Past(context.Background(), now); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	t.Logf("a day and an hour a week ago were written in %.1f s; %d series", took.Seconds(), g.meter.out.Series())
	const rate = `sum(rate(http_request_duration_seconds_count{namespace="shop",service="gateway"}[5m]))`
	for _, at := range []time.Time{now, now.Add(-time.Hour), now.Add(-20 * time.Hour), now.Add(-7 * 24 * time.Hour)} {
		want := 0.0
		for i := range 10 { // the mean load of those five minutes
			l := model.Load(at.Add(-time.Duration(i)*30*time.Second), 4) / 10
			for _, e := range model.Sample().Entries {
				if n := e.To; n.Namespace == "shop" && (n.Name == "web" || n.Name == "frontend") {
					share := 1.0
					if n.Name == "frontend" && e.Route == 0 {
						share = .7
					}
					want += l * e.Rate * share
				}
			}
		}
		if got := query(t, s.prometheus, rate, at); got < .85*want || got > 1.15*want {
			t.Errorf("at %v the gateway served %.1f requests a second, want %.1f", at, got, want)
		}
		p99 := query(t, s.prometheus, `histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{namespace="shop",pod=~"checkout-.*",route="/api/checkout"}[5m])))`, at)
		if p99 < .1 || p99 > 1 {
			t.Errorf("at %v the p99 of checkout is %.3f s", at, p99)
		}
	}
	if r := query(t, s.prometheus, `sum(rate(http_request_duration_seconds_count{namespace="shop",service="checkout",code=~"5.."}[1h])) / sum(rate(http_request_duration_seconds_count{namespace="shop",service="checkout"}[1h]))`, now); r > .01 {
		t.Errorf("%.2f %% of checkout failed", 100*r)
	}
}

func TestLogVolume(t *testing.T) {
	s := serve(t)
	const wish = 24 << 20
	now := time.Now().Truncate(time.Second)
	g := newGenerator(Options{Loki: s.loki, Seed: 4, History: 10 * time.Minute, LogVolume: wish}, nil, still{modeltest.Cluster()})
	begun := time.Now()
	if err := g.Past(context.Background(), now); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB in %.1f s", wish>>20, time.Since(begun).Seconds())
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	get(t, s.loki+"/loki/api/v1/query?query="+url.QueryEscape(`sum(bytes_over_time({namespace=~".+"}[2d]))`)+"&time="+fmt.Sprint(now.Unix()), &answer)
	if len(answer.Data.Result) != 1 {
		t.Fatal("Loki has no lines")
	}
	// What is asked for counts a line's time too.
	if got, err := strconv.ParseFloat(answer.Data.Result[0].Value[1].(string), 64); err != nil || got < .8*wish || got > 1.3*wish {
		t.Errorf("Loki holds %.1f MiB (%v), want %d", got/(1<<20), err, wish>>20)
	}
}

// A fault that began a while ago is seen from then on, and not before.
func TestWhatWasRehearsedWasBefore(t *testing.T) {
	s := serve(t)
	world := &turning{world: modeltest.Cluster()}
	g := newGenerator(Options{Prometheus: s.prometheus, Loki: s.loki, Traces: s.otlp, Seed: 4, History: time.Hour}, nil, world)
	checkout := model.ID{Namespace: "shop", Name: "checkout"}
	if err := g.Rehearse(context.Background(), 20*time.Minute, func(context.Context) error {
		g.Change(func(c *model.Conditions) {
			model.Set(&c.Versions, model.Version{ID: checkout, Tag: "v2"}, model.Behaviour{Errors: .4})
		})
		next := modeltest.Cluster()
		for i := range next.Pods {
			if next.Pods[i].App == "checkout" {
				next.Pods[i].Containers[0].Tag = "v2"
				next.Pods[i].UID += "-2"
			}
		}
		world.turn(next)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if err := g.Past(context.Background(), now); err != nil {
		t.Fatal(err)
	}
	const ratio = `(sum(rate(http_request_duration_seconds_count{namespace="shop",service="checkout",code="500"}[4m])) or vector(0)) / sum(rate(http_request_duration_seconds_count{namespace="shop",service="checkout"}[4m]))`
	for ago, bad := range map[time.Duration]bool{0: true, 10 * time.Minute: true, 15 * time.Minute: true, 21 * time.Minute: false, 40 * time.Minute: false} {
		if r := query(t, s.prometheus, ratio, now.Add(-ago)); bad != (r > .3) || !bad && r > .02 {
			t.Errorf("%v ago %.1f %% failed; the fault began 20 minutes ago", ago, 100*r)
		}
	}
	var lines struct {
		Data struct {
			Result []struct{ Values [][2]string }
		}
	}
	get(t, fmt.Sprintf("%s/loki/api/v1/query_range?direction=forward&limit=5&start=%d&end=%d&query=%s", s.loki, now.Add(-time.Hour).UnixNano(), now.UnixNano(), url.QueryEscape(`{app="checkout"} |= "nil pointer"`)), &lines)
	if len(lines.Data.Result) == 0 {
		t.Fatal("no line tells of it")
	}
	for _, r := range lines.Data.Result {
		if at, _ := strconv.ParseInt(r.Values[0][0], 10, 64); time.Unix(0, at).Before(now.Add(-21 * time.Minute)) {
			t.Errorf("a line tells of it %v ago", now.Sub(time.Unix(0, at)))
		}
	}
	var traces struct{ Data []struct{ Spans []any } }
	get(t, s.jaeger+"/api/traces?service=checkout&limit=20&lookback=1h&tags="+url.QueryEscape(`{"error":"true"}`), &traces)
	if len(traces.Data) == 0 || len(traces.Data[0].Spans) < 4 {
		t.Errorf("%d traces of failed requests", len(traces.Data))
	}
}

// turning is a cluster in which something is rolled out.
type turning struct {
	mu    sync.Mutex
	world *model.World
}

func (c *turning) now() *model.World {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.world
}

func (c *turning) turn(w *model.World) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.world = w
}

func BenchmarkTick(b *testing.B) {
	g := newGenerator(Options{Seed: 4}, nil, still{modeltest.Cluster()})
	now := time.Now()
	g.last = now
	for b.Loop() {
		now = now.Add(15 * time.Second)
		if err := g.tick(b.Context(), now); err != nil {
			b.Fatal(err)
		}
	}
}
