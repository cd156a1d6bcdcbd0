package intents

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The lists of the catalogue that times are read with. A time is written as a
// length ("90s", "15m", "2h", "7d"), a clock ("15:00"), a day ("yesterday",
// "monday", "last_night") or a day with a clock ("yesterday 18:00").
const (
	listUnit  = "time_unit"  // s, m, h, d, w, mo → second, minute, …
	listDay   = "time_day"   // yesterday, monday, last_deploy → …
	listPart  = "time_part"  // am, pm → "in the morning", …
	listClock = "time_clock" // 12:00 → noon
)

// longest returns the value of the longest phrase of a list at pos.
func (rd *reading) listed(list string, pos int) (value string, end int, ok bool) {
	if t := rd.r.lists[list]; t != nil && pos < len(rd.tokens) {
		t.each(rd.tokens, pos, func(e int, v string) { value, end, ok = v, e, true })
	}
	return value, end, ok
}

// unitSeconds is what one unit lasts. A month is thirty days.
var unitSeconds = [...]struct {
	unit    string
	seconds float64
}{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 7 * 86400}, {"mo", 30 * 86400}}

func secondsOf(unit string) float64 {
	for _, u := range unitSeconds {
		if u.unit == unit {
			return u.seconds
		}
	}
	return 0
}

// formatLength writes n units the way lengths are written: in the unit that was
// said where that gives a whole number, else in the next smaller one. Weeks and
// months are days.
func formatLength(n float64, unit string) (string, bool) {
	switch unit {
	case "w":
		n, unit = n*7, "d"
	case "mo":
		n, unit = n*30, "d"
	}
	for i := len(unitSeconds) - 3; i >= 0; i-- { // d and smaller
		u := unitSeconds[i]
		if u.seconds > secondsOf(unit) {
			continue
		}
		count := n * secondsOf(unit) / u.seconds
		if whole := math.Round(count); math.Abs(count-whole) < 1e-6 && whole >= 1 && whole < 1e6 {
			return strconv.Itoa(int(whole)) + u.unit, true
		}
	}
	return "", false
}

// length reads a length of time: "15m", "1h30m", "an hour and a half", "two
// weeks", "a quarter of an hour".
func (rd *reading) length(pos int) []span {
	n, unit, end, ok := rd.amount(pos)
	if !ok {
		return nil
	}
	if s, ok := formatLength(n, unit); ok {
		return []span{{end: end, val: s}}
	}
	return nil
}

// unitLength reads a bare unit as one of it: "(the last) hour".
func (rd *reading) unitLength(pos int) []span {
	if unit, end, ok := rd.listed(listUnit, pos); ok && len(rd.tokens[pos].text) > 2 {
		if s, ok := formatLength(1, unit); ok {
			return []span{{end: end, val: s}}
		}
	}
	return rd.length(pos)
}

// amount reads a number of units.
func (rd *reading) amount(pos int) (n float64, unit string, end int, ok bool) {
	if n, unit, ok := rd.compact(rd.tokens[pos].text); ok {
		return n, unit, pos + 1, true
	}
	text := func(i int) string {
		if i >= 0 && i < len(rd.tokens) {
			return rd.tokens[i].text
		}
		return ""
	}
	share, at := 0.0, pos // "half an", "a quarter of an", "three quarters of an"
	switch {
	case text(at) == "half":
		share, at = 0.5, at+1
	case text(at) == "a" && text(at+1) == "half":
		share, at = 0.5, at+2
	case text(at) == "quarter":
		share, at = 0.25, at+1
	case text(at) == "a" && text(at+1) == "quarter":
		share, at = 0.25, at+2
	case text(at) == "three" && text(at+1) == "quarters":
		share, at = 0.75, at+2
	}
	if share > 0 {
		if text(at) == "of" {
			at++
		}
		if text(at) == "a" || text(at) == "an" || text(at) == "the" {
			at++
		}
		unit, end, ok = rd.listed(listUnit, at)
		return share, unit, end, ok
	}
	switch t := text(at); {
	case (t == "a" || t == "an" || t == "one") && text(at+1) != "":
		if u, e, found := rd.listed(listUnit, at+1); found && len(text(at+1)) > 1 {
			n, unit, end = 1, u, e
		}
	case t == "few" || t == "several" || (t == "a" && text(at+1) == "few"):
	}
	if unit == "" {
		number := rd.decimal(pos)
		if len(number) == 0 {
			return 0, "", pos, false
		}
		for _, s := range number { // "two and a half hours" before "two"
			u, e, found := rd.listed(listUnit, s.end)
			if !found {
				continue
			}
			switch v := s.val.(type) {
			case int:
				n = float64(v)
			case float64:
				n = v
			}
			unit, end = u, e
			break
		}
		if unit == "" {
			return 0, "", pos, false
		}
	}
	// "an hour and a half", "two hours and fifteen minutes"
	if text(end) == "and" {
		if text(end+1) == "a" && text(end+2) == "half" {
			return n + 0.5, unit, end + 3, true
		}
		if text(end+1) == "a" && text(end+2) == "quarter" && unit == "h" {
			return n + 0.25, unit, end + 3, true
		}
	}
	at = end
	if text(at) == "and" {
		at++
	}
	if at >= len(rd.tokens) {
		return n, unit, end, true
	}
	if more := rd.decimal(at); len(more) > 0 {
		last := more[len(more)-1]
		if u, e, found := rd.listed(listUnit, last.end); found && secondsOf(u) < secondsOf(unit) {
			if m, isInt := last.val.(int); isInt {
				return n*secondsOf(unit)/secondsOf(u) + float64(m), u, e, true
			}
		}
	}
	return n, unit, end, true
}

// compact reads "15m", "1h30m", "2.5h", "10min".
func (rd *reading) compact(t string) (n float64, unit string, ok bool) {
	if t == "" || !isDigit(t[0]) || len(t) > 12 {
		return 0, "", false
	}
	i := len(t)
	for j := range len(t) {
		if !isDigit(t[j]) && t[j] != '.' {
			i = j
			break
		}
	}
	n, err := strconv.ParseFloat(t[:i], 64)
	if err != nil || i == len(t) {
		return 0, "", false
	}
	rest := t[i:]
	j := len(rest)
	for k := range len(rest) {
		if isDigit(rest[k]) {
			j = k
			break
		}
	}
	units := rd.r.lists[listUnit]
	if units == nil || units.next[rest[:j]] == nil || len(units.next[rest[:j]].values) == 0 {
		return 0, "", false
	}
	unit = units.next[rest[:j]].values[0]
	if j == len(rest) {
		return n, unit, true
	}
	m, smaller, ok := rd.compact(rest[j:])
	if !ok || secondsOf(smaller) >= secondsOf(unit) {
		return 0, "", false
	}
	return n*secondsOf(unit)/secondsOf(smaller) + m, smaller, true
}

// clock reads a time of day that cannot be a count: "15:00", "3 pm", "noon",
// "half past two", "nine thirty", "three oclock".
func (rd *reading) clock(pos int) []span {
	if h, m, end, ok := rd.timeOfDay(pos, false); ok {
		return []span{{end: end, val: fmt.Sprintf("%02d:%02d", h, m)}}
	}
	return nil
}

// hour also reads a bare number as a full hour: "since nine".
func (rd *reading) hour(pos int) []span {
	if h, m, end, ok := rd.timeOfDay(pos, true); ok {
		return []span{{end: end, val: fmt.Sprintf("%02d:%02d", h, m)}}
	}
	return nil
}

func (rd *reading) timeOfDay(pos int, bare bool) (h, m, end int, ok bool) {
	if pos >= len(rd.tokens) {
		return 0, 0, pos, false
	}
	text := func(i int) string {
		if i < len(rd.tokens) {
			return rd.tokens[i].text
		}
		return ""
	}
	if v, e, found := rd.listed(listClock, pos); found {
		if a, b, isClock := strings.Cut(v, ":"); isClock {
			h, _ = strconv.Atoi(a)
			m, _ = strconv.Atoi(b)
			return h, m, e, true
		}
	}
	finish := func(h, m, end int, sure bool) (int, int, int, bool) {
		if part, e, found := rd.listed(listPart, end); found && h <= 12 {
			switch {
			case part == "pm" && h < 12:
				h += 12
			case part == "am" && h == 12:
				h = 0
			}
			end, sure = e, true
		} else if h <= 12 && !strings.Contains(text(pos), ":") {
			// "between 2 and 3 pm": the second clock's half of the day holds for both.
			at := end
			for _, joint := range [...]string{"and", "to", "until", "till", "-"} {
				if text(at) == joint {
					if n, e, found := rd.r.numeral(rd.tokens, at+1); found && n >= h && n <= 12 {
						if part, _, found := rd.listed(listPart, e); found {
							if part == "pm" && h < 12 {
								h += 12
							}
							sure = true
						}
					} else if t := text(at + 1); strings.HasSuffix(t, "pm") && isDigit(t[0]) {
						if h < 12 {
							h += 12
						}
						sure = true
					}
					break
				}
			}
		}
		if !sure && !bare || h > 24 || m > 59 {
			return 0, 0, pos, false
		}
		if !sure { // "since five minutes" is no clock
			if _, _, unit := rd.listed(listUnit, end); unit {
				return 0, 0, pos, false
			}
		}
		return h % 24, m, end, true
	}
	t := text(pos)
	if isDigit(t[0]) {
		body, half := t, ""
		for _, s := range [...]string{"am", "pm"} {
			if cut, found := strings.CutSuffix(t, s); found {
				body, half = cut, s
			}
		}
		hh, mm, colon := strings.Cut(body, ":")
		if !colon && half != "" {
			hh, mm, colon = strings.Cut(body, ".")
		}
		h, err := strconv.Atoi(hh)
		if err != nil || len(hh) > 2 {
			return 0, 0, pos, false
		}
		if colon {
			if len(mm) > 2 && strings.Count(mm, ":") == 1 { // seconds are dropped
				mm, _, _ = strings.Cut(mm, ":")
			}
			if m, err = strconv.Atoi(mm); err != nil || len(mm) != 2 {
				return 0, 0, pos, false
			}
		}
		if half != "" {
			if h > 12 || h == 0 {
				return 0, 0, pos, false
			}
			if half == "pm" && h < 12 {
				h += 12
			}
			if half == "am" && h == 12 {
				h = 0
			}
			return h, m, pos + 1, m < 60
		}
		if !colon && text(pos+1) == "oclock" {
			return finish(h, 0, pos+2, true)
		}
		if !colon && isNumeral(text(pos+1)) && len(text(pos+1)) == 2 {
			if n, err := strconv.Atoi(text(pos + 1)); err == nil && n < 60 {
				if _, _, found := rd.listed(listPart, pos+2); found {
					return finish(h, n, pos+2, true) // "3 30 pm"
				}
			}
		}
		return finish(h, m, pos+1, colon)
	}
	// "half past two", "quarter to nine", "ten past nine", "twenty to six"
	minutes, at := -1, pos
	switch {
	case t == "half":
		minutes, at = 30, pos+1
	case t == "quarter":
		minutes, at = 15, pos+1
	case t == "a" && text(pos+1) == "quarter":
		minutes, at = 15, pos+2
	default:
		if n, e, found := rd.r.numeral(rd.tokens, pos); found && n > 0 && n < 60 {
			minutes, at = n, e
			if text(at) == "minutes" {
				at++
			}
		}
	}
	if minutes > 0 && (text(at) == "past" || text(at) == "to" || text(at) == "after") && (minutes != 30 || text(at) == "past") {
		if n, e, found := rd.r.numeral(rd.tokens, at+1); found && n >= 1 && n <= 12 && (t == "half" || t == "quarter" || t == "a" || text(at) == "past") {
			if text(at) == "to" {
				n, minutes = n-1, 60-minutes
			}
			return finish(n, minutes, e, true)
		}
	}
	n, e, found := rd.r.numeral(rd.tokens, pos)
	if !found || n > 24 {
		// "nine thirty" reads as one number nowhere, "nine fifteen" neither.
		return 0, 0, pos, false
	}
	if text(e) == "oclock" {
		return finish(n, 0, e+1, true)
	}
	if n2, e2, more := rd.r.numeral(rd.tokens, e); more && n2 >= 10 && n2 < 60 && n >= 1 {
		return finish(n, n2, e2, true)
	}
	return finish(n, 0, e, false)
}

// moment reads a point in time: a clock, a day, or both.
func (rd *reading) moment(pos int, bare bool) []span {
	var out []span
	clock := rd.clock
	if bare {
		clock = rd.hour
	}
	if day, end, ok := rd.listed(listDay, pos); ok {
		out = append(out, span{end: end, val: day})
		at := end
		if at < len(rd.tokens) && (rd.tokens[at].text == "at" || rd.tokens[at].text == "around" || rd.tokens[at].text == ",") {
			at++
		}
		if at < len(rd.tokens) {
			for _, c := range rd.hour(at) {
				if at > end || len(rd.clock(at)) > 0 {
					out = append(out, span{end: c.end, val: day + " " + c.val.(string)})
				}
			}
		}
		return out
	}
	for _, c := range clock(pos) {
		out = append(out, c)
		at := c.end
		if at < len(rd.tokens) && rd.tokens[at].text == "on" {
			at++
		}
		if day, end, ok := rd.listed(listDay, at); ok {
			if day == "today" {
				out = append(out, span{end: end, val: c.val})
			} else if !strings.Contains(day, "_") {
				out = append(out, span{end: end, val: day + " " + c.val.(string)})
			}
		}
	}
	return out
}
