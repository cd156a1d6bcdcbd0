package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// talk is what is still to be done in a conversation. Room.mu guards it.
type talk struct {
	conversation string
	at           Address
	working      bool
	queue        []job
	look         bool // an outcome was told
	progress     []dialogue.Event
	edited       time.Time
	tries        int       // of posting outcomes
	again        time.Time // when that is tried again
}

// job is a delivery that waits for its answer.
type job struct {
	in   Incoming
	done chan struct{}
}

// news notes how a change goes: of each, the newest counts.
func (t *talk) news(ev dialogue.Event) {
	i := slices.IndexFunc(t.progress, func(p dialogue.Event) bool { return p.Action == ev.Action })
	if i < 0 {
		t.progress = append(t.progress, ev)
		return
	}
	t.progress[i] = ev
}

// next is what a talk's worker does now: outcomes before what was said after them, and
// progress before both, so that none of it stands below its end.
func (r *Room) next(t *talk) (do func(context.Context), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, wait := time.Now(), time.Duration(0)
	later := func(at time.Time) bool {
		if d := at.Sub(now); d > 0 {
			if wait == 0 || d < wait {
				wait = d
			}
			return true
		}
		return false
	}
	switch {
	case r.work == nil: // stopping: what is left is left to the next process
		t.working = false
		return nil, false
	case len(t.progress) > 0 && (t.look || !later(t.edited.Add(r.opt.EditEvery))):
		ev := t.progress[0]
		t.progress, t.edited = t.progress[1:], now
		return func(ctx context.Context) { r.narrate(ctx, t, ev) }, true
	case t.look && !later(t.again):
		t.look = false
		return func(ctx context.Context) { r.outcomes(ctx, t) }, true
	case len(t.queue) > 0:
		j, full := t.queue[0], len(t.queue) > maxWaiting
		t.queue = t.queue[1:]
		return func(ctx context.Context) { r.answer(ctx, t, j, full) }, true
	}
	t.working = false
	if later(t.edited.Add(r.opt.EditEvery)) || wait > 0 { // also only to know when was edited
		time.AfterFunc(wait, func() { r.at(t.conversation, func(*talk) {}) })
		return nil, false
	}
	delete(r.talks, t.conversation)
	return nil, false
}

// look works off what is to be done in a talk.
func (r *Room) look(ctx context.Context, t *talk) {
	for {
		do, ok := r.next(t)
		if !ok {
			return
		}
		r.slots <- struct{}{}
		do(ctx)
		<-r.slots
	}
}

// answer answers what somebody said, and posts it.
func (r *Room) answer(ctx context.Context, t *talk, j job, full bool) {
	m, err := r.turn(ctx, t, j.in, full)
	if err == nil {
		err = r.give(ctx, j.in, m)
	}
	if err != nil {
		r.log.ErrorContext(ctx, "an answer does not stand in the chat", "chat", r.name, "conversation", t.conversation, "err", err)
		r.mu.Lock()
		delete(r.taken, j.in.Delivery) // if it comes again, it is tried again
		r.mu.Unlock()
		if !errors.Is(err, ErrGone) {
			return
		}
	}
	close(j.done)
}

// turn is the answer to what somebody said.
func (r *Room) turn(ctx context.Context, t *talk, in Incoming, full bool) (Message, error) {
	if b, ok := r.platform.(Busy); ok {
		shown := time.AfterFunc(busyAfter, func() { b.Busy(ctx, t.at) })
		defer shown.Stop()
	}
	m := Message{Kind: Answer, For: in.Speaker, Name: in.Delivery}
	req := dialogue.Request{
		DeliveryID: in.Delivery, Conversation: t.conversation, Speaker: in.Speaker, Text: in.Text,
		Confirm: in.Press.Confirm, Deny: in.Press.Deny, Approve: in.Press.Approve,
	}
	if in.Press.Text != "" {
		req.Text = in.Press.Text
	}
	if in.Audio != nil {
		heard, err := r.hear(ctx, t, in)
		if err != nil {
			m.Reply = say(t.conversation, err)
			return m, nil
		}
		req.Text, req.Unsure, m.Heard = heard.Text, !heard.Sure(), heard.Text
	}
	if full {
		m.Reply = say(t.conversation, fault.New(fault.Unavailable, "There is more waiting here than I can take. Please say that again in a minute."))
		return m, nil
	}
	m.Reply = r.engine.Respond(ctx, req)
	m.Buttons = Buttons(m.Reply)
	return m, nil
}

// say is an error as an answer.
func say(conversation string, err error) dialogue.Reply {
	s := fault.Say(err)
	return dialogue.Reply{Conversation: conversation, Speech: s, Text: s, Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone, Fault: fault.KindOf(err)}
}

// hear is what somebody said in a recording.
func (r *Room) hear(ctx context.Context, t *talk, in Incoming) (speech.Heard, error) {
	if r.opt.Ears == nil {
		return speech.Heard{}, fault.New(fault.Usage, "I cannot listen to recordings here. Please type it.")
	}
	a, err := in.Audio(ctx)
	if err != nil {
		return speech.Heard{}, err
	}
	var h speech.Hints
	if r.opt.Hints != nil {
		h = r.opt.Hints(ctx)
	}
	if h.Question, err = r.engine.Asked(ctx, t.conversation); err != nil {
		return speech.Heard{}, err
	}
	return r.opt.Ears.Recognize(ctx, a, h)
}

// How often an answer is tried, and the first wait between two tries.
const (
	giveTries = 4
	giveWait  = time.Second
)

// give posts an answer, once for its delivery.
func (r *Room) give(ctx context.Context, in Incoming, m Message) error {
	if in.Delivery != "" {
		switch claimed, err := r.books.ClaimPost(ctx, in.Delivery); {
		case err != nil:
			return err
		case !claimed:
			return nil
		}
	}
	post := in.Answer
	if post == nil {
		post = func(ctx context.Context, m Message) (string, error) { return r.platform.Post(ctx, in.At, m) }
	}
	starts := m.Reply.Outcome == dialogue.OutcomePending && m.Reply.Proposal != nil && m.Reply.Expect == dialogue.ExpectNone
	if starts {
		r.mu.Lock()
		if len(r.asked) >= maxAsked { // of those that ended elsewhere, nobody here was told
			clear(r.asked)
		}
		r.asked[m.Reply.Proposal.ID] = in.Speaker.ID
		r.mu.Unlock()
	}
	var id string
	err := retry(ctx, func() (err error) {
		id, err = post(ctx, m)
		return err
	})
	if err != nil {
		return err
	}
	if starts && id != "" && !m.Reply.Private {
		if err := r.books.KeepPosted(ctx, narrates(m.Reply.Proposal.ID), id); err != nil {
			return err
		}
	}
	if in.Delivery == "" {
		return nil
	}
	return r.books.KeepPosted(ctx, in.Delivery, orNone(id))
}

// narrates names the message that says how an action goes.
func narrates(action string) string { return "narrates:" + action }

func orNone(id string) string {
	if id == "" {
		return none
	}
	return id
}

// retry tries a few times, unless it is of no use.
func retry(ctx context.Context, try func() error) (err error) {
	wait := giveWait
	for n := range giveTries {
		if err = try(); err == nil || errors.Is(err, ErrGone) || n == giveTries-1 {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
		wait *= 2
	}
	return err
}

// narrate says how a change goes, in the message that says it already. It may be lost:
// the next one says more.
func (r *Room) narrate(ctx context.Context, t *talk, ev dialogue.Event) {
	m := Message{Kind: Progress, Reply: ev.Reply, Name: narrates(ev.Action)}
	id, err := r.books.Posted(ctx, narrates(ev.Action))
	if err == nil && id != "" {
		if err = r.platform.Edit(ctx, t.at, id, m); errors.Is(err, ErrGone) {
			id, err = "", nil // somebody deleted it
		}
	}
	if err == nil && id == "" {
		if id, err = r.platform.Post(ctx, t.at, m); err == nil && id != "" {
			err = r.books.KeepPosted(ctx, narrates(ev.Action), id)
		}
	}
	if err != nil {
		r.log.InfoContext(ctx, "how it goes is not told", "chat", r.name, "conversation", t.conversation, "err", err)
	}
}

// The waits between two tries to post an outcome.
const (
	firstWait = time.Second
	lastWait  = time.Minute
)

// outcomes posts what was told and does not stand in the chat yet, each once. What
// cannot be posted now is tried again.
func (r *Room) outcomes(ctx context.Context, t *talk) {
	err := r.tell(ctx, t)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		t.tries = 0
		return
	}
	r.log.WarnContext(ctx, "an outcome does not stand in the chat yet", "chat", r.name, "conversation", t.conversation, "err", err)
	wait := min(firstWait<<min(t.tries, 10), lastWait)
	t.tries++
	t.look, t.again = true, time.Now().Add(wait)
}

func (r *Room) tell(ctx context.Context, t *talk) error {
	events, err := r.engine.Unheard(ctx, t.conversation)
	if err != nil {
		return err
	}
	for _, ev := range events {
		name := fmt.Sprintf("outcome:%s:%d", t.conversation, ev.Seq)
		claimed, err := r.books.ClaimPost(ctx, name)
		if err != nil {
			return err
		}
		if !claimed {
			switch id, err := r.books.Posted(ctx, name); {
			case err != nil:
				return err
			case id == "":
				return errors.New("another process is about to")
			}
		} else if err := r.post(ctx, t, ev, name); err != nil {
			return err
		}
		if err := r.engine.Heard(ctx, t.conversation, ev.Seq); err != nil {
			return err
		}
	}
	return nil
}

// post posts an outcome. Where nobody is left to read it, that is that.
func (r *Room) post(ctx context.Context, t *talk, ev dialogue.Event, name string) error {
	r.mu.Lock()
	who := r.asked[ev.Action]
	delete(r.asked, ev.Action)
	r.mu.Unlock()
	m := Message{Kind: Outcome, Reply: ev.Reply, Buttons: Buttons(ev.Reply), Mention: who, Name: name}
	at, begin, err := r.topic(ctx, t, ev)
	if err != nil {
		return err
	}
	id, err := r.platform.Post(ctx, at, m)
	if errors.Is(err, ErrGone) && at != t.at { // somebody deleted what the thread hung on
		begin = func(id string) error { return r.began(ctx, t, ev, id) }
		id, err = r.platform.Post(ctx, t.at, m)
	}
	if err == nil {
		err = begin(id)
	}
	if errors.Is(err, ErrGone) {
		r.log.WarnContext(ctx, "an outcome has nowhere to stand", "chat", r.name, "conversation", t.conversation, "err", err)
		err = nil
	}
	if err != nil {
		if who != "" {
			r.mu.Lock()
			r.asked[ev.Action] = who
			r.mu.Unlock()
		}
		return err
	}
	return r.books.KeepPosted(ctx, name, orNone(id))
}

// topic is where an event is posted that belongs to others: below the first of them. begin
// is told what the event was posted as.
func (r *Room) topic(ctx context.Context, t *talk, ev dialogue.Event) (at Address, begin func(id string) error, err error) {
	threads, ok := r.platform.(Threads)
	if ev.Topic == "" || t.at.Thread != "" || !ok {
		return t.at, func(string) error { return nil }, nil
	}
	first, err := r.books.Posted(ctx, topicOf(t, ev))
	if err != nil {
		return t.at, nil, err
	}
	if at = t.at; first != "" {
		at = threads.Below(t.at, first)
	}
	return at, func(id string) error {
		if first == "" {
			return r.began(ctx, t, ev, id)
		}
		return r.about(ctx, threads.Below(t.at, first), ev)
	}, nil
}

// topicOf names the message that the thread of an event's topic hangs on.
func topicOf(t *talk, ev dialogue.Event) string { return "topic:" + t.conversation + ":" + ev.Topic }

// began notes the message that a topic's thread hangs on.
func (r *Room) began(ctx context.Context, t *talk, ev dialogue.Event, id string) error {
	threads, ok := r.platform.(Threads)
	if id == "" || !ok {
		return nil
	}
	if err := r.books.KeepPosted(ctx, topicOf(t, ev), id); err != nil {
		return err
	}
	return r.about(ctx, threads.Below(t.at, id), ev)
}

// about makes what an event is about known where it is talked about.
func (r *Room) about(ctx context.Context, at Address, ev dialogue.Event) error {
	if len(ev.About) == 0 {
		return nil
	}
	return r.engine.About(ctx, at.Conversation(), ev.About)
}
