package backend_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
)

// client makes one with what a test says, patient by default.
func client(t *testing.T, o backend.Options) *backend.Client {
	t.Helper()
	o.Name = "prometheus"
	c, err := backend.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// get asks for JSON and returns what it says.
func get(ctx context.Context, c *backend.Client) (string, error) {
	var out struct{ Say string }
	err := c.JSON(ctx, http.MethodGet, "/api", nil, nil, &out)
	return out.Say, err
}

// serve counts calls and answers each by its number, from 1.
func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var calls atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, int(calls.Add(1)))
	}))
	t.Cleanup(s.Close)
	return s, &calls
}

// TestWhatBackEndsDo holds what becomes of each kind of misbehaviour: the
// sentence, the calls it takes, and that it never takes longer than the time-out.
func TestWhatBackEndsDo(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request, n int)
		kind   fault.Kind
		say    string
		calls  int64
	}{
		{"well", func(w http.ResponseWriter, _ *http.Request, _ int) { fmt.Fprint(w, `{"say":"hello"}`) }, "", "hello", 1},
		{"once unavailable", func(w http.ResponseWriter, _ *http.Request, n int) {
			if n == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			fmt.Fprint(w, `{"say":"hello"}`)
		}, "", "hello", 2},
		{"unavailable", func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusServiceUnavailable) }, fault.Unavailable, "Prometheus does not answer well now: it says 503", 3},
		{"a proxy without it", func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusBadGateway) }, fault.Unavailable, "it says 502", 3},
		{"its own error", func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.WriteHeader(http.StatusInternalServerError)
		}, fault.Unavailable, "it says 500", 1},
		{"too many, soon again", func(w http.ResponseWriter, _ *http.Request, n int) {
			if n == 1 {
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			fmt.Fprint(w, `{"say":"hello"}`)
		}, "", "hello", 2},
		{"too many, much later", func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusTooManyRequests)
		}, fault.Unavailable, "Prometheus is being asked too often", 1},
		{"locked", func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusUnauthorized) }, fault.Usage, "observability.prometheus", 1},
		{"forbidden", func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusForbidden) }, fault.Usage, "observability.prometheus", 1},
		{"nothing there", func(w http.ResponseWriter, _ *http.Request, _ int) { http.NotFound(w, nil) }, fault.NotFound, "observability.prometheus.url", 1},
		{"garbage", func(w http.ResponseWriter, _ *http.Request, _ int) { fmt.Fprint(w, "<html>login</html>") }, fault.Unavailable, "I do not understand what Prometheus answers", 1},
		{"cut off", func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"say":"he`)
		}, fault.Unavailable, "broke off", 1},
		{"endless", func(w http.ResponseWriter, r *http.Request, _ int) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(strings.Repeat(" ", 4096))); err != nil {
					return
				}
			}
		}, fault.Unavailable, "more than I read at once", 1},
		{"silent", func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }, fault.Unavailable, "did not answer in time", 1},
		{"begins and stops", func(w http.ResponseWriter, r *http.Request, _ int) {
			fmt.Fprint(w, `{"say":"hel`)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, fault.Unavailable, "did not answer in time", 1},
		{"hangs up", func(w http.ResponseWriter, _ *http.Request, _ int) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		}, fault.Unavailable, "Prometheus", -1}, // net/http itself may try again
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, calls := serve(t, tt.answer)
			c := client(t, backend.Options{URL: s.URL, Timeout: time.Second, MaxBody: 1 << 16})
			start := time.Now()
			said, err := get(t.Context(), c)
			if took := time.Since(start); took > 1500*time.Millisecond {
				t.Errorf("took %v, the time-out is 1s", took)
			}
			if err != nil {
				said = fault.Say(err)
			}
			if fault.KindOf(err) != tt.kind || !strings.Contains(said, tt.say) {
				t.Errorf("kind %q, said %q; want %q, %q (%v)", fault.KindOf(err), said, tt.kind, tt.say, err)
			}
			if n := calls.Load(); tt.calls >= 0 && n != tt.calls {
				t.Errorf("called %d times, want %d", n, tt.calls)
			}
		})
	}
}

// TestKilled holds that a server that dies is named, then not waited for, and
// found again once it is back.
func TestKilled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"say":"hello"}`) })}
	go func() { _ = s.Serve(l) }()
	c := client(t, backend.Options{URL: "http://" + addr})
	if said, err := get(t.Context(), c); said != "hello" {
		t.Fatal(said, err)
	}
	_ = s.Close()
	if _, err := get(t.Context(), c); !strings.Contains(fault.Say(err), "Prometheus does not answer. Check that it runs and that observability.prometheus.url is right") {
		t.Errorf("said %q", fault.Say(err))
	}
	for range 3 {
		_, err = get(t.Context(), c)
	}
	if !strings.Contains(fault.Say(err), "leave it alone for a moment") {
		t.Errorf("the circuit is not open: %q", fault.Say(err))
	}
}

// TestDeadline holds that the caller's deadline counts where it is nearer.
func TestDeadline(t *testing.T) {
	s, _ := serve(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
	c := client(t, backend.Options{URL: s.URL, Timeout: 10 * time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := get(ctx, c); fault.KindOf(err) != fault.Unavailable || time.Since(start) > time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// wire is a network of one function, which works within synctest.
type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func answer(status int, text string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}, nil
}

// TestCircuit holds when a back-end is left alone, for how long, and that those
// who come while one looks again get an answer too.
func TestCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, dead := 0, true
		var mu sync.Mutex
		c := client(t, backend.Options{URL: "http://prometheus", Transport: wire(func(*http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			calls++
			if dead {
				return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
			}
			return answer(200, `{"say":"hello"}`)
		})})
		for range 50 {
			if _, err := get(t.Context(), c); err == nil {
				t.Fatal("no error of a dead back-end")
			}
		}
		if calls != 5 {
			t.Errorf("a dead back-end was called %d times, want 5", calls)
		}
		time.Sleep(9 * time.Second)
		if _, err := get(t.Context(), c); err == nil || calls != 5 {
			t.Errorf("called again before 10s: %d calls, %v", calls, err)
		}
		time.Sleep(2 * time.Second)
		if _, err := get(t.Context(), c); err == nil || calls != 6 {
			t.Errorf("the circuit is half open: one call, not %d more, %v", calls-5, err)
		}
		mu.Lock()
		dead = false
		mu.Unlock()
		time.Sleep(11 * time.Second)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if said, err := get(t.Context(), c); said != "hello" {
					t.Errorf("it is back, and somebody heard %v", err)
				}
			})
		}
		wg.Wait()
	})
}

// TestFlapping holds that retries come from a budget that all calls share.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := client(t, backend.Options{URL: "http://prometheus", Transport: wire(func(*http.Request) (*http.Response, error) {
			calls++
			if calls%2 == 1 {
				return answer(503, "")
			}
			return answer(200, `{"say":"hello"}`)
		})})
		good := 0
		start := time.Now()
		for range 200 {
			if said, _ := get(t.Context(), c); said == "hello" {
				good++
			}
		}
		allowed := 10 + int(time.Since(start).Seconds()) + 1
		if retries := calls - 200; retries > allowed || retries < 10 {
			t.Errorf("%d retries of 200 calls in %v; the budget is %d", retries, time.Since(start), allowed)
		}
		if good < 100 {
			t.Errorf("only %d of 200 calls were answered by a back-end that is half well", good)
		}
	})
}

// TestRetryAfter holds that a back-end that asks for patience gets it.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, after := 0, "1"
		c := client(t, backend.Options{URL: "http://prometheus", Transport: wire(func(*http.Request) (*http.Response, error) {
			calls++
			if calls == 1 || after == "20" {
				r, err := answer(429, "")
				r.Header.Set("Retry-After", after)
				return r, err
			}
			return answer(200, `{"say":"hello"}`)
		})})
		start := time.Now()
		if said, err := get(t.Context(), c); said != "hello" || time.Since(start) != time.Second {
			t.Errorf("%q, %v after %v, want an answer after 1s", said, err, time.Since(start))
		}
		after = "20"
		for range 5 {
			if _, err := get(t.Context(), c); fault.KindOf(err) != fault.Unavailable {
				t.Error(err)
			}
		}
		if calls != 3 || time.Since(start) != time.Second {
			t.Errorf("called %d times in %v, want 3 and no waiting: it asked to be left alone", calls, time.Since(start))
		}
		after = ""
		time.Sleep(21 * time.Second)
		if said, err := get(t.Context(), c); said != "hello" {
			t.Error(err)
		}
	})
}

// TestOnlyWhatMayBeRepeatedIs holds which requests are sent again.
func TestOnlyWhatMayBeRepeatedIs(t *testing.T) {
	for _, tt := range []struct {
		method string
		key    bool
		calls  int
	}{{"GET", false, 3}, {"PUT", false, 3}, {"DELETE", false, 3}, {"POST", false, 1}, {"PATCH", false, 1}, {"POST", true, 3}} {
		calls := 0
		c := client(t, backend.Options{URL: "http://prometheus", Transport: wire(func(r *http.Request) (*http.Response, error) {
			calls++
			if b, _ := io.ReadAll(r.Body); string(b) != "x" {
				t.Errorf("%s, call %d: the body is %q", tt.method, calls, b)
			}
			return answer(503, "")
		})})
		r, _ := http.NewRequestWithContext(t.Context(), tt.method, "http://prometheus/", strings.NewReader("x"))
		if tt.key {
			r.Header["Idempotency-Key"] = nil
		}
		if _, err := c.Do(r); err == nil || calls != tt.calls {
			t.Errorf("%s (key %v): %d calls, want %d; %v", tt.method, tt.key, calls, tt.calls, err)
		}
	}
}

// TestCredentials holds that they go to the back-end, and nowhere else: not to
// another host, not into an error, not into what is printed.
func TestCredentials(t *testing.T) {
	const secret = "hunter2"
	thief, stolen := serve(t, func(_ http.ResponseWriter, r *http.Request, _ int) { t.Errorf("called: %v", r.Header) })
	for _, o := range []backend.Options{
		{Username: "me", Password: secret},
		{Bearer: secret},
		{Header: map[string]string{"X-Api-Key": secret}},
	} {
		s, _ := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			if _, p, _ := r.BasicAuth(); p != secret && r.Header.Get("X-Api-Key") != secret && r.Header.Get("Authorization") != "Bearer "+secret {
				t.Errorf("no credentials: %v", r.Header)
			}
			if r.URL.Path == "/api" {
				http.Redirect(w, r, "/inside", http.StatusFound)
				return
			}
			http.Redirect(w, r, thief.URL+"/api?t=1", http.StatusTemporaryRedirect)
		})
		o.URL = s.URL
		c := client(t, o)
		_, err := get(t.Context(), c)
		if fault.KindOf(err) != fault.Usage || !strings.Contains(fault.Say(err), "sends me on to "+thief.URL) || stolen.Load() != 0 {
			t.Errorf("said %q", fault.Say(err))
		}
		if text := fmt.Sprintf("%v %s", err, c.Base()); strings.Contains(text, secret) {
			t.Errorf("the secret shows: %s", text)
		}
	}
	c := client(t, backend.Options{URL: "http://me:" + secret + "@127.0.0.1:1/prom/"})
	_, err := get(t.Context(), c)
	if text := fmt.Sprintf("%v %s %s", err, c.Base(), c.URL("/x", nil)); strings.Contains(text, secret) || !strings.Contains(text, "/prom/x") {
		t.Errorf("the secret shows, or the path is lost: %s", text)
	}
	if got := c.Header().Get("Authorization"); !strings.HasPrefix(got, "Basic ") {
		t.Errorf("a handshake has %q", got)
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		o   backend.Options
		say string
	}{
		{backend.Options{Name: "Loki", URL: "loki:3100"}, "observability.loki.url"},
		{backend.Options{Name: "Loki", URL: "ftp://loki"}, "observability.loki.url"},
		{backend.Options{Name: "Loki", Key: "x.y", URL: ""}, "x.y.url"},
		{backend.Options{Name: "Loki", URL: "http://loki", Bearer: "a", Username: "b"}, "only one"},
		{backend.Options{Name: "Loki", URL: "https://loki", CA: []byte("no")}, "ca_file"},
	} {
		if _, err := backend.New(tt.o); fault.KindOf(err) != fault.Usage || !strings.Contains(fault.Say(err), tt.say) {
			t.Errorf("%+v: %v", tt.o, err)
		}
	}
}

func TestPartial(t *testing.T) {
	err := fmt.Errorf("outer: %w", &backend.Partial{Name: "Loki", Missing: []string{"the pod cart-1"}})
	if got, want := fault.Say(err), "Loki gave only a part of the answer; missing: the pod cart-1."; got != want || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%q, want %q", got, want)
	}
	var p *backend.Partial
	if !errors.As(err, &p) {
		t.Error("it cannot be told from a failure")
	}
}

// TestCheck holds what doctor asks.
func TestCheck(t *testing.T) {
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Path != "/prom/-/ready" {
			http.NotFound(w, r)
		}
	})
	if err := client(t, backend.Options{URL: s.URL + "/prom"}).Check(t.Context(), "-/ready"); err != nil {
		t.Error(err)
	}
	if err := client(t, backend.Options{URL: s.URL}).Check(t.Context(), "/-/ready"); fault.KindOf(err) != fault.NotFound {
		t.Error(err)
	}
}

// TestAskedTogetherIsOneFailure holds that a store which is too slow for questions
// that were asked at once is asked again: it is busy, not dead.
func TestAskedTogetherIsOneFailure(t *testing.T) {
	var slow atomic.Bool
	slow.Store(true)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slow.Load() {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(srv.Close)
	c, err := backend.New(backend.Options{Name: "Loki", URL: srv.URL, Timeout: 400 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := c.Check(ctx, "ready"); err == nil {
				t.Error("it answered")
			}
		})
	}
	wg.Wait()
	slow.Store(false)
	if err := c.Check(t.Context(), "ready"); err != nil {
		t.Errorf("it was left alone: %v", err)
	}
}
