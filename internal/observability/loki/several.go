package loki

import (
	"context"
	"slices"
	"sync"

	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

const (
	// mostTogether is how many workloads one question is about.
	mostTogether = 32
	// mostPages is how often one is asked on, for those of which few lines came
	// because others are loud.
	mostPages = 4
)

// Several asks for many workloads together: one question where their streams are
// chosen by the same labels. Who is loud does not drown the others: what is read
// on is read without those that have had their share. It is logs.Several.
func (c *Client) Several(ctx context.Context, targets []observability.Target, q logs.Query) []logs.Share {
	out := make([]logs.Share, len(targets))
	if q.Window.To.IsZero() {
		q.Window.To = c.opt.Now()
	}
	if q.Window.From.IsZero() {
		q.Window.From = q.Window.To.Add(-lookback)
	}
	selectors, err := c.selectorsOf(ctx, targets, q.Window)
	if err != nil {
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	matches := make([][]matcher, len(targets))
	for i, s := range selectors {
		matches[i] = s.match
		if s.text == "" {
			out[i].Err = errNothing(targets[i].Name)
		}
	}
	var wg sync.WaitGroup
	for _, g := range together(matches) {
		for some := range slices.Chunk(g.members, mostTogether) {
			members := make([]*member, len(some))
			for i, n := range some {
				members[i] = &member{selector: selectors[n], target: targets[n], share: &out[n]}
			}
			wg.Go(func() { c.share(ctx, members, q) })
		}
	}
	wg.Wait()
	return out
}

// member is one of several workloads that are asked for together.
type member struct {
	selector
	target observability.Target
	raw    []raw // the newest first
	share  *logs.Share
}

// owns reports whether a stream is the member's.
func (m *member) owns(labels map[string]string) bool {
	return !slices.ContainsFunc(m.match, func(x matcher) bool { return !x.fits(labels) })
}

// share reads the lines of some workloads and gives each its own.
func (c *Client) share(ctx context.Context, members []*member, q logs.Query) {
	limit := min(max(2*q.Tail, 1000), int(c.page.Load()))
	quiet, end := members, q.Window.To.Add(1) // Loki leaves its end out
	for n := 0; len(quiet) > 0 && n < mostPages && q.Window.From.Before(end); {
		matches := make([][]matcher, len(quiet))
		for i, m := range quiet {
			matches[i] = m.match
		}
		choose := selector{text: render(together(matches)[0].match), container: quiet[0].container}
		r, err := c.Range(ctx, choose.logql(q), observability.Window{From: q.Window.From, To: end}, limit, false, 0)
		if allowed, ok := limited(err); ok && allowed < limit {
			c.page.Store(int64(allowed))
			limit = allowed
			continue
		}
		if err != nil {
			for _, m := range quiet {
				m.share.Err = err
			}
			break
		}
		read := 0
		oldest := end
		for _, s := range r.Streams {
			read += len(s.Entries)
			own := flatten([]Stream{s})
			if len(own) > 0 && own[len(own)-1].At.Before(oldest) {
				oldest = own[len(own)-1].At
			}
			for _, m := range quiet {
				if m.owns(s.Labels) {
					m.raw = append(m.raw, own...)
				}
			}
		}
		if read < limit {
			oldest = q.Window.From
		}
		for _, m := range quiet {
			m.share.Since = oldest
		}
		if read < limit {
			break
		}
		// Of this very moment there may be more: so many lines in a nanosecond are
		// not worth another page.
		n, end = n+1, oldest
		quiet = slices.DeleteFunc(slices.Clone(quiet), func(m *member) bool { return len(m.raw) >= q.Tail || len(m.raw)*len(quiet) >= limit })
	}
	for _, m := range members {
		c.settle(m, q)
	}
}

// settle makes entries of a member's lines.
func (c *Client) settle(m *member, q logs.Query) {
	slices.SortStableFunc(m.raw, func(a, b raw) int { return b.At.Compare(a.At) })
	q.Target = m.target
	m.share.Lines = c.joined(m.selector, q, m.raw)
	if extra := len(m.share.Lines) - q.Tail; q.Tail > 0 && extra > 0 {
		m.share.Lines = m.share.Lines[extra:]
		m.share.Since = m.share.Lines[0].At
	}
}
