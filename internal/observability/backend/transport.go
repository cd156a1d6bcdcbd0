package backend

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

const (
	// circuitTrips failures in a row open the circuit for circuitOpen; then one
	// call is let through to see.
	circuitTrips = 5
	circuitOpen  = 10 * time.Second
	// halfOpenWait is how long a call waits for the one that was let through.
	halfOpenWait = 500 * time.Millisecond
	// A back-end gets retryBurst retries and then retryRefill a second, of all
	// calls together: many who ask cannot become a storm.
	retryBurst  = 10
	retryRefill = 1
	tries       = 3
	firstDelay  = 50 * time.Millisecond
	// longestHold bounds what a Retry-After may make of the calls to come.
	longestHold = time.Minute
)

// errNotTheirs marks an end that says nothing about the back-end's health.
var errNotTheirs = errors.New("given up by the caller")

// errServer is an answer of 5xx, for the circuit.
var errServer = errors.New("the back-end answered with an error of its own")

// transport is the RoundTripper.
type transport struct {
	c       *Client
	next    http.RoundTripper
	circuit *gobreaker.TwoStepCircuitBreaker[struct{}]
	budget  *rate.Limiter
	blamed  atomic.Int64 // when it was last too slow for who asked, in Unix nanoseconds
	hold    atomic.Int64 // until when the back-end wants to be left alone, in Unix nanoseconds
}

// RoundTrip sends a request, again where that may help, within the time-out.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), t.c.opt.Timeout)
	resp, err := t.try(ctx, r)
	if err != nil {
		cancel()
		result := "error"
		if errors.Is(err, gobreaker.ErrOpenState) {
			result = "open"
		}
		t.c.opt.Observe(t.c.opt.Name, result, time.Since(start))
		return nil, t.c.Fault(err)
	}
	// The answer carries the time-out with it until it is read.
	resp.Body.(*body).cancel = func(err error) {
		cancel()
		result := "ok"
		if err != nil || resp.StatusCode >= 400 {
			result = "error"
		}
		t.c.opt.Observe(t.c.opt.Name, result, time.Since(start))
	}
	return resp, nil
}

// try sends a request up to tries times.
func (t *transport) try(ctx context.Context, r *http.Request) (*http.Response, error) {
	delay := firstDelay
	for n := 1; ; n++ {
		if wait := time.Until(time.Unix(0, t.hold.Load())); wait > 0 && !sleep(ctx, wait) {
			return nil, t.c.busy(wait)
		}
		resp, err := t.once(ctx, r)
		wait, retry := t.again(ctx, r, n, delay, resp, err)
		if !retry {
			if err == nil && gone(resp.StatusCode) {
				status := resp.StatusCode
				text, _ := io.ReadAll(io.LimitReader(resp.Body, 2048))
				resp.Body.Close()
				return nil, t.c.Status(status, string(text))
			}
			return resp, err
		}
		if resp != nil {
			resp.Body.Close()
		}
		if !sleep(ctx, wait) {
			return nil, ctx.Err()
		}
		delay *= 4
	}
}

// gone are the answers that a proxy gives for a back-end that is not there, and
// those that only the configuration can change.
func gone(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// again decides whether a request is sent once more, and after how long.
func (t *transport) again(ctx context.Context, r *http.Request, n int, delay time.Duration, resp *http.Response, err error) (time.Duration, bool) {
	switch {
	case err != nil:
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || isOpen(err) || fault.KindOf(err) != fault.Internal {
			return 0, false // slow is not helped by more of the same
		}
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
		if after := retryAfter(resp.Header); after > 0 {
			if !fits(ctx, after) {
				t.hold.Store(time.Now().Add(min(after, longestHold)).UnixNano())
				return 0, false
			}
			delay = after
		}
	case resp.StatusCode == http.StatusBadGateway, resp.StatusCode == http.StatusGatewayTimeout:
	default:
		return 0, false
	}
	if n >= tries || !idempotent(r) || !fits(ctx, delay) || !t.budget.Allow() {
		return 0, false
	}
	return delay, true
}

// fits reports whether there is still time for something after a wait.
func fits(ctx context.Context, wait time.Duration) bool {
	end, ok := ctx.Deadline()
	return !ok || time.Until(end) > wait+wait/2
}

// idempotent reports whether doing it twice is as doing it once. A POST is so
// where its sender says so as for net/http: by a header Idempotency-Key, which is
// not sent where it has no value.
func idempotent(r *http.Request) bool {
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return false // it cannot be sent again
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	_, ok := r.Header["Idempotency-Key"]
	return ok
}

// once sends a request, if the circuit lets it.
func (t *transport) once(ctx context.Context, r *http.Request) (*http.Response, error) {
	done, err := t.allow(ctx)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	out := r.Clone(ctx)
	if out.GetBody != nil {
		if out.Body, err = out.GetBody(); err != nil {
			done(errNotTheirs)
			return nil, err
		}
	}
	t.c.authenticate(out)
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		done(t.blame(r.Context(), start, err))
		return nil, err
	}
	if wait := used(resp.Header); wait > 0 {
		t.hold.Store(time.Now().Add(min(wait, longestHold)).UnixNano())
	}
	resp.Body = &body{from: resp.Body, left: t.c.opt.MaxBody, c: t.c, cancel: func(error) {}, done: func(err error) {
		switch {
		case err != nil:
			done(t.blame(r.Context(), start, err))
		case resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented:
			done(errServer)
		default:
			done(nil)
		}
	}}
	return resp, nil
}

// allow asks the circuit. While one call finds out whether the back-end is back,
// the others wait a moment for what it finds.
func (t *transport) allow(ctx context.Context) (func(error), error) {
	for waited := time.Duration(0); ; waited += 20 * time.Millisecond {
		done, err := t.circuit.Allow()
		if !errors.Is(err, gobreaker.ErrTooManyRequests) {
			return done, err
		}
		if waited >= halfOpenWait || !sleep(ctx, 20*time.Millisecond) {
			return nil, gobreaker.ErrOpenState
		}
	}
}

// isOpen reports whether the circuit refused.
func isOpen(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

// blame decides what a failure says about the back-end: nothing where whoever
// asked gave up, or had no time to begin with.
//
// Questions that were asked together and reached their end together are one
// failure: a diagnosis asks a dozen at once, and a store that is busy with them is
// not dead.
func (t *transport) blame(caller context.Context, start time.Time, err error) error {
	if errors.Is(caller.Err(), context.Canceled) || caller.Err() != nil && time.Since(start) < t.c.opt.Timeout/4 || errors.Is(err, errTooLong) {
		return errNotTheirs
	}
	if caller.Err() != nil {
		last := t.blamed.Load()
		if start.UnixNano() <= last || !t.blamed.CompareAndSwap(last, time.Now().UnixNano()) {
			return errNotTheirs
		}
	}
	return err
}

// sleep waits, and reports whether there is still time.
func sleep(ctx context.Context, d time.Duration) bool {
	if !fits(ctx, d) {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// body is an answer being read: it ends at a length, and tells once how it went.
type body struct {
	from   io.ReadCloser
	left   int64
	c      *Client
	once   sync.Once
	done   func(error) // to the circuit
	cancel func(error) // of the time-out
}

// Read reads on.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		err = errTooLong
		n = 0
	}
	switch {
	case errors.Is(err, io.EOF):
		b.end(nil)
	case err != nil:
		b.end(err)
		err = b.c.Fault(err)
	}
	return n, err
}

// Close ends the answer; what was not read does not count against the back-end.
func (b *body) Close() error {
	err := b.from.Close()
	b.end(nil)
	return err
}

func (b *body) end(err error) {
	b.once.Do(func() {
		b.done(err)
		b.cancel(err)
	})
}
