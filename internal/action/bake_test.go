package action_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/gate"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// releases is a cluster that runs images, some of which do badly.
type releases struct {
	*cluster
	images []string // in the order they were rolled out
}

func (r *releases) Apply(ctx context.Context, ch kube.Change, id string) (kube.Applied, error) {
	out, err := r.cluster.Apply(ctx, ch, id)
	if err == nil && !out.Already && len(ch.Images) > 0 {
		r.set(func(w *kube.Workload) { w.Containers = []kube.Container{{Name: "web", Image: ch.Images[0].To}} })
		r.images = append(r.images, ch.Images[0].To)
	}
	return out, err
}

func (r *releases) image() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.w.Containers[0].Image
}

// measurer measures what the cluster runs: web:bad fails.
type measurer struct {
	r     *releases
	mu    sync.Mutex
	seen  []action.Trial
	quiet bool // nobody sends requests
	down  bool
	few   bool // there are few samples, so that it takes longer to be sure
}

func (m *measurer) Measure(_ context.Context, t action.Trial) gate.Evidence {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, t)
	if m.down {
		return gate.Evidence{Missing: []string{"Prometheus does not answer."}}
	}
	if m.quiet {
		return gate.Evidence{}
	}
	took := int(t.Until.Sub(t.Complete) / t.Interval)
	of := func(image string, n int) gate.Side {
		s := gate.Side{Requests: float64(100 * n)}
		for i := range n {
			r := 0.001 * float64(i%3)
			if strings.HasSuffix(image, "bad") {
				r += 0.12
			}
			s.Errors, s.Latency = append(s.Errors, r), append(s.Latency, 0.2+0.01*float64(i%5))
		}
		return s
	}
	im := t.Change.Images[0]
	if m.few {
		return gate.Evidence{Old: of(im.From, 8), New: of(im.To, took/4)}
	}
	return gate.Evidence{Old: of(im.From, 30), New: of(im.To, took)}
}

const bakeFor = 40 * time.Second

// guarded is a ledger that watches what it rolls out.
func (h *house) guarded(r *releases, j action.Journal, m action.Measurer, auto bool) *action.Ledger {
	l := action.NewLedger(j, r, r, people(), action.DefaultPatience, slog.New(slog.DiscardHandler))
	l.Guard(action.Guard{For: bakeFor, Measurer: m, Reverts: func(kube.Ref) bool { return auto }})
	return l
}

func release(t *testing.T, l *action.Ledger, key, to string) action.Entry {
	t.Helper()
	e, err := l.Propose(context.Background(), action.Proposal{
		Key: key, Conversation: "conv", Speaker: ann, Said: "deploy it", Intent: "deploy",
		Changes: []kube.Change{{
			Ref: ref, Verb: kube.VerbImage, ToReplicas: 3, FromVersion: "1", ToVersion: strings.TrimPrefix(to, "web:"),
			Images: []kube.ImageChange{{Container: "web", From: "web:1", To: to}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func ends(r *reporter) map[string]action.Entry {
	out := map[string]action.Entry{}
	for _, e := range r.told() {
		out[e.ID] = e
	}
	return out
}

func TestAGoodReleaseIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		c := &releases{cluster: h.cluster}
		m := &measurer{r: c}
		l := h.guarded(c, h.store, m, true)
		r, stop := h.run(l)
		start := time.Now()
		e := release(t, l, "k", "web:2")
		h.yes(l, e.ID)
		time.Sleep(20 * time.Second)
		if now, err := l.Entry(t.Context(), e.ID); err != nil || now.State != action.Baking || now.Bake.Tried[0].Verdict.New.Requests == 0 {
			t.Errorf("meanwhile the journal holds %+v, %v", now, err)
		}
		if len(r.told()) > 0 {
			t.Errorf("told %+v before the time was up", r.told())
		}
		l.Settle(t.Context())
		stop()
		told := r.told()
		if len(told) != 1 || told[0].State != action.Done || told[0].Bake.Tried[0].Verdict.Kind != gate.Good || c.image() != "web:2" {
			t.Fatalf("told %+v, runs %s", told, c.image())
		}
		if d := time.Since(start); d < bakeFor || d > bakeFor+10*time.Second {
			t.Errorf("it was watched for %v", d)
		}
		if v := told[0].Bake.Tried[0].Verdict; v.New.Version != "2" || v.Old.Version != "1" || v.New.Latency < 0.2 {
			t.Errorf("the verdict is %+v", v)
		}
		if first := m.seen[0]; !first.Complete.After(first.Begun) || first.Begun.Before(start) || first.Back {
			t.Errorf("measured %+v", first)
		}
	})
}

func TestABadReleaseIsRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		c := &releases{cluster: h.cluster}
		l := h.guarded(c, h.store, &measurer{r: c}, true)
		r, stop := h.run(l)
		start := time.Now()
		e := release(t, l, "k", "web:bad")
		h.yes(l, e.ID)
		l.Settle(t.Context())
		stop()
		if c.image() != "web:1" || len(c.images) != 2 {
			t.Fatalf("rolled out %v", c.images)
		}
		of := ends(r)[e.ID]
		back := ends(r)[of.Bake.Next]
		if of.State != action.RolledBack || of.Bake.Tried[0].Verdict.Kind != gate.Worse {
			t.Errorf("the release ended %+v", of)
		}
		if back.State != action.Done || back.Undoes != e.ID || back.Person != "ann" || !strings.HasPrefix(back.By.How, "by itself") || back.Bake.Tried[0].Verdict.Kind != gate.Back {
			t.Errorf("the roll-back ended %+v", back)
		}
		for _, as := range c.as {
			if as.User != "ann@example.com" {
				t.Errorf("done as %+v", as)
			}
		}
		// Five samples are enough.
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("it took %v", d)
		}
		if _, ok, err := l.LastChange(t.Context(), "conv"); ok || err != nil {
			t.Errorf("there is still something to undo (%v)", err)
		}
	})
}

// What may not be rolled back by itself is told, and left to the person.
func TestABadReleaseIsLeftWhereNothingSaysOtherwise(t *testing.T) {
	rule := func(then string) string {
		return "- {name: all, match: {}, verdict: allow}\n- {name: back, match: {intent: rollback}, verdict: " + then + "}\n"
	}
	for _, tt := range []struct {
		name  string
		auto  bool
		rules string
		down  time.Duration
		makes int // roll-outs
	}{
		{"the default", false, rule("allow"), 0, 1},
		{"the policy denies it", true, rule("deny"), 0, 1},
		{"the policy wants a PIN", true, rule("pin"), 0, 1},
		{"the policy wants somebody else", true, rule("approve, by: {person: bob}"), 0, 1},
		{"the policy lets it", true, rule("confirm"), 0, 2},
		{"nobody was there for long", true, rule("allow"), 11 * time.Minute, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				c := &releases{cluster: h.cluster}
				policy, err := access.ReadPolicy("rules.yaml", []byte(tt.rules))
				if err != nil {
					t.Fatal(err)
				}
				guard := access.NewGuard([]access.Person{{Name: "ann", Speakers: []string{"web:ann"}, User: "ann@example.com", Write: true}}, policy, h.store)
				if err := guard.SetPIN(t.Context(), "ann", "2580"); err != nil {
					t.Fatal(err)
				}
				start := func() *action.Ledger {
					l := action.NewLedger(h.store, c, c, guard, action.DefaultPatience, slog.New(slog.DiscardHandler))
					l.Guard(action.Guard{For: bakeFor, Measurer: &measurer{r: c}, Reverts: func(kube.Ref) bool { return tt.auto }})
					return l
				}
				l := start()
				r, stop := h.run(l)
				e := release(t, l, "k", "web:bad")
				h.yes(l, e.ID)
				if tt.down > 0 {
					time.Sleep(5 * time.Second)
					stop()
					time.Sleep(tt.down)
					l = start()
					r, stop = h.run(l)
					time.Sleep(time.Second)
				}
				l.Settle(t.Context())
				stop()
				want := action.Failed
				if tt.makes == 2 {
					want = action.RolledBack
				}
				if of := ends(r)[e.ID]; of.State != want || !of.Bake.Worse() || len(of.Withdrawal()) != 1 || len(c.images) != tt.makes {
					t.Errorf("%s: rolled out %v, ended %+v", tt.name, c.images, of)
				}
			})
		})
	}
}

func TestWhatCannotBeToldIsSaid(t *testing.T) {
	for want, m := range map[gate.Kind]*measurer{gate.Quiet: {quiet: true}, gate.Blind: {down: true}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t)
			c := &releases{cluster: h.cluster}
			l := h.guarded(c, h.store, m, true)
			r, stop := h.run(l)
			e := release(t, l, "k", "web:bad")
			h.yes(l, e.ID)
			l.Settle(t.Context())
			stop()
			if of := ends(r)[e.ID]; of.State != action.Done || of.Bake.Tried[0].Verdict.Kind != want || c.image() != "web:bad" {
				t.Errorf("%s: %+v", want, of)
			}
		})
	}
}

// Whoever changes it meanwhile ends it; who only scales it does not.
// What looks worse when its time is up, and may be chance, is watched for as long
// again before anything is said of it.
func TestWhatMayBeChanceIsWatchedForLonger(t *testing.T) {
	for _, auto := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t)
			c := &releases{cluster: h.cluster}
			l := h.guarded(c, h.store, &measurer{r: c, few: true}, auto)
			r, stop := h.run(l)
			start := time.Now()
			e := release(t, l, "k", "web:bad")
			h.yes(l, e.ID)
			time.Sleep(bakeFor + 2*time.Second)
			if now, err := l.Entry(t.Context(), e.ID); err != nil || now.State != action.Baking || !now.Bake.Longer {
				t.Errorf("after its time the journal holds %+v, %v", now, err)
			}
			l.Settle(t.Context())
			stop()
			end := ends(r)[e.ID]
			if v := end.Bake.Tried[0].Verdict; v.Kind != gate.Worse {
				t.Errorf("the verdict is %+v", v)
			}
			if d := time.Since(start); d > 4*bakeFor {
				t.Errorf("it took %v", d)
			}
			if want := map[bool]string{true: "web:1", false: "web:bad"}[auto]; c.image() != want {
				t.Errorf("it runs %s, want %s", c.image(), want)
			}
		})
	}
}

func TestAnotherChangeEndsTheBake(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(h *house, l *action.Ledger, e action.Entry, c *releases) error
		state  action.State
		ended  bool
	}{
		{"undone", func(h *house, l *action.Ledger, e action.Entry, _ *releases) error {
			inv, _ := e.Steps[0].Change.Inverse()
			undo, err := l.Propose(context.Background(), action.Proposal{Key: "u", Conversation: "conv", Speaker: ann, Intent: "undo", Changes: []kube.Change{inv}, Undoes: e.ID})
			if err == nil {
				h.yes(l, undo.ID)
			}
			return err
		}, action.RolledBack, true},
		{"another version", func(h *house, l *action.Ledger, _ action.Entry, _ *releases) error {
			h.yes(l, release(h.t, l, "other", "web:3").ID)
			return nil
		}, action.Done, true},
		{"by somebody else", func(_ *house, _ *action.Ledger, _ action.Entry, c *releases) error {
			c.set(func(w *kube.Workload) { w.Containers = []kube.Container{{Name: "web", Image: "web:kubectl"}} })
			return nil
		}, action.Done, true},
		{"deleted", func(h *house, _ *action.Ledger, _ action.Entry, c *releases) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.gone = true
			return nil
		}, action.Done, true},
		{"scaled", func(h *house, l *action.Ledger, _ action.Entry, _ *releases) error {
			h.yes(l, h.propose(l, "scale", 5).ID)
			return nil
		}, action.Done, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.t = t
				c := &releases{cluster: h.cluster}
				l := h.guarded(c, h.store, &measurer{r: c}, true)
				r, stop := h.run(l)
				e := release(t, l, "k", "web:2")
				h.yes(l, e.ID)
				time.Sleep(10 * time.Second)
				at := time.Now()
				if err := tt.change(h, l, e, c); err != nil {
					t.Fatal(err)
				}
				for len(ends(r)[e.ID].ID) == 0 && time.Since(at) < time.Hour {
					time.Sleep(time.Second)
				}
				of := ends(r)[e.ID]
				if soon := time.Since(at) < 5*time.Second; of.State != tt.state || of.Bake.Changed != tt.ended || soon != tt.ended {
					t.Errorf("after %v: %+v %+v", time.Since(at), of, of.Bake)
				}
				l.Settle(t.Context())
				stop()
			})
		})
	}
}

func TestAReleaseThatBeginsToCrashIsRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		c := &releases{cluster: h.cluster}
		l := h.guarded(c, h.store, &measurer{r: c, quiet: true}, true)
		r, stop := h.run(l)
		e := release(t, l, "k", "web:2")
		h.yes(l, e.ID)
		time.Sleep(10 * time.Second)
		c.mu.Lock()
		c.rolls = false
		c.w.Progress = kube.Progress{State: kube.Waiting, Desired: 3, Updated: 3, Total: 3, Stuck: &kube.Stuck{Reason: kube.CrashLoop, Pods: 1}}
		c.mu.Unlock()
		time.Sleep(8 * time.Second)
		c.mu.Lock()
		c.rolls = true
		c.mu.Unlock()
		l.Settle(t.Context())
		stop()
		if of := ends(r)[e.ID]; of.State != action.RolledBack || of.Bake.Tried[0].Verdict.Why[0] != gate.Crashes || of.Steps[0].Last.Stuck == nil || c.image() != "web:1" {
			t.Errorf("runs %s, ended %+v", c.image(), of)
		}
	})
}

// TestACrashAnywhereInABake kills the process at each write to the journal from
// the yes to a release that does worse until it is rolled back and that is told,
// and lets another go on.
func TestACrashAnywhereInABake(t *testing.T) {
	for at := 1; at < 26; at++ {
		t.Run(fmt.Sprintf("write %d", at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				c := &releases{cluster: h.cluster}
				r := &reporter{}
				first := h.guarded(c, &dying{Journal: h.store, writes: at}, &measurer{r: c}, true)
				stop := h.runWith(first, r)
				e := release(t, first, "k", "web:bad")
				if _, err := first.Decide(t.Context(), e.ID, action.Decision{By: ann, Yes: true}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				stop()

				second := h.guarded(c, h.store, &measurer{r: c}, true)
				stop = h.runWith(second, r)
				time.Sleep(2 * time.Minute)
				second.Settle(t.Context())
				stop()
				if got := fmt.Sprint(c.images); got != "[web:bad web:1]" {
					t.Errorf("rolled out %s", got)
				}
				// Telling is at least once here; the conversation keeps an outcome
				// once by its key.
				of := ends(r)
				if len(of) != 2 || of[e.ID].State != action.RolledBack || of[of[e.ID].Bake.Next].State != action.Done {
					t.Errorf("told %+v", of)
				}
				for _, e := range of {
					if kept, err := second.Entry(t.Context(), e.ID); err != nil || !kept.Told {
						t.Errorf("the journal holds %+v, %v", kept, err)
					}
				}
			})
		})
	}
}

// A cluster that does not answer while the roll-back is made up is asked again.
func TestARollBackThatCannotBePlannedForAMomentIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		c := &releases{cluster: h.cluster}
		p := &unplanned{releases: c}
		l := action.NewLedger(h.store, p, c, people(), action.DefaultPatience, slog.New(slog.DiscardHandler))
		l.Guard(action.Guard{For: bakeFor, Measurer: &measurer{r: c}, Reverts: func(kube.Ref) bool { return true }})
		r, stop := h.run(l)
		e := release(t, l, "k", "web:bad")
		p.mute = 3
		h.yes(l, e.ID)
		l.Settle(t.Context())
		stop()
		if of := ends(r)[e.ID]; of.State != action.RolledBack || c.image() != "web:1" || p.mute != 0 {
			t.Errorf("runs %s, ended %+v", c.image(), of)
		}
	})
}

type unplanned struct {
	*releases
	mute int
}

func (u *unplanned) Plan(ctx context.Context, ch kube.Change) (kube.Change, kube.Diff, error) {
	if u.mute > 0 {
		u.mute--
		return ch, kube.Diff{}, fault.Wrap(errors.New("dial tcp"), fault.Unavailable, "The cluster does not answer.")
	}
	return u.releases.Plan(ctx, ch)
}
