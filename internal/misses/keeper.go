package misses

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// Store keeps misses; *store.Store is one.
type Store interface {
	// AddMiss keeps a miss of a conversation, and of all only the newest max.
	// next is nil where it is not known yet.
	AddMiss(ctx context.Context, conversation string, at time.Time, miss, next []byte, max int) error
	// OpenMiss finds the newest miss of a conversation of which it is not known
	// what was done next, if it is not older than since.
	OpenMiss(ctx context.Context, conversation string, since time.Time) (id int64, ok bool, err error)
	// FollowMiss notes what was done next.
	FollowMiss(ctx context.Context, id int64, next []byte) error
}

// maxRemembered bounds the conversations whose last turn is remembered.
const maxRemembered = 1000

// Keeper listens to turns and keeps what was missed.
type Keeper struct {
	store Store
	max   int
	plain func() func(string) bool
	log   *slog.Logger

	mu sync.Mutex
	// last is the turn before, unmasked, in memory only. A process that lives
	// for one turn therefore notices no corrections.
	last map[string]said
}

// said is a turn that may turn out to be a miss.
type said struct {
	heard dialogue.Heard
	at    time.Time
	miss  bool // it is kept already
}

// NewKeeper returns a listener that keeps the newest max misses. vocabulary
// gives the words that the catalogue knows; it is called once something was missed.
func NewKeeper(s Store, max int, vocabulary func() map[string]bool, log *slog.Logger) *Keeper {
	plain := sync.OnceValue(func() func(string) bool {
		words := vocabulary()
		return func(w string) bool { return words[w] }
	})
	return &Keeper{store: s, max: max, plain: plain, log: log, last: map[string]said{}}
}

// Listen keeps the turn, or the one before it, where it was a miss. What goes
// wrong is logged: nobody who talks is kept waiting for it.
func (k *Keeper) Listen(ctx context.Context, h dialogue.Heard) {
	ctx = context.WithoutCancel(ctx) // a caller who hangs up is the more worth knowing
	if err := k.listen(ctx, h, time.Now()); err != nil {
		k.log.WarnContext(ctx, "a miss was not kept", "conversation", h.Request.Conversation, "err", err)
	}
}

func (k *Keeper) listen(ctx context.Context, h dialogue.Heard, now time.Time) error {
	conv := h.Request.Conversation
	why := missed(h)
	before, known := k.remember(conv, said{heard: h, at: now, miss: why != ""}, now)
	var err error
	switch {
	case !known || before.miss: // whoever is not remembered may have been missed by another process
		err = k.follow(ctx, conv, h, now.Add(-window))
	case corrected(before.heard, h):
		var next []byte
		if next, err = k.next(h); err == nil {
			err = k.add(ctx, before.heard, Corrected, before.at, next)
		}
	}
	if err != nil {
		return err
	}
	if why == "" {
		return nil
	}
	return k.add(ctx, h, why, now, nil)
}

// remember notes a turn and returns the one before it, if that is not too long ago.
func (k *Keeper) remember(conv string, s said, now time.Time) (said, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c, l := range k.last {
		if now.Sub(l.at) > window {
			delete(k.last, c) // what people said is not kept unmasked for longer than needed
		}
	}
	before, ok := k.last[conv]
	if !ok && len(k.last) >= maxRemembered {
		clear(k.last)
	}
	k.last[conv] = s
	return before, ok
}

// follow notes what was done after a miss.
func (k *Keeper) follow(ctx context.Context, conv string, h dialogue.Heard, since time.Time) error {
	id, ok, err := k.store.OpenMiss(ctx, conv, since)
	if err != nil || !ok {
		return err
	}
	next, err := k.next(h)
	if err != nil {
		return err
	}
	return k.store.FollowMiss(ctx, id, next)
}

func (k *Keeper) next(h dialogue.Heard) ([]byte, error) {
	n := Next{Intent: h.Read.Name}
	if pressed(h) {
		n.Intent = "confirm"
	} else {
		n.Text = k.mask(h)
	}
	return json.Marshal(n)
}

func (k *Keeper) add(ctx context.Context, h dialogue.Heard, why Why, at time.Time, next []byte) error {
	m := Miss{Text: k.mask(h), Why: why, Open: Open{h.Open.Intent, h.Open.Slot, h.Open.Confirm}, As: h.Reply.Intent, At: at.UTC().Truncate(time.Second)}
	if m.Text == "" {
		return nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return k.store.AddMiss(ctx, h.Request.Conversation, at, b, next, k.max)
}

func (k *Keeper) mask(h dialogue.Heard) string {
	var data intents.InventoryData
	if h.Inventory != nil {
		data = h.Inventory.Data()
	}
	return Mask(strings.TrimSpace(h.Request.Text), data, k.plain())
}
