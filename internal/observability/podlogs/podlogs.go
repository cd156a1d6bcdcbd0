// Package podlogs reads the logs of all pods of a workload through the API
// server, merged in the order of time as one stream: what Loki is asked for
// where there is none. It is a logs.Source.
//
// Memory is bounded: each pod's log waits, unread, for the others while its
// turn has not come. Who follows waits a moment for the pods that are silent,
// so that lines which came by different ways still come in their order.
package podlogs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// Cluster is where logs are; *kube.Fleet is one.
type Cluster interface {
	LogStreams(ctx context.Context, ref kube.Ref) ([]kube.LogStream, error)
	OpenLog(ctx context.Context, s kube.LogStream, o kube.LogOptions) (io.ReadCloser, error)
}

// Options are how a Reader behaves.
type Options struct {
	Masker logs.Masker
	// Wait is how long a line waits for earlier ones of other pods while a log is
	// followed; 0 is 300 ms.
	Wait time.Duration
	// Poll is how often new pods are looked for while a log is followed; 0 is a second.
	Poll time.Duration
	// Streams is how many logs are read at once, those of the newest pods; 0 is 256.
	Streams int
	// Lines is how many lines of each log are read at most, the newest; 0 is 200,000.
	Lines int
}

// Reader reads pod logs.
type Reader struct {
	cluster Cluster
	opt     Options
}

// New returns a Reader of the pods of a cluster.
func New(c Cluster, o Options) *Reader {
	o.Wait = cmp.Or(o.Wait, 300*time.Millisecond)
	o.Poll = cmp.Or(o.Poll, time.Second)
	o.Streams = cmp.Or(o.Streams, 256)
	o.Lines = cmp.Or(o.Lines, 200_000)
	return &Reader{cluster: c, opt: o}
}

// Lines gives the lines that a query asks for, oldest first. What could not be
// read is said at the end, by an error that names it; following ends with ctx.
func (r *Reader) Lines(ctx context.Context, q logs.Query) iter.Seq2[observability.LogLine, error] {
	return func(yield func(observability.LogLine, error) bool) {
		run, cancel := context.WithCancel(ctx)
		defer cancel()
		m := &merger{r: r, ctx: run, q: q, wake: make(chan struct{}, 1), known: map[string]*pump{}}
		defer m.wait() // nothing reads on once the caller has gone; cancel comes first
		defer cancel()
		more := true
		give := func(l observability.LogLine) bool {
			more = yield(l, nil)
			return more
		}
		if q.Tail > 0 {
			m.tail(give)
		} else {
			if q.Follow && q.Window.From.IsZero() {
				m.q.Window.From = time.Now()
			}
			m.all(q.Follow, give)
		}
		if !more || q.Follow && ctx.Err() != nil && m.fatal == nil {
			return
		}
		if err := m.missing(ctx); err != nil {
			yield(observability.LogLine{}, err)
		}
	}
}

// merger is the reading of one query.
type merger struct {
	r      *Reader
	ctx    context.Context
	q      logs.Query
	wake   chan struct{} // a pump has something, or has ended
	pumps  []*pump       // that are read
	known  map[string]*pump
	fatal  error    // nothing could be read
	failed []string // logs that could not be read, and why
	left   int      // logs that were left out because there are too many
	looked time.Time
}

func (m *merger) wait() {
	for _, p := range m.known {
		<-p.ended
	}
}

// tail gives the last lines of all logs together, then goes on if that is asked for.
func (m *merger) tail(give func(observability.LogLine) bool) {
	follow := m.q.Follow
	m.q.Follow = false
	var ring []observability.LogLine
	at := 0
	m.all(false, func(l observability.LogLine) bool {
		if len(ring) < m.q.Tail {
			ring = append(ring, l)
		} else {
			ring[at] = l
			at = (at + 1) % len(ring)
		}
		return true
	})
	for i := range ring {
		if !give(ring[(at+i)%len(ring)]) {
			return
		}
	}
	if !follow || m.fatal != nil || m.ctx.Err() != nil {
		return
	}
	m.q.Follow, m.q.Tail = true, 0
	for _, p := range m.known {
		p.resume = true
	}
	m.all(true, give)
}

// all merges the logs, and goes on for ever where it follows.
func (m *merger) all(follow bool, give func(observability.LogLine) bool) {
	if err := m.look(); err != nil {
		m.fatal = err
		return
	}
	m.looked = time.Now()
	var ready heads
	waiting := slices.Clone(m.pumps)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if follow && time.Since(m.looked) >= m.r.opt.Poll {
			m.looked = time.Now()
			if err := m.look(); err == nil { // else: what is open goes on; it is looked again
				for _, p := range m.pumps {
					if !slices.Contains(waiting, p) && !ready.has(p) {
						waiting = append(waiting, p)
					}
				}
			}
		}
		waiting = slices.DeleteFunc(waiting, func(p *pump) bool {
			switch some, over := p.take(follow, m.r.opt.Wait); {
			case some:
				ready.push(p)
				return true
			case over:
				m.pumps = slices.DeleteFunc(m.pumps, func(o *pump) bool { return o == p })
				return true
			}
			return false
		})
		if len(waiting) == 0 && len(ready) == 0 && !follow {
			return
		}
		// The earliest line is next once every log has shown its own, or, where it
		// follows, once it has waited long enough for the silent ones.
		if len(ready) > 0 && (len(waiting) == 0 || follow && time.Since(ready[0].since) >= m.r.opt.Wait) {
			if !m.emit(&ready, &waiting, give) {
				return
			}
			continue
		}
		pause := time.Hour
		if follow {
			pause = min(m.r.opt.Wait/2, max(time.Millisecond, m.r.opt.Poll-time.Since(m.looked)))
		}
		timer.Reset(pause)
		select {
		case <-m.ctx.Done():
			return
		case <-m.wake:
		case <-timer.C:
		}
	}
}

// emit gives the lines of the log whose head is the earliest, as long as it is.
func (m *merger) emit(ready *heads, waiting *[]*pump, give func(observability.LogLine) bool) bool {
	p := ready.pop()
	for len(p.head) > 0 && (len(*ready) == 0 || !before((*ready)[0], p)) {
		l := p.head[0]
		p.head = p.head[1:]
		if !give(l) {
			return false
		}
	}
	if len(p.head) > 0 {
		ready.push(p)
	} else {
		*waiting = append(*waiting, p)
	}
	return m.ctx.Err() == nil
}

// look finds the logs to read, and begins with those that are new or have begun anew.
func (m *merger) look() error {
	t := m.q.Target
	all, err := m.r.cluster.LogStreams(m.ctx, kube.Ref{Cluster: t.Cluster, Namespace: t.Namespace, Kind: t.Kind, Name: t.Name})
	if err != nil {
		return err
	}
	chosen, err := choose(all, m.q)
	if err != nil && !m.q.Follow {
		return err
	}
	if n := len(chosen) - m.r.opt.Streams; n > 0 {
		m.left = n
		slices.SortStableFunc(chosen, func(a, b kube.LogStream) int { return b.Created.Compare(a.Created) })
		chosen = chosen[:m.r.opt.Streams]
	}
	for _, s := range chosen {
		key := s.UID + "/" + s.Container
		old := m.known[key]
		switch {
		case old == nil:
		case old.resume, m.q.Follow && old.done() && s.Running && (s.Restarts > old.stream.Restarts || old.broken()):
		default:
			continue
		}
		p := newPump(m, s)
		if old != nil {
			<-old.ended
			p.mark = old.mark
			if old.resume { // only its end was read: how many of that moment came before is not known
				p.mark.lines = math.MaxInt
			}
			m.pumps = slices.DeleteFunc(m.pumps, func(o *pump) bool { return o == old && o.drained() })
		}
		m.known[key] = p
		m.pumps = append(m.pumps, p)
		go p.run()
	}
	return nil
}

// missing says what could not be read.
func (m *merger) missing(ctx context.Context) error {
	var cut []string
	var first error
	lines := 0
	for _, key := range slices.Sorted(maps.Keys(m.known)) {
		p := m.known[key]
		<-p.ended
		lines += p.count
		switch err := p.problem(); {
		case err == nil || ctx.Err() != nil || errors.Is(err, context.Canceled):
		case fault.KindOf(err) == fault.NotFound && len(m.known) > 1:
			// A pod that went meanwhile, or had no such log: the others had.
		default:
			first = cmp.Or(first, err)
			m.failed = append(m.failed, p.stream.Pod.Name)
		}
		if p.count >= m.r.opt.Lines && m.q.Tail == 0 {
			cut = append(cut, p.stream.Pod.Name)
		}
	}
	switch {
	case m.fatal != nil:
		return m.fatal
	case lines == 0 && first != nil:
		return first // all for the same reason, most likely
	case ctx.Err() != nil:
		return fault.Wrap(ctx.Err(), fault.Unavailable, "The logs are longer than I could read in time; the newest are missing. Ask for a shorter time.")
	case len(m.failed) > 0:
		slices.Sort(m.failed)
		return fault.New(fault.Unavailable, "I could not read the logs of %s.", some(m.failed))
	case m.left > 0:
		return fault.New(fault.Unavailable, "There are %d more pods, whose logs I did not read.", m.left)
	case len(cut) > 0:
		slices.Sort(cut)
		return fault.New(fault.Unavailable, "The logs of %s are longer than I read; the oldest lines are missing.", some(cut))
	}
	return nil
}

// some names at most three.
func some(names []string) string {
	if n := len(names); n > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), n-3)
	}
	return strings.Join(names, ", ")
}

// choose picks the containers that a query is about.
func choose(all []kube.LogStream, q logs.Query) ([]kube.LogStream, error) {
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, "%s has no pods, so there are no logs.", q.Target.Name)
	}
	began := map[string]bool{} // pods whose application has begun
	named, marked := false, false
	for _, s := range all {
		began[s.UID] = began[s.UID] || !s.Init && s.Began
		named = named || s.Container == q.Container
		marked = marked || s.Default
	}
	var out []kube.LogStream
	var names []string
	for _, s := range all {
		if !slices.Contains(names, s.Container) {
			names = append(names, s.Container)
		}
		wanted := false
		switch {
		case named:
			wanted = s.Container == q.Container
		case q.Container == "init":
			wanted = s.Init
		case q.Container != "":
		case s.Init:
			wanted = s.Failed && !began[s.UID] || !began[s.UID] && s.Running // what keeps the application from beginning
		case marked:
			wanted = s.Default
		default:
			wanted = true
		}
		if wanted && (q.Previous && s.Again || !q.Previous && (s.Began || q.Follow)) && (s.Began || !q.Follow) {
			out = append(out, s)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case q.Container != "" && !named && q.Container != "init":
		return nil, fault.New(fault.NotFound, "%s has no container %s. It has %s.", q.Target.Name, q.Container, strings.Join(names, ", "))
	case q.Previous:
		return nil, fault.New(fault.NotFound, "No container of %s has restarted, so there is no previous log.", q.Target.Name)
	}
	return nil, fault.New(fault.NotFound, "No container of %s has begun yet, so there are no logs.", q.Target.Name)
}
