package phone

import (
	"context"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// Channel and ChannelSMS are what speakers of this package are of: a call, and
// a text message.
const (
	Channel    = "phone"
	ChannelSMS = "sms"
)

// Calls is who had calls placed: it says what they are about, and is told how
// they ended.
type Calls interface {
	// Opening is what is said to who picks up a call that was placed with this
	// ref, and in which conversation and whose name the talk goes on. It is asked
	// at every turn of the call, and whenever the carrier repeats one, so asking
	// changes nothing. ok is false where there is no such call (any more).
	Opening(ctx context.Context, ref string) (o Opening, ok bool)
	// Answered is told that somebody picked up, before they hear the Opening. It
	// may be told more than once.
	Answered(ctx context.Context, ref string) error
	// Ended is told how a call ended, in the carrier's words: completed, busy,
	// no-answer, failed or canceled; or that a machine picked up and nobody was there.
	// It may be told more than once.
	Ended(ctx context.Context, ref, status string) error
}

// Opening is how a call that was placed begins.
type Opening struct {
	// Conversation is the one that goes on by telephone. Something may be open
	// in it already, as the Reply says.
	Conversation string
	// Speaker is in whose name is spoken: whoever was called. That the number
	// was dialled is as good as the carrier's word for who calls.
	Speaker access.Speaker
	Reply   dialogue.Reply // what is said first
	// Rest is what Reply leaves out, for who says "more" to it.
	Rest string
	// Mailbox is what is said where a machine picks up.
	Mailbox string
	// Alert is what the call is about, which who says “acknowledge” means.
	Alert string
	// More says that something is still to come that they would want to hear,
	// though nothing runs: whether all is well again after a change. The call
	// goes on as while something runs.
	More bool
}

// The statuses with which a call ends.
const (
	Completed = "completed"
	Busy      = "busy"
	NoAnswer  = "no-answer"
	Failed    = "failed"
	Canceled  = "canceled"
	// Machine is what a call ends with here that a mailbox or a fax took.
	Machine = "machine"
)

// machine reports whether the carrier says that no person picked up. What it is not
// sure of is a person: who is silent may be half asleep.
func machine(answeredBy string) bool {
	return strings.HasPrefix(answeredBy, "machine") || answeredBy == "fax"
}

// over reports whether a status is one that a call ends with.
func over(status string) bool {
	switch status {
	case Completed, Busy, NoAnswer, Failed, Canceled:
		return true
	}
	return false
}
