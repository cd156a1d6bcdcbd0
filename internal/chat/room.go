package chat

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// Options are what a Room may have beside what it needs.
type Options struct {
	// Ears hear recordings, with the names of Hints; nil where nothing can.
	Ears  speech.Recognizer
	Hints func(ctx context.Context) speech.Hints
	// EditEvery is the least time between two edits of one conversation's messages.
	EditEvery time.Duration
}

const (
	// atOnce is how many conversations are answered at the same time.
	atOnce = 16
	// maxWaiting is how much of one conversation may wait for its turn.
	maxWaiting = 1000
	// maxAsked is of how many changes is known who is to be told.
	maxAsked = 1000
	// remembered is for how long a delivery is known as one that was taken. Platforms
	// repeat within minutes; the engine knows for longer.
	remembered = 15 * time.Minute
	// editEvery is the usual Options.EditEvery.
	editEvery = 1200 * time.Millisecond
	// stopLimit is how long what is being answered may take once Run is to end.
	stopLimit = 5 * time.Second
	// busyAfter is how long an answer may take before it shows.
	busyAfter = 600 * time.Millisecond
)

// Room holds the conversations of one chat: what is said in one of them is answered in
// order, different ones at the same time.
type Room struct {
	name     string
	engine   Engine
	platform Platform
	books    Books
	opt      Options
	log      *slog.Logger
	slots    chan struct{}

	mu    sync.Mutex
	work  context.Context // set while Run runs
	wg    sync.WaitGroup
	talks map[string]*talk
	taken map[string]taken
	swept time.Time
	asked map[string]string // who to tell, by the action
}

// taken is a delivery that is or was answered.
type taken struct {
	at   time.Time
	done chan struct{}
}

// New returns a room for the conversations whose Address names this platform.
func New(name string, e Engine, p Platform, b Books, opt Options, log *slog.Logger) *Room {
	opt.EditEvery = cmp.Or(opt.EditEvery, editEvery)
	return &Room{
		name: name, engine: e, platform: p, books: b, opt: opt, log: log, slots: make(chan struct{}, atOnce),
		talks: map[string]*talk{}, taken: map[string]taken{}, asked: map[string]string{},
	}
}

// Run answers until ctx ends. What a process before it told and did not post is posted
// first.
func (r *Room) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	r.mu.Lock()
	r.work = work
	waiting := slices.Collect(maps.Values(r.talks))
	for _, t := range waiting {
		r.wake(t)
	}
	r.mu.Unlock()
	if err := r.sweep(ctx); err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "what was told before may not stand in the chat", "chat", r.name, "err", err)
	}
	<-ctx.Done()
	r.mu.Lock()
	r.work = nil
	r.mu.Unlock()
	limit := time.AfterFunc(stopLimit, stop)
	defer limit.Stop()
	r.wg.Wait()
	return nil
}

// sweep looks after the outcomes that nobody was told.
func (r *Room) sweep(ctx context.Context) error {
	var all []string
	err := r.books.Conversations(ctx, r.name+":", func(conversation string) error {
		all = append(all, conversation)
		return nil
	})
	for _, c := range all {
		events, err := r.engine.Unheard(ctx, c)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			r.at(c, func(t *talk) { t.look = true })
		}
	}
	return err
}

// Take takes what somebody said. The channel that it returns is closed when it is
// answered, or was before; a platform that repeats what is not acknowledged
// acknowledges then, or when its patience ends.
func (r *Room) Take(in Incoming) <-chan struct{} {
	done := make(chan struct{})
	if in.At.Platform != r.name {
		close(done)
		return done
	}
	r.mu.Lock()
	if in.Delivery != "" {
		if before, ok := r.taken[in.Delivery]; ok {
			r.mu.Unlock()
			return before.done
		}
		r.forget(time.Now())
		r.taken[in.Delivery] = taken{time.Now(), done}
	}
	r.mu.Unlock()
	r.at(in.At.Conversation(), func(t *talk) { t.queue = append(t.queue, job{in, done}) })
	return done
}

// forget drops deliveries that no platform repeats any more. r.mu is held.
func (r *Room) forget(now time.Time) {
	if now.Sub(r.swept) < remembered/10 {
		return
	}
	r.swept = now
	maps.DeleteFunc(r.taken, func(_ string, t taken) bool { return now.Sub(t.at) > remembered })
}

// Overhear is told of all that is pushed in this process; it returns at once.
func (r *Room) Overhear(conversation string, ev dialogue.Event) {
	if a, ok := Parse(conversation); !ok || a.Platform != r.name {
		return
	}
	r.at(conversation, func(t *talk) {
		if ev.Kind == dialogue.EventOutcome {
			t.look = true
			return
		}
		t.news(ev)
	})
}

// at changes a talk, and has it looked after.
func (r *Room) at(conversation string, change func(*talk)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.talks[conversation]
	if t == nil {
		a, _ := Parse(conversation)
		t = &talk{conversation: conversation, at: a}
		r.talks[conversation] = t
	}
	change(t)
	r.wake(t)
}

// wake starts a talk's worker where it has none. r.mu is held.
func (r *Room) wake(t *talk) {
	if t.working || r.work == nil {
		return
	}
	t.working = true
	work := r.work
	r.wg.Go(func() { r.look(work, t) })
}
