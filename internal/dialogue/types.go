// Package dialogue is one turn of a conversation: who said what, what "it" is,
// which question is open, what was answered. It knows no cluster and no
// channel: skills answer, channels decode and render.
package dialogue

import (
	"context"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// Request is a turn as a channel decoded it, after it verified the sender.
type Request struct {
	// DeliveryID is the platform's own id of the message, prefixed by the
	// channel; a repeated delivery gets the first answer again. "" is never
	// taken for a repetition.
	DeliveryID   string
	Conversation string // opaque; one conversation is handled in order
	Speaker      access.Speaker
	Text         string
	// Unsure marks a text that was not heard well: it is asked about, and nothing
	// is done.
	Unsure bool
	// Intent is what the platform itself recognised; used only where the
	// recogniser does not understand Text.
	Intent *intents.Intent
	// IntentFirst lets Intent count before what the recogniser makes of Text, by
	// configuration; a no is one all the same.
	IntentFirst bool
	// Confirm is the id of the proposal that this turn says yes to (a button):
	// it confirms that proposal and no other, whatever Text says.
	Confirm string
	// Deny is the id of the proposal that this turn says no to, in the same way.
	Deny string
	// Approve is the Key of the proposal of somebody else that this turn agrees to: it
	// counts for what was shown and for nothing else.
	Approve string
	// NoYes marks words that agree to nothing, whatever they mean: whoever is there
	// agrees by Confirm and Approve alone.
	NoYes bool
	// Pull marks a channel that cannot be pushed to: outcomes nobody has
	// heard yet are told first in the next answer.
	Pull bool
	// Patience is how long the answer may wait for the outcome of what it starts.
	Patience time.Duration
}

// Button is the intent of a turn that is a button, and the id of the proposal that it
// is about; "" for a turn of words.
func (r Request) Button() (intent, proposal string) {
	switch {
	case r.Confirm != "":
		return "confirm", r.Confirm
	case r.Deny != "":
		return "deny", r.Deny
	case r.Approve != "":
		id, _, _ := strings.Cut(r.Approve, "@")
		return "approve", id
	}
	return "", ""
}

// Outcome says how far the action of a turn has come.
type Outcome string

// The outcomes; the words stand in the outer contract.
const (
	OutcomeNone       Outcome = "none"        // nothing was started
	OutcomePending    Outcome = "pending"     // proposed, or running
	OutcomeDone       Outcome = "done"        // finished as asked
	OutcomeFailed     Outcome = "failed"      // tried and failed, or got stuck
	OutcomeRolledBack Outcome = "rolled_back" // failed, and what was there is back
)

// What a reply may wait for, besides the name of a slot that is asked for.
const (
	ExpectNone     = "none"
	ExpectConfirm  = "confirm"  // yes or no to the proposal
	ExpectChoice   = "choice"   // one of Choices
	ExpectApproval = "approval" // somebody else's, wherever they talk
	ExpectPIN      = "pin"      // the speaker's PIN, which is not to be shown nor kept
)

// ChoiceAsAsked answers a proposal that does more than was asked for, as a remedy
// of what was asked: it is to be done without that.
const ChoiceAsAsked = "without it"

// Reply is an answer: Speech for the ear, Text and Blocks for the eye. Its JSON
// is the outer contract's (`bot ask --json`, POST /api/v1/turns).
type Reply struct {
	Conversation string        `json:"conversation"`
	Intent       string        `json:"intent"`
	Slots        intents.Slots `json:"slots"`
	Speech       string        `json:"speech"` // plain sentences, no markup
	Text         string        `json:"text"`   // plain text, may have several lines
	Blocks       []Block       `json:"blocks"`
	Expect       string        `json:"expect"`            // ExpectNone, ExpectConfirm, ExpectChoice or a slot's name
	Choices      []string      `json:"choices,omitempty"` // what may be answered, in the order they were said
	Proposal     *Proposal     `json:"proposal"`
	Outcome      Outcome       `json:"outcome"`
	Fault        fault.Kind    `json:"fault,omitempty"` // why nothing was done, where that is so
	// Guessed is whether only a Fallback understood what was said: a proposal in it is
	// confirmed by somebody who read it, and by no yes that was given in advance.
	Guessed bool `json:"guessed,omitempty"`
	Private bool `json:"-"` // its words are given once and kept nowhere
}

// Block is something for the eye beside the text.
type Block struct {
	Type    string     `json:"type"` // "table", "diff", "log", "chart"
	Title   string     `json:"title,omitempty"`
	Columns []string   `json:"columns,omitempty"` // of a table
	Rows    [][]string `json:"rows,omitempty"`    // of a table
	Text    string     `json:"text,omitempty"`    // of a diff: unified diff of the objects' YAML; of a log: its lines as text
	// Lines are those of a log, oldest first. They are what a workload wrote, with
	// its secrets masked: data, whatever they say.
	Lines []observability.LogLine `json:"lines,omitempty"`
	// Chart is the data of a chart: a page draws it, a chat has chart.Painter draw it.
	Chart *observability.Chart `json:"chart,omitempty"`
}

// Proposal is what would be changed, or is being changed.
type Proposal struct {
	ID string `json:"id"`
	// Digest is of what is shown: another change under the same id has another.
	Digest  string   `json:"digest,omitempty"`
	Risk    string   `json:"risk"` // low, medium or high
	Changes []Change `json:"changes"`
}

// Key names the proposal just as it was shown, for Request.Approve.
func (p Proposal) Key() string { return p.ID + "@" + p.Digest }

// Change is one object's part of a proposal. From and To are what a person
// would say: "3", "5"; "v1", "v2".
type Change struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	From      string `json:"from"`
	To        string `json:"to"`
	Diff      string `json:"diff"`
}

// The kinds of Event.
const (
	EventProgress = "progress" // on the way; may be lost, the next one says more
	EventOutcome  = "outcome"  // the end of an action; kept, delivered once
)

// Event is something said in a conversation without being asked.
type Event struct {
	Seq    int64  // position among the kept events of all conversations; 0 for progress
	Kind   string // EventProgress or EventOutcome
	Action string // the id of the proposal it is about
	Reply  Reply
	// Topic is what several events belong to, as an incident: a chat keeps them in one
	// thread below the first. About is what "it" is for who answers there.
	Topic string   `json:",omitempty"`
	About []Target `json:",omitempty"`
}

// Handler does what one intent asks for.
type Handler interface {
	// Handle answers a turn. An error is spoken through fault.
	Handle(ctx context.Context, t *Turn) (Reply, error)
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, t *Turn) (Reply, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, t *Turn) (Reply, error) { return f(ctx, t) }
