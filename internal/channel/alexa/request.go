package alexa

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

const (
	// tolerance is how far a request's time may be from ours, either way: who
	// sends one from the future has it ready to be replayed then.
	tolerance = 150 * time.Second
	maxText   = 1000 // characters
	maxID     = 512  // bytes
)

// envelope is what is used of a request. Amazon adds fields without notice.
type envelope struct {
	Session *struct {
		New         bool            `json:"new"`
		ID          string          `json:"sessionId"`
		Attributes  json.RawMessage `json:"attributes"`
		Application application     `json:"application"`
		User        account         `json:"user"`
	} `json:"session"`
	Context struct {
		System struct {
			Application application `json:"application"`
			User        account     `json:"user"`
			Person      struct {
				ID    string `json:"personId"`
				Token string `json:"accessToken"`
			} `json:"person"`
			Endpoint string `json:"apiEndpoint"`
			Token    string `json:"apiAccessToken"`
		} `json:"System"`
	} `json:"context"`
	Request struct {
		Type      string          `json:"type"`
		ID        string          `json:"requestId"`
		Timestamp string          `json:"timestamp"`
		Locale    string          `json:"locale"`
		Reason    string          `json:"reason"`
		Error     json.RawMessage `json:"error"`
		Intent    struct {
			Name  string          `json:"name"`
			Slots map[string]slot `json:"slots"`
		} `json:"intent"`
	} `json:"request"`
}

type application struct {
	ID string `json:"applicationId"`
}

type account struct {
	ID    string `json:"userId"`
	Token string `json:"accessToken"`
}

// slot is a slot as Alexa filled it. What was said is enough: the names that
// it resolves to are those of the day the skill was made.
type slot struct {
	Value string `json:"value"`
	List  struct {
		Values []struct {
			Value string `json:"value"`
		} `json:"values"`
	} `json:"slotValue"`
}

// said is the slot's words: "" where nothing was said, or nothing understood.
func (s slot) said() string {
	var all []string
	for _, v := range s.List.Values {
		if w := word(v.Value); w != "" {
			all = append(all, w)
		}
	}
	if len(all) > 0 {
		return strings.Join(all, " and ")
	}
	return word(s.Value)
}

// word makes one line of what was said. "?" is a number that Alexa did not get.
func word(s string) string {
	if s == "?" {
		return ""
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

// attributes are what we give Alexa to remember within a session.
type attributes struct {
	Talk bool `json:"talk,omitempty"` // the skill was opened, and stays open until somebody says stop
	Else bool `json:"else,omitempty"` // "anything else?" was asked, and nothing besides
	// Rest is what was left out of an answer; whether to go on was asked, and
	// nothing besides.
	Rest string `json:"rest,omitempty"`
}

// kind is what a request is about.
type kind int

const (
	launch   kind = iota // the skill was opened
	intent               // something was said
	ended                // the session is over
	trouble              // Alexa could not use our last answer
	homeward             // "go home"
)

// request is a request that was decoded and is meant for us.
type request struct {
	kind     kind
	id       string
	locale   string
	user     account
	person   account // the voice that was recognised, if any
	fresh    bool    // the first of its session
	known    attributes
	name     string            // of the intent
	slots    map[string]string // what was said, by slot; none is empty
	endpoint string            // for progressive responses
	token    string
	reason   string // of what ended or troubled it
}

func malformed(format string, a ...any) error {
	return webhook.WithStatus(http.StatusBadRequest, fault.New(fault.Usage, format, a...))
}

// decode reads a request whose signature was verified.
func decode(body []byte, applicationID string, now time.Time) (request, error) {
	var in envelope
	if err := json.Unmarshal(body, &in); err != nil {
		return request{}, webhook.WithStatus(http.StatusBadRequest, fault.Wrap(err, fault.Usage, "The request is not the JSON that Alexa sends."))
	}
	if err := in.meant(applicationID, now); err != nil {
		return request{}, err
	}
	sys, r := in.Context.System, in.Request
	out := request{
		id: r.ID, locale: r.Locale, user: sys.User, person: account{sys.Person.ID, sys.Person.Token},
		endpoint: sys.Endpoint, token: sys.Token, slots: map[string]string{}, name: r.Intent.Name,
	}
	if s := in.Session; s != nil {
		if out.user.ID == "" {
			out.user = s.User
		}
		out.fresh = s.New
		if json.Unmarshal(s.Attributes, &out.known) != nil {
			out.known = attributes{} // somebody else's; nothing depends on them
		}
	}
	if !usable(out.user.ID) || out.person.ID != "" && !usable(out.person.ID) || !usable(r.ID) {
		return request{}, malformed("The request names no usable user.")
	}
	switch r.Type {
	case "LaunchRequest":
		out.kind = launch
	case "IntentRequest":
		out.kind = intent
		if out.name == "AMAZON.NavigateHomeIntent" {
			out.kind = homeward
		}
	case "SessionEndedRequest":
		out.kind, out.reason = ended, clip(r.Reason+" "+string(r.Error))
	case "System.ExceptionEncountered":
		out.kind, out.reason = trouble, clip(string(r.Error))
	default:
		return request{}, malformed("I take no requests of that type.")
	}
	for name, s := range r.Intent.Slots {
		v := s.said()
		if utf8.RuneCountInString(v) > maxText {
			return request{}, malformed("What was said is too long: at most %d characters are taken.", maxText)
		}
		if v != "" {
			out.slots[name] = v
		}
	}
	return out, nil
}

// meant holds that a request is for this skill and of this moment.
func (in *envelope) meant(applicationID string, now time.Time) error {
	ids := []string{in.Context.System.Application.ID}
	if in.Session != nil {
		ids = append(ids, in.Session.Application.ID)
	}
	named := false
	for _, id := range ids {
		if id != "" && id != applicationID {
			return malformed("The request is for another skill.")
		}
		named = named || id != ""
	}
	if !named {
		return malformed("The request names no skill.")
	}
	at, err := time.Parse(time.RFC3339, in.Request.Timestamp)
	if err != nil {
		return malformed("The request does not say when it was made.")
	}
	if off := now.Sub(at); off > tolerance || off < -tolerance {
		return malformed("The request was not made just now. If it was, one of the clocks is wrong.")
	}
	return nil
}

// usable reports an id that may be kept.
func usable(id string) bool {
	return id != "" && len(id) <= maxID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

// clip is for the log.
func clip(s string) string {
	const most = 500
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.TrimSpace(s)
}
