package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// OIDC is log-in by an identity provider that speaks OpenID Connect.
type OIDC struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	RedirectURL  string // of the console, ending in /login/callback
	Scopes       []string
	// Claim is what people are known by; of "email", only a verified address counts.
	Claim string
	// RolesClaim is what lists the groups of a person, for access.roles; "" is none.
	RolesClaim string
	// Allow are patterns of those who may come in beside those who are known.
	Allow []string
}

const (
	flowCookie = "firstmate-login"
	flowLife   = 600 // seconds
	maxCode    = 4 << 10
	// discoverEvery is how often a provider is asked that does not answer.
	discoverEvery = 2 * time.Second
	maxID         = 200
	maxRoles      = 200
)

// Check says what is wrong with the configuration.
func (c OIDC) Check() error {
	issuer, err := url.Parse(c.Issuer)
	if err != nil || !safe(issuer) {
		return fault.New(fault.Usage, "web.oidc.issuer is an https address, not %q.", c.Issuer)
	}
	back, err := url.Parse(c.RedirectURL)
	if err != nil || !safe(back) || back.Path != callbackPath || back.RawQuery != "" || back.Fragment != "" {
		return fault.New(fault.Usage, "web.oidc.redirect_url is where the provider sends people back to: the https address of the console with %s, not %q.", callbackPath, c.RedirectURL)
	}
	switch {
	case c.ClientID == "":
		return fault.New(fault.Usage, "web.oidc needs client_id, by which the provider knows firstmate.")
	case c.Claim == "":
		return fault.New(fault.Usage, "web.oidc.claim says what people are known by, as email or sub.")
	}
	for _, p := range c.Allow {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return fault.New(fault.Usage, "web.oidc.allow: %q is no pattern like *@example.com.", p)
		}
	}
	return nil
}

// safe reports whether what goes to an address is read by nobody else: it is HTTPS,
// or stays on this machine.
func safe(u *url.URL) bool {
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && loopbackName(u.Hostname()))
}

// allows reports whether somebody is among those who may come in.
func (c OIDC) allows(id string) bool {
	return slices.ContainsFunc(c.Allow, func(p string) bool {
		if c.Claim == claimEmail {
			p = strings.ToLower(p)
		}
		ok, err := path.Match(p, id)
		return ok && err == nil
	})
}

// claimEmail is the claim of an address, which may be one that nobody verified.
const claimEmail = "email"

// provider is an identity provider.
type provider struct {
	cfg    OIDC
	secure bool
	client *http.Client

	mu     sync.Mutex
	found  *oidc.Provider // once it answered
	failed time.Time      // when it last did not
}

func newProvider(cfg OIDC, secure bool, h *http.Client) *provider {
	return &provider{cfg: cfg, secure: secure, client: h}
}

// discover asks the provider for its addresses, once somebody wants to log in: it
// need not be up when the program starts.
func (p *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	if time.Since(p.failed) < discoverEvery {
		return nil, away(errors.New("web: it did not answer a moment ago"))
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.cfg.Issuer)
	if err != nil {
		p.failed = time.Now()
		return nil, away(err)
	}
	p.found = found
	return found, nil
}

func away(err error) error {
	return fault.Wrap(err, fault.Unavailable, "The identity provider does not answer as it should. Try again in a moment; “bot doctor” says more.")
}

// flow is one attempt to log in. All that it needs follows from a secret that only
// the browser has, in a cookie: nothing is kept, and any replica can finish it.
type flow string

func (f flow) part(name string) string {
	h := hmac.New(sha256.New, []byte(f))
	h.Write([]byte(name))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (f flow) state() string    { return f.part("state") }
func (f flow) nonce() string    { return f.part("nonce") }
func (f flow) verifier() string { return f.part("pkce") }

func (p *provider) oauth(found *oidc.Provider) *oauth2.Config {
	scopes := []string{oidc.ScopeOpenID}
	for _, s := range p.cfg.Scopes {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return &oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, RedirectURL: p.cfg.RedirectURL, Endpoint: found.Endpoint(), Scopes: scopes}
}

// begin returns where the browser goes to log in.
func (p *provider) begin(w http.ResponseWriter, r *http.Request) (string, error) {
	found, err := p.discover(r.Context())
	if err != nil {
		return "", err
	}
	f := flow(rand.Text())
	p.setFlow(w, string(f), flowLife)
	return p.oauth(found).AuthCodeURL(f.state(), oidc.Nonce(f.nonce()), oauth2.S256ChallengeOption(f.verifier())), nil
}

// setFlow gives the browser the secret of an attempt; "" takes it away.
func (p *provider) setFlow(w http.ResponseWriter, secret string, life int) {
	http.SetCookie(w, &http.Cookie{
		Name: p.flowName(), Value: secret, Path: "/", MaxAge: life, HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode,
	})
}

func (p *provider) flowName() string {
	if p.secure {
		return hostPrefix + flowCookie
	}
	return flowCookie
}

// notBack is told to who comes back in a way that does not fit how they left.
func notBack(err error) error {
	return fault.Wrap(err, fault.Refused, "That log-in was begun in another window, or too long ago. Log in again.")
}

// finish returns who came back from the provider.
func (p *provider) finish(w http.ResponseWriter, r *http.Request) (access.Speaker, error) {
	var nobody access.Speaker
	q := r.URL.Query()
	c, err := r.Cookie(p.flowName())
	if err != nil {
		return nobody, notBack(err)
	}
	p.setFlow(w, "", -1) // it counts once
	f := flow(c.Value)
	switch {
	case f == "" || len(f) > maxCookie || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(f.state())) != 1:
		return nobody, notBack(errors.New("web: another state"))
	case q.Get("iss") != "" && q.Get("iss") != p.cfg.Issuer:
		return nobody, notBack(errors.New("web: another issuer"))
	case q.Get("error") == "access_denied":
		return nobody, fault.New(fault.Refused, "The identity provider did not let you in. Ask its admin, or log in as somebody else.")
	case q.Get("error") != "":
		return nobody, away(errors.New("web: the provider says " + clip(q.Get("error"), maxID) + ": " + clip(q.Get("error_description"), maxID)))
	case q.Get("code") == "" || len(q.Get("code")) > maxCode:
		return nobody, notBack(errors.New("web: no code"))
	}
	found, err := p.discover(r.Context())
	if err != nil {
		return nobody, err
	}
	ctx := oidc.ClientContext(r.Context(), p.client)
	token, err := p.oauth(found).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(f.verifier()))
	if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) && refused.ErrorCode == "invalid_grant" {
		return nobody, notBack(err)
	}
	if err != nil {
		return nobody, away(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := found.Verifier(&oidc.Config{ClientID: p.cfg.ClientID}).Verify(ctx, raw)
	if err != nil {
		return nobody, away(err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.nonce())) != 1 {
		return nobody, notBack(errors.New("web: another nonce"))
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return nobody, away(err)
	}
	if p.lacks(claims) {
		if err := p.more(ctx, found, token, id.Subject, claims); err != nil {
			return nobody, err
		}
	}
	claims["sub"] = id.Subject
	return p.cfg.speaker(claims)
}

// lacks reports whether an ID token leaves out what is wanted of it: some providers
// tell it only to who asks with the access token.
func (p *provider) lacks(claims map[string]any) bool {
	return claims[p.cfg.Claim] == nil && p.cfg.Claim != "sub" || p.cfg.RolesClaim != "" && claims[p.cfg.RolesClaim] == nil
}

// more adds what the provider tells of the same person to who has the access token.
func (p *provider) more(ctx context.Context, found *oidc.Provider, token *oauth2.Token, subject string, claims map[string]any) error {
	if found.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return away(err)
	}
	if info.Subject != subject {
		return away(errors.New("web: the user's info is another's"))
	}
	rest := map[string]any{}
	if err := info.Claims(&rest); err != nil {
		return away(err)
	}
	for k, v := range rest {
		if claims[k] == nil {
			claims[k] = v
		}
	}
	return nil
}

// speaker is who the claims are about.
func (c OIDC) speaker(claims map[string]any) (access.Speaker, error) {
	id, _ := claims[c.Claim].(string)
	verified := claims["email_verified"] == true || claims["email_verified"] == "true"
	if c.Claim == claimEmail {
		if !verified {
			return access.Speaker{}, fault.New(fault.Refused, "The identity provider does not say that your e-mail address is verified, so I cannot know that it is yours. Verify it there; or an admin can set web.oidc.claim to another claim, as sub.")
		}
		id = strings.ToLower(id)
	}
	if !usable(id) || ours(id) || c.Claim == claimEmail && strings.Count(id, "@") != 1 {
		return access.Speaker{}, fault.New(fault.Refused, "The identity provider does not say who you are: I look for the claim %s. An admin can set web.oidc.claim and web.oidc.scopes.", c.Claim)
	}
	s := access.NewSpeaker(channel, id, access.OIDC)
	if mail, ok := claims[claimEmail].(string); ok && verified && usable(mail) && strings.Count(mail, "@") == 1 {
		s.Email = mail
	}
	if name, ok := claims["name"].(string); ok {
		s.Name = clip(name, maxID)
	}
	if all, ok := claims[c.RolesClaim].([]any); ok && c.RolesClaim != "" {
		var roles []string
		for _, v := range all[:min(len(all), maxRoles)] {
			if r, ok := v.(string); ok && usable(r) {
				roles = append(roles, r)
			}
		}
		s.Roles = access.NewRoles(roles...)
	}
	return s, nil
}

// usable reports whether a claim can be somebody's id.
func usable(id string) bool {
	return id != "" && len(id) <= maxID && strings.IndexFunc(id, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar }) < 0
}

// ours reports whether an id stands for something else than a person: nobody may
// call themselves so.
func ours(id string) bool {
	return id == "local" || id == "token" || id == "*" || strings.HasPrefix(id, "role:")
}

// clip is a stranger's text as it may be shown and logged.
func clip(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s)
	return string([]rune(s)[:min(len([]rune(s)), most)])
}

// Try asks the provider what a log-in begins with, and says why none would do: it is
// not there, or knows neither client nor redirect address.
func (c OIDC) Try(ctx context.Context, h *http.Client) error {
	p := newProvider(c, true, h)
	found, err := p.discover(ctx)
	if err != nil {
		return err
	}
	f := flow(rand.Text())
	to := p.oauth(found).AuthCodeURL(f.state(), oidc.Nonce(f.nonce()), oauth2.S256ChallengeOption(f.verifier()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return away(err)
	}
	stay := *h
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := stay.Do(req)
	if err != nil {
		return away(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return fault.New(fault.Usage, "The identity provider answers the beginning of a log-in with status %d: it does not know the client %s, or not that it may be sent back to %s.", resp.StatusCode, clip(c.ClientID, maxID), c.RedirectURL)
	}
	return nil
}
