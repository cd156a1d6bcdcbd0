// Package channeltest is what channels are tested with: a scripted engine, and
// the suite that every HTTP channel passes.
package channeltest

import (
	"context"
	"sync"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// Engine stands in for the dialogue engine: it answers by script and keeps
// what it was asked.
type Engine struct {
	// Answer gives the reply to a request; nil answers every one with "ok".
	Answer func(dialogue.Request) dialogue.Reply
	// Awaited gives what is told to who awaits it; nil tells nothing.
	Awaited func(dialogue.Request) (dialogue.Reply, bool)

	hub *dialogue.Hub

	mu       sync.Mutex
	requests []dialogue.Request
	kept     map[string][]dialogue.Event
	told     map[string]int64
	left     []string
	about    map[string][]dialogue.Target
	asked    map[string]bool
	seq      int64
}

// NewEngine returns an engine that answers by the script.
func NewEngine(answer func(dialogue.Request) dialogue.Reply) *Engine {
	return &Engine{Answer: answer, hub: dialogue.NewHub(), kept: map[string][]dialogue.Event{}, told: map[string]int64{}, asked: map[string]bool{}}
}

// Respond keeps the request and answers it.
func (e *Engine) Respond(_ context.Context, r dialogue.Request) dialogue.Reply {
	e.mu.Lock()
	e.requests = append(e.requests, r)
	e.mu.Unlock()
	reply := dialogue.Reply{Speech: "ok", Text: "ok", Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone}
	if e.Answer != nil {
		reply = e.Answer(r)
	}
	reply.Conversation = r.Conversation
	e.mu.Lock()
	e.asked[r.Conversation] = reply.Expect != "" && reply.Expect != dialogue.ExpectNone
	e.mu.Unlock()
	return reply
}

// Asked reports whether the last answer of a conversation asked something.
func (e *Engine) Asked(_ context.Context, conversation string) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked[conversation], nil
}

// Await gives what is told by script.
func (e *Engine) Await(_ context.Context, r dialogue.Request) (dialogue.Reply, bool) {
	if e.Awaited == nil {
		return dialogue.Reply{}, false
	}
	reply, ok := e.Awaited(r)
	reply.Conversation = r.Conversation
	return reply, ok
}

// Requests returns what was asked so far.
func (e *Engine) Requests() []dialogue.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]dialogue.Request(nil), e.requests...)
}

// Subscribe listens to what Push says from now on.
func (e *Engine) Subscribe(conversation string) *dialogue.Subscription {
	return e.hub.Subscribe(conversation)
}

// Events calls f with the outcomes that were pushed after a position.
func (e *Engine) Events(_ context.Context, conversation string, after int64, f func(dialogue.Event) error) error {
	e.mu.Lock()
	kept := append([]dialogue.Event(nil), e.kept[conversation]...)
	e.mu.Unlock()
	for _, ev := range kept {
		if ev.Seq <= after {
			continue
		}
		if err := f(ev); err != nil {
			return err
		}
	}
	return nil
}

// Push keeps an outcome, and hands any event to those who listen.
func (e *Engine) Push(conversation string, ev dialogue.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ev.Reply.Conversation = conversation
	if ev.Kind == dialogue.EventOutcome {
		e.seq++
		ev.Seq = e.seq
		e.kept[conversation] = append(e.kept[conversation], ev)
	}
	e.hub.Publish(conversation, ev)
}

// Knows reports whether anything was said in a conversation.
func (e *Engine) Knows(_ context.Context, conversation string) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, known := e.asked[conversation]
	return known, nil
}

// About notes what a conversation is about.
func (e *Engine) About(_ context.Context, conversation string, targets []dialogue.Target) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.about == nil {
		e.about = map[string][]dialogue.Target{}
	}
	e.about[conversation] = targets
	if _, known := e.asked[conversation]; !known {
		e.asked[conversation] = false
	}
	return nil
}

// AboutWhat is what was noted of a conversation.
func (e *Engine) AboutWhat(conversation string) []dialogue.Target {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.about[conversation]
}

// Unheard gives the outcomes that were pushed and nobody was told.
func (e *Engine) Unheard(_ context.Context, conversation string) ([]dialogue.Event, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []dialogue.Event
	for _, ev := range e.kept[conversation] {
		if ev.Seq > e.told[conversation] {
			out = append(out, ev)
		}
	}
	return out, nil
}

// Heard notes that somebody was told an outcome.
func (e *Engine) Heard(_ context.Context, conversation string, seq int64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told[conversation] = max(e.told[conversation], seq)
	return nil
}

// Leave notes that nobody is there any more.
func (e *Engine) Leave(_ context.Context, conversation string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.left = append(e.left, conversation)
	return nil
}

// Left returns the conversations that were left.
func (e *Engine) Left() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.left...)
}

// Untold gives the outcomes that were pushed and not given before.
func (e *Engine) Untold(_ context.Context, conversation string) ([]dialogue.Reply, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []dialogue.Reply
	for _, ev := range e.kept[conversation] {
		if ev.Seq > e.told[conversation] {
			out = append(out, ev.Reply)
			e.told[conversation] = ev.Seq
		}
	}
	return out, nil
}
