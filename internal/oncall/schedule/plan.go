package schedule

import (
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
)

// Contact is somebody who can be rung.
type Contact struct {
	Person string
	Phone  string // E.164
}

// Step is whom to ring before it is somebody else's turn.
type Step struct {
	// Ring are schedules, of which whoever has the duty is meant, and people.
	Ring []string
	// Tries is how often each is rung who does not answer. The second call within
	// a few minutes gets through where a phone is told to be quiet.
	Tries int
	// Wait is how long somebody who answered has to say what is to be done.
	Wait time.Duration
}

// Ring is a rule of what may ring when; an alert that none is about does not.
type Ring struct {
	Severity []string        // none: whatever it is
	When     []access.Window // none: at any hour
}

// Plan is who is on call, and whom to ring in which order.
type Plan struct {
	Zone      *time.Location // in which times are said
	Contacts  []Contact
	Schedules []Schedule // the first is the one that "who is on call?" means
	Steps     []Step
	Rounds    int // how often the steps are gone through
	Rings     []Ring
}

// Contact is how somebody is rung.
func (p Plan) Contact(person string) (Contact, bool) {
	i := slices.IndexFunc(p.Contacts, func(c Contact) bool { return c.Person == person })
	if i < 0 {
		return Contact{}, false
	}
	return p.Contacts[i], true
}

// OfPhone is whose number that is.
func (p Plan) OfPhone(number string) (Contact, bool) {
	i := slices.IndexFunc(p.Contacts, func(c Contact) bool { return c.Phone == number })
	if i < 0 {
		return Contact{}, false
	}
	return p.Contacts[i], true
}

// OnCall is who has the first duty at a time, and until when.
func (p Plan) OnCall(t time.Time, more []Shift) Shift { return p.Schedules[0].At(t, more) }

// Duty is who has a duty.
type Duty struct {
	Schedule string
	Shift
}

// Duties is who has each duty at a time.
func (p Plan) Duties(t time.Time, more []Shift) []Duty {
	var out []Duty
	for i, s := range p.Schedules {
		if i > 0 {
			more = nil // who takes over takes the first duty
		}
		out = append(out, Duty{s.Name, s.At(t, more)})
	}
	return out
}

// Turn is one person's turn to be rung.
type Turn struct {
	Contact Contact
	Round   int
	Step    int
	Try     int
	Wait    time.Duration
}

// Turns are all turns in their order, as the duties are at a time. Nobody has two in
// a row but for trying again.
func (p Plan) Turns(t time.Time, more []Shift) []Turn {
	var out []Turn
	for round := range max(1, p.Rounds) {
		for i, s := range p.Steps {
			for _, c := range p.ring(s, t, more) {
				for try := range max(1, s.Tries) {
					out = append(out, Turn{Contact: c, Round: round, Step: i, Try: try, Wait: s.Wait})
				}
			}
		}
	}
	return out
}

// ring is whom a step means, each once.
func (p Plan) ring(s Step, t time.Time, more []Shift) []Contact {
	var out []Contact
	for _, name := range s.Ring {
		person := name
		if i := slices.IndexFunc(p.Schedules, func(d Schedule) bool { return d.Name == name }); i >= 0 {
			if i > 0 {
				person = p.Schedules[i].At(t, nil).Person
			} else {
				person = p.Schedules[i].At(t, more).Person
			}
		}
		if c, ok := p.Contact(person); ok && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// MayRing reports whether an alert of a severity may ring at a time, and where not,
// when it next may: zero where never.
func (p Plan) MayRing(severity string, t time.Time) (ok bool, from time.Time) {
	if len(p.Rings) == 0 {
		return true, t
	}
	for _, r := range p.Rings {
		if len(r.Severity) > 0 && !slices.ContainsFunc(r.Severity, func(s string) bool { return strings.EqualFold(s, severity) }) {
			continue
		}
		if len(r.When) == 0 {
			return true, t
		}
		for _, w := range r.When {
			if w.Holds(t) {
				return true, t
			}
			if n := w.Next(t); !n.IsZero() && (from.IsZero() || n.Before(from)) {
				from = n
			}
		}
	}
	return false, from
}
