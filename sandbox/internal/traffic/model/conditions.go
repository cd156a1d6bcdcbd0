package model

import (
	"maps"
	"time"
)

// Conditions are what is wrong and cannot be read from the cluster's objects: how
// programs behave that in truth do not run. The zero value is an ordinary day.
type Conditions struct {
	// Load multiplies what comes in from outside, Entries that of one entry.
	Load    float64
	Entries map[At]float64
	// Slow multiplies a service's own time, Work the CPU that a request takes.
	Slow, Work map[ID]float64
	// Versions are how releases behave.
	Versions map[Version]Behaviour
	// Lookups is the ratio of calls for which the name is looked up and not found.
	Lookups float64
	// Expired are services whose certificate is no longer valid, and since when.
	Expired map[ID]time.Time
	// Calls changes how one service calls another.
	Calls map[Pair]Manner
	// Loses is how many database connections a second a pod does not give back.
	Loses map[ID]float64
	// Hogs are cores that every pod of an application wants, in vain or not.
	Hogs map[ID]float64
}

// At is a route of a service.
type At struct {
	ID    ID
	Route int
}

// Version is a release: the tag of the image that a service's container has.
type Version struct {
	ID  ID
	Tag string
}

// Behaviour is what is peculiar to a release.
type Behaviour struct {
	Errors  float64 // ratio of its requests that fail by a mistake of its own
	Latency float64 // multiplies its own time; 0 is 1
	CPU     float64 // multiplies the CPU of a request; 0 is 1
	Leak    float64 // bytes a second that a pod does not give back
}

// Pair is who calls whom.
type Pair struct{ From, To ID }

// Manner is how a call is made, in place of what the shop says.
type Manner struct {
	Timeout time.Duration
	Retries int
	Rushed  bool // tries again at once
}

// Clone is a copy that shares nothing.
func (c Conditions) Clone() Conditions {
	c.Entries, c.Slow, c.Work = maps.Clone(c.Entries), maps.Clone(c.Slow), maps.Clone(c.Work)
	c.Versions, c.Expired, c.Calls = maps.Clone(c.Versions), maps.Clone(c.Expired), maps.Clone(c.Calls)
	c.Loses, c.Hogs = maps.Clone(c.Loses), maps.Clone(c.Hogs)
	return c
}

// Set puts a value in a map of conditions that may be nil.
func Set[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}

// factor reads a multiplier: what is not there or 0 is 1.
func factor[K comparable](m map[K]float64, k K) float64 { return orOne(m[k]) }

func orOne(f float64) float64 {
	if f == 0 {
		return 1
	}
	return f
}
