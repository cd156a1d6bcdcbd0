package skill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/traces"
)

// TraceStore has the traces of requests; *traces.Client is one.
type TraceStore interface {
	Services(ctx context.Context) ([]string, error)
	Traces(ctx context.Context, service string, w observability.Window, limit int) ([]observability.Span, error)
}

// UseTraces tells the crew where traces are. Without it there are none.
func (c *Crew) UseTraces(t TraceStore, now func() time.Time) *Crew {
	c.outside.traces, c.outside.now = t, now
	return c
}

const (
	tracesWindow = 15 * time.Minute // what is looked at where nothing is said
	tracesLimit  = 100
	spokenShares = 3
)

// whatPath is the value of the slot "what" of metrics by which where the time
// goes is asked about.
const whatPath = "path"

// orTimeSpent answers where the time goes, and leaves other numbers to measured.
func (c *Crew) orTimeSpent(measured dialogue.HandlerFunc) dialogue.HandlerFunc {
	return func(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
		switch {
		case t.Intent.Slots.String("what") == whatPath:
			r, err := c.timeSpent(ctx, t)
			if err != nil {
				return answered(err)
			}
			return r, nil
		case measured == nil:
			return t.NotYet()
		}
		return measured(ctx, t)
	}
}

// timeSpent says which services the time of a workload's requests goes to.
func (c *Crew) timeSpent(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if c.outside.traces == nil {
		return dialogue.Reply{}, fault.New(fault.Usage, "I have no traces. Set observability.jaeger.url or observability.tempo.url.")
	}
	ws, err := c.workloads(ctx, t)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if len(ws) != 1 {
		return dialogue.Reply{}, fault.New(fault.NotUnderstood, "I can tell that of one at a time. Say one name.")
	}
	focus(t, ws)
	in, now := t.Intent.Slots, c.outside.now()
	w := window{from: now.Add(-tracesWindow), words: "in the last 15 minutes"}
	if since, until := in.String("since"), in.String("until"); since != "" && since != "last_deploy" || until != "" {
		if w, err = asked(since, until, t.Request.Text, now); err != nil {
			return dialogue.Reply{}, err
		}
	}
	if w.to.IsZero() {
		w.to = now
	}
	service, err := c.tracedAs(ctx, ws[0].Ref.Name, ws[0].Ref.Namespace)
	if err != nil {
		return dialogue.Reply{}, err
	}
	spans, err := c.outside.traces.Traces(ctx, service, observability.Window{From: w.from, To: w.to}, tracesLimit)
	var partial *backend.Partial
	missing := ""
	switch {
	case errors.As(err, &partial) && len(spans) > 0:
		missing = fault.Say(err)
	case err != nil:
		return dialogue.Reply{}, err
	}
	spans = traces.Of(spans, service)
	return c.tellShares(t, service, ws[0].Ref.Name, w, spans, missing)
}

// tracedAs is what the trace store calls a workload.
func (c *Crew) tracedAs(ctx context.Context, name, namespace string) (string, error) {
	all, err := c.outside.traces.Services(ctx)
	if err != nil {
		return "", err
	}
	for _, want := range []string{name, name + "." + namespace, namespace + "-" + name, namespace + "/" + name, name + "-" + namespace, name + "-service", name + "service", strings.TrimSuffix(name, "-service")} {
		if i := slices.IndexFunc(all, func(s string) bool { return strings.EqualFold(s, want) }); i >= 0 {
			return all[i], nil
		}
	}
	return "", fault.New(fault.NotFound, "No trace is of %s: it sends none, or under another name.", name)
}

func (c *Crew) tellShares(t *dialogue.Turn, service, name string, w window, spans []observability.Span, missing string) (dialogue.Reply, error) {
	shares := traces.CriticalPath(spans)
	var whole time.Duration
	for _, s := range shares {
		whole += s.Self
	}
	some := []dialogue.Data{}
	for _, s := range shares {
		if percent := int(math.Round(100 * s.Ratio)); percent > 0 && len(some) < spokenShares {
			some = append(some, dialogue.Data{"Service": s.Service, "Own": s.Service == service, "Percent": percent, "Name": s.Name})
		}
	}
	roots := map[string]bool{}
	for _, s := range spans {
		roots[s.Trace] = true
	}
	r, err := t.Reply("traces.path", dialogue.Data{
		"Name": name, "Count": len(roots), "Window": w.words, "Shares": some, "Spoken": speakable(whole, false), "Mean": speakable(whole, true), "Missing": missing,
	})
	if err != nil || len(shares) == 0 {
		return r, err
	}
	b := dialogue.Block{Type: "table", Title: "time by service", Columns: []string{"SERVICE", "SHARE", "TIME", "MOSTLY IN", "FAILED"}}
	for _, s := range shares {
		b.Rows = append(b.Rows, []string{s.Service, fmt.Sprintf("%.0f%%", 100*s.Ratio), speakable(s.Self, true), s.Name, fmt.Sprintf("%.1f%%", 100*s.Failed)})
	}
	r.Blocks = append(r.Blocks, b)
	if calls := traces.Calls(spans); len(calls) > 0 {
		b := dialogue.Block{Type: "table", Title: "calls", Columns: []string{"FROM", "TO", "CALLS", "MEDIAN", "P95", "FAILED"}}
		for _, c := range calls[:min(shownAlerts, len(calls))] {
			b.Rows = append(b.Rows, []string{c.From, c.To, fmt.Sprint(c.Count), speakable(c.Median, true), speakable(c.P95, true), fmt.Sprintf("%.1f%%", 100*c.Failed)})
		}
		r.Blocks = append(r.Blocks, b)
	}
	return r, nil
}

// speakable is a short time as it is said, or written.
func speakable(d time.Duration, written bool) string {
	unit, n := "milliseconds", float64(d)/float64(time.Millisecond)
	if n >= 1000 {
		unit, n = "seconds", n/1000
	}
	digits := 0
	if n < 10 {
		digits = 1
	}
	text := strings.TrimSuffix(fmt.Sprintf("%.*f", digits, n), ".0")
	if written {
		return text + " " + map[string]string{"milliseconds": "ms", "seconds": "s"}[unit]
	}
	if text == "1" {
		unit = strings.TrimSuffix(unit, "s")
	}
	return text + " " + unit
}
