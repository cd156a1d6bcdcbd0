package collect

import (
	"math"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// shift is how a line went: what it is now, what it was before, and when it
// became so.
type shift struct {
	now, before float64
	at          time.Time // zero where the level did not change
	known       bool      // there are points of now
	past        bool      // there are points of before
}

// noise is what is not worth calling a shift of a metric: below this much more,
// and below this ratio.
type noise struct {
	least float64 // absolute
	ratio float64 // above 1
}

const (
	// sigmas is by how many robust standard deviations a level has to move.
	sigmas = 4
	// fewest is how many points make a level.
	fewest = 3
)

// compare tells how a line went, whose past ends where the window begins. A
// level that changed is found by the greatest sum of what the points are off
// their mean (CUSUM), with spikes cut to what noise does; its size is judged by
// medians, against the median absolute deviation.
func compare(points []observability.Point, w observability.Window, n noise) shift {
	if len(points) == 0 {
		return shift{}
	}
	v := make([]float64, len(points))
	for i, p := range points {
		v[i] = p.Value
	}
	s := shift{known: !points[len(points)-1].At.Before(w.From)}
	i := turn(v)
	if i > 0 {
		before, after := median(v[:i]), median(v[i:])
		sigma := deviation(v[:i], before, n)
		if math.Abs(after-before) >= max(sigmas*sigma, n.least) && ratioOf(after, before) >= n.ratio {
			s.now, s.before, s.past = median(latest(v[i:])), before, true
			s.at = began(points, v, i, before, sigma, after > before)
			return s
		}
	}
	// No change of level that stands out: how it is, and how it was before the window.
	was, is := points[:0:0], points[:0:0]
	for _, p := range points {
		if p.At.Before(w.From) {
			was = append(was, p)
		} else {
			is = append(is, p)
		}
	}
	s.now, s.past = median(latest(values(is))), len(was) > 0
	if s.past {
		s.before = median(values(was))
	}
	return s
}

// ratioOf is by how much one is more than the other, whichever is.
func ratioOf(a, b float64) float64 {
	a, b = math.Abs(a), math.Abs(b)
	if a < b {
		a, b = b, a
	}
	if b == 0 {
		return math.Inf(1)
	}
	return a / b
}

// deviation is a robust standard deviation, and not less than what a metric
// does anyhow: a line that never moved would make anything a shift.
func deviation(v []float64, m float64, n noise) float64 {
	d := make([]float64, len(v))
	for i, x := range v {
		d[i] = math.Abs(x - m)
	}
	return max(1.4826*median(d), 0.05*math.Abs(m), n.least/sigmas)
}

// turn is the index of the first point of the new level, were there one: 0
// where there is none.
func turn(v []float64) int {
	if len(v) < 2*fewest {
		return 0
	}
	m := median(v)
	d := make([]float64, len(v))
	for i, x := range v {
		d[i] = math.Abs(x - m)
	}
	// Half of the points may be of the new level: the deviation of all then has
	// the shift in it, and nothing is cut, which does no harm.
	limit := 4 * 1.4826 * median(d)
	if limit == 0 {
		limit = math.Inf(1)
	}
	mean := 0.0
	cut := make([]float64, len(v))
	for i, x := range v {
		cut[i] = max(m-limit, min(m+limit, x))
		mean += cut[i] / float64(len(v))
	}
	sum, best, at := 0.0, 0.0, 0
	for i, x := range cut {
		sum += x - mean
		n, rest := float64(i+1), float64(len(v)-i-1)
		// By what a sum of so many would be by chance: so that a level that began
		// a moment ago is found as well as one of an hour.
		if size := math.Abs(sum) / math.Sqrt(n*rest); i+1 >= fewest && len(v)-i-1 >= fewest && size > best {
			best, at = size, i+1
		}
	}
	return at
}

// began is when a level began to change. A rate looks back over minutes, so a
// step shows as a ramp: the first point that is off what was before is nearest to
// the truth, not the middle of the ramp. One within the noise by chance does not
// stop the search, two do.
func began(points []observability.Point, v []float64, i int, before, sigma float64, up bool) time.Time {
	off := func(k int) bool {
		if up {
			return v[k] > before+3*sigma
		}
		return v[k] < before-3*sigma
	}
	first := i
	for ; first < len(v)-1 && !off(first); first++ { // the turn may be a point early
	}
	for k, within := first-1, 0; k >= 0 && within < 2; k-- {
		if off(k) {
			first, within = k, 0
		} else {
			within++
		}
	}
	if first == 0 {
		return points[0].At
	}
	// It happened between the two.
	return points[first-1].At.Add(points[first].At.Sub(points[first-1].At) / 2)
}

// latest are the last few points: a quarter, and not less than a few.
func latest(v []float64) []float64 {
	return v[max(0, len(v)-max(fewest, min(len(v)/4, 10))):]
}

func values(points []observability.Point) []float64 {
	v := make([]float64, len(points))
	for i, p := range points {
		v[i] = p.Value
	}
	return v
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Clone(v)
	slices.Sort(s)
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}
