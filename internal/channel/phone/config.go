package phone

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// The carriers that are spoken with.
const (
	Twilio     = "twilio"
	SignalWire = "signalwire"
)

// Where the carriers post to.
const (
	PathVoice  = "/webhooks/twilio/voice"
	PathSMS    = "/webhooks/twilio/sms"
	PathStatus = "/webhooks/twilio/status"
)

// Config is the carrier and how is spoken through it.
type Config struct {
	Provider   string // Twilio, SignalWire or Telnyx
	Account    string // Twilio's Account SID, SignalWire's project id, Telnyx' account id
	Token      string // of the API; Twilio signs what it posts with it too
	SigningKey string // what SignalWire signs with; what Telnyx' signatures are verified with
	// Application is Telnyx' TeXML application that calls are placed by.
	Application string
	Numbers     []string // ours, as +15005550001; the first one calls and texts
	PublicURL   string   // what the carrier reaches this server by: https://bot.example
	APIURL      string   // of the carrier; "" is Twilio's own
	Voice       string   // who speaks, as the carrier calls them
	Language    string   // en-US
	// MinConfidence is how sure the carrier's recogniser has to be of what it
	// heard; what it is less sure of is asked again.
	MinConfidence float64
	Hints         int  // how many names the recogniser is told
	Unknown       bool // whether callers whom nobody knows may ask (never change) something
	Mailboxes     bool // whether the carrier is to tell a mailbox that picks up from a person
	SMSWrites     bool // whether a change may be agreed to by text message, PIN and all
}

// e164 is a number as the carriers write it.
var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// Check says what is wrong with a configuration.
func (c Config) Check() error {
	switch c.Provider {
	case Twilio:
	case SignalWire:
		if c.SigningKey == "" {
			return fault.New(fault.Usage, "phone.signing_key is missing: SignalWire signs what it posts with it, and I take nothing that I cannot verify. It stands in the dashboard beside the API tokens.")
		}
		if c.APIURL == "" {
			return fault.New(fault.Usage, "phone.api_url is missing: for SignalWire it is https://YOUR-SPACE.signalwire.com/api/laml.")
		}
	case Telnyx:
		if _, ok := c.publicKey(); !ok {
			return fault.New(fault.Usage, "phone.signing_key is missing or wrong: for Telnyx it is the account's public key, 44 characters of base64, which the portal shows under Keys & Credentials. I take nothing that I cannot verify.")
		}
		if c.Application == "" {
			return fault.New(fault.Usage, "phone.application is missing: the id of the TeXML application that calls are placed by.")
		}
	default:
		return fault.New(fault.Usage, "phone.provider is twilio, signalwire or telnyx, not %q.", c.Provider)
	}
	switch {
	case c.Account == "" || c.Token == "":
		return fault.New(fault.Usage, "phone needs account and token, as the carrier's console shows them.")
	case len(c.Numbers) == 0:
		return fault.New(fault.Usage, "phone.numbers is empty: write the numbers that you have from the carrier, as [\"+15005550001\"].")
	case c.MinConfidence < 0 || c.MinConfidence >= 1:
		return fault.New(fault.Usage, "phone.min_confidence is between 0 and 1, like 0.4.")
	case c.Hints < 0 || c.Hints > maxHints:
		return fault.New(fault.Usage, "phone.hints is how many names the carrier's recogniser is told, at most %d.", maxHints)
	}
	if i := slices.IndexFunc(c.Numbers, func(n string) bool { return !e164.MatchString(n) }); i >= 0 {
		return fault.New(fault.Usage, "phone.numbers: %q is no number like +15005550001.", c.Numbers[i])
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Scheme != "https" && !local(u) || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fault.New(fault.Usage, "phone.public_url is what the carrier reaches me by, like https://bot.example: signatures are over it, so it must be exactly that.")
	}
	if u, err := url.Parse(c.APIURL); c.APIURL != "" && (err != nil || u.Scheme != "https" && !local(u) || u.Host == "") {
		return fault.New(fault.Usage, "phone.api_url is an https URL, like https://api.twilio.com.")
	}
	return nil
}

// local is an address on this machine, where a test carrier is.
func local(u *url.URL) bool {
	return u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost" || u.Hostname() == "::1")
}

// public is where the carrier finds a path of ours.
func (c Config) public(path string, query url.Values) string {
	s := strings.TrimSuffix(c.PublicURL, "/") + path
	if len(query) > 0 && c.Provider == Telnyx {
		query = maps.Clone(query)
		query.Set(urlSignature, c.urlMAC(path, query))
	}
	if len(query) > 0 {
		s += "?" + query.Encode()
	}
	return s
}

// foreign reports whether a form is another account's. Telnyx signs for each account
// with its own key, and names users there.
func (c Config) foreign(form url.Values) bool {
	return c.Provider != Telnyx && form.Get("AccountSid") != c.Account
}

// signingKey is what the carrier signs with.
func (c Config) signingKey() string {
	if c.Provider == SignalWire {
		return c.SigningKey
	}
	return c.Token
}

// maxHints is how many words and phrases Twilio's recogniser takes.
const maxHints = 500
