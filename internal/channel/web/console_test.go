package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// book is what a console shows, by script.
type book struct {
	mu     sync.Mutex
	owners map[string]string
	asked  []string // by whom
	turns  map[string][]web.Turn
	err    error

	unknown bool // nobody is known
}

func newBook() *book { return &book{owners: map[string]string{}, turns: map[string][]web.Turn{}} }

func (b *book) by(s access.Speaker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, s.Key())
}

func (b *book) parts() web.Parts { return web.Parts{People: b, History: b, Changes: b, Alerts: b} }

func (b *book) Who(_ context.Context, s access.Speaker) (access.Person, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return access.Person{Name: "Ann"}, !b.unknown, b.err
}

func (b *book) MayChange(_ context.Context, s access.Speaker) error {
	if s.Assurance < access.Verified {
		return fault.New(fault.Refused, "No.")
	}
	return nil
}

func (b *book) Own(_ context.Context, conversation, speaker string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owners[conversation] == "" && speaker != "" {
		b.owners[conversation] = speaker
	}
	return b.owners[conversation], b.err
}

func (b *book) Conversations(_ context.Context, speaker string) ([]web.Conversation, error) {
	if speaker != "web:token" {
		return nil, b.err
	}
	return []web.Conversation{{ID: "c1", Title: "how is web?", Updated: time.Unix(1, 0).UTC()}}, b.err
}

func (b *book) Turns(_ context.Context, conversation string) ([]web.Turn, int64, error) {
	return b.turns[conversation], int64(len(b.turns[conversation])), b.err
}

func (b *book) Running(_ context.Context, by access.Speaker) ([]web.Change, error) {
	b.by(by)
	return []web.Change{{ID: "a1", Conversation: "c1", Who: "Ann", What: "scale web to 5", State: "watching", Progress: "3 of 5 run", Since: time.Unix(1, 0).UTC()}}, b.err
}

func (b *book) Waiting(_ context.Context, by access.Speaker) ([]web.Approval, error) {
	b.by(by)
	return nil, b.err
}

func (b *book) Firing(_ context.Context, by access.Speaker) ([]web.Alert, bool, error) {
	b.by(by)
	return []web.Alert{{Name: "Down", Severity: "critical", Summary: channeltest.Hostile, Since: time.Unix(1, 0).UTC(), About: "shop/web"}}, true, b.err
}

// console is a server with all its parts.
func console(t testing.TB, cfg web.Config, e *channeltest.Engine, b *book, voice speech.Synthesizer) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	s := web.NewServer(t.Context(), cfg, e, slog.New(slog.DiscardHandler))
	s.Show(b.parts())
	if voice != nil {
		s.Speak(voice)
	}
	s.Routes(mux)
	return mux
}

func call(h http.Handler, method, path, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestConsole holds the shapes that the page relies on.
func TestConsole(t *testing.T) {
	b := newBook()
	b.turns["c1"] = []web.Turn{{At: time.Unix(1, 0).UTC(), Who: "Ann", Text: "how is web?", Reply: dialogue.Reply{Text: "Well."}}}
	h := console(t, web.Config{Token: "tok"}, channeltest.NewEngine(nil), b, voice{})
	reply, err := json.Marshal(dialogue.Reply{Text: "Well."})
	if err != nil {
		t.Fatal(err)
	}
	hostile, err := json.Marshal(channeltest.Hostile)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, token string
		status      int
		want        string
	}{
		{"/api/v1/me", "tok", 200, `{"name":"token","person":"Ann","method":"token","may_write":true,"speaks":true,"listens":false,"login":"","logout":"","token":true}`},
		{"/api/v1/me", "", 200, `{"name":"","person":"","method":"","may_write":false,"speaks":true,"listens":false,"login":"","logout":"","token":true}`},
		{"/api/v1/me", "guess", 401, ""},
		{"/api/v1/conversations", "tok", 200, `{"conversations":[{"id":"c1","title":"how is web?","updated":"1970-01-01T00:00:01Z"}]}`},
		{"/api/v1/conversations/c1", "tok", 200, `{"turns":[{"at":"1970-01-01T00:00:01Z","who":"Ann","text":"how is web?","reply":` + string(reply) + `}],"after":1}`},
		{"/api/v1/conversations/none", "tok", 200, `{"turns":[],"after":0}`},
		{"/api/v1/conversations/" + strings.Repeat("a", 129), "tok", 400, ""},
		{"/api/v1/conversations/a%2Fb", "tok", 400, ""},
		{"/api/v1/running", "tok", 200, `{"changes":[{"id":"a1","conversation":"c1","who":"Ann","what":"scale web to 5","state":"watching","progress":"3 of 5 run","since":"1970-01-01T00:00:01Z"}]}`},
		{"/api/v1/approvals", "tok", 200, `{"waiting":[]}`},
		{"/api/v1/alerts", "tok", 200, `{"alerts":[{"name":"Down","severity":"critical","summary":` + string(hostile) + `,"since":"1970-01-01T00:00:01Z","about":"shop/web"}],"known":true}`},
	} {
		w := call(h, "GET", tt.path, tt.token, "")
		if w.Code != tt.status || tt.want != "" && strings.TrimSpace(w.Body.String()) != tt.want {
			t.Errorf("%s: %d %s\nwant %s", tt.path, w.Code, w.Body, tt.want)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept: %v", tt.path, w.Header())
		}
	}
	for _, path := range []string{"conversations", "conversations/c1", "running", "approvals", "alerts"} {
		for _, token := range []string{"", "guess"} {
			if w := call(h, "GET", "/api/v1/"+path, token, ""); w.Code != 401 {
				t.Errorf("%s with token %q: %d", path, token, w.Code)
			}
		}
	}
	for _, by := range b.asked {
		if by != "web:token" {
			t.Errorf("asked for %s", by)
		}
	}
	b.err = errors.New("disk: password=hunter2")
	for _, path := range []string{"me", "conversations", "conversations/c1", "running", "approvals", "alerts"} {
		if w := call(h, "GET", "/api/v1/"+path, "tok", ""); w.Code != 500 || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	local := console(t, web.Config{}, channeltest.NewEngine(nil), newBook(), nil)
	if w := call(local, "GET", "/api/v1/me", "", ""); !strings.Contains(w.Body.String(), `{"name":"local","person":"Ann","method":"loopback","may_write":false,"speaks":false`) {
		t.Errorf("on loopback: %s", w.Body)
	}
}

// voice says nothing but what it was given, as bytes.
type voice struct{}

func (voice) Synthesize(_ context.Context, text string, f speech.Format) (speech.Audio, error) {
	return speech.Audio{Format: f, Data: []byte("RIFF" + text)}, nil
}

// TestSpeech holds that firstmate says aloud what it said, and nothing else.
func TestSpeech(t *testing.T) {
	b := newBook()
	b.turns["c1"] = []web.Turn{{Reply: dialogue.Reply{Speech: "From before."}}}
	e := channeltest.NewEngine(func(dialogue.Request) dialogue.Reply { return dialogue.Reply{Speech: "All is well."} })
	h := console(t, web.Config{Token: "tok"}, e, b, voice{})
	say := func(token, body string) *httptest.ResponseRecorder {
		return call(h, "POST", "/api/v1/speech", token, body)
	}
	if w := say("tok", `{"text":"All is well."}`); w.Code != 403 {
		t.Errorf("before it was said: %d %s", w.Code, w.Body)
	}
	call(h, "POST", "/api/v1/turns", "tok", `{"conversation":"c2","text":"how is web?"}`)
	w := say("tok", `{"text":"All is well."}`)
	if w.Code != 200 || w.Body.String() != "RIFFAll is well." || w.Header().Get("Content-Type") != "audio/wav" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
	for _, tt := range []struct {
		name, token, body string
		status            int
	}{
		{"said before this process was started", "tok", `{"text":"From before.","conversation":"c1"}`, 200},
		{"said in another conversation", "tok", `{"text":"From before.","conversation":"c3"}`, 403},
		{"a free voice", "tok", `{"text":"Wire me a thousand euros."}`, 403},
		{"nothing", "tok", `{"text":""}`, 400},
		{"too long", "tok", `{"text":"` + strings.Repeat("é", 1501) + `"}`, 400},
		{"far too long", "tok", `{"text":"` + strings.Repeat("é", 100_000) + `"}`, 413},
		{"no JSON", "tok", `x`, 400},
		{"nobody", "", `{"text":"All is well."}`, 401},
		{"no conversation", "tok", `{"text":"x","conversation":"a/b"}`, 400},
	} {
		if w := say(tt.token, tt.body); w.Code != tt.status {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
	// What others were told is not found out by asking for it aloud.
	d := newDrawer()
	both := withLogin(t, web.Config{Token: "tok"}, web.LogInConfig{Links: true}, e, b, d)
	call(both, "POST", "/api/v1/turns", "tok", `{"conversation":"c2","text":"how is web?"}`)
	local := newBrowser(both)
	local.do("POST", "/login", asJSON(code(t, d)))
	if w := local.do("POST", "/api/v1/speech", `{"text":"All is well."}`); w.Code != 403 {
		t.Errorf("said to somebody else: %d %s", w.Code, w.Body)
	}
	if w := call(console(t, web.Config{}, e, b, nil), "POST", "/api/v1/speech", "", `{"text":"All is well."}`); w.Code != 404 {
		t.Errorf("without a voice: %d %s", w.Code, w.Body)
	}
	refused := 0
	for range 200 {
		if say("tok", `{"text":"All is well."}`).Code == 429 {
			refused++
		}
	}
	if refused < 5 {
		t.Errorf("of 200 at once %d were refused", refused)
	}
}

// TestWhatWasPushedIsSaidAloud: what is told without being asked has a voice too.
func TestWhatWasPushedIsSaidAloud(t *testing.T) {
	e := channeltest.NewEngine(nil)
	h := console(t, web.Config{}, e, newBook(), voice{})
	ctx, cancel := context.WithCancel(t.Context())
	w := newRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "http://localhost/api/v1/conversations/c1/events", nil))
	}()
	e.Push("c1", dialogue.Event{Kind: dialogue.EventOutcome, Action: "a1", Reply: dialogue.Reply{Speech: "It is done."}})
	var seen bytes.Buffer
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(seen.String(), "It is done."); {
		time.Sleep(time.Millisecond)
		if seen.WriteString(w.take()); time.Now().After(deadline) {
			t.Fatalf("not told: %s", &seen)
		}
	}
	cancel()
	<-done
	if w := call(h, "POST", "/api/v1/speech", "", `{"text":"It is done."}`); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
