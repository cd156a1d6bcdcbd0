// Package webhook is what every HTTP channel needs and none should write
// twice: verification before the body is read, a body limit, a deadline, a
// request id, errors rendered in one place, panics contained.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// The defaults of a Stack.
const (
	DefaultMaxBody  = 64 << 10
	DefaultDeadline = 30 * time.Second
)

// HandlerFunc answers a request. An error it returns is logged once and
// rendered as {"error": sentence}; it must not have written anything then.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Verifier accepts a request or says why not. It sees the request before
// anybody reads the body.
type Verifier func(r *http.Request) error

// Stack makes http.Handlers that share limits and a log.
type Stack struct {
	log      *slog.Logger
	maxBody  int64
	deadline time.Duration
}

// Option changes a default of New.
type Option func(*Stack)

// MaxBody limits the request's body to n bytes.
func MaxBody(n int64) Option { return func(s *Stack) { s.maxBody = n } }

// Deadline limits how long a request may take; 0 is for streams, which end
// with the client.
func Deadline(d time.Duration) Option { return func(s *Stack) { s.deadline = d } }

// New returns a stack with the default limits, as the options change them.
func New(log *slog.Logger, opts ...Option) *Stack {
	s := &Stack{log: log, maxBody: DefaultMaxBody, deadline: DefaultDeadline}
	for _, o := range opts {
		o(s)
	}
	return s
}

// Handle makes a handler of h. The verifiers run first, in order; the first
// that objects answers the request.
func (s *Stack) Handle(h HandlerFunc, verify ...Verifier) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID(r)
		w.Header().Set(requestIDHeader, id)
		ctx := context.WithValue(r.Context(), requestIDKey{}, id)
		if s.deadline > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, s.deadline)
			defer cancel()
			// A body that trickles in must not outlive the deadline either; the
			// second more lets the context end first. Not every writer can do it.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.deadline + time.Second))
		}
		tw := &trackingWriter{ResponseWriter: w}
		r = r.WithContext(ctx)
		if err := s.serve(tw, r, h, verify); err != nil {
			s.fail(tw, r, err)
		}
	})
}

// serve runs verifiers and handler, and makes an error of a panic.
func (s *Stack) serve(w http.ResponseWriter, r *http.Request, h HandlerFunc, verify []Verifier) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p) // net/http's own way to drop a connection
		default:
			err = fmt.Errorf("webhook: panic: %v\n%s", p, debug.Stack())
		}
	}()
	for _, v := range verify {
		if err := v(r); err != nil {
			return err
		}
	}
	if r.ContentLength > s.maxBody {
		return tooLarge(s.maxBody, nil)
	}
	r.Body = http.MaxBytesReader(w, r.Body, s.maxBody)
	return h(w, r)
}

// fail logs an error and answers with it.
func (s *Stack) fail(w *trackingWriter, r *http.Request, err error) {
	status, say := fault.HTTPStatus(err), fault.Say(err)
	var se *statusError
	switch {
	case errors.As(err, &se):
		status = se.status
		if se.challenge != "" {
			w.Header().Set("WWW-Authenticate", se.challenge)
		}
	case fault.KindOf(err) == fault.Internal && errors.Is(err, context.DeadlineExceeded):
		status, say = http.StatusGatewayTimeout, "That took too long. Please try again."
	}
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.log.Log(r.Context(), level, "request failed", "request_id", RequestID(r.Context()),
		"method", r.Method, "path", r.URL.Path, "status", status, "err", err)
	if w.wrote {
		return // too late for a status; the broken answer has to do
	}
	w.Header().Del("Content-Length")
	w.Header().Set("Cache-Control", "no-store")
	_ = WriteJSON(w, status, struct {
		Error string `json:"error"`
	}{say}) // whoever asked may be gone
}

// WriteJSON answers with a status and v as JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("webhook: encoding the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, err = w.Write(append(b, '\n'))
	return err
}

// WithStatus gives an error a status of its own, where its kind does not say
// it; nil stays nil.
func WithStatus(status int, err error) error {
	if err == nil {
		return nil
	}
	return &statusError{error: err, status: status}
}

// statusError is an error that knows its status.
type statusError struct {
	error
	status    int
	challenge string // of a 401: how to authenticate
}

func (e *statusError) Unwrap() error { return e.error }

// trackingWriter knows whether an answer was begun.
type trackingWriter struct {
	http.ResponseWriter
	wrote bool
}

// WriteHeader notes that the answer has begun.
func (w *trackingWriter) WriteHeader(status int) {
	w.wrote = true
	w.ResponseWriter.WriteHeader(status)
}

// Write notes that the answer has begun.
func (w *trackingWriter) Write(b []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *trackingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
