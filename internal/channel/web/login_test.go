package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// drawer keeps log-ins in memory.
type drawer struct {
	mu    sync.Mutex
	kept  map[string][]byte
	until map[string]time.Time
	puts  int
	err   error
}

func newDrawer() *drawer {
	return &drawer{kept: map[string][]byte{}, until: map[string]time.Time{}}
}

func (d *drawer) PutLogin(_ context.Context, id string, data []byte, until time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept[id], d.until[id] = data, until
	d.puts++
	return d.err
}

func (d *drawer) Login(_ context.Context, id string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Now().After(d.until[id]) {
		return nil, d.err
	}
	return d.kept[id], d.err
}

func (d *drawer) DropLogin(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.kept, id)
	return d.err
}

func (d *drawer) TakeLogin(ctx context.Context, id string) ([]byte, error) {
	b, err := d.Login(ctx, id)
	return b, errorsJoin(err, d.DropLogin(ctx, id))
}

func errorsJoin(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

const (
	idle = 2 * time.Hour
	life = 12 * time.Hour
)

// withLogin is a server that people log in to.
func withLogin(t testing.TB, cfg web.Config, in web.LogInConfig, e *channeltest.Engine, b *book, d web.LinkTaker) http.Handler {
	t.Helper()
	if in.Idle == 0 {
		in.Idle, in.Life = idle, life
	}
	mux := http.NewServeMux()
	s := web.NewServer(t.Context(), cfg, e, slog.New(slog.DiscardHandler))
	s.Show(b.parts())
	s.Speak(voice{})
	if err := s.LogIn(in, d, &http.Client{Timeout: 10 * time.Second}); err != nil {
		t.Fatal(err)
	}
	s.Routes(mux)
	return mux
}

// browser is as much of a browser as handlers see: it keeps cookies, and says where
// a request comes from.
type browser struct {
	h       http.Handler
	cookies map[string]*http.Cookie
}

func newBrowser(h http.Handler) *browser { return &browser{h, map[string]*http.Cookie{}} }

func (b *browser) do(method, path, body string, set ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost:8080"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	for _, f := range set {
		f(r)
	}
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if b.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return w
}

// me is who the server takes the browser for.
func (b *browser) me() string {
	var me struct{ Name, Method, Login, Logout string }
	w := b.do("GET", "/api/v1/me", "")
	if err := json.Unmarshal(w.Body.Bytes(), &me); err != nil || w.Code != 200 {
		return fmt.Sprint(w.Code, w.Body)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s%s", me.Name, me.Method, me.Login, me.Logout))
}

// code is that of a new link.
func code(t testing.TB, d web.Logins) string {
	t.Helper()
	link, err := web.NewLink(t.Context(), d, "http://127.0.0.1:8080/")
	if err != nil {
		t.Fatal(err)
	}
	base, code, ok := strings.Cut(link, "#")
	if !ok || base != "http://127.0.0.1:8080/login" || len(code) < 26 {
		t.Fatalf("link %q", link)
	}
	return code
}

func asJSON(code string) string { return `{"code":"` + code + `"}` }

func TestALinkLogsInOnce(t *testing.T) {
	d := newDrawer()
	h := withLogin(t, web.Config{Token: "tok"}, web.LogInConfig{Links: true}, channeltest.NewEngine(nil), newBook(), d)
	b, other := newBrowser(h), newBrowser(h)
	if got := b.me(); got != "/login" {
		t.Errorf("before: %q", got)
	}
	if w := b.do("GET", "/login", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "bot login") || strings.Contains(w.Body.String(), "via=oidc") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	c := code(t, d)
	for id, data := range d.kept {
		if strings.Contains(id, c) || strings.Contains(string(data), c) {
			t.Error("the code itself is in the store")
		}
	}
	if w := b.do("POST", "/login", asJSON(c)); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got := b.me(); got != "local token /logout" {
		t.Errorf("logged in: %q", got)
	}
	cookie := b.cookies["firstmate"]
	if cookie == nil || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" || cookie.Secure || len(cookie.Value) < 40 {
		t.Fatalf("cookie %v", cookie)
	}
	for id := range d.kept {
		if strings.Contains(id, cookie.Value) {
			t.Error("the session's token itself is in the store")
		}
	}
	for name, body := range map[string]string{
		"again": asJSON(c), "a guess": asJSON("AAAAAAAAAAAAAAAAAAAAAAAAAA"), "nothing": `{}`, "no JSON": `x`, "the id in the store": asJSON("link:" + c),
		"a session's token": asJSON(cookie.Value), "long": asJSON(strings.Repeat("A", 5000)),
	} {
		if w := other.do("POST", "/login", body); w.Code < 400 || w.Code >= 500 || len(other.cookies) > 0 {
			t.Errorf("%s: %d %s %v", name, w.Code, w.Body, other.cookies)
		}
	}
	// A new log-in gets a new token, and the old one is worth nothing.
	if w := b.do("POST", "/login", asJSON(code(t, d))); w.Code != 200 || b.cookies["firstmate"].Value == cookie.Value {
		t.Errorf("%d, the token is the same", w.Code)
	}
	other.cookies["firstmate"] = cookie
	if got := other.me(); got != "/login" {
		t.Errorf("the old token: %q", got)
	}
	gone := *b.cookies["firstmate"]
	if w := b.do("POST", "/logout", ""); w.Code != 200 || b.cookies["firstmate"] != nil {
		t.Errorf("%d %v", w.Code, b.cookies)
	}
	other.cookies["firstmate"] = &gone
	if b.me() != "/login" || other.me() != "/login" {
		t.Errorf("logged out: %q %q", b.me(), other.me())
	}
}

func TestCodesCannotBeTriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrawer()
		h := withLogin(t, web.Config{Token: "tok"}, web.LogInConfig{Links: true}, channeltest.NewEngine(nil), newBook(), d)
		b, c := newBrowser(h), code(t, d)
		tried := 0
		for i := range 1000 {
			if b.do("POST", "/login", asJSON(fmt.Sprint("guess", i))).Code != 429 {
				tried++
			}
		}
		if tried != 20 {
			t.Errorf("%d of 1000 guesses at once were looked at", tried)
		}
		time.Sleep(time.Second)
		if w := b.do("POST", "/login", asJSON(c)); w.Code != 200 {
			t.Errorf("who has the code: %d %s", w.Code, w.Body)
		}
		late := code(t, d)
		time.Sleep(web.LinkLife + time.Second)
		if w := b.do("POST", "/login", asJSON(late)); w.Code != 403 || !strings.Contains(w.Body.String(), "bot login") {
			t.Errorf("a link of before: %d %s", w.Code, w.Body)
		}
	})
}

func TestASessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrawer()
		in := func() *browser {
			b := newBrowser(withLogin(t, web.Config{Token: "tok"}, web.LogInConfig{Links: true}, channeltest.NewEngine(nil), newBook(), d))
			if w := b.do("POST", "/login", asJSON(code(t, d))); w.Code != 200 {
				t.Fatal(w.Code, w.Body)
			}
			return b
		}
		b := in()
		began := time.Now()
		for time.Since(began) < life-time.Minute {
			time.Sleep(idle - 2*time.Minute)
			if w := b.do("POST", "/api/v1/turns", `{"text":"hi"}`); time.Since(began) < life && w.Code != 200 {
				t.Fatalf("after %v: %d %s", time.Since(began), w.Code, w.Body)
			}
		}
		time.Sleep(life - time.Since(began) + time.Second)
		if got := b.me(); got != "/login" {
			t.Errorf("after its life: %q", got)
		}
		b = in()
		for range 121 { // a page that looks every minute what runs is nobody who is there
			time.Sleep(time.Minute)
			b.do("GET", "/api/v1/running", "")
		}
		if got := b.me(); got != "/login" {
			t.Errorf("after a long silence: %q", got)
		}
		// Somebody at work costs the store little.
		b = in()
		puts := d.puts
		for range 600 {
			time.Sleep(time.Second)
			b.do("POST", "/api/v1/turns", `{"text":"hi"}`)
		}
		if n := d.puts - puts; n < 5 || n > 11 {
			t.Errorf("in ten minutes it was written %d times", n)
		}
	})
}

// TestAStreamEndsWithTheLogIn: who was logged out hears no more.
func TestAStreamEndsWithTheLogIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, e := newDrawer(), channeltest.NewEngine(nil)
		h := withLogin(t, web.Config{Token: "tok"}, web.LogInConfig{Links: true}, e, newBook(), d)
		b := newBrowser(h)
		b.do("POST", "/login", asJSON(code(t, d)))
		listen := func(ctx context.Context) (w *recorder, done chan struct{}) {
			r := httptest.NewRequestWithContext(ctx, "GET", "http://localhost/api/v1/conversations/web-1/events", nil)
			r.AddCookie(b.cookies["firstmate"])
			w, done = newRecorder(), make(chan struct{})
			go func() { h.ServeHTTP(w, r); close(done) }()
			return w, done
		}
		w, done := listen(t.Context())
		time.Sleep(time.Minute)
		e.Push("web-1", dialogue.Event{Kind: dialogue.EventOutcome, Reply: dialogue.Reply{Text: "first"}})
		synctest.Wait()
		if got := w.take(); !strings.Contains(got, "first") {
			t.Fatalf("heard %q", got)
		}
		b.do("POST", "/logout", "")
		time.Sleep(16 * time.Second)
		select {
		case <-done:
		default:
			t.Fatal("still listening")
		}
		// A stream alone is nobody who is there.
		b.do("POST", "/login", asJSON(code(t, d)))
		_, done = listen(t.Context())
		time.Sleep(idle + time.Minute)
		select {
		case <-done:
		default:
			t.Error("who said nothing for hours still listens")
		}
	})
}

// TestOtherSitesDoNothing: what another site makes a browser send counts for nothing,
// though the browser is logged in. It would not even send the cookie: SameSite.
func TestOtherSitesDoNothing(t *testing.T) {
	d, e := newDrawer(), channeltest.NewEngine(nil)
	h := withLogin(t, web.Config{Token: "tok"}, web.LogInConfig{Links: true}, e, newBook(), d)
	b := newBrowser(h)
	b.do("POST", "/login", asJSON(code(t, d)))
	from := func(site, origin string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			if site != "" {
				r.Header.Set("Sec-Fetch-Site", site)
			}
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
		}
	}
	for name, evil := range map[string]func(*http.Request){
		"another site":         from("cross-site", "https://evil.example"),
		"an older browser":     from("", "https://evil.example"),
		"a neighbour":          from("same-site", "http://localhost:9090"),
		"no origin of its own": from("cross-site", "null"),
		"a form of another site": func(r *http.Request) {
			from("cross-site", "https://evil.example")(r)
			r.Header.Set("Content-Type", "text/plain")
		},
	} {
		for path, body := range map[string]string{
			"/api/v1/turns": `{"text":"scale web to 0"}`, "/api/v1/speech": `{"text":"x"}`, "/api/v1/charts": `{}`, "/logout": "", "/login": asJSON(code(t, d)),
		} {
			if w := b.do("POST", path, body, evil); w.Code != 403 {
				t.Errorf("%s, %s: %d %s", name, path, w.Code, w.Body)
			}
		}
	}
	if n := len(e.Requests()); n != 0 {
		t.Errorf("%d turns were taken", n)
	}
	if got := b.me(); got != "local token /logout" {
		t.Errorf("logged out from outside: %q", got)
	}
	if w := b.do("POST", "/api/v1/turns", `{"text":"how is web?"}`); w.Code != 200 {
		t.Errorf("the page itself: %d %s", w.Code, w.Body)
	}
	if w := b.do("GET", "/api/v1/me", "", func(r *http.Request) { r.Host = "rebound.example" }); w.Code != 403 {
		t.Errorf("a rebound name: %d", w.Code)
	}
}

// TestWhoseConversation: who is logged in has conversations of their own; the token
// of the API, and loopback where nobody logs in, is for all of them.
func TestWhoseConversation(t *testing.T) {
	d, e, shelf := newDrawer(), channeltest.NewEngine(nil), newBook()
	shelf.owners["anns"], shelf.owners["ask:1:2"], shelf.owners["mine"] = "web:ann@example.com", "web:local", "web:local"
	shelf.turns["anns"] = []web.Turn{{Text: "my secret", Reply: dialogue.Reply{Speech: "Quite secret."}}}
	h := withLogin(t, web.Config{Token: "tok"}, web.LogInConfig{Links: true}, e, shelf, d)
	b := newBrowser(h)
	b.do("POST", "/login", asJSON(code(t, d)))
	stop := func(r *http.Request) { // a stream that is let in ends at once
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
	}
	for _, tt := range []struct {
		id string
		ok bool
	}{
		{"anns", false}, {"slack:T1:C1:-", false}, {"phone:491701", false}, {"web:x", false},
		{"mine", true}, {"ask:1:2", true}, {"web-0123456789abcdef", true},
	} {
		want := 403
		if tt.ok {
			want = 200
		}
		turn := b.do("POST", "/api/v1/turns", `{"conversation":"`+tt.id+`","text":"hi"}`)
		read := b.do("GET", "/api/v1/conversations/"+tt.id, "")
		hear := b.do("GET", "/api/v1/conversations/"+tt.id+"/events", "", stop)
		if turn.Code != want || read.Code != want || hear.Code != want {
			t.Errorf("%s: turns %d, history %d, events %d; want %d", tt.id, turn.Code, read.Code, hear.Code, want)
		}
		if strings.Contains(turn.Body.String()+read.Body.String()+hear.Body.String(), "secret") {
			t.Errorf("%s leaks", tt.id)
		}
		if w := call(h, "POST", "/api/v1/turns", "tok", `{"conversation":"`+tt.id+`","text":"hi"}`); w.Code != 200 {
			t.Errorf("%s with the token: %d", tt.id, w.Code)
		}
	}
	if w := b.do("POST", "/api/v1/speech", `{"text":"Quite secret.","conversation":"anns"}`); w.Code != 403 {
		t.Errorf("somebody else's answer was said aloud: %d", w.Code)
	}
	shelf.owners["c1"] = "web:ann@example.com"
	if w := b.do("GET", "/api/v1/running", ""); !strings.Contains(w.Body.String(), `"conversation":""`) {
		t.Errorf("what runs names another's conversation: %s", w.Body)
	}
	if w := call(h, "GET", "/api/v1/running", "tok", ""); !strings.Contains(w.Body.String(), `"conversation":"c1"`) {
		t.Errorf("what runs, with the token: %s", w.Body)
	}
	open := withLogin(t, web.Config{}, web.LogInConfig{Links: true}, e, shelf, newDrawer())
	if w := call(open, "POST", "/api/v1/turns", "", `{"conversation":"anns","text":"hi"}`); w.Code != 200 {
		t.Errorf("on loopback: %d %s", w.Code, w.Body)
	}
}

func TestLogInWithoutAStore(t *testing.T) {
	d := newDrawer()
	h := withLogin(t, web.Config{Token: "tok"}, web.LogInConfig{Links: true}, channeltest.NewEngine(nil), newBook(), d)
	b := newBrowser(h)
	b.do("POST", "/login", asJSON(code(t, d)))
	d.err = fmt.Errorf("disk: password=hunter2")
	for _, w := range []*httptest.ResponseRecorder{b.do("GET", "/api/v1/me", ""), b.do("POST", "/api/v1/turns", `{"text":"hi"}`), b.do("POST", "/login", asJSON("x")), b.do("POST", "/logout", "")} {
		if w.Code != 500 || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

// TestHeaders holds what browsers are told of every page.
func TestHeaders(t *testing.T) {
	h := withLogin(t, web.Config{}, web.LogInConfig{Links: true}, channeltest.NewEngine(nil), newBook(), newDrawer())
	for _, path := range []string{"/", "/main.js", "/base.css", "/login", "/login.js", "/login.css"} {
		w := call(h, "GET", path, "", "")
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY",
		} {
			if got := w.Header().Get(name); got != want || w.Code != 200 {
				t.Errorf("%s: %d, %s is %q", path, w.Code, name, got)
			}
		}
		if p := w.Header().Get("Permissions-Policy"); !strings.Contains(p, "microphone=(self)") || !strings.Contains(p, "camera=()") {
			t.Errorf("%s: permissions %q", path, p)
		}
		for _, bad := range []string{"<script>", " style=", "onclick=", "innerHTML", "https://"} {
			if strings.HasPrefix(path, "/login") && strings.Contains(w.Body.String(), bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
	}
}
