package main

import (
	"context"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// limited puts a limit before what reads and what changes the cluster. Stopping
// and undoing are never too much.
func limited(handlers map[string]dialogue.Handler, c *intents.Catalogue, g *access.Guard, l access.Limits) map[string]dialogue.Handler {
	limiter := access.NewLimiter(l)
	out := make(map[string]dialogue.Handler, len(handlers))
	for name, h := range handlers {
		spec, _ := c.Spec(name)
		if spec.Risk != intents.RiskRead && spec.Risk != intents.RiskWrite && name != "chain" || name == "undo" {
			out[name] = h
			continue
		}
		out[name] = dialogue.HandlerFunc(func(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
			s := t.Request.Speaker
			who := s.Key()
			p, ok, err := g.Who(ctx, s)
			if err != nil {
				return dialogue.Reply{}, err
			}
			if ok {
				who = "person " + p.Name
			}
			for _, in := range append(t.Intent.Slots.Steps(), t.Intent) {
				spec, _ := c.Spec(in.Name)
				if in.Name == "chain" {
					continue
				}
				if err := limiter.Allow(who, s.Channel, spec.Risk == intents.RiskWrite, time.Now()); err != nil {
					return dialogue.Reply{}, err
				}
			}
			return h.Handle(ctx, t)
		})
	}
	return out
}
