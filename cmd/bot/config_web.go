package main

import (
	neturl "net/url"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// WebConfig is the HTTP API and the web console.
type WebConfig struct {
	Token        Secret           `yaml:"token" doc:"Bearer token of the API. Without one, and without web.oidc, the API is there on loopback only."`
	AllowedHosts []string         `yaml:"allowed_hosts" doc:"Host names besides loopback, and that of web.oidc.redirect_url, by which browsers may call the server."`
	History      bool             `yaml:"history" doc:"Whether what is said in the console is kept to be read again, for 30 days, with secrets masked."`
	OIDC         WebOIDCConfig    `yaml:"oidc"`
	Session      WebSessionConfig `yaml:"session"`
}

// WebOIDCConfig is log-in to the console by an identity provider.
type WebOIDCConfig struct {
	Issuer       string   `yaml:"issuer" doc:"Address of an identity provider that speaks OpenID Connect, by which people log in to the console. Empty: they do not. See docs/web.md."`
	ClientID     string   `yaml:"client_id" doc:"By which the provider knows firstmate."`
	ClientSecret Secret   `yaml:"client_secret" doc:"What firstmate shows the provider; none for a public client."`
	RedirectURL  string   `yaml:"redirect_url" doc:"Where the provider sends people back to: the console's https address with /login/callback."`
	Scopes       []string `yaml:"scopes" doc:"What is asked for beside openid."`
	Claim        string   `yaml:"claim" doc:"The claim that people are known by: their speaker is web: with its value. Of email, only verified ones count."`
	RolesClaim   string   `yaml:"roles_claim" doc:"The claim that lists somebody's groups: in access.roles, a group is web:role: with its name. Empty: none."`
	Allow        []string `yaml:"allow" doc:"Who may log in beside those whom access names, as patterns of the claim: *@example.com."`
}

// WebSessionConfig is how long a log-in counts.
type WebSessionConfig struct {
	Idle time.Duration `yaml:"idle" doc:"After how long without a word somebody is logged out."`
	Life time.Duration `yaml:"life" doc:"After how long somebody is logged out in any case."`
}

func webDefaults() WebConfig {
	return WebConfig{
		History: true,
		OIDC:    WebOIDCConfig{Scopes: []string{"email", "profile"}, Claim: "email"},
		Session: WebSessionConfig{Idle: 2 * time.Hour, Life: 12 * time.Hour},
	}
}

func (c WebOIDCConfig) on() bool { return c.Issuer != "" }

func (c WebOIDCConfig) config() web.OIDC {
	return web.OIDC{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: string(c.ClientSecret), RedirectURL: c.RedirectURL,
		Scopes: c.Scopes, Claim: c.Claim, RolesClaim: c.RolesClaim, Allow: c.Allow,
	}
}

// onWeb reports whether a speaker is one of the console.
func onWeb(speaker string) bool { return strings.HasPrefix(speaker, "web:") }

// checkWeb refuses what would let everybody in whom an identity provider knows, as
// one and the same person.
func (c Config) checkWeb() error {
	for _, p := range c.Access.People {
		if c.Web.OIDC.on() && slices.Contains(p.Speakers, "web:*") {
			return fault.New(fault.Usage, "access.people: with web.oidc, web:* would make %s of everybody whom the identity provider knows. Name speakers one by one, as web:ann@example.com or web:token.", p.Name)
		}
	}
	return c.Web.check()
}

func (c WebConfig) check() error {
	if s := c.Session; s.Idle < time.Minute || s.Life < s.Idle {
		return fault.New(fault.Usage, "web.session.idle and life are durations like 2h and 12h, and life is the longer one.")
	}
	if !c.OIDC.on() {
		if c.OIDC.ClientID != "" || c.OIDC.RedirectURL != "" {
			return fault.New(fault.Usage, "web.oidc needs issuer, the address of the identity provider.")
		}
		return nil
	}
	return c.OIDC.config().Check()
}

// logIn is how people log in to a server that speaks HTTPS itself or not, and can be
// reached from this machine only or not.
func (c WebConfig) logIn(secure, loopback bool) web.LogInConfig {
	return web.LogInConfig{
		OIDC: c.OIDC.config(), Links: loopback, Secure: secure || strings.HasPrefix(c.OIDC.RedirectURL, "https://"),
		Idle: c.Session.Idle, Life: c.Session.Life,
	}
}

// hosts are the names by which browsers may call.
func (c WebConfig) hosts() []string {
	u, err := neturl.Parse(c.OIDC.RedirectURL)
	if err != nil || u.Host == "" || slices.Contains(c.AllowedHosts, u.Host) {
		return c.AllowedHosts
	}
	return append(slices.Clone(c.AllowedHosts), u.Host)
}
