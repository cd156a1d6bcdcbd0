package parity_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/grafana/loki/v3/pkg/logcli/client"
	"github.com/grafana/loki/v3/pkg/logcli/volume"
	"github.com/grafana/loki/v3/pkg/loghttp"
	"github.com/grafana/loki/v3/pkg/logproto"
	"github.com/prometheus/common/model"

	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/loki"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// stream, series and field are what both clients' answers are brought to.
type stream struct {
	Labels  string
	Entries []loki.Entry
}

type series struct {
	Labels string
	Points []observability.Point
}

// name writes labels in one order, so that answers can be sorted by them.
func name(labels map[string]string) string {
	var b bytes.Buffer
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&b, "%s=%q ", k, labels[k])
	}
	return b.String()
}

func ours(r loki.Result) (streams []stream, all []series) {
	for _, s := range r.Streams {
		streams = append(streams, stream{name(s.Labels), s.Entries})
	}
	return sortStreams(streams), ourSeries(r.Series)
}

func ourSeries(in []observability.Series) (all []series) {
	for _, s := range in {
		all = append(all, series{name(s.Labels), s.Points})
	}
	return sortSeries(all)
}

func theirStreams(in []loghttp.Stream) (streams []stream) {
	for _, s := range in {
		x := stream{Labels: name(s.Labels)}
		for _, e := range s.Entries {
			x.Entries = append(x.Entries, loki.Entry{At: e.Timestamp.UTC(), Line: e.Line})
		}
		streams = append(streams, x)
	}
	return sortStreams(streams)
}

func theirs(t *testing.T, r *loghttp.QueryResponse) (streams []stream, all []series) {
	t.Helper()
	labels := func(m model.Metric) string {
		out := map[string]string{}
		for k, v := range m {
			out[string(k)] = string(v)
		}
		return name(out)
	}
	point := func(at model.Time, v model.SampleValue) observability.Point {
		return observability.Point{At: at.Time().UTC(), Value: float64(v)}
	}
	switch d := r.Data.Result.(type) {
	case loghttp.Streams:
		streams = theirStreams(d)
	case loghttp.Matrix:
		for _, s := range d {
			x := series{Labels: labels(s.Metric)}
			for _, v := range s.Values {
				x.Points = append(x.Points, point(v.Timestamp, v.Value))
			}
			all = append(all, x)
		}
	case loghttp.Vector:
		for _, s := range d {
			all = append(all, series{labels(s.Metric), []observability.Point{point(s.Timestamp, s.Value)}})
		}
	default:
		t.Fatalf("an answer of the type %T", d)
	}
	return streams, sortSeries(all)
}

func sortStreams(s []stream) []stream {
	slices.SortFunc(s, func(a, b stream) int { return cmp.Compare(a.Labels, b.Labels) })
	return s
}

func sortSeries(s []series) []series {
	slices.SortFunc(s, func(a, b series) int { return cmp.Compare(a.Labels, b.Labels) })
	return s
}

// equal holds that two answers are the same, and that there is something in them.
func equal(t *testing.T, what string, mine, other any) {
	t.Helper()
	a, err := json.Marshal(mine)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case !bytes.Equal(a, b):
		t.Errorf("%s: ours says\n  %.2000s\nlogcli\n  %.2000s", what, a, b)
	case len(a) < 10:
		t.Errorf("%s: both say %s: nothing was compared", what, a)
	}
}

// push writes lines as an agent would.
func push(t *testing.T, url string, labels map[string]string, at time.Time, step time.Duration, lines ...string) {
	t.Helper()
	var values [][2]string
	for i, l := range lines {
		values = append(values, [2]string{strconv.FormatInt(at.Add(time.Duration(i)*step).UnixNano(), 10), l})
	}
	b, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": values}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(url+"/loki/api/v1/push", "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode/100 != 2 {
		t.Fatalf("push: %s", r.Status)
	}
}

// both is a Loki with lines in it, and the two clients.
type both struct {
	url   string
	ours  *loki.Client
	cli   *client.DefaultClient
	base  time.Time
	w     observability.Window
	lines int
}

func start(t *testing.T) both {
	t.Helper()
	s := sandboxtest.Loki(t)
	b, err := backend.New(backend.Options{Name: "Loki", URL: s.URL, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	x := both{url: s.URL, ours: loki.New(b, loki.Options{}), cli: &client.DefaultClient{Address: s.URL}, lines: 300}
	x.base = time.Now().UTC().Add(-10 * time.Minute).Truncate(time.Second)
	x.w = observability.Window{From: x.base.Add(-time.Minute), To: x.base.Add(9 * time.Minute)}
	for p, pod := range []string{"web-7d4b9c6f5-x2x8k", "web-7d4b9c6f5-abcde", `o"d\d/ü`} {
		var lines []string
		for i := range x.lines {
			switch i % 3 {
			case 0:
				lines = append(lines, fmt.Sprintf(`{"level":"info","msg":"order %d placed","took_ms":%d,"pod":%d}`, i, i*7%180, p))
			case 1:
				lines = append(lines, fmt.Sprintf(`level=error msg="charge \"%d\" declined" code=%d`, i, 500+i%4))
			default:
				lines = append(lines, fmt.Sprintf("Größe %d\tpath=C:\\tmp\\%d 🙂 `x`", i, p))
			}
		}
		push(t, x.url, map[string]string{"namespace": "shop", "app": "web", "pod": pod}, x.base.Add(time.Duration(p)*13*time.Millisecond), time.Second, lines...)
	}
	push(t, x.url, map[string]string{"namespace": "staging", "app": "cart", "pod": "cart-0"}, x.base, 0, "several", "of", "one", "moment")
	return x
}

// TestTheSameAsLogcli sends every kind of question that our client knows
// through Grafana's as well, to one Loki, and holds that the answers are equal.
func TestTheSameAsLogcli(t *testing.T) {
	x := start(t)
	ctx := t.Context()

	for _, query := range []string{
		`{namespace="shop"}`,
		`{namespace=~"shop|staging", app!="cart"} |= "declined"`,
		`{namespace="shop"} |= "C:\\tmp" != "Größe 2"`,
		"{namespace=\"shop\"} |~ `(?i)größe \\d+5\\b`",
		`{pod="o\"d\\d/ü"} | logfmt | code >= 502`,
		`{app="web"} | json | took_ms > 100 | line_format "{{.msg}} {{.took_ms}}"`,
		`{app="cart"}`,
	} {
		for _, limit := range []int{1, 7, 5000} {
			for _, forward := range []bool{false, true} {
				direction := logproto.BACKWARD
				if forward {
					direction = logproto.FORWARD
				}
				mine, err := x.ours.Range(ctx, query, x.w, limit, forward, 0)
				if err != nil {
					t.Fatal(query, err)
				}
				other, err := x.cli.QueryRange(query, limit, x.w.From, x.w.To, direction, 0, 0, true)
				if err != nil {
					t.Fatal(query, err)
				}
				a, _ := ours(mine)
				b, _ := theirs(t, other)
				equal(t, fmt.Sprintf("%s, %d, forward %v", query, limit, forward), a, b)
			}
		}
	}

	for _, query := range []string{
		`sum by (pod) (count_over_time({namespace="shop"}[1m]))`,
		`sum(rate({app="web"} |= "declined" [2m]))`,
		`quantile_over_time(0.99, {app="web"} | json | unwrap took_ms | __error__="" [1m]) by (pod)`,
		`count_over_time({app="cart"}[5m]) / 0`, // infinite
	} {
		for _, step := range []time.Duration{0, 30 * time.Second, 90 * time.Second} {
			mine, err := x.ours.Range(ctx, query, x.w, 100, false, step)
			if err != nil {
				t.Fatal(query, err)
			}
			other, err := x.cli.QueryRange(query, 100, x.w.From, x.w.To, logproto.BACKWARD, step, 0, true)
			if err != nil {
				t.Fatal(query, err)
			}
			_, a := ours(mine)
			_, b := theirs(t, other)
			equal(t, fmt.Sprintf("%s every %v", query, step), fmt.Sprint(a), fmt.Sprint(b))
		}
		at := x.base.Add(3 * time.Minute)
		mine, err := x.ours.Query(ctx, query, at, 100)
		if err != nil {
			t.Fatal(query, err)
		}
		other, err := x.cli.Query(query, 100, at, logproto.BACKWARD, true)
		if err != nil {
			t.Fatal(query, err)
		}
		_, a := ours(mine)
		_, b := theirs(t, other)
		equal(t, query+" at a moment", fmt.Sprint(a), fmt.Sprint(b))
	}
}

// TestWhatThereIs is the same for labels, streams and how much there is of them.
func TestWhatThereIs(t *testing.T) {
	x := start(t)
	ctx := t.Context()
	sorted := func(s []string) []string { return slices.Sorted(slices.Values(s)) }

	mine, err := x.ours.Labels(ctx, x.w)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x.cli.ListLabelNames(true, x.w.From, x.w.To)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "labels", sorted(mine), sorted(other.Data))
	for _, label := range []string{"namespace", "app", "pod"} {
		mine, err := x.ours.Values(ctx, label, "", x.w)
		if err != nil {
			t.Fatal(err)
		}
		other, err := x.cli.ListLabelValues(label, true, x.w.From, x.w.To)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "values of "+label, sorted(mine), sorted(other.Data))
	}

	for _, selectors := range [][]string{{`{namespace="shop"}`}, {`{app="cart"}`, `{pod=~"web-.*"}`}, {`{pod="o\"d\\d/ü"}`}} {
		mine, err := x.ours.Series(ctx, selectors, x.w)
		if err != nil {
			t.Fatal(err)
		}
		other, err := x.cli.Series(selectors, x.w.From, x.w.To, true)
		if err != nil {
			t.Fatal(err)
		}
		var a, b []string
		for _, s := range mine {
			a = append(a, name(s))
		}
		for _, s := range other.Data {
			b = append(b, name(s))
		}
		equal(t, fmt.Sprint("series of ", selectors), sorted(a), sorted(b))
	}

	// The index knows of a chunk once that is written.
	if r, err := http.Post(x.url+"/flush", "", nil); err != nil || r.Body.Close() != nil || r.StatusCode/100 != 2 {
		t.Fatal("flush: ", r, err)
	}
	// They are written one after the other: of all streams, before two ask for the same.
	all := `{namespace=~".+"}`
	series, err := x.cli.Series([]string{all}, x.w.From, x.w.To, true)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		known, err := x.cli.GetStats(all, x.w.From, x.w.To, true)
		if err == nil && known.Streams >= uint64(len(series.Data)) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the index knows %+v of %d streams, %v", known, len(series.Data), err)
		}
	}
	for _, selector := range []string{`{namespace="shop"}`, `{app=~"web|cart"}`} {
		stats, err := x.ours.Stats(ctx, selector, x.w)
		if err != nil {
			t.Fatal(err)
		}
		known, err := x.cli.GetStats(selector, x.w.From, x.w.To, true)
		if err != nil {
			t.Fatal(err)
		}
		if stats.Entries == 0 {
			t.Errorf("the index knows no line of %s", selector)
		}
		equal(t, "stats of "+selector, stats, loki.Stats{Streams: known.Streams, Chunks: known.Chunks, Bytes: known.Bytes, Entries: known.Entries})

		for _, by := range [][]string{nil, {"pod"}, {"namespace", "app"}} {
			mine, err := x.ours.Volume(ctx, selector, x.w, 100, by...)
			if err != nil {
				t.Fatal(err)
			}
			other, err := x.cli.GetVolume(&volume.Query{QueryString: selector, Start: x.w.From, End: x.w.To, Limit: 100, TargetLabels: by, Quiet: true})
			if err != nil {
				t.Fatal(err)
			}
			_, b := theirs(t, other)
			equal(t, fmt.Sprintf("volume of %s by %v", selector, by), ourSeries(mine), b)
		}

		// Loki looks at a hundred lines where it is not told how many.
		fields, err := x.ours.DetectedFields(ctx, selector, x.w, 50)
		if err != nil {
			t.Fatal(err)
		}
		found, err := x.cli.GetDetectedFields(selector, "", 50, 100, x.w.From, x.w.To, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		var a, b []string
		for _, f := range fields {
			a = append(a, fmt.Sprint(f.Label, f.Type, f.Cardinality, sorted(f.Parsers)))
		}
		for _, f := range found.Fields {
			b = append(b, fmt.Sprint(f.Label, f.Type, f.Cardinality, sorted(f.Parsers)))
		}
		equal(t, "fields of "+selector, sorted(a), sorted(b))
	}
}

// TestRefused holds that what logcli is refused is an error of ours too.
func TestRefused(t *testing.T) {
	x := start(t)
	for _, query := range []string{`{namespace=`, `{}`, `{app="web"} | nonsense`} {
		if _, err := x.cli.QueryRange(query, 1, x.w.From, x.w.To, logproto.BACKWARD, 0, 0, true); err == nil {
			t.Errorf("logcli is not refused %s", query)
		}
		if _, err := x.ours.Range(t.Context(), query, x.w, 1, false, 0); err == nil {
			t.Errorf("we are not refused %s", query)
		}
	}
}

// TestTail follows with both, while lines come.
func TestTail(t *testing.T) {
	x := start(t)
	const query, count = `{app="tailed"} |= "new"`, 40
	from := time.Now().Add(-time.Second)
	conn, err := x.cli.LiveTailQueryConn(query, 0, 1000, from, true)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	type result struct {
		lines []string
		err   error
	}
	mine, other := make(chan result, 1), make(chan result, 1)
	go func() {
		var r result
		r.err = x.ours.Tail(t.Context(), query, from, func(all []loki.Stream) bool {
			for _, s := range all {
				for _, e := range s.Entries {
					r.lines = append(r.lines, fmt.Sprint(e.At.UnixNano(), name(s.Labels), e.Line))
				}
			}
			return len(r.lines) < count
		})
		mine <- r
	}()
	go func() {
		var r result
		for len(r.lines) < count && r.err == nil {
			var m loghttp.TailResponse
			var text []byte
			if _, text, r.err = conn.ReadMessage(); r.err == nil {
				r.err = json.Unmarshal(text, &m)
			}
			for _, s := range theirStreams(m.Streams) {
				for _, e := range s.Entries {
					r.lines = append(r.lines, fmt.Sprint(e.At.UnixNano(), s.Labels, e.Line))
				}
			}
		}
		other <- r
	}()
	// Loki begins with both some time after it has said that it does.
	time.Sleep(3 * time.Second)
	for i := range count {
		push(t, x.url, map[string]string{"app": "tailed", "pod": strconv.Itoa(i % 3)}, time.Now(), time.Millisecond, fmt.Sprintf("new %d", i), "old")
	}
	var got [2]result
	for i, from := range []chan result{mine, other} {
		select {
		case got[i] = <-from:
		case <-time.After(30 * time.Second):
			t.Fatalf("only client %d ended", 1-i)
		}
		if got[i].err != nil {
			t.Fatal(got[i].err)
		}
		slices.Sort(got[i].lines)
	}
	equal(t, "tail", got[0].lines, got[1].lines)
}
