package podlogs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
	"github.com/firstmate-ops/firstmate/internal/observability/podlogs"
)

// pods is a cluster whose logs are what a test writes.
type pods struct {
	mu      sync.Mutex
	streams []kube.LogStream
	logs    map[string]*log // by pod/container
	opened  []kube.LogOptions
	refuse  map[string]error
}

// log is a log that can be followed.
type log struct {
	mu    sync.Mutex
	text  []byte
	moved chan struct{}
	over  bool
}

func (l *log) write(at time.Time, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = fmt.Appendf(l.text, "%s %s\n", at.UTC().Format(time.RFC3339Nano), text)
	close(l.moved)
	l.moved = make(chan struct{})
}

func (l *log) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	close(l.moved)
	l.moved = make(chan struct{})
}

type reading struct {
	ctx    context.Context
	l      *log
	at     int
	follow bool
}

func (r *reading) Read(b []byte) (int, error) {
	for {
		r.l.mu.Lock()
		n := copy(b, r.l.text[r.at:])
		moved, over := r.l.moved, r.l.over
		r.l.mu.Unlock()
		r.at += n
		switch {
		case n > 0:
			return n, nil
		case !r.follow || over:
			return 0, io.EOF
		}
		select {
		case <-moved:
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		}
	}
}

func (r *reading) Close() error { return nil }

func (p *pods) add(pod, container string) *log {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &log{moved: make(chan struct{})}
	if p.logs == nil {
		p.logs = map[string]*log{}
	}
	p.logs[pod+"/"+container] = l
	p.streams = append(p.streams, kube.LogStream{Pod: kube.Ref{Namespace: "shop", Kind: kube.Pod, Name: pod}, UID: pod, Container: container, Running: true, Began: true})
	return l
}

func (p *pods) LogStreams(context.Context, kube.Ref) ([]kube.LogStream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.streams), nil
}

func (p *pods) OpenLog(ctx context.Context, s kube.LogStream, o kube.LogOptions) (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = append(p.opened, o)
	if err := p.refuse[s.Pod.Name]; err != nil {
		return nil, err
	}
	l := p.logs[s.Pod.Name+"/"+s.Container]
	r := &reading{ctx: ctx, l: l, follow: o.Follow}
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.Tail > 0 && !o.Follow {
		lines := bytes.SplitAfter(l.text, []byte("\n"))
		lines = lines[:len(lines)-1]
		for _, skipped := range lines[:max(0, len(lines)-int(o.Tail))] {
			r.at += len(skipped)
		}
	}
	for !o.Since.IsZero() { // to the second, as the real one
		text, _, ok := bytes.Cut(l.text[r.at:], []byte("\n"))
		if !ok {
			break
		}
		word, _, _ := bytes.Cut(text, []byte(" "))
		if at, err := time.Parse(time.RFC3339Nano, string(word)); err == nil && !at.Before(o.Since.Truncate(time.Second)) {
			break
		}
		r.at += len(text) + 1
	}
	return r, nil
}

func query() logs.Query {
	return logs.Query{Target: observability.Target{Namespace: "shop", Kind: kube.Deployment, Name: "web"}}
}

func collect(t *testing.T, ctx context.Context, r *podlogs.Reader, q logs.Query) ([]observability.LogLine, error) { //nolint:revive // t first, as everywhere in tests
	t.Helper()
	var out []observability.LogLine
	for l, err := range r.Lines(ctx, q) {
		if err != nil {
			return out, err
		}
		out = append(out, l)
	}
	return out, nil
}

var start = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

// TestMerged holds order and completeness over 50 pods, whose lines come in
// pieces of any size.
func TestMerged(t *testing.T) {
	p := &pods{}
	const each = 400
	for i := range 50 {
		l := p.add(fmt.Sprintf("web-%02d", i), "web")
		for n := range each {
			l.write(start.Add(time.Duration(n*50+(i*37)%50)*time.Millisecond), fmt.Sprintf("line %d of %d", n, i))
		}
	}
	got, err := collect(t, t.Context(), podlogs.New(p, podlogs.Options{}), query())
	if err != nil || len(got) != 50*each {
		t.Fatalf("%d lines, %v", len(got), err)
	}
	seen := map[string]int{}
	for i, l := range got {
		if i > 0 && l.At.Before(got[i-1].At) {
			t.Fatalf("%s after %s", l.At, got[i-1].At)
		}
		var pod int
		if _, err := fmt.Sscanf(l.Pod, "web-%d", &pod); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("line %d of %d", seen[l.Pod], pod); l.Message != want {
			t.Fatalf("%s says %q, want %q", l.Pod, l.Message, want)
		}
		seen[l.Pod]++
	}
}

func TestTail(t *testing.T) {
	p := &pods{}
	a, b := p.add("web-a", "web"), p.add("web-b", "web")
	for i := range 20 {
		a.write(start.Add(time.Duration(2*i)*time.Second), fmt.Sprintf("a%d", i))
		b.write(start.Add(time.Duration(2*i+1)*time.Second), fmt.Sprintf("ERROR b%d", i))
	}
	r := podlogs.New(p, podlogs.Options{})
	for _, c := range []struct {
		q    func(*logs.Query)
		want string
	}{
		{func(q *logs.Query) { q.Tail = 3 }, "b18 a19 b19"},
		{func(q *logs.Query) { q.Tail, q.Level = 2, observability.LevelError }, "b18 b19"},
		{func(q *logs.Query) { q.Tail, q.Filter = 2, "A1" }, "a18 a19"},
		{func(q *logs.Query) { q.Tail, q.Exclude = 2, "b" }, "a18 a19"},
		{func(q *logs.Query) { q.Window.From, q.Window.To = start.Add(3*time.Second), start.Add(5*time.Second) }, "b1 a2 b2"},
	} {
		q := query()
		c.q(&q)
		got, err := collect(t, t.Context(), r, q)
		var said []string
		for _, l := range got {
			said = append(said, l.Message)
		}
		if err != nil || strings.Join(said, " ") != c.want {
			t.Errorf("%+v: %v %v, want %s", q, said, err, c.want)
		}
	}
}

// TestFollow holds that new pods are followed as they come, that pods which go
// do no harm, that a log that breaks off goes on without a line lost or twice,
// and that lines come in order.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pods{}
		a := p.add("web-a", "web")
		a.write(time.Now().Add(-time.Minute), "long ago")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		var got []string
		done := make(chan struct{})
		q := query()
		q.Follow = true
		go func() {
			defer close(done)
			for l, err := range podlogs.New(p, podlogs.Options{}).Lines(ctx, q) {
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got = append(got, l.Message)
				mu.Unlock()
			}
		}()
		time.Sleep(time.Second)
		a.write(time.Now(), "one")
		time.Sleep(time.Second)
		b := p.add("web-b", "web")
		b.write(time.Now(), "two")
		time.Sleep(1500 * time.Millisecond)
		// The later line arrives first, the earlier one within the wait.
		at := time.Now()
		b.write(at.Add(2*time.Millisecond), "four")
		time.Sleep(50 * time.Millisecond)
		a.write(at, "three")
		time.Sleep(time.Second)
		a.end() // the connection breaks; the container runs on
		a.mu.Lock()
		a.over = false
		a.mu.Unlock()
		a.write(at, "three again") // the same moment as the last line
		time.Sleep(2500 * time.Millisecond)
		p.mu.Lock()
		p.streams = p.streams[:1] // web-b is gone
		p.mu.Unlock()
		b.end()
		a.write(time.Now(), "panic: x")
		a.write(time.Now(), "")
		a.write(time.Now(), "goroutine 1 [running]:")
		time.Sleep(2 * time.Second)
		a.write(time.Now(), "five")
		time.Sleep(time.Second)
		cancel()
		<-done
		if want := "one two three four three again panic: x five"; strings.Join(got, " ") != want {
			t.Errorf("%q, want %q", strings.Join(got, " "), want)
		}
	})
}

// TestTailAndFollow shows the last lines, then goes on without repeating them.
func TestTailAndFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pods{}
		a := p.add("web-a", "web")
		for i := range 9 {
			a.write(time.Now(), fmt.Sprintf("old %d", i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		time.AfterFunc(2*time.Second, func() { a.write(time.Now(), "new") })
		q := query()
		q.Tail, q.Follow = 2, true
		got, err := collect(t, ctx, podlogs.New(p, podlogs.Options{}), q)
		if err != nil || len(got) != 3 || got[0].Message != "old 7" || got[2].Message != "new" {
			t.Errorf("%v %v", got, err)
		}
	})
}

// TestPartly names what could not be read, after what could.
func TestPartly(t *testing.T) {
	p := &pods{refuse: map[string]error{"web-b": fault.New(fault.Unavailable, "The node does not answer."), "web-c": fault.New(fault.NotFound, "gone")}}
	p.add("web-a", "web").write(start, "hello")
	p.add("web-b", "web")
	p.add("web-c", "web")
	got, err := collect(t, t.Context(), podlogs.New(p, podlogs.Options{}), query())
	if len(got) != 1 || fault.Say(err) != "I could not read the logs of web-b." {
		t.Errorf("%v, %q", got, fault.Say(err))
	}
	p.refuse["web-a"] = fault.New(fault.Forbidden, "Not allowed.")
	p.refuse["web-b"] = p.refuse["web-a"]
	if got, err = collect(t, t.Context(), podlogs.New(p, podlogs.Options{}), query()); len(got) != 0 || fault.Say(err) != "Not allowed." {
		t.Errorf("%v, %q", got, fault.Say(err))
	}
}

// TestASlowPodEndsAtTheDeadline holds that a log which never comes holds nobody
// past the deadline, and that this is said.
func TestASlowPodEndsAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &hanging{}
		p.add("web-a", "web").write(start, "hello")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		_, err := collect(t, ctx, podlogs.New(p, podlogs.Options{}), query())
		if took := time.Since(began); took > 2100*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) || fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%v after %s", err, took)
		}
	})
}

type hanging struct{ pods }

func (*hanging) OpenLog(ctx context.Context, _ kube.LogStream, _ kube.LogOptions) (io.ReadCloser, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestChosenContainers are those that a query is about.
func TestChosenContainers(t *testing.T) {
	p := &pods{}
	for _, c := range []string{"web", "istio-proxy"} {
		p.add("web-a", c).write(start, c)
	}
	init := p.add("web-a", "migrate")
	init.write(start, "migrate")
	p.streams[2].Init, p.streams[2].Running = true, false
	said := func(change func(*logs.Query)) string {
		q := query()
		change(&q)
		got, err := collect(t, t.Context(), podlogs.New(p, podlogs.Options{}), q)
		var out []string
		for _, l := range got {
			out = append(out, l.Message)
		}
		if err != nil {
			out = append(out, fault.Say(err))
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		name   string
		change func(*logs.Query)
		want   string
	}{
		{"all of the application", func(*logs.Query) {}, "istio-proxy web"},
		{"one", func(q *logs.Query) { q.Container = "istio-proxy" }, "istio-proxy"},
		{"init", func(q *logs.Query) { q.Container = "init" }, "migrate"},
		{"by its name", func(q *logs.Query) { q.Container = "migrate" }, "migrate"},
		{"none of that name", func(q *logs.Query) { q.Container = "db" }, "web has no container db. It has web, istio-proxy, migrate."},
		{"previous", func(q *logs.Query) { q.Previous = true }, "No container of web has restarted, so there is no previous log."},
	} {
		if got := said(c.change); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	p.streams[0].Default = true
	if got := said(func(*logs.Query) {}); got != "web" {
		t.Errorf("with a default container: %q", got)
	}
	p.streams[0].Default, p.streams[0].Again = false, true
	if got := said(func(q *logs.Query) { q.Previous = true }); got != "web" || !p.opened[len(p.opened)-1].Previous {
		t.Errorf("previous: %q", got)
	}
	p.streams[0].Began, p.streams[0].Again, p.streams[1].Began, p.streams[2].Failed = false, false, false, true
	if got := said(func(*logs.Query) {}); got != "migrate" {
		t.Errorf("where the init container keeps the others from beginning: %q", got)
	}
}

// TestSlowReaderHoldsLittle holds that a log is not read ahead of who listens.
func TestSlowReaderHoldsLittle(t *testing.T) {
	p := &pods{}
	for i := range 4 {
		l := p.add(fmt.Sprintf("web-%d", i), "web")
		l.text = bytes.Repeat([]byte(start.Format(time.RFC3339Nano)+" "+strings.Repeat("x", 100)+"\n"), 200_000)
	}
	p.mu.Lock()
	counting := &counted{pods: p}
	p.mu.Unlock()
	n := 0
	for _, err := range podlogs.New(counting, podlogs.Options{}).Lines(t.Context(), query()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 10 {
			time.Sleep(200 * time.Millisecond) // time to read all of it, if anything did
			break
		}
	}
	if read := counting.bytes(); read > 8<<20 {
		t.Errorf("%d MB were read for 10 lines", read>>20)
	}
}

type counted struct {
	*pods
	mu sync.Mutex
	n  int
}

func (c *counted) bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (c *counted) OpenLog(ctx context.Context, s kube.LogStream, o kube.LogOptions) (io.ReadCloser, error) {
	rc, err := c.pods.OpenLog(ctx, s, o)
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(rc, writerFunc(func(b []byte) {
		c.mu.Lock()
		c.n += len(b)
		c.mu.Unlock()
	})), rc}, err
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func BenchmarkMerge50(b *testing.B) {
	p := &pods{}
	for i := range 50 {
		l := p.add(fmt.Sprintf("web-%02d", i), "web")
		for n := range 1000 {
			l.text = fmt.Appendf(l.text, "%s {\"level\":\"info\",\"msg\":\"order placed\",\"order\":\"%d\",\"took_ms\":%d}\n", start.Add(time.Duration(n*50+i)*time.Millisecond).Format(time.RFC3339Nano), n, i)
		}
	}
	lines := 0
	for b.Loop() {
		for _, err := range podlogs.New(p, podlogs.Options{}).Lines(b.Context(), query()) {
			if err != nil {
				b.Fatal(err)
			}
			lines++
		}
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
}
