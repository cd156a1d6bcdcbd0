package schedule

import (
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
)

// Schedule is one duty: at any time, who has it.
type Schedule struct {
	Name      string
	Layers    []Layer // the first that has somebody at a time counts
	Overrides []Shift // before all layers; of two, the later one in the list
}

// Layer is people who take turns.
type Layer struct {
	Name   string
	From   time.Time // when the first shift begins; its clock and zone are those of every hand-over
	Until  time.Time // zero: without end
	Every  Length    // of a shift
	People []string
	Only   []access.Window // within which it counts; none: always
	Shifts []Shift         // instead of taking turns: what a calendar says, in the order of their beginnings
}

// Shift is a stretch of time that somebody has the duty.
type Shift struct {
	Person   string
	From, To time.Time
}

// Holds reports whether a time is in the shift.
func (s Shift) Holds(t time.Time) bool { return !t.Before(s.From) && t.Before(s.To) }

// Length is how long a shift takes by the clock on the wall: a day has 23 or 25
// hours where the clock is changed, and a hand-over at nine stays at nine.
type Length struct {
	Days  int
	Hours int // a part of a day, where Days is 0
}

// wall is what the clock shows, as if there were no zones.
func wall(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// begin is when the nth shift begins.
func (l Layer) begin(n int) time.Time {
	y, m, d := l.From.Date()
	return time.Date(y, m, d+n*l.Every.Days, l.From.Hour()+n*l.Every.Hours, l.From.Minute(), l.From.Second(), 0, l.From.Location())
}

// nth is the number of the shift that a time is in; ok is false before the first.
func (l Layer) nth(t time.Time) (n int, ok bool) {
	if t.Before(l.From) {
		return 0, false
	}
	whole := time.Duration(l.Every.Days)*24*time.Hour + time.Duration(l.Every.Hours)*time.Hour
	n = int(wall(t.In(l.From.Location())).Sub(wall(l.From)) / whole)
	for n > 0 && l.begin(n).After(t) { // the clock was set back in between
		n--
	}
	for !l.begin(n + 1).After(t) {
		n++
	}
	return n, true
}

// who has the layer at a time, "" for nobody.
func (l Layer) who(t time.Time) string {
	if !l.Until.IsZero() && !t.Before(l.Until) {
		return ""
	}
	if len(l.Only) > 0 && !slices.ContainsFunc(l.Only, func(w access.Window) bool { return w.Holds(t) }) {
		return ""
	}
	if len(l.People) == 0 {
		return during(l.Shifts, t)
	}
	n, ok := l.nth(t)
	if !ok {
		return ""
	}
	return l.People[n%len(l.People)]
}

// during is who has a time among shifts, the later ones of the list first.
func during(shifts []Shift, t time.Time) string {
	for _, s := range slices.Backward(shifts) {
		if s.Holds(t) {
			return s.Person
		}
	}
	return ""
}

// next is the first time after t at which the layer may change hands; zero for never.
func (l Layer) next(t time.Time) time.Time {
	var c []time.Time
	if len(l.People) > 0 {
		if n, ok := l.nth(t); ok {
			c = append(c, l.begin(n+1))
		} else {
			c = append(c, l.From)
		}
	}
	for _, w := range l.Only {
		c = append(c, w.Next(t))
	}
	return first(t, append(append(c, l.Until), edges(l.Shifts)...))
}

func edges(shifts []Shift) []time.Time {
	var out []time.Time
	for _, s := range shifts {
		out = append(out, s.From, s.To)
	}
	return out
}

// first is the earliest of times that is after t; zero where there is none.
func first(t time.Time, of []time.Time) time.Time {
	var out time.Time
	for _, c := range of {
		if c.After(t) && (out.IsZero() || c.Before(out)) {
			out = c
		}
	}
	return out
}

// who has the duty at a time, "" for nobody. more are overrides that somebody said.
func (s Schedule) who(t time.Time, more []Shift) string {
	for _, o := range [][]Shift{more, s.Overrides} {
		if p := during(o, t); p != "" {
			return p
		}
	}
	for _, l := range s.Layers {
		if p := l.who(t); p != "" {
			return p
		}
	}
	return ""
}

// horizon is how far ahead the end of a duty is looked for.
const horizon = 366 * 24 * time.Hour

// At is who has the duty at a time, "" for nobody, and until when: zero where no
// end is in sight. more are overrides that somebody said, over those of the schedule.
func (s Schedule) At(t time.Time, more []Shift) Shift {
	now := Shift{Person: s.who(t, more), From: t}
	for c := t; ; {
		var next []time.Time
		for _, l := range s.Layers {
			next = append(next, l.next(c))
		}
		c = first(c, append(append(next, edges(s.Overrides)...), edges(more)...))
		if c.IsZero() || c.Sub(t) > horizon {
			return now
		}
		if s.who(c, more) != now.Person {
			now.To = c
			return now
		}
	}
}
