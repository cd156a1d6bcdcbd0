package dialogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

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
	if t.Request.Confirm != "" {
		t.Intent = intents.Intent{Name: "confirm", Slots: intents.Slots{}}
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

// yields reports whether what the platform recognised counts for more than our
// own reading, where it comes first: not where both say the same, of which ours
// knows the names that exist, and not against a no.
func yields(res intents.Result, p intents.Intent) bool {
	return res.Intent != p.Name && res.Intent != "deny" && res.Intent != "cancel"
}

// recognize reads a sentence of a conversation that is in a cluster. Where it
// names clusters that nobody looked at yet, it is read again with their names.
// unknown says which names are missing.
func (e *Engine) recognize(ctx context.Context, text, in string, open intents.Expect) (res intents.Result, inv *intents.Inventory, unknown error) {
	inv, unknown = e.inventory(ctx, []string{in})
	res = e.recognizer.Recognize(text, inv, open)
	named := clusters(intents.Intent{Name: res.Intent, Slots: res.Slots})
	if len(named) == 0 {
		return res, inv, unknown
	}
	was := inv
	if inv, unknown = e.inventory(ctx, named); inv != was {
		res = e.recognizer.Recognize(text, inv, open)
	}
	return res, inv, unknown
}

// clusters are those that an intent names.
func clusters(in intents.Intent) []string {
	out := in.Slots.Strings("cluster")
	for _, s := range in.Slots.Steps() {
		out = append(out, clusters(s)...)
	}
	return out
}

// namesNobody reports an intent that is about a name nobody knows.
func namesNobody(in intents.Intent) bool {
	return in.Slots.Has("unknown_target") || slices.ContainsFunc(in.Slots.Steps(), namesNobody)
}

// supply lets a question, and "roll back", be about what was spoken of last,
// where the sentence names nothing. Any other change asks what it is about.
func (e *Engine) supply(t *Turn) bool {
	in := t.Intent
	if len(t.Session.Targets) == 0 && in.Name == "diagnose" && !in.Slots.Has("unknown_target") && !in.Slots.Has("targets") {
		t.Intent.Slots = maps.Clone(in.Slots) // "what is wrong?": with all there is
		t.Intent.Slots["targets"] = []string{intents.TargetCluster}
		return true
	}
	if len(t.Session.Targets) == 0 || in.Slots.Has("unknown_target") || in.Slots.Has("targets") || e.risk(in) != intents.RiskRead && in.Name != "rollback" {
		return false
	}
	it := intents.TargetIt
	if len(t.Session.Targets) > 1 {
		it = intents.TargetThem
	}
	t.Intent.Slots = maps.Clone(in.Slots)
	t.Intent.Slots["targets"] = []string{it}
	return true
}

// supplyIt lets "uncordon it" be about the node, and "silence it" about the alert,
// that was spoken of last, where nothing else was spoken of since. "Drain" alone
// is not enough of a word for that.
func supplyIt(t *Turn, slot string) bool {
	kind := map[string]string{"node": kindNode, "alert": kindAlert}[slot]
	said := strings.FieldsFunc(strings.ToLower(t.Request.Text), func(r rune) bool { return !unicode.IsLetter(r) })
	it := slices.ContainsFunc([]string{"it", "that", "this"}, func(w string) bool { return slices.Contains(said, w) })
	if o := t.Session.Targets; kind != "" && it && len(o) == 1 && o[0].Kind == kind {
		t.Intent.Slots = maps.Clone(t.Intent.Slots)
		t.Intent.Slots[slot] = o[0].Name
		return true
	}
	return false
}

// What a Target is that is a node or an alert.
const (
	kindNode  = "Node"
	kindAlert = "Alert"
)

// askFor asks for what an intent lacks, which may be a step of the turn's; asked
// is false where it lacks nothing.
func (e *Engine) askFor(t *Turn, in intents.Intent, step int, slot string, inv *intents.Inventory) (r Reply, asked bool, err error) {
	if e.handlers[in.Name] == nil {
		return Reply{}, false, nil
	}
	if u := in.Slots.String("unknown_target"); u != "" {
		r, err = e.askName(t, u, inv)
		delete(in.Slots, "unknown_target")
		slot = "targets"
	} else if slot != "" {
		if r, err = t.Reply("ask."+slot, Data{"Intent": in.Name, "Targets": in.Slots.Targets()}); err == nil {
			r = t.Ask(r, slot, nil)
		}
	}
	if slot == "" || err != nil {
		return Reply{}, false, err
	}
	t.Session.Question.Step = step
	return r, true, nil
}

// risk is what an intent may do.
func (e *Engine) risk(in intents.Intent) intents.Risk {
	spec, _ := e.catalogue.Spec(in.Name)
	return spec.Risk
}

// handle calls the intent's handler. Whatever was asked before is moot once
// something else is being done.
func (e *Engine) handle(ctx context.Context, t *Turn) (Reply, error) {
	h := e.handlers[t.Intent.Name]
	if h == nil && t.Intent.Name == intents.OutOfScope {
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

// NotYet says what was understood of an intent that nothing is done about yet.
func (t *Turn) NotYet() (Reply, error) {
	what, err := t.Want()
	if err != nil {
		return Reply{}, err
	}
	return t.Reply("not_yet", Data{"Speech": what.Speech, "Text": what.Text})
}

// Want words what an intent asks for: "the logs of web", "to drain node-2".
func (t *Turn) Want() (intents.Say, error) {
	in := t.Intent
	var names []string
	for _, n := range in.Slots.Targets() {
		switch n {
		case intents.TargetIt, intents.TargetThem:
			for _, s := range t.Session.Targets {
				names = append(names, s.Name)
			}
		case intents.TargetCluster:
		case intents.TargetAll:
			names = append(names, "everything")
		default:
			names = append(names, n)
		}
	}
	if u := in.Slots.String("unknown_target"); u != "" {
		names = append(names, u)
	}
	for _, slot := range []string{"name", "pod", "node"} {
		if n := in.Slots.String(slot); n != "" {
			names = append(names, n)
		}
	}
	key := "want." + in.Name
	if !slices.Contains(t.catalogue.ReplyKeys(), key) {
		key = "want.other"
	}
	spec, _ := t.catalogue.Spec(in.Name)
	return t.catalogue.Say(key, Data{
		"Names": names, "Metric": strings.ReplaceAll(in.Slots.String("metric"), "_", " "), "Alert": in.Slots.String("alert"), "Help": spec.Help,
	})
}

// missing names the first needed slot that an intent lacks.
func (e *Engine) missing(in intents.Intent) string {
	spec, ok := e.catalogue.Spec(in.Name)
	if !ok {
		return ""
	}
	for _, slot := range spec.Slots {
		if slot.Required && !slot.SaidIn(in.Slots) && !(slot.Name == "targets" && in.Slots.Has("unknown_target")) {
			return slot.Name
		}
	}
	return ""
}

// askName says that nothing is called so, and offers the nearest names.
func (e *Engine) askName(t *Turn, said string, inv *intents.Inventory) (Reply, error) {
	near := e.recognizer.Nearest(said, inv)
	r, err := t.Reply("ask.unknown_target", Data{"Said": said, "Near": near})
	if err != nil {
		return Reply{}, err
	}
	r.Fault = fault.NotFound
	return t.Ask(r, "targets", near), nil
}

// askWhich asks between readings of a sentence that would change something.
func (e *Engine) askWhich(t *Turn, res intents.Result) (Reply, error) {
	var choices []string
	same := true
	for _, c := range append([]intents.Candidate{{Intent: res.Intent, Slots: res.Slots}}, res.Candidates...) {
		same = same && c.Intent == res.Intent && len(c.Slots.Targets()) == 1
		choices = append(choices, strings.Join(c.Slots.Targets(), " and "))
	}
	if !same {
		return Reply{}, fault.New(fault.NotUnderstood, "I can read that in more than one way. Please say it in other words.")
	}
	r, err := t.Reply("ask.which", Data{"Choices": choices})
	if err != nil {
		return Reply{}, err
	}
	r.Fault = fault.Ambiguous
	return t.Ask(r, "targets", choices), nil
}

// spoken is an error as an answer.
func (e *Engine) spoken(req Request, in intents.Intent, err error) Reply {
	say := fault.Say(err)
	return finish(Reply{
		Conversation: req.Conversation, Intent: in.Name, Slots: in.Slots,
		Speech: say, Text: say, Expect: ExpectNone, Outcome: OutcomeNone, Fault: fault.KindOf(err),
	})
}

// harmless drops what could be markup to an engine that reads aloud, or a
// command to a terminal: names and messages of the cluster are strangers' text.
func harmless(s, drop string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || strings.ContainsRune(drop, r) {
			return -1
		}
		return r
	}, s)
}

// finish fills what JSON must not show as null, and makes the words harmless.
func finish(r Reply) Reply {
	r.Speech, r.Text = harmless(r.Speech, "<>&"), harmless(r.Text, "")
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
