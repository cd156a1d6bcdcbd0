// Package loki asks Loki: queries, labels, series, volumes, patterns, what it
// tails. A thin client of our own: Grafana's logcli client knows no
// context.Context, cannot ask for patterns, registers 34 metrics globally, is
// AGPL and brings 389 modules. sandbox/parity holds this one against it.
package loki

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// Options are how a Client behaves.
type Options struct {
	Masker logs.Masker
	Tenant string // X-Scope-OrgID, "" where there is but one
	// ClusterLabel is the label that tells clusters apart; "" where this Loki has
	// the home cluster only. Home is what that is called.
	ClusterLabel, Home string
	// Page is how many lines are asked for at once; 0 is 5,000, Loki's own limit.
	// A server that allows less is asked for what it allows.
	Page int
	// Lines is how many lines one question reads at most, the newest; 0 is 50,000.
	Lines int
	Now   func() time.Time // nil is time.Now
}

// Client asks one Loki.
type Client struct {
	back *backend.Client
	opt  Options
	page atomic.Int64

	asking singleflight.Group // for what is discovered

	mu     sync.Mutex
	labels cached[[]string]
	found  map[string]cached[selector] // by target
}

type cached[T any] struct {
	until time.Time
	value T
}

// New returns a client.
func New(b *backend.Client, o Options) *Client {
	if o.Page <= 0 {
		o.Page = 5000
	}
	if o.Lines <= 0 {
		o.Lines = 50_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Client{back: b, opt: o, found: map[string]cached[selector]{}}
	c.page.Store(int64(o.Page))
	return c
}

// Entry is a line as Loki keeps it.
type Entry struct {
	At   time.Time
	Line string
}

// UnmarshalJSON reads ["nanoseconds", "line"].
func (e *Entry) UnmarshalJSON(b []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	if len(raw) < 2 {
		return errors.New("loki: an entry without time or line")
	}
	var at string
	if err := json.Unmarshal(raw[0], &at); err != nil {
		return err
	}
	ns, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("loki: the time of an entry: %w", err)
	}
	e.At = time.Unix(0, ns).UTC()
	return json.Unmarshal(raw[1], &e.Line)
}

// Stream is entries with the same labels.
type Stream struct {
	Labels  map[string]string `json:"stream"`
	Entries []Entry           `json:"values"`
}

// Result is what a query gives: Streams for one of lines, Series for one of numbers.
type Result struct {
	Streams []Stream
	Series  []observability.Series
}

// sample is one value as Prometheus and Loki write it: [seconds, "value"].
type sample struct{ observability.Point }

// UnmarshalJSON reads [seconds, "value"].
func (s *sample) UnmarshalJSON(b []byte) error {
	var raw [2]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	var at float64
	var text string
	if err := errors.Join(json.Unmarshal(raw[0], &at), json.Unmarshal(raw[1], &text)); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("loki: a value: %w", err)
	}
	s.At, s.Value = time.UnixMilli(int64(at*1000+0.5)).UTC(), v
	return nil
}

// UnmarshalJSON reads the "data" of an answer, of whatever type it is.
func (r *Result) UnmarshalJSON(b []byte) error {
	var d struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	switch d.Type {
	case "streams":
		return json.Unmarshal(d.Result, &r.Streams)
	case "matrix", "vector":
		var all []struct {
			Metric map[string]string `json:"metric"`
			Values []sample          `json:"values"`
			Value  *sample           `json:"value"`
		}
		if err := json.Unmarshal(d.Result, &all); err != nil {
			return err
		}
		for _, m := range all {
			s := observability.Series{Labels: m.Metric, Unit: observability.Count}
			if m.Value != nil {
				m.Values = append(m.Values, *m.Value)
			}
			for _, v := range m.Values {
				s.Points = append(s.Points, v.Point)
			}
			r.Series = append(r.Series, s)
		}
		return nil
	}
	return fmt.Errorf("loki: an answer of the unknown type %q", d.Type)
}

// ask sends a GET and reads the answer; in is whether it stands within "data".
func ask[T any](ctx context.Context, c *Client, path string, q url.Values) (T, error) {
	var out struct {
		Status string `json:"status"`
		Data   T      `json:"data"`
	}
	err := c.get(ctx, path, q, &out)
	return out.Data, err
}

func (c *Client) get(ctx context.Context, path string, q url.Values, out any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.back.URL(path, q).String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	if c.opt.Tenant != "" {
		r.Header.Set("X-Scope-OrgID", c.opt.Tenant)
	}
	resp, err := c.back.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.back.Fault(json.NewDecoder(resp.Body).Decode(out))
}

func ns(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// span puts a window into a query. A zero end is now, a zero beginning an hour before.
func (c *Client) span(q url.Values, w observability.Window) url.Values {
	if w.To.IsZero() {
		w.To = c.opt.Now()
	}
	if w.From.IsZero() {
		w.From = w.To.Add(-time.Hour)
	}
	q.Set("start", ns(w.From))
	q.Set("end", ns(w.To))
	return q
}

// Range asks a query over a window. limit is of lines; forward begins with the
// oldest; step is of numbers, 0 for Loki's own.
func (c *Client) Range(ctx context.Context, query string, w observability.Window, limit int, forward bool, step time.Duration) (Result, error) {
	q := c.span(url.Values{"query": {query}, "limit": {strconv.Itoa(limit)}, "direction": {"backward"}}, w)
	if forward {
		q.Set("direction", "forward")
	}
	if step > 0 {
		q.Set("step", strconv.FormatFloat(step.Seconds(), 'f', -1, 64))
	}
	return ask[Result](ctx, c, "/loki/api/v1/query_range", q)
}

// Query asks a query at a moment.
func (c *Client) Query(ctx context.Context, query string, at time.Time, limit int) (Result, error) {
	return ask[Result](ctx, c, "/loki/api/v1/query", url.Values{"query": {query}, "time": {ns(at)}, "limit": {strconv.Itoa(limit)}})
}

// Labels are the names of labels that there were in a window.
func (c *Client) Labels(ctx context.Context, w observability.Window) ([]string, error) {
	return ask[[]string](ctx, c, "/loki/api/v1/labels", c.span(url.Values{}, w))
}

// Values are those of a label, of the streams that a selector chooses, "" for all.
func (c *Client) Values(ctx context.Context, label, selector string, w observability.Window) ([]string, error) {
	q := c.span(url.Values{}, w)
	if selector != "" {
		q.Set("query", selector)
	}
	return ask[[]string](ctx, c, "/loki/api/v1/label/"+url.PathEscape(label)+"/values", q)
}

// Series are the labels of the streams that any of some selectors choose.
func (c *Client) Series(ctx context.Context, selectors []string, w observability.Window) ([]map[string]string, error) {
	return ask[[]map[string]string](ctx, c, "/loki/api/v1/series", c.span(url.Values{"match[]": selectors}, w))
}

// Stats is how much a selector chooses, as the index knows it; what came in the
// last minutes may not be in it.
type Stats struct {
	Streams uint64 `json:"streams"`
	Chunks  uint64 `json:"chunks"`
	Bytes   uint64 `json:"bytes"`
	Entries uint64 `json:"entries"`
}

// Stats is how much a selector chooses.
func (c *Client) Stats(ctx context.Context, selector string, w observability.Window) (Stats, error) {
	var s Stats
	err := c.get(ctx, "/loki/api/v1/index/stats", c.span(url.Values{"query": {selector}}, w), &s)
	return s, err
}

// Volume is the bytes of a selector's streams, by labels where some are named.
func (c *Client) Volume(ctx context.Context, selector string, w observability.Window, limit int, by ...string) ([]observability.Series, error) {
	q := c.span(url.Values{"query": {selector}, "limit": {strconv.Itoa(limit)}}, w)
	if len(by) > 0 {
		q.Set("targetLabels", strings.Join(by, ","))
	}
	r, err := ask[Result](ctx, c, "/loki/api/v1/index/volume", q)
	for i := range r.Series {
		r.Series[i].Unit = observability.Bytes
	}
	return r.Series, err
}

// Pattern is one that Loki itself found, with how often it came when.
type Pattern struct {
	Pattern string
	Level   string
	Points  []observability.Point
}

// Patterns are those of a selector's streams, where the server finds any.
func (c *Client) Patterns(ctx context.Context, selector string, w observability.Window, step time.Duration) ([]Pattern, error) {
	q := c.span(url.Values{"query": {selector}}, w)
	if step > 0 {
		q.Set("step", step.String())
	}
	raw, err := ask[[]struct {
		Pattern string       `json:"pattern"`
		Level   string       `json:"level"`
		Samples [][2]float64 `json:"samples"`
	}](ctx, c, "/loki/api/v1/patterns", q)
	out := make([]Pattern, 0, len(raw))
	for _, p := range raw {
		x := Pattern{Pattern: p.Pattern, Level: p.Level}
		for _, s := range p.Samples {
			x.Points = append(x.Points, observability.Point{At: time.Unix(int64(s[0]), 0).UTC(), Value: s[1]})
		}
		out = append(out, x)
	}
	return out, err
}

// DetectedField is a field that Loki found in lines.
type DetectedField struct {
	Label       string   `json:"label"`
	Type        string   `json:"type"`
	Cardinality uint64   `json:"cardinality"`
	Parsers     []string `json:"parsers"`
}

// DetectedFields are the fields of the lines that a query gives, by a sample of them.
func (c *Client) DetectedFields(ctx context.Context, query string, w observability.Window, limit int) ([]DetectedField, error) {
	var out struct {
		Fields []DetectedField `json:"fields"`
	}
	err := c.get(ctx, "/loki/api/v1/detected_fields", c.span(url.Values{"query": {query}, "limit": {strconv.Itoa(limit)}}, w), &out)
	return out.Fields, err
}

// Check reports whether Loki is ready to be asked.
func (c *Client) Check(ctx context.Context) error { return c.back.Check(ctx, "/ready") }

// limited reads from a refusal how many lines the server allows at once.
func limited(err error) (int, bool) {
	if err == nil || fault.KindOf(err) != fault.Failed {
		return 0, false
	}
	_, rest, ok := strings.Cut(err.Error(), "max entries limit per query exceeded, limit > max_entries_limit")
	if !ok {
		return 0, false
	}
	if _, rest, ok = strings.Cut(rest, "> "); !ok {
		return 0, false
	}
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0
}
