package oncall

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/oncall/schedule"
)

const (
	// askLimit is how long why it is so may take to be found out; then it rings
	// without.
	askLimit = 20 * time.Second
	// ringLimit is how long a telephone rings at most: carriers give up after a
	// minute. It is also what a process that died with a call on its hands costs.
	ringLimit = 90 * time.Second
	// talkLimit is how long a call takes at most, where nobody says that it is over.
	talkLimit = 30 * time.Minute
	// againAfter is the time between two tries of one telephone.
	againAfter = 15 * time.Second
	// engagedEvery is how often is looked whether somebody is off the telephone.
	engagedEvery = 5 * time.Second
	// lookEvery is how often is looked how a change goes.
	lookEvery = time.Second
	// actFor is how long a change may take before nobody waits for it.
	actFor = 30 * time.Minute
	// justOver is how long an alert that still fires belongs to what is over: the
	// measure is back to normal before the rule notices.
	justOver = 15 * time.Minute
)

// Policy is what the machine goes by.
type Policy struct {
	Plan   schedule.Plan
	AckFor time.Duration // how long an acknowledgement holds
}

// do is what is to be done outside of the book.
type do string

const (
	doAsk    do = "ask"    // find out why, for the call
	doRing   do = "ring"   // place the call
	doHangUp do = "hangup" // call it off
	doText   do = "text"   // send words to a telephone
	doPush   do = "push"   // say words in the conversation of the call
	doLook   do = "look"   // at how the change goes, or the measure
	doTell   do = "tell"   // the time-line, to the incident channel
)

// task is one thing to be done, once, by whoever swapped the book.
type task struct {
	do       do
	incident string
	call     Call
	contact  schedule.Contact
	words    string // the key of what is said
	data     map[string]string
	line     int
}

// advance does what time has come for.
func (b *Book) advance(now time.Time, p Policy) []task {
	var out []task
	for i := range b.Incidents {
		in := &b.Incidents[i]
		if !in.Due.IsZero() && !in.Due.After(now) {
			out = append(out, b.due(in, now, p)...)
		}
		for n, l := range in.Line {
			if !l.Told {
				out = append(out, task{do: doTell, incident: in.ID, line: n})
			}
		}
	}
	b.trim(now)
	return out
}

// due is what an incident whose time has come does next.
func (b *Book) due(in *Incident, now time.Time, p Policy) []task {
	in.Due = time.Time{}
	switch in.State {
	case Quiet, Ready:
		return b.ring(in, now, p)
	case Asking:
		return b.place(in, now)
	case Ringing:
		c := *in.last()
		return append([]task{{do: doHangUp, incident: in.ID, call: c}}, b.ended(c.Ref, "no-answer", now)...)
	case Talking:
		return b.ended(in.last().Ref, "completed", now)
	case Waiting:
		in.nextPerson(now)
		return nil
	case Taken:
		return in.look(now, p)
	case Unreached, Over:
	}
	return nil
}

// look is at what somebody who took it has done.
func (in *Incident) look(now time.Time, p Policy) []task {
	switch {
	case in.Action == "": // acknowledged, some time ago
		in.again(now, p, lineStill, map[string]string{"By": in.By})
		return nil
	case now.After(in.Deadline):
		return in.failed(now, lineStill, nil)
	case in.Acted:
		in.Due = now.Add(gaugeEvery)
		if now.Sub(in.Made) > gaugeSoon {
			in.Due = now.Add(gaugeLater)
		}
	default:
		in.Due = now.Add(lookEvery)
	}
	return []task{{do: doLook, incident: in.ID, call: *in.last()}}
}

// again begins anew: it was taken, and is as it was.
func (in *Incident) again(now time.Time, p Policy, what string, data map[string]string) {
	in.note(now, what, data)
	in.After = what
	in.State, in.Due, in.Turn, in.Turns = Ready, now, 0, nil
	in.By, in.Action, in.Acted = "", "", false
}

// ring begins somebody's turn.
func (b *Book) ring(in *Incident, now time.Time, p Policy) []task {
	if len(in.Calls) == 0 {
		if ok, from := p.Plan.MayRing(in.severity(), now); !ok {
			if in.State != Quiet {
				in.note(now, lineQuiet, map[string]string{"Severity": in.severity()})
			}
			in.State, in.Due = Quiet, from
			return nil
		}
	}
	in.State = Ready
	if in.Turns == nil {
		in.Turns = p.Plan.Turns(now, b.Takeovers)
	}
	if in.Turn >= len(in.Turns) {
		return in.unreached(now)
	}
	turn := in.Turns[in.Turn]
	in.Refs++
	ref := in.ID + "-" + strconv.Itoa(in.Refs)
	in.Calls = append(in.Calls, Call{Ref: ref, Person: turn.Contact.Person, Phone: turn.Contact.Phone, Conversation: "oncall-" + ref, Begun: now})
	in.State, in.Due = Asking, now.Add(askLimit)
	return []task{{do: doAsk, incident: in.ID, call: *in.last(), contact: turn.Contact}}
}

// unreached: nobody is left to ring.
func (in *Incident) unreached(now time.Time) []task {
	in.State = Unreached
	in.note(now, lineUnreached, map[string]string{"Count": strconv.Itoa(len(in.Calls))})
	var out []task
	var told []string
	for _, t := range in.Turns {
		if !slices.Contains(told, t.Contact.Phone) {
			told = append(told, t.Contact.Phone)
			a := in.First()
			out = append(out, task{do: doText, incident: in.ID, contact: t.Contact, words: "oncall.text.unreached", data: map[string]string{"Alert": a.Name, "Target": a.Target.Name, "Said": in.Finding.Said}})
		}
	}
	return out
}

// stale is how old what was found out may be when it rings: what a diagnosis
// offers waits for a yes for two minutes.
const stale = time.Minute

// place has the telephone rung, once whoever is to be rung is not on it with us.
func (b *Book) place(in *Incident, now time.Time) []task {
	c := in.last()
	if other, on := b.find(func(o Call) bool { return o.open() && o.Phone == c.Phone }); other != nil {
		in.Due = now.Add(engagedEvery)
		if other.State != Taken {
			return nil // they are asked something: one thing after the other
		}
		a := in.First()
		return []task{{do: doPush, incident: in.ID + "/beside", call: *on, words: "oncall.beside", data: map[string]string{"Alert": a.Name, "Target": a.Target.Name}}}
	}
	if now.Sub(c.Begun) > stale {
		in.Calls = in.Calls[:len(in.Calls)-1]
		in.State, in.Due = Ready, now
		return nil
	}
	c.Placed = now
	in.State, in.Due = Ringing, now.Add(ringLimit)
	in.note(now, lineRing, map[string]string{"Person": c.Person})
	return []task{{do: doRing, incident: in.ID, call: *c, contact: schedule.Contact{Person: c.Person, Phone: c.Phone}}}
}

// asked is told why it is so, as the one to be rung will hear it.
func (b *Book) asked(ref string, opening *dialogue.Reply, rest string, f Finding, now time.Time) []task {
	in, c := b.call(ref)
	if in == nil || in.State != Asking || in.last() != c {
		return nil
	}
	c.Opening, c.Rest = opening, rest
	if in.Finding.Cause == "" || f.Cause != "" {
		if f.Said != "" && f.Cause != in.Finding.Cause {
			in.note(now, lineCause, map[string]string{"Said": f.Said})
		}
		in.Finding = f
	}
	for i := range b.Incidents {
		o := &b.Incidents[i]
		if o.ID != in.ID && f.Cause != "" && o.Finding.Cause == f.Cause && slices.Contains([]State{Asking, Ringing, Talking, Waiting, Taken}, o.State) {
			return b.merge(in, o, now)
		}
	}
	return b.place(in, now)
}

// merge makes one incident part of another: they have one cause.
func (b *Book) merge(in, into *Incident, now time.Time) []task {
	for _, a := range in.Alerts {
		if len(into.Alerts) < keptAlerts {
			into.Alerts = append(into.Alerts, a)
		}
	}
	a := in.First()
	data := map[string]string{"Alert": a.Name, "Target": a.Target.Name, "Other": into.ID}
	in.State, in.Closed, in.Due, in.Into = Over, now, time.Time{}, into.ID
	in.note(now, lineSame, data)
	into.note(now, lineJoined, data)
	return nil // it changes nothing for who is on the telephone: the time-line has it
}

// placed is told that the carrier rings, or why it does not.
func (b *Book) placed(ref, id string, failed bool, now time.Time) []task {
	_, c := b.call(ref)
	switch {
	case c == nil:
		return nil
	case failed:
		return b.ended(ref, "failed", now)
	}
	c.ID = id
	if !c.Ended.IsZero() && c.Answered.IsZero() { // called off before the carrier had said its name
		return []task{{do: doHangUp, call: *c}}
	}
	return nil
}

// answered is told that somebody picked up.
func (b *Book) answered(ref string, now time.Time) {
	in, c := b.call(ref)
	if in == nil || !c.Answered.IsZero() {
		return
	}
	c.Answered = now
	if in.State == Ringing && in.last() == c {
		in.State, in.Due = Talking, now.Add(talkLimit)
		in.note(now, lineAnswered, map[string]string{"Person": c.Person})
	}
}

// ended is told how a call ended.
func (b *Book) ended(ref, status string, now time.Time) []task {
	in, c := b.call(ref)
	if in == nil || !c.Ended.IsZero() {
		return nil
	}
	c.Ended, c.Status = now, status
	if in.last() != c {
		return nil
	}
	switch in.State {
	case Ringing:
		in.note(now, lineUnheard, map[string]string{"Person": c.Person, "Status": status})
		in.nextTurn(now)
	case Talking:
		if in.Resolved() {
			in.over(now)
			return nil
		}
		in.note(now, lineSilent, map[string]string{"Person": c.Person})
		in.State, in.Due = Waiting, now.Add(in.Turns[in.Turn].Wait)
	case Quiet, Ready, Asking, Waiting, Taken, Unreached, Over:
	}
	return nil
}

// nextTurn: who was rung did not pick up.
func (in *Incident) nextTurn(now time.Time) {
	was := in.Turns[in.Turn].Contact
	in.Turn++
	in.State, in.Due = Ready, now
	if in.Turn < len(in.Turns) && in.Turns[in.Turn].Contact == was {
		in.Due = now.Add(againAfter)
	}
}

// nextPerson: who was reached leaves it to somebody else.
func (in *Incident) nextPerson(now time.Time) {
	was := in.Turns[in.Turn]
	for in.Turn < len(in.Turns) && in.Turns[in.Turn].Contact == was.Contact && in.Turns[in.Turn].Round == was.Round {
		in.Turn++
	}
	in.State, in.Due = Ready, now
}

// over closes an incident.
func (in *Incident) over(now time.Time) {
	in.State, in.Closed, in.Due = Over, now, time.Time{}
}

// pass leaves an incident to the next one, at the word of whoever is on the
// telephone. ok is false where there is nobody.
func (b *Book) pass(conversation string, now time.Time) (next string, ok bool) {
	in, c := b.conversation(conversation)
	if in == nil || in.State == Over || len(in.Turns) == 0 {
		return "", false
	}
	if in.last() != c || in.State != Talking && in.State != Waiting && in.State != Taken {
		if in.Turn < len(in.Turns) {
			return in.Turns[in.Turn].Contact.Person, true // it was said before
		}
		return "", false
	}
	if in.Action != "" && !in.Acted {
		return "", false // what was agreed to is being done
	}
	in.note(now, linePassed, map[string]string{"Person": c.Person})
	in.By, in.Action, in.Acted = "", "", false
	in.nextPerson(now)
	if in.Turn < len(in.Turns) {
		next = in.Turns[in.Turn].Contact.Person
	}
	return next, next != ""
}

// acknowledge notes that somebody is at it.
func (b *Book) acknowledge(conversation string, now time.Time, p Policy) (in *Incident, ok bool) {
	in, c := b.conversation(conversation)
	if in == nil || in.State == Over {
		return in, false
	}
	if in.State != Taken {
		in.note(now, lineAcked, map[string]string{"Person": c.Person})
		in.State, in.By, in.Due = Taken, c.Person, now.Add(p.AckFor)
	}
	return in, true
}

// decided notes that somebody agreed to a change.
func (b *Book) decided(conversation, action, what string, now time.Time) {
	in, c := b.conversation(conversation)
	if in == nil || in.State == Over || in.Action == action {
		return
	}
	in.note(now, lineDecided, map[string]string{"Person": c.Person, "What": what})
	in.State, in.By, in.Action, in.Acted = Taken, c.Person, action, false
	in.Due, in.Deadline = now.Add(lookEvery), now.Add(actFor)
}

// outcome is told how the change went.
func (b *Book) outcome(id, action string, ok bool, said string, now time.Time) []task {
	in := b.incident(id)
	if in == nil || in.State != Taken || in.Action != action || in.Acted {
		return nil
	}
	if !ok {
		return in.failed(now, lineFailed, map[string]string{"Said": said})
	}
	in.note(now, lineDone, map[string]string{"Said": said})
	in.Acted, in.Made, in.Due, in.Deadline = true, now, now, now.Add(gaugeFor)
	var out []task
	if c := *in.last(); !c.open() { // else it is told in the call
		out = append(out, task{do: doText, incident: in.ID, contact: schedule.Contact{Person: c.Person, Phone: c.Phone}, words: "oncall.text.done", data: map[string]string{"Said": said}})
	}
	if in.Resolved() {
		out = append(out, in.normal(now, "")...)
	}
	return out
}

// rolledOut is told that the change is made, though it is still being watched:
// whether it helps shows from now on.
func (b *Book) rolledOut(id, action string, now time.Time) {
	in := b.incident(id)
	if in == nil || in.State != Taken || in.Action != action || in.Acted {
		return
	}
	in.note(now, lineMade, nil)
	in.Acted, in.Made, in.Due, in.Deadline = true, now, now, now.Add(gaugeFor)
}

// failed: the change did not help. Whoever agreed to it is told, by another call
// where they hung up.
func (in *Incident) failed(now time.Time, what string, data map[string]string) []task {
	in.note(now, what, data)
	in.After = what
	c := *in.last()
	in.By, in.Action, in.Acted = "", "", false
	if c.open() {
		in.State, in.Due = Talking, now.Add(talkLimit)
		if what == lineFailed {
			return nil // it is told there as the outcome that it is
		}
		return []task{{do: doPush, incident: in.ID + "/still" + c.Ref, call: c, words: "oncall.still", data: in.gaugeData(nil)}}
	}
	in.State, in.Due = Ready, now
	return nil
}

// gaugeData is what is said of the measure.
func (in *Incident) gaugeData(value *float64) map[string]string {
	d := map[string]string{"Metric": string(in.Finding.Gauge.Metric), "Target": in.First().Target.Name, "Value": ""}
	if value != nil {
		d["Value"] = figure(*value, in.Finding.Gauge.Metric)
	}
	return d
}

// measured is told how the measure of the alert is now, after a change was done.
func (b *Book) measured(id string, r Reading, now time.Time) []task {
	in := b.incident(id)
	if in == nil || in.State != Taken || !in.Acted {
		return nil
	}
	value, ok := in.Finding.Gauge.Recovered(r)
	if !ok {
		return nil
	}
	return in.normal(now, figure(value, in.Finding.Gauge.Metric))
}

// normal: all is well again, and whoever saw to it hears of it.
func (in *Incident) normal(now time.Time, value string) []task {
	data := in.gaugeData(nil)
	data["Value"] = value
	in.note(now, lineNormal, data)
	in.over(now)
	c := *in.last()
	say := task{do: doPush, incident: in.ID + "/normal", call: c, words: "oncall.normal", data: data}
	if c.open() {
		return []task{say}
	}
	return []task{say, {do: doText, incident: in.ID, contact: schedule.Contact{Person: c.Person, Phone: c.Phone}, words: "oncall.text.normal", data: data}}
}

// take notes that somebody is on call until a time.
func (b *Book) take(s schedule.Shift) { b.Takeovers = append(b.Takeovers, s) }

// figure says a measure.
func figure(v float64, m observability.Metric) string {
	if m == observability.Latency {
		if v < 1 {
			return fmt.Sprintf("%.0f milliseconds", v*1000)
		}
		return fmt.Sprintf("%.1f seconds", v)
	}
	return strconv.FormatFloat(math.Round(v*1000)/10, 'f', -1, 64) + " percent"
}
