package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
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
