package phone

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// linking is a message that makes its sender somebody known.
var linking = regexp.MustCompile(`(?i)^\W*(link|pair|redeem)\b`)

// sms answers a text message. A sender's number can be forged, and what is sent
// stays on the telephone: changes by message are for the configuration to allow.
func (h *Handler) sms(w http.ResponseWriter, r *http.Request) error {
	form, err := h.cfg.verified(r)
	if err != nil {
		return err
	}
	sid, from, body := form.Get("MessageSid"), form.Get("From"), strings.TrimSpace(plain(form.Get("Body")))
	switch {
	case !saneSID.MatchString(sid) || from == "":
		return fault.New(fault.Usage, "The request names no message or no sender.")
	case h.cfg.foreign(form):
		return fault.New(fault.Refused, "The message is another account's.")
	case utf8.RuneCountInString(body) > maxSMS:
		return fault.New(fault.Usage, "The message is too long: at most %d characters are taken.", maxSMS)
	case form.Get("OptOutType") != "" || body == "":
		return writeTwiML(w) // the carrier answers STOP and its like itself
	}
	ctx := r.Context()
	who := access.NewSpeaker(ChannelSMS, from, access.CallerID)
	_, known, err := h.parts.People.Who(ctx, who)
	if err != nil {
		return writeTwiML(w, message{Text: fault.Say(err)})
	}
	if !known && !h.cfg.Unknown && !linking.MatchString(body) {
		if !h.strangers.Allow() {
			return writeTwiML(w) // an answer costs; whoever sends many gets none
		}
		sorry, err := h.parts.Words.Say("phone.stranger.text", nil)
		if err != nil {
			return err
		}
		return writeTwiML(w, message{Text: sorry.Text})
	}
	req := dialogue.Request{
		DeliveryID: ChannelSMS + ":" + sid, Conversation: ChannelSMS + ":" + from, Speaker: who, Text: body, Pull: true, Patience: patience,
	}
	if more.MatchString(body) {
		if rest := h.restOf(req.Conversation); rest != "" {
			return h.write(w, req.Conversation, rest)
		}
	}
	j := h.begin(ctx, req)
	reply, ok := j.wait(ctx, answerWithin)
	if !ok { // the answer comes as a message of its own
		go h.later(context.WithoutCancel(ctx), from, j)
		return writeTwiML(w)
	}
	return h.write(w, req.Conversation, written(reply))
}

// later sends an answer that took too long for the request.
func (h *Handler) later(ctx context.Context, to string, j *job) {
	if r, ok := j.wait(ctx, turnLimit); ok {
		h.text(ctx, to, written(r))
	}
}

// written is a reply as a text message has it.
func written(r dialogue.Reply) string {
	if r.Text != "" {
		return r.Text
	}
	return r.Speech
}

// write answers with a message, cut where it is too long.
func (h *Handler) write(w http.ResponseWriter, conversation, text string) error {
	words, err := h.parts.Words.Say("phone.more.text", nil)
	if err != nil {
		return err
	}
	head, rest := cutAt(plain(text), maxSMS)
	if rest != "" {
		end := " … " + words.Text
		head, rest = cutAt(plain(text), maxSMS-utf8.RuneCountInString(end))
		head += end
	}
	h.of(conversation, func(t *talk) { t.rest = rest })
	return writeTwiML(w, message{Text: head})
}
