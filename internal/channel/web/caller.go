package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// caller is who calls the API.
type caller struct {
	speaker access.Speaker
	// loggedIn marks one person, whose conversations are theirs alone. Who has the
	// token of the whole API, or is on this machine, may speak in any.
	loggedIn bool
}

// callerFunc answers a request of somebody who is known.
type callerFunc func(w http.ResponseWriter, r *http.Request, c caller) error

// as lets in who is known, before anything of the request is read.
func (s *Server) as(f callerFunc) webhook.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		c, err := s.caller(r)
		if err != nil {
			return err
		}
		return f(w, r, c)
	}
}

// errUnknown is wrapped where nobody knows who calls.
var errUnknown = errors.New("web: who calls did not say who they are")

func unknown(err error) bool { return errors.Is(err, errUnknown) }

// caller finds out who calls. A token that is sent counts before a log-in. That a page
// looks again by itself is no sign of somebody being there.
func (s *Server) caller(r *http.Request) (caller, error) {
	if s.bearer != nil && webhook.BearerToken(r) != "" {
		if err := s.bearer(r); err != nil {
			return caller{}, err
		}
		return caller{speaker: access.NewSpeaker(channel, "token", access.Token)}, nil
	}
	if c, ok, err := s.loggedIn(r, r.Method != http.MethodGet); ok || err != nil {
		return c, err
	}
	if s.open() {
		return caller{speaker: access.NewSpeaker(channel, "local", access.Loopback)}, nil
	}
	if s.bearer == nil {
		return caller{}, webhook.Unauthorized("", "You are not logged in. Go to "+loginPath+".", errUnknown)
	}
	err := s.bearer(r) // with the challenge
	if s.logIn != nil {
		err = webhook.Unauthorized(`Bearer realm="firstmate"`, "You are not logged in, and there is no access token. Go to "+loginPath+".", err)
	}
	return caller{}, errors.Join(err, errUnknown)
}

// open reports whether who reaches the server needs to show nothing: it is on
// loopback, and nobody set up how to tell people apart.
func (s *Server) open() bool { return s.bearer == nil && (s.logIn == nil || s.logIn.provider == nil) }

// mayEnter says why somebody may neither read nor speak in a conversation; nil
// where they may. The first to enter one that is new has it.
func (s *Server) mayEnter(ctx context.Context, c caller, conversation string) error {
	if err := CheckConversation(conversation); err != nil {
		return err
	}
	if !c.loggedIn {
		return nil
	}
	owner := ""
	if s.parts.History != nil {
		first := c.speaker.Key()
		if strings.Contains(conversation, ":") { // another channel's, or a terminal's: not to be begun here
			first = ""
		}
		var err error
		if owner, err = s.parts.History.Own(ctx, conversation, first); err != nil {
			return err
		}
	}
	if owner != c.speaker.Key() {
		return fault.New(fault.Refused, "That conversation is somebody else's. Begin a new one.")
	}
	return nil
}
