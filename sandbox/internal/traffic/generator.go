// Package traffic is the sample shop at work: what its services would write to
// Prometheus, Loki and Jaeger if they ran, and to the log files of their
// containers. What the cluster's objects say (which pods are ready, which version
// they run, what their limits are, whom a Service chooses) it watches; how much is
// asked of whom, and what becomes of it, the model in the package below works out.
package traffic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/firstmate-ops/firstmate/sandbox/internal/fakenode"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/emit"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

// Files are where containers' logs are kept, for "kubectl logs".
type Files interface {
	Append(namespace, pod, container string, run int32, lines []fakenode.Line) error
	Forget(namespace, pod, container string) error
}

// Options say where things go. A base URL that is empty is written to nowhere.
type Options struct {
	Cluster                  *rest.Config
	Prometheus, Loki, Traces string
	// Files may be nil.
	Files Files
	Log   *slog.Logger
	Seed  uint64
	// Tick is the time between two scrapes; 15 s if it is 0.
	Tick time.Duration
	// History is how far the past reaches back; none is written if it is 0.
	History time.Duration
	// LogVolume is how many bytes of log lines the past has besides those of an
	// ordinary day.
	LogVolume int64
}

// Generator is a shop at work. Its methods may be called by several at once.
type Generator struct {
	opts   Options
	client kubernetes.Interface
	watch  source

	mu         sync.Mutex // guards all below
	model      *model.Model
	meter      *meter
	lines      *emit.Lines
	spans      *emit.Spans
	write      *writer
	rng        *rand.Rand
	conditions model.Conditions
	last       time.Time // until when there is something
	usage      map[usageKey]*model.PodState
	// past is what a pod's first run used before Run: to the nodes, that was
	// another life, and no rate must be made of it.
	past     map[string]float64
	files    map[string]fileOf // by pod's UID
	restarts sync.WaitGroup
	running  context.Context // that of Run; nil before
	// Of a rehearsal: what happened in it, how long ago that is to have been.
	script  script
	ago     time.Duration
	silent  bool
	changed bool
}

// source is where the cluster is seen.
type source interface{ now() *model.World }

type usageKey struct{ namespace, pod string }

type fileOf struct {
	namespace, pod, container string
	greeted                   int32
}

// New watches the cluster and returns a shop that stands still.
func New(ctx context.Context, opts Options) (*Generator, error) {
	if opts.Tick == 0 {
		opts.Tick = 15 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	client, err := kubernetes.NewForConfig(opts.Cluster)
	if err != nil {
		return nil, err
	}
	watch, err := newWatcher(ctx, client)
	if err != nil {
		return nil, err
	}
	return newGenerator(opts, client, watch), nil
}

func newGenerator(opts Options, client kubernetes.Interface, watch source) *Generator {
	g := &Generator{opts: opts, client: client, watch: watch, files: map[string]fileOf{}}
	seed := opts.Seed
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	shop := model.Sample()
	g.model = model.New(shop, seed)
	g.meter = &meter{m: g.model, out: emit.NewMetrics(g.opts.Prometheus, web)}
	g.lines = emit.NewLines(g.opts.Loki, web)
	g.spans = emit.NewSpans(g.opts.Traces, web)
	g.rng = rand.New(rand.NewPCG(seed, 0x10c5))
	g.write = &writer{shop: shop, expired: func(id model.ID) time.Time { return g.conditions.Expired[id] }}
	return g
}

// Run lets time pass until ctx ends. What a server does not take is lost, as it
// would be for a real one; it is logged and no reason to end.
func (g *Generator) Run(ctx context.Context) error {
	defer g.restarts.Wait()
	g.mu.Lock()
	if g.last.IsZero() {
		g.last = time.Now()
	}
	g.running = ctx
	g.mu.Unlock()
	tick := time.NewTicker(g.opts.Tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := g.tick(ctx, time.Now()); err != nil && ctx.Err() == nil {
			g.opts.Log.Warn("part of the shop's signals is lost", "reason", err)
		}
	}
}

// substep is the time within which nothing feeds back.
const substep = 5 * time.Second

// tick lets time pass until now and sends what happened.
func (g *Generator) tick(ctx context.Context, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advance(ctx, now)
	if g.opts.Prometheus != "" {
		g.meter.scrape(now, true)
	}
	return g.flush(ctx)
}

// advance lets time pass until now.
func (g *Generator) advance(ctx context.Context, now time.Time) {
	world := g.watch.now()
	// A machine that slept has not served anybody meanwhile.
	if now.Sub(g.last) > 5*time.Minute {
		g.last = now.Add(-substep)
	}
	for {
		length := now.Sub(g.last)
		if length < 10*time.Millisecond {
			break
		}
		if length > substep*3/2 {
			length = substep
		}
		g.last = g.last.Add(length)
		step := g.model.Step(g.last, length, world, g.conditions, 1)
		if g.silent {
			continue
		}
		g.note(step, 1, true)
		for _, p := range step.Killed {
			g.restart(ctx, p)
		}
	}
	g.index()
}

// flush sends what was gathered, to all servers whatever one of them says.
func (g *Generator) flush(ctx context.Context) error {
	var errs []error
	if g.opts.Prometheus != "" {
		errs = append(errs, g.meter.out.Flush(ctx))
	}
	if g.opts.Loki != "" {
		errs = append(errs, g.lines.Flush(ctx))
	}
	if g.opts.Traces != "" {
		errs = append(errs, g.spans.Flush(ctx))
	}
	return errors.Join(errs...)
}

// Change changes what is wrong. It holds from this moment on.
func (g *Generator) Change(f func(*model.Conditions)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running != nil {
		g.advance(g.running, time.Now())
	}
	c := g.conditions.Clone()
	f(&c)
	g.conditions, g.changed = c, true
	if g.silent {
		g.stage(time.Now())
	}
}

// Load is how busy the shop is at a moment of an ordinary day, as a share of the
// busiest.
func (g *Generator) Load(at time.Time) float64 { return model.Load(at, g.opts.Seed) }

// Usage is what containers use, for the nodes to tell.
func (g *Generator) Usage(namespace, pod, container string) (cpuSeconds, memoryBytes float64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.usage[usageKey{namespace, pod}]
	if p == nil {
		return 0, 0, false
	}
	main := p.Main(g.model)
	if main == nil || p.Service < 0 && p.CPU < .5 {
		return 0, 0, false // what its annotations say will do
	}
	used := p.CPUSeconds + p.CPU*max(0, time.Since(g.last).Seconds())
	if p.Pod.Restarts == 0 {
		used = max(0, used-g.past[p.Pod.UID])
	}
	if main.Name != container {
		return .12 * used, 38 << 20, true
	}
	return used, p.Memory, true
}

func (g *Generator) index() {
	g.usage = make(map[usageKey]*model.PodState, len(g.model.Pods()))
	for _, p := range g.model.Pods() {
		g.usage[usageKey{p.Pod.Namespace, p.Pod.Name}] = p
	}
}

// note writes down what happened in a step: lines, and spans. files says whether
// the containers' log files get the lines too.
func (g *Generator) note(step *model.Step, thin float64, files bool) {
	byPod := map[*model.PodState][]said{}
	for i := range step.Events {
		e := &step.Events[i]
		byPod[e.Pod] = append(byPod[e.Pod], g.write.say(e)...)
	}
	start := step.At.Add(-step.Length)
	for _, p := range g.model.Pods() {
		if !p.Pod.Running || p.Down() || p.Pod.Namespace == "load" {
			continue
		}
		main := p.Main(g.model)
		if main == nil {
			continue
		}
		texts := byPod[p]
		for i := range p.Pod.Containers {
			c := &p.Pod.Containers[i]
			if !c.Running || !p.Pod.Ready && len(texts) == 0 {
				continue
			}
			lines := murmur(g.rng, c.Name, start, step.Length, thin)
			if c.Name == main.Name {
				lines = append(lines, texts...)
				lines = append(lines, g.greet(p, main, files)...)
			}
			g.put(p, c, lines, files)
		}
	}
	for i := range step.Traces {
		g.spansOf(&step.Traces[i])
	}
}

// greet is what a container writes after its start, once.
func (g *Generator) greet(p *model.PodState, c *model.Container, files bool) []said {
	if p.Service < 0 || !files || !p.Pod.Ready {
		return nil
	}
	f, ok := g.files[p.Pod.UID]
	if ok && f.greeted > c.RestartCount {
		return nil
	}
	g.files[p.Pod.UID] = fileOf{p.Pod.Namespace, p.Pod.Name, c.Name, c.RestartCount + 1}
	if c.StartedAt.IsZero() || c.StartedAt.Before(g.last.Add(-10*time.Minute)) {
		return nil
	}
	return greeting(&g.model.Shop().Services[p.Service], c, c.StartedAt)
}

func (g *Generator) put(p *model.PodState, c *model.Container, lines []said, files bool) {
	if len(lines) == 0 {
		return
	}
	sortLines(lines)
	if g.opts.Loki != "" {
		stream := streamOf(p, c.Name)
		for _, l := range lines {
			g.lines.Add(stream, l.at, l.text)
		}
	}
	if g.opts.Files == nil || !files {
		return
	}
	out := make([]fakenode.Line, len(lines))
	for i, l := range lines {
		out[i] = fakenode.Line{At: l.at, Stderr: l.stderr, Text: l.text}
	}
	// A full disk costs lines only.
	if err := g.opts.Files.Append(p.Pod.Namespace, p.Pod.Name, c.Name, c.RestartCount, out); err != nil {
		g.opts.Log.Warn("a container's log could not be written", "reason", fmt.Errorf("%s/%s: %w", p.Pod.Namespace, p.Pod.Name, err))
	}
}

// streamOf is where the lines of a container are found.
func streamOf(p *model.PodState, container string) string {
	return emit.Stream("namespace", p.Pod.Namespace, "app", p.Pod.App, "pod", p.Pod.Name, "container", container)
}

func (g *Generator) spansOf(t *model.Trace) {
	if g.opts.Traces == "" {
		return
	}
	for i := range t.Spans {
		s := &t.Spans[i]
		svc := &g.model.Shop().Services[s.Pod.Service]
		out := emit.Span{
			Trace: t.Request, ID: t.Request + uint64(i) + 1, Service: svc.ID.Name, Version: s.Pod.Version, Namespace: svc.ID.Namespace,
			Pod: s.Pod.Pod.Name, Name: s.Name, Client: s.Peer.Name != "", Start: s.Start, Took: time.Duration(s.Took * 1e9), Code: s.Code,
		}
		if s.Parent >= 0 {
			out.Parent = t.Request + uint64(s.Parent) + 1
		}
		if s.Peer.Name != "" {
			out.Attributes = map[string]string{"peer.service": s.Peer.Name, "server.address": s.Peer.Name + "." + s.Peer.Namespace}
		}
		if s.Code >= 500 {
			e := model.Event{At: s.Start, Pod: s.Pod, Mark: model.Failed, Request: t.Request, Outcome: model.Outcome{Took: s.Took, Code: s.Code, Cause: s.Cause, Peer: s.Peer, PeerCode: s.Code}}
			out.Failure = g.write.reason(&e, svc)
		}
		g.spans.Add(out)
	}
}
