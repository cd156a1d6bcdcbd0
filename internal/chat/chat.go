// Package chat is what chats have in common, whichever they are: where a message
// belongs, what can be pressed under it, messages taken in order, how a change goes
// told in one message that is edited, and outcomes that are kept until they stand
// there. It knows no protocol: a Platform posts and edits.
package chat

import (
	"context"
	"errors"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// Address is where a conversation is held. A part that a platform has not, or a
// conversation, is "": one in a channel and not in a thread, say.
type Address struct {
	Platform string // "slack", "discord"
	Team     string // a workspace, a guild
	Channel  string
	Thread   string
}

// none stands for a part that is "".
const none = "-"

// Conversation is the id of the conversation that is held there, so that whatever is
// pushed into it knows where it goes.
func (a Address) Conversation() string {
	parts := []string{a.Platform, a.Team, a.Channel, a.Thread}
	for i, p := range parts {
		if p == "" {
			parts[i] = none
		}
	}
	return strings.Join(parts, ":")
}

// Parse reads where a conversation is held, by its id; ok is false where it is held in
// no chat.
func Parse(conversation string) (a Address, ok bool) {
	parts := strings.Split(conversation, ":")
	if len(parts) != 4 {
		return Address{}, false
	}
	for i, p := range parts {
		if p == "" {
			return Address{}, false
		}
		if p == none {
			parts[i] = ""
		}
	}
	a = Address{Platform: parts[0], Team: parts[1], Channel: parts[2], Thread: parts[3]}
	return a, a.Platform != "" && a.Channel != ""
}

// Kind is what a message is to the conversation.
type Kind int

// The kinds.
const (
	Answer   Kind = iota // to what somebody said
	Progress             // how a change goes; the same message says it anew
	Outcome              // how it ended; said once
)

// Message is what is posted. All its text is for the eye, and may hold what strangers
// wrote: a platform makes it harmless in its own markup, so that it formats, links and
// calls nobody.
type Message struct {
	Kind    Kind
	Reply   dialogue.Reply
	Buttons []Button
	// For is whom it answers; its id is the platform's. What is Private in the reply is
	// for their eyes alone.
	For access.Speaker
	// Mention is the platform's id of who is to be told that it is there, "" for nobody.
	Mention string
	// Heard is what was heard of a recording, "" where words were typed.
	Heard string
	// Name names the message, the same each time it is tried: a platform that can
	// leaves out the second of a name.
	Name string
}

// Platform posts. It keeps to the platform's rates itself, and waits where it is told
// to; an error may be tried again unless it is ErrGone.
type Platform interface {
	// Post posts a message and returns its id.
	Post(ctx context.Context, to Address, m Message) (id string, err error)
	// Edit makes a message say something else.
	Edit(ctx context.Context, to Address, id string, m Message) error
}

// ErrGone is wrapped by a Platform's error that stays: the channel is gone, the message
// was deleted, we were sent away.
var ErrGone = errors.New("gone")

// Busy is a Platform that can show that an answer is being thought about.
type Busy interface {
	Busy(ctx context.Context, at Address)
}

// Threads is a Platform that has threads below messages.
type Threads interface {
	// Below is where the thread of a message is that was posted there.
	Below(at Address, id string) Address
}

// Incoming is something that somebody said or pressed, verified and decoded.
type Incoming struct {
	// Delivery is the platform's id of it, with the channel's prefix: what comes again
	// under the same id is answered once.
	Delivery string
	At       Address
	Speaker  access.Speaker
	Text     string
	Press    Press // what was pressed, in place of Text
	// Audio fetches the recording that it is, in place of Text; nil where it is none.
	Audio func(ctx context.Context) (speech.Audio, error)
	// Answer gives the answer in place of Post, where the platform has another way for
	// it, and returns the id of the message that it became, "" where it has none.
	Answer func(ctx context.Context, m Message) (id string, err error)
}

// Engine is what a Room needs of the dialogue engine.
type Engine interface {
	Respond(ctx context.Context, r dialogue.Request) dialogue.Reply
	Asked(ctx context.Context, conversation string) (bool, error)
	Unheard(ctx context.Context, conversation string) ([]dialogue.Event, error)
	Heard(ctx context.Context, conversation string, seq int64) error
	About(ctx context.Context, conversation string, targets []dialogue.Target) error
}

// Books remember what was posted, also for another process, and after this one.
type Books interface {
	// ClaimPost reports whether this process is to post what has this name: nobody did,
	// and nobody is about to.
	ClaimPost(ctx context.Context, name string) (bool, error)
	// KeepPosted notes the message that it was posted as, and Posted tells it, "" where
	// there is none.
	KeepPosted(ctx context.Context, name, message string) error
	Posted(ctx context.Context, name string) (message string, err error)
	// Conversations calls f with those whose id begins so and that outcomes were told in.
	Conversations(ctx context.Context, prefix string, f func(conversation string) error) error
}
