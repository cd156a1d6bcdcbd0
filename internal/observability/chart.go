package observability

import (
	"math"
	"strconv"
	"time"
)

// Chart is a picture's worth of numbers, for whoever draws it.
type Chart struct {
	Title string `json:"title"`
	Kind  string `json:"kind"` // "line": over time; "bars": a point of each series
	Unit  Unit   `json:"unit"`
	// Series are lines, or bars from the longest on. Earlier are those of a time
	// before, moved to now, with their name: "an hour ago".
	Series  []Series `json:"series"`
	Earlier []Series `json:"earlier,omitempty"`
	Marks   []Mark   `json:"marks,omitempty"`
	Link    string   `json:"link,omitempty"` // where the query can be looked at
}

// The kinds of Chart.
const (
	Lines = "line"
	Bars  = "bars"
)

// Mark is something that happened at a moment, as a roll-out. With Until it lasted.
type Mark struct {
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"`
	Label string    `json:"label"`
}

// Text is a value as it is written: "840 ms", "1.5 GiB", "12 %".
func (u Unit) Text(v float64) string {
	s, unit := u.Scale(v)
	return join(Digits(v*s), unit)
}

func join(number, unit string) string {
	if unit == "" {
		return number
	}
	return number + " " + unit
}

// Digits writes a number with three digits that count, more before the point.
func Digits(v float64) string {
	a := math.Abs(v)
	prec := 0
	switch {
	case a == 0:
	case a < 0.001:
		return strconv.FormatFloat(v, 'g', 2, 64)
	case a < 0.1:
		prec = 3
	case a < 10:
		prec = 2
	case a < 100:
		prec = 1
	}
	s := strconv.FormatFloat(v, 'f', prec, 64)
	if prec > 0 { // 2.50 is 2.5
		for s[len(s)-1] == '0' {
			s = s[:len(s)-1]
		}
		if s[len(s)-1] == '.' {
			s = s[:len(s)-1]
		}
	}
	return s
}

// Scale is by what to multiply numbers about as large as v, and what they are then in.
func (u Unit) Scale(v float64) (by float64, unit string) {
	a := math.Abs(v)
	switch u {
	case Seconds:
		switch {
		case a == 0:
			return 1, "s"
		case a < 0.000_999_5:
			return 1e6, "µs"
		case a < 0.999_5:
			return 1000, "ms"
		case a < 120:
			return 1, "s"
		case a < 7200:
			return 1. / 60, "min"
		case a < 48*3600:
			return 1. / 3600, "h"
		}
		return 1. / 86400, "d"
	case Bytes, BytesRate:
		by, unit = 1, "B"
		for _, n := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
			if a*by < 1023.5 {
				break
			}
			by, unit = by/1024, n
		}
		if u == BytesRate {
			unit += "/s"
		}
		return by, unit
	case Ratio:
		return 100, "%"
	case PerSecond:
		return 1, "/s"
	case Cores:
		if a > 0 && a < 0.0995 {
			return 1000, "m cores"
		}
		return 1, "cores"
	}
	return 1, ""
}
