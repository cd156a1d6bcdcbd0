package action_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// fleet is several clusters of one workload as one of several.
type fleet struct {
	mu   sync.Mutex
	of   map[string]*cluster
	log  []string // what was done, in order
	fail map[string]error
	plan map[string]error
}

func newFleet(names ...string) *fleet {
	f := &fleet{of: map[string]*cluster{}, fail: map[string]error{}, plan: map[string]error{}}
	for _, n := range names {
		c := newCluster()
		c.w.Ref.Name = n
		f.of[n] = c
	}
	return f
}

func (f *fleet) Plan(ctx context.Context, ch kube.Change) (kube.Change, kube.Diff, error) {
	if err := f.plan[ch.Ref.Name]; err != nil {
		return ch, kube.Diff{}, err
	}
	return f.of[ch.Ref.Name].Plan(ctx, ch)
}

// Apply refuses what does not start from what is there.
func (f *fleet) Apply(ctx context.Context, ch kube.Change, id string) (kube.Applied, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.of[ch.Ref.Name]
	if err := f.fail[ch.Ref.Name]; err != nil {
		return kube.Applied{}, err
	}
	c.mu.Lock()
	is, mine := c.w.Progress.Desired, c.w.LastAction == id
	busy := ""
	for n, o := range f.of {
		if o != c && o.w.Progress.State != kube.Complete {
			busy += " while " + n + " rolls"
		}
	}
	c.mu.Unlock()
	if !mine {
		if is != ch.FromReplicas {
			return kube.Applied{}, fault.New(fault.Conflict, "There are %d, not %d.", is, ch.FromReplicas)
		}
		f.log = append(f.log, fmt.Sprintf("%s %d→%d%s", ch.Ref.Name, ch.FromReplicas, ch.ToReplicas, busy))
	}
	return c.Apply(ctx, ch, id)
}

func (f *fleet) CatchUp(ctx context.Context, ref kube.Ref) { f.of[ref.Name].CatchUp(ctx, ref) }

func (f *fleet) WatchRollout(ctx context.Context, ref kube.Ref, generation int64) iter.Seq2[kube.Workload, error] {
	return f.of[ref.Name].WatchRollout(ctx, ref, generation)
}

func (f *fleet) Step(ctx context.Context, ch kube.Change, id string) (kube.Progress, error) {
	return f.of[ch.Ref.Name].Step(ctx, ch, id)
}

func (f *fleet) done() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.log, ", ")
}

func (h *house) fleetLedger(f *fleet, j action.Journal) *action.Ledger {
	return action.NewLedger(j, f, f, people(), action.DefaultPatience, slog.New(slog.DiscardHandler))
}

func scaled(name string, to int32) []kube.Change {
	return []kube.Change{{Ref: kube.Ref{Cluster: "c", Namespace: "shop", Kind: kube.Deployment, Name: name}, Verb: kube.VerbScale, ToReplicas: to}}
}

func chained(t *testing.T, l *action.Ledger, first []kube.Change, then ...[]kube.Change) action.Entry {
	t.Helper()
	e, err := l.Propose(context.Background(), action.Proposal{
		Key: "k", Conversation: "conv", Speaker: ann, Intent: "chain", Changes: first, Then: then, After: []byte("later"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAChainIsDoneInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newHouse(t), newFleet("web", "cart")
		l := h.fleetLedger(f, h.store)
		r, stop := h.run(l)
		// The third step is about what the first has left.
		e := chained(t, l, scaled("web", 5), scaled("cart", 4), scaled("web", 7))
		if f.done() != "" {
			t.Fatalf("before anybody said yes: %s", f.done())
		}
		h.yes(l, e.ID)
		l.Settle(t.Context())
		stop()
		if got := f.done(); got != "web 3→5, cart 3→4, web 5→7" {
			t.Errorf("did %s", got)
		}
		told := r.told()
		if len(told) != 1 || told[0].State != action.Done || string(told[0].After) != "later" {
			t.Errorf("told %+v", told)
		}
		if inv, ok := told[0].Inverse(); !ok || len(inv) != 2 || inv[0].Ref.Name != "web" || inv[0].ToReplicas != 3 || inv[1].ToReplicas != 3 {
			t.Errorf("put back would be %+v", inv)
		}
	})
}

func TestAChainStopsWhereAStepDoesNotEndWell(t *testing.T) {
	pull := func(f *fleet) {
		f.of["web"].rolls = false
		f.of["web"].set(func(w *kube.Workload) { w.Progress.Stuck = &kube.Stuck{Reason: kube.ImagePull, Pods: 1} })
	}
	for _, tt := range []struct {
		name string
		make func(f *fleet)
		then func(f *fleet) // three seconds after yes
		did  string
		end  action.State
		rest int
	}{
		{"stuck", pull, nil, "web 3→5", action.Failed, 2},
		{"refused at first", func(f *fleet) { f.fail["web"] = fault.New(fault.Forbidden, "No.") }, nil, "", action.Failed, 2},
		{"refused later", func(f *fleet) { f.fail["cart"] = fault.New(fault.Forbidden, "No.") }, nil, "web 3→5", action.Failed, 1},
		{"changed by somebody else", func(f *fleet) { f.of["web"].rolls = false }, func(f *fleet) {
			f.of["web"].set(func(w *kube.Workload) { w.Progress.Desired = 9 })
		}, "web 3→5", action.Superseded, 2},
		{"what the later step starts from moved", func(f *fleet) { f.of["web"].rolls = false }, func(f *fleet) {
			f.of["cart"].set(func(w *kube.Workload) { w.Progress.Desired = 9 })
			f.of["web"].mu.Lock()
			f.of["web"].rolls = true
			f.of["web"].mu.Unlock()
		}, "web 3→5", action.Failed, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, f := newHouse(t), newFleet("web", "cart", "search")
				tt.make(f)
				l := h.fleetLedger(f, h.store)
				r, stop := h.run(l)
				h.yes(l, chained(t, l, scaled("web", 5), scaled("cart", 4), scaled("search", 4)).ID)
				time.Sleep(3 * time.Second)
				if tt.then != nil {
					tt.then(f)
				}
				l.Settle(t.Context())
				stop()
				told := r.told()
				if len(told) != 1 || told[0].State != tt.end || len(told[0].Rest()) != tt.rest {
					t.Errorf("told %+v", told)
				}
				if f.done() != tt.did {
					t.Errorf("did %s", f.done())
				}
			})
		})
	}
}

func TestAChainIsPlannedAsAWhole(t *testing.T) {
	h, f := newHouse(t), newFleet("web", "cart")
	f.plan["cart"] = fault.New(fault.Forbidden, "The quota allows no more.")
	l := h.fleetLedger(f, h.store)
	_, err := l.Propose(t.Context(), action.Proposal{Conversation: "conv", Speaker: ann, Changes: scaled("web", 5), Then: [][]kube.Change{scaled("cart", 9)}})
	var at *action.StageError
	if !errors.As(err, &at) || at.Stage != 1 || fault.KindOf(err) != fault.Forbidden {
		t.Errorf("%v", err)
	}
	// What a roll-back goes to is not known before the step in front of it is done.
	template := scaled("web", 0)
	template[0].Verb = kube.VerbTemplate
	restart := scaled("web", 0)
	restart[0].Verb = kube.VerbRestart
	_, err = l.Propose(t.Context(), action.Proposal{Conversation: "conv", Speaker: ann, Changes: restart, Then: [][]kube.Change{template}})
	if !errors.As(err, &at) || at.Stage != 1 || fault.KindOf(err) != fault.Refused {
		t.Errorf("%v", err)
	}
}

func TestAChainIsCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newHouse(t), newFleet("web", "cart")
		f.of["web"].rolls = false
		l := h.fleetLedger(f, h.store)
		r, stop := h.run(l)
		e := chained(t, l, scaled("web", 5), scaled("cart", 4))
		if rest, err := l.CallOff(t.Context(), e.ID, ann); err != nil || rest != nil {
			t.Errorf("nothing runs, and yet %v, %v", rest, err)
		}
		h.yes(l, e.ID)
		time.Sleep(3 * time.Second)
		if _, err := l.CallOff(t.Context(), e.ID, eve); fault.KindOf(err) != fault.Refused {
			t.Errorf("eve called it off: %v", err)
		}
		if rest, err := l.CallOff(t.Context(), e.ID, ann); err != nil || len(rest) != 1 || rest[0].Change.Ref.Name != "cart" {
			t.Errorf("called off: %v, %v", rest, err)
		}
		f.of["web"].mu.Lock()
		f.of["web"].rolls = true
		f.of["web"].mu.Unlock()
		l.Settle(t.Context())
		if told := r.told(); len(told) != 1 || told[0].State != action.Stopped || len(told[0].Rest()) != 1 || f.done() != "web 3→5" {
			t.Errorf("told %+v, did %s", told, f.done())
		}
		// What was begun can be undone, and the line of the stopping is in nobody's way.
		if last, ok, err := l.LastChange(t.Context(), "conv"); !ok || err != nil || last.ID != e.ID {
			t.Errorf("the last change is %+v, %v", last, err)
		}
		stop()
	})
}

func TestUndoingAChainThatRunsStopsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newHouse(t), newFleet("web", "cart")
		f.of["web"].rolls = false
		l := h.fleetLedger(f, h.store)
		r, stop := h.run(l)
		e := chained(t, l, scaled("web", 5), scaled("cart", 4))
		h.yes(l, e.ID)
		time.Sleep(3 * time.Second)
		undo, err := l.Propose(t.Context(), action.Proposal{Conversation: "conv", Speaker: ann, Intent: "undo", Changes: scaled("web", 3), Undoes: e.ID})
		if err != nil {
			t.Fatal(err)
		}
		f.of["web"].mu.Lock()
		f.of["web"].rolls = true
		f.of["web"].mu.Unlock()
		h.yes(l, undo.ID)
		l.Settle(t.Context())
		stop()
		for _, e := range r.told() {
			if want := map[bool]action.State{true: action.RolledBack, false: action.Done}[e.ID != undo.ID]; e.State != want && e.State != action.Stopped {
				t.Errorf("%s ended %s", e.ID, e.State)
			}
		}
		if f.done() != "web 3→5, web 5→3" {
			t.Errorf("did %s", f.done())
		}
	})
}

func TestAPartThatIsPutBackLeavesTheRestToUndo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newHouse(t), newFleet("web", "cart")
		l := h.fleetLedger(f, h.store)
		_, stop := h.run(l)
		e := chained(t, l, scaled("web", 5), scaled("cart", 4))
		h.yes(l, e.ID)
		l.Settle(t.Context())
		back, err := l.Propose(t.Context(), action.Proposal{Conversation: "conv", Speaker: ann, Intent: "rollback", Changes: scaled("cart", 3), Undoes: e.ID})
		if err != nil {
			t.Fatal(err)
		}
		h.yes(l, back.ID)
		l.Settle(t.Context())
		last, ok, err := l.LastChange(t.Context(), "conv")
		if err != nil || !ok || last.ID != e.ID || len(last.Steps) != 1 || last.Steps[0].Change.Ref.Name != "web" {
			t.Errorf("left is %+v, %v", last.Steps, err)
		}
		stop()
	})
}

// TestACrashAnywhereInAChain kills the process at each write to the journal,
// and lets another go on.
func TestACrashAnywhereInAChain(t *testing.T) {
	for at := range 14 {
		t.Run(fmt.Sprintf("write %d", at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, f := newHouse(t), newFleet("web", "cart")
				first := h.fleetLedger(f, &dying{Journal: h.store, writes: at})
				r := &reporter{}
				stop := h.runWith(first, r)
				e := chained(t, first, scaled("web", 5), scaled("cart", 4), scaled("web", 7))
				_, decided := first.Decide(t.Context(), e.ID, action.Decision{By: ann, Yes: true})
				time.Sleep(12 * time.Second)
				stop()

				second := h.fleetLedger(f, h.store)
				stop = h.runWith(second, r)
				time.Sleep(30 * time.Second)
				second.Settle(t.Context())
				stop()
				want := "web 3→5, cart 3→4, web 5→7"
				if decided != nil {
					want = "" // the yes never reached the journal, and the person was told so
				}
				if f.done() != want {
					t.Errorf("did %q", f.done())
				}
				ids := map[string]action.State{}
				for _, e := range r.told() {
					ids[e.ID] = e.State
				}
				if (want == "") != (len(ids) == 0) || want != "" && ids[e.ID] != action.Done {
					t.Errorf("told %v", ids)
				}
			})
		})
	}
}

func TestAChainThatNobodyCarriedOnIsNotGoneOnWith(t *testing.T) {
	for _, tt := range []struct {
		down time.Duration
		did  string
		end  action.State
	}{
		{9 * time.Minute, "web 3→5, cart 3→4", action.Done},
		{11 * time.Minute, "web 3→5", action.Stopped},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, f := newHouse(t), newFleet("web", "cart")
			f.of["web"].rolls = false
			first := h.fleetLedger(f, h.store)
			_, stop := h.run(first)
			h.yes(first, chained(t, first, scaled("web", 5), scaled("cart", 4)).ID)
			for n := range int32(5) { // slow, but somebody is there
				time.Sleep(5 * time.Minute)
				f.of["web"].set(func(w *kube.Workload) { w.Progress.Ready = n })
			}
			stop()
			time.Sleep(tt.down)
			f.of["web"].mu.Lock()
			f.of["web"].rolls = true
			f.of["web"].mu.Unlock()
			r, stop := h.run(h.fleetLedger(f, h.store))
			time.Sleep(20 * time.Second)
			stop()
			if told := r.told(); len(told) != 1 || told[0].State != tt.end || f.done() != tt.did {
				t.Errorf("after %v: told %+v, did %s", tt.down, told, f.done())
			}
		})
	}
}

func TestHowLongAnAnswerCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		p := action.DefaultPatience
		p.Answer = 30 * time.Second
		l := action.NewLedger(h.store, h.cluster, h.cluster, people(), p, slog.New(slog.DiscardHandler))
		e := h.propose(l, "k", 5)
		time.Sleep(31 * time.Second)
		_, err := l.Decide(t.Context(), e.ID, action.Decision{By: ann, Yes: true})
		if fault.KindOf(err) != fault.Refused || !strings.Contains(fault.Say(err), "30 seconds") {
			t.Errorf("%v", err)
		}
	})
}
