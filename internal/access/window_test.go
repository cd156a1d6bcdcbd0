package access

import (
	"testing"
	"time"
)

// TestWindowNext: between two edges nothing changes, at each edge it does; also
// on the days on which the clock is changed.
func TestWindowNext(t *testing.T) {
	for _, c := range []struct {
		days     []string
		from, to string
		zone     string
	}{
		{nil, "22:00", "06:00", "Europe/Vienna"},
		{nil, "02:30", "03:15", "Europe/Vienna"}, // what the clock shows twice, or not at all
		{[]string{"sun"}, "01:45", "02:45", "Australia/Lord_Howe"},
		{nil, "sat 22:00", "sun 02:30", "America/New_York"},
		{[]string{"mon", "fri"}, "", "", "Asia/Kolkata"},
		{nil, "2026-03-28 12:00", "2026-03-29", "Europe/Vienna"},
	} {
		w, err := NewWindow(c.days, c.from, c.to, c.zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, begin := range []time.Time{
			time.Date(2026, 3, 6, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 3, 0, 0, 0, 0, time.UTC),
			time.Date(2026, 10, 23, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 30, 0, 0, 0, 0, time.UTC),
		} {
			at, end := begin, begin.Add(4*24*time.Hour)
			for at.Before(end) {
				next := w.Next(at)
				for probe := at; probe.Before(end) && (next.IsZero() || probe.Before(next)); probe = probe.Add(5 * time.Minute) {
					if w.Holds(probe) != w.Holds(at) {
						t.Fatalf("%s: from %s nothing should change before %s, but does at %s", w, at, next, probe)
					}
				}
				if next.IsZero() {
					break
				}
				if !next.After(at) || w.Holds(next) == w.Holds(next.Add(-time.Nanosecond)) {
					t.Fatalf("%s: after %s comes %s, where nothing changes", w, at, next)
				}
				at = next
			}
		}
	}
}
