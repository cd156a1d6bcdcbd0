package oncall

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/oncall/schedule"
)

// Handlers answer the intents of on-call.
func (d *Desk) Handlers() map[string]dialogue.Handler {
	return map[string]dialogue.Handler{
		"oncall_next": dialogue.HandlerFunc(d.next), "oncall_who": dialogue.HandlerFunc(d.who), "oncall_take": dialogue.HandlerFunc(d.take),
	}
}

// Around lets what is asked for in a call be about the incident: "acknowledge",
// and "how is it going?" after the change is done.
func (d *Desk) Around(handlers map[string]dialogue.Handler) {
	ack, status := handlers["alert_ack"], handlers["status"]
	handlers["alert_ack"] = dialogue.HandlerFunc(func(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
		return d.ack(ctx, t, ack)
	})
	handlers["status"] = dialogue.HandlerFunc(func(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
		return d.status(ctx, t, status)
	})
}

// ack: nobody else is called. That the alert is quiet for a while too is the
// change that it is anywhere.
func (d *Desk) ack(ctx context.Context, t *dialogue.Turn, silence dialogue.Handler) (dialogue.Reply, error) {
	if !ours(t.Request.Conversation) {
		return silence.Handle(ctx, t)
	}
	var alert Alert
	taken := false
	err := d.change(ctx, func(b *Book, now time.Time) []task {
		in, ok := b.acknowledge(t.Request.Conversation, now, d.cfg.Policy)
		if taken = ok; in != nil {
			alert = in.First()
		}
		return nil
	})
	if err != nil {
		return dialogue.Reply{}, err
	}
	if !taken {
		return t.Reply("oncall.moot", nil)
	}
	r, err := t.Reply("oncall.acked", dialogue.Data{"For": stretch(d.cfg.AckFor)})
	if err != nil {
		return r, err
	}
	t.Intent.Slots["alert"] = alert.Name
	if alert.Target.Namespace != "" {
		t.Intent.Slots["namespace"] = alert.Target.Namespace
	}
	delete(t.Intent.Slots, "targets")
	quiet, err := silence.Handle(ctx, t)
	if err != nil {
		d.Log.InfoContext(ctx, "acknowledged without a silence", "alert", alert.Name, "err", err)
		return r, nil
	}
	quiet.Speech, quiet.Text = r.Speech+" "+quiet.Speech, r.Text+"\n"+quiet.Text
	return quiet, nil
}

// status is how it goes on once the change is done: until all is well again.
func (d *Desk) status(ctx context.Context, t *dialogue.Turn, of dialogue.Handler) (dialogue.Reply, error) {
	if ours(t.Request.Conversation) {
		b, _, _, err := d.read(ctx)
		if err != nil {
			return dialogue.Reply{}, err
		}
		if in, _ := b.conversation(t.Request.Conversation); in != nil && in.State == Taken && in.Acted {
			data := in.gaugeData(nil)
			data["Count"] = ""
			if g := in.Finding.Gauge; g.Metric != "" && d.Measure != nil {
				switch m, err := d.Measure(ctx, g.Target, g.Metric, in.Made); {
				case err != nil:
				case len(m.Samples) > 0:
					data["Value"] = figure(m.Samples[len(m.Samples)-1].Value, g.Metric)
				case m.Soon.Requests >= 1:
					data["Value"], data["Count"] = figure(m.Soon.Value, g.Metric), about(m.Soon.Requests)
				}
			}
			all := dialogue.Data{}
			for k, v := range data {
				all[k] = v
			}
			r, err := t.Reply("oncall.watching", all)
			r.Outcome = dialogue.OutcomePending
			return r, err
		}
	}
	return of.Handle(ctx, t)
}

// about says a number that is an estimate.
func about(n float64) string {
	digits := math.Pow(10, max(0, math.Floor(math.Log10(n))-1))
	return strconv.FormatFloat(math.Round(n/digits)*digits, 'f', -1, 64)
}

// next leaves the incident to the next one.
func (d *Desk) next(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if !ours(t.Request.Conversation) {
		return dialogue.Reply{}, fault.New(fault.NotUnderstood, "I have not called you about anything here, so there is nobody to call next.")
	}
	var name string
	passed := false
	err := d.change(ctx, func(b *Book, now time.Time) []task {
		name, passed = b.pass(t.Request.Conversation, now)
		return nil
	})
	if err != nil {
		return dialogue.Reply{}, err
	}
	if passed {
		t.Session.Close() // the offer is the next one's
	}
	return t.Reply("oncall.passed", dialogue.Data{"Next": name})
}

// who says who is on call, and until when.
func (d *Desk) who(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	duties, err := d.onCall(ctx)
	if err != nil {
		return dialogue.Reply{}, err
	}
	var said []dialogue.Data
	for _, duty := range duties {
		said = append(said, dialogue.Data{"Schedule": duty.Schedule, "Person": duty.Person, "Until": d.moment(duty.To)})
	}
	r, err := t.Reply("oncall.who", dialogue.Data{"First": said[0], "Others": said[1:]})
	return r, err
}

// longestTakeover is for how long somebody takes over at most.
const longestTakeover = 14 * 24 * time.Hour

// take makes the speaker the one on call, until a time.
func (d *Desk) take(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	p, known, err := d.People.Who(ctx, t.Request.Speaker)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if _, ok := d.cfg.Plan.Contact(p.Name); !known || !ok {
		return dialogue.Reply{}, fault.New(fault.Refused, "I know no telephone number of yours, so you cannot be on call. An admin can add you to the people of the on-call file.")
	}
	now := time.Now()
	var to time.Time
	ok := false
	in := t.Intent.Slots
	for _, slot := range []string{"until", "duration"} {
		if s := in.String(slot); s != "" && !ok {
			to, ok = d.Until(s, now.In(d.cfg.Plan.Zone))
		}
	}
	switch {
	case !ok || !to.After(now):
		return dialogue.Reply{}, fault.New(fault.NotUnderstood, "Until when? Say it as “I am on call until six pm” or “for two hours”.")
	case to.Sub(now) > longestTakeover:
		return dialogue.Reply{}, fault.New(fault.Refused, "For more than two weeks, have the schedule changed: on-call that nobody wrote down is forgotten.")
	}
	instead := ""
	err = d.change(ctx, func(b *Book, now time.Time) []task {
		if was := d.cfg.Plan.OnCall(now, b.Takeovers); was.Person != p.Name {
			instead = was.Person
		}
		b.take(schedule.Shift{Person: p.Name, From: now, To: to})
		return nil
	})
	if err != nil {
		return dialogue.Reply{}, err
	}
	return t.Reply("oncall.taken", dialogue.Data{"Person": p.Name, "Until": d.moment(to), "Instead": instead})
}

// moment is a time as one says it: 18:00, 09:00 on Monday.
func (d *Desk) moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	now := time.Now().In(d.cfg.Plan.Zone)
	at = at.In(d.cfg.Plan.Zone)
	days := func(t time.Time) int {
		y, m, day := t.Date()
		return int(time.Date(y, m, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	}
	switch n := days(at) - days(now); {
	case n == 0:
		return at.Format("15:04")
	case n == 1:
		return at.Format("15:04") + " tomorrow"
	case n < 7:
		return at.Format("15:04") + " on " + at.Weekday().String()
	}
	return at.Format("15:04") + " on " + at.Format("2 January")
}

// stretch is a length of time as one says it.
func stretch(d time.Duration) string {
	n, unit := int(d.Round(time.Minute).Minutes()), "minute"
	if n%60 == 0 && n > 0 {
		n, unit = n/60, "hour"
	}
	if n == 1 {
		return "one " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}

func plural(n int) string {
	if n == 1 {
		return "one more alert"
	}
	return strconv.Itoa(n) + " more alerts"
}
