package skill

import (
	"strings"
	"testing"
	"time"
)

// saturday is Saturday, 21 November 2026, 14:30 in a zone that is not UTC's.
func saturday(t testing.TB) time.Time {
	t.Helper()
	z, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	return time.Date(2026, 11, 21, 14, 30, 0, 0, z)
}

func TestTimesArePast(t *testing.T) {
	now := saturday(t)
	for _, tt := range []struct{ since, until, said, from, to, words string }{
		{"", "", "", "2026-10-22 14:30", "", "in the last 30 days"},
		{"2h", "", "in the last two hours", "2026-11-21 12:30", "", "since 12:30"},
		{"1h30m", "", "", "2026-11-21 13:00", "", "since 13:00"},
		{"1w", "", "", "2026-11-14 14:30", "", "since 14:30 on 14 November"},
		{"today", "", "today", "2026-11-21 00:00", "", "today"},
		{"yesterday", "", "what changed yesterday", "2026-11-20 00:00", "2026-11-21 00:00", "yesterday"},
		{"yesterday", "", "since yesterday", "2026-11-20 00:00", "", "since yesterday"},
		{"yesterday 18:00", "", "since yesterday at six pm", "2026-11-20 18:00", "", "since 18:00 yesterday"},
		{"monday", "", "on monday", "2026-11-16 00:00", "2026-11-17 00:00", "on Monday"},
		{"monday", "", "since Monday", "2026-11-16 00:00", "", "since Monday"},
		{"saturday", "", "on saturday", "2026-11-21 00:00", "", "since Saturday"},
		{"last_night", "", "last night", "2026-11-20 18:00", "2026-11-21 06:00", "last night"},
		{"this_morning", "", "this morning", "2026-11-21 00:00", "2026-11-21 12:00", "this morning"},
		{"12:00", "", "since noon", "2026-11-21 12:00", "", "since 12:00"},
		{"23:00", "", "since eleven pm", "2026-11-20 23:00", "", "since 23:00 yesterday"},
		{"2d", "", "", "2026-11-19 14:30", "", "since 14:30 on Thursday"},
		{"09:00", "11:00", "between nine and eleven", "2026-11-21 09:00", "2026-11-21 11:00", "between 09:00 and 11:00"},
		{"22:00", "02:00", "from ten pm until two", "2026-11-20 22:00", "2026-11-21 02:00", "between 22:00 yesterday and 02:00"},
		{"", "12:00", "until noon", "2026-10-22 14:30", "2026-11-21 12:00", "until 12:00"},
	} {
		w, err := asked(tt.since, tt.until, tt.said, now)
		format := func(t time.Time) string {
			if t.IsZero() {
				return ""
			}
			return t.Format("2006-01-02 15:04")
		}
		if err != nil || format(w.from) != tt.from || format(w.to) != tt.to || w.words != tt.words {
			t.Errorf("%q until %q, said %q: from %s to %s, %q, %v", tt.since, tt.until, tt.said, format(w.from), format(w.to), w.words, err)
		}
	}
	for _, bad := range []string{"tomorrow", "soon", "", "99999999999999999999d", "25:00", "monday 9", "5"} {
		if _, err := asked(bad, "x", "", now); err == nil {
			t.Errorf("%q is a time", bad)
		}
	}
}

func TestADayInWhichClocksAreTurnedIsWhole(t *testing.T) {
	now := saturday(t).AddDate(0, 0, -25) // 27 October; clocks were turned on the 25th
	w, err := asked("sunday", "", "on sunday", now)
	if err != nil || w.from.Format(time.DateTime) != "2026-10-25 00:00:00" || w.to.Sub(w.from) != 25*time.Hour {
		t.Errorf("%v to %v, %v", w.from, w.to, err)
	}
}

func FuzzPast(f *testing.F) {
	for _, s := range []string{"2h", "yesterday 18:00", "12:00", "last_night", "monday", "2d 14:00", "1mo2w"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 21, 14, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		from, to, ok := past(s, now)
		if ok && (from.IsZero() || !to.IsZero() && to.Before(from)) {
			t.Errorf("%q: %v to %v", s, from, to)
		}
		if w, err := asked(s, "", s, now); err == nil && (w.words == "" || strings.Contains(w.words, "%!") || w.from.After(now)) {
			t.Errorf("%q: %+v", s, w)
		}
	})
}
