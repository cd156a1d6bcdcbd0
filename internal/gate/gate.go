// Package gate decides whether a new version does as well as the old one: a
// pure function over samples, whoever took them.
package gate

import (
	"math"
	"slices"
	"time"

	"github.com/aclements/go-moremath/stats"
)

// Side is what was measured of one version over a while. The samples are of
// intervals that follow each other without overlapping: what overlaps would be
// counted twice by the test. Intervals without a request have no sample.
type Side struct {
	Version  string    `json:"version"`
	Errors   []float64 `json:"errors,omitempty"`   // ratio of the requests that failed, 0 to 1
	Latency  []float64 `json:"latency,omitempty"`  // p99, in seconds
	Requests float64   `json:"requests,omitempty"` // in all intervals together
	Restarts int       `json:"restarts,omitempty"` // of containers, once they ran
}

// Note is something that only the new version says: a pattern of its error log,
// or an issue of the error tracker. The text is data.
type Note struct {
	Text  string `json:"text"`
	Count int    `json:"count"`
}

// Evidence is what is known of two versions.
type Evidence struct {
	Old Side `json:"old"`
	New Side `json:"new"`
	// Parted says that each side is measured by itself, by a label of its version
	// or its pods; else it is before and after.
	Parted bool   `json:"parted,omitempty"`
	Logs   []Note `json:"logs,omitempty"`
	Issues []Note `json:"issues,omitempty"`
	// Missing are sentences about what could not be asked.
	Missing []string `json:"missing,omitempty"`
	// Unseen says that no requests are counted of either.
	Unseen bool `json:"unseen,omitempty"`
}

// Kind is what a verdict comes to.
type Kind string

// The verdicts about a new version, and about going back to an old one.
const (
	Open     Kind = ""         // not known yet
	Good     Kind = "good"     // as good as the old one
	Worse    Kind = "worse"    // by its errors, its latency or its restarts
	Unsure   Kind = "unsure"   // it looks worse, but what was measured is too little to be sure
	Doubtful Kind = "doubtful" // its numbers are as good, but it logs or reports what the old one did not
	Quiet    Kind = "quiet"    // too few requests to tell
	Blind    Kind = "blind"    // nothing could be measured
	Unseen   Kind = "unseen"   // nothing is measured of it at all, so that there is nothing to wait for

	Back  Kind = "back"  // gone back, it is as it was before
	Still Kind = "still" // gone back, it is as bad as it was
	Calm  Kind = "calm"  // gone back, and nothing was wrong that could be measured
)

// Reason is what speaks against a version.
type Reason string

// The reasons, the gravest first.
const (
	Crashes  Reason = "crashes" // its pods do not stay up; of the roll-out, not measured
	Errors   Reason = "errors"
	Latency  Reason = "latency"
	Restarts Reason = "restarts"
	Logs     Reason = "logs"
	Issues   Reason = "issues"
)

// Level is a side in one number each, as they are said. Where there are no
// requests, errors and latency mean nothing.
type Level struct {
	Version  string  `json:"version,omitempty"`
	Errors   float64 `json:"errors,omitempty"`  // the mean
	Latency  float64 `json:"latency,omitempty"` // the median of the p99, in seconds
	Timed    bool    `json:"timed,omitempty"`   // the latency is known
	Requests float64 `json:"requests,omitempty"`
	Restarts int     `json:"restarts,omitempty"`
}

// Verdict is what the evidence comes to.
type Verdict struct {
	Kind    Kind     `json:"kind,omitempty"`
	Why     []Reason `json:"why,omitempty"`
	Old     Level    `json:"old"`
	New     Level    `json:"new"`
	Parted  bool     `json:"parted,omitempty"`
	Logs    []Note   `json:"logs,omitempty"`
	Issues  []Note   `json:"issues,omitempty"`
	Missing []string `json:"missing,omitempty"`
}

// What counts. The false alarms that these numbers let through, and how soon
// they find what is worse, is in TestNoiseRollsNothingBack and
// TestWhatIsWorseIsFoundSoon.
const (
	// alpha is how likely the test may be wrong at one look; a bake looks about
	// twenty times, so it must be small.
	alpha = 0.0005
	// enough is how many samples and requests a side needs.
	enoughSamples  = 5
	enoughRequests = 50
	// An error ratio is worse where it is so much higher, in all and against the
	// old one, and that many requests failed.
	errorsMore  = 0.01
	errorsTimes = 2
	errorsCount = 5
	// A latency is worse where it is so much longer.
	latencyTimes = 1.5
	latencyMore  = 0.005
	// restartsMore containers restarted more than of the old version.
	restartsMore = 2
	// notesCount is how often a new error must be logged or reported to count.
	notesCount = 5
)

// Decide says whether the new version does as well as the old one. Until over,
// which is when the time to watch is up, it says nothing but what is certain:
// that it is worse.
func Decide(e Evidence, over bool) Verdict {
	v := e.verdict()
	// What looks worse at the end and may be chance is not called as good.
	failing, slow := failsMore(e.Old, e.New), takesLonger(e.Old, e.New)
	if failing && greater(e.New.Errors, e.Old.Errors) {
		v.Why = append(v.Why, Errors)
	}
	if slow && greater(e.New.Latency, e.Old.Latency) {
		v.Why = append(v.Why, Latency)
	}
	if e.New.Restarts >= e.Old.Restarts+restartsMore {
		v.Why = append(v.Why, Restarts)
	}
	switch {
	case len(v.Why) > 0:
		v.Kind = Worse
	case over && failing:
		v.Kind, v.Why = Unsure, append(v.Why, Errors)
	case over && slow:
		v.Kind, v.Why = Unsure, append(v.Why, Latency)
	}
	// What is only said in a log never makes a version worse: it may be harmless.
	if v.Logs = often(e.Logs); len(v.Logs) > 0 {
		v.Why = append(v.Why, Logs)
	}
	if v.Issues = often(e.Issues); len(v.Issues) > 0 {
		v.Why = append(v.Why, Issues)
	}
	switch {
	case v.Kind != Worse && e.Unseen:
		v.Kind = Unseen
	case v.Kind != Open || !over:
	case len(v.Why) > 0:
		v.Kind = Doubtful
	default:
		v.Kind = e.ending()
	}
	return v
}

// ending is what there is to say at the end where nothing speaks against the
// new version.
func (e Evidence) ending() Kind {
	switch {
	case e.Old.enough() && e.New.enough():
		return Good
	case e.Old.Requests == 0 && e.New.Requests == 0 && len(e.Missing) > 0:
		return Blind
	}
	return Quiet
}

// Recovered says whether going back helped: Old is what was gone away from, New
// what runs since, and normal how it was before that, the zero value where
// nobody knows. Until over it says only what is certain.
func Recovered(e Evidence, normal Level, over bool) Verdict {
	v := e.verdict()
	const few = 3 // the newest samples that must all be as they should
	if e.Unseen {
		v.Kind = Unseen
		return v
	}
	if len(e.New.Errors) < few || e.New.Requests < float64(enoughRequests)/2 {
		if over {
			v.Kind = Quiet
			if e.New.Requests == 0 && len(e.Missing) > 0 {
				v.Kind = Blind
			}
		}
		return v
	}
	limit := normal.Errors + errorsMore
	failing := v.Old.Errors > limit && v.Old.Errors*e.Old.Requests >= errorsCount
	slow := v.Old.Timed && v.New.Timed && (normal.Timed && v.Old.Latency > latencyTimes*normal.Latency ||
		!normal.Timed && v.Old.Latency > latencyTimes*v.New.Latency)
	newest := e.New.Errors[len(e.New.Errors)-few:]
	calm := !slices.ContainsFunc(newest, func(r float64) bool { return r > limit })
	quick := !slow || normal.Timed && median(lastOf(e.New.Latency, few)) <= latencyTimes*normal.Latency || !normal.Timed
	if failing {
		v.Why = append(v.Why, Errors)
	}
	if slow {
		v.Why = append(v.Why, Latency)
	}
	switch {
	case !failing && !slow && calm:
		v.Kind = Calm
	case calm && quick:
		v.Kind = Back
	case over:
		v.Kind = Still
	}
	if v.Kind == Back { // what it is now, not what it was while it came back
		v.New.Errors = mean(newest)
		v.New.Latency = median(lastOf(e.New.Latency, few))
	}
	return v
}

func lastOf(s []float64, n int) []float64 { return s[max(0, len(s)-n):] }

func (e Evidence) verdict() Verdict {
	return Verdict{Old: e.Old.Level(), New: e.New.Level(), Parted: e.Parted, Missing: e.Missing}
}

// Level is a side in one number each.
func (s Side) Level() Level {
	return Level{
		Version: s.Version, Errors: mean(s.Errors), Latency: median(s.Latency), Timed: len(s.Latency) > 0,
		Requests: s.Requests, Restarts: s.Restarts,
	}
}

func (s Side) enough() bool {
	return max(len(s.Errors), len(s.Latency)) >= enoughSamples && s.Requests >= enoughRequests
}

// failsMore reports whether so many more requests fail that it would count.
func failsMore(was, is Side) bool {
	a, b := mean(was.Errors), mean(is.Errors)
	return was.enough() && is.enough() && b >= a+errorsMore && b >= errorsTimes*a && b*is.Requests >= errorsCount
}

// takesLonger reports whether requests take so much longer that it would count.
func takesLonger(was, is Side) bool {
	a, b := median(was.Latency), median(is.Latency)
	return was.enough() && is.enough() && b >= latencyTimes*a && b >= a+latencyMore
}

// greater reports whether the values of one sample are greater than those of
// another, by the test of Mann and Whitney: it asks nothing of how either is
// distributed, and latencies and error ratios are distributed like nothing else.
func greater(a, b []float64) bool {
	if len(a) < enoughSamples || len(b) < enoughSamples {
		return false
	}
	r, err := stats.MannWhitneyUTest(a, b, stats.LocationGreater)
	if err != nil || r.P >= 0.5 { // an error is that all values are equal
		return false
	}
	// The test takes the samples as independent, but an interval is like the one
	// before it. As many as there are, they tell as much as fewer that are not.
	less := kinship(b)
	z := -stats.InvCDF(stats.StdNormal)(max(r.P, 1e-300)) * math.Sqrt((1-less)/(1+less))
	return stats.StdNormal.CDF(-z) < alpha
}

// kinship is how much of a sample is in the next one, 0 to almost 1: the
// autocorrelation at a distance of one.
func kinship(s []float64) float64 {
	m := mean(s)
	var with, all float64
	for i, x := range s {
		all += (x - m) * (x - m)
		if i > 0 {
			with += (x - m) * (s[i-1] - m)
		}
	}
	if all == 0 {
		return 0
	}
	return min(max(with/all, 0), 0.9)
}

func often(notes []Note) []Note {
	return slices.DeleteFunc(slices.Clone(notes), func(n Note) bool { return n.Count < notesCount })
}

func mean(s []float64) float64 {
	if len(s) == 0 {
		return 0
	}
	return stats.Mean(s)
}

func median(s []float64) float64 {
	if len(s) == 0 {
		return 0
	}
	return stats.Sample{Xs: s}.Quantile(0.5)
}

// Interval is how long one sample takes where a version is watched for a while:
// twenty to a bake, as far as back-ends have data that often.
func Interval(bake time.Duration) time.Duration {
	return min(max(bake/20, time.Second), 30*time.Second).Truncate(time.Second)
}
