package schedule

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/teambition/rrule-go"
)

const (
	// mostShifts bounds what is taken of a calendar.
	mostShifts = 5000
	// calendarSpan is how much of an event that repeats without end is taken.
	calendarSpan = 10 * 366 * 24 * time.Hour
)

// Calendar reads the shifts of an iCalendar file: who the title of an event names,
// or one of its attendees, is on call for as long as it lasts. A zone that an
// event does not name is this one.
func Calendar(b []byte, zone *time.Location, people []Contact) ([]Shift, error) {
	cal, err := ics.ParseCalendar(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("that is no iCalendar: %w", err)
	}
	if z := calendarZone(cal); z != nil {
		zone = z
	}
	var out []Shift
	moved := map[string][]time.Time{} // by UID: the times of a series that have an event of their own
	for _, e := range cal.Events() {
		if p := e.GetProperty(ics.ComponentPropertyRecurrenceId); p != nil {
			at, _, err := moments(p, zone)
			if err != nil {
				return nil, named(e, err)
			}
			moved[e.Id()] = append(moved[e.Id()], at...)
		}
	}
	for _, e := range cal.Events() {
		if s := e.GetProperty(ics.ComponentPropertyStatus); s != nil && strings.EqualFold(s.Value, "CANCELLED") {
			continue
		}
		who, err := onDuty(e, people)
		if err != nil {
			return nil, named(e, err)
		}
		own := moved[e.Id()]
		if e.GetProperty(ics.ComponentPropertyRecurrenceId) != nil {
			own = nil
		}
		shifts, err := occurrences(e, zone, own)
		if err != nil {
			return nil, named(e, err)
		}
		for _, s := range shifts {
			s.Person = who
			out = append(out, s)
		}
		if len(out) > mostShifts {
			return nil, fmt.Errorf("it has more than %d shifts", mostShifts)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("it has no events")
	}
	slices.SortStableFunc(out, func(a, b Shift) int { return a.From.Compare(b.From) })
	return out, nil
}

// calendarZone is the zone that a calendar says is its own.
func calendarZone(cal *ics.Calendar) *time.Location {
	for _, p := range cal.CalendarProperties {
		if p.IANAToken == "X-WR-TIMEZONE" {
			if z, err := time.LoadLocation(p.Value); err == nil {
				return z
			}
		}
	}
	return nil
}

func named(e *ics.VEvent, err error) error {
	title := ""
	if p := e.GetProperty(ics.ComponentPropertySummary); p != nil {
		title = p.Value
	}
	return fmt.Errorf("the event %q: %w", cmp.Or(title, e.Id()), err)
}

// onDuty is whom an event names: in its title, or as the only attendee that is known.
func onDuty(e *ics.VEvent, people []Contact) (string, error) {
	title := ""
	if p := e.GetProperty(ics.ComponentPropertySummary); p != nil {
		title = p.Value
	}
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return strings.ContainsRune(" \t:,;()[]/–-", r) })
	var found []string
	for _, c := range people {
		if strings.EqualFold(title, c.Person) {
			return c.Person, nil
		}
		if slices.Contains(words, strings.ToLower(c.Person)) {
			found = append(found, c.Person)
		}
	}
	if len(found) == 0 {
		for _, a := range e.Attendees() {
			name, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(a.Email()), "mailto:"), "@")
			cn := ""
			if v := a.ICalParameters["CN"]; len(v) > 0 {
				cn = v[0]
			}
			for _, c := range people {
				if name == strings.ToLower(c.Person) || strings.EqualFold(cn, c.Person) {
					found = append(found, c.Person)
				}
			}
		}
	}
	switch slices.Sort(found); len(slices.Compact(found)) {
	case 0:
		return "", errors.New("neither its title nor its attendees name one of the people")
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("it names several of the people (%s); a shift is one person's", strings.Join(found, ", "))
}

// moments reads the times of a property, which may be whole days.
func moments(p *ics.IANAProperty, zone *time.Location) (out []time.Time, days bool, err error) {
	if id := p.ICalParameters["TZID"]; len(id) > 0 {
		z, err := time.LoadLocation(strings.Trim(id[0], `"`))
		if err != nil {
			return nil, false, fmt.Errorf("its time zone %q is none of the IANA database; have the calendar exported with names like Europe/Vienna", id[0])
		}
		zone = z
	}
	for _, v := range strings.Split(p.Value, ",") {
		form := "20060102T150405"
		switch {
		case len(v) == len("20060102"):
			form, days = "20060102", true
		case strings.HasSuffix(v, "Z"):
			t, err := time.Parse("20060102T150405Z", v)
			if err != nil {
				return nil, false, fmt.Errorf("%q is no time", v)
			}
			out = append(out, t.In(zone))
			continue
		}
		t, err := time.ParseInLocation(form, v, zone)
		if err != nil {
			return nil, false, fmt.Errorf("%q is no time", v)
		}
		out = append(out, t)
	}
	return out, days, nil
}

// occurrences are the times of an event, without those that are moved.
func occurrences(e *ics.VEvent, zone *time.Location, moved []time.Time) ([]Shift, error) {
	start := e.GetProperty(ics.ComponentPropertyDtStart)
	if start == nil {
		return nil, errors.New("it has no beginning")
	}
	from, days, err := moments(start, zone)
	if err != nil {
		return nil, err
	}
	begin := from[0]
	end, err := ending(e, begin, days, zone)
	if err != nil {
		return nil, err
	}
	if !end.After(begin) {
		return nil, errors.New("it does not end after it begins")
	}
	set := &rrule.Set{}
	set.DTStart(begin)
	repeats := e.GetProperties(ics.ComponentPropertyRrule)
	switch {
	case len(repeats) > 1:
		return nil, errors.New("it repeats by several rules")
	case len(repeats) == 1:
		opt, err := rrule.StrToROptionInLocation(repeats[0].Value, begin.Location())
		if err != nil {
			return nil, fmt.Errorf("it repeats by %q: %w", repeats[0].Value, err)
		}
		if opt.Freq > rrule.DAILY {
			return nil, fmt.Errorf("it repeats by %q; shifts are daily or longer", repeats[0].Value)
		}
		opt.Dtstart = begin
		if last := begin.Add(calendarSpan); opt.Until.IsZero() || opt.Until.After(last) {
			opt.Until = last
		}
		r, err := rrule.NewRRule(*opt)
		if err != nil {
			return nil, fmt.Errorf("it repeats by %q: %w", repeats[0].Value, err)
		}
		set.RRule(r)
	default:
		set.RDate(begin)
	}
	for _, p := range e.GetProperties(ics.ComponentPropertyRdate) {
		at, _, err := moments(p, zone)
		if err != nil {
			return nil, err
		}
		for _, t := range at {
			set.RDate(t)
		}
	}
	for _, p := range e.GetProperties(ics.ComponentPropertyExdate) {
		at, _, err := moments(p, zone)
		if err != nil {
			return nil, err
		}
		moved = append(slices.Clone(moved), at...)
	}
	var out []Shift
	next := set.Iterator()
	long := wall(end.In(begin.Location())).Sub(wall(begin)) // by the clock on the wall, as it is drawn
	for t, ok := next(); ok; t, ok = next() {
		if slices.ContainsFunc(moved, t.Equal) {
			continue
		}
		y, m, d := t.Date()
		to := time.Date(y, m, d, t.Hour(), t.Minute(), t.Second()+int(long/time.Second), 0, t.Location())
		if out = append(out, Shift{From: t, To: to}); len(out) > mostShifts {
			return nil, fmt.Errorf("it repeats more than %d times", mostShifts)
		}
	}
	return out, nil
}

// ending is when an event is over.
func ending(e *ics.VEvent, begin time.Time, days bool, zone *time.Location) (time.Time, error) {
	if p := e.GetProperty(ics.ComponentPropertyDtEnd); p != nil {
		to, _, err := moments(p, zone)
		if err != nil {
			return time.Time{}, err
		}
		return to[0], nil
	}
	if p := e.GetProperty(ics.ComponentPropertyDuration); p != nil {
		d, err := duration(p.Value)
		return begin.Add(d), err
	}
	if days {
		return begin.AddDate(0, 0, 1), nil
	}
	return time.Time{}, errors.New("it has no end")
}

// duration reads the form of iCalendar: P1W, P1DT12H.
func duration(s string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is no duration", s)
	}
	var out time.Duration
	for i, unit := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi(cmp.Or(m[i+1], "0")) // digits, by the form
		out += time.Duration(n) * unit
	}
	return out, nil
}

var durationForm = regexp.MustCompile(`^\+?P(?:(\d{1,3})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?$`)
