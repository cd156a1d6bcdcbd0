package dialogflow

import (
	"log/slog"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// DefaultPatience is how long an answer may wait for an outcome. Dialogflow
// gives up after 5 seconds, unless a CX webhook says otherwise; the rest is for
// the network.
const DefaultPatience = 3500 * time.Millisecond

// MaxPatience leaves two seconds of the thirty that the webhook of a CX agent may
// take at most.
const MaxPatience = 28 * time.Second

// MaxFollowUps is how often Dialogflow ES calls again for one sentence.
const MaxFollowUps = 3

// Config is how a webhook is called and what it makes of it.
type Config struct {
	Auth
	// Patience is how long an answer may wait for the outcome of what it starts.
	Patience time.Duration
	// IntentFirst takes what the agent recognised before what was said is read;
	// otherwise it counts where that is not understood.
	IntentFirst bool
	// FollowUps is how often an ES agent is made to call again for what takes
	// longer than Patience. The agent needs intents for the events, as the
	// exported one has.
	FollowUps int
}

// Auth is how the webhook knows that Dialogflow calls it for an agent of ours.
// All that is set must match, and something must be set.
type Auth struct {
	Username, Password      string
	HeaderName, HeaderValue string
	Token                   Token
	// ClientName is a name in the certificate that Dialogflow shows as a TLS
	// client (mTLS).
	ClientName string
}

// verifiers returns the checks that the configuration asks for.
func (a Auth) verifiers() ([]webhook.Verifier, error) {
	basic, header, token := a.Username != "" || a.Password != "", a.HeaderName != "" || a.HeaderValue != "", a.Token != Token{}
	inHeader := header && strings.EqualFold(a.HeaderName, "Authorization")
	switch {
	case !basic && !header && !token && a.ClientName == "":
		return nil, fault.New(fault.Usage, "Dialogflow needs a user name and password, a header, an ID token or a client certificate, so that I know who calls.")
	case basic && (a.Username == "" || a.Password == ""):
		return nil, fault.New(fault.Usage, "Dialogflow needs both username and password; one of them is empty.")
	case header && (a.HeaderName == "" || a.HeaderValue == ""):
		return nil, fault.New(fault.Usage, "Dialogflow needs both the name and the value of the header; one of them is empty.")
	case basic && inHeader, basic && token, token && inHeader:
		return nil, fault.New(fault.Usage, "Dialogflow sends one Authorization header only: a password, an ID token or a value of your own. Choose one, or another header.")
	}
	var v []webhook.Verifier
	if a.ClientName != "" {
		v = append(v, webhook.ClientName(a.ClientName))
	}
	if basic {
		v = append(v, webhook.Basic(a.Username, a.Password))
	}
	if header {
		v = append(v, webhook.Header(a.HeaderName, a.HeaderValue))
	}
	if token {
		check, err := a.Token.verifier()
		if err != nil {
			return nil, err
		}
		v = append(v, check)
	}
	return v, nil
}

// prepare checks the configuration and returns what stands before a handler.
func (c Config) prepare(log *slog.Logger) (*webhook.Stack, []webhook.Verifier, error) {
	switch {
	case c.Patience < 0 || c.Patience > MaxPatience:
		return nil, nil, fault.New(fault.Usage, "Dialogflow waits for 30 seconds at most, so an answer may wait for up to %v.", MaxPatience)
	case c.FollowUps < 0 || c.FollowUps > MaxFollowUps:
		return nil, nil, fault.New(fault.Usage, "Dialogflow calls again %d times at most.", MaxFollowUps)
	}
	verify, err := c.verifiers()
	return webhook.New(log, webhook.Deadline(c.Patience+time.Second)), verify, err
}
