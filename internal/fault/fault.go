// Package fault is errors with a Kind and a sentence that may be said aloud.
// The sentence is for the person who asked; the wrapped error, which may name
// hosts, paths and other people's text, is for the log only.
package fault

import (
	"errors"
	"fmt"
	"net/http"
)

// Kind sorts errors by what the person can do about them.
type Kind string

// The kinds. Internal is that of every error nobody classified.
const (
	Internal      Kind = "internal"       // our defect
	Usage         Kind = "usage"          // wrong usage or configuration
	NotFound      Kind = "not_found"      // no such object
	Ambiguous     Kind = "ambiguous"      // several objects fit
	NotUnderstood Kind = "not_understood" // the sentence, or a slot of it
	Refused       Kind = "refused"        // by our policy
	Forbidden     Kind = "forbidden"      // by the cluster's RBAC, admission or quota
	Conflict      Kind = "conflict"       // somebody changed it meanwhile
	Unavailable   Kind = "unavailable"    // a back-end does not answer
	Failed        Kind = "failed"         // tried, and it did not work
)

// Error carries a sentence for the person and, apart from it, the cause for the log.
type Error struct {
	Kind   Kind
	Public string // a whole sentence: what is wrong and what to do; may be said aloud
	Err    error  // the cause; nil where the sentence says all
}

// Error gives the text for logs.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Public
	}
	return e.Public + " (" + e.Err.Error() + ")"
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error whose sentence says all; format as in fmt.Sprintf.
func New(kind Kind, format string, a ...any) *Error {
	return &Error{Kind: kind, Public: fmt.Sprintf(format, a...)}
}

// Wrap puts a sentence over a cause; nil stays nil.
func Wrap(err error, kind Kind, format string, a ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Public: fmt.Sprintf(format, a...), Err: err}
}

// KindOf returns the kind of the outermost Error in the chain, Internal where
// there is none and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Say returns the sentence for the person. An error nobody classified says
// only that something went wrong: its text may hold what must not be said.
func Say(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Public != "" {
		return e.Public
	}
	return "Something went wrong on my side. It is in my log; please try again."
}

// HTTPStatus is the answer's status for an error, decided here and nowhere else.
func HTTPStatus(err error) int {
	switch KindOf(err) {
	case "":
		return http.StatusOK
	case Usage, NotUnderstood, Ambiguous:
		return http.StatusBadRequest
	case NotFound:
		return http.StatusNotFound
	case Refused, Forbidden:
		return http.StatusForbidden
	case Conflict:
		return http.StatusConflict
	case Unavailable:
		return http.StatusServiceUnavailable
	case Failed:
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}

// ExitCode is the status of a command that ends with an error of this kind;
// the table stands in the outer contract (`bot ask`).
func (k Kind) ExitCode() int {
	switch k {
	case "":
		return 0
	case Usage:
		return 2
	case Refused, Forbidden:
		return 3
	case NotUnderstood, Ambiguous, NotFound:
		return 4
	}
	return 5
}
