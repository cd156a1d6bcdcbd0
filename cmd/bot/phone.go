package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/channel/phone"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// rules are what holds by telephone whatever access.policies say.
func (c PhoneConfig) rules() access.Policy {
	var out access.Policy
	tighten := func(name, where, reason string, v access.Kind, m access.Match) {
		out = append(out, access.Rule{Name: name, Where: where, Match: m, Verdict: v, Reason: reason, Further: true})
	}
	if c.PIN {
		tighten("PIN by telephone", "phone.pin", "", access.PIN, access.Match{Channels: []string{phone.Channel, phone.ChannelSMS}})
	}
	if c.Attested {
		tighten("numbers that are vouched for", "phone.attested",
			"Your carrier does not vouch for the number you call from, so you may look but not change anything",
			access.Deny, access.Match{Channels: []string{phone.Channel}, Below: access.Verified})
	}
	if !c.SMSWrites {
		tighten("text messages only look", "phone.sms_writes",
			"By text message you may look but not change anything; call me for that",
			access.Deny, access.Match{Channels: []string{phone.ChannelSMS}})
	}
	return out
}

// carrier is the client of the carrier's API; nil where there is no telephone.
func (c PhoneConfig) carrier(log *slog.Logger) (*phone.Carrier, error) {
	if !c.on() {
		return nil, nil
	}
	return phone.NewCarrier(c.config(), nil, log)
}

// telephone makes the webhooks of the telephone. calls is who has calls placed,
// nil for nobody.
func (a *app) telephone(c PhoneConfig, calls phone.Calls, log *slog.Logger) (*phone.Handler, error) {
	line, err := c.carrier(log)
	if err != nil {
		return nil, err
	}
	h, err := phone.New(c.config(), phone.Parts{
		Engine: a.turns(), Words: a.catalogue, People: a.eyes.who, Line: line, Names: a.spokenNames, Calls: calls,
	}, log)
	if err == nil {
		a.told = append(a.told, h.Told)
	}
	return h, err
}

// spokenNames are what a caller may name, those of the home namespace first.
func (a *app) spokenNames(context.Context) []string {
	all := a.fleet.AllNames()
	home := a.fleet.Namespace("")
	var here, there []string
	for _, w := range all.Workloads {
		if w.Namespace == home {
			here = append(here, w.Name)
		} else {
			there = append(there, w.Name)
		}
	}
	// In order, so that an answer that is given again is the same to the letter.
	slices.Sort(here)
	slices.Sort(there)
	return slices.Concat(here, slices.Sorted(slices.Values(all.Namespaces)), there)
}

// passingOn is a reporter that tells others, too, that an outcome was told.
type passingOn struct {
	action.Reporter
	told []func(ctx context.Context, conversation string)
}

// Outcome tells the end of an entry, and then that it was told.
func (p passingOn) Outcome(ctx context.Context, e action.Entry) error {
	err := p.Reporter.Outcome(ctx, e)
	if err == nil {
		for _, f := range p.told {
			f(ctx, e.Conversation)
		}
	}
	return err
}

// phone looks whether the carrier knows us, and whether who calls can change
// what they may.
func (d *doctor) phone(ctx context.Context, c Config, g *access.Guard) {
	if !c.Phone.on() {
		return
	}
	line, err := c.Phone.carrier(slog.New(slog.DiscardHandler))
	if err != nil {
		d.fail(fault.Usage, "Mend it in the configuration, or with FIRSTMATE_PHONE_….", "telephone: %s", fault.Say(err))
		return
	}
	if err := line.Check(ctx); err != nil {
		d.fail(fault.Unavailable, "Look at phone.account, phone.token and phone.api_url.", "telephone: %s", fault.Say(err))
	} else {
		d.well("telephone: %s knows the account; calls are to come to %s, messages to %s", c.Phone.Provider,
			strings.TrimSuffix(c.Phone.PublicURL, "/")+phone.PathVoice, strings.TrimSuffix(c.Phone.PublicURL, "/")+phone.PathSMS)
	}
	callers := 0
	for _, p := range c.people() {
		calls := slices.ContainsFunc(p.Speakers, func(s string) bool {
			return strings.HasPrefix(s, phone.Channel+":") || strings.HasPrefix(s, phone.ChannelSMS+":")
		})
		if !calls {
			continue
		}
		callers++
		if has, err := g.HasPIN(ctx, p); c.Phone.PIN && err == nil && !has {
			d.warn("bot pin "+p.Name, "%s may call, and can change nothing without a PIN", p.Name)
		}
	}
	if callers == 0 && c.Phone.Unknown != "read" {
		d.warn("Give somebody the speaker phone:+15005550001 (their number) under access.people.", "telephone: nobody's number is known, so every caller is turned away")
	}
}
