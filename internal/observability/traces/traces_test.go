package traces_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/traces"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

func reach(t *testing.T, name, url string) *backend.Client {
	t.Helper()
	b, err := backend.New(backend.Options{Name: name, URL: url, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exported are spans as OTLP's JSON has them; kinds is that of a span by its id,
// 5 for a consumer.
func exported(spans []observability.Span, kinds map[string]int, id func(string, int) string) []any {
	by := map[string][]any{}
	for _, s := range spans {
		o := map[string]any{
			"traceId": id(s.Trace, 16), "spanId": id(s.ID, 8), "name": s.Name, "kind": max(1, kinds[s.ID]), "startTimeUnixNano": fmt.Sprint(s.Start.UnixNano()), "endTimeUnixNano": fmt.Sprint(s.Start.Add(s.Duration).UnixNano()),
		}
		if s.Parent != "" {
			o["parentSpanId"] = id(s.Parent, 8)
		}
		if s.Failed {
			o["status"] = map[string]any{"code": 2}
		}
		by[s.Service] = append(by[s.Service], o)
	}
	var out []any
	for service, all := range by {
		out = append(out, map[string]any{
			"resource":   map[string]any{"attributes": []any{map[string]any{"key": "service.name", "value": map[string]any{"stringValue": service}}}},
			"scopeSpans": []any{map[string]any{"spans": all}},
		})
	}
	return out
}

// identify makes ids of one letter as long as they are to be.
func identify(s string, size int) []byte { return bytes.Repeat([]byte(s)[:1], size) }

func hexadecimal(s string, size int) string { return hex.EncodeToString(identify(s, size)) }

func base(s string, size int) string { return base64.StdEncoding.EncodeToString(identify(s, size)) }

// requests are two requests through web, checkout and its database; a consumer
// takes up afterwards what one of them left.
func requests(now time.Time) ([]observability.Span, map[string]int) {
	spans := trace("a . web 0-100\nb a checkout 10-90\nc b db 20-80!\nm b mail 95-400\nn m smtp 100-300")
	second := trace("d . web 0-50\ne d checkout 10-40")
	for i := range second {
		second[i].Trace = "u"
	}
	spans = append(spans, second...)
	for i := range spans {
		spans[i].Start = now.Add(-time.Minute).Add(time.Duration(spans[i].Start.Nanosecond()))
	}
	return spans, map[string]int{"m": 5}
}

func export(t *testing.T, url string, spans []any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"resourceSpans": spans})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(strings.TrimSuffix(url, "/v1/traces")+"/v1/traces", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatal(resp.Status)
	}
}

const wantShares = "db 40%, checkout 33%, web 27%"

// TestAgainstTheRealJaeger sends spans by OTLP and reads them back.
func TestAgainstTheRealJaeger(t *testing.T) {
	s := sandboxtest.Jaeger(t)
	c, ctx, now := traces.NewJaeger(reach(t, "Jaeger", s.URL)), t.Context(), time.Now()
	window := observability.Window{From: now.Add(-time.Hour), To: now.Add(time.Minute)}
	if got, err := c.Traces(ctx, "checkout", window, 20); err != nil || len(got) != 0 {
		t.Errorf("an empty one has %v, %v", got, err)
	}
	spans, kinds := requests(now)
	export(t, s.OTLP, exported(spans, kinds, hexadecimal))
	var got []observability.Span
	for end := time.Now().Add(10 * time.Second); len(got) < 5 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var err error
		if got, err = c.Traces(ctx, "checkout", window, 20); err != nil {
			t.Fatal(err)
		}
	}
	check(t, got)
	if names, err := c.Services(ctx); err != nil || !strings.Contains(fmt.Sprint(names), "checkout") {
		t.Error(names, err)
	}
	if got, err := c.Traces(ctx, "checkout", window.Back(24*time.Hour), 20); err != nil || len(got) != 0 {
		t.Errorf("yesterday: %v, %v", got, err)
	}
	if got, err := c.Traces(ctx, `x" or "1`, window, 20); err != nil || len(got) != 0 {
		t.Errorf("a service that nobody has: %v, %v", got, err)
	}
	resume, err := s.Stall()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := c.Traces(ctx, "checkout", window, 20); fault.KindOf(err) != fault.Unavailable || time.Since(began) > 1500*time.Millisecond {
		t.Errorf("stalled: %v after %v", err, time.Since(began))
	}
	if err := errors.Join(resume(), s.Kill()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Traces(ctx, "checkout", window, 20); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Say(err), "Jaeger") {
		t.Errorf("killed: %v", err)
	}
}

// check holds what came back of requests.
func check(t *testing.T, got []observability.Span) {
	t.Helper()
	if len(got) != 5 {
		t.Fatalf("%d spans: %+v", len(got), got)
	}
	for _, s := range got {
		if s.Service == "mail" || s.Service == "smtp" {
			t.Errorf("nobody waited for %+v", s)
		}
		if s.Service == "db" && (!s.Failed || s.Duration != 60*time.Millisecond || s.Parent == "" || s.Name != "db/c") {
			t.Errorf("%+v", s)
		}
	}
	if got := shares(got); got != wantShares {
		t.Errorf("the time goes to %s, want %s", got, wantShares)
	}
}

// TestTempo is Tempo's API as its documentation has it: search, and traces in
// either of the two ways that its versions write them.
func TestTempo(t *testing.T) {
	spans, kinds := requests(time.Now())
	lost := ""
	var mu sync.Mutex
	var asked []string // searches
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, of := strings.CutPrefix(r.URL.Path, "/api/traces/")
		switch {
		case r.URL.Path == "/api/search":
			mu.Lock()
			asked = append(asked, r.URL.String())
			mu.Unlock()
			if r.URL.Query().Get("q") != `{ resource.service.name = "checkout" }` {
				_, _ = fmt.Fprint(w, `{"metrics":{}}`)
				return
			}
			_, _ = fmt.Fprintf(w, `{"traces":[{"traceID":"%s","rootServiceName":"web"},{"traceID":"%s"}],"metrics":{"inspectedTraces":2}}`, hexadecimal("t", 16), hexadecimal("u", 16))
		case of && id == lost:
			w.WriteHeader(http.StatusInternalServerError)
		case of:
			var one []observability.Span
			for _, s := range spans {
				if hexadecimal(s.Trace, 16) == id {
					one = append(one, s)
				}
			}
			if id == hexadecimal("t", 16) {
				_ = json.NewEncoder(w).Encode(map[string]any{"batches": exported(one, kinds, base)})
			} else {
				_ = json.NewEncoder(w).Encode(map[string]any{"resourceSpans": exported(one, kinds, hexadecimal)})
			}
		}
	}))
	defer s.Close()
	c := traces.NewTempo(reach(t, "Tempo", s.URL))
	now := time.Now()
	window := observability.Window{From: now.Add(-time.Hour), To: now}
	got, err := c.Traces(t.Context(), "checkout", window, 20)
	if err != nil {
		t.Fatal(err)
	}
	check(t, got)
	if got, err := c.Traces(t.Context(), `x" } || { true`, window, 20); err != nil || len(got) != 0 {
		t.Errorf("a service that would be a query: %v, %v; asked %s", got, err, asked[len(asked)-1])
	}
	lost = hexadecimal("u", 16)
	var partial *backend.Partial
	got, err = c.Traces(t.Context(), "checkout", window, 20)
	if !errors.As(err, &partial) || len(got) != 3 || !strings.Contains(fault.Say(err), "1 of 2 traces") {
		t.Errorf("with a trace that cannot be had: %d spans, %v", len(got), err)
	}
}

// TestWhatIsNoTraceStore is one that is slow, and several that talk of something else.
func TestWhatIsNoTraceStore(t *testing.T) {
	for name, body := range map[string]string{"slow": "", "page": "<html>", "object": `{"status":"ok"}`, "array": "[]", "null": "null", "half": `{"data":[{"spans":[`, "types": `{"data":"x","traces":7}`} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body == "" {
					<-r.Context().Done()
				}
				_, _ = fmt.Fprint(w, body)
			}))
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			for store, c := range map[string]*traces.Client{"Jaeger": traces.NewJaeger(reach(t, "Jaeger", s.URL)), "Tempo": traces.NewTempo(reach(t, "Tempo", s.URL))} {
				got, err := c.Traces(ctx, "checkout", observability.Window{From: time.Unix(0, 0), To: time.Unix(1, 0)}, 5)
				if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Say(err), store) {
					t.Errorf("%s: %v, %v", store, got, err)
				}
			}
		})
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/search" {
			_, _ = fmt.Fprint(w, `{"traces":[{"traceID":"../../status/config"}]}`)
			return
		}
		t.Errorf("it was led to %s", r.URL)
	}))
	defer s.Close()
	c := traces.NewTempo(reach(t, "Tempo", s.URL))
	if got, err := c.Traces(t.Context(), "x", observability.Window{From: time.Unix(0, 0), To: time.Unix(1, 0)}, 5); err == nil {
		t.Errorf("a trace that is a path: %v", got)
	}
}
