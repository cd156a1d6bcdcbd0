package dialogue

import (
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
)

// Target is an object that was spoken of; enough to find it again.
type Target struct {
	Cluster   string `json:"cluster,omitempty"` // "" is the home cluster
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
}

// Question is what firstmate asked and has not heard the answer to.
type Question struct {
	Intent intents.Intent `json:"intent"` // what was understood so far
	// Step is the step of a chain that it is about, counted from 1; 0 for an
	// intent that is no chain.
	Step    int      `json:"step,omitempty"`
	Slot    string   `json:"slot"` // the slot that the answer fills
	Choices []string `json:"choices,omitempty"`
}

// about is the intent that the answer belongs to.
func (q *Question) about() intents.Intent {
	if steps := q.Intent.Slots.Steps(); q.Step > 0 && q.Step <= len(steps) {
		return steps[q.Step-1]
	}
	return q.Intent
}

// Choice is which of two that were offered was not taken: "the other one".
type Choice struct {
	Slot  string `json:"slot"`
	Taken string `json:"taken"`
	Other string `json:"other"`
}

// Session is what is remembered of a conversation between its turns.
type Session struct {
	Targets   []Target `json:"targets,omitempty"`   // "it", or "them" where several
	Before    []Target `json:"before,omitempty"`    // what was "it" before
	Choice    *Choice  `json:"choice,omitempty"`    // made since anything else was spoken of
	Namespace string   `json:"namespace,omitempty"` // the last one spoken of: "there"
	There     string   `json:"there,omitempty"`     // the cluster of that; "" where there is but one
	// Cluster is the one that somebody switched to, "" the home cluster; Home is
	// the namespace in it that somebody switched to, "" the cluster's own.
	Cluster string `json:"cluster,omitempty"`
	Home    string `json:"home,omitempty"`
	// Pending is the id of the proposal that waits for yes or no, and
	// PendingIsOffer whether nobody asked for it: it was offered after a failure.
	Pending        string `json:"pending,omitempty"`
	PendingIsOffer bool   `json:"pending_is_offer,omitempty"`
	// PendingReply is how the open proposal was read back, PendingAbout what it
	// would do ("scaling web to 5"), for whoever it waits, and until when.
	PendingReply *Reply       `json:"pending_reply,omitempty"`
	PendingAbout *intents.Say `json:"pending_about,omitempty"`
	PendingBy    string       `json:"pending_by,omitempty"`
	PendingUntil time.Time    `json:"pending_until,omitzero"`
	// TakesPIN is whether the yes goes with a PIN, which may be said in its place,
	// and WantsPIN whether the yes was said and lacks it.
	TakesPIN bool      `json:"takes_pin,omitempty"`
	WantsPIN bool      `json:"wants_pin,omitempty"`
	Question *Question `json:"question,omitempty"`
	// Misheard is what somebody may have said, which they were asked about.
	Misheard   string `json:"misheard,omitempty"`
	MisheardBy string `json:"misheard_by,omitempty"`
	// LastWrite is the last intent that proposed a change, LastRead the last
	// that asked about something: what an amendment amends. ReadLast is whether
	// the reading was the later one.
	LastWrite *intents.Intent `json:"last_write,omitempty"`
	LastRead  *intents.Intent `json:"last_read,omitempty"`
	ReadLast  bool            `json:"read_last,omitempty"`
	// LastAction is the id of the last proposal that somebody said yes to.
	LastAction string `json:"last_action,omitempty"`
	// LastOutcome is how the last thing asked for ended: thanks depends on it.
	LastOutcome Outcome `json:"last_outcome,omitempty"`
	LastReply   *Reply  `json:"last_reply,omitempty"`
	// Basis is what the last diagnosis goes by, for whoever asks.
	Basis   *intents.Say `json:"basis,omitempty"`
	Heard   int64        `json:"heard,omitempty"` // Seq of the newest outcome that was told
	Updated time.Time    `json:"updated"`
}

// contextLife is how long "it" means what it meant.
const contextLife = 30 * time.Minute

// fresh returns the session as it counts now: after a long silence nothing is
// remembered but what was told, and where somebody switched to.
func (s Session) fresh(now time.Time) Session {
	if now.Sub(s.Updated) > contextLife {
		return Session{Heard: s.Heard, LastAction: s.LastAction, Cluster: s.Cluster, Home: s.Home}
	}
	return s
}

// expect is the open question as the recogniser needs to know it.
func (s *Session) expect() intents.Expect {
	e := intents.Expect{Confirm: s.Pending != ""}
	if q := s.Question; q != nil {
		e.Intent, e.Slot, e.Choices = q.about().Name, q.Slot, q.Choices
	}
	return e
}

// Propose makes a proposal the open one: it waits for the speaker's yes or no
// until a time. r is how it was read back, about what it would do.
func (s *Session) Propose(id string, by access.Speaker, until time.Time, r Reply, about intents.Say) {
	s.drop()
	s.Pending, s.PendingBy, s.PendingUntil = id, by.Key(), until
	s.PendingReply, s.PendingAbout = &r, &about
}

// Waiting reports whether a proposal waits for yes or no, and still would take it.
func (s *Session) Waiting() bool {
	return s.Pending != "" && (s.PendingUntil.IsZero() || time.Now().Before(s.PendingUntil))
}

// WaitingFor reports whether a proposal waits for this speaker's answer.
func (s *Session) WaitingFor(who access.Speaker) bool {
	return s.Waiting() && s.PendingAbout != nil && s.PendingBy == who.Key()
}

// Close forgets the open proposal and question: they are answered or moot.
func (s *Session) Close() {
	s.Question = nil
	s.drop()
}

// drop forgets the open proposal.
func (s *Session) drop() {
	s.Pending, s.PendingIsOffer, s.PendingBy, s.PendingUntil = "", false, "", time.Time{}
	s.PendingReply, s.PendingAbout, s.TakesPIN, s.WantsPIN = nil, nil, false, false
}

// Focus makes these targets "it".
func (s *Session) Focus(targets ...Target) {
	s.Targets = targets
	if len(targets) > 0 {
		s.Namespace, s.There = targets[0].Namespace, targets[0].Cluster
	}
}

// moveOn notes what was spoken of before this turn, where it is not what is
// spoken of now.
func (s *Session) moveOn(was []Target, choice *Choice) {
	if slices.Equal(was, s.Targets) {
		return
	}
	if len(was) > 0 {
		s.Before = was
	}
	if s.Choice == choice {
		s.Choice = nil
	}
}

// other is the one of the last two that were spoken of that is not "it".
func (s *Session) other() (Target, bool) {
	if len(s.Targets) != 1 {
		return Target{}, false
	}
	left := slices.DeleteFunc(slices.Clone(s.Before), func(t Target) bool { return t == s.Targets[0] })
	if len(left) != 1 {
		return Target{}, false
	}
	return left[0], true
}

// instead are the slots that say the same thing in different ways.
func instead() [][]string {
	return [][]string{
		{"replicas", "delta", "factor"}, {"version", "image", "revision", "steps"}, {"targets", "unknown_target"},
		{"duration", "until"},
	}
}

// merge fills the slots of an intent with those of an answer or amendment. A
// new way to say the same thing takes the place of the old one.
func merge(into intents.Intent, add intents.Slots) intents.Intent {
	out := intents.Intent{Name: into.Name, Slots: intents.Slots{}, Guessed: into.Guessed}
	for k, v := range into.Slots {
		out.Slots[k] = v
	}
	for _, group := range instead() {
		if slices.ContainsFunc(group, add.Has) {
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
