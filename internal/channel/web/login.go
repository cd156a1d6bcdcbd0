package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

const (
	loginPath    = "/login"
	callbackPath = "/login/callback"
	logoutPath   = "/logout"
	// LinkLife is how long a one-time link counts.
	LinkLife = 10 * time.Minute
	// linkPrefix sets the codes of links apart from sessions in the store.
	linkPrefix = "link:"
	// loginsEvery and loginsAtOnce bound how often codes are tried and the provider is
	// asked, by all together.
	loginsEvery  = 200 * time.Millisecond
	loginsAtOnce = 20
)

// LogInConfig is how people log in to the console.
type LogInConfig struct {
	OIDC OIDC // of an empty issuer: not that way
	// Links lets in who has a one-time link, as the one who started the server. It is
	// for a server on loopback.
	Links bool
	// Secure says that browsers come by HTTPS.
	Secure bool
	// Idle is after how long without a word somebody is logged out, Life after how
	// long in any case.
	Idle, Life time.Duration
}

// logIn lets people in.
type logIn struct {
	cfg      LogInConfig
	keep     LinkTaker
	sessions *sessions
	provider *provider     // nil: there is none
	tries    *rate.Limiter // of codes of links
	returns  *rate.Limiter // from the provider, which is asked then
	page     *template.Template
}

// LinkTaker keeps log-ins, and the codes of links, each of which is taken once.
type LinkTaker interface {
	Logins
	TakeLogin(ctx context.Context, id string) ([]byte, error)
}

// LogIn lets people log in, by h for what is asked of an identity provider.
func (s *Server) LogIn(cfg LogInConfig, keep LinkTaker, h *http.Client) error {
	page, err := template.ParseFS(static, "login/login.html")
	if err != nil {
		return err
	}
	l := &logIn{
		cfg: cfg, keep: keep, sessions: newSessions(keep, cfg), page: page,
		tries: rate.NewLimiter(rate.Every(loginsEvery), loginsAtOnce), returns: rate.NewLimiter(rate.Every(loginsEvery), loginsAtOnce),
	}
	if cfg.OIDC.Issuer != "" {
		l.provider = newProvider(cfg.OIDC, cfg.Secure, h)
	}
	s.logIn = l
	return nil
}

// NewLink makes a link by which somebody logs in once, to the server at base. Its
// code stands behind the #, so that no proxy and no log sees it.
func NewLink(ctx context.Context, keep Logins, base string) (string, error) {
	code := rand.Text()
	if err := keep.PutLogin(ctx, linkID(code), []byte{1}, time.Now().Add(LinkLife)); err != nil {
		return "", err
	}
	return strings.TrimRight(base, "/") + loginPath + "#" + code, nil
}

// linkID is under what a code is kept: what is in the store lets nobody in.
func linkID(code string) string {
	sum := sha256.Sum256([]byte(code))
	return linkPrefix + hex.EncodeToString(sum[:])
}

func (s *Server) loginRoutes(mux *http.ServeMux) {
	if s.logIn == nil {
		return
	}
	guard := s.api // those who log in are not known yet
	mux.Handle("GET "+loginPath, s.turns.Handle(s.loginPage, guard...))
	for path, file := range map[string]page{
		"/login.js":  {"login/login.js", "text/javascript; charset=utf-8"},
		"/login.css": {"login/login.css", "text/css; charset=utf-8"},
	} {
		mux.Handle("GET "+path, s.turns.Handle(file.serve, s.page...))
	}
	mux.Handle("POST "+logoutPath, s.turns.Handle(s.logout, guard...))
	if s.logIn.cfg.Links {
		mux.Handle("POST "+loginPath, s.turns.Handle(s.redeem, guard...))
	}
	if s.logIn.provider != nil {
		mux.Handle("GET "+callbackPath, s.turns.Handle(s.callback, guard...))
	}
}

// loginPage sends who comes to the identity provider. Where there are links, a page
// stands before it: only the browser knows whether it came by one.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) error {
	l := s.logIn
	if l.provider == nil || l.cfg.Links && r.URL.Query().Get("via") != "oidc" {
		return s.showLogin(w, http.StatusOK, "")
	}
	to, err := l.provider.begin(w, r)
	if err != nil {
		return s.loginFailed(w, r, err)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// showLogin shows the page of the log-in, with what went wrong.
func (s *Server) showLogin(w http.ResponseWriter, status int, problem string) error {
	var b bytes.Buffer
	err := s.logIn.page.Execute(&b, struct {
		Problem     string
		Links, OIDC bool
	}{problem, s.logIn.cfg.Links, s.logIn.provider != nil})
	if err != nil {
		return err
	}
	pageHeaders(w.Header(), "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err = w.Write(b.Bytes())
	return err
}

// loginFailed tells a person, who looks at it with a browser, and the log.
func (s *Server) loginFailed(w http.ResponseWriter, r *http.Request, err error) error {
	if fault.KindOf(err) == fault.Internal {
		return err
	}
	s.log.InfoContext(r.Context(), "log-in refused", "err", err)
	return s.showLogin(w, fault.HTTPStatus(err), fault.Say(err))
}

func tooManyLogins() error {
	return webhook.WithStatus(http.StatusTooManyRequests, fault.New(fault.Unavailable, "Too many log-ins are tried at once. Try again in a moment."))
}

// redeem logs in who has the code of a link.
func (s *Server) redeem(w http.ResponseWriter, r *http.Request) error {
	if err := checkContentType(r.Header.Get("Content-Type")); err != nil {
		return err
	}
	if !s.logIn.tries.Allow() {
		return tooManyLogins()
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
	var in struct {
		Code string `json:"code"`
	}
	if err := webhook.ReadJSON(r, &in); err != nil {
		return err
	}
	got, err := s.logIn.keep.TakeLogin(r.Context(), linkID(in.Code))
	if err != nil {
		return err
	}
	if got == nil {
		return fault.New(fault.Refused, "That link was used already, or is older than %d minutes. “bot login” prints a new one.", int(LinkLife.Minutes()))
	}
	// Who has the link was given it by the one who started the server, or is that one.
	// It is a token, and no more: a speaker that everybody on this machine is must not
	// become one person.
	if err := s.logIn.sessions.begin(w, r, access.NewSpeaker(channel, "local", access.Token)); err != nil {
		return err
	}
	return answer(w, struct{}{})
}

// callback logs in whom the identity provider sent back.
func (s *Server) callback(w http.ResponseWriter, r *http.Request) error {
	l := s.logIn
	if !l.returns.Allow() {
		return s.loginFailed(w, r, tooManyLogins())
	}
	who, err := l.provider.finish(w, r)
	if err == nil {
		err = s.welcome(r.Context(), who)
	}
	if err == nil {
		err = l.sessions.begin(w, r, who)
	}
	if err != nil {
		return s.loginFailed(w, r, err)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// welcome says why somebody whom the provider knows may not come in; nil where they
// may: the configuration names them, or what they are like.
func (s *Server) welcome(ctx context.Context, who access.Speaker) error {
	if who.Method != access.OIDC || s.logIn.cfg.OIDC.allows(who.ID) {
		return nil
	}
	if s.parts.People != nil {
		_, known, err := s.parts.People.Who(ctx, who)
		if err != nil || known {
			return err
		}
	}
	return fault.New(fault.Refused, "You are %s, whom nobody let in. An admin can name you under access.people, or in web.oidc.allow.", who.Key())
}

// logout ends the session.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	if err := s.logIn.sessions.end(w, r); err != nil {
		return err
	}
	return answer(w, struct{}{})
}

// loggedIn is who is logged in, and may still be.
func (s *Server) loggedIn(r *http.Request, touch bool) (caller, bool, error) {
	if s.logIn == nil {
		return caller{}, false, nil
	}
	who, ok, err := s.logIn.sessions.who(r, touch)
	if !ok || err != nil {
		return caller{}, false, err
	}
	if err := s.welcome(r.Context(), who); err != nil {
		if fault.KindOf(err) == fault.Refused {
			return caller{}, false, nil // nobody lets them in any more
		}
		return caller{}, false, err
	}
	return caller{speaker: who, loggedIn: true}, true, nil
}

// stillIn reports whether whoever listens may go on: a stream has no end, a log-in
// has.
func (s *Server) stillIn(r *http.Request, c caller) error {
	if !c.loggedIn {
		return nil
	}
	if _, ok, err := s.loggedIn(r, false); ok || err != nil {
		return err
	}
	return errLoggedOut
}

var errLoggedOut = errors.New("web: the log-in is over")
