package action

import (
	"time"
)

// shared is what a ledger knows of others with the same journal.
type shared struct {
	tell    func() // nil: there are no others
	look    chan struct{}
	running bool // Run does; under the ledger's mu
}

func newShared() shared { return shared{look: make(chan struct{}, 1)} }

// Share says that other processes have the same journal, of which one carries
// out at a time. What is agreed here while Run does not is left to the one where
// it does; tell lets that one know, and may be lost: it looks by itself soon.
// Before anything else is done with the ledger.
func (l *Ledger) Share(tell func()) { l.shared.tell = tell }

// Look lets Run look at the journal at once: somebody left something there.
func (l *Ledger) Look() {
	select {
	case l.shared.look <- struct{}{}:
	default: // it will anyway
	}
}

// runs notes that Run does, until what it returns is called: then what was not
// begun is for others, or for the next Run.
func (l *Ledger) runs() (ended func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shared.running = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.shared.running = false
		if l.shared.tell != nil {
			l.queue = nil
			l.rest()
		}
	}
}

// elsewhere reports whether another process carries out what is agreed here.
func (l *Ledger) elsewhere() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shared.tell != nil && !l.shared.running
}

// holder is in whose name an entry is journaled, and for how long: nobody's,
// for the one who carries out to claim, where that is not this process.
func (l *Ledger) holder() (owner string, lease time.Duration) {
	if l.elsewhere() {
		return "", -time.Millisecond // over already
	}
	return l.owner, leaseLife
}

// handOver leaves what was agreed to the process that carries out, where that
// is another one.
func (l *Ledger) handOver() bool {
	if !l.elsewhere() {
		return false
	}
	l.shared.tell()
	return true
}
