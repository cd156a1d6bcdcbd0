// Package traces asks Jaeger or Tempo for the traces of a service, and finds in
// them where the time goes and who calls whom. The clients are small ones of our
// own: Jaeger's query API is no published module's, and Tempo's client is part of
// Tempo, which is AGPL.
package traces

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
)

// Client finds traces in one store.
type Client struct {
	backend *backend.Client
	store   store
}

// store is what differs between the stores.
type store interface {
	// traces are those of a service in a window, each as its spans.
	traces(ctx context.Context, service string, w observability.Window, limit int) ([]span, error)
	services(ctx context.Context) ([]string, error)
}

// NewJaeger returns a client of Jaeger's query API. It talks to nobody yet.
func NewJaeger(b *backend.Client) *Client { return &Client{backend: b, store: jaeger{b}} }

// NewTempo returns a client of Tempo. It talks to nobody yet.
func NewTempo(b *backend.Client) *Client { return &Client{backend: b, store: tempo{b}} }

// maxSpans is how many spans are looked at; a store may have far more.
const maxSpans = 50_000

// Services names the services that the store knows.
func (c *Client) Services(ctx context.Context) ([]string, error) { return c.store.services(ctx) }

// Traces are the spans of at most so many traces that went through a service in
// a window.
func (c *Client) Traces(ctx context.Context, service string, w observability.Window, limit int) ([]observability.Span, error) {
	if service == "" {
		return nil, errors.New("traces: of no service")
	}
	got, err := c.store.traces(ctx, service, w, limit)
	got = awaited(got)
	out := make([]observability.Span, 0, len(got))
	seen := map[[2]string]bool{}
	for _, s := range got {
		v, ok := s.value()
		if key := [2]string{v.Trace, v.ID}; ok && !seen[key] && len(out) < maxSpans {
			seen[key] = true
			out = append(out, v)
		}
	}
	slices.SortStableFunc(out, func(a, b observability.Span) int {
		if c := strings.Compare(a.Trace, b.Trace); c != 0 {
			return c
		}
		return a.Start.Compare(b.Start)
	})
	return out, err
}

// span is a span as both stores can be made to say it.
type span struct {
	trace, id, parent, service, name string
	start                            time.Time
	duration                         time.Duration
	failed                           bool
	async                            bool // nobody waits for it
}

// awaited drops what nobody waits for, with all that is below it.
func awaited(all []span) []span {
	type key struct{ trace, id string }
	at := map[key]span{}
	for _, s := range all {
		at[key{s.trace, s.id}] = s
	}
	return slices.DeleteFunc(all, func(s span) bool {
		for range 1000 { // deeper than any trace; whoever wrote it may have made a circle
			if s.async {
				return true
			}
			up, ok := at[key{s.trace, s.parent}]
			if s.parent == "" || !ok {
				return false
			}
			s = up
		}
		return false
	})
}

// value is the span as it leaves this package; ok is false for one that says
// nothing.
func (s span) value() (observability.Span, bool) {
	if s.trace == "" || s.id == "" || s.service == "" || s.duration < 0 {
		return observability.Span{}, false
	}
	return observability.Span{
		Trace: s.trace, ID: s.id, Parent: s.parent, Service: clip(s.service), Name: clip(s.name), Start: s.start, Duration: s.duration, Failed: s.failed,
	}, true
}

// clip keeps a name short, in one line and without control signs.
func clip(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "�"), func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 }), " ")
	if r := []rune(s); len(r) > 120 {
		s = string(r[:119]) + "…"
	}
	return s
}

// jaeger is Jaeger's query API, as its page uses it.
type jaeger struct{ b *backend.Client }

type jaegerTrace struct {
	TraceID string `json:"traceID"`
	Spans   []struct {
		TraceID       string `json:"traceID"`
		SpanID        string `json:"spanID"`
		OperationName string `json:"operationName"`
		References    []struct {
			RefType string `json:"refType"`
			TraceID string `json:"traceID"`
			SpanID  string `json:"spanID"`
		} `json:"references"`
		StartTime int64 `json:"startTime"` // microseconds
		Duration  int64 `json:"duration"`
		Tags      []struct {
			Key   string `json:"key"`
			Value any    `json:"value"`
		} `json:"tags"`
		ProcessID string `json:"processID"`
	} `json:"spans"`
	Processes map[string]struct {
		ServiceName string `json:"serviceName"`
	} `json:"processes"`
}

func (j jaeger) services(ctx context.Context) ([]string, error) {
	var got struct {
		Data *[]string `json:"data"`
	}
	if err := j.b.JSON(ctx, http.MethodGet, "api/services", nil, nil, &got); err != nil {
		return nil, err
	}
	if got.Data == nil {
		return []string{}, nil // an empty Jaeger says null
	}
	return *got.Data, nil
}

func (j jaeger) traces(ctx context.Context, service string, w observability.Window, limit int) ([]span, error) {
	var got struct {
		Data   []jaegerTrace `json:"data"`
		Errors []struct {
			Msg string `json:"msg"`
		} `json:"errors"`
	}
	q := url.Values{
		"service": {service}, "start": {strconv.FormatInt(w.From.UnixMicro(), 10)}, "end": {strconv.FormatInt(w.To.UnixMicro(), 10)}, "limit": {strconv.Itoa(limit)},
	}
	if err := j.b.JSON(ctx, http.MethodGet, "api/traces", q, nil, &got); err != nil {
		return nil, err
	}
	if got.Data == nil {
		return nil, j.b.Garbage(errors.New("no traces, and not none either"))
	}
	var out []span
	for _, t := range got.Data {
		for _, s := range t.Spans {
			v := span{
				trace: s.TraceID, id: s.SpanID, service: t.Processes[s.ProcessID].ServiceName, name: s.OperationName,
				start: time.UnixMicro(s.StartTime).UTC(), duration: time.Duration(s.Duration) * time.Microsecond,
			}
			for _, r := range s.References {
				if r.TraceID == s.TraceID && v.parent == "" {
					v.parent, v.async = r.SpanID, r.RefType == "FOLLOWS_FROM"
				}
			}
			for _, tag := range s.Tags {
				text := fmt.Sprint(tag.Value)
				v.failed = v.failed || tag.Key == "error" && text == "true" || tag.Key == "otel.status_code" && text == "ERROR"
				v.async = v.async || asyncKind(tag.Key, text)
			}
			out = append(out, v)
		}
	}
	if len(got.Errors) > 0 {
		return out, &backend.Partial{Name: j.b.Name(), Missing: []string{"some traces"}}
	}
	return out, nil
}

// asyncKind reports whether a tag says that nobody waits for the span: it takes
// up a message that somebody left.
func asyncKind(key, value string) bool {
	return key == "span.kind" && strings.EqualFold(value, "consumer")
}

// tempo is Tempo's API: search, and a trace as OTLP.
type tempo struct{ b *backend.Client }

func (t tempo) services(ctx context.Context) ([]string, error) {
	var got struct {
		Values []string `json:"tagValues"`
	}
	if err := t.b.JSON(ctx, http.MethodGet, "api/search/tag/service.name/values", nil, nil, &got); err != nil {
		return nil, err
	}
	return got.Values, nil
}

// together is how many traces are fetched at a time.
const together = 8

func (t tempo) traces(ctx context.Context, service string, w observability.Window, limit int) ([]span, error) {
	var found struct {
		Traces *[]struct {
			TraceID string `json:"traceID"`
		} `json:"traces"`
		Metrics json.RawMessage `json:"metrics"`
	}
	q := url.Values{
		"q":     {`{ resource.service.name = ` + strconv.Quote(service) + ` }`},
		"start": {strconv.FormatInt(w.From.Unix(), 10)}, "end": {strconv.FormatInt(w.To.Unix()+1, 10)}, "limit": {strconv.Itoa(limit)},
	}
	if err := t.b.JSON(ctx, http.MethodGet, "api/search", q, nil, &found); err != nil {
		return nil, err
	}
	if found.Traces == nil {
		if found.Metrics == nil {
			return nil, t.b.Garbage(errors.New("no traces, and not none either"))
		}
		return nil, nil
	}
	ids := *found.Traces
	parts, errs := make([][]span, len(ids)), make([]error, len(ids))
	var wg sync.WaitGroup
	slots := make(chan struct{}, together)
	for i, id := range ids[:min(limit, len(ids))] {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			parts[i], errs[i] = t.trace(ctx, id.TraceID)
		})
	}
	wg.Wait()
	missing, first := 0, error(nil)
	for _, err := range errs {
		if err != nil && fault.KindOf(err) != fault.NotFound { // one that was dropped meanwhile
			if missing++; first == nil {
				first = err
			}
		}
	}
	switch out := slices.Concat(parts...); {
	case missing > 0 && len(out) > 0:
		return out, &backend.Partial{Name: t.b.Name(), Missing: []string{fmt.Sprintf("%d of %d traces", missing, len(ids))}}
	case missing > 0:
		return nil, first
	default:
		return out, nil
	}
}

func (t tempo) trace(ctx context.Context, id string) ([]span, error) {
	if !hexadecimal(id) {
		return nil, t.b.Garbage(fmt.Errorf("a trace is called %q", clip(id)))
	}
	var got otlp
	if err := t.b.JSON(ctx, http.MethodGet, "api/traces/"+id, nil, nil, &got); err != nil {
		return nil, err
	}
	return got.spans()
}

func hexadecimal(s string) bool {
	return s != "" && len(s) <= 32 && !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
}
