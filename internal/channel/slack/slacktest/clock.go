package slacktest

import (
	"sync"
	"time"
)

// clock is the time at Slack: real time, which a test may put forward.
type clock struct {
	mu     sync.Mutex
	ahead  time.Duration
	alarms map[*alarm]bool
}

type alarm struct {
	due  time.Time
	rang chan struct{}
	real *time.Timer
}

func newClock() *clock { return &clock{alarms: map[*alarm]bool{}} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// after returns a channel that is closed when so much time has passed; whoever
// no longer waits for it stops it.
func (c *clock) after(d time.Duration) (rang <-chan struct{}, stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &alarm{due: time.Now().Add(c.ahead + d), rang: make(chan struct{})}
	c.alarms[a] = true
	a.real = time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ring(a)
	})
	return a.rang, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		a.real.Stop()
		delete(c.alarms, a)
	}
}

// ring rings once. The clock is locked.
func (c *clock) ring(a *alarm) {
	if c.alarms[a] {
		delete(c.alarms, a)
		a.real.Stop()
		close(a.rang)
	}
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	now := time.Now().Add(c.ahead)
	for a := range c.alarms {
		if !a.due.After(now) {
			c.ring(a)
		}
	}
}

// next is when the next alarm rings, or 0.
func (c *clock) next() (in time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now().Add(c.ahead)
	for a := range c.alarms {
		if d := max(1, a.due.Sub(now)); in == 0 || d < in {
			in = d
		}
	}
	return in
}

// stop makes sure that no timer is left.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for a := range c.alarms {
		a.real.Stop()
	}
}
