package main

import (
	"log/slog"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/dialogflow"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// DialogflowConfig is the Dialogflow webhooks.
type DialogflowConfig struct {
	PIN bool     `yaml:"pin" doc:"Whether a change through Dialogflow needs the person's PIN, whatever access.policies say: a session or a caller's number proves nobody. Leave it on unless they ask for it in a better way."`
	ES  ESConfig `yaml:"es"`
	CX  CXConfig `yaml:"cx"`
}

// DialogflowAuthConfig is how a webhook knows that Dialogflow calls it; it is
// there once something of this is set, and all that is set must match.
type DialogflowAuthConfig struct {
	Username    string `yaml:"username" doc:"Basic authentication, as set in the agent."`
	Password    Secret `yaml:"password" doc:"Basic authentication."`
	HeaderName  string `yaml:"header_name" doc:"Or a header of your own that the agent sends."`
	HeaderValue Secret `yaml:"header_value" doc:"The header's value."`
	Audience    string `yaml:"token_audience" doc:"Or the ID token that Google signs and Dialogflow sends where no other Authorization is set: the URL of the webhook, as the agent has it."`
	Account     string `yaml:"token_account" doc:"Who the token must be of: service-PROJECT_NUMBER@gcp-sa-dialogflow.iam.gserviceaccount.com. Anybody's agent can be told to call you; this tells yours."`
	Issuer      string `yaml:"token_issuer" doc:"Who issues the token. Empty: Google."`
	KeysURL     string `yaml:"token_keys_url" doc:"Where the issuer's keys are. Empty: Google's."`
	ClientName  string `yaml:"client_name" doc:"Or a name in the certificate that Dialogflow shows as a TLS client, as *.dialogflow.com; needs tls.client_ca_file."`
}

func (c DialogflowAuthConfig) on() bool { return c != DialogflowAuthConfig{} }

func (c DialogflowAuthConfig) auth() dialogflow.Auth {
	return dialogflow.Auth{
		Username: c.Username, Password: string(c.Password), HeaderName: c.HeaderName, HeaderValue: string(c.HeaderValue), ClientName: c.ClientName,
		Token: dialogflow.Token{Audience: c.Audience, Account: c.Account, Issuer: c.Issuer, KeysURL: c.KeysURL},
	}
}

// ESConfig is the Dialogflow ES webhook.
type ESConfig struct {
	DialogflowAuthConfig `yaml:",inline"`
	Reads                string `yaml:"reads" doc:"What counts: text is what was said, which firstmate understands itself, and the agent's intent only where it does not; intent is what the agent recognised, with its parameters, and the text where that is none of ours."`
	FollowUps            int    `yaml:"follow_ups" doc:"How often, up to 3, the agent is made to call again for the outcome of what takes longer than its five seconds; it says nothing meanwhile. 0: it says at once that it goes on. Needs the exported agent's intents for the events."`
}

// CXConfig is the Dialogflow CX webhook.
type CXConfig struct {
	DialogflowAuthConfig `yaml:",inline"`
	Reads                string        `yaml:"reads" doc:"What counts: text or intent, as with es."`
	Patience             time.Duration `yaml:"patience" doc:"How long an answer may wait for the outcome of what it starts, at least a second less than the webhook's timeout in the agent, which is 5 s unless you raise it, up to 30."`
}

func dialogflowDefaults() DialogflowConfig {
	return DialogflowConfig{PIN: true, ES: ESConfig{Reads: "text"}, CX: CXConfig{Reads: "text", Patience: dialogflow.DefaultPatience}}
}

func (c ESConfig) config() dialogflow.Config {
	return dialogflow.Config{Auth: c.auth(), Patience: dialogflow.DefaultPatience, IntentFirst: c.Reads == "intent", FollowUps: c.FollowUps}
}

func (c CXConfig) config() dialogflow.Config {
	return dialogflow.Config{Auth: c.auth(), Patience: c.Patience, IntentFirst: c.Reads == "intent"}
}

// check refuses what would only fail later.
func (c DialogflowConfig) check(tls TLSConfig) error {
	for key, reads := range map[string]string{"es": c.ES.Reads, "cx": c.CX.Reads} {
		if reads != "text" && reads != "intent" {
			return fault.New(fault.Usage, "dialogflow.%s.reads is text or intent, not %q.", key, reads)
		}
	}
	if (c.ES.ClientName != "" || c.CX.ClientName != "") && tls.ClientCAFile == "" {
		return fault.New(fault.Usage, "A client certificate (client_name) is checked by the server itself: set tls.cert_file, tls.key_file and tls.client_ca_file. What a proxy says of one counts for nothing.")
	}
	quiet := slog.New(slog.DiscardHandler)
	if c.ES.on() {
		if _, err := dialogflow.NewES(c.ES.config(), nil, nil, quiet); err != nil {
			return fault.Wrap(err, fault.Usage, "dialogflow.es: %s", fault.Say(err))
		}
	}
	if c.CX.on() {
		if _, err := dialogflow.NewCX(c.CX.config(), nil, nil, quiet); err != nil {
			return fault.Wrap(err, fault.Usage, "dialogflow.cx: %s", fault.Say(err))
		}
	}
	return nil
}
