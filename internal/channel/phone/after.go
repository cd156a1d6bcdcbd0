package phone

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// status is told how a call ends. What was open in it is closed: nothing is done
// without a yes, and nobody is there to say it.
func (h *Handler) status(w http.ResponseWriter, r *http.Request) error {
	form, err := h.cfg.verified(r)
	if err != nil {
		return err
	}
	sid, status, ref := form.Get("CallSid"), form.Get("CallStatus"), r.URL.Query().Get("ref")
	switch {
	case !saneSID.MatchString(sid) || status == "" || len(ref) > maxRef:
		return fault.New(fault.Usage, "The request names no call or no status.")
	case h.cfg.foreign(form):
		return fault.New(fault.Refused, "The call is another account's.")
	}
	if status == Completed && machine(form.Get("AnsweredBy")) {
		status = Machine
	}
	if over(status) || status == Machine {
		if err := h.ended(r.Context(), sid, ref, status); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) ended(ctx context.Context, sid, ref, status string) error {
	conversation := Channel + ":" + sid
	if ref != "" && h.parts.Calls != nil {
		o, ok := h.parts.Calls.Opening(ctx, ref)
		if ok && (status == Completed || status == Machine) { // else nobody heard what is open
			h.left(ctx, o.Conversation)
		}
		return h.parts.Calls.Ended(ctx, ref, status)
	}
	h.of(conversation, func(t *talk) { t.over, t.rest = true, "" })
	h.left(ctx, conversation)
	return nil
}

const (
	// lookEvery is how often is looked whether a call goes on, and lookFor how
	// long at most.
	lookEvery = 3 * time.Second
	lookFor   = time.Hour
	// settle is how long an outcome may be on its way into the answer to a message.
	settle = 3 * time.Second
)

// Told is called when the outcome of something was pushed into a conversation.
// Where that was a call or a text message of ours, and nobody hears it there, it
// is sent as a text message. It returns at once.
func (h *Handler) Told(ctx context.Context, conversation string) {
	channel, id, ok := strings.Cut(conversation, ":")
	if !ok || channel != Channel && channel != ChannelSMS {
		return
	}
	ctx = context.WithoutCancel(ctx)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, lookFor)
		defer cancel()
		to := id
		if channel == Channel {
			if to, ok = h.gone(ctx, id); !ok {
				return
			}
		} else if !sleep(ctx, settle) {
			return
		}
		untold, err := h.parts.Engine.Untold(ctx, conversation)
		if err != nil {
			h.log.ErrorContext(ctx, "outcome not read", "conversation", conversation, "err", err)
			return
		}
		for _, r := range untold {
			text := r.Text
			if text == "" {
				text = r.Speech
			}
			h.text(ctx, to, text)
		}
	}()
}

// gone waits until a call is over and returns who had called.
func (h *Handler) gone(ctx context.Context, sid string) (from string, ok bool) {
	for {
		over1 := false
		h.of(Channel+":"+sid, func(t *talk) { over1 = t.over })
		status, from, err := h.parts.Line.Status(ctx, sid)
		switch {
		case err != nil:
			h.log.WarnContext(ctx, "I do not know whether a call goes on", "call", sid, "err", err)
		case over1 || over(status):
			return from, e164.MatchString(from)
		}
		if !sleep(ctx, lookEvery) {
			return "", false
		}
	}
}
