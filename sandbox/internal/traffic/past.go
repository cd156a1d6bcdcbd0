package traffic

import (
	"context"
	"fmt"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

// stretch is a part of the past that is told in one way.
type stretch struct {
	from, to time.Duration // before now
	step     time.Duration
	weight   float64 // requests that one walked through the shop stands for
	full     bool    // all metrics, not only those that are compared after a day
	lines    float64 // of an ordinary day's log lines
	traces   float64 // ratio of requests that are traced
}

// past divides it: the hour a week ago, with which this hour is compared; a day,
// coarsely; and the last two hours as finely as they would have been scraped.
func past(history time.Duration) []stretch {
	const week, fine, finest = 7 * 24 * time.Hour, 2 * time.Hour, time.Hour
	if history <= 0 {
		return nil
	}
	return []stretch{
		{from: week + 75*time.Minute, to: week - 30*time.Minute, step: time.Minute, weight: 12},
		{from: max(history, fine), to: fine, step: 2 * time.Minute, weight: 24, lines: .08},
		{from: min(history, fine), to: min(history, finest), step: 30 * time.Second, weight: 4, full: true, lines: .5, traces: .005},
		{from: min(history, finest), step: 15 * time.Second, weight: 1, full: true, lines: 1, traces: .01},
	}
}

// filesReach is how far back the log files of containers go: what a node keeps.
const filesReach = 30 * time.Minute

// linesPerPush is about how many bytes of log lines are pushed at once.
const linesPerPush = 2 << 20

// Past writes what happened before now, as though the pods that run had run all
// the time. It must be called before Run.
func (g *Generator) Past(ctx context.Context, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.script) == 0 {
		g.script = script{{now, g.watch.now(), g.conditions}}
	}
	// The oldest first: Loki takes no line that is far behind its stream.
	if err := g.bulk(ctx, now); err != nil {
		return err
	}
	kills := map[string]*kill{}
	g.warm(g.script[0].world, now)
	for _, s := range past(g.opts.History) {
		g.model.Sample(model.Sampling{Lines: 6 * s.lines, Traces: s.traces})
		n := 0
		for at := now.Add(-s.from); at.Before(now.Add(-s.to)); {
			next := g.script.boundary(at, at.Add(s.step), g.ago)
			length := next.Sub(at)
			at = next
			scene := g.script.at(at, g.ago)
			step := g.model.Step(at, length, scene.world, scene.conditions, s.weight)
			g.last = at
			if s.lines > 0 {
				g.note(step, s.lines, now.Sub(at) <= filesReach)
			}
			for _, p := range step.Killed { // the cluster hears of it below
				k := kills[p.Pod.UID]
				if k == nil {
					k = &kill{started: p.Pod.Started}
					kills[p.Pod.UID] = k
				}
				k.again(p, at)
			}
			for _, k := range kills {
				if k.pod.Down() && !at.Before(k.until) {
					k.pod.Revive()
				}
			}
			if length > s.step/2 && g.opts.Prometheus != "" {
				g.meter.scrape(at, s.full)
			}
			if n++; n%40 == 0 || g.lines.Bytes() > linesPerPush {
				if err := g.flush(ctx); err != nil {
					return err
				}
			}
		}
		if err := g.flush(ctx); err != nil {
			return err
		}
	}
	g.model.Sample(model.Sampling{Lines: 6, Traces: .01})
	for _, k := range kills {
		if err := g.killedBefore(ctx, k, now); err != nil {
			return err
		}
	}
	g.last = now
	g.index()
	g.remember()
	return nil
}

// remember notes what was used up to now.
func (g *Generator) remember() {
	g.past = map[string]float64{}
	for _, p := range g.model.Pods() {
		g.past[p.Pod.UID] = p.CPUSeconds
	}
}

// warm lets some minutes pass that nobody hears of, so that queues and counters
// are not those of a shop that opens.
func (g *Generator) warm(world *model.World, now time.Time) {
	g.model.Sample(model.Sampling{})
	at := now.Add(-8 * 24 * time.Hour)
	for range 10 {
		at = at.Add(30 * time.Second)
		g.model.Step(at, 30*time.Second, world, model.Conditions{}, 10)
	}
}

// bulk fills the log store: lines of ordinary days, from long before the day that
// is told in full, until there are as many bytes as wished.
func (g *Generator) bulk(ctx context.Context, now time.Time) error {
	if g.opts.LogVolume <= 0 || g.opts.Loki == "" {
		return nil
	}
	world := g.script[0].world
	other := model.New(g.model.Shop(), g.opts.Seed+1)
	other.Sample(model.Sampling{Lines: 1e6})
	end := now.Add(-max(g.opts.History, time.Hour))
	const length = time.Minute
	// About what a step gives is known after two: from it follows how far back to
	// begin, so that time goes forward as it does for a real server.
	other.Step(end, length, world, model.Conditions{}, 1)
	per := g.gather(other.Step(end, length, world, model.Conditions{}, 1))
	if per == 0 {
		return fmt.Errorf("the shop writes nothing: no pod serves requests")
	}
	at := end.Add(-time.Duration(g.opts.LogVolume/int64(per)+1) * length)
	g.lines.Drop()
	for total := int64(0); total < g.opts.LogVolume; {
		at = at.Add(length)
		total += int64(g.gather(other.Step(at, length, world, model.Conditions{}, 1)))
		if g.lines.Bytes() > linesPerPush {
			if err := g.lines.Flush(ctx); err != nil {
				return err
			}
		}
	}
	return g.lines.Flush(ctx)
}

// gather adds a step's lines to what is to be pushed and says how many bytes.
func (g *Generator) gather(step *model.Step) int {
	before := g.lines.Bytes()
	for i := range step.Events {
		e := &step.Events[i]
		if e.Pod.Service < 0 {
			continue
		}
		main := e.Pod.Pod.Containers[0].Name
		stream := streamOf(e.Pod, main)
		for _, l := range g.write.say(e) {
			g.lines.Add(stream, l.at, l.text)
		}
	}
	return g.lines.Bytes() - before
}
