package dialogue

import "context"

// Knows reports whether anything was said in a conversation before, in this process or
// another: a chat takes part in the threads that it was drawn into, and in no others.
func (e *Engine) Knows(ctx context.Context, conversation string) (bool, error) {
	session, _, err := e.store.LoadTurn(ctx, conversation, "")
	return session != nil, err
}

// About makes these targets "it" in a conversation where nothing is yet: what was told
// there is about them.
func (e *Engine) About(ctx context.Context, conversation string, targets []Target) error {
	unlock, err := e.lock(ctx, conversation)
	if err != nil {
		return err
	}
	defer unlock()
	s, _, err := e.load(ctx, conversation, "")
	if err != nil {
		return err
	}
	if len(s.Targets) == 0 {
		s.Focus(targets...)
	}
	return e.save(ctx, Request{Conversation: conversation}, s, Reply{})
}
