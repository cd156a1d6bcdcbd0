package dialogue

import (
	"time"

	"github.com/firstmate-ops/firstmate/intents"
)

// Target is an object that was spoken of; enough to find it again.
type Target struct {
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
}

// Question is what firstmate asked and has not heard the answer to.
type Question struct {
	Intent  intents.Intent `json:"intent"` // what was understood so far
	Slot    string         `json:"slot"`   // the slot that the answer fills
	Choices []string       `json:"choices,omitempty"`
}

// Session is what is remembered of a conversation between its turns.
type Session struct {
	Targets   []Target `json:"targets,omitempty"`   // "it", or "them" where several
	Namespace string   `json:"namespace,omitempty"` // where they are
	// Pending is the id of the proposal that waits for yes or no, and
	// PendingIsOffer whether nobody asked for it: it was offered after a failure.
	Pending        string `json:"pending,omitempty"`
	PendingIsOffer bool   `json:"pending_is_offer,omitempty"`
	// PendingReply is how the open proposal was read back.
	PendingReply *Reply    `json:"pending_reply,omitempty"`
	Question     *Question `json:"question,omitempty"`
	// LastWrite is the last intent that proposed a change: what an amendment amends.
	LastWrite *intents.Intent `json:"last_write,omitempty"`
	// LastAction is the id of the last proposal that somebody said yes to.
	LastAction string `json:"last_action,omitempty"`
	// LastOutcome is how the last thing asked for ended: thanks depends on it.
	LastOutcome Outcome   `json:"last_outcome,omitempty"`
	LastReply   *Reply    `json:"last_reply,omitempty"`
	Heard       int64     `json:"heard,omitempty"` // Seq of the newest outcome that was told
	Updated     time.Time `json:"updated"`
}

// contextLife is how long "it" means what it meant.
const contextLife = 30 * time.Minute

// fresh returns the session as it counts now: after a long silence nothing is
// remembered but what was told.
func (s Session) fresh(now time.Time) Session {
	if now.Sub(s.Updated) > contextLife {
		return Session{Heard: s.Heard, LastAction: s.LastAction}
	}
	return s
}

// expect is the open question as the recogniser needs to know it.
func (s *Session) expect() intents.Expect {
	e := intents.Expect{Confirm: s.Pending != ""}
	if q := s.Question; q != nil {
		e.Intent, e.Slot, e.Choices = q.Intent.Name, q.Slot, q.Choices
	}
	return e
}

// Close forgets the open proposal and question: they are answered or moot.
func (s *Session) Close() {
	s.Pending, s.PendingIsOffer, s.PendingReply, s.Question = "", false, nil, nil
}

// Focus makes these targets "it".
func (s *Session) Focus(targets ...Target) {
	s.Targets = targets
	if len(targets) > 0 {
		s.Namespace = targets[0].Namespace
	}
}

// merge fills the slots of an intent with those of an answer or amendment. A
// new way to say the same thing takes the place of the old one.
func merge(into intents.Intent, add intents.Slots) intents.Intent {
	out := intents.Intent{Name: into.Name, Slots: intents.Slots{}}
	for k, v := range into.Slots {
		out.Slots[k] = v
	}
	for _, group := range [][]string{{"replicas", "delta", "factor"}, {"version", "image", "revision", "steps"}, {"targets", "unknown_target"}} {
		said := false
		for _, k := range group {
			said = said || add.Has(k)
		}
		if said {
			for _, k := range group {
				delete(out.Slots, k)
			}
		}
	}
	for k, v := range add {
		out.Slots[k] = v
	}
	return out
}
