package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

func raw(body io.Reader) *http.Request {
	r := httptest.NewRequest("POST", "/api/v1/turns", body)
	r.Host = "127.0.0.1:8080"
	r.Header.Set("Content-Type", "application/json")
	return r
}

func withToken(r *http.Request) *http.Request {
	r.Header.Set("Authorization", "Bearer tok")
	return r
}

func TestChannel(t *testing.T) {
	channeltest.Run(t, channeltest.Channel{
		Handler: func(t *testing.T, e *channeltest.Engine) http.Handler {
			return handler(t, web.Config{Token: "tok"}, e)
		},
		Request: func(delivery, text string) *http.Request {
			b, _ := json.Marshal(map[string]string{"conversation": "c1", "text": text})
			r := withToken(raw(strings.NewReader(string(b))))
			r.Header.Set("Idempotency-Key", delivery)
			return r
		},
		Raw: func(body io.Reader) *http.Request { return withToken(raw(body)) },
		Forge: map[string]func(*http.Request){
			"no token":     func(r *http.Request) { r.Header.Del("Authorization") },
			"wrong token":  func(r *http.Request) { r.Header.Set("Authorization", "Bearer guess") },
			"other scheme": func(r *http.Request) { r.Header.Set("Authorization", "Basic tok") },
			"other host":   func(r *http.Request) { r.Host = "evil.example" },
			"other site":   func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		},
		MaxBody: 64 << 10,
	})
}

func TestTurn(t *testing.T) {
	e := channeltest.NewEngine(nil)
	w := httptest.NewRecorder()
	handler(t, web.Config{}, e).ServeHTTP(w, raw(strings.NewReader(`{"conversation":"c:1","text":"yes","confirm":"p1","other":1}`)))
	got := e.Requests()[0]
	if got.Conversation != "c:1" || got.Text != "yes" || got.Confirm != "p1" || got.DeliveryID != "" || got.Pull || got.Patience != 0 {
		t.Errorf("%+v", got)
	}
	if got.Speaker.Key() != "web:local" {
		t.Errorf("speaker %q", got.Speaker.Key())
	}
	want, _ := json.Marshal(dialogue.Reply{Conversation: "c:1", Speech: "ok", Text: "ok", Expect: "none", Outcome: "none"})
	if w.Code != 200 || strings.TrimSpace(w.Body.String()) != string(want) {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
	r := withToken(raw(strings.NewReader(`{"text":"hi"}`)))
	handler(t, web.Config{Token: "tok"}, e).ServeHTTP(httptest.NewRecorder(), r)
	if got := e.Requests()[1]; got.Speaker.Key() != "web:token" || len(got.Conversation) < 20 {
		t.Errorf("%+v", got)
	}
}

func TestTurnRefusals(t *testing.T) {
	long := strings.Repeat("é", 1001)
	for _, tt := range []struct {
		name, body string
		set        func(*http.Request)
		status     int
		says       string
	}{
		{"thousand characters", `{"text":"` + strings.Repeat("é", 1000) + `"}`, nil, 200, ""},
		{"too long", `{"text":"` + long + `"}`, nil, 400, "1000"},
		{"no text", `{"conversation":"c"}`, nil, 400, "no text"},
		{"blank text", `{"text":" \n"}`, nil, 400, "no text"},
		{"button alone", `{"confirm":"p1"}`, nil, 200, ""},
		{"odd conversation", `{"conversation":"a/b","text":"hi"}`, nil, 400, "id"},
		{"long conversation", `{"conversation":"` + strings.Repeat("a", 129) + `","text":"hi"}`, nil, 400, "id"},
		{"long proposal", `{"confirm":"` + strings.Repeat("a", 129) + `"}`, nil, 400, "proposal"},
		{"key with colon", `{"text":"hi"}`, func(r *http.Request) { r.Header.Set("Idempotency-Key", "a:b") }, 400, "Idempotency-Key"},
		{"form", `{"text":"hi"}`, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, "application/json"},
		{"no type", `{"text":"hi"}`, func(r *http.Request) { r.Header.Del("Content-Type") }, 415, "application/json"},
		{"audio", `x`, func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") }, 415, "audio"},
		{"charset", `{"text":"hi"}`, func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") }, 200, ""},
	} {
		r := raw(strings.NewReader(tt.body))
		if tt.set != nil {
			tt.set(r)
		}
		w := httptest.NewRecorder()
		handler(t, web.Config{}, channeltest.NewEngine(nil)).ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
}

func TestWhoMayCall(t *testing.T) {
	cfg := web.Config{AllowedHosts: []string{"Bot.example.com", "other.example:8443"}}
	for _, tt := range []struct {
		host, origin, site string
		status             int
	}{
		{"localhost:8080", "", "", 200},
		{"LOCALHOST", "", "", 200},
		{"localhost.", "", "", 200},
		{"127.0.0.1:1", "", "", 200},
		{"127.8.9.1:1", "", "", 200},
		{"[::1]:8080", "", "", 200},
		{"[::1]", "", "", 200},
		{"bot.example.com", "", "", 200},
		{"bot.example.com:443", "https://bot.example.com:443", "", 200},
		{"other.example", "", "", 200},
		{"evil.example", "", "", 403},
		{"localhost.evil.example", "", "", 403},
		{"127.0.0.1.evil.example", "", "", 403},
		{"10.0.0.1:8080", "", "", 403},
		{"0.0.0.0:8080", "", "", 403},
		{"", "", "", 403},
		{"localhost:8080", "http://localhost:8080", "", 200},
		{"localhost:8080", "http://evil.example", "", 403},
		{"localhost:8080", "http://localhost:9090", "", 403},
		{"localhost:8080", "null", "", 403},
		{"localhost:8080", "http://localhost:8080", "same-origin", 200},
		{"localhost:8080", "http://evil.example", "cross-site", 403},
	} {
		r := raw(strings.NewReader(`{"text":"hi"}`))
		r.Host = tt.host
		for k, v := range map[string]string{"Origin": tt.origin, "Sec-Fetch-Site": tt.site} {
			if v != "" {
				r.Header.Set(k, v)
			}
		}
		e := channeltest.NewEngine(nil)
		w := httptest.NewRecorder()
		handler(t, cfg, e).ServeHTTP(w, r)
		if w.Code != tt.status || (len(e.Requests()) == 1) != (tt.status == 200) {
			t.Errorf("%+v: %d %s", tt, w.Code, w.Body)
		}
	}
}

func TestPage(t *testing.T) {
	h := handler(t, web.Config{Token: "tok"}, channeltest.NewEngine(nil))
	files, err := os.ReadDir("static")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	types := map[string]string{".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
	served := map[string]string{"/": "text/html"}
	for _, f := range files {
		if f.Name() != "index.html" {
			served["/"+f.Name()] = types[filepath.Ext(f.Name())]
		}
	}
	for path, ct := range served {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = "localhost:8080"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 || ct == "" || !strings.HasPrefix(w.Header().Get("Content-Type"), ct) {
			t.Errorf("%s: %d %s", path, w.Code, w.Header())
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		for _, bad := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval(", "https://", "http://", " style=", " onclick="} {
			// A namespace is a name; nothing is fetched from there.
			if strings.Contains(strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", ""), bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
		r.Host = "evil.example"
		w = httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 403 {
			t.Errorf("%s under another name: %d", path, w.Code)
		}
	}
	r := httptest.NewRequest("GET", "/other", nil)
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 404 {
		t.Errorf("other path: %d", w.Code)
	}
}
