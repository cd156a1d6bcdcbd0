package skill

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/prometheus"
)

// Metrics is where numbers come from.
type Metrics struct {
	Source Measurer // nil: none is configured
	// May refuses who may not look at the pods of a namespace, at all pods where
	// there is none, or at the nodes; nil is that everybody may.
	May func(ctx context.Context, ref kube.Ref) error
	// Rollouts are the revisions of a workload, for the marks of a chart; may be nil.
	Rollouts func(ctx context.Context, w kube.Workload) ([]kube.Revised, error)
	Now      func() time.Time // in the time zone that people mean
}

// Measurer measures; *prometheus.Client is one.
type Measurer interface {
	Measure(ctx context.Context, q prometheus.Question) (prometheus.Answer, error)
	Top(ctx context.Context, q prometheus.TopQuestion) (prometheus.Answer, error)
}

// UseMetrics tells the crew where numbers come from. Without it there are none.
func (c *Crew) UseMetrics(m Metrics) *Crew {
	c.metrics = m
	return c
}

const (
	chartedHour   = time.Hour // what is shown where nothing was said
	shortestChart = 5 * time.Minute
	aWeek         = 7 * 24 * time.Hour
	mostMeasured  = 8 // targets of one turn
	topRows       = 10
)

// measured is something that is measured, and how it is called.
type measured struct {
	target observability.Target
	what   *kube.Workload // nil where it is none
	place  string
}

// numbers is what was measured of a subject: now, and the same before.
type numbers struct {
	measured
	prometheus.Answer
	hour, week *observability.Series
	marks      []observability.Mark
	err        error
}

// measure says how a number of something is, and shows how it went.
func (c *Crew) measure(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if c.metrics.Source == nil {
		return dialogue.Reply{}, fault.New(fault.Usage, "I have no metrics: set observability.prometheus.url to the address of your Prometheus.")
	}
	in := t.Intent.Slots
	metric := observability.Metric(in.String("metric"))
	percentile, _ := in.Number("percentile")
	if percentile != 0 {
		metric = cmp.Or(metric, observability.Latency)
	}
	if in.String("what") == "top" || in.Has("kind") && len(in.Targets()) == 0 {
		return c.top(ctx, t, cmp.Or(metric, observability.CPU), percentile)
	}
	subjects, err := c.subjects(ctx, t)
	if err != nil {
		return answered(err)
	}
	if metric == "" {
		return dialogue.Reply{}, fault.New(fault.NotUnderstood, "What do you want to know of it? Say latency, error rate, requests, CPU or memory.")
	}
	for _, s := range subjects {
		if err := c.mayMeasure(ctx, s.target); err != nil {
			return dialogue.Reply{}, err
		}
	}
	w, words, err := c.charted(ctx, t, subjects)
	if err != nil {
		return dialogue.Reply{}, err
	}
	readings := make([]numbers, len(subjects))
	var wg sync.WaitGroup
	for i, s := range subjects {
		wg.Go(func() { readings[i] = c.read(ctx, s, metric, percentile, w) })
	}
	wg.Wait()
	good := slices.DeleteFunc(slices.Clone(readings), func(r numbers) bool { return r.err != nil })
	if len(good) == 0 {
		return dialogue.Reply{}, readings[0].err
	}
	var r dialogue.Reply
	if len(readings) == 1 {
		r, err = c.tellOne(t, good[0], metric, w, words)
	} else {
		r, err = c.tellMany(t, readings, metric, words)
	}
	if err != nil {
		return dialogue.Reply{}, err
	}
	for _, g := range good {
		for _, warning := range g.Warnings {
			r.Text += "\n! " + diagnosis.Clip(warning, 300)
		}
	}
	if slices.ContainsFunc(good, func(n numbers) bool { return len(n.Series[0].Points) > 1 }) {
		r.Blocks = append(r.Blocks, c.chart(good, metric, w)) // of one moment there is no picture
	}
	return r, nil
}

// mayMeasure refuses who may not look at it in the cluster either: a back-end
// would tell everybody.
func (c *Crew) mayMeasure(ctx context.Context, t observability.Target) error {
	if c.metrics.May == nil {
		return nil
	}
	return c.metrics.May(ctx, kube.Ref{Cluster: t.Cluster, Namespace: t.Namespace, Kind: t.Kind, Name: t.Name})
}

// subjects are what a turn wants to be measured.
func (c *Crew) subjects(ctx context.Context, t *dialogue.Turn) ([]measured, error) {
	in := t.Intent.Slots
	cluster := c.where(t)
	if n := in.String("node"); n != "" {
		t.Session.Focus(dialogue.Target{Cluster: cluster, Kind: kube.Node, Name: n})
		return []measured{{target: observability.Target{Cluster: cluster, Kind: "Node", Name: n}}}, nil
	}
	if n, ok := nodeSpokenOf(t); ok {
		return []measured{{target: n}}, nil
	}
	names := in.Targets()
	if len(names) == 1 && names[0] == intents.TargetIt && len(t.Session.Targets) == 0 {
		names = nil // nothing was spoken of yet
	}
	if len(names) == 0 || len(names) == 1 && (names[0] == intents.TargetCluster || names[0] == intents.TargetAll) {
		ns := in.String("namespace")
		if ns == "" && (len(names) == 0 || names[0] == intents.TargetAll) {
			ns = c.home(ctx, t)
		}
		if ns != "" {
			if err := c.hasNamespace(ctx, cluster, ns); err != nil {
				return nil, err
			}
		}
		return []measured{{target: observability.Target{Cluster: cluster, Namespace: ns}}}, nil
	}
	ws, err := c.workloads(ctx, t)
	if err != nil {
		return nil, err
	}
	focus(t, ws)
	if len(ws) > mostMeasured {
		return nil, fault.New(fault.Usage, "These are %d at once; I measure %d. Ask for the top of them, or name some.", len(ws), mostMeasured)
	}
	var out []measured
	for _, w := range ws {
		out = append(out, measured{target: TargetOf(w, c.cluster.Cluster()), what: &w, place: c.place(w.Ref)})
	}
	return out, nil
}

// charted is the window that a turn asks about, and how it is said.
func (c *Crew) charted(ctx context.Context, t *dialogue.Turn, subjects []measured) (observability.Window, string, error) {
	in, now := t.Intent.Slots, c.metrics.Now()
	w := observability.Window{From: now.Add(-chartedHour), To: now}
	since, until := in.String("since"), in.String("until")
	if since == "last_deploy" {
		since = ""
		if c.metrics.Rollouts != nil && len(subjects) == 1 && subjects[0].what != nil {
			all, err := c.metrics.Rollouts(ctx, *subjects[0].what)
			if err != nil {
				return w, "", err
			}
			for _, r := range all {
				if r.Current && now.Sub(r.At) > 0 {
					w.From = r.At.Add(-min(now.Sub(r.At)/4, chartedHour)) // with some of what was before
					return c.longEnough(w), "since " + r.Version, nil
				}
			}
		}
	}
	if since == "" && until == "" {
		return w, "", nil
	}
	said, err := asked(since, until, t.Request.Text, now)
	if err != nil {
		return w, "", err
	}
	w.From = said.from
	if !said.to.IsZero() && said.to.Before(now) {
		w.To = said.to
	}
	return c.longEnough(w), said.words, nil
}

// longEnough widens a window in which there would be nothing to be seen.
func (c *Crew) longEnough(w observability.Window) observability.Window {
	if w.Length() < shortestChart {
		w.From = w.To.Add(-shortestChart)
	}
	return w
}

// read measures one subject: in the window, an hour and a week before, at once.
func (c *Crew) read(ctx context.Context, s measured, m observability.Metric, percentile float64, w observability.Window) numbers {
	r := numbers{measured: s}
	q := prometheus.Question{Target: s.target, Metric: m, Percentile: percentile, Window: w}
	var wg sync.WaitGroup
	before := func(into **observability.Series, d time.Duration) {
		wg.Go(func() {
			q := q
			q.Window = w.Back(d)
			// What cannot be compared with is not worth an error.
			if a, err := c.metrics.Source.Measure(ctx, q); err == nil && len(a.Series) == 1 {
				*into = &a.Series[0]
			}
		})
	}
	before(&r.hour, time.Hour)
	before(&r.week, aWeek)
	if c.metrics.Rollouts != nil && s.what != nil {
		wg.Go(func() {
			all, err := c.metrics.Rollouts(ctx, *s.what)
			if err != nil {
				return
			}
			for _, v := range all {
				if v.At.After(w.From) && v.At.Before(w.To) {
					r.marks = append(r.marks, observability.Mark{At: v.At, Label: diagnosis.Clip(v.Version, 24)})
				}
			}
		})
	}
	r.Answer, r.err = c.metrics.Source.Measure(ctx, q)
	wg.Wait()
	return r
}

// last is the newest value of a series.
func last(s *observability.Series) (float64, bool) {
	if s == nil || len(s.Points) == 0 {
		return 0, false
	}
	return s.Points[len(s.Points)-1].Value, true
}

// called is how a metric is said: "p99", "the error rate".
func called(m observability.Metric, a prometheus.Answer) string {
	switch m {
	case observability.Latency:
		if a.Percentile == 0 {
			return "the mean latency"
		}
		return "p" + strconv.FormatFloat(a.Percentile, 'f', -1, 64)
	case observability.RequestRate:
		return "the request rate"
	case observability.CPU:
		return "the CPU usage"
	case observability.Memory:
		return "the memory usage"
	case observability.Disk:
		return "the disk usage"
	case observability.Network:
		return "the network traffic"
	case observability.Throttling:
		return "the CPU throttling"
	case observability.Connections:
		return "the number of connections"
	case observability.Queue:
		return "the length of the queue"
	case observability.Replicas:
		return "the number of pods ready"
	case observability.Restarts:
		return "the number of restarts"
	}
	return "the " + strings.ReplaceAll(string(m), "_", " ")
}

// begin makes a noun the beginning of a sentence.
func begin(s string) string {
	if rest, ok := strings.CutPrefix(s, "the "); ok {
		return "The " + rest
	}
	return s
}

// short is a noun without its article, as in "with the most memory usage".
func short(what string, m observability.Metric) string {
	what = strings.TrimPrefix(what, "the ")
	if m == observability.Latency {
		return "latency (" + what + ")"
	}
	return strings.TrimPrefix(what, "number of ")
}

// amount is a value for the eye or the ear.
func amount(v float64, u observability.Unit, m observability.Metric, ear bool) string {
	switch {
	case m == observability.Uptime:
		return span(time.Duration(v * float64(time.Second)))
	case u == observability.Count:
		return strconv.FormatFloat(float64(int64(v+0.5)), 'f', -1, 64)
	case u == observability.BytesRate && ear:
		return figure(v, observability.Bytes, true) + " a second"
	case !ear:
		return u.Text(v)
	}
	return figure(v, u, ear)
}

// trend compares a value with what it was before, in words.
func trend(now, before float64, m observability.Metric, when string) string {
	const small = 1e-9
	if m == observability.Uptime {
		return ""
	}
	r := now / before
	switch {
	case now <= small && before <= small:
		return "as it was " + when
	case before <= small:
		return "and it was zero " + when
	case r >= 1.75:
		return manifold(r) + " what it was " + when
	case r >= 1.1:
		return fmt.Sprintf("%.0f percent more than %s", (r-1)*100, when)
	case r > 0.9:
		return "about what it was " + when
	case r > 0.58:
		return fmt.Sprintf("%.0f percent less than %s", (1-r)*100, when)
	case r > 0.42:
		return "half of what it was " + when
	case r > 0.29:
		return "a third of what it was " + when
	case r > 0.22:
		return "a quarter of what it was " + when
	}
	return "much less than " + when
}

func manifold(r float64) string {
	names := []string{"", "", "twice", "three times", "four times", "five times", "six times", "seven times", "eight times", "nine times", "ten times"}
	if n := int(r + 0.5); n < len(names) {
		return names[n]
	}
	return fmt.Sprintf("%.0f times", r)
}

// like reports whether a trend is worth no words.
func like(now, before float64) bool {
	r := now / before
	return before > 1e-9 && r > 0.9 && r < 1.1 || now <= 1e-9 && before <= 1e-9
}

// tellOne words what was measured of one subject.
func (c *Crew) tellOne(t *dialogue.Turn, r numbers, m observability.Metric, w observability.Window, words string) (dialogue.Reply, error) {
	now, _ := last(&r.Series[0])
	d := dialogue.Data{
		"What": begin(called(m, r.Answer)), "Metric": string(m), "Name": r.target.Name, "Place": r.place, "Kind": r.target.Kind, "Namespace": r.target.Namespace,
		"Spoken": amount(now, r.Unit, m, true), "Value": amount(now, r.Unit, m, false), "Count": int(now + 0.5), "Family": r.Family, "Words": words, "Trend": "", "Hour": "", "Week": "",
		"At": "", "Least": "", "Most": "", "Moment": len(r.Series[0].Points) == 1,
	}
	if c.metrics.Now().Sub(w.To) > time.Minute {
		d["At"] = when(w.To, c.metrics.Now())
	}
	least, most := now, now
	for _, p := range r.Series[0].Points {
		least, most = min(least, p.Value), max(most, p.Value)
	}
	d["Least"], d["Most"] = amount(least, r.Unit, m, false), amount(most, r.Unit, m, false)
	before := func(s *observability.Series, key, when string) {
		v, ok := last(s)
		if !ok {
			return
		}
		d[key] = amount(v, r.Unit, m, false)
		// One comparison is enough for the ear: the nearest that says something.
		if d["Trend"] == "" || !like(now, v) && key == "Week" && d["Trend"] == trend(1, 1, m, "an hour ago") {
			d["Trend"] = trend(now, v, m, when)
		}
	}
	before(r.hour, "Hour", "an hour ago")
	before(r.week, "Week", "a week ago")
	return t.Reply("metrics.one", d)
}

// tellMany words what was measured of several.
func (c *Crew) tellMany(t *dialogue.Turn, all []numbers, m observability.Metric, words string) (dialogue.Reply, error) {
	b := dialogue.Block{Type: "table", Columns: []string{"NAME", "NOW", "AN HOUR AGO", "A WEEK AGO"}}
	var speech, text []string
	what := ""
	for _, r := range all {
		if r.err != nil {
			text = append(text, fault.Say(r.err))
			speech = append(speech, fault.Say(r.err))
			continue
		}
		now, _ := last(&r.Series[0])
		what = called(m, r.Answer)
		say, err := c.catalogue.Say("metrics.each", dialogue.Data{"Name": r.target.Name, "Place": r.place, "Spoken": amount(now, r.Unit, m, true), "Value": amount(now, r.Unit, m, false)})
		if err != nil {
			return dialogue.Reply{}, err
		}
		speech, text = append(speech, say.Speech), append(text, say.Text)
		row := []string{r.target.Name, amount(now, r.Unit, m, false), "", ""}
		for i, s := range []*observability.Series{r.hour, r.week} {
			if v, ok := last(s); ok {
				row[2+i] = amount(v, r.Unit, m, false)
			}
		}
		b.Rows = append(b.Rows, row)
	}
	rep, err := t.Reply("metrics.many", dialogue.Data{"What": begin(what), "Words": words, "Speech": speech, "Text": text})
	rep.Blocks = []dialogue.Block{b}
	return rep, err
}

// chart is the picture of what was measured.
func (c *Crew) chart(all []numbers, m observability.Metric, w observability.Window) dialogue.Block {
	ch := &observability.Chart{Kind: observability.Lines, Unit: all[0].Unit, Link: all[0].Link}
	what := strings.TrimPrefix(called(m, all[0].Answer), "the ")
	if m == observability.Latency && all[0].Percentile != 0 {
		what = "latency, " + what
	}
	var names []string
	for _, r := range all {
		name := cmp.Or(r.target.Name, r.target.Namespace, c.cluster.Cluster())
		names = append(names, name)
		s := r.Series[0]
		s.Name, s.Labels = name, nil
		ch.Series = append(ch.Series, s)
		if len(all) > 1 {
			continue
		}
		ch.Marks = r.marks
		earlier := func(s *observability.Series, d time.Duration, name string) {
			if s == nil {
				return
			}
			moved := observability.Series{Name: name, Unit: s.Unit}
			for _, p := range s.Points {
				moved.Points = append(moved.Points, observability.Point{At: p.At.Add(d), Value: p.Value})
			}
			ch.Earlier = append(ch.Earlier, moved)
		}
		if w.Length() <= time.Hour {
			earlier(r.hour, time.Hour, "an hour before")
		}
		earlier(r.week, aWeek, "a week before")
		if len(ch.Earlier) > 0 {
			ch.Series[0].Name = "now"
		}
	}
	ch.Title = strings.Join(names, ", ") + ": " + what
	return dialogue.Block{Type: "chart", Title: ch.Title, Chart: ch}
}

// top says which of many have the most of something.
func (c *Crew) top(ctx context.Context, t *dialogue.Turn, m observability.Metric, percentile float64) (dialogue.Reply, error) {
	in := t.Intent.Slots
	w, words, err := c.charted(ctx, t, nil)
	if err != nil {
		return dialogue.Reply{}, err
	}
	kind := cmp.Or(in.String("kind"), "pods")
	q := prometheus.TopQuestion{Metric: m, Kind: kind, Percentile: percentile, Window: w, Limit: topRows, Node: in.String("node"),
		Target: observability.Target{Cluster: c.where(t), Namespace: in.String("namespace")}}
	if q.Target.Namespace != "" {
		if err := c.hasNamespace(ctx, q.Target.Cluster, q.Target.Namespace); err != nil {
			return dialogue.Reply{}, err
		}
	}
	name := ""
	if names := in.Targets(); len(names) > 0 && names[0] != intents.TargetCluster && names[0] != intents.TargetAll {
		ws, err := c.workloads(ctx, t)
		if err != nil {
			return answered(err)
		}
		focus(t, ws)
		q.Target, name = TargetOf(ws[0], c.cluster.Cluster()), ws[0].Ref.Name
	}
	about := q.Target
	if kind == "nodes" {
		about = observability.Target{Cluster: q.Target.Cluster, Kind: kube.Node}
	}
	if err := c.mayMeasure(ctx, about); err != nil {
		return dialogue.Reply{}, err
	}
	a, err := c.metrics.Source.Top(ctx, q)
	if err != nil {
		return dialogue.Reply{}, err
	}
	what := called(m, a)
	first := a.Series[0]
	d := dialogue.Data{
		"Short": short(what, m), "Kind": strings.TrimSuffix(kind, "s"), "Of": name, "Namespace": q.Target.Namespace, "Node": q.Node, "Words": words, "Family": a.Family,
		"First": first.Name, "FirstIn": first.Labels["namespace"], "FirstSpoken": amount(first.Points[0].Value, a.Unit, m, true), "FirstValue": amount(first.Points[0].Value, a.Unit, m, false),
		"Second": "", "SecondSpoken": "", "SecondValue": "",
	}
	if kind == "namespaces" || q.Target.Namespace != "" {
		d["FirstIn"] = ""
	}
	if len(a.Series) > 1 {
		s := a.Series[1]
		d["Second"], d["SecondSpoken"], d["SecondValue"] = s.Name, amount(s.Points[0].Value, a.Unit, m, true), amount(s.Points[0].Value, a.Unit, m, false)
	}
	r, err := t.Reply("metrics.top", d)
	if err != nil {
		return dialogue.Reply{}, err
	}
	table := dialogue.Block{Type: "table", Columns: []string{strings.ToUpper(strings.TrimSuffix(kind, "s")), strings.ToUpper(strings.TrimPrefix(what, "the "))}}
	if kind == "pods" || kind == "workloads" {
		table.Columns = append([]string{"NAMESPACE"}, table.Columns...)
	}
	for _, s := range a.Series {
		row := []string{s.Name, amount(s.Points[0].Value, a.Unit, m, false)}
		if kind == "pods" || kind == "workloads" {
			row = append([]string{s.Labels["namespace"]}, row...)
		}
		table.Rows = append(table.Rows, row)
	}
	ch := &observability.Chart{Title: strings.TrimPrefix(what, "the ") + " by " + strings.TrimSuffix(kind, "s"), Kind: observability.Bars, Unit: a.Unit, Series: a.Series, Link: a.Link}
	r.Blocks = []dialogue.Block{table, {Type: "chart", Title: ch.Title, Chart: ch}}
	for _, warning := range a.Warnings {
		r.Text += "\n! " + diagnosis.Clip(warning, 300)
	}
	return r, nil
}
