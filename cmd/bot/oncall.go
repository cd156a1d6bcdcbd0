package main

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/channel/phone"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/observability/prometheus"
	"github.com/firstmate-ops/firstmate/internal/oncall"
	"github.com/firstmate-ops/firstmate/internal/oncall/schedule"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// desk makes on-call; nil where nobody is to be called.
func (c Config) desk(parts oncall.Parts, numbers *prometheus.Client, home string) (*oncall.Desk, error) {
	if !c.OnCall.on() {
		return nil, nil
	}
	plan, err := c.OnCall.plan()
	if err != nil {
		return nil, err
	}
	carrier, err := c.Phone.carrier(parts.Log)
	if err != nil {
		return nil, err
	}
	parts.Line, parts.Until = line{carrier}, skill.Coming
	if numbers != nil {
		parts.Measure = gauge{numbers, home, c.OnCall.Window, time.Now}.since
	}
	return oncall.NewDesk(oncall.Config{
		Policy:  oncall.Policy{Plan: plan, AckFor: cmp.Or(c.Observability.Alertmanager.AcknowledgeFor, time.Hour)},
		Channel: c.OnCall.Channel, PhoneChannel: phone.Channel,
	}, parts), nil
}

// onCallHandlers are the intents of on-call, where there is none too.
func onCallHandlers(d *oncall.Desk) map[string]dialogue.Handler {
	if d != nil {
		return d.Handlers()
	}
	none := dialogue.HandlerFunc(func(context.Context, *dialogue.Turn) (dialogue.Reply, error) {
		return dialogue.Reply{}, fault.New(fault.Usage, "Nobody is on call here: oncall.file of my configuration names no schedule.")
	})
	return map[string]dialogue.Handler{"oncall_next": none, "oncall_who": none, "oncall_take": none}
}

// line rings people by the carrier.
type line struct{ carrier *phone.Carrier }

// Ring places a call.
func (l line) Ring(ctx context.Context, to schedule.Contact, ref string) (string, error) {
	return l.carrier.Call(ctx, to.Phone, ref)
}

// HangUp calls it off.
func (l line) HangUp(ctx context.Context, id string) error { return l.carrier.Hangup(ctx, id) }

// Text sends a message.
func (l line) Text(ctx context.Context, to schedule.Contact, text string) error {
	return l.carrier.Text(ctx, to.Phone, text)
}

// calls is the desk as the telephone asks it.
type calls struct{ *oncall.Desk }

// Opening is how a call that was placed begins, and goes on.
func (c calls) Opening(ctx context.Context, ref string) (phone.Opening, bool) {
	o, ok := c.Desk.Opening(ctx, ref)
	return phone.Opening{Conversation: o.Conversation, Speaker: o.Speaker, Reply: o.Reply, Rest: o.Rest, Mailbox: o.Mailbox, Alert: o.Alert, More: o.More}, ok
}

// phoneCalls is who has calls placed; nil for nobody.
func (a *app) phoneCalls() phone.Calls {
	if a.desk == nil {
		return nil
	}
	return calls{a.desk}
}

// rolledOut reports whether a change is made, though its version may be watched yet.
func (a *app) rolledOut(ctx context.Context, id string) (bool, error) {
	e, err := a.ledger.Entry(ctx, id)
	return err == nil && (e.State == action.Baking || e.State == action.Done), err
}

// lead does what one process of several does: it carries changes out, and calls people.
func (a *app) lead(ctx context.Context, to action.Reporter) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if a.desk != nil && a.rings {
		wg.Go(func() { a.desk.Run(ctx) })
	}
	return a.ledger.Run(ctx, to)
}

// hearing tells on-call of alerts, and then the board: what that knows counts as told.
type hearing struct {
	desk  *oncall.Desk
	board *alertmanager.Board
}

// Hear is told what fires and what is over.
func (h hearing) Hear(ctx context.Context, changes []observability.AlertChange) error {
	if h.desk != nil {
		if err := h.desk.Hear(ctx, changes); err != nil {
			return err
		}
	}
	return h.board.Hear(ctx, changes)
}

// gauge is a Prometheus as on-call asks it.
type gauge struct {
	client *prometheus.Client
	home   string
	window time.Duration
	now    func() time.Time
}

const (
	// gaugeBack is for how many windows before is looked how often Prometheus does.
	gaugeBack = 4
	// gaugeSteps is how many samples end within a window.
	gaugeSteps = 4
	// gaugeWidest is how many times as wide a window may become.
	gaugeWidest = 8
	// gaugeMost is the oldest that is asked for of a change.
	gaugeMost = 15 * time.Minute
)

// since are samples of a metric that begin after a time. A window that is too
// short for how often Prometheus looks is widened. While none is whole, what was
// counted so far is given.
func (g gauge) since(ctx context.Context, t observability.Target, m observability.Metric, since time.Time) (oncall.Reading, error) {
	now := g.now()
	if now.Sub(since) > gaugeMost {
		since = now.Add(-gaugeMost)
	}
	for window := g.window; ; window *= 2 {
		r, step := oncall.Reading{Window: window}, window/gaugeSteps
		first := since.Add(window + time.Millisecond).Truncate(time.Millisecond) // the first sample that has nothing of the time before
		whole := observability.Window{From: first.Add(-gaugeBack * window), To: now}
		ask := func(m observability.Metric, from time.Time) ([]observability.Point, error) {
			a, err := g.client.Measure(ctx, prometheus.Question{
				Target: athome(t, g.home), Metric: m, Window: observability.Window{From: from, To: now}, Seen: whole, Step: step, Rate: window,
			})
			if err != nil || len(a.Series) == 0 {
				return nil, err
			}
			return a.Series[0].Points, nil
		}
		rates, err := ask(observability.RequestRate, whole.From)
		widest := window >= gaugeWidest*g.window
		switch {
		case fault.KindOf(err) == fault.NotFound && !widest:
			continue
		case err != nil && fault.KindOf(err) != fault.NotFound:
			return r, err
		case err == nil && 10*len(rates) < 8*int(whole.Length()/step) && !widest:
			continue // many windows with fewer than two scrapes
		}
		counted := err == nil
		if first.After(now) {
			r.Soon, err = g.soon(ctx, t, m, since, whole)
			return r, err
		}
		values, err := ask(m, first)
		if fault.KindOf(err) == fault.NotFound {
			return r, nil // nothing of it is there yet
		}
		if err != nil {
			return r, err
		}
		asked := map[time.Time]float64{}
		for _, p := range rates {
			asked[p.At] = p.Value
		}
		for _, p := range values {
			if rate := asked[p.At]; rate > 0 || !counted { // where nobody asks, nothing fails
				over := step
				if len(r.Samples) == 0 {
					over = window
				}
				r.Samples = append(r.Samples, oncall.Sample{At: p.At, Value: p.Value, Requests: rate * over.Seconds()})
			}
		}
		return r, nil
	}
}

// soon is all of a metric that was counted since a time: of those pods that were
// looked at twice since.
func (g gauge) soon(ctx context.Context, t observability.Target, m observability.Metric, since time.Time, whole observability.Window) (oncall.Sample, error) {
	const tick = time.Second
	over := whole.To.Sub(since).Truncate(tick)
	if over < tick {
		return oncall.Sample{}, nil
	}
	newest := func(m observability.Metric) (observability.Point, error) {
		a, err := g.client.Measure(ctx, prometheus.Question{
			Target: athome(t, g.home), Metric: m, Window: observability.Window{From: whole.To.Add(-tick), To: whole.To}, Seen: whole, Step: tick, Rate: over,
		})
		if err != nil || len(a.Series) == 0 || len(a.Series[0].Points) == 0 {
			return observability.Point{}, err
		}
		p := a.Series[0].Points[len(a.Series[0].Points)-1]
		if p.At.Before(whole.To.Add(-tick / 2)) {
			return observability.Point{}, nil // it reaches back to before
		}
		return p, nil
	}
	rate, err := newest(observability.RequestRate)
	if err == nil && rate.Value > 0 {
		var value observability.Point
		if value, err = newest(m); err == nil && !value.At.IsZero() {
			return oncall.Sample{At: value.At, Value: value.Value, Requests: rate.Value * over.Seconds()}, nil
		}
	}
	if fault.KindOf(err) == fault.NotFound {
		err = nil // nothing of it is there yet
	}
	return oncall.Sample{}, err
}

// onCall looks whether everybody on call can be rung, and can do something then.
func (d *doctor) onCall(ctx context.Context, c Config, g *access.Guard) {
	if !c.OnCall.on() {
		return
	}
	plan, err := c.OnCall.plan()
	if err != nil {
		d.fail(fault.Usage, "Put that right; docs/oncall.md has examples.", "on-call: %s", fault.Say(err))
		return
	}
	now := plan.OnCall(time.Now(), nil)
	if now.Person == "" {
		d.warn("Add a layer without a gap to the first schedule of "+c.OnCall.File+".", "on-call: nobody is on call right now")
	} else {
		d.well("on-call: %s is on call; %d people, %d schedules", now.Person, len(plan.Contacts), len(plan.Schedules))
	}
	for _, who := range plan.Contacts {
		p, known, err := g.Who(ctx, access.NewSpeaker(phone.Channel, who.Phone, access.StirShaken))
		switch {
		case err != nil || !known || p.Name != who.Person:
			d.warn("Give them the speaker "+phone.Channel+":"+who.Phone+" under access.people.", "on-call: %s is rung, and nobody there: their number is no speaker of %s", who.Person, who.Person)
			continue
		}
		if has, err := g.HasPIN(ctx, p); err == nil && !has {
			d.warn("bot pin "+p.Name, "on-call: %s is called, and can change nothing without a PIN", p.Name)
		}
	}
}
