package web

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

const (
	mePath            = "/api/v1/me"
	conversationsPath = "/api/v1/conversations"
	runningPath       = "/api/v1/running"
	alertsPath        = "/api/v1/alerts"
	approvalsPath     = "/api/v1/approvals"
)

// People knows who speakers are.
type People interface {
	Who(ctx context.Context, s access.Speaker) (access.Person, bool, error)
	// MayChange says why a speaker may change nothing; nil where they may.
	MayChange(ctx context.Context, s access.Speaker) error
}

// History is what was said in the console.
type History interface {
	// Own makes a conversation that nobody ever spoke in a speaker's, and returns
	// whose it is, "" where that is not known.
	Own(ctx context.Context, conversation, speaker string) (owner string, err error)
	// Conversations lists those of a speaker, the last one first.
	Conversations(ctx context.Context, speaker string) ([]Conversation, error)
	// Turns returns what was said and told, oldest first, and the position of the
	// last outcome in it.
	Turns(ctx context.Context, conversation string) (turns []Turn, after int64, err error)
}

// Changes is what is going on, as far as who asks may know of it.
type Changes interface {
	Running(ctx context.Context, by access.Speaker) ([]Change, error)
	Waiting(ctx context.Context, by access.Speaker) ([]Approval, error)
}

// Alerts is what fires, as far as who asks may know of it; known is false where
// nobody can tell.
type Alerts interface {
	Firing(ctx context.Context, by access.Speaker) (all []Alert, known bool, err error)
}

// Parts is what the console shows beside the conversation.
type Parts struct {
	People  People
	History History
	Changes Changes
	Alerts  Alerts
	Names   Names
}

// Conversation is one of somebody's.
type Conversation struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Updated time.Time `json:"updated"`
}

// Turn is what was said and answered or, where Who is empty, told without being
// asked: how Action went.
type Turn struct {
	At     time.Time      `json:"at"`
	Who    string         `json:"who"`
	Text   string         `json:"text"`
	Reply  dialogue.Reply `json:"reply"`
	Action string         `json:"action,omitempty"`
}

// Change is a change that runs. Conversation is "" where it is somebody else's.
type Change struct {
	ID           string    `json:"id"`
	Conversation string    `json:"conversation"`
	Who          string    `json:"who"`
	What         string    `json:"what"`
	State        string    `json:"state"`
	Progress     string    `json:"progress"`
	Since        time.Time `json:"since"`
}

// Approval is a change that waits for somebody else's approval. Who may not give
// it is told why, and gets neither the diff nor the digest; Mine marks those that
// one asked for oneself.
type Approval struct {
	ID      string    `json:"id"`
	Digest  string    `json:"digest"`
	Who     string    `json:"who"`
	What    string    `json:"what"`
	Reason  string    `json:"reason"`
	Diff    string    `json:"diff"`
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
	Mine    bool      `json:"mine"`
	May     bool      `json:"may"`
	Why     string    `json:"why,omitempty"`
}

// Alert is an alert that fires.
type Alert struct {
	Name     string    `json:"name"`
	Severity string    `json:"severity"`
	Summary  string    `json:"summary"`
	Since    time.Time `json:"since"`
	About    string    `json:"about"`
}

// Show gives the console its parts.
func (s *Server) Show(p Parts) { s.parts = p }

// consoleRoutes registers what the console shows.
func (s *Server) consoleRoutes(mux *http.ServeMux) {
	mux.Handle("GET "+mePath, s.turns.Handle(s.me, s.api...))
	if s.parts.History != nil {
		mux.Handle("GET "+conversationsPath, s.turns.Handle(s.as(s.conversations), s.api...))
		mux.Handle("GET "+conversationsPath+"/{id}", s.turns.Handle(s.as(s.conversation), s.api...))
	}
	if s.parts.Changes != nil {
		mux.Handle("GET "+runningPath, s.turns.Handle(s.as(s.running), s.api...))
		mux.Handle("GET "+approvalsPath, s.turns.Handle(s.as(s.approvals), s.api...))
	}
	if s.parts.Names != nil {
		mux.Handle("GET "+namesPath, s.turns.Handle(s.as(s.names), s.api...))
	}
	if s.parts.Alerts != nil {
		mux.Handle("GET "+alertsPath, s.turns.Handle(s.as(s.alerts), s.api...))
	}
}

// answer is an answer that nobody keeps.
func answer(w http.ResponseWriter, v any) error {
	w.Header().Set("Cache-Control", "no-store")
	return webhook.WriteJSON(w, http.StatusOK, v)
}

// list is a list that is no null in JSON.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// meAnswer is who somebody is here, and what there is for them. Name is "" for who
// has to log in first: where there is a Login that leads there, else with a token.
type meAnswer struct {
	Name     string `json:"name"`
	Person   string `json:"person"`
	Method   string `json:"method"`
	MayWrite bool   `json:"may_write"`
	Speaks   bool   `json:"speaks"`
	Listens  bool   `json:"listens"`
	Login    string `json:"login"`
	Logout   string `json:"logout"`
	Token    bool   `json:"token"` // a bearer token is taken
}

// me says who somebody is. It is the one thing that is told to anybody, so that a
// page knows how to let them log in.
func (s *Server) me(w http.ResponseWriter, r *http.Request) error {
	out := meAnswer{Speaks: s.voice != nil, Listens: s.ears != nil, Token: s.bearer != nil}
	c, err := s.caller(r)
	if err != nil {
		if !unknown(err) {
			return err
		}
		if s.logIn != nil {
			out.Login = loginPath
		}
		return answer(w, out)
	}
	if c.loggedIn {
		out.Logout = logoutPath
	}
	out.Name, out.Method = cmp.Or(c.speaker.Name, c.speaker.ID), string(c.speaker.Method)
	if p := s.parts.People; p != nil {
		who, _, err := p.Who(r.Context(), c.speaker)
		if err != nil {
			return err
		}
		out.Person, out.MayWrite = who.Name, p.MayChange(r.Context(), c.speaker) == nil
	}
	return answer(w, out)
}

func (s *Server) conversations(w http.ResponseWriter, r *http.Request, c caller) error {
	all, err := s.parts.History.Conversations(r.Context(), c.speaker.Key())
	if err != nil {
		return err
	}
	return answer(w, struct {
		Conversations []Conversation `json:"conversations"`
	}{list(all)})
}

// conversation shows what was said. After is the position from which its events
// go on.
func (s *Server) conversation(w http.ResponseWriter, r *http.Request, c caller) error {
	id := r.PathValue("id")
	if err := s.mayEnter(r.Context(), c, id); err != nil {
		return err
	}
	turns, after, err := s.parts.History.Turns(r.Context(), id)
	if err != nil {
		return err
	}
	return answer(w, struct {
		Turns []Turn `json:"turns"`
		After int64  `json:"after"`
	}{list(turns), after})
}

func (s *Server) running(w http.ResponseWriter, r *http.Request, c caller) error {
	all, err := s.parts.Changes.Running(r.Context(), c.speaker)
	if err != nil {
		return err
	}
	if c.loggedIn { // what other people talk in is not for them
		for i, ch := range all {
			if owner, err := s.parts.History.Own(r.Context(), ch.Conversation, ""); err != nil {
				return err
			} else if owner != c.speaker.Key() {
				all[i].Conversation = ""
			}
		}
	}
	return answer(w, struct {
		Changes []Change `json:"changes"`
	}{list(all)})
}

func (s *Server) approvals(w http.ResponseWriter, r *http.Request, c caller) error {
	all, err := s.parts.Changes.Waiting(r.Context(), c.speaker)
	if err != nil {
		return err
	}
	return answer(w, struct {
		Waiting []Approval `json:"waiting"`
	}{list(all)})
}

func (s *Server) alerts(w http.ResponseWriter, r *http.Request, c caller) error {
	all, known, err := s.parts.Alerts.Firing(r.Context(), c.speaker)
	if err != nil {
		return err
	}
	return answer(w, struct {
		Alerts []Alert `json:"alerts"`
		Known  bool    `json:"known"`
	}{list(all), known})
}
