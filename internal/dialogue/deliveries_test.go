package dialogue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/postgrestest"
	"github.com/firstmate-ops/firstmate/internal/store"
)

var postgres postgrestest.Server

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m, &postgres)) }

// replica is a process of several that answer; it may die at any moment.
type replica struct {
	*store.Store
	engine *dialogue.Engine
	dead   atomic.Bool
	writes sync.RWMutex // held while something is written: death comes before or after
	calm   func() bool  // reports whether it lives through the next moment
	die    func(*replica)
	spare  func() // gives back a death that another moment was quicker with
}

var errDead = errors.New("dead")

// lives is asked before anything is written, and after.
func (r *replica) lives() error {
	if !r.dead.Load() && !r.calm() {
		r.writes.Lock()
		first := r.dead.CompareAndSwap(false, true)
		r.writes.Unlock()
		if first {
			r.die(r)
		} else {
			r.spare()
		}
	}
	if r.dead.Load() {
		return errDead
	}
	return nil
}

func (r *replica) ClaimDelivery(ctx context.Context, id string) (bool, error) {
	if err := r.lives(); err != nil {
		return false, err
	}
	var ok bool
	err := r.write(func() (err error) {
		ok, err = r.Store.ClaimDelivery(ctx, id)
		return err
	})
	return ok, errors.Join(err, r.lives())
}

func (r *replica) SaveTurn(ctx context.Context, conversation string, session []byte, id string, answer []byte) (bool, error) {
	if err := r.lives(); err != nil {
		return false, err
	}
	var ok bool
	err := r.write(func() (err error) {
		ok, err = r.Store.SaveTurn(ctx, conversation, session, id, answer)
		return err
	})
	return ok, errors.Join(err, r.lives())
}

// write writes while it lives.
func (r *replica) write(f func() error) error {
	r.writes.RLock()
	defer r.writes.RUnlock()
	if r.dead.Load() {
		return errDead
	}
	return f()
}

// do is what a turn does: a proposal, journaled by the delivery as the ledger
// does, and a word in the session that another turn must not lose.
func (r *replica) do(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if err := r.lives(); err != nil {
		return dialogue.Reply{}, err
	}
	key := t.Request.DeliveryID
	err := r.write(func() error {
		_, _, err := r.CreateAction(ctx, fmt.Sprintf("%x", key), key, t.Request.Conversation, "proposed", []byte(key))
		return err
	})
	if err != nil {
		return dialogue.Reply{}, err
	}
	t.Session.Targets = append(t.Session.Targets, dialogue.Target{Name: fmt.Sprintf("%x", key)})
	return dialogue.Reply{Text: fmt.Sprintf("%x is %d", key, len(t.Session.Targets))}, r.lives()
}

// crowd is the replicas that live.
type crowd struct {
	t       *testing.T
	catalog *intents.Catalogue
	open    func(name string) *store.Store
	kill    func(name string) // what it holds
	mu      sync.Mutex
	live    []*replica
	born    int
	deaths  int // still to come
	random  *rand.Rand
}

// doom reports true once in n times, while there are deaths to come, and takes
// one: who is dead stays dead, or it would answer what it no longer did.
func (c *crowd) doom(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaths == 0 || c.random.IntN(n) != 0 {
		return false
	}
	c.deaths--
	return true
}

func (c *crowd) add(oneIn int) {
	c.mu.Lock()
	c.born++
	name := fmt.Sprintf("replica%d", c.born)
	c.mu.Unlock()
	r := &replica{Store: c.open(name)}
	r.calm = func() bool { return !c.doom(oneIn) }
	r.spare = func() {
		c.mu.Lock()
		c.deaths++
		c.mu.Unlock()
	}
	r.die = func(r *replica) {
		c.mu.Lock()
		c.live = slices.DeleteFunc(c.live, func(o *replica) bool { return o == r })
		c.mu.Unlock()
		c.kill(name)
		c.add(oneIn)
	}
	handlers := map[string]dialogue.Handler{"confirm": dialogue.HandlerFunc(r.do)}
	r.engine = dialogue.NewEngine(c.catalog, nil, nil, r, handlers, dialogue.NewHub(), nil, slog.New(slog.DiscardHandler))
	c.mu.Lock()
	c.live = append(c.live, r)
	c.mu.Unlock()
}

func (c *crowd) any() *replica {
	for {
		c.mu.Lock()
		if n := len(c.live); n > 0 {
			defer c.mu.Unlock()
			return c.live[c.random.IntN(n)]
		}
		c.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
}

type delivery struct{ id, conversation string }

// fuzzed makes deliveries with ids of all kinds.
func fuzzed(r *rand.Rand, unique, total, conversations int) []delivery {
	var all []delivery
	for i := range unique {
		b := make([]byte, r.IntN(12))
		for j := range b {
			b[j] = byte(r.IntN(256))
		}
		id := fmt.Sprintf("web:%d:%s", i, b)
		if r.IntN(200) == 0 {
			id += strings.Repeat("long", 1000)
		}
		all = append(all, delivery{id, fmt.Sprintf("c%d\xff", i%conversations)})
	}
	for len(all) < total {
		all = append(all, all[r.IntN(unique)])
	}
	// Out of order, and mostly near each other: a platform tries again soon.
	for i := range all {
		j := min(len(all)-1, i+r.IntN(200))
		all[i], all[j] = all[j], all[i]
	}
	return all
}

// TestTenThousandDeliveriesAreHandledOnceEach replays deliveries at once, out of
// order, at several replicas that die on the way. A delivery that is not
// answered is tried again, as platforms do.
func TestTenThousandDeliveriesAreHandledOnceEach(t *testing.T) {
	catalog, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	unique, total, deaths := 3000, 10_000, 25
	if testing.Short() {
		unique, total, deaths = 100, 400, 1
	}
	opened := func(t *testing.T, s *store.Store, err error) *store.Store {
		if err != nil {
			t.Error(err)
			panic(err)
		}
		return s
	}
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "x.db")
		open := func(string) *store.Store {
			s, err := store.OpenSQLite(context.Background(), path)
			return opened(t, s, err)
		}
		deliver(t, &crowd{t: t, catalog: catalog, open: open, kill: func(string) {}, deaths: deaths}, 1, unique, total)
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := postgres.DSN(t)
		named := func(name string) string { return dsn + "&application_name=" + url.QueryEscape(name) }
		open := func(name string) *store.Store {
			s, err := store.OpenPostgres(context.Background(), named(name))
			return opened(t, s, err)
		}
		kill := func(name string) {
			err := postgrestest.Exec(context.Background(), dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '"+name+"'")
			if err != nil {
				t.Error(err)
			}
		}
		deliver(t, &crowd{t: t, catalog: catalog, open: open, kill: kill, deaths: deaths}, 3, unique, total)
	})
}

func deliver(t *testing.T, c *crowd, replicas, unique, total int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c.random = rand.New(rand.NewPCG(seed, 1))
	all := fuzzed(rand.New(rand.NewPCG(seed, 2)), unique, total, 40)
	deaths := c.deaths
	oneIn := max(2, 4*unique/(deaths+1)) // moments that a replica lives through
	for range replicas {
		c.add(oneIn)
	}
	var mu sync.Mutex
	answers := map[string]string{}
	retries := 0
	work := make(chan delivery)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for d := range work {
				for tries := 1; ; tries++ {
					// A handler that is out of time has answered, and that answer is kept: so
					// nobody hangs up here before a busy machine is through.
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					a := c.any().engine.Respond(ctx, dialogue.Request{DeliveryID: d.id, Conversation: d.conversation, Speaker: ann, Confirm: "x"})
					cancel()
					mu.Lock()
					if a.Fault == "" {
						if was, ok := answers[d.id]; ok && was != a.Text {
							t.Errorf("%.30q was answered %q and %q", d.id, was, a.Text)
						}
						answers[d.id] = a.Text
						mu.Unlock()
						break
					}
					if a.Fault != fault.Unavailable && a.Fault != fault.Internal {
						t.Errorf("%.30q: %+v", d.id, a)
					}
					retries++
					mu.Unlock()
					if tries == 100 {
						t.Errorf("%.30q is never answered: %+v", d.id, a)
						break
					}
				}
			}
		})
	}
	for _, d := range all {
		work <- d
	}
	close(work)
	wg.Wait()
	if len(answers) != unique {
		t.Errorf("%d of %d are answered", len(answers), unique)
	}
	s := c.any().Store
	seen := map[string]string{}
	for i := range 40 {
		conv := fmt.Sprintf("c%d\xff", i)
		last := c.any().engine.Respond(context.Background(), dialogue.Request{DeliveryID: "last" + conv, Conversation: conv, Speaker: ann, Confirm: "x"})
		var journaled int
		if err := s.ActionsOf(context.Background(), conv, func([]byte) (bool, error) { journaled++; return true, nil }); err != nil {
			t.Fatal(err)
		}
		turns := (unique-i+39)/40 + 1
		// As many turns as deliveries: none was lost, none was handled twice.
		if want := fmt.Sprintf("%x is %d", "last"+conv, turns); last.Text != want || journaled != turns {
			t.Errorf("conversation %d: %q and %d journaled, want %q", i, last.Text, journaled, want)
		}
	}
	for _, d := range all {
		a := answers[d.id]
		at, ok := strings.CutPrefix(a, fmt.Sprintf("%x is ", d.id))
		if first := seen[d.conversation+at]; !ok || first != "" && first != d.id {
			t.Errorf("%.30q was answered %q, as was %.30q", d.id, a, first)
		}
		seen[d.conversation+at] = d.id
	}
	t.Logf("%d deliveries of %d, %d deaths, %d tried again", total, unique, deaths-c.deaths, retries)
}
