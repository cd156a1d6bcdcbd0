// Package collect gathers the evidence of a diagnosis: from the cluster's
// objects, Prometheus, logs, Sentry, Alertmanager and traces. Each collector
// asks one of them, for the target, what it calls and who calls it, at the same
// time as the others and under their one deadline. It tells what it saw and
// when that began, never what it means; what it could not see it names.
package collect

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// Cluster is the clusters' objects; *kube.Fleet and *kube.View are one.
type Cluster interface {
	Find(ctx context.Context, q kube.Query) ([]kube.Workload, error)
	Survey(ctx context.Context, w kube.Workload) (kube.Survey, error)
	Behind(ctx context.Context, service kube.Ref) ([]kube.Workload, error)
}

// Question is what is measured, and of what.
type Question struct {
	Target     observability.Target
	Metric     observability.Metric
	Percentile float64 // of a latency
	Window     observability.Window
	Seen       observability.Window // in which it is found out how it is measured
	Step       time.Duration
	By         string // "", "pod", "version", "container", "peer" or "route"
}

// Answer is what was measured. Of lines that are told apart, the label that is
// named as Question.By says which one it is.
type Answer struct {
	Series []observability.Series
	Query  string
	Link   string
}

// Metrics measures. An error of Kind fault.NotFound says that nothing measures
// that: no trouble, but a fact.
type Metrics interface {
	Measure(ctx context.Context, q Question) (Answer, error)
	Instant(ctx context.Context, expr string, at time.Time) ([]observability.Series, error)
}

// Alerts are the alerts that fire; *alertmanager.Client is one.
type Alerts interface {
	Alerts(ctx context.Context, f alertmanager.Filter) ([]observability.Alert, error)
}

// Issues are what an error tracker found for workloads, new or come back since.
type Issues interface {
	Since(ctx context.Context, t observability.Target, since time.Time) ([]observability.Issue, error)
}

// Traces are spans of requests that went through a service.
type Traces interface {
	Traces(ctx context.Context, service string, w observability.Window, limit int) ([]observability.Span, error)
}

// Sources are where collectors look; what is nil is not there, and no collector
// asks it. Logs are those of the past, PodLogs what the cluster still has of
// its pods; one of them is enough, and the former is asked first.
type Sources struct {
	Cluster Cluster
	Metrics Metrics
	Logs    logs.Source
	PodLogs logs.Source
	Alerts  Alerts
	Issues  Issues
	Traces  Traces
	// Sees reports whether who asks may know of something: evidence that names what
	// they may not is left out. nil: they may know all.
	Sees func(ctx context.Context, o diagnosis.Object) bool
}

// New returns the collectors of one diagnosis. They share what they find out on
// the way, so another diagnosis needs new ones.
func New(s Sources) []diagnosis.Collector {
	l := &look{Sources: s}
	out := []diagnosis.Collector{objects{l}}
	if s.Metrics != nil {
		out = append(out, traffic{l}, saturation{l})
	}
	if s.Logs != nil || s.PodLogs != nil {
		out = append(out, said{l})
	}
	if s.Alerts != nil {
		out = append(out, alerts{l})
	}
	if s.Issues != nil {
		out = append(out, issues{l})
	}
	if s.Traces != nil {
		out = append(out, traced{l})
	}
	if s.Sees != nil {
		for i, c := range out {
			out[i] = seen{c, s.Sees}
		}
	}
	return out
}

// seen is a collector as far as who asks may know of what it finds.
type seen struct {
	diagnosis.Collector
	sees func(ctx context.Context, o diagnosis.Object) bool
}

// Collect leaves out what names objects that may not be seen.
func (s seen) Collect(ctx context.Context, r diagnosis.Request) ([]diagnosis.Evidence, error) {
	list, err := s.Collector.Collect(ctx, r)
	// What was found may be told though the time is up, if that is known soon.
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	known := map[diagnosis.Object]bool{}
	return slices.DeleteFunc(list, func(e diagnosis.Evidence) bool {
		return slices.ContainsFunc([]diagnosis.Object{e.About, e.Owner, e.Peer}, func(o diagnosis.Object) bool {
			yes, ok := known[o]
			if !ok {
				yes = s.sees(ask, o)
				known[o] = yes
			}
			return !yes
		})
	}), err
}

// once is something that is found out once, whoever asks first.
type once[T any] struct {
	do  sync.Once
	val T
	err error
}

func (o *once[T]) get(f func() (T, error)) (T, error) {
	o.do.Do(func() { o.val, o.err = f() })
	return o.val, o.err
}

// look is what the collectors of one diagnosis share.
type look struct {
	Sources

	around  once[*reach]
	spans   once[[]observability.Span]
	mu      sync.Mutex
	surveys map[kube.Ref]*once[kube.Survey]
	behind  map[string]*once[[]kube.Workload]
}

// survey looks at a workload once.
func (l *look) survey(ctx context.Context, w kube.Workload) (kube.Survey, error) {
	l.mu.Lock()
	if l.surveys == nil {
		l.surveys = map[kube.Ref]*once[kube.Survey]{}
	}
	o := l.surveys[w.Ref]
	if o == nil {
		o = &once[kube.Survey]{}
		l.surveys[w.Ref] = o
	}
	l.mu.Unlock()
	return o.get(func() (kube.Survey, error) { return l.Cluster.Survey(ctx, w) })
}

// atOnce is how many questions one collector asks at a time.
const atOnce = 12

// each does something with all of a list, several at a time, and waits.
func each[T any](list []T, f func(T)) {
	var wg sync.WaitGroup
	gate := make(chan struct{}, atOnce)
	for _, v := range list {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			f(v)
		})
	}
	wg.Wait()
}

// found is evidence that several find at the same time, with what could not be
// had.
type found struct {
	source string

	mu   sync.Mutex
	list []diagnosis.Evidence
	errs []error
}

func (f *found) add(all ...diagnosis.Evidence) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range all {
		if e.Source == "" {
			e.Source = f.source
		}
		f.list = append(f.list, e)
	}
}

// lacks notes an error, once each; that nothing measures something is none.
func (f *found) lacks(err error) bool {
	if err == nil {
		return false
	}
	if fault.KindOf(err) == fault.NotFound {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.ContainsFunc(f.errs, func(e error) bool { return fault.Say(e) == fault.Say(err) }) {
		f.errs = append(f.errs, err)
	}
	return true
}

// lastWord is how long work may take to give what it has when its time is over.
const lastWord = 80 * time.Millisecond

// until does a collector's work and gives what it found; at the deadline, what
// was found until then. Work that does not heed its context is left behind.
func (f *found) until(ctx context.Context, work func()) ([]diagnosis.Evidence, error) {
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		work()
	}()
	select {
	case p := <-done:
		if p != nil {
			panic(p) // for who asked this collector
		}
	case <-ctx.Done():
		select {
		case p := <-done:
			if p != nil {
				panic(p)
			}
		case <-time.After(lastWord):
		}
		// What failed meanwhile mostly failed for want of time.
		f.mu.Lock()
		f.errs = []error{fault.Wrap(ctx.Err(), fault.Unavailable, "Not all that I asked for came in time.")}
		f.mu.Unlock()
	}
	return f.give()
}

// give is what a collector returns. Several errors are one sentence after
// another.
func (f *found) give() ([]diagnosis.Evidence, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := slices.Clone(f.list) // somebody late may still add to it
	switch len(f.errs) {
	case 0:
		return list, nil
	case 1:
		return list, f.errs[0]
	}
	var say []string
	for _, e := range f.errs {
		say = append(say, fault.Say(e))
	}
	slices.Sort(say)
	return list, fault.Wrap(errors.Join(f.errs...), fault.KindOf(f.errs[0]), "%s", strings.Join(say, " "))
}

// textLimit bounds text of workloads, in characters.
const textLimit = 400

func clip(s string) string { return diagnosis.Clip(logs.Mask(s), textLimit) }

// object is a Ref as evidence names it.
func object(r kube.Ref) diagnosis.Object {
	return diagnosis.Object{Cluster: r.Cluster, Namespace: r.Namespace, Kind: r.Kind, Name: r.Name}
}

// past is how far before a window is looked, to have something to compare with:
// its own length, and not less than half an hour.
func past(w observability.Window) observability.Window {
	return observability.Window{From: w.From.Add(-max(w.Length(), 30*time.Minute)), To: w.From}
}

// span is a window with its past.
func span(w observability.Window) observability.Window {
	return observability.Window{From: past(w).From, To: w.To}
}
