package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// web looks whether the console is on, and who can get in.
func (d *doctor) web(ctx context.Context, c Config) {
	host, _, err := net.SplitHostPort(c.Listen)
	ip := net.ParseIP(host)
	here := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case err != nil: // loadConfig refuses that
	case c.Web.Token != "":
		d.well("web: on, with a token, at %s", c.Listen)
	case c.Web.OIDC.on():
		d.well("web: on, for those who log in, at %s", c.Listen)
	case here:
		d.well("web: on, without a token, on this machine only (%s)", c.Listen)
	default:
		d.warn("Set web.oidc or web.token if you want it.", "web: off, because %s can be reached from elsewhere and there is neither log-in nor token", c.Listen)
	}
	if !c.Web.OIDC.on() {
		return
	}
	err = c.Web.OIDC.config().Try(ctx, &http.Client{Timeout: providerLimit})
	switch k := fault.KindOf(err); {
	case err == nil:
		d.well("web.oidc: %s answers, and knows firstmate as %s", c.Web.OIDC.Issuer, c.Web.OIDC.ClientID)
	case k == fault.Usage:
		d.fail(k, "Register the client there, with exactly that redirect address, or mend web.oidc.client_id and redirect_url.", "web.oidc: %s", fault.Say(err))
	default:
		d.fail(fault.Unavailable, "Check web.oidc.issuer, and that bot serve can reach it: ISSUER/.well-known/openid-configuration must answer with that very issuer.",
			"web.oidc: %s does not answer as it should: %v", c.Web.OIDC.Issuer, errors.Unwrap(err))
	}
	if len(c.Web.OIDC.Allow) == 0 && !slices.ContainsFunc(c.people(), namesWeb) && !slices.ContainsFunc(c.Access.Roles, func(r RoleConfig) bool { return onWeb(r.Speaker) }) {
		d.warn("Name people's speakers under access.people, as web:ann@example.com, or their email, or set web.oidc.allow.", "web.oidc: nobody is let in: no person has an email or a speaker that begins with web:, and web.oidc.allow is empty")
	}
}

// namesWeb reports whether somebody is known on the console.
func namesWeb(p access.Person) bool { return p.Email != "" || slices.ContainsFunc(p.Speakers, onWeb) }
