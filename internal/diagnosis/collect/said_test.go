package collect

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// said makes n lines from a moment on, one a second.
func spoken(n int, from time.Time, level observability.Level, format string) []observability.LogLine {
	var out []observability.LogLine
	for i := range n {
		out = append(out, logs.Parse(from.Add(time.Duration(i)*time.Second), fmt.Sprintf(`level=%s msg=%q`, level, fmt.Sprintf(format, i))))
	}
	return out
}

// share is lines as a source gives them that reads no more than so many.
func share(all []observability.LogLine, w observability.Window) logs.Share {
	if len(all) >= mostLines {
		w.From = earliest(all)
	}
	return logs.Share{Lines: all, Since: w.From}
}

func TestNews(t *testing.T) {
	before, now := window.From.Add(-30*time.Minute), window.From.Add(30*time.Minute)
	join := func(all ...[]observability.LogLine) (out []observability.LogLine) {
		for _, l := range all {
			out = append(out, l...)
		}
		return out
	}
	old := spoken(20, before, observability.LevelWarning, "cache miss for item %d")
	for name, c := range map[string]struct {
		now, before []observability.LogLine
		known       bool
		want        int
		at          time.Time // of the first; zero where that is not known
		was         float64   // before, -1 where that is not known
	}{
		"the same as ever":      {spoken(20, now, observability.LevelWarning, "cache miss for item %d"), old, true, 0, time.Time{}, 0},
		"new":                   {join(spoken(20, now, observability.LevelWarning, "cache miss for item %d"), spoken(5, now, observability.LevelError, "dial tcp 10.0.0.%d:5432: connection refused")), old, true, 1, now, 0},
		"new, but once":         {spoken(1, now, observability.LevelError, "something odd %d"), old, true, 0, time.Time{}, 0},
		"far more often":        {spoken(200, now, observability.LevelWarning, "cache miss for item %d"), old, true, 1, now, 20},
		"nobody knows before":   {spoken(5, now, observability.LevelError, "dial tcp 10.0.0.%d:5432: connection refused"), nil, false, 1, now, -1},
		"more than can be read": {spoken(mostLines, now, observability.LevelError, "order %d could not be placed"), old, true, 1, time.Time{}, 0},
	} {
		got := news(share(c.now, window), share(c.before, past(window)), window, c.known)
		if len(got) != c.want {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		if c.want == 0 {
			continue
		}
		e := got[0]
		if e.At.Sub(c.at).Abs() > time.Minute || c.at.IsZero() != e.At.IsZero() || (e.Before == nil) != (c.was < 0) || e.Before != nil && *e.Before != c.was {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestGrowth(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	noise := func() float64 { return 1 + 0.01*r.NormFloat64() }
	const mib = 1 << 20
	for name, c := range map[string]struct {
		f    func(i int) float64
		want bool
	}{
		"flat":         {func(int) float64 { return 100 * mib * noise() }, false},
		"a saw":        {func(i int) float64 { return (100 + float64(i%20)) * mib * noise() }, false},
		"a step":       {func(i int) float64 { return []float64{100, 180}[i/150] * mib * noise() }, false},
		"a leak":       {func(i int) float64 { return (100 + float64(i)) * mib * noise() }, true},
		"after a kill": {func(i int) float64 { return (60 + 1.5*float64(i%120)) * mib * noise() }, true},
		"lately":       {func(i int) float64 { return (100 + 2*max(0, float64(i-150))) * mib * noise() }, true},
	} {
		slope, at, ok := growth(line(c.f))
		if ok != c.want || ok && (slope <= 0 || math.IsNaN(slope) || at.IsZero()) {
			t.Errorf("%s: %v %v %v", name, slope, at, ok)
		}
	}
}

func TestPools(t *testing.T) {
	series := func(name string, v float64, labels ...string) observability.Series {
		s := observability.Series{Labels: map[string]string{"__name__": name}, Points: []observability.Point{{At: t0, Value: v}}}
		for i := 0; i+1 < len(labels); i += 2 {
			s.Labels[labels[i]] = labels[i+1]
		}
		return s
	}
	for name, all := range map[string][]observability.Series{
		"of the shop": {series("db_pool_connections_in_use", 9), series("db_pool_connections_in_use", 9), series("db_pool_connections_max", 10), series("db_pool_connections_max", 10), series("db_pool_waiting", 4)},
		"HikariCP":    {series("hikaricp_connections_active", 18), series("hikaricp_connections_max", 20), series("hikaricp_connections_pending", 4), series("hikaricp_connections_idle", 2)},
		"Go's":        {series("go_sql_in_use_connections", 18), series("go_sql_max_open_connections", 20), series("db_pool_waiting", 4)},
	} {
		got := poolsOf(all)
		p := got["connections"]
		if len(got) != 1 || p.sum[poolUsed] != 18 || p.sum[poolSize] != 20 || p.sum[poolWaits] != 4 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := poolsOf([]observability.Series{series("db_pool_in_use", 1, "pool", "a"), series("db_pool_in_use", 2, "pool", "b")}); len(got) != 2 {
		t.Errorf("two pools: %+v", got)
	}
}

// TestWhereTheTimeGoes holds that traces say whom the target's requests wait for,
// and who calls whom.
func TestWhereTheTimeGoes(t *testing.T) {
	span := func(id, parent, service string, start, length int) observability.Span {
		return observability.Span{Trace: "t", ID: id, Parent: parent, Service: service, Name: service, Start: t0.Add(time.Duration(start) * time.Millisecond), Duration: time.Duration(length) * time.Millisecond}
	}
	// gateway calls web, which asks a and b at the same time and waits for b, which
	// asks the database.
	spans := told{span("0", "", "gateway", 0, 400), span("1", "0", "web", 0, 100), span("2", "1", "a", 10, 20), span("3", "1", "b", 10, 80), span("4", "3", "db", 20, 60)}
	r := diagnosis.Request{Target: observability.Target{Namespace: "shop", Kind: "Deployment", Name: "web"}, Window: window}
	list, err := traced{&look{Sources: Sources{Traces: spans}}}.Collect(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	got, calls := map[string]float64{}, map[string]bool{}
	for _, e := range list {
		switch e.Kind {
		case diagnosis.TimeShare:
			got[e.Peer.Name] = *e.Value
		case diagnosis.Calls:
			calls[e.About.Name+">"+e.Peer.Name] = true
		}
	}
	for service, want := range map[string]float64{"web": 0.2, "b": 0.2, "db": 0.6} {
		if math.Abs(got[service]-want) > 1e-9 {
			t.Errorf("%s: %v, want %v", service, got[service], want)
		}
	}
	if len(got) != 3 {
		t.Errorf("what is not waited for takes no time, nor does who calls: %v", got)
	}
	if len(calls) != 4 || !calls["gateway>web"] || !calls["web>b"] || !calls["web>a"] || !calls["b>db"] {
		t.Errorf("%v", calls)
	}
}

// told are the spans that a trace store has.
type told []observability.Span

func (s told) Traces(context.Context, string, observability.Window, int) ([]observability.Span, error) {
	return s, nil
}

func TestServiceName(t *testing.T) {
	for peer, want := range map[string]string{
		"payments": "payments/", "payments:8080": "payments/", "http://payments:8080/v1": "payments/", "payments.shop": "payments/shop",
		"payments.shop.svc.cluster.local:80": "payments/shop", "api.stripe.com": "", "10.0.0.1:80": "", "": "",
	} {
		name, ns, ok := serviceName(peer)
		if got := name + "/" + ns; ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q %v", peer, got, ok)
		}
	}
}
