// Package terminal is conversations in a terminal: one question (Ask) or many
// (Chat). It talks to an engine in the same process or, through an adapter, to
// a server; text of either is data and never reaches the terminal's control.
package terminal

import (
	"context"
	"iter"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// Conversation is what the terminal talks to.
type Conversation interface {
	// Turn says something; confirm is the id of the proposal that it says yes
	// to, or "".
	Turn(ctx context.Context, text, confirm string) (dialogue.Reply, error)
	// Events yields what is pushed, until ctx ends. What is said after Events
	// has returned is not missed, even if nobody ranges yet. Outcomes from
	// before may be yielded too, except to Chat, which would show them.
	Events(ctx context.Context) iter.Seq2[dialogue.Event, error]
}

// engine is what a conversation in this process needs.
type engine interface {
	Respond(ctx context.Context, r dialogue.Request) dialogue.Reply
	Subscribe(conversation string) *dialogue.Subscription
	Heard(ctx context.Context, conversation string, seq int64) error
}

// LocalConversation is a conversation with an engine in this process.
type LocalConversation struct {
	engine       engine
	conversation string
	speaker      access.Speaker
}

// Local returns a conversation with an engine in this process.
func Local(e engine, conversation string, speaker access.Speaker) *LocalConversation {
	return &LocalConversation{engine: e, conversation: conversation, speaker: speaker}
}

// Turn says something to the engine, which never fails. Outcomes that nobody
// was there to hear are told first.
func (l *LocalConversation) Turn(ctx context.Context, text, confirm string) (dialogue.Reply, error) {
	return l.engine.Respond(ctx, dialogue.Request{
		Conversation: l.conversation, Speaker: l.speaker, Text: text, Confirm: confirm, Pull: true,
	}), nil
}

// Events yields what is pushed from now on; an outcome that was taken counts
// as heard.
func (l *LocalConversation) Events(ctx context.Context) iter.Seq2[dialogue.Event, error] {
	sub := l.engine.Subscribe(l.conversation)
	context.AfterFunc(ctx, sub.Close) // also where nobody ever ranges
	return func(yield func(dialogue.Event, error) bool) {
		defer sub.Close()
		for ev := range sub.C {
			var err error
			if ev.Kind == dialogue.EventOutcome {
				// Before it is shown: rather not twice than twice.
				err = l.engine.Heard(context.WithoutCancel(ctx), l.conversation, ev.Seq)
			}
			if !yield(ev, err) {
				return
			}
		}
	}
}

// pushed is one step of a sequence of events.
type pushed struct {
	event dialogue.Event
	err   error
}

// pump listens at once and hands on what comes; the channel is closed when the
// events end.
func pump(ctx context.Context, conv Conversation) <-chan pushed {
	events := conv.Events(ctx)
	c := make(chan pushed)
	go func() {
		defer close(c)
		for ev, err := range events {
			select {
			case c <- pushed{ev, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

// started reports whether a reply is the answer to a yes, or to what needed
// none, and what was said yes to is under way.
func started(r dialogue.Reply) bool {
	return r.Outcome == dialogue.OutcomePending && r.Proposal != nil && !asks(r)
}

// asks reports whether a reply is a question.
func asks(r dialogue.Reply) bool { return r.Expect != dialogue.ExpectNone && r.Expect != "" }

// over reports whether an outcome is an end.
func over(o dialogue.Outcome) bool {
	return o == dialogue.OutcomeDone || o == dialogue.OutcomeFailed || o == dialogue.OutcomeRolledBack
}
