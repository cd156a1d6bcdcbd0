// Package prometheus asks a Prometheus, or what speaks its API, how workloads
// are doing. What its metrics are called is asked, not assumed: a table of
// families says what there may be, and Prometheus which of it there is.
package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
)

// Client asks one Prometheus. It is safe for concurrent use.
type Client struct {
	back     *backend.Client
	api      v1.API
	families []Family
	opt      Options

	mu   sync.Mutex
	seen map[string]seen
	// asking are the questions that somebody asks just now; closed when answered.
	asking map[string]chan struct{}
}

// Options are what is not about the way there.
type Options struct {
	// ClusterLabel is the label that tells clusters apart, where one Prometheus
	// has several; "" is that it has the home cluster only.
	ClusterLabel string
	Home         string // what the home cluster is called; "" in a Target is it too
	// Link is where people open Prometheus, where that is not where it is asked.
	Link string
}

// seen is what Prometheus said there is, for a while.
type seen struct {
	names []string
	at    time.Time // when it said so
	until time.Time
}

const (
	keepSeen = 5 * time.Minute // how long what was found is taken to be there
	// keepUnseen is how long what was not found is taken not to be there: a new
	// version is measured within seconds of its first pod.
	keepUnseen = 5 * time.Second
	mostSeen   = 4096
	// mostTries is how many families are measured by until one gives numbers.
	mostTries = 4
)

// New returns a client that measures by the extra families first, then by the
// built-in ones. Families that make no sense are left out: Expand tells.
func New(b *backend.Client, extra []Family) *Client { return NewWith(b, extra, Options{}) }

// NewWith is New with options.
func NewWith(b *backend.Client, extra []Family, o Options) *Client {
	mine, err := Expand(extra)
	if err != nil {
		mine = nil // the configuration refuses them before
	}
	theirs, err := Expand(builtin())
	if err != nil {
		theirs = nil // a test holds that they expand
	}
	a, err := api.NewClient(api.Config{Address: b.Base().String(), Client: b.HTTP()})
	if err != nil {
		a = nil // only for an address that backend.New refused
	}
	return &Client{back: b, api: v1.NewAPI(a), families: append(mine, theirs...), opt: o, seen: map[string]seen{}}
}

// Question is what is to be measured, and of what.
type Question struct {
	// Target is a workload. Without a name it is a whole namespace, without a
	// namespace too the whole cluster; of Kind "Node" it is a node, or all.
	Target     observability.Target
	Metric     observability.Metric
	Percentile float64 // of a latency, 99 by default
	Window     observability.Window
	// Seen is when there have to be series for a family to count; the zero one is
	// Window. Who asks for several windows of one workload says here once which of
	// them counts, and it is found out once.
	Seen observability.Window
	Step time.Duration // between points; 0 is one that suits the window
	// Rate is the time that each point is about, at its end; 0 is several scrapes,
	// so that points overlap. Who counts samples wants it to be Step.
	Rate time.Duration
	// By tells lines apart: "" is one line, else "pod", "version", "container",
	// "peer", "node", "namespace", "route" or "code".
	By string
}

// Answer is what was measured.
type Answer struct {
	Series []observability.Series
	Unit   observability.Unit
	Family string // by which it was measured
	Query  string // the PromQL
	Link   string // where it can be looked at
	// Percentile is what was measured of a latency, 0 for a mean.
	Percentile float64
	Warnings   []string
}

// Measure asks how a metric of a target went. Where no family of the metric is
// there, or none has numbers, the error is of Kind NotFound and names them.
func (c *Client) Measure(ctx context.Context, q Question) (Answer, error) {
	if q.Step <= 0 {
		q.Step = step(q.Window.Length())
	}
	q.Percentile = percentile(q.Percentile)
	seen := q.Window
	if !q.Seen.To.IsZero() {
		seen = q.Seen
	}
	found, looked, warnings, err := c.find(ctx, q.Target, q.Metric, of(q.Target, q.By), []string{q.By}, seen)
	if err != nil {
		return Answer{}, err
	}
	for _, f := range found[:min(len(found), mostTries)] {
		query := f.query(q.Percentile, cmp.Or(q.Rate, rateWindow(q.Window.Length(), q.Step)), q.Window.Length())
		series, warned, err := c.queryRange(ctx, query, q.Window, q.Step)
		if err != nil {
			return Answer{}, err
		}
		warnings = append(warnings, warned...)
		if len(series) == 0 {
			continue
		}
		for i := range series {
			s := &series[i]
			s.Unit = f.Unit
			scale(s.Points, f.Scale)
			s.Name, s.Labels = q.Target.Name, nil
			if q.By != "" {
				v := s.label(f.by[0])
				s.Name, s.Labels = v, map[string]string{q.By: v}
			}
			if s.Name == "" {
				s.Name = string(q.Metric)
			}
		}
		return c.answer(f, query, q.Window, q.Percentile, plain(series), warnings), nil
	}
	return Answer{Warnings: warnings}, c.nothing(q.Target, q.Metric, looked)
}

// Range evaluates an expression over a window. Points that are no numbers are
// left out. Labels are those of the result; the name is made of their values.
func (c *Client) Range(ctx context.Context, expr string, w observability.Window, stepping time.Duration) ([]observability.Series, error) {
	if stepping <= 0 {
		stepping = step(w.Length())
	}
	s, _, err := c.queryRange(ctx, expr, w, stepping)
	return plain(s), err
}

// Instant evaluates an expression at a moment: a point for each series.
func (c *Client) Instant(ctx context.Context, expr string, at time.Time) ([]observability.Series, error) {
	s, _, err := c.query(ctx, expr, at)
	return plain(s), err
}

// Version is what runs there, for doctor.
func (c *Client) Version(ctx context.Context) (string, error) {
	b, err := c.api.Buildinfo(ctx)
	if err != nil {
		return "", c.fault(err)
	}
	return b.Version, nil
}

// line is a series with the labels of its result.
type line struct {
	observability.Series
	metric model.Metric
}

func (l line) label(name string) string { return string(l.metric[model.LabelName(name)]) }

func plain(in []line) []observability.Series {
	out := make([]observability.Series, len(in))
	for i, l := range in {
		out[i] = l.Series
	}
	return out
}

func newLine(m model.Metric, points []observability.Point) line {
	labels := make(map[string]string, len(m))
	var names []string
	for k, v := range m {
		labels[string(k)] = string(v)
		names = append(names, string(v))
	}
	slices.Sort(names)
	return line{observability.Series{Name: strings.Join(names, " "), Labels: labels, Unit: observability.Count, Points: points}, m}
}

// number reports whether a value can be shown; a gap is shown by its absence.
func number(v model.SampleValue) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }

func (c *Client) queryRange(ctx context.Context, expr string, w observability.Window, step time.Duration) ([]line, []string, error) {
	v, warnings, _, err := c.api.QueryRange(ctx, expr, v1.Range{Start: w.From, End: w.To, Step: step})
	if err != nil {
		return nil, warnings, c.fault(err)
	}
	m, ok := v.(model.Matrix)
	if !ok {
		return nil, warnings, c.back.Garbage(fmt.Errorf("a range query gave %T", v))
	}
	var out []line
	for _, s := range m {
		points := make([]observability.Point, 0, len(s.Values))
		for _, p := range s.Values {
			if number(p.Value) {
				points = append(points, observability.Point{At: p.Timestamp.Time(), Value: float64(p.Value)})
			}
		}
		if len(points) > 0 {
			out = append(out, newLine(s.Metric, points))
		}
	}
	return out, warnings, nil
}

func (c *Client) query(ctx context.Context, expr string, at time.Time) ([]line, []string, error) {
	v, warnings, _, err := c.api.Query(ctx, expr, at)
	if err != nil {
		return nil, warnings, c.fault(err)
	}
	var out []line
	switch v := v.(type) {
	case model.Vector:
		for _, s := range v {
			if number(s.Value) && s.Histogram == nil {
				out = append(out, newLine(s.Metric, []observability.Point{{At: s.Timestamp.Time(), Value: float64(s.Value)}}))
			}
		}
	case *model.Scalar:
		if number(v.Value) {
			out = append(out, newLine(nil, []observability.Point{{At: v.Timestamp.Time(), Value: float64(v.Value)}}))
		}
	default:
		return nil, warnings, c.back.Garbage(fmt.Errorf("a query gave %T", v))
	}
	return out, warnings, nil
}

// fault says what went wrong.
func (c *Client) fault(err error) error {
	var e *v1.Error
	if !errors.As(err, &e) {
		return c.back.Fault(err)
	}
	switch e.Type {
	case v1.ErrTimeout, v1.ErrCanceled:
		return c.back.Fault(errors.Join(context.DeadlineExceeded, err))
	case v1.ErrBadData:
		return fault.Wrap(err, fault.Failed, "%s does not understand my query. If it is about a family of your own, check %s.families.", c.back.Name(), c.back.Key())
	case v1.ErrExec:
		return fault.Wrap(err, fault.Failed, "%s cannot work that out; perhaps it is too much at once. Ask about less, or about a shorter time.", c.back.Name())
	case v1.ErrServer, v1.ErrClient:
		var status int
		if _, scan := fmt.Sscanf(e.Msg[strings.LastIndex(e.Msg, " ")+1:], "%d", &status); scan == nil {
			return c.back.Status(status, e.Detail)
		}
	}
	return c.back.Garbage(err)
}

func (c *Client) answer(f measure, query string, w observability.Window, percentile float64, series []observability.Series, warnings []string) Answer {
	a := Answer{Series: series, Unit: f.Unit, Family: f.Name, Query: query, Link: c.link(query, w)}
	if f.Metric == observability.Latency && !f.Mean {
		a.Percentile = percentile
	}
	for _, w := range warnings {
		if !slices.Contains(a.Warnings, w) {
			a.Warnings = append(a.Warnings, w)
		}
	}
	return a
}

// link opens a query in Prometheus' own page.
func (c *Client) link(query string, w observability.Window) string {
	base := strings.TrimSuffix(c.opt.Link, "/")
	if base == "" {
		base = c.back.Base().String()
	}
	v := url.Values{}
	v.Set("g0.expr", query)
	v.Set("g0.tab", "0")
	v.Set("g0.range_input", w.Length().Round(time.Second).String())
	v.Set("g0.end_input", w.To.UTC().Format("2006-01-02 15:04:05"))
	return base + "/graph?" + v.Encode()
}

// nothing is the fault where no family gave a number.
func (c *Client) nothing(t observability.Target, m observability.Metric, looked []string) error {
	if len(looked) > 6 {
		looked = append(slices.Clone(looked[:6]), fmt.Sprintf("%d more", len(looked)-6))
	}
	what := t.Name
	switch {
	case what == "" && t.Kind == "Node":
		what = "the nodes"
	case what == "" && t.Namespace != "":
		what = "the namespace " + t.Namespace
	case what == "":
		what = "the cluster"
	}
	name := strings.ReplaceAll(string(m), "_", " ")
	if len(looked) == 0 {
		return fault.New(fault.NotFound, "I know no way to measure the %s of %s. Describe one under %s.families.", name, what, c.back.Key())
	}
	return fault.New(fault.NotFound, "%s has nothing about the %s of %s. I looked for %s. If it has another name there, describe it under %s.families.",
		c.back.Name(), name, what, strings.Join(looked, ", "), c.back.Key())
}

func of(t observability.Target, by string) string {
	switch {
	case t.Kind == "Node":
		return "node"
	case by == "peer":
		return "peer"
	}
	return ""
}

func percentile(p float64) float64 {
	if p <= 0 || p > 100 {
		return 99
	}
	return p
}

// step is how far apart points are that make a good chart of a window.
func step(length time.Duration) time.Duration {
	for _, s := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour} {
		if length/s <= 240 {
			return s
		}
	}
	return 24 * time.Hour
}

// rateWindow is the span of a rate: several scrapes, and never less than a step,
// so that nothing falls between two points.
func rateWindow(length, step time.Duration) time.Duration {
	if length <= 30*time.Minute {
		return max(2*time.Minute, step)
	}
	return max(5*time.Minute, step)
}

func scale(points []observability.Point, by float64) {
	if by == 1 {
		return
	}
	for i := range points {
		points[i].Value *= by
	}
}
