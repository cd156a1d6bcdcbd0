package collect

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// said looks for what workloads began to complain of.
type said struct{ *look }

// Name is how the collector is called.
func (said) Name() string { return "logs" }

const (
	// mostLines is how many lines of one workload are looked at, in the window
	// and before it: the newest.
	mostLines = 1000
	// mostPatterns is how many patterns of one workload are told of.
	mostPatterns = 6
	// fewLines is how often something is said at least that is worth telling.
	fewLines = 3
	// moreOften is by how many times more often.
	moreOften = 3
	// readPods is how many workloads are read pod by pod where nothing keeps logs.
	readPods = 4
)

// Collect reads warnings and worse, of the target and what it calls.
func (c said) Collect(ctx context.Context, r diagnosis.Request) ([]diagnosis.Evidence, error) {
	out := &found{source: "loki"}
	src := c.Logs
	if src == nil {
		src, out.source = c.PodLogs, "logs"
	}
	return out.until(ctx, func() { c.collect(ctx, out, src, r) })
}

func (c said) collect(ctx context.Context, out *found, src logs.Source, r diagnosis.Request) {
	several, together := src.(logs.Several)
	ahead := c.ahead(ctx, r)
	var first sync.WaitGroup
	defer first.Wait()
	if together {
		// What is asked about does not wait for the way to be found.
		first.Go(func() { c.together(ctx, out, several, ahead, r.Window) })
	}
	rc, err := c.reach(ctx, r)
	if err != nil {
		return // the collector of objects says what is wrong
	}
	var do []*node
	for _, n := range rc.nodes {
		if n.inside() && n.hop >= 0 && (c.Logs != nil || len(do) < readPods) {
			do = append(do, n)
		}
	}
	if !together {
		each(do, func(n *node) { c.apart(ctx, out, src, n, r.Window) })
		return
	}
	c.together(ctx, out, several, slices.DeleteFunc(do, func(n *node) bool {
		return slices.ContainsFunc(ahead, func(a *node) bool { return a.workload.Ref == n.workload.Ref })
	}), r.Window)
}

// together reads the lines of several workloads, of the window and of before it:
// two questions.
func (c said) together(ctx context.Context, out *found, src logs.Several, nodes []*node, w observability.Window) {
	if len(nodes) == 0 {
		return
	}
	targets := make([]observability.Target, len(nodes))
	for i, n := range nodes {
		targets[i] = n.target
	}
	read := func(w observability.Window) []logs.Share {
		return src.Several(ctx, targets, logs.Query{Window: w, Level: observability.LevelWarning, Tail: mostLines})
	}
	var now, before []logs.Share
	var wg sync.WaitGroup
	wg.Go(func() { now = read(w) })
	wg.Go(func() { before = read(past(w)) })
	wg.Wait()
	for i, n := range nodes {
		lacks := out.lacks(now[i].Err)
		// What it says was not kept before is no trouble: it is new.
		lacks = fault.KindOf(before[i].Err) != fault.NotFound && out.lacks(before[i].Err) || lacks
		if lacks && len(now[i].Lines) == 0 {
			continue
		}
		for _, e := range news(now[i], before[i], w, !before[i].Since.IsZero()) {
			e.About = n.object
			out.add(e)
		}
	}
}

// apart reads the lines of one workload.
func (c said) apart(ctx context.Context, out *found, src logs.Source, n *node, w observability.Window) {
	t := n.target
	reaches := true // what is kept of the past reaches back before the window
	if s, err := c.survey(ctx, n.workload); err == nil {
		for _, p := range s.Pods {
			t.Pods = append(t.Pods, p.Ref.Name)
			// A pod has only its own lines: none of before it was there.
			reaches = reaches && (c.Logs != nil || p.Created.Before(past(w).From))
		}
	}
	var now, before logs.Share
	var wg sync.WaitGroup
	wg.Go(func() { now = lines(ctx, src, t, w) })
	wg.Go(func() { before = lines(ctx, src, t, past(w)) })
	wg.Wait()
	if out.lacks(cmp.Or(now.Err, before.Err)) && len(now.Lines) == 0 {
		return
	}
	for _, e := range news(now, before, w, before.Err == nil && (reaches || len(before.Lines) > 0)) {
		e.About = n.object
		out.add(e)
	}
}

// lines reads what is grave enough. What was read before an error counts.
func lines(ctx context.Context, src logs.Source, t observability.Target, w observability.Window) logs.Share {
	out := logs.Share{Since: w.From}
	for l, err := range src.Lines(ctx, logs.Query{Target: t, Window: w, Level: observability.LevelWarning, Tail: mostLines}) {
		if err != nil {
			out.Err = err
			if fault.KindOf(err) == fault.NotFound {
				out.Err = nil // it says nothing, or nothing is kept of it
			}
			continue
		}
		if out.Lines = append(out.Lines, l); len(out.Lines) >= 2*mostLines {
			break // a source that does not heed Tail
		}
	}
	if len(out.Lines) >= mostLines {
		out.Since = earliest(out.Lines)
	}
	return out
}

// news are the patterns that are new, or said many times more often than before.
func news(now, before logs.Share, w observability.Window, knownBefore bool) []diagnosis.Evidence {
	old := logs.Patterns(before.Lines)
	// What was read may reach back for a part of a window only.
	read := w.To.Sub(later(now.Since, w.From))
	longer := past(w).To.Sub(later(before.Since, past(w).From)).Seconds() / max(1, read.Seconds())
	type candidate struct {
		diagnosis.Evidence
		fresh bool
	}
	var out []candidate
	for _, p := range logs.Patterns(now.Lines) {
		was := 0
		for _, o := range old {
			if alike(p.Template, o.Template) {
				was += o.Count
			}
		}
		fresh := was == 0 && knownBefore
		often := float64(p.Count) * longer // as often as that in as long a time
		grave := logs.AtLeast(p.Level, observability.LevelFatal)
		switch {
		case fresh && (p.Count >= fewLines || grave):
		case !fresh && knownBefore && often >= moreOften*float64(was) && p.Count >= fewLines:
		case !knownBefore && p.Count >= fewLines:
		default:
			continue
		}
		text := because(p.Example)
		if p.Example.Stack != "" {
			text += " " + firstLines(p.Example.Stack, 2)
		}
		e := diagnosis.Evidence{Kind: diagnosis.LogPattern, At: p.First, Name: string(p.Level), From: clip(p.Template), Text: clip(text), Count: p.Count}
		if knownBefore {
			e.Before = diagnosis.Num(float64(was))
		}
		switch {
		case now.Since.After(w.From) && p.First.Sub(now.Since) < time.Minute:
			e.At = time.Time{} // it goes on before what was read: since when is not known
		case !fresh:
			if at := risen(now.Lines, p, read); !at.IsZero() {
				e.At = at
			}
		}
		out = append(out, candidate{e, fresh})
	}
	slices.SortStableFunc(out, func(a, b candidate) int {
		if a.fresh != b.fresh {
			if a.fresh {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.From, b.From))
	})
	var list []diagnosis.Evidence
	for _, c := range out[:min(len(out), mostPatterns)] {
		list = append(list, c.Evidence)
	}
	return list
}

// because is what a line says, with what it gives as the reason: "charge failed",
// and of what.
func because(l observability.LogLine) string {
	text := l.Message
	for _, f := range l.Fields {
		switch strings.ToLower(f.Key) {
		case "err", "error", "error.message", "exception", "cause", "reason", "detail":
			if !strings.Contains(text, f.Value) {
				text += ": " + f.Value
			}
		}
	}
	return text
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// earliest is when the first of lines was written.
func earliest(all []observability.LogLine) time.Time {
	return slices.MinFunc(all, func(a, b observability.LogLine) int { return a.At.Compare(b.At) }).At
}

// risen is when lines of a pattern became many: the beginning of the first
// minute that has as many as what was read has on average.
func risen(all []observability.LogLine, p observability.Pattern, read time.Duration) time.Time {
	perMinute := map[int64]int{}
	for _, l := range all {
		if alike(p.Template, l.Message) {
			perMinute[l.At.Unix()/60]++
		}
	}
	mean := float64(p.Count) / max(1, read.Minutes())
	first := int64(0)
	for m, n := range perMinute {
		if float64(n) >= mean && (first == 0 || m < first) {
			first = m
		}
	}
	if first == 0 {
		return time.Time{}
	}
	return time.Unix(first*60, 0).UTC()
}

// alike reports whether two templates, found apart, are of the same lines: as
// many words, most of them the same, and where they differ one of them varies.
func alike(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	if len(x) != len(y) || len(x) == 0 {
		return a == b
	}
	same, fixed := 0, 0
	for i := range x {
		vx, vy := strings.Contains(x[i], "<*>"), strings.Contains(y[i], "<*>")
		if vx || vy {
			continue
		}
		fixed++
		if x[i] == y[i] {
			same++
		}
	}
	// The first word that is fixed in both has to be the same: it mostly names
	// what happened.
	return fixed > 0 && float64(same) >= 0.8*float64(fixed)
}

func firstLines(s string, n int) string {
	all := strings.SplitN(s, "\n", n+1)
	return strings.Join(all[:min(len(all), n)], " ")
}
