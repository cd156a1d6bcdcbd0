package model

import (
	"math"
	"time"
)

// Bounds are the upper bounds of the histograms' buckets in seconds, those that
// Prometheus' client libraries take unless told otherwise.
var bounds = [...]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// Bounds returns the upper bounds of the buckets in seconds, without the last,
// which has none.
func Bounds() []float64 { return bounds[:] }

// Histogram counts durations. Its buckets are not cumulative.
type Histogram struct {
	Buckets [len(bounds) + 1]float64
	Sum     float64
}

// Add counts a duration n times.
func (h *Histogram) Add(seconds, n float64) {
	i := 0
	for i < len(bounds) && seconds > bounds[i] {
		i++
	}
	h.Buckets[i] += n
	h.Sum += seconds * n
}

// Count is how many there are.
func (h *Histogram) Count() float64 {
	n := 0.0
	for _, b := range h.Buckets {
		n += b
	}
	return n
}

// Quantile estimates a quantile as Prometheus does.
func (h *Histogram) Quantile(q float64) float64 {
	rank, seen := q*h.Count(), 0.0
	for i, n := range h.Buckets {
		if seen+n >= rank && n > 0 {
			if i == len(bounds) {
				return bounds[len(bounds)-1]
			}
			low := 0.0
			if i > 0 {
				low = bounds[i-1]
			}
			return low + (bounds[i]-low)*(rank-seen)/n
		}
		seen += n
	}
	return math.NaN()
}

// Cause is why a request failed where it failed first.
type Cause int

// The causes.
const (
	Fine         Cause = iota
	Bug                // a rare mistake that the program has always made
	Defect             // a mistake that came with a release
	TimedOut           // the callee took too long
	Refused            // nobody listens
	NoHost             // the name has no address
	Lookup             // the name could not be looked up
	Unreachable        // packets get no answer
	Certificate        // the callee's certificate is not valid
	NoConnection       // no connection to the database became free
	Overloaded         // too many wait already
	Upstream           // the callee answered that it failed
)

// Outcome is how a request ended.
type Outcome struct {
	Took  float64 // seconds
	Code  int
	Cause Cause
	Peer  ID // whom the failure came from
	// PeerCode is what the peer answered.
	PeerCode int
}

// Failed says whether the server is to blame.
func (o Outcome) Failed() bool { return o.Code >= 500 }

// Mark is what happened, for somebody to write about in a log.
type Mark int

// The marks.
const (
	Served    Mark = iota // a request was answered; see the outcome
	Failed                // it failed here
	Retry                 // a call is tried again
	Degraded              // a call failed and was done without
	SlowCall              // a call took unusually long
	Statement             // the database took long over a statement
)

// Event is something that a program would write in its log.
type Event struct {
	At      time.Time
	Pod     *PodState
	Mark    Mark
	Route   int
	Outcome Outcome
	Attempt int
	Request uint64 // identifies the request in all logs
	Traced  bool
}

// Span is one step of a traced request.
type Span struct {
	Pod    *PodState
	Name   string
	Peer   ID // of a call; the zero value for a request served
	Parent int
	Start  time.Time
	Took   float64
	Code   int
	Cause  Cause
}

// Trace is a request's way through the shop; the first span is its root.
type Trace struct {
	Request uint64
	Spans   []Span
}

// Step is what happened in a step.
type Step struct {
	At     time.Time // its end
	Length time.Duration
	Events []Event
	Traces []Trace
	// Killed are pods whose main container has outgrown its memory.
	Killed []*PodState
}
