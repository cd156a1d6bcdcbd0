package oncall

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/oncall/schedule"
)

// Book is everything that on-call remembers.
type Book struct {
	Incidents []Incident `json:"incidents"`
	// Takeovers are who said that they are on call, and until when.
	Takeovers []schedule.Shift `json:"takeovers,omitempty"`
	Last      int              `json:"last"` // the number of the latest incident
}

// State is how far an incident has come.
type State string

// The states.
const (
	Quiet     State = "quiet"     // it may not ring at this hour
	Ready     State = "ready"     // it is somebody's turn once it is Due
	Asking    State = "asking"    // why it is so is being found out, for whoever is to be rung
	Ringing   State = "ringing"   // a telephone rings
	Talking   State = "talking"   // somebody picked up
	Waiting   State = "waiting"   // somebody knows and said nothing; until Due they may
	Taken     State = "taken"     // somebody said what is to be done, or that they are at it
	Unreached State = "unreached" // everybody was rung, nobody took it
	Over      State = "over"
)

// Alert is one alert of an incident.
type Alert struct {
	Fingerprint string    `json:"fingerprint"`
	Group       string    `json:"group,omitempty"`
	Name        string    `json:"name"`
	Severity    string    `json:"severity,omitempty"`
	Summary     string    `json:"summary,omitempty"` // data: it is said, never obeyed
	Target      Target    `json:"target"`
	Since       time.Time `json:"since"`
	Resolved    bool      `json:"resolved,omitempty"`
}

// Target is what an alert is about, as its labels say.
type Target struct {
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Kind      string `json:"kind,omitempty"` // "Node", or "" where the labels do not say
	Name      string `json:"name,omitempty"` // "" where nothing says what
}

// Incident is alerts of one cause, and what is done about them.
type Incident struct {
	ID     string    `json:"id"`
	State  State     `json:"state"`
	Opened time.Time `json:"opened"`
	Closed time.Time `json:"closed,omitzero"`
	// Due is when something has to be done although nobody says anything.
	Due      time.Time         `json:"due,omitzero"`
	Alerts   []Alert           `json:"alerts"`
	Symptom  diagnosis.Symptom `json:"symptom,omitempty"`
	Finding  Finding           `json:"finding,omitzero"`
	Turns    []schedule.Turn   `json:"turns,omitempty"` // whose turn it is, in order
	Turn     int               `json:"turn"`
	Calls    []Call            `json:"calls,omitempty"`
	Refs     int               `json:"refs"`           // of calls so far
	Line     []Moment          `json:"line,omitempty"` // the time-line
	By       string            `json:"by,omitempty"`   // who took it
	Action   string            `json:"action,omitempty"`
	Acted    bool              `json:"acted,omitempty"`   // the action is over, and did what it should
	Made     time.Time         `json:"made,omitzero"`     // when it was
	Deadline time.Time         `json:"deadline,omitzero"` // by which it should be normal
	Into     string            `json:"into,omitempty"`    // the incident that it became part of
	After    string            `json:"after,omitempty"`   // what was tried before it rings again: lineFailed, lineStill
}

// Finding is what the diagnosis found, as far as the machine needs it.
type Finding struct {
	Cause string `json:"cause,omitempty"` // what is at fault: two alerts of one are one incident
	Said  string `json:"said,omitempty"`  // in a sentence
	Gauge Gauge  `json:"gauge,omitzero"`
}

// Call is one call.
type Call struct {
	Ref          string          `json:"ref"`
	Person       string          `json:"person"`
	Phone        string          `json:"phone"`
	Conversation string          `json:"conversation"`
	Begun        time.Time       `json:"begun"` // when why it is so began to be found out
	Placed       time.Time       `json:"placed,omitzero"`
	ID           string          `json:"id,omitempty"` // the carrier's
	Answered     time.Time       `json:"answered,omitzero"`
	Ended        time.Time       `json:"ended,omitzero"`
	Status       string          `json:"status,omitempty"`
	Opening      *dialogue.Reply `json:"opening,omitempty"`
	Rest         string          `json:"rest,omitempty"` // of the diagnosis, which Opening leaves out
}

func (c Call) open() bool { return !c.Placed.IsZero() && c.Ended.IsZero() }

// Moment is one line of the time-line.
type Moment struct {
	At   time.Time         `json:"at"`
	What string            `json:"what"` // the key of its wording
	Data map[string]string `json:"data,omitempty"`
	Told bool              `json:"told,omitempty"`
}

// What stands on the time-line.
const (
	lineFired     = "fired"
	lineJoined    = "joined"
	lineQuiet     = "quiet"
	lineCause     = "cause"
	lineRing      = "ring"
	lineUnheard   = "unheard"
	lineAnswered  = "answered"
	lineSilent    = "silent" // hung up without a word
	linePassed    = "passed"
	lineAcked     = "acked"
	lineDecided   = "decided"
	lineDone      = "done"
	lineMade      = "made"
	lineFailed    = "failed"
	lineNormal    = "normal"
	lineStill     = "still"
	lineResolved  = "resolved"
	lineUnreached = "unreached"
	lineSame      = "same"
	lineTakeover  = "takeover"
)

const (
	keptIncidents = 50  // that are over
	keptAlerts    = 200 // of one incident
	keptLines     = 300
)

// incident finds one by its id.
func (b *Book) incident(id string) *Incident {
	for i := range b.Incidents {
		if b.Incidents[i].ID == id {
			return &b.Incidents[i]
		}
	}
	return nil
}

// call finds a call by its reference.
func (b *Book) call(ref string) (*Incident, *Call) {
	return b.find(func(c Call) bool { return c.Ref == ref })
}

// conversation finds the latest call of a conversation.
func (b *Book) conversation(name string) (*Incident, *Call) {
	return b.find(func(c Call) bool { return c.Conversation == name })
}

func (b *Book) find(fits func(Call) bool) (*Incident, *Call) {
	for i := range b.Incidents {
		for j := range slices.Backward(b.Incidents[i].Calls) {
			if c := &b.Incidents[i].Calls[j]; fits(*c) {
				return &b.Incidents[i], c
			}
		}
	}
	return nil, nil
}

// Open lists the incidents that are not over.
func (b *Book) Open() []Incident {
	var out []Incident
	for _, in := range b.Incidents {
		if in.State != Over {
			out = append(out, in)
		}
	}
	return out
}

// note adds to the time-line.
func (in *Incident) note(at time.Time, what string, data map[string]string) {
	if len(in.Line) < keptLines {
		in.Line = append(in.Line, Moment{At: at, What: what, Data: data})
	}
}

// last is the call that was placed last, or is about to be.
func (in *Incident) last() *Call {
	if len(in.Calls) == 0 {
		return nil
	}
	return &in.Calls[len(in.Calls)-1]
}

// First is the gravest alert, and of these the oldest: what the incident is about.
func (in Incident) First() Alert {
	return slices.MinFunc(in.Alerts, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(grave(b.Severity), grave(a.Severity)), a.Since.Compare(b.Since))
	})
}

// Resolved reports whether none of the alerts fires any more.
func (in Incident) Resolved() bool {
	return !slices.ContainsFunc(in.Alerts, func(a Alert) bool { return !a.Resolved })
}

// severity is the gravest of what fires.
func (in Incident) severity() string { return in.First().Severity }

// grave orders severities as Alertmanager's users name them.
func grave(severity string) int {
	switch strings.ToLower(severity) {
	case "critical", "page", "emergency", "fatal", "p1", "sev1", "disaster":
		return 3
	case "error", "high", "major", "p2", "sev2":
		return 2
	case "warning", "warn", "minor", "p3", "sev3":
		return 1
	}
	return 0
}

// begin opens an incident.
func (b *Book) begin(a Alert, now time.Time) *Incident {
	b.Last++
	b.Incidents = append(b.Incidents, Incident{ID: fmt.Sprint(b.Last), State: Ready, Opened: now, Due: now, Alerts: []Alert{a}, Symptom: symptomOf(a)})
	return &b.Incidents[len(b.Incidents)-1]
}

// trim forgets the oldest of what is over.
func (b *Book) trim(now time.Time) {
	over := 0
	for _, in := range b.Incidents {
		if in.done() {
			over++
		}
	}
	b.Incidents = slices.DeleteFunc(b.Incidents, func(in Incident) bool {
		if in.done() && over > keptIncidents {
			over--
			return true
		}
		return false
	})
	b.Takeovers = slices.DeleteFunc(b.Takeovers, func(s schedule.Shift) bool { return !now.Before(s.To) })
}

// done reports whether nothing is left to do or to tell.
func (in Incident) done() bool {
	return in.State == Over && !slices.ContainsFunc(in.Line, func(l Moment) bool { return !l.Told }) &&
		!slices.ContainsFunc(in.Calls, Call.open)
}

// symptomOf is what an alert's name says is wrong.
func symptomOf(a Alert) diagnosis.Symptom {
	name := strings.ToLower(a.Name)
	for _, s := range []struct {
		words []string
		is    diagnosis.Symptom
	}{
		{[]string{"oom", "outofmemory"}, diagnosis.SymptomOOM},
		{[]string{"crash"}, diagnosis.SymptomCrash},
		{[]string{"restart"}, diagnosis.SymptomRestarts},
		{[]string{"imagepull", "errimage"}, diagnosis.SymptomImagePull},
		{[]string{"timeout"}, diagnosis.SymptomTimeout},
		{[]string{"error", "5xx", "fail", "burn", "availability"}, diagnosis.SymptomErrors},
		{[]string{"latency", "slow", "duration", "p99", "p95"}, diagnosis.SymptomSlow},
		{[]string{"down", "unavailable", "absent", "unreachable", "notready", "mismatch"}, diagnosis.SymptomDown},
		{[]string{"pending", "unschedulable"}, diagnosis.SymptomPending},
	} {
		if slices.ContainsFunc(s.words, func(w string) bool { return strings.Contains(name, w) }) {
			return s.is
		}
	}
	return diagnosis.SymptomUnsaid
}
