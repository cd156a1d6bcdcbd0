// Package schedule says who is on call, until when, whom to ring next, and what
// may ring at which hour. It is pure: times are given, nothing is done.
package schedule
