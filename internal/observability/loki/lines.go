package loki

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// lookback is how far the last lines are looked for, where no window says it.
const lookback = 24 * time.Hour

// Lines gives the lines that a query asks for, oldest first. Of more than it
// reads at most it gives the newest, and says so at the end. It is logs.Source.
func (c *Client) Lines(ctx context.Context, q logs.Query) iter.Seq2[observability.LogLine, error] {
	return func(yield func(observability.LogLine, error) bool) {
		if q.Window.To.IsZero() {
			q.Window.To = c.opt.Now()
		}
		if q.Window.From.IsZero() {
			q.Window.From = q.Window.To.Add(-lookback)
		}
		s, err := c.selectorOf(ctx, q.Target, q.Window)
		if err == nil && s.text == "" {
			err = errNothing(q.Target.Name)
		}
		if err != nil {
			yield(observability.LogLine{}, err)
			return
		}
		lines, cut, err := c.pages(ctx, s, q)
		if len(lines) == 0 && err != nil {
			yield(observability.LogLine{}, err)
			return
		}
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
		switch {
		case q.Follow:
			c.follow(ctx, s, q, yield)
		case errors.Is(err, context.DeadlineExceeded), err != nil && ctx.Err() != nil:
			yield(observability.LogLine{}, fault.Wrap(err, fault.Unavailable, "Loki has more than I could read in time; the oldest lines are missing."))
		case err != nil:
			yield(observability.LogLine{}, err)
		case cut:
			yield(observability.LogLine{}, fault.New(fault.Unavailable, "Loki has more lines than I read at once; the oldest are missing. Ask for a shorter time."))
		}
	}
}

// raw is an entry with the stream that it is of.
type raw struct {
	Entry
	labels map[string]string
	stream string // the same for the same labels
}

// flatten puts the entries of streams together, the newest first.
func flatten(streams []Stream) []raw {
	var out []raw
	for _, s := range streams {
		var id strings.Builder
		for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
			if k == levelLabel {
				continue // the lines of one stack trace have several
			}
			id.WriteString(k + "\x00" + s.Labels[k] + "\x00")
		}
		for _, e := range s.Entries {
			out = append(out, raw{e, s.Labels, id.String()})
		}
	}
	slices.SortStableFunc(out, func(a, b raw) int { return b.At.Compare(a.At) })
	return out
}

// at counts the entries of one moment.
func at(all []raw, moment time.Time) map[string]int {
	out := map[string]int{}
	for _, e := range all {
		if e.At.Equal(moment) {
			out[e.stream+e.Line]++
		}
	}
	return out
}

// pages reads from the newest to the oldest, and gives the lines in the order of
// time. cut is whether there are more. What was read before an error is given too.
func (c *Client) pages(ctx context.Context, s selector, q logs.Query) (lines []observability.LogLine, cut bool, err error) {
	var all []raw
	var edge time.Time // the oldest moment so far, of which there may be more
	w, query := q.Window, s.logql(q)
	for !w.From.After(w.To) {
		limit := int(c.page.Load())
		end := w.To.Add(1) // Loki leaves its end out
		r, e := c.Range(ctx, query, observability.Window{From: w.From, To: end}, limit, false, 0)
		if n, ok := limited(e); ok && n < limit {
			c.page.Store(int64(n))
			continue
		}
		if e != nil {
			err = e
			break
		}
		page := flatten(r.Streams)
		had := at(all, edge)
		for _, e := range page {
			if k := e.stream + e.Line; e.At.Equal(edge) && had[k] > 0 {
				had[k]--
				continue
			}
			all = append(all, e)
		}
		if len(page) < limit {
			break
		}
		oldest := page[len(page)-1].At
		if w.To = oldest; oldest.Equal(edge) { // a whole page of one moment: what else it has cannot be reached
			w.To, cut = oldest.Add(-1), true
		}
		edge = oldest
		if len(all) >= c.opt.Lines {
			cut = true
			break
		}
		if q.Tail > 0 && len(all) >= q.Tail {
			if lines = c.joined(s, q, all); len(lines) >= q.Tail {
				return lines[len(lines)-q.Tail:], false, nil
			}
		}
	}
	lines = c.joined(s, q, all)
	if q.Tail > 0 {
		lines = lines[max(0, len(lines)-q.Tail):]
	}
	return lines, cut, err
}

// joined makes entries of lines: what belongs together within a stream, in the
// order of time over all, as far as the query asks for it.
func (c *Client) joined(s selector, q logs.Query, all []raw) []observability.LogLine {
	joiners := map[string]*logs.Joiner{}
	labels := map[string]map[string]string{}
	var out []observability.LogLine
	keep := func(stream string, l observability.LogLine, ok bool) {
		if ok && q.Keeps(l) {
			out = append(out, s.place(l, q, labels[stream]))
		}
	}
	for _, e := range slices.Backward(all) {
		j := joiners[e.stream]
		if j == nil {
			j = &logs.Joiner{Parser: logs.Parser{Masker: c.opt.Masker}}
			joiners[e.stream], labels[e.stream] = j, e.labels
		}
		add(j, e.Entry, func(l observability.LogLine, ok bool) { keep(e.stream, l, ok) })
	}
	for _, stream := range slices.Sorted(maps.Keys(joiners)) {
		l, ok := joiners[stream].Flush()
		keep(stream, l, ok)
	}
	slices.SortStableFunc(out, func(a, b observability.LogLine) int { return a.At.Compare(b.At) })
	return out
}

// add gives an entry to a joiner: an agent may have joined lines already.
func add(j *logs.Joiner, e Entry, each func(observability.LogLine, bool)) {
	for line := range strings.SplitSeq(strings.TrimRight(e.Line, "\n"), "\n") {
		each(j.Add(e.At, line))
	}
}

// place says of which pod and container a line is.
func (s selector) place(l observability.LogLine, q logs.Query, labels map[string]string) observability.LogLine {
	l.Namespace, l.Pod, l.Container = q.Target.Namespace, labels[s.pod], labels[s.container]
	return l
}

// follow goes on with what is written from now on, until the context ends. The
// connection may break; what was read is not read again.
func (c *Client) follow(ctx context.Context, s selector, q logs.Query, yield func(observability.LogLine, error) bool) {
	joiners := map[string]*logs.Joiner{}
	since, stop := q.Window.To.Add(1), false
	for !stop && ctx.Err() == nil {
		err := c.Tail(ctx, s.logql(q), since, func(streams []Stream) bool {
			page := flatten(streams)
			for _, e := range slices.Backward(page) {
				j := joiners[e.stream]
				if j == nil {
					j = &logs.Joiner{Parser: logs.Parser{Masker: c.opt.Masker}}
					joiners[e.stream] = j
				}
				if !e.At.Before(since) {
					since = e.At.Add(1)
				}
				give := func(l observability.LogLine, ok bool) {
					open := q
					open.Window = observability.Window{}
					if ok && !stop && open.Keeps(l) {
						stop = !yield(s.place(l, q, e.labels), nil)
					}
				}
				add(j, e.Entry, give)
				if !more(page, e) { // nothing of it follows in what has come: it is complete
					give(j.Flush())
				}
			}
			return !stop
		})
		if err != nil && !stop && ctx.Err() == nil && fault.KindOf(err) != fault.Unavailable {
			yield(observability.LogLine{}, err)
			return
		}
		if !stop {
			pause(ctx, time.Second)
		}
	}
}

// more reports whether a page has a later entry of the same stream.
func more(page []raw, e raw) bool {
	return slices.ContainsFunc(page, func(o raw) bool { return o.stream == e.stream && o.At.After(e.At) })
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
