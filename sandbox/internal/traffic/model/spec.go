// Package model is the sample shop under load, as numbers: which service calls
// which, how long things take, what fills up first. It is pure: time, the
// cluster as it stands and everything that is wrong are given to it, and the same
// seed gives the same shop.
//
// The state of every pod (how busy its CPU, its workers and its connections are)
// comes from the requests of the step before; with it, each request of this step
// is walked through the call graph one by one. So a slow callee keeps its
// callers' workers busy, retries are real requests, and what waits too long is
// given up by who called while the callee goes on working for nobody.
package model

import "time"

// Kind is what sort of program a service is.
type Kind int

// The kinds.
const (
	HTTP     Kind = iota // answers requests
	Database             // answers queries
	Cache                // answers look-ups
	Worker               // takes jobs from a queue
)

// ID names a service: its namespace and its Service's name.
type ID struct{ Namespace, Name string }

// String is "namespace/name".
func (id ID) String() string { return id.Namespace + "/" + id.Name }

// Service is what is known about a program, whichever version of it runs.
type Service struct {
	ID        ID
	Kind      Kind
	Container string // its container, in a pod that may have others
	Port      int32  // of its Service; callers use it
	Routes    []Route
	Workers   int     // requests that a pod handles at once
	Queue     int     // requests that may wait for a worker; more are turned away
	Pool      int     // connections to the database that a pod may hold
	IdleCPU   float64 // cores that a pod uses doing nothing
	// Memory is what a pod holds after its start, PerRequest what each request
	// in flight adds, in bytes. Warm is how much caches add in time.
	Memory, PerRequest, Warm float64
	// Patience is how long a request waits for a free connection.
	Patience time.Duration
}

// Route is one thing that a service does.
type Route struct {
	Method, Path string
	Median       time.Duration // its own time, without what it waits for
	Spread       float64       // sigma of the logarithm of that time
	CPU          time.Duration // of the CPU, for one request
	Calls        []Call
	NotFound     float64 // ratio of requests that are the client's mistake
	Broken       float64 // ratio of requests that fail by a rare bug of its own
	Created      bool    // answers 201
}

// Call is a request that a route makes while it serves one.
type Call struct {
	To       ID
	Route    int // of the callee
	Timeout  time.Duration
	Retries  int
	Chance   float64 // how often it is made; 0 is always
	Optional bool    // a failure is made do without
	// Setting names the environment variable that overrides Timeout.
	Setting string
}

// Entry is where requests come in from outside.
type Entry struct {
	To    ID
	Route int
	Rate  float64 // requests a second at the busiest time of an ordinary day
	// Orders is part of what is bought rather than looked at.
	Orders bool
}

// Shop is the call graph and where it is entered.
type Shop struct {
	Services []Service
	Entries  []Entry
}

// Find returns the index of a service, -1 if there is none.
func (s *Shop) Find(id ID) int {
	for i := range s.Services {
		if s.Services[i].ID == id {
			return i
		}
	}
	return -1
}
