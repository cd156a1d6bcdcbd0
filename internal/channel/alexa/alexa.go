// Package alexa is an Alexa custom skill's endpoint: verify that Amazon signed
// the request, make a turn of it, render the answer, and keep talking where the
// work takes longer than Alexa waits.
package alexa

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// Path is where Alexa posts to.
const Path = "/webhooks/alexa"

const (
	channel = "alexa"

	// Alexa gives up after 8 seconds, in which the way there and back is.
	answerLimit = 6500 * time.Millisecond
	// momentAfter is when somebody who waits is told that there will be an answer.
	momentAfter = 2 * time.Second
	// patience is how long an answer waits for the outcome of what it starts.
	patience = 3 * time.Second
	// workLimit is how long a turn may go on that nobody waits for any more.
	workLimit = 2 * time.Minute
	// maxRest is how much of an answer is kept for who wants to hear more of it.
	maxRest = 4000
)

// Config is whose requests are taken.
type Config struct {
	// ApplicationID is the skill's: amzn1.ask.skill.…
	ApplicationID string
	// LinkRequired asks everybody to link their account before anything else.
	LinkRequired bool
}

// responder is what the endpoint needs of the dialogue engine.
type responder interface {
	Respond(ctx context.Context, r dialogue.Request) dialogue.Reply
}

// keeper keeps what could not be said in time; *dialogue.Engine is one. The
// next answer in the conversation begins with it.
type keeper interface {
	Push(ctx context.Context, conversation string, ev dialogue.Event, update func(*dialogue.Session)) error
}

// wording words what only this channel says; *intents.Catalogue is one.
type wording interface {
	Say(key string, data map[string]any) (intents.Say, error)
}

// Names are what may be said now: those that matter most first.
type Names struct{ Workloads, Namespaces []string }

// Parts is what the endpoint works with.
type Parts struct {
	Engine responder
	Later  keeper
	Words  wording
	// Meanings are those of the interaction model that the skill was made from.
	Meanings func() map[string]Meaning
	// Names are told to Alexa when somebody begins to talk; nil for none.
	Names      func(ctx context.Context) Names
	Accounts   Accounts // nil without account linking
	Keys       *Keys
	Directives *Directives
	Now        func() time.Time // the clock that requests are held against
}

// Handler answers Alexa.
type Handler struct {
	Parts
	cfg   Config
	log   *slog.Logger
	stack *webhook.Stack
}

// New returns the endpoint.
func New(cfg Config, parts Parts, log *slog.Logger) (*Handler, error) {
	switch {
	case !strings.HasPrefix(cfg.ApplicationID, "amzn1.ask.skill.") || !usable(cfg.ApplicationID):
		return nil, fault.New(fault.Usage, "The application id of an Alexa skill is amzn1.ask.skill.…; the developer console shows it as the skill's id.")
	case cfg.LinkRequired && parts.Accounts == nil:
		return nil, fault.New(fault.Usage, "Accounts must be linked, and nobody can tell whose they are: name the issuer too.")
	}
	return &Handler{Parts: parts, cfg: cfg, log: log, stack: webhook.New(log, webhook.Deadline(answerLimit+time.Second))}, nil
}

// Routes registers the endpoint.
func (h *Handler) Routes(mux *http.ServeMux) {
	mux.Handle("POST "+Path, h.stack.Handle(h.serve, func(r *http.Request) error {
		_, err := headers(r.Header) // what can be refused before the body is read
		return err
	}))
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	begun := time.Now()
	s, err := headers(r.Header)
	if err != nil {
		return err
	}
	body, err := webhook.ReadBody(r)
	if err != nil {
		return err
	}
	if err := h.Keys.verify(r.Context(), s, body); err != nil {
		return err
	}
	in, err := decode(body, h.cfg.ApplicationID, h.Now())
	if err != nil {
		return err
	}
	b, err := h.answer(r.Context(), in, begun)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err = w.Write(b)
	return err
}

// answer is the answer to a request that is Amazon's and meant for us.
func (h *Handler) answer(ctx context.Context, in request, begun time.Time) ([]byte, error) {
	switch {
	case in.kind == ended:
		h.log.InfoContext(ctx, "alexa session ended", "reason", in.reason)
		return quiet(false)
	case in.kind == trouble:
		h.log.WarnContext(ctx, "alexa could not use an answer", "error", in.reason)
		return quiet(false)
	case in.kind == homeward:
		return quiet(true)
	case !strings.HasPrefix(in.locale, "en-"):
		return h.say("alexa.locale")
	case (in.known.Else || in.known.Rest != "") && leaves(in.name):
		return h.say("alexa.goodbye")
	case in.known.Rest != "" && goesOn(in):
		return h.render(in, dialogue.Reply{Speech: in.known.Rest, Expect: dialogue.ExpectNone}, Names{})
	}
	speaker, err := h.speaker(ctx, in)
	switch {
	case errors.Is(err, errUnlinked):
		return h.link("alexa.link")
	case fault.KindOf(err) == fault.Refused:
		h.log.InfoContext(ctx, "linked account not taken", "err", err)
		return h.link("alexa.link_again")
	case err != nil:
		h.log.ErrorContext(ctx, "linked account not found out", "err", err)
		return answer{speech: fault.Say(err)}.render()
	}
	text, meant := "hello", (*intents.Intent)(nil)
	if in.kind == intent && !(in.fresh && in.name == "AMAZON.YesIntent") {
		text, meant = understand(h.Meanings(), in.name, in.slots)
	} // a yes to what was read in a session before is none: what waits is read first
	req := dialogue.Request{
		DeliveryID: channel + ":" + in.id, Conversation: channel + ":" + in.user.ID,
		Speaker: speaker, Text: text, Intent: meant, Pull: true, Patience: patience,
	}
	reply, ok := h.turn(ctx, in, req, begun)
	if !ok {
		return h.say("alexa.still")
	}
	var names Names
	if h.Names != nil && (in.fresh || in.kind == launch) {
		names = h.Names(ctx)
	}
	return h.render(in, reply, names)
}

// goesOn reports a yes to going on with an answer, or a wish for it.
func goesOn(in request) bool {
	if in.name == anything {
		said := strings.Trim(strings.ToLower(in.slots[anythingSlot]), " .!?")
		return said == "more" || said == "tell me more" || said == "go on" || said == "the rest"
	}
	return in.name == "AMAZON.YesIntent" || in.name == "AMAZON.MoreIntent"
}

// leaves reports a no to "anything else?", or to going on.
func leaves(name string) bool {
	return name == "AMAZON.NoIntent" || name == "AMAZON.StopIntent" || name == "AMAZON.CancelIntent"
}

// turn lets the engine answer. What does not come in time goes on without
// anybody waiting, and is told first in the next answer; ok is false then.
func (h *Handler) turn(ctx context.Context, in request, req dialogue.Request, begun time.Time) (r dialogue.Reply, ok bool) {
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), workLimit)
	done := make(chan dialogue.Reply, 1)
	go func() {
		defer cancel()
		done <- h.Engine.Respond(work, req)
	}()
	moment := time.NewTimer(momentAfter - time.Since(begun))
	defer moment.Stop()
	limit := time.NewTimer(answerLimit - time.Since(begun))
	defer limit.Stop()
	for {
		select {
		case r = <-done:
			return r, true
		case <-moment.C:
			go h.moment(context.WithoutCancel(ctx), in)
		case <-limit.C:
			go h.keep(context.WithoutCancel(ctx), req, done)
			return dialogue.Reply{}, false
		}
	}
}

// moment says that there will be an answer. It is a courtesy: what goes wrong
// with it is only logged.
func (h *Handler) moment(ctx context.Context, in request) {
	if in.token == "" {
		return
	}
	w, err := h.Words.Say("alexa.moment", nil)
	if err == nil {
		err = h.Directives.speak(ctx, in, w.Speech)
	}
	if err != nil {
		h.log.WarnContext(ctx, "progressive response", "err", err)
	}
}

// keep waits for an answer that comes too late, and leaves it to be told.
func (h *Handler) keep(ctx context.Context, req dialogue.Request, done <-chan dialogue.Reply) {
	r := <-done
	if r.Private {
		return // its words are given once, and nobody listens
	}
	ev := dialogue.Event{Kind: dialogue.EventOutcome, Action: req.DeliveryID, Reply: r}
	if err := h.Later.Push(ctx, req.Conversation, ev, nil); err != nil {
		h.log.ErrorContext(ctx, "late answer not kept", "conversation", req.Conversation, "err", err)
	}
}

// say is an answer of this channel's own, after which the session is over.
func (h *Handler) say(key string) ([]byte, error) {
	w, err := h.Words.Say(key, nil)
	if err != nil {
		return nil, err
	}
	return answer{speech: w.Speech}.render()
}

// link asks for an account.
func (h *Handler) link(key string) ([]byte, error) {
	w, err := h.Words.Say(key, nil)
	if err != nil {
		return nil, err
	}
	return answer{speech: w.Speech, link: true}.render()
}

// render makes an answer of a reply. The session stays open while something is
// asked; where the skill was opened to talk, it is asked for what else there is.
func (h *Handler) render(in request, r dialogue.Reply, names Names) ([]byte, error) {
	a := answer{names: names, speech: r.Speech, text: forTheEye(r), known: attributes{Talk: in.known.Talk || in.kind == launch}}
	if a.speech == "" {
		a.speech = r.Text
	}
	if r.Expect == dialogue.ExpectNone || r.Expect == "" { // what somebody is asked for is said whole
		a.speech, a.known.Rest = speech.Brief(a.speech, speech.Brevity)
		a.known.Rest = cutText(a.known.Rest, maxRest)
	}
	key := ""
	switch r.Expect {
	case dialogue.ExpectConfirm:
		key = "alexa.ask.confirm"
	case dialogue.ExpectPIN:
		key = "alexa.ask.pin"
	case dialogue.ExpectChoice:
		key = "alexa.ask.choice"
	case dialogue.ExpectNone, dialogue.ExpectApproval, "":
		switch {
		case a.known.Rest != "":
			key = "alexa.ask.more"
		case in.kind == launch:
			key = "alexa.ask.what"
		case in.name == "AMAZON.HelpIntent", in.name == "AMAZON.FallbackIntent", r.Fault == fault.NotUnderstood:
			key = "alexa.ask.what"
		case a.known.Talk && r.Intent != "cancel" && r.Intent != "thanks":
			key, a.known.Else = "alexa.ask.else", true
		}
	default:
		key = "alexa.ask.slot"
	}
	if key == "" {
		return a.render()
	}
	w, err := h.Words.Say(key, nil)
	if err != nil {
		return nil, err
	}
	a.question = w.Speech
	a.elicit = in.kind == intent && (key == "alexa.ask.pin" || key == "alexa.ask.choice" || key == "alexa.ask.slot")
	return a.render()
}
