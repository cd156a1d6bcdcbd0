package skill

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

const (
	logsBudget    = 3 * time.Second  // how long a turn reads
	logsSpan      = 15 * time.Minute // how far back, where nobody says
	logsKept      = 400              // lines that may be looked through with "more"
	logsPage      = 40               // lines of a block
	logsPatterns  = 6                // patterns that are written
	logsSpoken    = 90               // letters of a pattern for the ear
	logsFrames    = 8                // lines of a stack trace that are written
	logsWidth     = 400              // letters of a line that are written
	logsWorkloads = 10               // of one question
)

// Logs is where logs are read.
type Logs struct {
	Pods  logs.Source // the pods themselves, through the API server
	Store logs.Source // where logs are kept; nil where that is not configured
	Name  string      // of the store: "Loki"
	// May refuses who may not read the logs of a namespace.
	May func(ctx context.Context, ref kube.Ref) error
	Now func() time.Time // in the time zone that people mean
	Log *slog.Logger
}

// logDesk reads logs for the crew.
type logDesk struct {
	Logs
	push Pusher // nil in a process that lives for one turn

	mu      sync.Mutex
	follows map[string]*following // by conversation
}

// ReadLogs gives the crew its way to logs. Without one it reads none.
func (c *Crew) ReadLogs(l Logs) { c.logs = &logDesk{Logs: l, follows: map[string]*following{}} }

// TellLogs lets the crew follow logs, by saying what comes.
func (c *Crew) TellLogs(p Pusher) {
	if c.logs != nil {
		c.logs.push = p
	}
}

// finding is what was read.
type finding struct {
	count, errors int
	groups        logs.Grouper
	last          []observability.LogLine // at most logsKept, oldest first
	source        string                  // "Loki", "" for the pods
	note          string                  // what is missing, and why
	first         error                   // why nothing is there
}

func (f *finding) add(l observability.LogLine) {
	f.count++
	if logs.AtLeast(l.Level, observability.LevelError) {
		f.errors++
	}
	f.groups.Add(l)
	f.last = append(f.last, l)
	if len(f.last) > 2*logsKept { // now and then, not with each line
		f.last = append(f.last[:0], f.last[len(f.last)-logsKept:]...)
	}
}

// readLogs answers with what workloads wrote.
func (c *Crew) readLogs(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if c.logs == nil {
		return t.NotYet()
	}
	refs, err := c.logTargets(ctx, t)
	if err != nil {
		return answered(err)
	}
	for _, ref := range refs {
		if err := c.logs.May(ctx, ref); err != nil {
			return dialogue.Reply{}, err
		}
	}
	q, words, err := c.logQuery(ctx, t, refs)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if t.Intent.Slots.Has("follow") && t.Intent.Slots.String("more") == "" {
		return c.followLogs(ctx, t, refs, q)
	}
	read, cancel := context.WithTimeout(ctx, logsBudget)
	defer cancel()
	f := c.logs.gather(read, refs, q)
	if f.count == 0 && f.first != nil {
		return dialogue.Reply{}, f.first
	}
	return c.tellLogs(t, refs, q, words, f)
}

// logTargets are what a turn is about: workloads, or a Job or CronJob.
func (c *Crew) logTargets(ctx context.Context, t *dialogue.Turn) ([]kube.Ref, error) {
	ws, err := c.workloads(ctx, t)
	if err != nil {
		names := t.Intent.Slots.Targets()
		if k := fault.KindOf(err); len(names) == 1 && (k == fault.NotFound || k == fault.Refused) {
			jobs, berr := c.cluster.Batch(ctx, kube.Query{Cluster: c.where(t), Namespace: t.Intent.Slots.String("namespace"), Name: names[0]})
			if berr == nil && len(jobs) == 1 {
				t.Session.Focus(target(jobs[0].Ref))
				return []kube.Ref{jobs[0].Ref}, nil
			}
		}
		return nil, err
	}
	if len(ws) > logsWorkloads {
		return nil, fault.New(fault.Refused, "That would be the logs of %d workloads. Name at most %d.", len(ws), logsWorkloads)
	}
	focus(t, ws)
	refs := make([]kube.Ref, len(ws))
	for i, w := range ws {
		refs[i] = w.Ref
	}
	return refs, nil
}

// logQuery is what a turn asks for, and how its window is said.
func (c *Crew) logQuery(ctx context.Context, t *dialogue.Turn, refs []kube.Ref) (logs.Query, string, error) {
	in := t.Intent.Slots
	q := logs.Query{
		Level: observability.Level(in.String("level")), Filter: in.String("filter"), Exclude: in.String("exclude"), Container: in.String("container"), Previous: in.Has("previous"),
	}
	if n, ok := in.Int("tail"); ok {
		q.Tail = min(max(n, 1), logsKept)
	}
	now := c.logs.Now()
	if from, to := in.String("from"), in.String("to"); from != "" { // "more" is about the same stretch of time
		q.Window.From, _ = time.Parse(time.RFC3339Nano, from)
		q.Window.To, _ = time.Parse(time.RFC3339Nano, to)
		return q, in.String("window"), nil
	}
	since, until := in.String("since"), in.String("until")
	switch {
	case since == "last_deploy":
		at, err := c.deployed(ctx, refs)
		if err != nil {
			return q, "", err
		}
		q.Window.From, q.Window.To = at, now
		return q, "since the last deploy at " + when(at, now), nil
	case since == "" && until == "" && q.Previous:
		return q, "before the last restart", nil
	case since == "" && until == "" && q.Tail > 0:
		return q, "", nil
	case since == "" && until == "":
		since = "15m"
	}
	w, err := asked(since, until, t.Request.Text, now)
	if err != nil {
		return q, "", err
	}
	q.Window = observability.Window{From: w.from, To: w.to}
	if q.Window.To.IsZero() {
		q.Window.To = now
	}
	if d, ok := length(since); ok && until == "" {
		w.words = "in the last " + lengthWords(d)
	}
	return q, w.words, nil
}

// deployed is when the newest roll-out of what is asked about began.
func (c *Crew) deployed(ctx context.Context, refs []kube.Ref) (time.Time, error) {
	var at time.Time
	for _, ref := range refs {
		w, err := c.cluster.Get(ctx, ref)
		if err != nil {
			return at, err
		}
		if c.past.Cluster == nil {
			break
		}
		edits, err := c.past.Cluster.Edits(ctx, w)
		if err != nil {
			return at, err
		}
		for _, e := range edits {
			if e.Revision > 0 && e.At.After(at) {
				at = e.At
			}
		}
	}
	if at.IsZero() {
		return at, fault.New(fault.NotFound, "I cannot tell when the last deploy was. Say a time, like “in the last hour”.")
	}
	return at, nil
}

// lengthWords is a length of time as it is said.
func lengthWords(d time.Duration) string {
	for _, u := range []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if d >= u.d && d%u.d == 0 {
			if n := int(d / u.d); n > 1 {
				return strconv.Itoa(n) + " " + u.name + "s"
			}
			return u.name
		}
	}
	return d.String()
}

// gather reads what several workloads wrote, in the order of time.
func (d *logDesk) gather(ctx context.Context, refs []kube.Ref, q logs.Query) *finding {
	all := make([]*finding, len(refs))
	var wg sync.WaitGroup
	for i, ref := range refs {
		wg.Go(func() {
			q := q
			q.Target = targetOf(ref)
			all[i] = d.one(ctx, q)
		})
	}
	wg.Wait()
	if len(all) == 1 {
		return all[0]
	}
	var lines []observability.LogLine
	sum := &finding{}
	for _, f := range all {
		lines = append(lines, f.last...)
		sum.count, sum.errors = sum.count+f.count, sum.errors+f.errors
		sum.source, sum.note, sum.first = cmp.Or(sum.source, f.source), cmp.Or(sum.note, f.note), cmp.Or(sum.first, f.first)
		if f.first != nil {
			sum.note = cmp.Or(sum.note, fault.Say(f.first))
		}
	}
	slices.SortStableFunc(lines, func(a, b observability.LogLine) int { return a.At.Compare(b.At) })
	for _, l := range lines {
		sum.groups.Add(l)
	}
	if q.Tail > 0 {
		lines = lines[max(0, len(lines)-q.Tail):]
		sum.count = len(lines)
	}
	sum.last = lines[max(0, len(lines)-logsKept):]
	return sum
}

func targetOf(ref kube.Ref) observability.Target {
	return observability.Target{Cluster: ref.Cluster, Namespace: ref.Namespace, Kind: ref.Kind, Name: ref.Name}
}

// one reads one workload: from where logs are kept, and where that fails or has
// nothing of it, from its pods.
func (d *logDesk) one(ctx context.Context, q logs.Query) *finding {
	if d.Store == nil || q.Previous {
		return read(ctx, d.Pods, q)
	}
	// The pods must have time left, should the store be dead.
	half, cancel := context.WithTimeout(ctx, logsBudget*2/3)
	defer cancel()
	f := read(half, d.Store, q)
	if f.count > 0 {
		f.source = d.Name
		return f
	}
	pods := read(ctx, d.Pods, q)
	switch {
	case f.first != nil && fault.KindOf(f.first) != fault.NotFound:
		pods.note = strings.TrimSpace(fault.Say(f.first) + " This is what the pods themselves still have. " + pods.note)
	case pods.count > 0 && f.first != nil:
		pods.note = strings.TrimSpace(d.Name + " has nothing of it; this is what the pods themselves still have. " + pods.note)
	case pods.count == 0 && f.first == nil:
		return f // both say the same: nothing was written
	}
	return pods
}

// read reads a source to its end, or to that of the time there is.
func read(ctx context.Context, from logs.Source, q logs.Query) *finding {
	f := &finding{}
	for l, err := range from.Lines(ctx, q) {
		switch {
		case err == nil:
			f.add(l)
		case f.count > 0:
			f.note = fault.Say(err)
		default:
			f.first = err
		}
	}
	f.last = f.last[max(0, len(f.last)-logsKept):]
	return f
}

// tellLogs words what was read.
func (c *Crew) tellLogs(t *dialogue.Turn, refs []kube.Ref, q logs.Query, words string, f *finding) (dialogue.Reply, error) {
	var names []string
	for _, ref := range refs {
		names = append(names, ref.Name)
	}
	noun := "line"
	switch q.Level {
	case observability.LevelError, observability.LevelFatal:
		noun = "error"
	case observability.LevelWarning:
		noun = "warning"
	}
	shown, _ := t.Intent.Slots.Int("shown")
	data := dialogue.Data{
		"Names": names, "Place": c.place(refs[0]), "Count": f.count, "Noun": noun, "Errors": 0, "Window": words, "Filter": q.Filter, "Exclude": q.Exclude,
		"Tail": q.Tail, "Source": f.source, "Note": f.note, "Top": "", "TopCount": 0, "Most": false, "Patterns": []map[string]any{}, "Others": 0, "Left": 0, "Capped": false,
	}
	if noun == "line" {
		data["Errors"] = f.errors
	}
	if f.count == 0 {
		return t.Reply("logs.none", data)
	}
	patterns := f.groups.Patterns()
	if top := heard(patterns, noun == "line" && f.errors > 0); top != nil {
		of := f.count
		if noun == "line" && f.errors > 0 {
			of = f.errors
		}
		data["Top"], data["TopCount"], data["Most"] = spokenPattern(top.Template), top.Count, top.Count*2 > of && of > 1
	}
	end := max(0, len(f.last)-shown)
	page := f.last[max(0, end-logsPage):end]
	left := end - len(page)
	if !t.Session.Waiting() { // else "more" would not be heard: something else is to be answered first
		data["Left"] = left
	}
	key := "logs.some"
	switch {
	case shown > 0 && len(page) == 0:
		return t.Reply("logs.end", data)
	case shown > 0:
		key = "logs.more"
		data["Count"], data["Capped"] = len(page), left == 0 && f.count > len(f.last)
	case q.Tail == 0 && len(patterns) < f.count:
		data["Patterns"], data["Others"] = c.written(patterns), max(0, len(patterns)-logsPatterns)
	}
	r, err := t.Reply(key, data)
	if err != nil {
		return r, err
	}
	r.Blocks = []dialogue.Block{logBlock(page, len(refs) > 1 || several(page), c.logs.Now().Location())}
	if left > 0 && !t.Session.Waiting() {
		c.offerMore(t, q, words, shown+len(page))
	}
	return r, nil
}

// offerMore keeps what "more" would show. It is no question: whoever says
// something else is not asked again.
func (c *Crew) offerMore(t *dialogue.Turn, q logs.Query, words string, shown int) {
	in := intents.Intent{Name: t.Intent.Name, Slots: intents.Slots{}}
	for k, v := range t.Intent.Slots {
		in.Slots[k] = v
	}
	delete(in.Slots, "more")
	in.Slots["targets"] = []string{intents.TargetThem}
	in.Slots["shown"] = shown
	if !q.Window.From.IsZero() {
		in.Slots["from"], in.Slots["to"], in.Slots["window"] = q.Window.From.Format(time.RFC3339Nano), q.Window.To.Format(time.RFC3339Nano), words
	}
	t.Session.Question = &dialogue.Question{Intent: in, Slot: "more", Choices: []string{"more", "show more", "show me more", "older", "next"}}
}

// heard is the pattern that is said: of the errors where there are any.
func heard(patterns []observability.Pattern, errors bool) *observability.Pattern {
	for i := range patterns {
		if !errors || logs.AtLeast(patterns[i].Level, observability.LevelError) {
			return &patterns[i]
		}
	}
	return nil
}

// spokenPattern is a pattern for the ear: what varies is left out.
func spokenPattern(template string) string {
	s := strings.NewReplacer("<*>", " ", `"`, " ", "=", " ", "{", " ", "}", " ", "[", " ", "]", " ", "(", " ", ")", " ", "|", " ", "*", " ", "#", " ").Replace(template)
	var words []string
	n := 0
	for w := range strings.FieldsSeq(s) {
		if w = strings.Trim(w, ",:;-/"); w == "" {
			continue
		}
		if n += len(w) + 1; n > logsSpoken {
			break
		}
		words = append(words, w)
	}
	return strings.TrimRight(strings.Join(words, " "), ".")
}

// written are patterns for the eye: how often, how grave, and one example each.
func (c *Crew) written(patterns []observability.Pattern) []map[string]any {
	var out []map[string]any
	for _, p := range foremost(patterns) {
		out = append(out, map[string]any{
			"Count": p.Count, "Level": strings.ToUpper(string(p.Level)), "Template": clipped(p.Template), "Example": clipped(p.Example.Message),
			"At": p.Example.At.In(c.logs.Now().Location()).Format("15:04:05"), "Pod": p.Example.Pod, "Same": p.Count == 1 || p.Template == p.Example.Message,
		})
	}
	return out
}

// foremost are the most frequent patterns, of which the last places go to errors
// that are rarer.
func foremost(patterns []observability.Pattern) []observability.Pattern {
	out := slices.Clone(patterns[:min(len(patterns), logsPatterns)])
	at := len(out) - 1
	for _, p := range patterns[len(out):] {
		for at > 0 && logs.AtLeast(out[at].Level, observability.LevelError) {
			at--
		}
		if at < logsPatterns/2 {
			break
		}
		if logs.AtLeast(p.Level, observability.LevelError) {
			out[at] = p
			at--
		}
	}
	return out
}

func several(lines []observability.LogLine) bool {
	return slices.ContainsFunc(lines, func(l observability.LogLine) bool { return l.Pod != lines[0].Pod || l.Container != lines[0].Container })
}

// logBlock is lines for the eye.
func logBlock(lines []observability.LogLine, pods bool, zone *time.Location) dialogue.Block {
	b := dialogue.Block{Type: "log", Lines: slices.Clone(lines)}
	var text strings.Builder
	for i, l := range b.Lines {
		text.WriteString(logText(l, pods, zone))
		b.Lines[i].Raw = "" // what is shown is enough
	}
	b.Text = strings.TrimRight(text.String(), "\n")
	return b
}

// logText is a line as it is written: when, where, how grave, what, and the
// fields that matter; below it the beginning of its stack trace.
func logText(l observability.LogLine, pods bool, zone *time.Location) string {
	var b strings.Builder
	b.WriteString(l.At.In(zone).Format("15:04:05.000") + " ")
	if pods {
		b.WriteString(l.Pod + " ")
	}
	if l.Level != "" {
		b.WriteString(strings.ToUpper(string(l.Level)) + " ")
	}
	b.WriteString(clipped(l.Message))
	for _, f := range l.Fields {
		if !strings.Contains(l.Message, f.Value) {
			fmt.Fprintf(&b, " %s=%s", f.Key, clipped(f.Value))
		}
	}
	b.WriteByte('\n')
	frames := strings.Split(strings.Trim(l.Stack, "\n"), "\n")
	for i, frame := range frames {
		if l.Stack == "" || i == logsFrames {
			break
		}
		b.WriteString("    " + clipped(strings.TrimRight(frame, " \t")) + "\n")
	}
	if n := len(frames) - logsFrames; n > 0 {
		fmt.Fprintf(&b, "    … %d more\n", n)
	}
	return b.String()
}

// clipped is a strange text on one line and not too long.
func clipped(s string) string {
	s = strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace(s)
	if len(s) > logsWidth {
		s = strings.ToValidUTF8(s[:logsWidth], "") + "…"
	}
	return s
}
