package action_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/store"
)

var (
	ann = access.Speaker{Channel: "web", ID: "ann"}
	bob = access.Speaker{Channel: "web", ID: "bob"}
	eve = access.Speaker{Channel: "web", ID: "eve"}
)

func people() *access.Guard {
	return access.NewGuard([]access.Person{
		{Name: "ann", Speakers: []string{"web:ann"}, User: "ann@example.com", Groups: []string{"ops"}, Write: true},
		{Name: "bob", Speakers: []string{"web:bob"}, User: "bob@example.com", Write: true},
		{Name: "eve", Speakers: []string{"web:eve"}},
	}, nil, nil)
}

// cluster is a cluster of one workload that does what tests tell it to. (The
// real one is used by the end-to-end tests; here it is time and crashes that
// matter.)
type cluster struct {
	mu      sync.Mutex
	w       kube.Workload
	applied []string // ids, in the order they were applied
	as      []kube.As
	hook    func(id string) error // called in Apply before anything happens
	rolls   bool                  // whether roll-outs finish
	gone    bool                  // deleted
	mute    int                   // so many changes are made without an answer
	lag     time.Duration         // of what is read, behind what was written
	caught  []kube.Ref            // what it was waited for to be read
}

func newCluster() *cluster {
	return &cluster{rolls: true, w: kube.Workload{
		Ref: ref, UID: "u", Generation: 1, Containers: []kube.Container{{Name: "web", Image: "web:1"}},
		Progress: kube.Progress{State: kube.Complete, Desired: 3, Updated: 3, Ready: 3, Available: 3, Total: 3},
	}}
}

var ref = kube.Ref{Cluster: "c", Namespace: "shop", Kind: kube.Deployment, Name: "web"}

func (c *cluster) Plan(_ context.Context, ch kube.Change) (kube.Change, kube.Diff, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch.UID, ch.Generation, ch.FromReplicas = c.w.UID, c.w.Generation, c.w.Progress.Desired
	return ch, kube.Diff{Unified: "-a\n+b\n"}, nil
}

func (c *cluster) Apply(_ context.Context, ch kube.Change, id string) (kube.Applied, error) {
	if c.hook != nil {
		if err := c.hook(id); err != nil {
			return kube.Applied{}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.w.LastAction == id {
		return kube.Applied{Generation: c.w.Generation, Already: true}, nil
	}
	c.applied, c.as = append(c.applied, id), append(c.as, ch.As)
	c.w.LastAction = id
	c.w.Generation++
	c.w.Progress.Desired = ch.ToReplicas
	c.w.Progress.State = kube.Waiting
	if c.mute > 0 {
		c.mute--
		return kube.Applied{}, fault.New(fault.Unavailable, "The cluster does not answer.")
	}
	return kube.Applied{Generation: c.w.Generation}, nil
}

// Step is never called: none of the changes here ends stepwise.
func (*cluster) Step(context.Context, kube.Change, string) (kube.Progress, error) {
	return kube.Progress{}, errors.New("no steps")
}

func (c *cluster) set(f func(w *kube.Workload)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.w)
}

// WatchRollout looks every second; a roll-out that rolls takes two looks.
func (c *cluster) WatchRollout(ctx context.Context, _ kube.Ref, _ int64) iter.Seq2[kube.Workload, error] {
	return func(yield func(kube.Workload, error) bool) {
		for {
			c.mu.Lock()
			w, gone := c.w, c.gone
			if c.rolls {
				n := c.w.Progress.Desired
				c.w.Progress = kube.Progress{State: kube.Complete, Desired: n, Updated: n, Ready: n, Available: n, Total: n}
			}
			c.mu.Unlock()
			if gone {
				yield(kube.Workload{}, fault.New(fault.NotFound, "It is not there any more."))
				return
			}
			if !yield(w, nil) {
				return
			}
			select {
			case <-ctx.Done():
				yield(kube.Workload{}, ctx.Err())
				return
			case <-time.After(time.Second):
			}
		}
	}
}

// CatchUp waits as long as the cluster's watch lags.
func (c *cluster) CatchUp(ctx context.Context, ref kube.Ref) {
	c.mu.Lock()
	lag := c.lag
	c.caught = append(c.caught, ref)
	c.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(lag):
	}
}

// reporter remembers what it was told.
type reporter struct {
	mu       sync.Mutex
	outcomes []action.Entry
	progress int
	fail     int // so many outcomes cannot be told
}

func (r *reporter) Progress(context.Context, action.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress++
}

func (r *reporter) Outcome(_ context.Context, e action.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail > 0 {
		r.fail--
		return errors.New("nobody listens")
	}
	r.outcomes = append(r.outcomes, e)
	return nil
}

func (r *reporter) told() []action.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.outcomes)
}

// house is a ledger with everything around it.
type house struct {
	t       *testing.T
	store   *store.Store
	cluster *cluster
	path    string
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, cluster: newCluster(), path: filepath.Join(t.TempDir(), "x.db")}
	h.store = h.open()
	return h
}

func (h *house) open() *store.Store {
	s, err := store.OpenSQLite(context.Background(), h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (h *house) ledger() *action.Ledger {
	return action.NewLedger(h.store, h.cluster, h.cluster, people(), action.DefaultPatience, slog.New(slog.DiscardHandler))
}

// run carries out until the returned function is called.
func (h *house) run(l *action.Ledger) (*reporter, func()) {
	r := &reporter{}
	return r, h.runWith(l, r)
}

func (h *house) runWith(l *action.Ledger, r *reporter) func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, r) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("Run: %v", err)
		}
	}
}

func (h *house) propose(l *action.Ledger, key string, to int32) action.Entry {
	h.t.Helper()
	e, err := l.Propose(context.Background(), action.Proposal{
		Key: key, Conversation: "conv", Speaker: ann, Said: "scale it", Intent: "scale",
		Changes: []kube.Change{{Ref: ref, Verb: kube.VerbScale, ToReplicas: to, As: kube.As{User: "root"}}},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

func (h *house) yes(l *action.Ledger, id string) {
	h.t.Helper()
	if _, err := l.Decide(context.Background(), id, action.Decision{By: ann, Yes: true}); err != nil {
		h.t.Fatal(err)
	}
}

func TestAChangeIsAppliedOnceAndToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l := h.ledger()
		r, stop := h.run(l)
		e := h.propose(l, "k", 5)
		if len(h.cluster.applied) != 0 {
			t.Fatal("a proposal changed the cluster")
		}
		if again := h.propose(l, "k", 7); again.ID != e.ID || again.Steps[0].Change.ToReplicas != 5 {
			t.Errorf("the same key made another entry: %+v", again)
		}
		h.yes(l, e.ID)
		h.yes(l, e.ID) // a retried delivery
		l.Settle(t.Context())
		stop()
		told := r.told()
		if len(h.cluster.applied) != 1 || len(told) != 1 || told[0].State != action.Done || !told[0].Steps[0].Ready {
			t.Fatalf("applied %v, told %+v", h.cluster.applied, told)
		}
		if as := h.cluster.as[0]; as.User != "ann@example.com" || !slices.Equal(as.Groups, []string{"ops"}) {
			t.Errorf("applied as %+v: the ledger alone says in whose name", as)
		}
		if r.progress == 0 {
			t.Error("no progress was told")
		}
	})
}

func TestWhoMayDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l := h.ledger()
		ctx := t.Context()
		if _, err := l.Propose(ctx, action.Proposal{Speaker: eve, Changes: []kube.Change{{Ref: ref, Verb: kube.VerbScale}}}); fault.KindOf(err) != fault.Refused {
			t.Errorf("eve proposed: %v", err)
		}
		e := h.propose(l, "k", 5)
		for _, d := range []action.Decision{{By: eve, Yes: true}, {By: eve}, {By: bob, Yes: true}} {
			if _, err := l.Decide(ctx, e.ID, d); fault.KindOf(err) != fault.Refused {
				t.Errorf("%+v: %v", d, err)
			}
		}
		if _, err := l.Decide(ctx, e.ID, action.Decision{By: bob}); err != nil {
			t.Errorf("bob may say no: %v", err)
		}
		if _, err := l.Decide(ctx, e.ID, action.Decision{By: ann, Yes: true}); fault.KindOf(err) != fault.Refused {
			t.Errorf("yes after no: %v", err)
		}
		if _, err := l.Decide(ctx, "nonsense", action.Decision{By: ann, Yes: true}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("an unknown proposal: %v", err)
		}
	})
}

func TestAReadOnlyLedgerHasNoWay(t *testing.T) {
	h := newHouse(t)
	l := action.NewLedger(h.store, nil, h.cluster, people(), action.DefaultPatience, slog.New(slog.DiscardHandler))
	if err := l.MayChange(t.Context(), ann); fault.KindOf(err) != fault.Refused {
		t.Errorf("MayChange: %v", err)
	}
	_, err := l.Propose(t.Context(), action.Proposal{Speaker: ann, Changes: []kube.Change{{Ref: ref}}})
	if fault.KindOf(err) != fault.Refused {
		t.Errorf("Propose: %v", err)
	}
}

func TestAnOldProposalExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l := h.ledger()
		e, late := h.propose(l, "a", 5), h.propose(l, "b", 6)
		time.Sleep(action.ProposalLife - time.Second)
		if _, err := l.Decide(t.Context(), e.ID, action.Decision{By: ann, Yes: true}); err != nil {
			t.Errorf("a second before the end: %v", err)
		}
		time.Sleep(2 * time.Second)
		got, err := l.Decide(t.Context(), late.ID, action.Decision{By: ann, Yes: true})
		if fault.KindOf(err) != fault.Refused || got.State != action.Expired {
			t.Errorf("a second after the end: %v, %v", got.State, err)
		}
	})
}

func TestStuckAfterPatience(t *testing.T) {
	for _, tt := range []struct {
		name   string
		make   func(p *kube.Progress)
		within time.Duration // it is called stuck not before and not long after
	}{
		{"image pull", func(p *kube.Progress) { p.Stuck = &kube.Stuck{Reason: kube.ImagePull, Pods: 1} }, 5 * time.Second},
		{"crash loop", func(p *kube.Progress) { p.Stuck = &kube.Stuck{Reason: kube.CrashLoop, Pods: 1} }, 5 * time.Second},
		{"deadline", func(p *kube.Progress) { p.State = kube.DeadlineExceeded }, 0},
		{"not ready, for long", func(p *kube.Progress) { p.Stuck = &kube.Stuck{Reason: kube.NotReady, Pods: 1} }, 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.cluster.rolls = false
				l := h.ledger()
				r, stop := h.run(l)
				e := h.propose(l, "k", 5)
				h.cluster.hook = func(string) error {
					return nil
				}
				h.yes(l, e.ID)
				synctest.Wait()
				h.cluster.set(func(w *kube.Workload) { tt.make(&w.Progress) })
				start := time.Now()
				if tt.within > time.Second {
					time.Sleep(tt.within - time.Second)
					synctest.Wait()
					if len(r.told()) != 0 {
						t.Errorf("called stuck after %v", time.Since(start))
					}
				}
				time.Sleep(4 * time.Second)
				synctest.Wait()
				told := r.told()
				if len(told) != 1 || told[0].State != action.Failed || !told[0].Touched() {
					t.Errorf("told %+v", told)
				}
				stop()
			})
		})
	}
}

func TestAReasonThatGoesAwayIsForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.cluster.rolls = false
		l := h.ledger()
		r, stop := h.run(l)
		h.yes(l, h.propose(l, "k", 5).ID)
		synctest.Wait()
		for range 5 { // three seconds bad, three good, and again
			h.cluster.set(func(w *kube.Workload) { w.Progress.Stuck = &kube.Stuck{Reason: kube.ImagePull, Pods: 1} })
			time.Sleep(3 * time.Second)
			h.cluster.set(func(w *kube.Workload) { w.Progress.Stuck = nil })
			time.Sleep(3 * time.Second)
		}
		h.cluster.mu.Lock()
		h.cluster.rolls = true
		h.cluster.mu.Unlock()
		l.Settle(t.Context())
		stop()
		if told := r.told(); len(told) != 1 || told[0].State != action.Done {
			t.Errorf("told %+v", told)
		}
	})
}

func TestReplacedWhileItRolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.cluster.rolls = false
		l := h.ledger()
		r, stop := h.run(l)
		first := h.propose(l, "a", 5)
		h.yes(l, first.ID)
		time.Sleep(3 * time.Second)
		inv, ok := first.Steps[0].Change.Inverse()
		if !ok {
			t.Fatal("a scaling has no inverse")
		}
		undo, err := l.Propose(t.Context(), action.Proposal{Key: "b", Conversation: "conv", Speaker: ann, Intent: "undo", Changes: []kube.Change{inv}, Undoes: first.ID})
		if err != nil {
			t.Fatal(err)
		}
		h.cluster.mu.Lock()
		h.cluster.rolls = true
		h.cluster.mu.Unlock()
		h.yes(l, undo.ID)
		l.Settle(t.Context())
		states := map[string]action.State{}
		for _, e := range r.told() {
			states[e.ID] = e.State
		}
		if states[first.ID] != action.RolledBack || states[undo.ID] != action.Done {
			t.Errorf("ended %v", states)
		}
		if _, ok, err := l.LastChange(t.Context(), "conv"); ok || err != nil {
			t.Errorf("there is still something to undo (%v)", err)
		}
		stop()
	})
}

// What was made, and is deleted again by undo while it still came up, is put
// back; what somebody else deleted is lost.
func TestUndoneByDeletion(t *testing.T) {
	for _, undone := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t)
			h.cluster.rolls = false
			l := h.ledger()
			r, stop := h.run(l)
			first := h.propose(l, "a", 5)
			h.yes(l, first.ID)
			time.Sleep(3 * time.Second)
			inv, _ := first.Steps[0].Change.Inverse()
			undo, err := l.Propose(t.Context(), action.Proposal{Key: "b", Conversation: "conv", Speaker: ann, Intent: "undo", Changes: []kube.Change{inv}, Undoes: first.ID})
			if err != nil {
				t.Fatal(err)
			}
			want := action.Failed // nobody said yes to the undoing
			if undone {
				want = action.RolledBack
				h.yes(l, undo.ID)
			}
			h.cluster.mu.Lock()
			h.cluster.gone = true
			h.cluster.mu.Unlock()
			l.Settle(t.Context())
			stop()
			for _, e := range r.told() {
				if e.ID == first.ID && e.State != want {
					t.Errorf("undone %v: ended %s (%s)", undone, e.State, e.Problem)
				}
			}
			if n := len(r.told()); n == 0 || undone && n != 2 {
				t.Errorf("%d outcomes told", n)
			}
		})
	}
}

func TestSomebodyElsesChangeEndsTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.cluster.rolls = false
		l := h.ledger()
		r, stop := h.run(l)
		h.yes(l, h.propose(l, "a", 5).ID)
		time.Sleep(3 * time.Second)
		h.cluster.set(func(w *kube.Workload) { w.Progress.Desired = 9 }) // kubectl scale leaves the mark
		l.Settle(t.Context())
		stop()
		if told := r.told(); len(told) != 1 || told[0].State != action.Superseded {
			t.Errorf("told %+v", told)
		}
	})
}

func TestARefusedChangeIsToldWithTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.cluster.hook = func(string) error { return fault.New(fault.Forbidden, "The cluster does not allow it.") }
		l := h.ledger()
		r, stop := h.run(l)
		h.yes(l, h.propose(l, "a", 5).ID)
		l.Settle(t.Context())
		stop()
		told := r.told()
		if len(told) != 1 || told[0].State != action.Failed || told[0].Touched() || !strings.Contains(told[0].Problem, "does not allow") {
			t.Errorf("told %+v", told)
		}
	})
}

func TestAnOutcomeIsToldUntilItIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l := h.ledger()
		r := &reporter{fail: 3}
		stop := h.runWith(l, r)
		h.yes(l, h.propose(l, "a", 5).ID)
		l.Settle(t.Context())
		stop()
		if n := len(r.told()); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// errCrash stands for the death of the process.
var errCrash = errors.New("crash")

// dying is a journal whose process dies at a certain write: from then on
// nothing it does reaches the file.
type dying struct {
	action.Journal
	mu     sync.Mutex
	writes int // left
}

func (d *dying) dead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes--
	return d.writes < 0
}

func (d *dying) SwapAction(ctx context.Context, id, from, to string, data []byte, open bool, owner string, lease time.Duration, audit ...[]byte) (bool, error) {
	if d.dead() {
		return false, errCrash
	}
	return d.Journal.SwapAction(ctx, id, from, to, data, open, owner, lease, audit...)
}

func (d *dying) RenewActions(ctx context.Context, owner string, lease time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writes < 0 {
		return errCrash
	}
	return d.Journal.RenewActions(ctx, owner, lease)
}

func (d *dying) ReleaseActions(context.Context, string) error { return nil } // kill -9 says no farewell

// TestACrashAnywhereLosesAndDoublesNothing kills the process at each write to
// the journal, and at the moment when the cluster has the change and the
// journal does not know yet, and lets another go on.
func TestACrashAnywhereLosesAndDoublesNothing(t *testing.T) {
	for at := range 8 {
		t.Run(fmt.Sprintf("write %d", at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				j := &dying{Journal: h.store, writes: at}
				first := action.NewLedger(j, h.cluster, h.cluster, people(), action.DefaultPatience, slog.New(slog.DiscardHandler))
				r := &reporter{}
				stop := h.runWith(first, r)
				e := h.propose(first, "k", 5)
				_, decided := first.Decide(t.Context(), e.ID, action.Decision{By: ann, Yes: true})
				time.Sleep(4 * time.Second)
				stop()

				second := h.ledger()
				stop = h.runWith(second, r)
				time.Sleep(20 * time.Second)
				second.Settle(t.Context())
				stop()
				want := 1
				if decided != nil {
					want = 0 // the yes never reached the journal, and the person was told so
				}
				if len(h.cluster.applied) != want {
					t.Errorf("applied %d times, want %d", len(h.cluster.applied), want)
				}
				// Telling is at least once here; the conversation keeps an
				// outcome once by its key.
				ids := map[string]bool{}
				for _, e := range r.told() {
					ids[e.ID] = e.State == action.Done
				}
				if len(ids) != want || want == 1 && !ids[e.ID] {
					t.Errorf("told %+v", r.told())
				}
			})
		})
	}
}

func TestStoppingFinishesWhatIsBeingApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		begun := make(chan struct{})
		h.cluster.hook = func(string) error {
			close(begun)
			time.Sleep(3 * time.Second)
			return nil
		}
		l := h.ledger()
		_, stop := h.run(l)
		h.yes(l, h.propose(l, "a", 5).ID)
		<-begun
		start := time.Now()
		stop()
		if d := time.Since(start); d != 3*time.Second || len(h.cluster.applied) != 1 {
			t.Errorf("stopped after %v with %d applied", d, len(h.cluster.applied))
		}
		// Released, not left to time out: the next process goes on at once.
		h.cluster.hook = nil
		r, stop := h.run(h.ledger())
		time.Sleep(2 * time.Second)
		stop()
		if told := r.told(); len(told) != 1 || told[0].State != action.Done || len(h.cluster.applied) != 1 {
			t.Errorf("told %+v, applied %v", told, h.cluster.applied)
		}
	})
}

// flaky is a journal that fails one write and works again.
type flaky struct {
	action.Journal
	mu sync.Mutex
	at int // the write that fails
}

func (f *flaky) SwapAction(ctx context.Context, id, from, to string, data []byte, open bool, owner string, lease time.Duration, audit ...[]byte) (bool, error) {
	f.mu.Lock()
	f.at--
	fails := f.at == -1
	f.mu.Unlock()
	if fails {
		return false, errCrash
	}
	return f.Journal.SwapAction(ctx, id, from, to, data, open, owner, lease, audit...)
}

func TestAJournalThatFailsOnceStrandsNothing(t *testing.T) {
	for at := 1; at < 6; at++ { // the yes itself is write 0: its failure is told
		t.Run(fmt.Sprintf("write %d", at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				l := action.NewLedger(&flaky{Journal: h.store, at: at}, h.cluster, h.cluster, people(), action.DefaultPatience, slog.New(slog.DiscardHandler))
				r, stop := h.run(l)
				e := h.propose(l, "k", 5)
				h.yes(l, e.ID)
				l.Settle(t.Context())
				stop()
				told := r.told()
				if len(h.cluster.applied) != 1 || len(told) == 0 || told[len(told)-1].State != action.Done {
					t.Errorf("applied %v, told %+v", h.cluster.applied, told)
				}
				if kept, err := l.Entry(t.Context(), e.ID); err != nil || kept.State != action.Done || !kept.Told {
					t.Errorf("the journal holds %+v, %v", kept, err)
				}
			})
		})
	}
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.cluster.mute = 1
		l := h.ledger()
		r, stop := h.run(l)
		h.yes(l, h.propose(l, "k", 5).ID)
		l.Settle(t.Context())
		stop()
		if told := r.told(); len(h.cluster.applied) != 1 || len(told) != 1 || told[0].State != action.Done {
			t.Errorf("applied %v, told %+v", h.cluster.applied, told)
		}
	})
}

func TestAClusterThatNeverAnswersIsToldAsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.cluster.hook = func(string) error { return fault.New(fault.Unavailable, "The cluster does not answer.") }
		l := h.ledger()
		r, stop := h.run(l)
		start := time.Now()
		h.yes(l, h.propose(l, "k", 5).ID)
		l.Settle(t.Context())
		stop()
		told := r.told()
		if len(told) != 1 || told[0].State != action.Failed || told[0].Fault != fault.Unavailable {
			t.Errorf("told %+v", told)
		}
		if d := time.Since(start); d < time.Minute || d > 2*time.Minute {
			t.Errorf("gave up after %v", d)
		}
	})
}

func TestAnOldYesIsNotActedOn(t *testing.T) {
	for _, tt := range []struct {
		down    time.Duration
		applied int
	}{{9 * time.Minute, 1}, {11 * time.Minute, 0}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t)
			first := h.ledger() // dies before it begins
			h.yes(first, h.propose(first, "k", 5).ID)
			time.Sleep(tt.down)
			r, stop := h.run(h.ledger())
			time.Sleep(5 * time.Second)
			stop()
			told := r.told()
			if len(h.cluster.applied) != tt.applied || len(told) != 1 || (told[0].State == action.Done) != (tt.applied == 1) {
				t.Errorf("after %v: applied %v, told %+v", tt.down, h.cluster.applied, told)
			}
		})
	}
}

func TestAReadOnlyProcessTakesNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		first := h.ledger()
		h.yes(first, h.propose(first, "k", 5).ID)
		time.Sleep(time.Minute)
		_, stop := h.run(action.NewLedger(h.store, nil, h.cluster, people(), action.DefaultPatience, slog.New(slog.DiscardHandler)))
		time.Sleep(5 * time.Second)
		stop()
		r, stop := h.run(h.ledger())
		time.Sleep(5 * time.Second)
		stop()
		if told := r.told(); len(h.cluster.applied) != 1 || len(told) != 1 || told[0].State != action.Done {
			t.Errorf("applied %v, told %+v", h.cluster.applied, told)
		}
	})
}
