package phone

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

const (
	// answerWithin is how long an answer may take before the caller is told to
	// wait a moment; the carrier hangs up after 15 seconds.
	answerWithin = 7 * time.Second
	// turnLimit is how long a turn may take in all.
	turnLimit = 90 * time.Second
	// deadline is when a request is given up, of the carrier's 15 seconds.
	deadline = 13 * time.Second
	// patience is how long an answer waits for the outcome of what it starts.
	patience = 1500 * time.Millisecond
	// hearOutcome is how long a turn that only waits does so for the outcome: not
	// much longer than the caller is listened to in between.
	hearOutcome = 1500 * time.Millisecond
	// hearNews is how long it does so where the outcome should be there.
	hearNews = time.Second
)

// Engine is what the telephone needs of the dialogue engine.
type Engine interface {
	Respond(ctx context.Context, r dialogue.Request) dialogue.Reply
	Subscribe(conversation string) *dialogue.Subscription
	// Leave closes what is open: nobody is there to answer it.
	Leave(ctx context.Context, conversation string) error
	// Untold gives the outcomes that nobody was told, once.
	Untold(ctx context.Context, conversation string) ([]dialogue.Reply, error)
}

// Words words what the telephone itself says; *intents.Catalogue does.
type Words interface {
	Say(key string, data map[string]any) (intents.Say, error)
}

// People knows whose a speaker is; *access.Guard does.
type People interface {
	Who(ctx context.Context, s access.Speaker) (access.Person, bool, error)
}

// Line is what the telephone needs of the carrier's API; *Carrier is one.
type Line interface {
	Text(ctx context.Context, to, text string) error
	Status(ctx context.Context, sid string) (status, from string, err error)
}

// Parts are what a Handler works with.
type Parts struct {
	Engine Engine
	Words  Words
	People People
	Line   Line
	// Names gives the names that may be said, the likeliest first; nil for none.
	Names func(ctx context.Context) []string
	Calls Calls // nil where nobody has calls placed
}

// Handler answers the carrier.
type Handler struct {
	cfg   Config
	parts Parts
	log   *slog.Logger
	stack *webhook.Stack

	strangers *rate.Limiter // how often a stranger's message is answered

	mu    sync.Mutex
	jobs  map[string]*job      // turns that are being answered, by delivery
	talks map[string]*talk     // calls and the like of which something is known, by conversation
	done  map[string]time.Time // what is done once, with when it was
}

// talk is what is remembered of a conversation in this process; the rest stands
// in the leg.
type talk struct {
	rest string // what was left out, for "more"
	over bool   // the call has ended
	at   time.Time
}

// New returns the webhooks. It refuses a configuration that lets anybody call.
func New(cfg Config, parts Parts, log *slog.Logger) (*Handler, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if parts.Names == nil {
		parts.Names = func(context.Context) []string { return nil }
	}
	return &Handler{
		cfg: cfg, parts: parts, log: log, stack: webhook.New(log, webhook.Deadline(deadline)),
		strangers: rate.NewLimiter(rate.Every(10*time.Second), 5),
		jobs:      map[string]*job{}, talks: map[string]*talk{}, done: map[string]time.Time{},
	}, nil
}

// Routes registers the webhooks.
func (h *Handler) Routes(mux *http.ServeMux) {
	mux.Handle("POST "+PathVoice, h.stack.Handle(h.voice, h.cfg.bearsSignature))
	if h.cfg.Provider != Telnyx { // its messages come in another shape: none are taken
		mux.Handle("POST "+PathSMS, h.stack.Handle(h.sms, h.cfg.bearsSignature))
	}
	mux.Handle("POST "+PathStatus, h.stack.Handle(h.status, h.cfg.bearsSignature))
}

// job is a turn that is being answered.
type job struct {
	done  chan struct{}
	reply dialogue.Reply
}

// begin has a turn answered, which goes on when the request does not wait for
// it any more. A delivery that is being answered already is the same job.
func (h *Handler) begin(ctx context.Context, req dialogue.Request) *job {
	h.mu.Lock()
	defer h.mu.Unlock()
	if j := h.jobs[req.DeliveryID]; j != nil {
		return j
	}
	j := &job{done: make(chan struct{})}
	h.jobs[req.DeliveryID] = j
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnLimit)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				h.log.ErrorContext(ctx, "turn panicked", "panic", p)
				say := fault.Say(nil)
				j.reply = dialogue.Reply{Speech: say, Text: say, Fault: fault.Internal}
			}
			h.mu.Lock()
			delete(h.jobs, req.DeliveryID) // from here on the engine knows the answer
			h.mu.Unlock()
			close(j.done)
		}()
		j.reply = h.parts.Engine.Respond(ctx, req)
	}()
	return j
}

// wait waits for the answer of a job, but not too long.
func (j *job) wait(ctx context.Context, d time.Duration) (dialogue.Reply, bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-j.done:
		return j.reply, true
	case <-t.C:
	case <-ctx.Done():
	}
	return dialogue.Reply{}, false
}

// remembered bounds what is kept of calls.
const (
	remembered   = 10_000
	rememberedOf = 4 * time.Hour
)

// of returns what is known of a conversation, for use under f.
func (h *Handler) of(conversation string, f func(*talk)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.talks[conversation]
	if t == nil {
		if len(h.talks) >= remembered {
			for k, old := range h.talks {
				if time.Since(old.at) > rememberedOf || len(h.talks) >= 2*remembered {
					delete(h.talks, k)
				}
			}
		}
		t = &talk{}
		h.talks[conversation] = t
	}
	t.at = time.Now()
	f(t)
}

// once reports whether something is done for the first time.
func (h *Handler) once(what string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.done[what]; ok {
		return false
	}
	if len(h.done) >= remembered {
		for k, at := range h.done {
			if time.Since(at) > rememberedOf || len(h.done) >= 2*remembered {
				delete(h.done, k)
			}
		}
	}
	h.done[what] = time.Now()
	return true
}

// words words something of our own, for the ear.
func (h *Handler) words(key string, data map[string]any) (string, error) {
	s, err := h.parts.Words.Say("phone."+key, data)
	if s.Speech == "" {
		s.Speech = s.Text
	}
	return s.Speech, err
}
