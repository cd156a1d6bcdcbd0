package dialogue

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
)

// await gives the outcome of what the turn started as its answer, if it comes
// within the channel's patience.
func (e *Engine) await(ctx context.Context, req Request, r Reply, sub *Subscription) Reply {
	timer := time.NewTimer(req.Patience)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return r
		case <-timer.C:
			return r
		case ev := <-sub.C:
			if ev.Kind != EventOutcome || ev.Action != r.Proposal.ID {
				continue
			}
			out := ev.Reply
			out.Intent, out.Slots = r.Intent, r.Slots
			if err := e.heard(ctx, req, ev.Seq, out); err != nil {
				e.log.ErrorContext(ctx, "outcome not marked as told", "conversation", req.Conversation, "err", err)
			}
			return out
		}
	}
}

// Await gives what was told in a conversation and nobody has heard yet, as the
// answer to a delivery, and waits for it as long as the request has patience;
// ok is false where nothing came. It is for platforms that call again to hear how
// something ended.
func (e *Engine) Await(ctx context.Context, req Request) (r Reply, ok bool) {
	sub := e.hub.Subscribe(req.Conversation) // before looking, so that nothing is missed
	defer sub.Close()
	timer := time.NewTimer(req.Patience)
	defer timer.Stop()
	for {
		r, ok, err := e.untold(ctx, req)
		if err != nil {
			e.log.ErrorContext(ctx, "what was told could not be read", "conversation", req.Conversation, "err", err)
			return Reply{}, false
		}
		for waits := !ok; waits; {
			select {
			case <-ctx.Done():
				return Reply{}, false
			case <-timer.C:
				return Reply{}, false
			case ev := <-sub.C:
				waits = ev.Kind != EventOutcome
			}
		}
		if ok {
			return r, true
		}
	}
}

// untold is what nobody has heard yet; from now on somebody has.
func (e *Engine) untold(ctx context.Context, req Request) (Reply, bool, error) {
	unlock, err := e.lock(ctx, req.Conversation)
	if err != nil {
		return Reply{}, false, err
	}
	defer unlock()
	s, answered, err := e.load(ctx, req.Conversation, req.DeliveryID)
	if err != nil || answered != nil {
		if answered == nil {
			answered = &Reply{}
		}
		return *answered, err == nil, err
	}
	was := s.Heard
	in := intents.Intent{Name: "status", Slots: intents.Slots{"targets": []string{intents.TargetIt}}}
	r, err := e.news(ctx, s, Reply{Conversation: req.Conversation, Intent: in.Name, Slots: in.Slots, Expect: ExpectNone})
	if err != nil || s.Heard == was {
		return Reply{}, false, err
	}
	r = finish(r)
	return r, true, e.save(ctx, req, s, r)
}

// heard notes that an outcome was told, and makes it the answer to the delivery.
func (e *Engine) heard(ctx context.Context, req Request, seq int64, answer Reply) error {
	unlock, err := e.lock(ctx, req.Conversation)
	if err != nil {
		return err
	}
	defer unlock()
	s, _, err := e.load(ctx, req.Conversation, "")
	if err != nil {
		return err
	}
	s.Heard = max(s.Heard, seq)
	return e.save(ctx, req, s, answer)
}

// Heard notes that somebody was told an outcome: it is not told again by the
// next answer.
func (e *Engine) Heard(ctx context.Context, conversation string, seq int64) error {
	return e.heard(ctx, Request{Conversation: conversation}, seq, Reply{})
}

// news adds the outcomes nobody has heard yet to an answer: before it, or after
// it where the news ends with a question, and in its place where "how is it
// going?" was all that was asked.
func (e *Engine) news(ctx context.Context, s *Session, r Reply) (Reply, error) {
	var told []Reply
	err := e.Events(ctx, r.Conversation, s.Heard, func(ev Event) error {
		s.Heard = ev.Seq
		told = append(told, ev.Reply)
		return nil
	})
	if err != nil || len(told) == 0 {
		return r, err
	}
	last := told[len(told)-1]
	asks := last.Expect == ExpectConfirm && last.Proposal != nil && last.Proposal.ID == s.Pending && r.Expect == ExpectNone
	all := append(slices.Clone(told), r)
	switch {
	case r.Intent == "status" && slices.Equal(r.Slots.Targets(), []string{intents.TargetIt}):
		all, r.Outcome = told, last.Outcome
	case asks:
		all = append([]Reply{r}, told...)
	}
	var speech, text []string
	for _, a := range all {
		speech, text = append(speech, a.Speech), append(text, a.Text)
	}
	r.Speech, r.Text = strings.Join(speech, " "), strings.Join(text, "\n")
	if asks {
		r.Expect, r.Proposal = last.Expect, last.Proposal
	}
	return r, nil
}

// Events calls f with the outcomes of a conversation after a position, oldest first.
func (e *Engine) Events(ctx context.Context, conversation string, after int64, f func(Event) error) error {
	return e.store.EventsAfter(ctx, conversation, after, func(seq int64, b []byte) error {
		var ev Event
		if err := json.Unmarshal(b, &ev); err != nil {
			return fmt.Errorf("dialogue: stored event %d: %w", seq, err)
		}
		ev.Seq = seq
		return f(ev)
	})
}

// Push says something in a conversation without being asked. An outcome is
// kept under its action's id, and said once however often it is pushed;
// update changes the session with it and may be nil.
func (e *Engine) Push(ctx context.Context, conversation string, ev Event, update func(*Session)) error {
	ev.Reply.Conversation = conversation
	ev.Reply = finish(ev.Reply)
	if ev.Kind == EventProgress {
		e.hub.Publish(conversation, ev)
		return nil
	}
	unlock, err := e.lock(ctx, conversation)
	if err != nil {
		return err
	}
	defer unlock()
	s, _, err := e.load(ctx, conversation, "")
	if err != nil {
		return err
	}
	if update != nil {
		update(s)
	}
	s.LastOutcome = ev.Reply.Outcome
	plain := ev.Reply
	s.LastReply = &plain
	s.Updated = time.Now()
	event, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	session, err := json.Marshal(s)
	if err != nil {
		return err
	}
	seq, fresh, err := e.store.AppendEvent(ctx, conversation, ev.Action+"/"+ev.Kind, event, session)
	if err != nil || !fresh {
		return err
	}
	ev.Seq = seq
	e.hub.Publish(conversation, ev)
	return nil
}

// Subscribe listens to what is pushed in a conversation from now on.
func (e *Engine) Subscribe(conversation string) *Subscription { return e.hub.Subscribe(conversation) }
