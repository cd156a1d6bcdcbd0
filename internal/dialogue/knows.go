package dialogue

import "context"

// Knows reports whether anything was said in a conversation before, in this process or
// another: a chat takes part in the threads that it was drawn into, and in no others.
func (e *Engine) Knows(ctx context.Context, conversation string) (bool, error) {
	session, _, err := e.store.LoadTurn(ctx, conversation, "")
	return session != nil, err
}
