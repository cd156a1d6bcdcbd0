package dialogue

import "context"

// Asked reports whether an answer is waited for in a conversation: a yes, one of
// several, a name or a number. It is for whoever listens, who hears better if they
// know; a turn that is being handled meanwhile is not waited for.
func (e *Engine) Asked(ctx context.Context, conversation string) (bool, error) {
	s, _, err := e.load(ctx, conversation, "")
	if err != nil {
		return false, err
	}
	return s.Waiting() || s.Question != nil || s.Misheard != "", nil
}
