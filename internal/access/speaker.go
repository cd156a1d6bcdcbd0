package access

import (
	"fmt"
	"strings"
)

// Method is how a channel knows who speaks.
type Method string

// The methods, each with the assurance that it gives.
const (
	Unverified Method = ""            // nothing says who it is: None
	Session    Method = "session"     // the platform is verified, whoever speaks through it chose the id: Claimed
	CallerID   Method = "caller_id"   // a telephone number, which can be forged: Claimed
	Loopback   Method = "loopback"    // somebody on this machine, shared by all of them: Claimed
	Token      Method = "token"       // whoever holds a token: Verified
	Signature  Method = "signature"   // the platform signed who it is: Verified
	StirShaken Method = "stir_shaken" // the carrier vouches for the number: Verified
	OIDC       Method = "oidc"        // an identity provider vouches for the person: Strong
	Login      Method = "login"       // the operating system's login, in this very process: Strong
)

// Assurance is the assurance that a method gives by itself.
func (m Method) Assurance() Assurance {
	switch m {
	case Session, CallerID, Loopback:
		return Claimed
	case Token, Signature, StirShaken:
		return Verified
	case OIDC, Login:
		return Strong
	}
	return None
}

// personal reports whether a speaker known by this method is one person. Who
// reaches loopback, or holds a token of the whole API, is anyone of several.
func (m Method) personal() bool { return m != Unverified && m != Loopback && m != Token }

// Assurance is how sure it is that a speaker is who the id says. Assurances are
// ordered: a policy may ask for at least one.
type Assurance int

// The assurances.
const (
	None     Assurance = iota // nothing was checked
	Claimed                   // the way was checked, the person only says so
	Verified                  // the platform checked the person
	Strong                    // an identity provider or the operating system checked the person
)

// String gives the word for an assurance, as configuration and journal write it.
func (a Assurance) String() string {
	switch a {
	case None:
		return "none"
	case Claimed:
		return "claimed"
	case Verified:
		return "verified"
	case Strong:
		return "strong"
	}
	return fmt.Sprintf("assurance %d", int(a))
}

// ParseAssurance reads the word for an assurance.
func ParseAssurance(s string) (Assurance, error) {
	for a := None; a <= Strong; a++ {
		if strings.EqualFold(s, a.String()) {
			return a, nil
		}
	}
	return None, fmt.Errorf("an assurance is none, claimed, verified or strong, not %q", s)
}

// MarshalText gives the word.
func (a Assurance) MarshalText() ([]byte, error) {
	if a < None || a > Strong {
		return nil, fmt.Errorf("access: %s does not exist", a)
	}
	return []byte(a.String()), nil
}

// UnmarshalText reads the word.
func (a *Assurance) UnmarshalText(b []byte) error {
	v, err := ParseAssurance(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// Speaker is who a channel says is speaking, and how it knows.
type Speaker struct {
	Channel   string    `json:"channel"`             // "terminal", "web", "dialogflow", …
	ID        string    `json:"id"`                  // the platform's id of the person; opaque
	Name      string    `json:"name,omitempty"`      // for display only, never for a decision
	Method    Method    `json:"method,omitempty"`    // how the channel knows
	Assurance Assurance `json:"assurance,omitempty"` // how sure that is
	Roles     Roles     `json:"roles,omitempty"`     // those that the platform gives them
	Email     string    `json:"email,omitempty"`     // which the platform confirmed to be theirs, and no other
}

// NewSpeaker returns a speaker with the assurance that the method gives.
func NewSpeaker(channel, id string, how Method) Speaker {
	return Speaker{Channel: channel, ID: id, Method: how, Assurance: how.Assurance()}
}

// Key is the form that configuration uses: channel:id.
func (s Speaker) Key() string { return s.Channel + ":" + s.ID }
