package carriertest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
)

// Wires are hosts that are reached without a network: with them everybody may be in
// one bubble of testing/synctest, where waiting takes no time.
type Wires map[string]http.Handler

// RoundTrip has the host of a request answer it. A handler that goes on when nobody
// waits for it any more is left to do so.
func (w Wires) RoundTrip(r *http.Request) (*http.Response, error) {
	h := w[r.URL.Host]
	if h == nil {
		return nil, errors.New("carriertest: there is no host " + r.URL.Host)
	}
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	answered := make(chan *http.Response, 1)
	go func() {
		defer close(answered)
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // what it panics with is that very value
				panic(p)
			}
		}()
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, in)
		answered <- rec.Result()
	}()
	select {
	case resp := <-answered:
		if resp == nil {
			return nil, io.ErrUnexpectedEOF // the line broke
		}
		resp.Request = r
		return resp, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}
