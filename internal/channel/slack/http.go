package slack

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/slack-go/slack"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

const (
	// maxBody is the largest body that is taken: forms come with the whole message.
	maxBody = 1 << 20
	// window is how old what Slack posts may be, or how far ahead its clock.
	window = 5 * time.Minute
	// patience is how long Slack's acknowledgement waits for the answer. Slack wants
	// it within 3 s, and delivers again what it did not get one for.
	patience = 2 * time.Second
)

// Routes registers the webhooks, where Slack posts to the bot.
func (b *Bot) Routes(mux *http.ServeMux) {
	if b.cfg.Mode != HTTP {
		return
	}
	stack := webhook.New(b.log, webhook.MaxBody(maxBody))
	mux.Handle("POST "+PathEvents, stack.Handle(b.signed(b.postedEvent), bearsSignature))
	mux.Handle("POST "+PathCommands, stack.Handle(b.signed(b.postedCommand), bearsSignature))
	mux.Handle("POST "+PathInteractions, stack.Handle(b.signed(b.postedInteraction), bearsSignature))
}

// bearsSignature turns away what has no signature, or not one of now, before anybody
// reads the body that it is over.
func bearsSignature(r *http.Request) error {
	at, err := strconv.ParseInt(r.Header.Get("X-Slack-Request-Timestamp"), 10, 64)
	if r.Header.Get("X-Slack-Signature") == "" || err != nil {
		return webhook.Unauthorized("", "The request is not signed by Slack.", err)
	}
	if d := time.Since(time.Unix(at, 0)); d > window || d < -window {
		return webhook.Unauthorized("", "The request's signature is not of the last five minutes. If it should be, look at this machine's clock.", nil)
	}
	return nil
}

// signed reads the body and hands it on if Slack signed it.
func (b *Bot) signed(h func(w http.ResponseWriter, r *http.Request, body []byte) error) webhook.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := webhook.ReadBody(r)
		if err != nil {
			return err
		}
		v, err := slack.NewSecretsVerifier(r.Header, b.cfg.SigningSecret)
		if err == nil {
			_, err = v.Write(body)
		}
		if err == nil {
			err = v.Ensure()
		}
		if err != nil {
			return webhook.Unauthorized("", "The request's signature is wrong. slack.signing_secret is to be that of the app.", err)
		}
		return h(w, r, body)
	}
}

func (b *Bot) postedEvent(w http.ResponseWriter, r *http.Request, body []byte) error {
	o, err := decodeEvent(body)
	if err != nil {
		return err
	}
	if o.Type == "url_verification" {
		return webhook.WriteJSON(w, http.StatusOK, map[string]string{"challenge": o.Challenge})
	}
	done, err := b.happened(r.Context(), o)
	if err != nil {
		return err
	}
	await(r.Context(), done)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (b *Bot) postedCommand(w http.ResponseWriter, r *http.Request, body []byte) error {
	form, err := formOf(r, body)
	if err != nil {
		return err
	}
	c, err := decodeCommand(form)
	if err != nil {
		return err
	}
	done, err := b.commanded(r.Context(), c)
	if err != nil {
		return err
	}
	await(r.Context(), done)
	w.WriteHeader(http.StatusOK) // with nothing in it: the answer comes by itself
	return nil
}

func (b *Bot) postedInteraction(w http.ResponseWriter, r *http.Request, body []byte) error {
	form, err := formOf(r, body)
	if err != nil {
		return err
	}
	i, err := decodeInteraction([]byte(form.Get("payload")))
	if err != nil {
		return err
	}
	done, err := b.interacted(r.Context(), i)
	if err != nil {
		return err
	}
	if i.Type != slack.InteractionTypeViewSubmission { // a form stays open until this
		await(r.Context(), done)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// formOf reads a form.
func formOf(r *http.Request, body []byte) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, fault.New(fault.Usage, "The request's body is to be a form.")
	}
	form, err := url.ParseQuery(string(body))
	return form, fault.Wrap(err, fault.Usage, "The request's body is not a form.")
}

// await waits for an answer as long as Slack has patience. What takes longer goes on.
func await(ctx context.Context, done <-chan struct{}) {
	if done == nil {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}
