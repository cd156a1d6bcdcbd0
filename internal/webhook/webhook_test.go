package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// serve sends one request through a stack and returns answer and log.
func serve(t *testing.T, r *http.Request, h webhook.HandlerFunc, verify []webhook.Verifier, opts ...webhook.Option) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	rec := httptest.NewRecorder()
	webhook.New(slog.New(slog.NewTextHandler(&log, nil)), opts...).Handle(h, verify...).ServeHTTP(rec, r)
	return rec, log.String()
}

func sentence(t *testing.T, rec *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct{ Error string }
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
		t.Fatalf("body %q: %v", rec.Body, err)
	}
	return body.Error
}

func TestErrorsAreRenderedOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		status int
		says   string
	}{
		{"fault", fault.New(fault.NotFound, "No such thing."), 404, "No such thing."},
		{"internal", errors.New("dial tcp 10.0.0.1: password=hunter2"), 500, "Something went wrong"},
		{"own status", webhook.WithStatus(415, fault.New(fault.Usage, "Send JSON.")), 415, "Send JSON."},
		{"deadline", context.DeadlineExceeded, 504, "took too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec, log := serve(t, httptest.NewRequest("POST", "/x", nil), func(http.ResponseWriter, *http.Request) error { return tt.err }, nil)
			if rec.Code != tt.status || !strings.Contains(sentence(t, rec), tt.says) {
				t.Errorf("%d %s, want %d %q", rec.Code, rec.Body, tt.status, tt.says)
			}
			if strings.Contains(rec.Body.String(), "hunter2") {
				t.Errorf("the cause leaked: %s", rec.Body)
			}
			if n := strings.Count(log, "request failed"); n != 1 || !strings.Contains(log, "request_id=") {
				t.Errorf("%d log lines: %s", n, log)
			}
		})
	}
}

func TestPanicIs500(t *testing.T) {
	rec, log := serve(t, httptest.NewRequest("POST", "/x", nil), func(http.ResponseWriter, *http.Request) error { panic("secret") }, nil)
	if rec.Code != 500 || strings.Contains(rec.Body.String(), "secret") || !strings.Contains(log, "secret") {
		t.Errorf("%d %s\n%s", rec.Code, rec.Body, log)
	}
}

func TestErrorAfterAnswerDoesNotWriteTwice(t *testing.T) {
	rec, log := serve(t, httptest.NewRequest("POST", "/x", nil), func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "half")
		return errors.New("broke")
	}, nil)
	if rec.Code != 200 || rec.Body.String() != "half" || !strings.Contains(log, "broke") {
		t.Errorf("%d %q\n%s", rec.Code, rec.Body, log)
	}
}

func TestBodyLimit(t *testing.T) {
	read := func(w http.ResponseWriter, r *http.Request) error {
		var v map[string]any
		return webhook.ReadJSON(r, &v)
	}
	for _, tt := range []struct {
		name   string
		body   io.Reader
		status int
	}{
		{"within", strings.NewReader(`{"a":1}`), 200},
		{"declared", strings.NewReader(`{"a":"` + strings.Repeat("x", 100) + `"}`), 413},
		{"undeclared", io.MultiReader(strings.NewReader(`{"a":"` + strings.Repeat("x", 100) + `"}`)), 413},
		{"not JSON", strings.NewReader("{"), 400},
		{"trailing", strings.NewReader("{} {}"), 400},
		{"wrong type", strings.NewReader("[]"), 400},
		{"empty", strings.NewReader(""), 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec, _ := serve(t, httptest.NewRequest("POST", "/x", tt.body), read, nil, webhook.MaxBody(64))
			if rec.Code != tt.status {
				t.Fatalf("%d %s, want %d", rec.Code, rec.Body, tt.status)
			}
			if tt.status != 200 && !strings.HasSuffix(sentence(t, rec), ".") {
				t.Errorf("no sentence: %s", rec.Body)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	for _, tt := range []struct{ sent, want string }{
		{"abc-1.2_3", "abc-1.2_3"},
		{"", ""},
		{"a b", ""},
		{"x\nfake=1", ""},
		{strings.Repeat("x", 65), ""},
	} {
		r := httptest.NewRequest("GET", "/x", nil)
		r.Header.Set("X-Request-Id", tt.sent)
		var seen string
		rec, _ := serve(t, r, func(_ http.ResponseWriter, r *http.Request) error {
			seen = webhook.RequestID(r.Context())
			return nil
		}, nil)
		got := rec.Header().Get("X-Request-Id")
		if got == "" || got != seen || (tt.want != "" && got != tt.want) || (tt.want == "" && got == tt.sent) {
			t.Errorf("sent %q: header %q, context %q", tt.sent, got, seen)
		}
	}
}

func TestLogHandlerAddsRequestID(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(webhook.LogHandler(slog.NewTextHandler(&out, nil))).With("a", 1)
	h := webhook.New(log).Handle(func(_ http.ResponseWriter, r *http.Request) error {
		log.InfoContext(r.Context(), "inside")
		return errors.New("outside")
	})
	r := httptest.NewRequest("GET", "/x", nil)
	r.Header.Set("X-Request-Id", "rid")
	h.ServeHTTP(httptest.NewRecorder(), r)
	log.Info("no request")
	if n := strings.Count(out.String(), "request_id=rid"); n != 2 {
		t.Errorf("request id %d times, want 2:\n%s", n, out.String())
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		rec, _ := serve(t, httptest.NewRequest("GET", "/x", nil), func(_ http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return r.Context().Err()
		}, nil, webhook.Deadline(3*time.Second))
		if rec.Code != 504 || time.Since(start) != 3*time.Second {
			t.Errorf("%d after %v", rec.Code, time.Since(start))
		}
		serve(t, httptest.NewRequest("GET", "/x", nil), func(_ http.ResponseWriter, r *http.Request) error {
			if _, ok := r.Context().Deadline(); ok {
				t.Error("a stream has a deadline")
			}
			return nil
		}, nil, webhook.Deadline(0))
	})
}

// untouchable fails the test when somebody reads it.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read before the sender was verified")
	return 0, io.EOF
}

func TestVerifiersComeFirst(t *testing.T) {
	basic, header := webhook.Basic("ann", "pässword"), webhook.Header("X-Key", "k1")
	bearer := webhook.Bearer("tok")
	with := func(set func(r *http.Request)) *http.Request {
		r := httptest.NewRequest("POST", "/x", nil)
		set(r)
		return r
	}
	for _, tt := range []struct {
		name   string
		r      *http.Request
		verify []webhook.Verifier
		ok     bool
	}{
		{"basic", with(func(r *http.Request) { r.SetBasicAuth("ann", "pässword") }), []webhook.Verifier{basic}, true},
		{"basic wrong password", with(func(r *http.Request) { r.SetBasicAuth("ann", "x") }), []webhook.Verifier{basic}, false},
		{"basic wrong user", with(func(r *http.Request) { r.SetBasicAuth("bob", "pässword") }), []webhook.Verifier{basic}, false},
		{"basic absent", with(func(*http.Request) {}), []webhook.Verifier{basic}, false},
		{"basic garbage", with(func(r *http.Request) { r.Header.Set("Authorization", "Basic !") }), []webhook.Verifier{basic}, false},
		{"header", with(func(r *http.Request) { r.Header.Set("X-Key", "k1") }), []webhook.Verifier{header}, true},
		{"header longer", with(func(r *http.Request) { r.Header.Set("X-Key", "k1 ") }), []webhook.Verifier{header}, false},
		{"header absent", with(func(*http.Request) {}), []webhook.Verifier{header}, false},
		{"bearer", with(func(r *http.Request) { r.Header.Set("Authorization", "bearer tok") }), []webhook.Verifier{bearer}, true},
		{"bearer as basic", with(func(r *http.Request) { r.SetBasicAuth("tok", "tok") }), []webhook.Verifier{bearer}, false},
		{"both", with(func(r *http.Request) { r.SetBasicAuth("ann", "pässword"); r.Header.Set("X-Key", "k1") }), []webhook.Verifier{basic, header}, true},
		{"one of both", with(func(r *http.Request) { r.SetBasicAuth("ann", "pässword") }), []webhook.Verifier{basic, header}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			called := false
			tt.r.Body = io.NopCloser(untouchable{t})
			tt.r.ContentLength = 1 << 30 // not even its length matters before
			if tt.ok {
				tt.r.ContentLength = 0
			}
			rec, _ := serve(t, tt.r, func(http.ResponseWriter, *http.Request) error { called = true; return nil }, tt.verify)
			if called != tt.ok || (rec.Code == 401) == tt.ok {
				t.Errorf("called %v, status %d", called, rec.Code)
			}
		})
	}
}
