package web_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
)

func handler(t testing.TB, cfg web.Config, e *channeltest.Engine) http.Handler {
	return handlerUntil(t.Context(), cfg, e)
}

func handlerUntil(stop context.Context, cfg web.Config, e *channeltest.Engine) http.Handler {
	mux := http.NewServeMux()
	web.NewServer(stop, cfg, e, slog.New(slog.DiscardHandler)).Routes(mux)
	return mux
}

// wire is a network without sockets, so that tests of time can run on it: it
// serves requests by a handler until it is cut.
type wire struct {
	mu      sync.Mutex
	handler http.Handler // nil while the server is down
	cut     []func()
	opened  int
}

func (n *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.opened++
	if n.handler == nil {
		return nil, errors.New("connection refused")
	}
	ctx, cancel := context.WithCancel(r.Context())
	pr, pw := io.Pipe()
	w := &wireWriter{header: http.Header{}, pw: pw, started: make(chan struct{})}
	n.cut = append(n.cut, func() {
		_ = pw.CloseWithError(io.ErrUnexpectedEOF)
		cancel()
	})
	context.AfterFunc(ctx, func() { _ = pr.CloseWithError(context.Canceled) })
	r = r.Clone(ctx)
	if r.Body == nil {
		r.Body = http.NoBody
	}
	h := n.handler
	go func() {
		h.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		_ = pw.Close()
	}()
	<-w.started
	return &http.Response{StatusCode: w.status, Header: w.header, Body: pr, Request: r}, nil
}

// attempts is how many connections were tried.
func (n *wire) attempts() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.opened
}

// serve sets the handler; nil takes the server down and breaks what is open.
func (n *wire) serve(h http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handler = h
	if h == nil {
		for _, cut := range n.cut {
			cut()
		}
		n.cut = nil
	}
}

type wireWriter struct {
	header  http.Header
	status  int
	pw      *io.PipeWriter
	once    sync.Once
	started chan struct{}
}

func (w *wireWriter) Header() http.Header { return w.header }

func (w *wireWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status = status
		close(w.started)
	})
}

func (w *wireWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pw.Write(bytes.Clone(b))
}

func (w *wireWriter) Flush() {}

// recorder is a response that can be looked at while it is written.
type recorder struct {
	mu     sync.Mutex
	header http.Header
	status int
	buf    bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) { w.status = status }

func (w *recorder) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(b)
}

func (w *recorder) Flush() {}

// take returns what was written since it was last called.
func (w *recorder) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.buf.String()
	w.buf.Reset()
	return s
}
