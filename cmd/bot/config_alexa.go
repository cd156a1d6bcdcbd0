package main

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/alexa"
	"github.com/firstmate-ops/firstmate/internal/export"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// AlexaConfig is the endpoint of an Alexa skill; it is there once it knows the
// skill.
type AlexaConfig struct {
	ApplicationID string             `yaml:"application_id" doc:"The skill's id, amzn1.ask.skill.…, as the developer console shows it. Requests for other skills are refused. See docs/alexa.md."`
	PIN           bool               `yaml:"pin" doc:"Whether a change by Alexa needs the person's PIN, whatever access.policies say: a voice can be imitated, and an Echo hears whoever is in the room. Leave it on unless they ask for it in a better way."`
	Voice         bool               `yaml:"voice" doc:"Whether changes are taken only from voices that Alexa recognises (its voice ID). Off where people have none; then the PIN alone protects."`
	Account       AlexaAccountConfig `yaml:"account"`
}

// AlexaAccountConfig is account linking: who people are at an identity provider.
type AlexaAccountConfig struct {
	Issuer   string `yaml:"issuer" doc:"The OpenID Connect provider that people link their account at, like https://id.example. Empty: people are known by their Amazon account or voice."`
	Audience string `yaml:"audience" doc:"Whom its access tokens are for, where they are JWTs; they are then checked here. Empty: the provider's userinfo endpoint is asked."`
	Claim    string `yaml:"claim" doc:"What people are known by there: email makes them the speaker alexa:ann@example.com, sub the id that the provider gave them."`
	Required bool   `yaml:"required" doc:"Whether everybody must link an account before anything else."`
}

func alexaDefaults() AlexaConfig {
	return AlexaConfig{PIN: true, Voice: true, Account: AlexaAccountConfig{Claim: "email"}}
}

// rules are what is wanted further of every change by Alexa.
func (c AlexaConfig) rules() access.Policy {
	var out access.Policy
	if c.on() && c.PIN {
		out = append(out, pinBy("alexa", "alexa.pin"))
	}
	if c.on() && c.Voice {
		out = append(out, access.Rule{
			Name: "recognised voices", Where: "alexa.voice", Match: access.Match{Channels: []string{"alexa"}, Below: access.Verified}, Verdict: access.Deny, Further: true,
			Reason: "Alexa does not recognise your voice, so you may look but not change anything",
		})
	}
	return out
}

func (c AlexaConfig) on() bool { return c.ApplicationID != "" }

// config is what the channel needs to know.
func (c AlexaConfig) config() alexa.Config {
	return alexa.Config{ApplicationID: c.ApplicationID, LinkRequired: c.Account.Required}
}

// accounts are those of the identity provider; nil where there is none.
func (c AlexaAccountConfig) accounts(client *http.Client) (alexa.Accounts, error) {
	if c.Issuer == "" {
		return nil, nil
	}
	return alexa.NewAccounts(alexa.OIDC{Issuer: c.Issuer, Audience: c.Audience, Claim: c.Claim}, client)
}

func (c AlexaConfig) check() error {
	if !c.on() {
		if c.Account.Issuer != "" || c.Account.Required {
			return fault.New(fault.Usage, "alexa.account is set and alexa.application_id is not; name the skill too.")
		}
		return nil
	}
	accounts, err := c.Account.accounts(nil)
	if err == nil {
		_, err = alexa.New(c.config(), alexa.Parts{Accounts: accounts}, slog.New(slog.DiscardHandler))
	}
	return err
}

// accountLimit bounds what an identity provider may take: somebody waits.
const accountLimit = 2 * time.Second

// alexa makes the endpoint of the skill.
func (a *app) alexa(c AlexaConfig, log *slog.Logger) (*alexa.Handler, error) {
	way := http.DefaultTransport
	accounts, err := c.Account.accounts(&http.Client{Transport: way, Timeout: accountLimit})
	if err != nil {
		return nil, err
	}
	meanings := sync.OnceValue(func() map[string]alexa.Meaning { return alexaMeanings(a.catalogue) })
	go meanings() // takes seconds, which nobody should wait for who only starts
	return alexa.New(c.config(), alexa.Parts{
		Engine: a.turns(), Later: a.engine, Words: a.catalogue, Meanings: meanings, Names: a.alexaNames, Accounts: accounts,
		Keys: alexa.NewKeys(way, nil, time.Now), Directives: alexa.NewDirectives(way), Now: time.Now,
	}, log)
}

// alexaNames are those of all clusters, the home namespace's first.
func (a *app) alexaNames(context.Context) alexa.Names {
	all, home := a.fleet.AllNames(), a.fleet.Namespace("")
	var here, there []string
	for _, w := range all.Workloads {
		if w.Namespace == home {
			here = append(here, w.Name)
		} else {
			there = append(there, w.Name)
		}
	}
	return alexa.Names{Workloads: append(here, there...), Namespaces: all.Namespaces}
}

// alexaMeanings are those of the model that “bot export alexa” writes.
func alexaMeanings(c *intents.Catalogue) map[string]alexa.Meaning {
	all := export.AlexaMeanings(c)
	out := make(map[string]alexa.Meaning, len(all))
	for name, m := range all {
		out[name] = alexa.Meaning{Intent: m.Name, Slots: m.Slots, Types: m.Types, Samples: m.Samples}
	}
	debug.FreeOSMemory() // it took much that is not needed again
	return out
}

// alexa looks whether anybody who speaks to the skill is known.
func (d *doctor) alexa(c Config) {
	if !c.Alexa.on() {
		d.well("alexa: off, not configured")
		return
	}
	known := slices.ContainsFunc(c.people(), func(p access.Person) bool {
		return slices.ContainsFunc(p.Speakers, func(s string) bool { return strings.HasPrefix(s, "alexa:") })
	})
	if !known {
		d.warn("Give somebody a speaker alexa:… under access.people, or let them say “link” and a code; docs/alexa.md.", "alexa: nobody who speaks there is known, so all may only look")
	}
	switch a := c.Alexa.Account; {
	case a.Issuer == "":
		d.well("alexa: on for %s, at %s; people are known by their Amazon account or voice", c.Alexa.ApplicationID, alexa.Path)
	case a.Required:
		d.well("alexa: on for %s, at %s; everybody links an account at %s", c.Alexa.ApplicationID, alexa.Path, a.Issuer)
	default:
		d.well("alexa: on for %s, at %s; people may link an account at %s", c.Alexa.ApplicationID, alexa.Path, a.Issuer)
	}
}
