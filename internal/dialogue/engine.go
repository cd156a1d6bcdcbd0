package dialogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Store keeps sessions, answers and outcomes. Sessions and answers are bytes
// to it. Each call is one transaction.
type Store interface {
	// LoadTurn returns the session of a conversation and the answer that was
	// given to a delivery; nil for what there is not.
	LoadTurn(ctx context.Context, conversation, deliveryID string) (session, answer []byte, err error)
	// SaveTurn keeps the session, and the answer under the delivery id if that is
	// not "". kept is false, and nothing is, where another process took the
	// delivery over.
	SaveTurn(ctx context.Context, conversation string, session []byte, deliveryID string, answer []byte) (kept bool, err error)
	// LockConversation keeps other processes from answering in a conversation
	// until unlock, where there can be any.
	LockConversation(ctx context.Context, conversation string) (unlock func(), err error)
	// ClaimDelivery reports whether this process may handle a delivery: nobody
	// answered it, and nobody else is about to. The conversation is locked.
	ClaimDelivery(ctx context.Context, deliveryID string) (claimed bool, err error)
	// AppendEvent keeps an event and the session with it. A key seen before
	// changes nothing: fresh is false and seq that of the first.
	AppendEvent(ctx context.Context, conversation, key string, event, session []byte) (seq int64, fresh bool, err error)
	// EventsAfter calls f with the kept events of a conversation, oldest first.
	EventsAfter(ctx context.Context, conversation string, after int64, f func(seq int64, event []byte) error) error
}

// Recognizer understands a sentence; *intents.Recognizer is one.
type Recognizer interface {
	Recognize(text string, inv *intents.Inventory, open intents.Expect) intents.Result
	Nearest(name string, inv *intents.Inventory) []string
	// MayAct reports whether a sentence could ask for a change at all.
	MayAct(text string, inv *intents.Inventory) bool
}

// Engine runs conversations: different ones in parallel, each one in order.
type Engine struct {
	catalogue  *intents.Catalogue
	recognizer Recognizer
	inventory  Inventory
	store      Store
	handlers   map[string]Handler
	hub        *Hub
	listener   Listener
	fallback   Fallback // nil: what the recogniser does not understand is not understood
	log        *slog.Logger
	locks      keyedMutex
}

// Inventory gives the names that exist now: those that are known, and those of
// the clusters that are named, which may have to be looked at first ("" is the
// home cluster, "*" all). It gives what there is also with an error, which says of which
// cluster the names are missing.
type Inventory func(ctx context.Context, clusters []string) (*intents.Inventory, error)

// NewEngine returns an engine. inventory is called once a turn, and again where
// the sentence names clusters; handlers maps intent names to what they do; listener
// may be nil.
func NewEngine(c *intents.Catalogue, r Recognizer, inventory Inventory, store Store,
	handlers map[string]Handler, hub *Hub, listener Listener, log *slog.Logger,
) *Engine {
	return &Engine{
		catalogue: c, recognizer: r, inventory: inventory, store: store, handlers: handlers, hub: hub, listener: listener, log: log,
		locks: keyedMutex{m: map[string]*keyLock{}},
	}
}

// Turn is one turn while it is handled.
type Turn struct {
	Request Request
	Intent  intents.Intent
	Session *Session
	// Secret is the PIN or code that was said, which stands nowhere else.
	Secret access.Hidden

	catalogue *intents.Catalogue
	heard     Heard
	guess     bool // this turn was understood by the fall-back
}

// NewTurn returns a turn that no channel took: what was asked for and is
// answered later.
func NewTurn(c *intents.Catalogue, req Request, s *Session, in intents.Intent) *Turn {
	return &Turn{Request: req, Intent: in, Session: s, catalogue: c}
}

// As returns the turn as if another intent had been said, in a session of its own.
func (t *Turn) As(in intents.Intent, s *Session) *Turn { return NewTurn(t.catalogue, t.Request, s, in) }

// Data fills the blanks of a reply.
type Data = map[string]any

// Reply words an answer from the catalogue.
func (t *Turn) Reply(key string, data Data) (Reply, error) { return Word(t.catalogue, key, data) }

// Word words an answer from the catalogue.
func Word(c *intents.Catalogue, key string, data Data) (Reply, error) {
	s, err := c.Say(key, data)
	if err != nil {
		return Reply{}, fmt.Errorf("dialogue: wording %s: %w", key, err)
	}
	return Reply{Speech: s.Speech, Text: s.Text, Expect: ExpectNone, Outcome: OutcomeNone}, nil
}

// Ask makes the reply a question whose answer fills a slot of the turn's intent.
func (t *Turn) Ask(r Reply, slot string, choices []string) Reply {
	t.Session.Question = &Question{Intent: t.Intent, Slot: slot, Choices: choices}
	r.Expect, r.Choices = slot, choices
	if len(choices) > 0 {
		r.Expect = ExpectChoice
	}
	return r
}

// Respond answers a turn. It never fails: errors become speech.
func (e *Engine) Respond(ctx context.Context, req Request) Reply {
	// Before the turn, so that an outcome that comes at once is not missed.
	var sub *Subscription
	if req.Patience > 0 {
		sub = e.hub.Subscribe(req.Conversation)
		defer sub.Close()
	}
	r, s, repeated, err := e.turn(ctx, req)
	if err != nil {
		e.log.ErrorContext(ctx, "turn failed", "conversation", req.Conversation, "err", err)
		return e.spoken(req, intents.Intent{Name: intents.OutOfScope}, err)
	}
	if sub == nil || repeated || r.Outcome != OutcomePending || r.Proposal == nil || s.LastAction != r.Proposal.ID {
		return r
	}
	return e.await(ctx, req, r, sub)
}

// turn handles a request under the conversation's lock.
func (e *Engine) turn(ctx context.Context, req Request) (Reply, *Session, bool, error) {
	unlock, err := e.lock(ctx, req.Conversation)
	if err != nil {
		return Reply{}, nil, false, err
	}
	defer unlock()
	s, answered, err := e.claim(ctx, req)
	if err != nil {
		return Reply{}, nil, false, err
	}
	if answered != nil {
		return *answered, s, true, nil
	}
	t := NewTurn(e.catalogue, req, s, intents.Intent{})
	was, choice, question, pending := slices.Clone(s.Targets), s.Choice, s.Question, s.Pending
	r, err := e.answer(ctx, t)
	if err != nil {
		if k := fault.KindOf(err); k == fault.Internal || k == fault.Unavailable {
			e.log.ErrorContext(ctx, "intent failed", "conversation", req.Conversation, "intent", t.Intent.Name, "err", err)
		} else {
			e.log.InfoContext(ctx, "intent refused", "conversation", req.Conversation, "intent", t.Intent.Name, "err", err)
		}
		r = e.spoken(req, t.Intent, err)
	}
	if r, err = t.asGuess(r); err != nil {
		return Reply{}, nil, false, err
	}
	s.moveOn(was, choice)
	if s.Question != nil && s.Question != question && s.Pending == pending && e.risk(s.Question.Intent) == intents.RiskWrite {
		s.drop() // a yes would be one to what is asked now
	}
	r.Conversation, r.Intent, r.Slots = req.Conversation, t.Intent.Name, t.Intent.Slots
	r = finish(r)
	if t.Intent.Name != "thanks" && t.Intent.Name != "repeat" {
		s.LastOutcome = r.Outcome
		if r.Fault != "" {
			s.LastOutcome = OutcomeFailed
		}
		plain, err := e.kept(r)
		if err != nil {
			return Reply{}, nil, false, err
		}
		s.LastReply = &plain
	}
	if req.Pull {
		if r, err = e.news(ctx, s, r); err != nil {
			return Reply{}, nil, false, err
		}
	}
	if r, err = e.remind(t, r, pending); err != nil {
		return Reply{}, nil, false, err
	}
	keep, err := e.kept(r)
	if err != nil {
		return Reply{}, nil, false, err
	}
	if e.listener != nil {
		t.heard.Request, t.heard.Reply = t.Request, keep // the turn's own: it has no secret in it
		e.listener.Listen(ctx, t.heard)
	}
	if err := e.save(ctx, req, s, finish(keep)); !errors.Is(err, errTaken) {
		return finish(r), s, false, err
	}
	// Whoever took it over answers: what is done is done once all the same.
	if s, answered, err = e.claim(ctx, req); err == nil && answered == nil {
		err = fault.Wrap(errTaken, fault.Unavailable, "I lost what was just said. Please say it again.")
	}
	if err != nil {
		return Reply{}, nil, false, err
	}
	return *answered, s, true, nil
}

// kept is an answer as it may be remembered, and given again.
func (e *Engine) kept(r Reply) (Reply, error) {
	if !r.Private {
		return r, nil
	}
	w, err := Word(e.catalogue, "private", nil)
	if err != nil {
		return r, err
	}
	r.Private, r.Speech, r.Text, r.Blocks = false, w.Speech, w.Text, nil
	return finish(r), nil
}

// remind ends an answer with word of the proposal that was open before and
// still is: whatever else was said left it as it was.
func (e *Engine) remind(t *Turn, r Reply, pending string) (Reply, error) {
	s := t.Session
	said := slices.Contains([]string{"deny", "cancel", "repeat", "help"}, t.Intent.Name) || t.Intent.Name == "confirm" && r.Fault == ""
	if said || r.Expect != ExpectNone && r.Expect != "" || s.Pending != pending || !s.WaitingFor(t.Request.Speaker) {
		return r, nil
	}
	w, err := t.Reply("confirm.waiting", Data{"Speech": s.PendingAbout.Speech, "Text": s.PendingAbout.Text})
	if err != nil {
		return r, err
	}
	r.Speech, r.Text, r.Expect = r.Speech+" "+w.Speech, r.Text+"\n"+w.Text, ExpectConfirm
	if s.PendingReply != nil {
		r.Proposal = s.PendingReply.Proposal
	}
	return r, nil
}

// answer finds out what is wanted and lets its handler do it.
func (e *Engine) answer(ctx context.Context, t *Turn) (Reply, error) {
	if r, done, err := e.unsure(t); done || err != nil {
		return r, err
	}
	if button, _ := t.Request.Button(); button != "" {
		t.Intent = intents.Intent{Name: button, Slots: intents.Slots{}}
		return e.handle(ctx, t)
	}
	if r, ok, err := e.secret(ctx, t); ok || err != nil {
		return r, err
	}
	open := t.Session.expect()
	res, inv, unknown := e.recognize(ctx, t.Request.Text, t.Session.Cluster, open)
	t.heard = Heard{Open: open, Read: intents.Intent{Name: res.Intent, Slots: maps.Clone(res.Slots)}, Inventory: inv}
	t.Intent = intents.Intent{Name: res.Intent, Slots: res.Slots}
	if t.Intent.Slots == nil {
		t.Intent.Slots = intents.Slots{}
	}
	if code, ok := t.Intent.Slots.Number("code"); ok && t.Intent.Name == "link" {
		t.hush() // said with more around it than linkCode takes
		t.Secret, t.Intent.Slots = access.Hidden(fmt.Sprintf("%08.0f", code)), intents.Slots{}
	}
	if p := t.Request.Intent; p != nil && e.handlers[p.Name] != nil && (res.Intent == intents.OutOfScope || t.Request.IntentFirst && yields(res, *p)) {
		t.Intent, res = *p, intents.Result{Intent: p.Name, Slots: p.Slots, Ask: e.missing(*p)}
	}
	if in, ok := e.guess(ctx, t, inv); ok {
		t.Intent, res = in, intents.Result{Intent: in.Name, Slots: in.Slots, Ask: e.missing(in)}
	}
	if err := refer(t.Session, &t.Intent); err != nil {
		return Reply{}, err
	}
	completed, err := e.complete(t)
	if err != nil {
		return Reply{}, err
	}
	if completed || e.again(t) {
		res.Ask = e.missing(t.Intent)
	}
	if unknown != nil && namesNobody(t.Intent) {
		return Reply{}, unknown // it may well be there
	}
	if res.Ask == "targets" && e.supply(t) || supplyIt(t, res.Ask) {
		res.Ask = e.missing(t.Intent)
	}
	if e.handlers[t.Intent.Name] == nil {
		return e.handle(ctx, t) // no use in asking what is missing
	}
	if e.risk(t.Intent) == intents.RiskWrite && len(res.Candidates) > 0 {
		return e.askWhich(t, res)
	}
	if steps := t.Intent.Slots.Steps(); t.Intent.Name == "chain" {
		if slices.ContainsFunc(steps, func(s intents.Intent) bool { return e.handlers[s.Name] == nil }) {
			return e.handle(ctx, t)
		}
		for i, step := range steps {
			if r, asked, err := e.askFor(t, step, i+1, e.missing(step), inv); asked || err != nil {
				return r, err
			}
		}
	} else if r, asked, err := e.askFor(t, t.Intent, 0, res.Ask, inv); asked || err != nil {
		return r, err
	}
	return e.handle(ctx, t)
}

// What a Target is that is a node or an alert.
const (
	kindNode  = "Node"
	kindAlert = "Alert"
)

// handle calls the intent's handler. Whatever was asked before is moot once
// something else is being done.
func (e *Engine) handle(ctx context.Context, t *Turn) (Reply, error) {
	if err := t.agrees(); err != nil {
		return Reply{}, err
	}
	h := e.handlers[t.Intent.Name]
	if h == nil && t.Intent.Name == intents.OutOfScope {
		if err := misfit(t.Request.Text, func() []string { return t.heard.Inventory.Data().Nodes }); err != nil {
			return Reply{}, err
		}
		return Reply{}, fault.New(fault.NotUnderstood, "I did not understand that. Say “help” for what I can do.")
	}
	if t.Intent.Name != "repeat" && t.Intent.Name != "help" && t.Intent.Name != "thanks" {
		t.Session.Question = nil
	}
	var r Reply
	var err error
	if h == nil {
		r, err = t.NotYet()
	} else {
		r, err = h.Handle(ctx, t)
	}
	if err != nil {
		return r, err
	}
	if ns := t.Intent.Slots.String("namespace"); ns != "" {
		t.Session.Namespace = ns
	}
	if c, ok := t.Intent.Slots["cluster"].(string); ok && c != "*" {
		t.Session.There = c
	}
	if e.risk(t.Intent) == intents.RiskRead {
		in := t.Intent
		t.Session.LastRead, t.Session.ReadLast = &in, true
	}
	return r, nil
}

// spoken is an error as an answer.
func (e *Engine) spoken(req Request, in intents.Intent, err error) Reply {
	say := fault.Say(err)
	return finish(Reply{
		Conversation: req.Conversation, Intent: in.Name, Slots: in.Slots,
		Speech: say, Text: say, Expect: ExpectNone, Outcome: OutcomeNone, Fault: fault.KindOf(err),
	})
}

// finish fills what JSON must not show as null, and makes the words harmless.
func finish(r Reply) Reply {
	r.Speech, r.Text = harmless(r.Speech, "<>&"), harmless(r.Text, "")
	r.Blocks = harmlessBlocks(r.Blocks)
	if r.Slots == nil {
		r.Slots = intents.Slots{}
	}
	if r.Blocks == nil {
		r.Blocks = []Block{}
	}
	if r.Expect == "" {
		r.Expect = ExpectNone
	}
	if r.Outcome == "" {
		r.Outcome = OutcomeNone
	}
	return r
}

func (e *Engine) load(ctx context.Context, conversation, delivery string) (*Session, *Reply, error) {
	sb, ab, err := e.store.LoadTurn(ctx, conversation, delivery)
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.Unavailable, "I cannot read my own memory right now. Please try again.")
	}
	var s Session
	if sb != nil {
		if err := json.Unmarshal(sb, &s); err != nil {
			return nil, nil, fmt.Errorf("dialogue: stored session: %w", err)
		}
		s = s.fresh(time.Now())
	}
	if ab == nil {
		return &s, nil, nil
	}
	var r Reply
	if err := json.Unmarshal(ab, &r); err != nil {
		return nil, nil, fmt.Errorf("dialogue: stored answer: %w", err)
	}
	return &s, &r, nil
}

func (e *Engine) save(ctx context.Context, req Request, s *Session, r Reply) error {
	s.Updated = time.Now()
	sb, err := json.Marshal(s)
	if err != nil {
		return err
	}
	ab, err := json.Marshal(r)
	if err != nil {
		return err
	}
	// A turn that was handled is remembered even if whoever asked has hung up.
	kept, err := e.store.SaveTurn(context.WithoutCancel(ctx), req.Conversation, sb, req.DeliveryID, ab)
	if err == nil && !kept {
		return errTaken
	}
	return fault.Wrap(err, fault.Unavailable, "I could not note down what was just said. Ask me how it is going before you say it again.")
}

// ErrNoSuchIntent is wrapped by CheckHandlers.
var ErrNoSuchIntent = errors.New("no such intent in the catalogue")

// CheckHandlers reports a handler whose intent the catalogue does not know.
func CheckHandlers(c *intents.Catalogue, handlers map[string]Handler) error {
	for name := range handlers {
		if _, ok := c.Spec(name); !ok {
			return fmt.Errorf("handler %q: %w", name, ErrNoSuchIntent)
		}
	}
	return nil
}
