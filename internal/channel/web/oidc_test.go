package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/peers"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// site is the console behind a real identity provider.
type site struct {
	t      *testing.T
	url    string
	issuer string
	engine *channeltest.Engine
	book   *book
	serve  func(http.Handler)
	cfg    web.LogInConfig
}

// provider starts oidc-provider, with firstmate as its client.
func provider(t *testing.T, secret, redirect string) (issuer string) {
	t.Helper()
	dir := peers.Node(t, "oidc")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, "node", filepath.Join(dir, "provider.js"), "firstmate", secret, redirect)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // which ends it
		_ = cmd.Wait()
		cancel()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	issuer, ok := strings.CutPrefix(strings.TrimSpace(line), "ISSUER=")
	if !ok || err != nil {
		t.Fatalf("the provider says %q, %v: %s", line, err, said.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until it ends
	return issuer
}

// newSite starts a console whose people log in by the provider.
func newSite(t *testing.T, change func(*web.OIDC)) *site {
	t.Helper()
	var h http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	s := &site{t: t, url: srv.URL, engine: channeltest.NewEngine(nil), book: newBook(), serve: func(next http.Handler) { h = next }}
	s.issuer = provider(t, "a secret of tests", srv.URL+"/login/callback")
	c := web.OIDC{
		Issuer: s.issuer, ClientID: "firstmate", ClientSecret: "a secret of tests", RedirectURL: srv.URL + "/login/callback",
		Scopes: []string{"email", "profile"}, Claim: "email", RolesClaim: "groups", Allow: []string{"*@EXAMPLE.com"},
	}
	if change != nil {
		change(&c)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	s.cfg = web.LogInConfig{OIDC: c, Idle: idle, Life: life}
	s.book.unknown = true
	return s
}

func (s *site) as(name string) {
	s.t.Helper()
	resp, err := http.Post(s.issuer+"/as/"+url.PathEscape(name), "", nil) //nolint:noctx // on loopback
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
}

// visitor is a person's own browser.
func (s *site) visitor() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: 20 * time.Second}
}

func (s *site) get(c *http.Client, path string) (status int, body, at string) {
	s.t.Helper()
	resp, err := c.Get(s.url + path) //nolint:noctx // on loopback, with a time limit
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Request.URL.Path
}

func (s *site) say(c *http.Client, text string) (status int) {
	s.t.Helper()
	resp, err := c.Post(s.url+"/api/v1/turns", "application/json", strings.NewReader(`{"text":"`+text+`"}`)) //nolint:noctx // as above
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestLogInByAnIdentityProvider goes all the way, with a provider that others wrote.
func TestLogInByAnIdentityProvider(t *testing.T) {
	s := newSite(t, nil)
	keep, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keep.Close() })
	start := func() { s.serve(withLogin(t, web.Config{}, s.cfg, s.engine, s.book, keep)) }
	start()

	ann := s.visitor()
	if status, body, _ := s.get(ann, "/api/v1/me"); status != 200 || !strings.Contains(body, `"name":"","person":""`) || !strings.Contains(body, `"login":"/login"`) {
		t.Fatalf("before: %d %s", status, body)
	}
	if status := s.say(ann, "hi"); status != 401 {
		t.Errorf("a turn of nobody: %d", status)
	}
	if status, body, at := s.get(ann, "/login"); status != 200 || at != "/" {
		t.Fatalf("log-in ends at %s with %d %s", at, status, body)
	}
	if status := s.say(ann, "hi"); status != 200 {
		t.Fatalf("a turn: %d", status)
	}
	who := s.engine.Requests()[0].Speaker
	want := access.NewSpeaker("web", "ann@example.com", access.OIDC)
	want.Name, want.Email, want.Roles = "Ann Lee", "Ann@Example.com", access.NewRoles("sre")
	if who != want || who.Assurance != access.Strong {
		t.Errorf("%+v, want %+v", who, want)
	}
	var me struct{ Name, Method, Logout string }
	_, body, _ := s.get(ann, "/api/v1/me")
	if err := json.Unmarshal([]byte(body), &me); err != nil || me.Name != "Ann Lee" || me.Method != "oidc" || me.Logout != "/logout" {
		t.Errorf("me: %s", body)
	}

	// A restart, or another replica, knows her still.
	start()
	if status := s.say(ann, "hi again"); status != 200 {
		t.Errorf("after a restart: %d", status)
	}

	s.as("bob")
	bob := s.visitor()
	if _, _, at := s.get(bob, "/login"); at != "/" {
		t.Fatalf("bob is at %s", at)
	}
	s.say(bob, "hi")
	if got := s.engine.Requests()[2].Speaker.Key(); got != "web:bob@example.com" {
		t.Errorf("bob is %s", got)
	}
	for name, want := range map[string]string{
		"eve":     "not say that your e-mail address is verified",
		"mallory": "You are web:mallory@evil.example, whom nobody let in.",
		"nobody":  "did not let you in",
	} {
		s.as(name)
		c := s.visitor()
		status, body, at := s.get(c, "/login")
		if status != 403 || at != "/login/callback" || !strings.Contains(body, want) || !strings.Contains(body, "Log in") {
			t.Errorf("%s: %d at %s: %s", name, status, at, body)
		}
		if status := s.say(c, "hi"); status != 401 {
			t.Errorf("%s says something: %d", name, status)
		}
	}
	s.book.mu.Lock()
	s.book.unknown = false // an admin names mallory under access.people
	s.book.mu.Unlock()
	s.as("mallory")
	mallory := s.visitor()
	if _, _, at := s.get(mallory, "/login"); at != "/" {
		t.Errorf("who is known: at %s", at)
	}
	s.book.mu.Lock()
	s.book.unknown = true
	s.book.mu.Unlock()
	if status := s.say(mallory, "hi"); status != 401 {
		t.Errorf("who is not known any more: %d", status)
	}
	if status := s.say(ann, "hi"); status != 200 {
		t.Errorf("ann, meanwhile: %d", status)
	}
}

// TestALogInCannotBeForged: what comes back from the provider counts for the browser
// that left for it, once.
func TestALogInCannotBeForged(t *testing.T) {
	s := newSite(t, nil)
	s.serve(withLogin(t, web.Config{}, s.cfg, s.engine, s.book, newDrawer()))
	// A login that was begun and not finished: its address holds a good code.
	begun := func() (*http.Client, *url.URL) {
		c := s.visitor()
		var back *url.URL
		c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if r.URL.Path == "/login/callback" {
				back = r.URL
				return http.ErrUseLastResponse
			}
			return nil
		}
		s.get(c, "/login")
		if back == nil || back.Query().Get("code") == "" || back.Query().Get("state") == "" {
			t.Fatalf("not sent back: %v", back)
		}
		return c, back
	}
	at := func(c *http.Client, u *url.URL) (int, string) {
		status, body, _ := s.get(c, u.RequestURI())
		return status, body
	}
	_, good := begun()
	if status, body := at(s.visitor(), good); status != 403 || !strings.Contains(body, "another window") {
		t.Errorf("somebody else's browser: %d %s", status, body)
	}
	eve, own := begun()
	mixed := *good
	q := mixed.Query()
	q.Set("state", own.Query().Get("state")) // her state and cookie, ann's code: PKCE and the nonce tell
	mixed.RawQuery = q.Encode()
	if status, body := at(eve, &mixed); status != 403 || !strings.Contains(body, "another window") {
		t.Errorf("an injected code: %d %s", status, body)
	}
	ann, hers := begun()
	for name, change := range map[string]func(url.Values){
		"no state":      func(q url.Values) { q.Del("state") },
		"another state": func(q url.Values) { q.Set("state", "x") },
	} {
		c, u := begun()
		v := *u
		q := v.Query()
		change(q)
		v.RawQuery = q.Encode()
		if status, _ := at(c, &v); status != 403 {
			t.Errorf("%s: %d", name, status)
		}
		if status, _ := at(c, u); status != 403 {
			t.Errorf("%s, and then the right one: %d", name, status)
		}
	}
	for name, change := range map[string]func(url.Values){
		"no code":        func(q url.Values) { q.Del("code") },
		"another code":   func(q url.Values) { q.Set("code", "x") },
		"another issuer": func(q url.Values) { q.Set("iss", "https://evil.example") },
		"an error":       func(q url.Values) { q.Set("error", "server_error"); q.Set("error_description", channeltest.Hostile) },
	} {
		c, u := begun()
		q := u.Query()
		change(q)
		u.RawQuery = q.Encode()
		if status, body := at(c, u); status != 403 && status != 503 || strings.Contains(body, "<script>alert") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := at(ann, hers); status != 303 && status != 200 {
		t.Errorf("what was not tampered with: %d %s", status, body)
	}
	if status := s.say(ann, "hi"); status != 200 {
		t.Errorf("ann: %d", status)
	}
	if status, _ := at(ann, hers); status != 403 {
		t.Errorf("the same again: %d", status)
	}
}

func TestAProviderThatIsAway(t *testing.T) {
	c := web.OIDC{Issuer: "http://127.0.0.1:9", ClientID: "f", RedirectURL: "https://bot.example/login/callback", Claim: "email"}
	h := withLogin(t, web.Config{AllowedHosts: []string{"bot.example"}}, web.LogInConfig{OIDC: c, Secure: true}, channeltest.NewEngine(nil), newBook(), newDrawer())
	if w := call(h, "GET", "/login", "", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "bot doctor") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := call(h, "POST", "/login", "", asJSON("x")); w.Code != 405 {
		t.Errorf("links are off: %d", w.Code)
	}
	if w := call(h, "POST", "/api/v1/turns", "", `{"text":"hi"}`); w.Code != 401 {
		t.Errorf("loopback is no log-in where there is a provider: %d", w.Code)
	}
}

func TestOIDCCheck(t *testing.T) {
	good := web.OIDC{Issuer: "https://id.example", ClientID: "f", RedirectURL: "https://bot.example/login/callback", Claim: "sub"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*web.OIDC){
		"plain issuer":    func(c *web.OIDC) { c.Issuer = "http://id.example" },
		"no issuer":       func(c *web.OIDC) { c.Issuer = "id.example" },
		"plain redirect":  func(c *web.OIDC) { c.RedirectURL = "http://bot.example/login/callback" },
		"other redirect":  func(c *web.OIDC) { c.RedirectURL = "https://bot.example/" },
		"redirect with ?": func(c *web.OIDC) { c.RedirectURL += "?x=1" },
		"no client":       func(c *web.OIDC) { c.ClientID = "" },
		"no claim":        func(c *web.OIDC) { c.Claim = "" },
		"no pattern":      func(c *web.OIDC) { c.Allow = []string{"[a"} },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil {
			t.Errorf("%s is let through", name)
		}
	}
}

// TestTheProviderIsTried is what bot doctor sees.
func TestTheProviderIsTried(t *testing.T) {
	s := newSite(t, nil)
	for name, tt := range map[string]struct {
		change func(*web.OIDC)
		kind   fault.Kind
	}{
		"as it is":         {func(*web.OIDC) {}, ""},
		"another client":   {func(c *web.OIDC) { c.ClientID = "x" }, fault.Usage},
		"another redirect": {func(c *web.OIDC) { c.RedirectURL = "http://127.0.0.1:1/login/callback" }, fault.Usage},
		"another issuer":   {func(c *web.OIDC) { c.Issuer += "/x" }, fault.Unavailable},
		"nobody there":     {func(c *web.OIDC) { c.Issuer = "http://127.0.0.1:9" }, fault.Unavailable},
	} {
		c := s.cfg.OIDC
		tt.change(&c)
		if err := c.Try(t.Context(), &http.Client{Timeout: 10 * time.Second}); fault.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNobodyCallsThemselvesSomethingElse: where people choose what they are known by,
// nobody is taken for the holder of the token, or for this machine.
func TestNobodyCallsThemselvesSomethingElse(t *testing.T) {
	s := newSite(t, func(c *web.OIDC) { c.Claim, c.Allow = "sub", []string{"*"} })
	s.serve(withLogin(t, web.Config{}, s.cfg, s.engine, s.book, newDrawer()))
	for _, name := range []string{"local", "token", "*", "role:sre", "a b", "\u0085x"} {
		s.as(name)
		c := s.visitor()
		if status, body, at := s.get(c, "/login"); status != 403 || at != "/login/callback" || !strings.Contains(body, "web.oidc.claim") {
			t.Errorf("%q: %d at %s: %s", name, status, at, body)
		}
	}
	s.as("eve") // whose address is not verified
	eve := s.visitor()
	s.get(eve, "/login")
	s.say(eve, "hi")
	if got := s.engine.Requests(); len(got) != 1 || got[0].Speaker.Email != "" || got[0].Speaker.Key() != "web:eve" {
		t.Errorf("%+v", got)
	}
	s.as("carol")
	if status, _, at := s.get(s.visitor(), "/login"); status != 200 || at != "/" {
		t.Errorf("carol: %d at %s", status, at)
	}
}

// FuzzCallback: whatever comes back from wherever, nobody is logged in by it.
func FuzzCallback(f *testing.F) {
	f.Add("state=x&code=y", "firstmate-login", "z")
	f.Add("error=access_denied&state=", "firstmate-login", "")
	f.Add("code=%00&state=%ff;a", "firstmate", "\x00;=")
	asked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }))
	defer asked.Close()
	c := web.OIDC{Issuer: asked.URL, ClientID: "f", RedirectURL: "http://localhost:8080/login/callback", Claim: "email"}
	d := newDrawer()
	mux := http.NewServeMux()
	s := web.NewServer(f.Context(), web.Config{}, channeltest.NewEngine(nil), slog.New(slog.DiscardHandler))
	if err := s.LogIn(web.LogInConfig{OIDC: c, Idle: idle, Life: life}, d, asked.Client()); err != nil {
		f.Fatal(err)
	}
	s.Routes(mux)
	f.Fuzz(func(t *testing.T, query, cookie, value string) {
		for _, path := range []string{"/login/callback", "/api/v1/me", "/api/v1/charts"} {
			r := httptest.NewRequest("GET", "http://localhost"+path, nil)
			r.URL.RawQuery = query
			r.Header.Set("Cookie", cookie+"="+value+"; firstmate="+value+"; firstmate-login="+value)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if strings.Contains(w.Body.String(), `"logout":"/logout"`) || w.Code == http.StatusSeeOther || path != "/api/v1/me" && w.Code < 400 {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		if len(d.kept) > 0 {
			t.Error("somebody is logged in")
		}
	})
}
