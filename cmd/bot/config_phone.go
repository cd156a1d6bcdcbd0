package main

import (
	"cmp"

	"github.com/firstmate-ops/firstmate/internal/channel/phone"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// PhoneConfig is the telephone; it is there once it has an account.
type PhoneConfig struct {
	Provider      string   `yaml:"provider" doc:"twilio, or signalwire or telnyx, which speak the same. See docs/phone.md."`
	Account       string   `yaml:"account" doc:"The carrier's account: Twilio's Account SID, SignalWire's project id, Telnyx' account id. Empty: there is no telephone."`
	Token         Secret   `yaml:"token" doc:"The carrier's auth token. Twilio signs with it what it posts here."`
	SigningKey    Secret   `yaml:"signing_key" doc:"What SignalWire signs with, or the public key of the Telnyx account; not for Twilio."`
	Application   string   `yaml:"application" doc:"The TeXML application that Telnyx places calls by; not for the others."`
	Numbers       []string `yaml:"numbers" doc:"Your numbers there, as in [+15005550001]. The first one calls and texts."`
	PublicURL     string   `yaml:"public_url" doc:"What the carrier reaches this server by, like https://bot.example. Signatures are over it, so it is exactly what you write into the carrier's console."`
	APIURL        string   `yaml:"api_url" doc:"Where the carrier's API is. Empty: Twilio's own."`
	Voice         string   `yaml:"voice" doc:"Who speaks, as the carrier calls them."`
	Language      string   `yaml:"language" doc:"What is spoken."`
	MinConfidence float64  `yaml:"min_confidence" doc:"How sure, from 0 to 1, the carrier's recogniser has to be of what it heard. What it is less sure of is asked again, never acted on."`
	Hints         int      `yaml:"hints" doc:"How many names of the cluster the carrier's recogniser is told, at most 500."`
	Unknown       string   `yaml:"unknown_callers" doc:"refuse: who calls or writes and is nobody's speaker of access.people is turned away; read: they may ask, never change."`
	PIN           bool     `yaml:"pin" doc:"Whether a change by telephone needs the person's PIN, keyed, whatever access.policies say. Leave it on unless they ask for it in a better way."`
	Attested      bool     `yaml:"attested" doc:"Whether changes are taken only from calls whose number the carrier vouches for (STIR/SHAKEN, attestation A). Off where carriers do not attest, which is most of the world outside North America; then the PIN alone protects."`
	Mailboxes     bool     `yaml:"machine_detection" doc:"Whether the carrier is asked to tell a mailbox that picks up from a person, which it bills: a mailbox gets a short message, and the next one is called. Off: whatever picks up counts as a person, who agrees to nothing without the PIN."`
	SMSWrites     bool     `yaml:"sms_writes" doc:"Whether a change may be asked for and agreed to by text message too, with the PIN, which then stays on that phone's screen. A sender's number can be forged."`
}

func phoneDefaults() PhoneConfig {
	return PhoneConfig{
		Provider: phone.Twilio, Voice: "Polly.Joanna", Language: "en-US", MinConfidence: 0.4, Hints: 100, Unknown: "refuse", PIN: true, Attested: true, Mailboxes: true,
	}
}

func (c PhoneConfig) on() bool { return c.Account != "" || c.Token != "" }

// config is what the channel needs to know.
func (c PhoneConfig) config() phone.Config {
	return phone.Config{
		Provider: cmp.Or(c.Provider, phone.Twilio), Account: c.Account, Token: string(c.Token), SigningKey: string(c.SigningKey), Application: c.Application, Numbers: c.Numbers,
		PublicURL: c.PublicURL, APIURL: c.APIURL, Voice: c.Voice, Language: c.Language, MinConfidence: c.MinConfidence, Hints: c.Hints,
		Unknown: c.Unknown == "read", SMSWrites: c.SMSWrites, Mailboxes: c.Mailboxes,
	}
}

func (c PhoneConfig) check() error {
	if !c.on() {
		return nil
	}
	if c.Unknown != "refuse" && c.Unknown != "read" {
		return fault.New(fault.Usage, "phone.unknown_callers is refuse or read, not %q.", c.Unknown)
	}
	return c.config().Check()
}
