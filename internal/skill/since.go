package skill

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// window is a stretch of time that somebody spoke of.
type window struct {
	from, to time.Time // to is zero for now
	words    string    // "since 14:00 yesterday"; "" where nothing was said
}

// holds reports whether a time is in the window.
func (w window) holds(t time.Time) bool {
	return !t.Before(w.from) && (w.to.IsZero() || t.Before(w.to))
}

var lengthPart = regexp.MustCompile(`^(\d+)(mo|[smhdw])`)

// length reads a length of time as slots hold it: "90m", "1h30m", "2w".
func length(s string) (time.Duration, bool) {
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "mo": 30 * 24 * time.Hour}
	var sum time.Duration
	for rest := s; rest != ""; {
		m := lengthPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, false
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || n > 100_000 {
			return 0, false
		}
		sum, rest = sum+time.Duration(n)*units[m[2]], rest[len(m[0]):]
	}
	return sum, s != ""
}

// midnight is the beginning of the day, so many days before now.
func midnight(now time.Time, before int) time.Time {
	y, m, d := now.Date()
	return time.Date(y, m, d-before, 0, 0, 0, 0, now.Location())
}

// weekday is how many days ago the last such day was; today counts.
func weekday(now time.Time, name string) (int, bool) {
	for d := range 7 {
		if strings.EqualFold(now.AddDate(0, 0, -d).Weekday().String(), name) {
			return d, true
		}
	}
	return 0, false
}

// past reads a point in time that is over, as slots hold it, in the time zone
// of now. A day is the whole day: from is its beginning and to its end.
func past(s string, now time.Time) (from, to time.Time, ok bool) {
	if d, is := length(s); is {
		return now.Add(-d), time.Time{}, true
	}
	day, clock, both := strings.Cut(s, " ")
	if !both && strings.Contains(s, ":") {
		day, clock = "today", s
	}
	switch day {
	case "last_night":
		return midnight(now, 1).Add(18 * time.Hour), midnight(now, 0).Add(6 * time.Hour), true
	case "this_morning":
		return midnight(now, 0), midnight(now, 0).Add(12 * time.Hour), true
	}
	ago, is := 0, day == "today"
	if day == "yesterday" {
		ago, is = 1, true
	}
	if !is {
		if ago, is = weekday(now, day); !is {
			if d, is := length(day); is && both { // "2d 14:00"
				ago = int(d / (24 * time.Hour))
			} else {
				return from, to, false
			}
		}
	}
	if clock == "" {
		return midnight(now, ago), midnight(now, ago-1), true
	}
	t, err := time.Parse("15:04", clock)
	if err != nil {
		return from, to, false
	}
	at := func(ago int) time.Time {
		y, m, d := now.Date()
		return time.Date(y, m, d-ago, t.Hour(), t.Minute(), 0, 0, now.Location())
	}
	if !both && at(0).After(now) {
		ago = 1 // "since eleven pm", said at one in the morning
	}
	return at(ago), time.Time{}, true
}

// asked is the window of a turn: since and until as its slots hold them, said
// tells whether a day is meant, as in "on monday", or all since, as in "since monday".
func asked(since, until, said string, now time.Time) (window, error) {
	if since == "" && until == "" {
		return window{from: now.AddDate(0, 0, -defaultDays), words: "in the last 30 days"}, nil
	}
	w := window{from: now.AddDate(0, 0, -defaultDays)}
	if since != "" {
		from, to, ok := past(since, now)
		if !ok || from.After(now) {
			return w, fault.New(fault.NotUnderstood, "I cannot tell when %s was. Say it as “since noon”, “yesterday” or “in the last two hours”.", strings.ReplaceAll(since, "_", " "))
		}
		w.from, w.to = from, to
		open := slices.ContainsFunc(strings.Fields(strings.ToLower(said)), func(f string) bool { return f == "since" || f == "from" || f == "after" })
		if open || until != "" || to.After(now) {
			w.to = time.Time{}
		}
	}
	if until != "" {
		from, _, ok := past(until, now)
		if !ok {
			return w, fault.New(fault.NotUnderstood, "I cannot tell when %s was. Say it as “between two and four”.", strings.ReplaceAll(until, "_", " "))
		}
		if w.to = from; !w.to.After(w.from) { // "from ten pm until two"
			w.to = w.to.AddDate(0, 0, 1)
		}
	}
	day := dayWords(since, now)
	switch {
	case day != "" && until == "" && said != "" && w.to.IsZero() && since != "today":
		w.words = "since " + strings.TrimPrefix(day, "on ")
	case day != "" && until == "":
		w.words = day
	case since != "" && w.to.IsZero():
		w.words = "since " + when(w.from, now)
	case since != "":
		w.words = "between " + when(w.from, now) + " and " + when(w.to, now)
	default:
		w.words = "until " + when(w.to, now)
	}
	return w, nil
}

// dayWords is how a day, or a part of one, is said; "" for other times.
func dayWords(s string, now time.Time) string {
	switch s {
	case "today", "yesterday", "last_night", "this_morning":
		return strings.ReplaceAll(s, "_", " ")
	}
	if _, ok := weekday(now, s); ok {
		return "on " + upper(s)
	}
	return ""
}

// defaultDays is how far back is looked where nothing is said.
const defaultDays = 30

// when says a time as people do, as seen from now.
func when(t, now time.Time) string {
	t = t.In(now.Location())
	clock := t.Format("15:04")
	switch day := midnight(t, 0); {
	case day.Equal(midnight(now, 0)):
		return clock
	case day.Equal(midnight(now, 1)):
		return clock + " yesterday"
	case day.After(midnight(now, 7)) && day.Before(now):
		return clock + " on " + t.Weekday().String()
	case t.Year() == now.Year():
		return clock + " on " + t.Format("2 January")
	}
	return clock + " on " + t.Format("2 January 2006")
}
