package traffic

import (
	"context"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

// scene is what held from a moment on.
type scene struct {
	at         time.Time
	world      *model.World
	conditions model.Conditions
}

// script is what happened while something was tried out, in the order of time.
type script []scene

// at is what held at a moment of the past; the script ended ago before now, as it
// were. Before it began, what held first holds.
func (s script) at(t time.Time, ago time.Duration) scene {
	i := len(s) - 1
	for i > 0 && s[i].at.Add(-ago).After(t) {
		i--
	}
	return s[i]
}

// Rehearse calls f, which may change the cluster and what is wrong with the shop,
// while the shop is at work but nobody is told of it. Past then tells of it as
// though it had been done ago before. Run must not have been called.
func (g *Generator) Rehearse(ctx context.Context, ago time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g.mu.Lock()
	g.last = time.Now()
	world := g.watch.now()
	g.script, g.ago, g.silent, g.running = script{{g.last, world, g.conditions}}, ago, true, ctx
	// Warm, so that autoscalers see what an ordinary hour needs.
	g.warm(world, g.last)
	g.model.Sample(model.Sampling{})
	g.remember()
	g.index()
	g.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				g.mu.Lock()
				g.stage(now)
				if now.Sub(g.last) >= time.Second {
					g.advance(ctx, now)
				}
				g.mu.Unlock()
			}
		}
	}()
	err := f(ctx)
	// Controllers have not had their say yet of what f changed: whom a Service
	// chooses is known a moment after its selector.
	select {
	case <-ctx.Done():
	case <-time.After(afterwards):
	}
	cancel()
	<-done
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stage(time.Now())
	g.silent, g.running = false, nil
	g.restarts.Wait()
	seed := g.opts.Seed
	g.model = model.New(model.Sample(), seed)
	g.meter.m = g.model
	return err
}

// afterwards is how long controllers take, as a rule.
const afterwards = 2 * time.Second

// stage adds a scene to the script if something is not as it was.
func (g *Generator) stage(now time.Time) {
	world := g.watch.now()
	if last := g.script[len(g.script)-1]; last.world == world && !g.changed {
		return
	}
	g.changed = false
	g.script = append(g.script, scene{now, world, g.conditions})
}

// boundary returns the first moment after from, up to to, at which a scene begins:
// a step must not cross it.
func (s script) boundary(from, to time.Time, ago time.Duration) time.Time {
	i := slices.IndexFunc(s, func(one scene) bool { return one.at.Add(-ago).After(from) })
	if i > 0 && s[i].at.Add(-ago).Before(to) {
		return s[i].at.Add(-ago)
	}
	return to
}
