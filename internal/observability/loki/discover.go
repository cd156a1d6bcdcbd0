package loki

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

const (
	labelsLife  = 5 * time.Minute  // how long the names of labels are believed
	foundLife   = 10 * time.Minute // and which streams are a workload's
	missingLife = 30 * time.Second // and that there are none
	maxFound    = 2000             // workloads that are remembered
)

// selectorOf finds the streams of a workload by asking which there are.
func (c *Client) selectorOf(ctx context.Context, t observability.Target, w observability.Window) (selector, error) {
	all, err := c.selectorsOf(ctx, []observability.Target{t}, w)
	if err != nil {
		return selector{}, err
	}
	return all[0], nil
}

// selectorsOf finds the streams of several workloads in two questions at most.
// Who asks the same at the same time waits for the same answer: a diagnosis
// begins with many questions at once.
func (c *Client) selectorsOf(ctx context.Context, targets []observability.Target, w observability.Window) ([]selector, error) {
	// Labels are asked for over a day: what is discovered must not depend on
	// whether just now something was written.
	now := c.opt.Now()
	wide := observability.Window{From: now.Add(-24 * time.Hour), To: now}
	if w.From.Before(wide.From) {
		wide.From = w.From
	}
	out, unknown := c.remembered(targets, now)
	if len(unknown) == 0 {
		return out, nil
	}
	keys := make([]string, len(unknown))
	for i, n := range unknown {
		keys[i] = c.key(targets[n])
	}
	answer := c.asking.DoChan(strings.Join(keys, "\x01"), func() (any, error) {
		// Not for one of those who wait alone, whose time may be over; each call is
		// bounded anyway.
		ctx := context.WithoutCancel(ctx)
		labels, err := c.labelNames(ctx, wide)
		if err != nil {
			return nil, err
		}
		ask := make([]observability.Target, len(unknown))
		for i, n := range unknown {
			ask[i] = targets[n]
		}
		return nil, c.discover(ctx, ask, labels, wide)
	})
	select {
	case a := <-answer:
		if a.Err != nil {
			return nil, a.Err
		}
	case <-ctx.Done():
		return nil, c.back.Fault(ctx.Err())
	}
	out, _ = c.remembered(targets, now)
	return out, nil
}

// key is how a workload is remembered.
func (c *Client) key(t observability.Target) string {
	return strings.Join([]string{t.Cluster, t.Namespace, t.Kind, t.Name}, "\x00")
}

// elsewhere reports whether this Loki has nothing of a workload's cluster: what
// is called so here is another's.
func (c *Client) elsewhere(t observability.Target) bool {
	return c.opt.ClusterLabel == "" && t.Cluster != "" && t.Cluster != c.opt.Home
}

// remembered gives what is known, and which are not.
func (c *Client) remembered(targets []observability.Target, now time.Time) (out []selector, unknown []int) {
	out = make([]selector, len(targets))
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, t := range targets {
		if c.elsewhere(t) {
			continue
		}
		if known, ok := c.found[c.key(t)]; ok && now.Before(known.until) {
			out[i] = known.value
			continue
		}
		unknown = append(unknown, i)
	}
	return out, unknown
}

// labelNames are the names of all labels.
func (c *Client) labelNames(ctx context.Context, wide observability.Window) ([]string, error) {
	now := c.opt.Now()
	c.mu.Lock()
	labels := c.labels
	c.mu.Unlock()
	if now.Before(labels.until) {
		return labels.value, nil
	}
	all, err, _ := c.asking.Do("\x02labels", func() (any, error) { return c.Labels(ctx, wide) })
	if err != nil {
		return nil, err
	}
	names, _ := all.([]string)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.labels = cached[[]string]{now.Add(labelsLife), names}
	return names, nil
}

// discover asks which streams there are of some workloads, and remembers it.
func (c *Client) discover(ctx context.Context, targets []observability.Target, labels []string, wide observability.Window) error {
	ways := make([][][]matcher, len(targets))
	var all [][]matcher
	for i, t := range targets {
		var cluster []matcher
		if c.opt.ClusterLabel != "" {
			cluster = []matcher{{label: c.opt.ClusterLabel, value: cmp.Or(t.Cluster, c.opt.Home)}}
		}
		ways[i] = candidates(t, labels, cluster...)
		all = append(all, ways[i]...)
	}
	var there []map[string]string
	if len(all) > 0 {
		var texts []string
		for _, g := range together(all) {
			texts = append(texts, render(g.match))
		}
		var err error
		if there, err = c.Series(ctx, texts, wide); err != nil {
			return err
		}
	}
	now := c.opt.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, t := range targets {
		s := choose(ways[i], there)
		until := now.Add(foundLife)
		if s.text == "" {
			until = now.Add(missingLife)
		}
		if len(c.found) >= maxFound {
			clear(c.found)
		}
		c.found[c.key(t)] = cached[selector]{until, s}
	}
	return nil
}

// group is several selectors that differ in the last of their conditions only.
type group struct {
	match   []matcher // that chooses what any of them does
	members []int     // which they are
}

// together puts selectors that differ in their last condition only into one each,
// in the order in which they come.
func together(all [][]matcher) []group {
	var out []group
	at := map[string]int{}
	for i, m := range all {
		if len(m) == 0 {
			continue
		}
		last := m[len(m)-1]
		k := render(m[:len(m)-1]) + last.label
		n, ok := at[k]
		if !ok {
			at[k] = len(out)
			out = append(out, group{slices.Clone(m), []int{i}})
			continue
		}
		g := &out[n]
		g.members = append(g.members, i)
		was := &g.match[len(g.match)-1]
		if one, more := expression(*was), expression(last); one != more {
			*was = matcher{label: last.label, value: one + "|" + more, regexp: true}
		}
	}
	return out
}

// expression is what a condition allows, as a regular expression.
func expression(m matcher) string {
	if m.regexp {
		return m.value
	}
	return regexp.QuoteMeta(m.value)
}
