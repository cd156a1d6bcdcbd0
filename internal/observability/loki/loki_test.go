package loki_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
	"github.com/firstmate-ops/firstmate/internal/observability/loki"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

func client(t *testing.T, url string, o loki.Options) *loki.Client {
	t.Helper()
	b, err := backend.New(backend.Options{Name: "Loki", URL: url, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return loki.New(b, o)
}

type line struct {
	at   time.Time
	text string
}

// push writes lines as an agent would.
func push(t *testing.T, url string, labels map[string]string, lines ...line) {
	t.Helper()
	var values [][2]string
	for _, l := range lines {
		values = append(values, [2]string{strconv.FormatInt(l.at.UnixNano(), 10), l.text})
	}
	b, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": values}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(url+"/loki/api/v1/push", "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode/100 != 2 {
		t.Fatalf("push: %s", r.Status)
	}
}

func target(name string) observability.Target {
	return observability.Target{Namespace: "shop", Kind: "Deployment", Name: name}
}

func collect(ctx context.Context, c *loki.Client, q logs.Query) ([]observability.LogLine, error) {
	var out []observability.LogLine
	for l, err := range c.Lines(ctx, q) {
		if err != nil {
			return out, err
		}
		out = append(out, l)
	}
	return out, nil
}

// TestLines holds against a real Loki that all lines of a workload come, once
// each and in order, past the server's limit and over moments with many lines;
// that filters, levels and the last lines are what they say; and that a stack
// trace is one entry.
func TestLines(t *testing.T) {
	s := sandboxtest.Loki(t)
	base := time.Now().UTC().Add(-10 * time.Minute).Truncate(time.Second)
	pods := []string{"web-7d4b9c6f5-x2x8k", "web-7d4b9c6f5-abcde", "web-6c5d8f7b9-zzzzz"}
	const each = 4000 // 12,000 lines: more than Loki gives at once
	for p, pod := range pods {
		var lines []line
		for i := range each {
			text := fmt.Sprintf(`{"level":"info","msg":"order %d placed","pod":%d}`, i, p)
			if i%100 == 0 {
				text = fmt.Sprintf(`{"level":"error","msg":"payment %d \"declined\"","password":"hunter2"}`, i)
			}
			lines = append(lines, line{base.Add(time.Duration(i/7) * 100 * time.Millisecond), text}) // seven of each moment
		}
		push(t, s.URL, map[string]string{"namespace": "shop", "app": "web", "pod": pod, "container": "web"}, lines...)
	}
	push(t, s.URL, map[string]string{"namespace": "shop", "app": "web-admin", "pod": "web-admin-7d4b9c6f5-x2x8k", "container": "web-admin"}, line{base, "of another"})
	push(t, s.URL, map[string]string{"namespace": "staging", "app": "web", "pod": "web-7d4b9c6f5-x2x8k", "container": "web"}, line{base, "of another place"})
	push(t, s.URL, map[string]string{"namespace": "shop", "app": "loud", "pod": "loud-7d4b9c6f5-x2x8k", "container": "loud"},
		line{base, "panic: x"}, line{base.Add(time.Millisecond), ""}, line{base.Add(2 * time.Millisecond), "goroutine 1 [running]:"}, line{base.Add(3 * time.Millisecond), "main.main()"}, line{base.Add(4 * time.Millisecond), "\t/src/main.go:41 +0x2f8"})
	c := client(t, s.URL, loki.Options{})
	window := observability.Window{From: base.Add(-time.Minute), To: time.Now()}

	got, err := collect(t.Context(), c, logs.Query{Target: target("web"), Window: window})
	if err != nil || len(got) != 3*each {
		t.Fatalf("%d lines, %v", len(got), err)
	}
	seen := map[string]int{}
	for i, l := range got {
		if i > 0 && l.At.Before(got[i-1].At) {
			t.Fatal("not in order")
		}
		if strings.Contains(l.Raw, "hunter2") {
			t.Fatal("a password is seen")
		}
		seen[l.Pod+l.Raw]++
	}
	for _, p := range pods {
		for i := range each {
			if i%100 != 0 && seen[p+fmt.Sprintf(`{"level":"info","msg":"order %d placed","pod":%d}`, i, indexOf(pods, p))] != 1 {
				t.Fatalf("line %d of %s is not there once", i, p)
			}
		}
	}
	for name, tt := range map[string]struct {
		q    func(*logs.Query)
		want int
	}{
		"errors":      {func(q *logs.Query) { q.Level = observability.LevelError }, 3 * each / 100},
		"a filter":    {func(q *logs.Query) { q.Filter = `"DECLINED\"` }, 3 * each / 100},
		"without":     {func(q *logs.Query) { q.Exclude = "placed" }, 3 * each / 100},
		"both":        {func(q *logs.Query) { q.Filter, q.Exclude = "payment", "payment 1" }, 3 * (40 - 11)},
		"the last":    {func(q *logs.Query) { q.Tail = 5 }, 5},
		"last errors": {func(q *logs.Query) { q.Tail, q.Level = 7, observability.LevelError }, 7},
		"container":   {func(q *logs.Query) { q.Container = "istio-proxy" }, 0},
		"strange":     {func(q *logs.Query) { q.Filter = "`\"} |= {\\n%s|~" }, 0},
	} {
		q := logs.Query{Target: target("web"), Window: window}
		tt.q(&q)
		got, err := collect(t.Context(), c, q)
		if err != nil || len(got) != tt.want {
			t.Errorf("%s: %d lines, want %d: %v", name, len(got), tt.want, err)
		}
	}
	if got, err = collect(t.Context(), c, logs.Query{Target: target("loud"), Window: window}); err != nil || len(got) != 1 || !strings.Contains(got[0].Stack, "main.go:41") || got[0].Container != "loud" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err = collect(t.Context(), c, logs.Query{Target: target("nobody"), Window: window}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("of nobody: %v", err)
	}
	// A limit of our own says that there is more.
	got, err = collect(t.Context(), client(t, s.URL, loki.Options{Lines: 6000}), logs.Query{Target: target("web"), Window: window})
	if len(got) < 6000 || len(got) >= 3*each || !strings.Contains(fault.Say(err), "oldest are missing") || got[len(got)-1].At.Before(base.Add(57*time.Second)) {
		t.Errorf("%d lines, %v", len(got), err)
	}
	// A page that the server does not allow.
	if got, err = collect(t.Context(), client(t, s.URL, loki.Options{Page: 20_000}), logs.Query{Target: target("web"), Window: window}); err != nil || len(got) != 3*each {
		t.Errorf("with too large a page: %d lines, %v", len(got), err)
	}
}

func indexOf(all []string, s string) int {
	for i, v := range all {
		if v == s {
			return i
		}
	}
	return -1
}

// TestFollow goes on with what is written.
func TestFollow(t *testing.T) {
	s := sandboxtest.Loki(t)
	labels := map[string]string{"job": "shop/cart", "namespace": "shop"}
	push(t, s.URL, labels, line{time.Now().Add(-time.Minute), "before"})
	c := client(t, s.URL, loki.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []string
	for l, err := range c.Lines(ctx, logs.Query{Target: target("cart"), Tail: 10, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Message)
		switch len(got) {
		case 1:
			go func() {
				time.Sleep(time.Second)
				push(t, s.URL, labels, line{time.Now(), "one"}, line{time.Now().Add(time.Millisecond), "two"})
			}()
		case 3:
			cancel()
		}
	}
	if strings.Join(got, " ") != "before one two" {
		t.Errorf("%q", got)
	}
}

// TestApart holds every other question against a real Loki.
func TestApart(t *testing.T) {
	s := sandboxtest.Loki(t)
	now := time.Now()
	var lines []line
	for i := range 100 {
		lines = append(lines, line{now.Add(time.Duration(i-200) * time.Second), fmt.Sprintf(`level=info msg="order %d placed" took=%dms`, i, i)})
	}
	push(t, s.URL, map[string]string{"namespace": "shop", "app": "web"}, lines...)
	c, ctx := client(t, s.URL, loki.Options{}), t.Context()
	w := observability.Window{From: now.Add(-time.Hour), To: now.Add(time.Minute)}
	if names, err := c.Labels(ctx, w); err != nil || indexOf(names, "app") < 0 {
		t.Errorf("labels %v %v", names, err)
	}
	if values, err := c.Values(ctx, "app", `{namespace="shop"}`, w); err != nil || len(values) != 1 || values[0] != "web" {
		t.Errorf("values %v %v", values, err)
	}
	if all, err := c.Series(ctx, []string{`{app="web"}`}, w); err != nil || len(all) != 1 || all[0]["namespace"] != "shop" {
		t.Errorf("series %v %v", all, err)
	}
	r, err := c.Query(ctx, `sum(count_over_time({app="web"}[1h]))`, now, 10)
	if err != nil || len(r.Series) != 1 || r.Series[0].Points[0].Value != 100 {
		t.Errorf("query %+v %v", r, err)
	}
	r, err = c.Range(ctx, `sum by (app) (rate({app="web"}[1m]))`, w, 10, true, time.Minute)
	if err != nil || len(r.Series) != 1 || len(r.Series[0].Points) < 2 || r.Series[0].Labels["app"] != "web" {
		t.Errorf("range %+v %v", r, err)
	}
	if fields, err := c.DetectedFields(ctx, `{app="web"}`, w, 100); err != nil || len(fields) == 0 {
		t.Errorf("fields %v %v", fields, err)
	}
	if _, err := c.Stats(ctx, `{app="web"}`, w); err != nil {
		t.Errorf("stats %v", err)
	}
	if _, err := c.Volume(ctx, `{app="web"}`, w, 10, "app"); err != nil {
		t.Errorf("volume %v", err)
	}
	if _, err := c.Patterns(ctx, `{app="web"}`, w, 0); err != nil {
		t.Errorf("patterns %v", err)
	}
	if _, err := c.Query(ctx, `{app=`, now, 1); fault.KindOf(err) != fault.Failed {
		t.Errorf("nonsense: %v", err)
	}
	if err := c.Check(ctx); err != nil {
		t.Error(err)
	}
	// And when it stalls, and dies.
	resume, err := s.Stall()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	b, err := backend.New(backend.Options{Name: "Loki", URL: s.URL, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	_, err = collect(ctx, loki.New(b, loki.Options{}), logs.Query{Target: target("web"), Window: w})
	if took := time.Since(began); fault.KindOf(err) != fault.Unavailable || took > 2*time.Second || !strings.Contains(fault.Say(err), "Loki did not answer in time") {
		t.Errorf("stalled: %v after %s", err, took)
	}
	if err := resume(); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err = collect(ctx, client(t, s.URL, loki.Options{}), logs.Query{Target: target("web"), Window: w}); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Say(err), "Loki does not answer") {
		t.Errorf("killed: %v", err)
	}
}

// TestGarbage is what a proxy, or a server of another kind, may answer.
func TestGarbage(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON": "<html>", "cut off": `{"status":"success","data":{"resultType":"str`, "another type": `{"status":"success","data":{"resultType":"bird","result":[]}}`,
		"a number for a list": `{"status":"success","data":7}`, "an entry of nothing": `{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[[]]}]}}`,
		"a time of words": `{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[["noon","x"]]}]}}`,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		if _, err := client(t, srv.URL, loki.Options{}).Query(t.Context(), "{}", time.Now(), 1); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		srv.Close()
	}
}

// TestHeaders go with every call: the tenant, and who asks.
func TestHeaders(t *testing.T) {
	var seen []http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header)
		if strings.Contains(r.URL.Path, "tail") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"status":"success","data":[]}`))
	}))
	defer srv.Close()
	b, err := backend.New(backend.Options{Name: "Loki", URL: srv.URL, Username: "ann", Password: "x"})
	if err != nil {
		t.Fatal(err)
	}
	c := loki.New(b, loki.Options{Tenant: "shop"})
	if _, err := c.Labels(t.Context(), observability.Window{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Tail(t.Context(), "{}", time.Now(), nil); fault.KindOf(err) != fault.Usage {
		t.Errorf("tail: %v", err)
	}
	for _, h := range seen {
		if h.Get("X-Scope-OrgID") != "shop" || !strings.HasPrefix(h.Get("Authorization"), "Basic ") {
			t.Errorf("%v", h)
		}
	}
	if len(seen) != 2 {
		t.Errorf("%d calls", len(seen))
	}
}

// TestSeveral holds against a real Loki that workloads which are asked for
// together each get their own lines and all of them, that a loud one does not
// drown the others, that the levels which Loki finds out leave nothing grave
// behind, and that few questions are asked for it.
func TestSeveral(t *testing.T) {
	s := sandboxtest.Loki(t)
	base := time.Now().UTC().Add(-10 * time.Minute).Truncate(time.Second)
	labels := func(name, pod string) map[string]string {
		return map[string]string{"namespace": "shop", "app": name, "pod": pod, "container": name}
	}
	var loud, calm, chatty []line
	for i := range 6000 {
		loud = append(loud, line{base.Add(time.Duration(i) * 10 * time.Millisecond), fmt.Sprintf(`{"level":"error","msg":"attempt %d failed"}`, i)})
	}
	for i := range 60 {
		calm = append(calm, line{base.Add(time.Duration(i) * time.Second), fmt.Sprintf("2026/11/21 17:48:05 [error] upstream timed out (%d)", i)})
	}
	for i := range 2000 {
		text := fmt.Sprintf(`level=info msg="order %d placed" status=201`, i)
		if i%200 == 0 {
			text = fmt.Sprintf("W1121 17:48:05.123456       1 a.go:1] item %d is gone", i)
		}
		chatty = append(chatty, line{base.Add(time.Duration(i) * 30 * time.Millisecond), text})
	}
	push(t, s.URL, labels("loud", "loud-7d4b9c6f5-x2x8k"), loud...)
	push(t, s.URL, labels("calm", "calm-7d4b9c6f5-x2x8k"), calm[:30]...)
	push(t, s.URL, labels("calm", "calm-7d4b9c6f5-abcde"), calm[30:]...)
	push(t, s.URL, labels("chatty", "chatty-0"), chatty...)
	push(t, s.URL, labels("calm-too", "calm-too-7d4b9c6f5-x2x8k"), line{base, "ERROR of another"})
	asked := map[string]int{}
	var mu sync.Mutex
	c := client(t, counted(t, s.URL, func(path string) {
		mu.Lock()
		defer mu.Unlock()
		asked[path]++
	}), loki.Options{})
	targets := []observability.Target{target("loud"), target("calm"), {Namespace: "shop", Kind: "StatefulSet", Name: "chatty"}, target("nobody")}
	w := observability.Window{From: base.Add(-time.Minute), To: time.Now()}
	q := logs.Query{Window: w, Level: observability.LevelWarning, Tail: 1000}
	var both [2][]logs.Share
	var wg sync.WaitGroup
	wg.Go(func() { both[0] = c.Several(t.Context(), targets, q) })
	wg.Go(func() { both[1] = c.Several(t.Context(), targets, q) })
	wg.Wait()
	for _, got := range both {
		if n := len(got[0].Lines); n != 1000 || got[0].Err != nil || !got[0].Since.After(base) || got[0].Lines[n-1].Message != "attempt 5999 failed" {
			t.Errorf("loud: %d lines since %v, %v", n, got[0].Since, got[0].Err)
		}
		if n := len(got[1].Lines); n != 60 || got[1].Err != nil || !got[1].Since.Equal(w.From) || got[1].Lines[0].Pod != "calm-7d4b9c6f5-x2x8k" {
			t.Errorf("calm: %d lines since %v, %v", n, got[1].Since, got[1].Err)
		}
		if n := len(got[2].Lines); n != 10 || got[2].Err != nil || got[2].Lines[0].Level != observability.LevelWarning {
			t.Errorf("chatty: %d lines, %v", n, got[2].Err)
		}
		if fault.KindOf(got[3].Err) != fault.NotFound || len(got[3].Lines) > 0 {
			t.Errorf("nobody: %+v", got[3])
		}
	}
	if asked["/loki/api/v1/labels"] != 1 || asked["/loki/api/v1/series"] != 1 || asked["/loki/api/v1/query_range"] > 2*4 {
		t.Errorf("asked %v", asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, got := range c.Several(ctx, targets[:1], q) {
		if got.Err == nil || len(got.Lines) > 0 || !got.Since.IsZero() {
			t.Errorf("too late: %+v", got)
		}
	}
}

// counted is a way to a server that tells what is asked for.
func counted(t *testing.T, to string, seen func(path string)) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen(r.URL.Path)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestNothingGraveIsLeftBehind holds that what Loki itself takes for harmless, and
// so is not read where a level is asked for, is that to us as well; and that a
// stack trace stays one entry though its lines have several levels there.
func TestNothingGraveIsLeftBehind(t *testing.T) {
	s := sandboxtest.Loki(t)
	base := time.Now().UTC().Add(-10 * time.Minute).Truncate(time.Second)
	var all []line
	want := map[string]bool{}
	for i, text := range []string{
		`{"level":"error","msg":"x"}`, `{"level":50,"msg":"x"}`, `{"level":60}`, `{"level":30,"msg":"placed"}`, `{"lvl":"E","m":1}`, `level=crit msg=x`, `{"severity":"CRITICAL"}`, `severity=f`,
		`E1121 17:48:05.123456       1 a.go:1] x`, `F1121 17:48:05.123456       1 a.go:1] x`, `W1121 17:48:05.123456       1 a.go:1] x`, `I1121 17:48:05.123456       1 a.go:1] x`,
		`10.0.0.1 "GET / HTTP/1.1" 502 0 1ms`, `10.0.0.1 "GET / HTTP/1.1" 200 0 1ms`, `{"status":500}`, `{"status":200}`, `job=1 state=failed`, `2026/11/21 17:48:05 [emerg] x`, `2026/11/21 17:48:05 [warn] x`, `panic: x`, `[alert] x`, `SEVERE: x`,
		`Traceback (most recent call last):`, `java.lang.IllegalStateException: x`, `KeyboardInterrupt`, `2026-11-21 03:00:00 E x`, "EROR x y", `{"level":"dpanic"}`, `{"level":"ftl"}`, `{"log":{"level":"error"},"message":"x"}`,
		`1:M 21 Nov 2026 17:48:05.123 # Can't save in background: fork: Cannot allocate memory`, `2026-11-21 17:48:05.123 UTC [12] LOG:  checkpoint starting`, `2026-11-21 17:48:05.123 UTC [12] FATAL:  sorry, too many clients already`,
		`2026-11-21 17:48:05,254 ERROR [http-nio-8080-exec-3] c.s.cart.web.CartController - loading failed`, `{"time":"2026-11-21T17:48:05Z","level":"INFO","msg":"placed","error":""}`, `ts=1 caller=a.go:1 level=warn msg="info: not found"`,
	} {
		l := line{base.Add(time.Duration(i) * time.Second), text}
		all = append(all, l)
		if p := logs.Parse(l.at, text); p.Level != "" && logs.AtLeast(p.Level, observability.LevelWarning) {
			want[text] = true
		}
	}
	push(t, s.URL, map[string]string{"namespace": "shop", "app": "web", "pod": "web-7d4b9c6f5-x2x8k", "container": "web"}, all...)
	trace := base.Add(time.Minute)
	push(t, s.URL, map[string]string{"namespace": "shop", "app": "api", "pod": "api-7d4b9c6f5-x2x8k", "container": "api"},
		line{trace, "2026-11-21 17:48:05,254 ERROR [main] a.b.C - it failed"}, line{trace.Add(time.Millisecond), "java.lang.IllegalStateException: no"},
		line{trace.Add(2 * time.Millisecond), "\tat a.b.C.d(C.java:12)"}, line{trace.Add(3 * time.Millisecond), "Caused by: java.io.IOException: error: info: broken pipe"}, line{trace.Add(4 * time.Millisecond), "\t... 3 more"})
	c := client(t, s.URL, loki.Options{})
	q := logs.Query{Target: target("web"), Window: observability.Window{From: base.Add(-time.Minute), To: time.Now()}, Level: observability.LevelWarning}
	got, err := collect(t.Context(), c, q)
	if err != nil {
		t.Fatal(err)
	}
	for text := range want {
		// Some are the beginning of a stack trace, which belongs to the line before.
		if !slices.ContainsFunc(got, func(l observability.LogLine) bool { return strings.Contains(l.Raw+"\n"+l.Stack, text) }) {
			t.Errorf("left behind: %s", text)
		}
	}
	q.Target = target("api")
	if got, err = collect(t.Context(), c, q); err != nil || len(got) != 1 || !strings.Contains(got[0].Stack, "C.java:12") || !strings.Contains(got[0].Stack, "3 more") {
		t.Errorf("%d entries, %v: %+v", len(got), err, got)
	}
}
