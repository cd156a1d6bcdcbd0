// Package compare takes the samples that the gate decides by: of a new version and
// of the one before it, from Prometheus, the pods, the logs and the error tracker.
package compare

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/gate"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
	"github.com/firstmate-ops/firstmate/internal/observability/prometheus"
)

// Metrics measures workloads; *prometheus.Client is one.
type Metrics interface {
	Measure(ctx context.Context, q prometheus.Question) (prometheus.Answer, error)
}

// Pods lists pods; *kube.Fleet is one.
type Pods interface {
	Pods(ctx context.Context, q kube.PodQuery) ([]kube.PodState, error)
}

// Issues lists the errors that are new since a time, or a release.
type Issues func(ctx context.Context, t observability.Target, release string, since time.Time) ([]observability.Issue, error)

// Parts is what samples are taken from. Metrics must be there.
type Parts struct {
	Metrics Metrics
	Pods    Pods
	Logs    logs.Source // one that has the lines of pods that are gone; nil for none
	Issues  Issues      // nil for none
}

// Comparer takes samples.
type Comparer struct {
	parts Parts

	mu       sync.Mutex
	restarts map[string]counted // by pod
}

// counted is how often a pod had restarted when it was first looked at.
type counted struct {
	n  int
	at time.Time
}

// New returns a comparer.
func New(p Parts) *Comparer { return &Comparer{parts: p, restarts: map[string]counted{}} }

const (
	// callLimit bounds one round: the next look comes soon.
	callLimit = 10 * time.Second
	// mostLines is how many lines of the log are read of each side.
	mostLines = 5000
	// forgetAfter is when a pod's restarts are not asked for any more.
	forgetAfter = 3 * time.Hour
)

// Measure takes the samples of both sides of a trial. What cannot be had is named.
func (c *Comparer) Measure(ctx context.Context, t action.Trial) gate.Evidence {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	e := gate.Evidence{Old: gate.Side{Version: t.Change.FromVersion}, New: gate.Side{Version: t.Change.ToVersion}}
	missing := func(err error) {
		if err != nil && ctx.Err() != nil {
			err = fault.Wrap(err, fault.Unavailable, "The metrics did not come in time.")
		}
		if s := ""; err != nil {
			if s = fault.Say(err); !slices.Contains(e.Missing, s) {
				e.Missing = append(e.Missing, s)
			}
		}
	}
	err := c.requests(ctx, t, &e)
	if e.Unseen = fault.KindOf(err) == fault.NotFound; !e.Unseen {
		missing(err)
	}
	if t.Back {
		return e // whether it helped is a matter of numbers
	}
	missing(c.restarted(ctx, t, &e))
	if c.parts.Logs != nil {
		var err error
		e.Logs, err = c.patterns(ctx, t)
		missing(err)
	}
	if c.parts.Issues != nil {
		found, err := c.parts.Issues(ctx, target(subject(t)), t.Change.ToVersion, t.Begun)
		missing(err)
		for _, i := range found {
			e.Issues = append(e.Issues, gate.Note{Text: i.Title, Count: i.Events})
		}
	}
	return e
}

// subject is the workload whose pods are new: of a canary, the canary itself.
func subject(t action.Trial) kube.Ref { return t.Change.Ref }

func target(ref kube.Ref) observability.Target {
	return observability.Target{Cluster: ref.Cluster, Namespace: ref.Namespace, Kind: ref.Kind, Name: ref.Name}
}

// windows are when each side is measured.
func windows(t action.Trial) (was, is observability.Window) {
	is = observability.Window{From: t.Complete, To: t.Until}
	look := max(4*t.Bake, 40*t.Interval)
	switch {
	case t.Change.Canary != nil: // what is beside it still runs
		was = observability.Window{From: t.Complete.Add(-t.Bake), To: t.Until}
	case t.Back: // it may have run for a short while only
		was = observability.Window{From: t.Begun.Add(-t.Bake / 2), To: t.Begun}
	default:
		was = observability.Window{From: t.Begun.Add(-look), To: t.Begun}
	}
	return was, is
}

// question is about one side: which lines of the answer count.
type question struct {
	target  observability.Target
	by      string
	version string // of the line that counts, where by tells versions apart
	window  observability.Window
}

// requests measures error ratio and latency of both sides. They are told apart by
// a label of the version where there is one, a canary else by its pods, the rest by
// time.
func (c *Comparer) requests(ctx context.Context, t action.Trial, e *gate.Evidence) error {
	ref := subject(t)
	if t.Change.Canary != nil {
		ref = t.Change.Canary.Of
	}
	before, after := windows(t)
	was := question{target(ref), "version", t.Change.FromVersion, before}
	is := question{target(ref), "version", t.Change.ToVersion, after}
	span, old, err := c.span(ctx, was, t.Interval)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	e.Parted = err == nil && old > 0
	if e.Parted && t.Change.Canary != nil { // the pods of the canary may not be counted with those beside it
		n, err := c.rate(ctx, is, span)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return err
		}
		if len(n) == 0 {
			is = question{target: target(t.Change.Ref), window: after}
		}
	}
	if !e.Parted {
		was.by, is.by = "", ""
		if t.Change.Canary != nil {
			is.target = target(t.Change.Ref)
			e.Parted = true
		}
		if span, _, err = c.span(ctx, was, t.Interval); err != nil {
			return err
		}
	}
	if err := c.side(ctx, was, span, &e.Old); err != nil {
		return err
	}
	if err := c.side(ctx, is, span, &e.New); fault.KindOf(err) != fault.NotFound {
		return err
	}
	return nil // nothing of the new one is there yet
}

// span is how long one sample must be for there to be one in most: back-ends have
// data only so often, and a rate over less than two scrapes is nothing. It comes
// with how many samples there are.
func (c *Comparer) span(ctx context.Context, q question, interval time.Duration) (span time.Duration, n int, err error) {
	const tries = 3
	for span = interval; ; span *= 2 {
		points, err := c.rate(ctx, q, span)
		last := span >= interval<<(tries-1)
		switch {
		case fault.KindOf(err) == fault.NotFound && !last:
		case err != nil:
			return span, 0, err
		case dense(points, span) || last:
			return span, len(points), nil
		}
	}
}

// dense reports whether there is a sample in most spans from the first to the last.
func dense(points []observability.Point, span time.Duration) bool {
	if len(points) < 2 {
		return false
	}
	all := int(points[len(points)-1].At.Sub(points[0].At)/span) + 1
	return 10*len(points) >= 8*all
}

func (c *Comparer) rate(ctx context.Context, q question, span time.Duration) ([]observability.Point, error) {
	return c.points(ctx, q, observability.RequestRate, span)
}

// points are the samples of a metric of one side, which do not overlap: each is of
// the span before it.
func (c *Comparer) points(ctx context.Context, q question, m observability.Metric, span time.Duration) ([]observability.Point, error) {
	w := q.window
	w.From = w.From.Add(span)
	if !w.From.Before(w.To) {
		return nil, nil
	}
	a, err := c.parts.Metrics.Measure(ctx, prometheus.Question{Target: q.target, Metric: m, Percentile: 99, Window: w, Step: span, Rate: span, By: q.by})
	if err != nil {
		return nil, err
	}
	for _, s := range a.Series {
		if q.by == "" || sameVersion(s.Labels[q.by], q.version) {
			return slices.DeleteFunc(slices.Clone(s.Points), func(p observability.Point) bool {
				return math.IsNaN(p.Value) || math.IsInf(p.Value, 0)
			}), nil
		}
	}
	return nil, nil
}

// sameVersion compares versions as labels have them: with a v or without.
func sameVersion(a, b string) bool {
	return a != "" && strings.TrimPrefix(a, "v") == strings.TrimPrefix(b, "v")
}

// side measures one side.
func (c *Comparer) side(ctx context.Context, q question, span time.Duration, s *gate.Side) error {
	rates, err := c.rate(ctx, q, span)
	if err != nil {
		return err
	}
	asked := map[time.Time]bool{}
	for _, p := range rates {
		s.Requests += p.Value * span.Seconds()
		asked[p.At] = p.Value > 0
	}
	s.Requests = math.Round(s.Requests)
	for metric, into := range map[observability.Metric]*[]float64{observability.ErrorRate: &s.Errors, observability.Latency: &s.Latency} {
		points, err := c.points(ctx, q, metric, span)
		if fault.KindOf(err) == fault.NotFound {
			continue // a service that counts requests need not say how they ended
		}
		if err != nil {
			return err
		}
		for _, p := range points {
			if asked[p.At] { // where nobody asks, nothing fails
				*into = append(*into, p.Value)
			}
		}
	}
	return nil
}

// restarted counts how often the new pods restarted since they were first looked
// at: what they did while they came up is the roll-out's affair.
func (c *Comparer) restarted(ctx context.Context, t action.Trial, e *gate.Evidence) error {
	if c.parts.Pods == nil {
		return nil
	}
	ref := subject(t)
	pods, err := c.parts.Pods.Pods(ctx, kube.PodQuery{Cluster: ref.Cluster, Namespace: ref.Namespace, Owner: ref.Name, OwnerKind: ref.Kind})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, n := range c.restarts {
		if time.Since(n.at) > forgetAfter {
			delete(c.restarts, id)
		}
	}
	for _, p := range pods {
		if p.Leaving || p.Created.Before(t.Begun.Add(-time.Second)) {
			continue
		}
		first, ok := c.restarts[p.UID]
		if !ok {
			first = counted{p.Restarts, time.Now()}
			c.restarts[p.UID] = first
		}
		e.New.Restarts += max(0, p.Restarts-first.n)
	}
	return nil
}

// patterns are the errors that are logged since the new version runs and were not
// before.
func (c *Comparer) patterns(ctx context.Context, t action.Trial) ([]gate.Note, error) {
	before, after := windows(t)
	of := subject(t)
	old := of
	if t.Change.Canary != nil {
		old = t.Change.Canary.Of
	}
	was, err := c.lines(ctx, old, before)
	if err != nil {
		return nil, err
	}
	is, err := c.lines(ctx, of, after)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, p := range logs.Patterns(was) {
		known[p.Template] = true
	}
	// Both together, so that what is one pattern is called the same on both sides.
	var out []gate.Note
	first := after.From
	for _, p := range logs.Patterns(append(was, is...)) {
		if !p.First.Before(first) && !known[p.Template] {
			out = append(out, gate.Note{Text: p.Template, Count: p.Count})
		}
	}
	slices.SortStableFunc(out, func(a, b gate.Note) int { return b.Count - a.Count })
	return out[:min(len(out), 3)], nil
}

func (c *Comparer) lines(ctx context.Context, ref kube.Ref, w observability.Window) ([]observability.LogLine, error) {
	var out []observability.LogLine
	for l, err := range c.parts.Logs.Lines(ctx, logs.Query{Target: target(ref), Window: w, Level: observability.LevelError, Tail: mostLines}) {
		if err != nil {
			return out, err
		}
		if out = append(out, l); len(out) >= mostLines {
			break
		}
	}
	return out, nil
}
