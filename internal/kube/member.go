package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

const (
	// patience is how long a question waits for a cluster: what asks must
	// answer in less than five seconds.
	patience = 3 * time.Second
	// pingLimit is how long a cluster may take to say that it is there.
	pingLimit = 1500 * time.Millisecond
	// freshFor is how long an answer counts as word that a cluster is there: for
	// the rest of a turn, and no longer.
	freshFor = 300 * time.Millisecond
	beat     = 10 * time.Second
	// retryFirst and retryLast are the pauses between attempts to see a cluster
	// for the first time.
	retryFirst = time.Second
	retryLast  = 30 * time.Second
)

// member is a cluster of a fleet and how it stands with it.
type member struct {
	Member
	opt     FleetOptions
	log     *slog.Logger
	cluster func() (*Cluster, error)
	once    sync.Once
	kick    chan struct{} // asks for an attempt now; buffered
	ping    sync.Mutex    // held while somebody asks whether it answers

	mu      sync.Mutex
	read    *Reader       // nil until it was seen for the first time
	tried   chan struct{} // closed when the attempt that runs has ended
	slow    chan struct{} // the attempt that somebody waited for in vain
	ctx     context.Context
	err     error     // of the last attempt or ping; nil while it answers
	down    time.Time // since when it does not answer
	last    time.Time // when it answered last
	version string
}

func newMember(m Member, opt FleetOptions, log *slog.Logger) *member {
	return &member{
		Member: m, opt: opt, log: log.With("cluster", m.Name), kick: make(chan struct{}, 1), tried: make(chan struct{}),
		cluster: sync.OnceValues(func() (*Cluster, error) {
			c, err := m.Connect()
			if err != nil {
				return nil, err
			}
			named := *c
			named.Name = m.Name
			return &named, nil
		}),
	}
}

func (m *member) reader() *Reader {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read
}

// start lets the member connect and stay connected until ctx ends; a lazy one
// begins when it is asked for.
func (m *member) start(ctx context.Context) {
	m.mu.Lock()
	m.ctx = ctx
	m.mu.Unlock()
	if !m.Lazy {
		m.begin()
	}
}

// begin starts what connects, once.
func (m *member) begin() {
	m.mu.Lock()
	ctx := m.ctx
	m.mu.Unlock()
	if ctx != nil {
		m.once.Do(func() { go m.run(ctx) })
	}
}

// run sees the cluster for the first time, with longer and longer pauses, and
// then asks now and again whether it still answers.
func (m *member) run(ctx context.Context) {
	for wait := retryFirst; m.reader() == nil; wait = min(2*wait, retryLast) {
		if r, err := m.connect(ctx); err == nil {
			m.seen(r)
			break
		} else if ctx.Err() == nil {
			m.unseen(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-m.kick:
		case <-time.After(wait):
		}
	}
	for pause(ctx, cmp.Or(m.opt.Beat, beat)) {
		if err := m.alive(ctx, 0); err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "cluster does not answer", "err", err)
		}
	}
}

// connect makes a Reader and waits until it has seen the cluster. What it began
// ends with ctx, or at once where that fails.
func (m *member) connect(ctx context.Context) (*Reader, error) {
	c, err := m.cluster()
	if err != nil {
		return nil, err
	}
	r, err := NewReader(c, m.opt.ReaderOptions, m.log)
	if err != nil {
		return nil, fault.Wrap(err, fault.Usage, "The kubeconfig of %s cannot be used: %v.", m.Name, err)
	}
	watching, cancel := context.WithCancel(ctx)
	if err := r.Start(watching); err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(ctx, cancel)
	return r, nil
}

// seen notes that the cluster can be looked at.
func (m *member) seen(r *Reader) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read, m.err, m.down, m.last = r, nil, time.Time{}, time.Now()
	close(m.tried)
}

// unseen notes that an attempt to see the cluster failed.
func (m *member) unseen(err error) {
	m.log.Warn("cluster not seen", "err", err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed(err)
	close(m.tried)
	m.tried = make(chan struct{})
}

// failed notes that the cluster does not answer; the caller holds mu.
func (m *member) failed(err error) {
	if m.down.IsZero() {
		m.down = time.Now()
	}
	m.err = err
}

// answering returns the Reader of a cluster that answers now, waiting no longer
// than a question may.
func (m *member) answering(ctx context.Context) (*Reader, error) {
	limit, cancel := context.WithTimeout(ctx, cmp.Or(m.opt.Patience, patience))
	defer cancel()
	m.begin()
	m.mu.Lock()
	r, tried, slow := m.read, m.tried, m.slow
	m.mu.Unlock()
	if r != nil {
		return r, m.alive(limit, freshFor)
	}
	select {
	case m.kick <- struct{}{}:
	default: // asked already
	}
	if tried != slow { // nobody waits for the same attempt twice
		select {
		case <-tried:
		case <-limit.Done():
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.read != nil {
		return m.read, nil
	}
	if m.tried == tried {
		m.slow = tried
	}
	return nil, m.silent()
}

// await returns the Reader once the cluster has been seen, however long it takes.
func (m *member) await(ctx context.Context) (*Reader, error) {
	m.begin()
	for {
		m.mu.Lock()
		r, tried := m.read, m.tried
		m.mu.Unlock()
		if r != nil {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tried:
		}
	}
}

// alive asks the cluster whether it answers, unless it did less than fresh ago.
func (m *member) alive(ctx context.Context, fresh time.Duration) error {
	m.ping.Lock() // who waits here gets the answer that the other got
	defer m.ping.Unlock()
	m.mu.Lock()
	r, known := m.read, m.err == nil && time.Since(m.last) < fresh
	m.mu.Unlock()
	if known {
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	version, err := r.ServerVersion(limit)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		m.err, m.down, m.last, m.version = nil, time.Time{}, time.Now(), version
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return r.cluster.sentence(err, "look at "+m.Name) // whoever asked has gone: that says nothing of the cluster
	}
	m.failed(err)
	return m.silent()
}

// silent is the error that says that the cluster does not answer; the caller
// holds mu.
func (m *member) silent() error {
	var own *fault.Error
	if errors.As(m.err, &own) && own.Kind != fault.Unavailable {
		return fault.Wrap(m.err, own.Kind, "I cannot look at the cluster %s: %s", m.Name, fault.Say(own))
	}
	if m.err == nil {
		return fault.New(fault.Unavailable, "The cluster %s does not answer. I keep trying; ask me again in a moment.", m.Name)
	}
	since := ""
	if d := time.Since(m.down).Round(time.Second); d >= time.Minute {
		since = fmt.Sprintf(" since %s", m.down.Format("15:04"))
	}
	return fault.Wrap(m.err, fault.Unavailable, "The cluster %s does not answer%s.", m.Name, since)
}

// each calls f with 0 to n-1 at the same time, and waits for all.
func each(n int, f func(int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
