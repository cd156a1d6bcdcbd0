package slack

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability/chart"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// Engine is what the bot needs of the dialogue engine.
type Engine interface {
	chat.Engine
	// Knows reports whether anything was ever said in a conversation.
	Knows(ctx context.Context, conversation string) (bool, error)
}

// Words words what Slack's messages have beside the answers; *intents.Catalogue does.
type Words interface {
	Say(key string, data map[string]any) (intents.Say, error)
}

// Running is a change that has not ended, as the home shows it.
type Running struct {
	What     string // "web in shop from 3 to 5 pods"
	Who      string
	State    string
	Progress string
}

// Parts are what a Bot works with.
type Parts struct {
	Engine Engine
	Books  chat.Books
	Words  Words
	// Ears hear recordings, with the names of Hints; nil where nothing can.
	Ears  speech.Recognizer
	Hints func(ctx context.Context) speech.Hints
	// Running are the changes under way that a person may see; nil shows none.
	Running func(ctx context.Context, who access.Speaker) ([]Running, error)
}

// Bot is firstmate in a workspace.
type Bot struct {
	cfg     Config
	parts   Parts
	log     *slog.Logger
	api     *api
	room    *chat.Room
	painter *chart.Painter
	looking singleflight.Group

	connected atomic.Bool // at least once

	mu      sync.Mutex
	me      identity
	members map[string]member
	dms     map[string]string
	talkers map[string]string // who talks in a thread, by the conversation; "" is several
	lanes   map[string]*lane
	seen    map[string]time.Time // what is done once, with when it was
	swept   time.Time
	calm    time.Duration // settle, but for tests
	held    time.Time     // until then, what comes is put in order first
}

// identity is who the bot is, as Slack says.
type identity struct{ team, user string }

const (
	// remembered is for how long it is known that something was done.
	remembered = 15 * time.Minute
	// giveUp is how long nobody waits for an answer any more.
	giveUp = 5 * time.Second
	// settle is how long is waited, once a connection is there again, for what did not
	// reach us by the one before: it comes again beside what is newer.
	settle = time.Second
	// handleLimit is how long a click or the like is handled that is no turn.
	handleLimit = 30 * time.Second
)

// New returns a bot for one workspace. Nothing runs yet.
func New(cfg Config, parts Parts, log *slog.Logger) (*Bot, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	b := &Bot{
		cfg: cfg, parts: parts, log: log, api: newAPI(cfg, log), painter: chart.NewPainter(), calm: settle,
		members: map[string]member{}, dms: map[string]string{}, talkers: map[string]string{}, lanes: map[string]*lane{}, seen: map[string]time.Time{},
	}
	b.room = chat.New(Channel, parts.Engine, b, parts.Books, chat.Options{Ears: parts.Ears, Hints: parts.Hints}, log)
	return b, nil
}

// Run answers until ctx ends.
func (b *Bot) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	if b.cfg.Mode == Socket {
		wg.Go(func() {
			if err := b.connect(ctx); err != nil {
				b.log.ErrorContext(ctx, "no connection to Slack any more", "err", err)
			}
		})
	}
	err := b.room.Run(ctx)
	wg.Wait()
	return err
}

// Overhear is told of all that is pushed in this process; it returns at once.
func (b *Bot) Overhear(conversation string, ev dialogue.Event) { b.room.Overhear(conversation, ev) }

// Check reports who the bot is at Slack, and fails where Slack does not know it.
func (b *Bot) Check(ctx context.Context) (team, user string, err error) {
	me, err := b.self(ctx)
	return me.team, me.user, err
}

// self is who the bot is. It is asked once.
func (b *Bot) self(ctx context.Context) (identity, error) {
	b.mu.Lock()
	me := b.me
	b.mu.Unlock()
	if me.user != "" {
		return me, nil
	}
	err := b.api.call(ctx, "auth.test", func(ctx context.Context) error {
		r, err := b.api.AuthTestContext(ctx)
		if err == nil {
			me = identity{r.TeamID, r.UserID}
		}
		return err
	})
	if err != nil {
		return identity{}, err
	}
	if me.team == "" || me.user == "" {
		return identity{}, fmt.Errorf("slack: auth.test says neither workspace nor user")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.me = me
	return me, nil
}

// say words something; what cannot be worded is left out.
func (b *Bot) say(key string, data map[string]any) string {
	s, err := b.parts.Words.Say("slack."+key, data)
	if err != nil {
		b.log.Error("no words", "key", key, "err", err)
		return ""
	}
	return clean(s.Text)
}

// lane is what is to be done for a conversation before it is its turn.
type lane struct{ queue []step }

// step is one thing to be done, with the time that Slack gives it.
type step struct {
	at string
	do func()
}

// reconnected has what comes next put in order.
func (b *Bot) reconnected() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = time.Now().Add(b.calm)
}

// enter has something done for a conversation, after what is older and not done yet.
func (b *Bot) enter(conversation, at string, do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lanes[conversation]
	if l != nil {
		l.queue = append(l.queue, step{at, do})
		return
	}
	l = &lane{queue: []step{{at, do}}}
	b.lanes[conversation] = l
	go func() {
		for {
			b.mu.Lock()
			if wait := time.Until(b.held); wait > 0 && len(l.queue) > 0 {
				b.mu.Unlock()
				time.Sleep(wait)
				continue
			}
			if len(l.queue) == 0 {
				delete(b.lanes, conversation)
				b.mu.Unlock()
				return
			}
			first := 0
			for i, s := range l.queue {
				if s.at < l.queue[first].at {
					first = i
				}
			}
			next := l.queue[first]
			l.queue = slices.Delete(l.queue, first, first+1)
			b.mu.Unlock()
			next.do()
		}
	}()
}

// take has the room answer, once it is known who speaks. prepare looks at what is to be
// said with what is known then, and says whether it is to be said at all. at is the time
// that Slack gives it. The channel is closed when it is answered, or need not be.
func (b *Bot) take(in chat.Incoming, at, user, team string, refuse func(ctx context.Context, words string), prepare func(ctx context.Context, in *chat.Incoming) (bool, error)) <-chan struct{} {
	done := make(chan struct{})
	ctx, cancel := context.WithTimeout(context.Background(), holdLimit)
	b.enter(in.At.Conversation(), at, func() {
		defer cancel()
		who, ok, err := b.speaker(ctx, user, team)
		if err != nil {
			b.log.WarnContext(ctx, "who speaks is not known", "user", user, "err", err)
			refuse(ctx, b.say("unknown", nil))
			close(done)
			return
		}
		if !ok {
			b.log.InfoContext(ctx, "somebody who is no member is not answered", "user", user)
			if b.once("stranger:" + user) {
				refuse(ctx, b.say("stranger", nil))
			}
			close(done)
			return
		}
		in.Speaker = who
		if prepare != nil {
			if ok, err := prepare(ctx, &in); err != nil || !ok {
				if err != nil {
					b.log.ErrorContext(ctx, "what was said cannot be taken", "conversation", in.At.Conversation(), "err", err)
				}
				close(done)
				return
			}
		}
		taken := b.room.Take(in)
		go func() {
			select {
			case <-taken:
			case <-time.After(giveUp):
			}
			close(done)
		}()
	})
	return done
}

// now is the time as Slack writes it.
func now() string {
	at := time.Now()
	return fmt.Sprintf("%d.%06d", at.Unix(), at.Nanosecond()/1000)
}

// once reports whether something is done for the first time in a while.
func (b *Bot) once(what string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := time.Now()
	if t.Sub(b.swept) > remembered/10 {
		b.swept = t
		maps.DeleteFunc(b.seen, func(_ string, at time.Time) bool { return t.Sub(at) > remembered })
	}
	if at, ok := b.seen[what]; ok && t.Sub(at) <= remembered {
		return false
	}
	b.seen[what] = t
	return true
}
