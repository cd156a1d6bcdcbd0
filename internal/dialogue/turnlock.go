package dialogue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// claimPause is how long it takes until it is looked again whether another
// process has answered a delivery.
const claimPause = 50 * time.Millisecond

// errTaken says that another process handles the delivery of a turn.
var errTaken = errors.New("dialogue: another process took the delivery over")

// lock makes a conversation this turn's alone, in all processes.
func (e *Engine) lock(ctx context.Context, conversation string) (unlock func(), err error) {
	here := e.locks.lock(conversation)
	there, err := e.store.LockConversation(ctx, conversation)
	if err != nil {
		here()
		return nil, fault.Wrap(err, fault.Unavailable, "I am still busy with what was said before, or cannot reach my own memory. Please try again.")
	}
	return func() {
		there()
		here()
	}, nil
}

// claim loads the conversation of a request that is to be handled now. Where the
// delivery was handled before, it returns the answer to that; where another
// process is about to answer it, it waits for that for as long as whoever asked does.
func (e *Engine) claim(ctx context.Context, req Request) (*Session, *Reply, error) {
	if req.DeliveryID == "" {
		return e.load(ctx, req.Conversation, "")
	}
	for {
		claimed, err := e.store.ClaimDelivery(ctx, req.DeliveryID)
		if err != nil {
			return nil, nil, fault.Wrap(err, fault.Unavailable, "I cannot reach my own memory right now. Please try again.")
		}
		s, answered, err := e.load(ctx, req.Conversation, req.DeliveryID)
		if err != nil || claimed || answered != nil {
			return s, answered, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, fault.Wrap(ctx.Err(), fault.Unavailable, "I am still busy with that. Please ask again in a moment.")
		case <-time.After(claimPause):
		}
	}
}

// keyedMutex is one mutex a key, gone when nobody holds or wants it.
type keyedMutex struct {
	mu sync.Mutex
	m  map[string]*keyLock
}

type keyLock struct {
	held  chan struct{} // full while somebody holds the lock
	users int
}

func (k *keyedMutex) lock(key string) (unlock func()) {
	k.mu.Lock()
	l := k.m[key]
	if l == nil {
		l = &keyLock{held: make(chan struct{}, 1)}
		k.m[key] = l
	}
	l.users++
	k.mu.Unlock()
	l.held <- struct{}{}
	return func() {
		<-l.held
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.m, key)
		}
	}
}
