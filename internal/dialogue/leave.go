package dialogue

import (
	"context"
	"time"
)

// Leave closes what is open in a conversation because nobody is there any more
// to answer it: somebody hung up. What was agreed to goes on.
func (e *Engine) Leave(ctx context.Context, conversation string) error {
	unlock, err := e.lock(ctx, conversation)
	if err != nil {
		return err
	}
	defer unlock()
	s, _, err := e.load(ctx, conversation, "")
	if err != nil || s.Pending == "" && s.Question == nil {
		return err
	}
	s.Close()
	return e.save(ctx, Request{Conversation: conversation}, s, Reply{})
}

// Unheard gives the outcomes of a conversation that nobody was told yet, oldest
// first; Heard notes that somebody was.
func (e *Engine) Unheard(ctx context.Context, conversation string) ([]Event, error) {
	s, _, err := e.load(ctx, conversation, "")
	if err != nil {
		return nil, err
	}
	var out []Event
	err = e.Events(ctx, conversation, s.Heard, func(ev Event) error {
		out = append(out, ev)
		return nil
	})
	return out, err
}

// Untold gives the outcomes of a conversation that nobody was told yet, and
// notes that they are told now.
func (e *Engine) Untold(ctx context.Context, conversation string) ([]Reply, error) {
	unlock, err := e.lock(ctx, conversation)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s, _, err := e.load(ctx, conversation, "")
	if err != nil {
		return nil, err
	}
	var out []Reply
	if err := e.Events(ctx, conversation, s.Heard, func(ev Event) error {
		s.Heard = ev.Seq
		out = append(out, ev.Reply)
		return nil
	}); err != nil || len(out) == 0 {
		return nil, err
	}
	s.Updated = time.Now()
	return out, e.save(ctx, Request{Conversation: conversation}, s, Reply{})
}
