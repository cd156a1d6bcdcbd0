package phone

import (
	"context"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// askAgain says why what was heard cannot be acted on, and listens again.
func (h *Handler) askAgain(ctx context.Context, x exchange, why string) ([]any, error) {
	next := x.leg.next()
	next.missed = x.leg.missed + 1
	sorry, err := h.words(why, map[string]any{"Heard": clip(x.text, why == "unsure")})
	if err != nil {
		return nil, err
	}
	if next.missed > tries && why != "pin" {
		return h.menu(ctx, next, sorry)
	}
	if next.missed > 2*tries {
		return h.giveUp(ctx, x)
	}
	return h.ask(ctx, next, sorry), nil
}

// clip is what is said back of what was heard; of a PIN nothing.
func clip(text string, show bool) string {
	if !show {
		return ""
	}
	text, _ = cutAt(text, 80)
	return text
}

// silence takes a turn in which nothing was said: it is asked again twice, then
// the keypad is offered, then a text message says how to go on.
func (h *Handler) silence(ctx context.Context, x exchange) ([]any, error) {
	next := x.leg.next()
	next.missed = x.leg.missed + 1
	switch {
	case x.leg.menu:
		return h.giveUp(ctx, x)
	case next.missed > tries && (x.leg.expect == expectPIN || x.leg.expect == expectCode):
		return h.giveUp(ctx, x)
	case next.missed > tries:
		return h.menu(ctx, next, "")
	case x.leg.expect == expectPIN:
		key, err := h.words("pin", nil)
		return h.ask(ctx, next, key), err
	}
	key := "silence"
	if next.missed == tries || x.leg.expect != expectNone {
		key = "silence.again"
	}
	sorry, err := h.words(key, map[string]any{"Confirm": x.leg.expect == expectConfirm})
	if err != nil {
		return nil, err
	}
	if next.missed == tries && x.leg.expect != expectNone { // what was asked may not have been heard either
		if r, ok := h.begin(ctx, x.request("repeat")).wait(ctx, answerWithin); ok && r.Fault == "" {
			text, _ := compose(r)
			sorry += " " + text
		}
	}
	return h.ask(ctx, next, sorry), nil
}

// menu offers the keypad.
func (h *Handler) menu(ctx context.Context, next leg, first string) ([]any, error) {
	next.menu = true
	text, err := h.words("menu", map[string]any{
		"Confirm": next.expect == expectConfirm, "Choice": next.expect == expectChoice,
	})
	if first != "" {
		text = first + " " + text
	}
	return h.ask(ctx, next, text), err
}

// giveUp ends a call in which nothing was heard. What was open is closed, and a
// text message says so.
func (h *Handler) giveUp(ctx context.Context, x exchange) ([]any, error) {
	open := x.leg.expect == expectConfirm || x.leg.expect == expectPIN || x.leg.expect == expectChoice
	data := map[string]any{"Open": open, "Running": x.leg.running}
	text, err := h.parts.Words.Say("phone.unheard.text", data)
	if err != nil {
		return nil, err
	}
	h.left(ctx, x.conversation)
	h.textOnce(ctx, x, "unheard", text.Text)
	sorry, err := h.words("unheard", data)
	return h.hangUp(sorry), err
}

// bye ends a call with what still runs; its outcome comes as a text message.
func (h *Handler) bye(ctx context.Context, x exchange) ([]any, error) {
	var news string
	running := x.leg.running
	if running {
		r, ok := h.begin(ctx, x.request("how is it going?")).wait(ctx, answerWithin)
		if ok {
			news, _ = compose(r)
			running = r.Outcome == dialogue.OutcomePending || r.Outcome == dialogue.OutcomeNone
		}
	}
	h.left(ctx, x.conversation)
	end, err := h.words("bye", map[string]any{"Running": running})
	if news != "" {
		end = news + " " + end
	}
	return h.hangUp(end), err
}

// left closes what is open in a conversation whose caller has gone.
func (h *Handler) left(ctx context.Context, conversation string) {
	if err := h.parts.Engine.Leave(context.WithoutCancel(ctx), conversation); err != nil {
		h.log.ErrorContext(ctx, "what was open is not closed; nothing is done about it without a yes", "conversation", conversation, "err", err)
	}
}

// textOnce sends whoever is on the line a text message, once for each call and
// reason.
func (h *Handler) textOnce(ctx context.Context, x exchange, reason, text string) {
	to := x.speaker.ID
	if !e164.MatchString(to) || !h.once(reason+":"+x.sid) {
		return
	}
	go h.text(context.WithoutCancel(ctx), to, text)
}

// text sends a message and logs what went wrong.
func (h *Handler) text(ctx context.Context, to, text string) {
	ctx, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	if err := h.parts.Line.Text(ctx, to, text); err != nil {
		h.log.ErrorContext(ctx, "text message not sent", "err", err)
	}
}
