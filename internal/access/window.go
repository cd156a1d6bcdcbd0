package access

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Window is a stretch of time: on certain days of the week between two times of
// the day, from a time of the week to another, or between two dates. Its clock
// is that of its time zone.
type Window struct {
	days     [7]bool // on which it begins; daily
	from, to int     // daily: minutes of the day; weekly: minutes of the week, from Sunday
	weekly   bool
	start    time.Time // dated
	end      time.Time // dated; not in it any more
	zone     *time.Location
	text     string
}

const (
	day  = 24 * 60
	week = 7 * day
)

// Holds reports whether a time is in the window.
func (w Window) Holds(t time.Time) bool {
	if !w.end.IsZero() {
		return !t.Before(w.start) && t.Before(w.end)
	}
	t = t.In(w.zone)
	minute := t.Hour()*60 + t.Minute()
	if w.weekly {
		return between(int(t.Weekday())*day+minute, w.from, w.to)
	}
	today, before := int(t.Weekday()), (int(t.Weekday())+6)%7
	if w.from < w.to {
		return w.days[today] && minute >= w.from && minute < w.to
	}
	return w.days[today] && minute >= w.from || w.days[before] && minute < w.to
}

// between reports whether a time lies in a stretch of a circle.
func between(t, from, to int) bool {
	if from < to {
		return t >= from && t < to
	}
	return t >= from || t < to
}

// String gives the window as it was written.
func (w Window) String() string { return w.text }

// WindowError says which key of a window is wrong.
type WindowError struct {
	Key string // "days", "from", "to" or "zone"
	Why string
}

// Error gives the text for logs.
func (e *WindowError) Error() string { return e.Key + ": " + e.Why }

// NewWindow reads a window. from and to are both times of the day ("16:00"),
// of the week ("fri 16:00") or dates ("2026-12-20", "2026-12-20 18:00"); a day
// that ends a window is in it as a whole. days narrows times of the day. zone
// is a name of the IANA database, "" is UTC.
func NewWindow(days []string, from, to, zone string) (Window, error) {
	w := Window{zone: time.UTC, text: strings.TrimSpace(strings.Join(days, ", ") + " " + stretch(from, to) + " " + zone)}
	if zone != "" {
		z, err := time.LoadLocation(zone)
		if err != nil || zone == "Local" {
			return w, &WindowError{"zone", fmt.Sprintf("%q is no time zone; write one like Europe/Vienna or UTC", zone)}
		}
		w.zone = z
	}
	if dated(from) || dated(to) {
		return w.dates(days, from, to)
	}
	f, fromDay, err := clock(from, 0)
	if err != nil {
		return w, &WindowError{"from", err.Error()}
	}
	t, toDay, err := clock(to, day)
	if err != nil {
		return w, &WindowError{"to", err.Error()}
	}
	w.from, w.to = f, t
	switch {
	case (fromDay < 0) != (toDay < 0):
		return w, &WindowError{"to", "from and to have both a day of the week, or neither"}
	case fromDay >= 0:
		if len(days) > 0 {
			return w, &WindowError{"days", "from and to name the days already"}
		}
		w.weekly, w.from, w.to = true, fromDay*day+f, (toDay*day+t)%week
		if w.from == w.to {
			return w, &WindowError{"to", "that is the same as from"}
		}
		return w, nil
	case f == t%day && !(f == 0 && t == day):
		return w, &WindowError{"to", "that is the same as from"}
	case from == "" && to == "" && len(days) == 0:
		return w, &WindowError{"from", "a window has from and to, or days"}
	}
	for _, d := range days {
		n, ok := weekday(d)
		if !ok {
			return w, &WindowError{"days", fmt.Sprintf("%q is no day of the week; write mon, tue, wed, thu, fri, sat or sun", d)}
		}
		w.days[n] = true
	}
	if len(days) == 0 {
		w.days = [7]bool{true, true, true, true, true, true, true}
	}
	return w, nil
}

func stretch(from, to string) string {
	if from == "" && to == "" {
		return ""
	}
	return "from " + from + " to " + to
}

// dates fills a window between two dates.
func (w Window) dates(days []string, from, to string) (Window, error) {
	if len(days) > 0 {
		return w, &WindowError{"days", "days do not go with dates"}
	}
	var err error
	if w.start, _, err = date(from, w.zone); err != nil {
		return w, &WindowError{"from", err.Error()}
	}
	end, whole, err := date(to, w.zone)
	if err != nil {
		return w, &WindowError{"to", err.Error()}
	}
	if whole {
		end = end.AddDate(0, 0, 1)
	}
	if !end.After(w.start) {
		return w, &WindowError{"to", "that is not after from"}
	}
	w.end = end
	return w, nil
}

var dateForm = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}`)

func dated(s string) bool { return dateForm.MatchString(s) }

// date reads a date with or without a time of the day.
func date(s string, zone *time.Location) (t time.Time, whole bool, err error) {
	for _, form := range []string{"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02T15:04:05Z07:00"} {
		if t, err := time.ParseInLocation(form, s, zone); err == nil {
			return t, false, nil
		}
	}
	if t, err := time.ParseInLocation("2006-01-02", s, zone); err == nil {
		return t, true, nil
	}
	return time.Time{}, false, fmt.Errorf("%q is no date; write 2026-12-20 or 2026-12-20 18:00, in both", s)
}

var clockForm = regexp.MustCompile(`^(?:([A-Za-z]+) +)?(\d{1,2}):(\d{2})$`)

// clock reads a time of the day, with or without a day of the week (else -1).
func clock(s string, none int) (minutes, onDay int, err error) {
	if s == "" {
		return none, -1, nil
	}
	m := clockForm.FindStringSubmatch(s)
	if m == nil {
		return 0, -1, fmt.Errorf("%q is no time; write 16:00, fri 16:00 or 2026-12-20", s)
	}
	h, _ := strconv.Atoi(m[2]) // digits, by the form
	min, _ := strconv.Atoi(m[3])
	if h > 24 || min > 59 || h == 24 && min > 0 {
		return 0, -1, fmt.Errorf("%q is no time of the day", s)
	}
	onDay = -1
	if m[1] != "" {
		n, ok := weekday(m[1])
		if !ok {
			return 0, -1, fmt.Errorf("%q is no day of the week; write mon, tue, wed, thu, fri, sat or sun", m[1])
		}
		onDay = n
	}
	return h*60 + min, onDay, nil
}

func weekday(s string) (int, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(s, d.String()) || strings.EqualFold(s, d.String()[:3]) {
			return int(d), true
		}
	}
	return 0, false
}

// Next is the first time after t at which the window begins or ends; zero where
// it never does again.
func (w Window) Next(t time.Time) time.Time {
	var edges []time.Time
	if !w.end.IsZero() {
		edges = []time.Time{w.start, w.end}
	} else {
		y, m, d := t.In(w.zone).Date()
		minutes := []int{w.from, w.to}
		if w.weekly {
			minutes = []int{w.from % day, w.to % day}
		}
		for ahead := -1; ahead <= 8; ahead++ {
			for _, at := range minutes {
				c := time.Date(y, m, d+ahead, 0, at, 0, 0, w.zone)
				// What the clock shows twice, or not at all, is an edge where it is changed.
				from, to := c.ZoneBounds()
				edges = append(edges, c, from, to, c.Add(-time.Hour), c.Add(time.Hour), c.Add(-time.Hour/2), c.Add(time.Hour/2))
			}
		}
	}
	var next time.Time
	for _, c := range edges {
		if c.After(t) && (next.IsZero() || c.Before(next)) && w.Holds(c) != w.Holds(c.Add(-time.Nanosecond)) {
			next = c
		}
	}
	return next
}
