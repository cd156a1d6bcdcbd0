package collect

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

var t0 = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

const step = 30 * time.Second

// line makes a line of two hours from a value for each step.
func line(f func(i int) float64) []observability.Point {
	var out []observability.Point
	for i := range 240 {
		if v := f(i); !math.IsNaN(v) {
			out = append(out, observability.Point{At: t0.Add(time.Duration(i) * step), Value: v})
		}
	}
	return out
}

// window is the second hour.
var window = observability.Window{From: t0.Add(time.Hour), To: t0.Add(2 * time.Hour)}

func TestCompareFindsShifts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const runs = 300
	noisy := func(level float64) float64 { return level * math.Exp(0.15*r.NormFloat64()) }
	// A rate over two minutes makes a ramp of four points of a step.
	ramp := func(i, from int, a, b float64) float64 {
		return a + (b-a)*min(1, max(0, float64(i-from)/4))
	}
	missed, late := 0, 0
	for run := range runs {
		from := 30 + run*200/runs
		last := line(func(i int) float64 { return noisy(ramp(i, from, 0.1, 0.25)) })
		s := compare(last, window, noise{0.005, 1.3})
		want := t0.Add(time.Duration(from) * step)
		switch {
		case s.at.IsZero():
			missed++
			t.Logf("missed from %d: %+v turn %d", from, s, turn(values(last)))
		case s.at.Sub(want) > 3*time.Minute || want.Sub(s.at) > 90*time.Second:
			late++
		}
		if !s.at.IsZero() && (math.Abs(s.before-0.1) > 0.02 || math.Abs(s.now-0.25) > 0.06) {
			t.Errorf("from %d: %+v", from, s)
		}
	}
	if missed > runs/100 || late > runs/50 {
		t.Errorf("of %d shifts %d are missed and %d more than 3 minutes off", runs, missed, late)
	}
	alarms := 0
	for range runs {
		// A day's wave beside the noise, and a spike.
		if s := compare(line(func(i int) float64 {
			if i == 170 {
				return 2
			}
			return noisy(0.1 * (1 + 0.12*math.Sin(float64(i)/40)))
		}), window, noise{0.005, 1.3}); !s.at.IsZero() {
			alarms++
		}
	}
	if alarms > runs/100 {
		t.Errorf("%d false alarms in %d lines on which nothing happens", alarms, runs)
	}
}

func TestCompare(t *testing.T) {
	n := noise{0.005, 1.3}
	for name, c := range map[string]struct {
		points []observability.Point
		want   shift
	}{
		"nothing is known": {nil, shift{}},
		"flat":             {line(func(int) float64 { return 0.1 }), shift{now: 0.1, before: 0.1, known: true, past: true}},
		"zero":             {line(func(int) float64 { return 0 }), shift{known: true, past: true}},
		"a step":           {line(func(i int) float64 { return []float64{0.1, 0.4}[i/160] }), shift{now: 0.4, before: 0.1, at: t0.Add(159*step + step/2), known: true, past: true}},
		"a step down":      {line(func(i int) float64 { return []float64{40, 10}[i/160] }), shift{now: 10, before: 40, at: t0.Add(159*step + step/2), known: true, past: true}},
		"errors from none": {line(func(i int) float64 { return []float64{0, 0.2}[i/120] }), shift{now: 0.2, before: 0, at: t0.Add(119*step + step/2), known: true, past: true}},
		"a little more":    {line(func(i int) float64 { return []float64{0.1, 0.11}[i/120] }), shift{now: 0.11, before: 0.1, known: true, past: true}},
		"it ended before": {line(func(i int) float64 {
			if i > 100 {
				return math.NaN()
			}
			return 0.1
		}), shift{before: 0.1, past: true}},
		"it is new": {line(func(i int) float64 {
			if i < 130 {
				return math.NaN()
			}
			return 0.1
		}), shift{now: 0.1, known: true}},
		"the last two minutes": {line(func(i int) float64 {
			if i >= 236 {
				return 0.9
			}
			return 0.1
		}), shift{now: 0.9, before: 0.1, at: t0.Add(235*step + step/2), known: true, past: true}},
	} {
		got := compare(c.points, window, n)
		if math.Abs(got.now-c.want.now) > 1e-9 || math.Abs(got.before-c.want.before) > 1e-9 || !got.at.Equal(c.want.at) || got.known != c.want.known || got.past != c.want.past {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
