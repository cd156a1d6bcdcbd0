package dialogue

import "context"

// Relay hands what is pushed in this process to also, for other processes that
// share the store, where somebody may listen to the conversation, and for chats,
// where somebody reads it later. also must not
// wait. Before anything is pushed; all that are given are told.
func (e *Engine) Relay(also func(conversation string, ev Event)) {
	e.hub.also = append(e.hub.also, also)
}

// Relayed hands what was pushed in another process to whoever listens here. An
// outcome is read from the store, which has it whole.
func (e *Engine) Relayed(ctx context.Context, conversation string, ev Event) error {
	if !e.hub.listened(conversation) {
		return nil
	}
	if ev.Kind != EventOutcome {
		e.hub.publish(conversation, ev)
		return nil
	}
	return e.Events(ctx, conversation, ev.Seq-1, func(kept Event) error {
		if kept.Seq == ev.Seq {
			e.hub.publish(conversation, kept)
		}
		return nil
	})
}

// Publish hands the event to everyone who listens, here and elsewhere; it never
// waits.
func (h *Hub) Publish(conversation string, e Event) {
	h.publish(conversation, e)
	for _, also := range h.also {
		also(conversation, e)
	}
}

func (h *Hub) listened(conversation string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs[conversation]) > 0
}
