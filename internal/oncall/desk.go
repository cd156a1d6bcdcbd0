package oncall

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/oncall/schedule"
)

// Store keeps the book; see the store package for what each call promises.
type Store interface {
	Book(ctx context.Context, name string) (version int64, data []byte, err error)
	SwapBook(ctx context.Context, name string, version int64, data []byte) (bool, error)
}

// Voice answers turns; *dialogue.Engine does.
type Voice interface {
	Respond(ctx context.Context, r dialogue.Request) dialogue.Reply
}

// Talk says things in conversations without being asked, and knows what was said
// so; *dialogue.Engine does.
type Talk interface {
	Push(ctx context.Context, conversation string, ev dialogue.Event, update func(*dialogue.Session)) error
	Events(ctx context.Context, conversation string, after int64, f func(dialogue.Event) error) error
}

// Line rings people.
type Line interface {
	// Ring places a call; whoever picks it up hears Opening of ref. id is the
	// carrier's name of the call.
	Ring(ctx context.Context, to schedule.Contact, ref string) (id string, err error)
	// HangUp calls it off.
	HangUp(ctx context.Context, id string) error
	// Text sends a message.
	Text(ctx context.Context, to schedule.Contact, text string) error
}

// Measure says how a metric of a target is since a time.
type Measure func(ctx context.Context, t observability.Target, m observability.Metric, since time.Time) (Reading, error)

// People knows whose a speaker is; *access.Guard does.
type People interface {
	Who(ctx context.Context, s access.Speaker) (access.Person, bool, error)
}

// Config is how on-call works.
type Config struct {
	Policy
	// Channel is the conversation that the time-line is told in; "" is none.
	Channel string
	// PhoneChannel is what speakers on the telephone are of.
	PhoneChannel string
}

// Parts are what a Desk works with.
type Parts struct {
	Store   Store
	Line    Line
	Measure Measure // nil where nothing is measured: then the alert has to resolve
	// RolledOut reports whether a change is done as far as it shows, though it may be
	// watched for a while yet; nil where only its outcome says so.
	RolledOut func(ctx context.Context, action string) (bool, error)
	People    People
	Catalogue *intents.Catalogue
	// Until reads a time that is to come, as slots hold it.
	Until func(slot string, now time.Time) (time.Time, bool)
	Log   *slog.Logger
}

// Desk hears alerts, rings people, and keeps the book.
type Desk struct {
	cfg Config
	Parts
	voice Voice
	talk  Talk
	wake  chan struct{}

	mu       sync.Mutex
	findings map[string]briefed // by conversation, until the call is placed
	running  sync.WaitGroup
}

// Speak gives the desk what it speaks through, which in turn needs its handlers:
// before anything is heard.
func (d *Desk) Speak(v Voice, t Talk) { d.voice, d.talk = v, t }

// NewDesk returns a desk. Nothing rings before Run.
func NewDesk(cfg Config, parts Parts) *Desk {
	return &Desk{cfg: cfg, Parts: parts, wake: make(chan struct{}, 1), findings: map[string]briefed{}}
}

const (
	bookName = "oncall"
	// swapTries is how often a change is tried anew that others were in the way of.
	swapTries = 50
	// beat is how often the book is looked at: others may have written into it.
	beat = time.Second
	// taskLimit bounds what is done outside.
	taskLimit = 30 * time.Second
)

// read gives the book as it is.
func (d *Desk) read(ctx context.Context) (Book, int64, []byte, error) {
	var b Book
	version, data, err := d.Store.Book(ctx, bookName)
	if err != nil || data == nil {
		return b, version, data, err
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return b, version, data, fmt.Errorf("oncall: the book of incidents: %w", err)
	}
	return b, version, data, nil
}

// change does something to the book, once, and then what follows from it.
func (d *Desk) change(ctx context.Context, f func(b *Book, now time.Time) []task) error {
	for range swapTries {
		b, version, was, err := d.read(ctx)
		if err != nil {
			return err
		}
		tasks := f(&b, time.Now())
		is, err := json.Marshal(b)
		if err != nil {
			return err
		}
		if !bytes.Equal(is, was) {
			ok, err := d.Store.SwapBook(ctx, bookName, version, is)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			select {
			case d.wake <- struct{}{}:
			default:
			}
		}
		d.begin(ctx, tasks)
		return nil
	}
	return fault.Wrap(errors.New("oncall: too many others write into the book"), fault.Unavailable, "I could not note that down. Please try again.")
}

// note changes the book where nobody waits for an answer.
func (d *Desk) note(ctx context.Context, f func(b *Book, now time.Time) []task) {
	if err := d.change(ctx, f); err != nil && ctx.Err() == nil {
		d.Log.ErrorContext(ctx, "not noted in the book of incidents", "err", err)
	}
}

// begin does tasks, each by itself. They outlive who gave them.
func (d *Desk) begin(ctx context.Context, tasks []task) {
	for _, t := range tasks {
		if t.do == doTell {
			continue // in their order, by Run
		}
		d.running.Go(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), taskLimit)
			defer cancel()
			d.work(ctx, t)
		})
	}
}

// Run does what time comes for, until ctx ends. One process of several does.
func (d *Desk) Run(ctx context.Context) {
	defer d.running.Wait()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		var tell []task
		err := d.change(ctx, func(b *Book, now time.Time) []task {
			tasks := b.advance(now, d.cfg.Policy)
			tell = tell[:0]
			for _, t := range tasks {
				if t.do == doTell {
					tell = append(tell, t)
				}
			}
			return tasks
		})
		if err == nil {
			err = d.tell(ctx, tell)
		}
		if err != nil && ctx.Err() == nil {
			d.Log.ErrorContext(ctx, "the book of incidents is not looked after", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-tick.C:
		}
	}
}

// Hear takes in what Alertmanager tells. What cannot be noted is told again.
func (d *Desk) Hear(ctx context.Context, changes []observability.AlertChange) error {
	return d.change(ctx, func(b *Book, now time.Time) []task { return b.hear(changes, now, d.cfg.Policy) })
}

// work does one task.
func (d *Desk) work(ctx context.Context, t task) {
	var err error
	switch t.do {
	case doAsk:
		d.ask(ctx, t)
	case doRing:
		id, rung := d.Line.Ring(ctx, t.contact, t.call.Ref)
		if rung != nil {
			d.Log.ErrorContext(ctx, "cannot ring", "person", t.contact.Person, "err", rung)
		}
		d.note(ctx, func(b *Book, now time.Time) []task { return b.placed(t.call.Ref, id, rung != nil, now) })
	case doHangUp:
		if t.call.ID != "" {
			err = d.Line.HangUp(ctx, t.call.ID)
		}
	case doText:
		var say intents.Say
		if say, err = d.say(t.words, t.data); err == nil {
			err = d.Line.Text(ctx, t.contact, say.Text)
		}
	case doPush:
		err = d.push(ctx, t.call.Conversation, "oncall/"+t.incident, t.words, t.data, nil)
	case doLook:
		err = d.look(ctx, t)
	case doTell:
	}
	if err != nil {
		d.Log.ErrorContext(ctx, "on-call: not done", "what", string(t.do), "incident", t.incident, "err", err)
	}
}

// push says something in a conversation, once for a key; of is the incident whose
// time-line it stands on, nil for none.
func (d *Desk) push(ctx context.Context, conversation, key, words string, data map[string]string, of *Incident) error {
	say, err := d.say(words, data)
	if err != nil {
		return err
	}
	outcome := dialogue.OutcomeNone
	if words == "oncall.normal" {
		outcome = dialogue.OutcomeDone
	}
	ev := dialogue.Event{
		Kind: dialogue.EventOutcome, Action: key,
		Reply: dialogue.Reply{Speech: say.Speech, Text: say.Text, Expect: dialogue.ExpectNone, Outcome: outcome},
	}
	if of != nil {
		ev.Topic, ev.About = "incident "+of.ID, of.about()
	}
	return d.talk.Push(ctx, conversation, ev, nil)
}

// about is what the incident's first alert is about, as far as its labels say.
func (in *Incident) about() []dialogue.Target {
	for _, a := range in.Alerts {
		if t := a.Target; t.Name != "" {
			return []dialogue.Target{{Cluster: t.Cluster, Namespace: t.Namespace, Kind: t.Kind, Name: t.Name}}
		}
	}
	return nil
}

// say words something from the catalogue.
func (d *Desk) say(key string, data map[string]string) (intents.Say, error) {
	all := map[string]any{}
	for k, v := range data {
		all[k] = v
	}
	return d.Catalogue.Say(key, all)
}

// tell tells the time-line, in its order; each line once, also where the process
// dies in between.
func (d *Desk) tell(ctx context.Context, tasks []task) error {
	if len(tasks) == 0 {
		return nil
	}
	b, _, _, err := d.read(ctx)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		in := b.incident(t.incident)
		if in == nil || d.cfg.Channel == "" {
			continue
		}
		l := in.Line[t.line]
		data := map[string]string{
			"ID": in.ID, "At": l.At.In(d.cfg.Plan.Zone).Format("15:04:05"), "Alert": "", "Target": "", "Namespace": "", "Severity": "", "Summary": "",
			"Said": "", "Person": "", "Status": "", "What": "", "Metric": "", "Value": "", "Count": "", "Other": "", "By": "",
		}
		for k, v := range l.Data {
			data[k] = v
		}
		of := in
		if l.What == lineUnreached {
			of = nil // nobody takes it: that is to be seen without opening a thread
		}
		if err := d.push(ctx, d.cfg.Channel, fmt.Sprintf("oncall/%s/%d", in.ID, t.line), "oncall.line."+l.What, data, of); err != nil {
			return err
		}
	}
	return d.change(ctx, func(b *Book, _ time.Time) []task {
		for _, t := range tasks {
			if in := b.incident(t.incident); in != nil {
				in.Line[t.line].Told = true
			}
		}
		return nil
	})
}

// look looks at how a change goes, or whether all is well again after it.
func (d *Desk) look(ctx context.Context, t task) error {
	b, _, _, err := d.read(ctx)
	if err != nil {
		return err
	}
	in := b.incident(t.incident)
	if in == nil || in.State != Taken {
		return nil
	}
	if in.Acted {
		g := in.Finding.Gauge
		if g.Metric == "" || d.Measure == nil {
			return nil // the alert has to resolve
		}
		made := in.Made
		r, err := d.Measure(ctx, g.Target, g.Metric, made)
		if err != nil || len(r.Samples) == 0 {
			return err
		}
		return d.change(ctx, func(b *Book, now time.Time) []task {
			if is := b.incident(in.ID); is == nil || !is.Made.Equal(made) {
				return nil // something else was changed meanwhile
			}
			return b.measured(in.ID, r, now)
		})
	}
	var end *dialogue.Event
	err = d.talk.Events(ctx, t.call.Conversation, 0, func(ev dialogue.Event) error {
		if ev.Action == in.Action && ev.Kind == dialogue.EventOutcome {
			end = &ev
		}
		return nil
	})
	if err != nil {
		return err
	}
	if end == nil {
		if d.RolledOut == nil {
			return nil
		}
		out, err := d.RolledOut(ctx, in.Action)
		if err != nil || !out {
			return err
		}
		return d.change(ctx, func(b *Book, now time.Time) []task { b.rolledOut(in.ID, in.Action, now); return nil })
	}
	return d.change(ctx, func(b *Book, now time.Time) []task {
		return b.outcome(in.ID, in.Action, end.Reply.Outcome == dialogue.OutcomeDone, clipped(end.Reply.Speech), now)
	})
}
