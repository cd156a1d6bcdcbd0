package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// TestConformance is what both engines promise.
func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, open opener)
	}{
		{"turns are kept across opens", turnsAreKept},
		{"ids may be anything", idsMayBeAnything},
		{"a delivery is claimed by one", aDeliveryIsClaimedByOne},
		{"a post is claimed by one", aPostIsClaimedByOne},
		{"conversations are found by what they begin with", conversationsByPrefix},
		{"who lost a delivery keeps nothing", whoLostADeliveryKeepsNothing},
		{"an event is kept once", anEventIsKeptOnce},
		{"an action moves on as journaled", anActionMovesOn},
		{"a runner that died is followed by another", aDeadRunnerIsFollowed},
		{"releasing lets another go on", releasingLetsAnotherGoOn},
		{"of many proposals of one key one is made", oneEntryOfAKey},
		{"of many that claim one gets it", oneClaimsIt},
		{"misses are capped, oldest first", missesAreCapped},
		{"a miss is followed once", aMissIsFollowedOnce},
		{"links, codes and PINs", linksCodesAndPINs},
		{"tries are counted and rest", triesAreCounted},
		{"audit lines make a chain", auditLinesMakeAChain},
		{"audit lines come with what they tell of", auditLinesComeWithTheJournal},
		{"audit lines of many make one chain", auditLinesOfManyMakeOneChain},
		{"the audit trail is only added to", auditIsOnlyAddedTo},
		{"of an alert the last word counts", alertsAreKept},
		{"a book is swapped as a whole", booksAreSwapped},
		{"a conversation is whose it was first", aConversationIsOwned},
		{"what was said is kept in order, and not for ever", whatWasSaidIsKept},
		{"a log-in ends, and is taken once", aLoginEnds},
		{"what nobody needs is swept away", sweeping},
	} {
		t.Run(c.name, func(t *testing.T) { bothEngines(t, c.test) })
	}
}

func turnsAreKept(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	if sess, ans, err := s.LoadTurn(ctx, "c", "d"); sess != nil || ans != nil || err != nil {
		t.Fatalf("an empty store holds %q %q %v", sess, ans, err)
	}
	save(t, s, "c", []byte("s1"), "d", []byte("a1"))
	save(t, s, "c", []byte("s2"), "", nil)
	sess, ans, err := open(t).LoadTurn(ctx, "c", "d")
	if string(sess) != "s2" || string(ans) != "a1" || err != nil {
		t.Fatalf("kept %q %q %v", sess, ans, err)
	}
	check(t, s.Ping(ctx))
}

func save(t testing.TB, s *store.Store, conversation string, session []byte, delivery string, answer []byte) {
	t.Helper()
	if !must[bool](t)(s.SaveTurn(t.Context(), conversation, session, delivery, answer)) {
		t.Fatalf("%s is another's", delivery)
	}
}

func idsMayBeAnything(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	ids := []string{"nul\x00", "nul\x00\x00", "\xff\xfe", "\xff", strings.Repeat("long", 5000), strings.Repeat("long", 5001), "'; DROP TABLE sessions; --", "$1 ?", "ö𝄞", " ", "%"}
	for i, id := range ids {
		save(t, s, id, fmt.Append(nil, "s", i), id, fmt.Append(nil, "a", i))
		_, _, err := s.AppendEvent(ctx, id, id, fmt.Append(nil, "e", i), fmt.Append(nil, "s", i))
		check(t, err)
		_, _, err = s.CreateAction(ctx, fmt.Sprint("id", i), id, id, "proposed", fmt.Append(nil, "p", i))
		check(t, err)
	}
	for i, id := range ids {
		sess, ans, err := s.LoadTurn(ctx, id, id)
		if string(sess) != fmt.Sprint("s", i) || string(ans) != fmt.Sprint("a", i) || err != nil {
			t.Errorf("%.20q: %q %q %v", id, sess, ans, err)
		}
		check(t, s.EventsAfter(ctx, id, 0, func(_ int64, b []byte) error {
			if string(b) != fmt.Sprint("e", i) {
				t.Errorf("%.20q: event %q", id, b)
			}
			return nil
		}))
		stored, fresh, err := s.CreateAction(ctx, fmt.Sprint("again", i), id, id, "proposed", []byte("p"))
		if fresh || string(stored) != fmt.Sprint("p", i) || err != nil {
			t.Errorf("%.20q: journal %q %v %v", id, stored, fresh, err)
		}
	}
	if d := must[[]byte](t)(s.Action(ctx, "\x00\xff")); d != nil {
		t.Errorf("an id that cannot be holds %q", d)
	}
}

func aDeliveryIsClaimedByOne(t *testing.T, open opener) {
	ctx := t.Context()
	stores := []*store.Store{open(t), open(t), open(t)}
	var wg sync.WaitGroup
	got := make(chan bool, 30)
	for _, s := range stores {
		wg.Go(func() {
			unlock := must[func()](t)(s.LockConversation(ctx, "c"))
			defer unlock()
			if !must[bool](t)(s.ClaimDelivery(ctx, "d")) {
				got <- false
				return
			}
			got <- true
			if !must[bool](t)(s.ClaimDelivery(ctx, "d")) {
				t.Error("who claimed it cannot try again")
			}
			save(t, s, "c", []byte("s"), "d", []byte("a"))
			save(t, s, "c", []byte("s"), "d", []byte("better")) // the outcome came in time
		})
	}
	wg.Wait()
	if n := trues(got); n != 1 {
		t.Errorf("%d handled it", n)
	}
	for _, s := range stores {
		if must[bool](t)(s.ClaimDelivery(ctx, "d")) {
			t.Error("claimed what is answered")
		}
		if _, ans, err := s.LoadTurn(ctx, "c", "d"); string(ans) != "better" || err != nil {
			t.Errorf("%q %v", ans, err)
		}
	}
}

func whoLostADeliveryKeepsNothing(t *testing.T, open opener) {
	a, b, ctx := open(t), open(t), t.Context()
	if !must[bool](t)(a.ClaimDelivery(ctx, "d")) {
		t.Fatal("not claimed")
	}
	if sess, ans, err := b.LoadTurn(ctx, "c", "d"); sess != nil || ans != nil || err != nil {
		t.Errorf("a claim is taken for an answer: %q %q %v", sess, ans, err)
	}
	check(t, a.Exec(ctx, "UPDATE deliveries SET lease = 1")) // a sleeps for long
	if !must[bool](t)(b.ClaimDelivery(ctx, "d")) {
		t.Fatal("not taken over")
	}
	if must[bool](t)(a.SaveTurn(ctx, "c", []byte("of a"), "d", []byte("of a"))) {
		t.Error("kept what was another's")
	}
	save(t, b, "c", []byte("of b"), "d", []byte("of b"))
	if must[bool](t)(a.SaveTurn(ctx, "c", []byte("of a"), "d", []byte("of a"))) {
		t.Error("kept what was another's")
	}
	if sess, ans, _ := a.LoadTurn(ctx, "c", "d"); string(sess) != "of b" || string(ans) != "of b" {
		t.Errorf("holds %q %q", sess, ans)
	}
}

func anEventIsKeptOnce(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	seq, fresh, err := s.AppendEvent(ctx, "c", "k", []byte("first"), []byte("s1"))
	if !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	again, fresh, err := open(t).AppendEvent(ctx, "c", "k", []byte("second"), []byte("s2"))
	if again != seq || fresh || err != nil {
		t.Fatal(again, seq, fresh, err)
	}
	if _, fresh, _ := s.AppendEvent(ctx, "other", "k", []byte("third"), []byte("s")); !fresh {
		t.Error("a key of another conversation counts")
	}
	var got []string
	check(t, s.EventsAfter(ctx, "c", 0, func(_ int64, b []byte) error { got = append(got, string(b)); return nil }))
	if !slices.Equal(got, []string{"first"}) {
		t.Errorf("kept %q", got)
	}
	if sess, _, _ := s.LoadTurn(ctx, "c", ""); string(sess) != "s1" {
		t.Errorf("the repeated event changed the session to %q", sess)
	}
	check(t, s.EventsAfter(ctx, "c", seq, func(int64, []byte) error { t.Error("told twice"); return nil }))
}

func anActionMovesOn(t *testing.T, open opener) {
	a, b, ctx := open(t), open(t), t.Context() // two processes
	if _, fresh, err := a.CreateAction(ctx, "1", "key", "c", "proposed", []byte("v1")); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	stored, fresh, err := b.CreateAction(ctx, "2", "key", "c", "proposed", []byte("v2"))
	if fresh || string(stored) != "v1" || err != nil {
		t.Fatalf("a repeated key made %q %v %v", stored, fresh, err)
	}
	swap := func(s *store.Store, from, to, owner string, open bool) bool {
		return must[bool](t)(s.SwapAction(ctx, "1", from, to, []byte(to), open, owner, time.Minute))
	}
	if swap(a, "applying", "done", "A", false) {
		t.Error("moved from a state it was not in")
	}
	if !swap(a, "proposed", "approved", "A", true) || swap(b, "proposed", "approved", "B", true) {
		t.Error("not exactly one of two could approve")
	}
	if swap(b, "approved", "applying", "B", true) {
		t.Error("moved what another holds")
	}
	if got := must[[][]byte](t)(b.ClaimActions(ctx, "B", time.Minute)); len(got) != 0 {
		t.Errorf("claimed %q under a running lease", got)
	}
	if !swap(a, "approved", "done", "A", false) {
		t.Error("the holder cannot move it")
	}
	if got := must[[][]byte](t)(b.ClaimActions(ctx, "B", time.Minute)); len(got) != 0 {
		t.Errorf("claimed %q, which is closed", got)
	}
	if d := must[[]byte](t)(a.Action(ctx, "1")); string(d) != "done" {
		t.Errorf("holds %q", d)
	}
	if d := must[[]byte](t)(a.Action(ctx, "nope")); d != nil {
		t.Errorf("an unknown id holds %q", d)
	}
	for i := range 3 {
		_, _, err := b.CreateAction(ctx, fmt.Sprint("n", i), fmt.Sprint("k", i), "c", "proposed", fmt.Append(nil, "n", i))
		check(t, err)
	}
	var all []string
	check(t, a.ActionsOf(ctx, "c", func(d []byte) (bool, error) { all = append(all, string(d)); return len(all) < 3, nil }))
	if !slices.Equal(all, []string{"n2", "n1", "n0"}) {
		t.Errorf("of the conversation: %q", all)
	}
	all = nil
	check(t, a.ActionsIn(ctx, "proposed", func(d []byte) (bool, error) { all = append(all, string(d)); return len(all) < 2, nil }))
	if !slices.Equal(all, []string{"n2", "n1"}) {
		t.Errorf("in the state: %q", all)
	}
}

// aDeadRunnerIsFollowed holds for leases in the store's own time: the clocks of
// those who share it do not count.
func aDeadRunnerIsFollowed(t *testing.T, open opener) {
	a, b, ctx := open(t), open(t), t.Context()
	const lease = 400 * time.Millisecond
	for i := range 3 {
		id := fmt.Sprint(i)
		_, _, err := a.CreateAction(ctx, id, id, "c", "proposed", []byte("d"))
		check(t, err)
		if !must[bool](t)(a.SwapAction(ctx, id, "proposed", "approved", fmt.Append(nil, i), true, "A", lease)) {
			t.Fatal("not approved")
		}
	}
	for range 4 { // A lives
		time.Sleep(lease / 4)
		check(t, a.RenewActions(ctx, "A", lease))
		if got := must[[][]byte](t)(b.ClaimActions(ctx, "B", time.Minute)); len(got) != 0 {
			t.Fatalf("claimed %q from one who lives", got)
		}
	}
	time.Sleep(lease + lease/4) // A is dead
	got := must[[][]byte](t)(b.ClaimActions(ctx, "B", time.Minute))
	if len(got) != 3 || string(got[0]) != "0" || string(got[2]) != "2" {
		t.Fatalf("claimed %q after the lease", got)
	}
	check(t, a.RenewActions(ctx, "A", time.Hour)) // A was only asleep
	if must[bool](t)(a.SwapAction(ctx, "0", "approved", "applying", []byte("d"), true, "A", time.Minute)) {
		t.Error("the old holder still moves it")
	}
	if !must[bool](t)(b.SwapAction(ctx, "0", "approved", "done", []byte("d"), false, "B", 0)) {
		t.Error("the new holder cannot move it")
	}
}

func releasingLetsAnotherGoOn(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	_, _, err := s.CreateAction(ctx, "1", "k", "c", "p", []byte("d"))
	check(t, err)
	must[bool](t)(s.SwapAction(ctx, "1", "p", "q", []byte("d"), true, "A", time.Hour))
	check(t, s.ReleaseActions(ctx, "A"))
	if got := must[[][]byte](t)(s.ClaimActions(ctx, "B", time.Hour)); len(got) != 1 {
		t.Errorf("claimed %q", got)
	}
}

func oneEntryOfAKey(t *testing.T, open opener) {
	ctx := t.Context()
	var wg sync.WaitGroup
	made := make(chan bool, 40)
	for i := range 4 {
		s := open(t)
		for j := range 10 {
			wg.Go(func() {
				_, fresh, err := s.CreateAction(ctx, fmt.Sprint(i, "-", j), "key", "c", "p", []byte("d"))
				if err != nil {
					t.Error(err)
				}
				made <- fresh
			})
		}
	}
	wg.Wait()
	if n := trues(made); n != 1 {
		t.Errorf("%d entries of one key", n)
	}
}

func oneClaimsIt(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	_, _, err := s.CreateAction(ctx, "1", "k", "c", "p", []byte("d"))
	check(t, err)
	must[bool](t)(s.SwapAction(ctx, "1", "p", "q", []byte("d"), true, "A", -time.Second))
	var wg sync.WaitGroup
	got := make(chan bool, 16)
	for i := range 4 {
		s := open(t)
		for j := range 4 {
			wg.Go(func() {
				c, err := s.ClaimActions(ctx, fmt.Sprint("B", i, j), time.Minute)
				if err != nil {
					t.Error(err)
				}
				got <- len(c) == 1
			})
		}
	}
	wg.Wait()
	if n := trues(got); n != 1 {
		t.Errorf("%d claimed it", n)
	}
}

func trues(c chan bool) (n int) {
	close(c)
	for b := range c {
		if b {
			n++
		}
	}
	return n
}

func kept(t *testing.T, s *store.Store, since time.Time) []string {
	t.Helper()
	var out []string
	check(t, s.Misses(t.Context(), since, func(m, n []byte) error {
		out = append(out, string(m)+">"+string(n))
		return nil
	}))
	return out
}

func missesAreCapped(t *testing.T, open opener) {
	s, now := open(t), time.Now()
	for i := range 8 {
		check(t, s.AddMiss(t.Context(), "c", now.Add(time.Duration(i)*time.Second), fmt.Append(nil, i), nil, 5))
	}
	if got := kept(t, s, time.Time{}); !slices.Equal(got, []string{"3>", "4>", "5>", "6>", "7>"}) {
		t.Errorf("kept %q", got)
	}
	if got := kept(t, s, now.Add(6*time.Second)); len(got) != 2 {
		t.Errorf("since: %q", got)
	}
	if n, err := s.ForgetMisses(t.Context()); n != 5 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	if got := kept(t, s, time.Time{}); len(got) != 0 {
		t.Errorf("still keeps %q", got)
	}
}

func aMissIsFollowedOnce(t *testing.T, open opener) {
	s, other, now := open(t), open(t), time.Now() // two processes
	check(t, s.AddMiss(t.Context(), "c", now, []byte("m"), nil, 5))
	for _, tt := range []struct {
		conv  string
		since time.Time
		want  bool
	}{{"other", now.Add(-time.Minute), false}, {"", now.Add(-time.Minute), false}, {"c", now.Add(time.Minute), false}, {"c", now.Add(-time.Minute), true}} {
		id, ok, err := other.OpenMiss(t.Context(), tt.conv, tt.since)
		if ok != tt.want || err != nil {
			t.Errorf("%q since %v: %v, %v", tt.conv, tt.since, ok, err)
		}
		if ok {
			check(t, other.FollowMiss(t.Context(), id, []byte("n")))
		}
	}
	if _, ok, _ := s.OpenMiss(t.Context(), "c", now.Add(-time.Minute)); ok {
		t.Error("a miss that was followed is open")
	}
	check(t, s.AddMiss(t.Context(), "c", now, []byte("m2"), []byte("n2"), 5))
	if _, ok, _ := s.OpenMiss(t.Context(), "c", now.Add(-time.Minute)); ok {
		t.Error("a miss that came with what followed is open")
	}
	if got := kept(t, s, time.Time{}); !slices.Equal(got, []string{"m>n", "m2>n2"}) {
		t.Errorf("kept %q", got)
	}
}

func linksCodesAndPINs(t *testing.T, open opener) {
	a, b, ctx := open(t), open(t), t.Context()
	check(t, a.PutLink(ctx, "web:\x00\xff", "ann"))
	check(t, a.PutLink(ctx, "slack:U1", "ann"))
	check(t, b.PutLink(ctx, "slack:U1", "bob"))
	if p := must[string](t)(a.LinkOf(ctx, "slack:U1")); p != "bob" {
		t.Errorf("linked to %q", p)
	}
	if p := must[string](t)(a.LinkOf(ctx, "slack:U2")); p != "" {
		t.Errorf("a stranger is linked to %q", p)
	}
	n := 0
	check(t, b.Links(ctx, func(speaker, person string, at time.Time) error {
		if n++; time.Since(at).Abs() > time.Hour {
			t.Errorf("%s to %s at %v", speaker, person, at)
		}
		return nil
	}))
	if n != 2 || !must[bool](t)(a.DropLink(ctx, "slack:U1")) || must[bool](t)(b.DropLink(ctx, "slack:U1")) {
		t.Errorf("%d links, or one was dropped not exactly once", n)
	}
	var told []string
	check(t, a.Audit(ctx, time.Time{}, func(r audit.Row) (bool, error) {
		ev, err := audit.Decode(r.Line)
		told = append(told, fmt.Sprint(ev.Kind, " ", ev.Channel, " ", ev.Person))
		return true, err
	}))
	if want := []string{"linked web ann", "linked slack ann", "linked slack bob", "unlinked slack bob"}; !slices.Equal(told, want) {
		t.Errorf("the trail tells %q", told)
	}
	trail(t, a)
	now := time.Now()
	check(t, a.PutCode(ctx, "ann", "h1", now.Add(time.Minute)))
	check(t, a.PutCode(ctx, "ann", "h2", now.Add(time.Minute)))
	check(t, a.PutCode(ctx, "bob", "h3", now.Add(-time.Minute)))
	if c, err := b.Codes(ctx, now); err != nil || len(c) != 1 || c["ann"] != "h2" {
		t.Errorf("codes %v, %v", c, err)
	}
	var wg sync.WaitGroup
	took := make(chan bool, 10)
	for _, s := range []*store.Store{a, b} {
		for range 5 {
			wg.Go(func() { took <- must[bool](t)(s.TakeCode(ctx, "ann", "h2")) })
		}
	}
	wg.Wait()
	if n := trues(took); n != 1 {
		t.Errorf("a code was taken %d times", n)
	}
	check(t, a.PutPIN(ctx, "ann", "p1"))
	check(t, b.PutPIN(ctx, "ann", "p2"))
	if p := must[string](t)(a.PINOf(ctx, "ann")); p != "p2" {
		t.Errorf("PIN %q", p)
	}
	if p := must[string](t)(a.PINOf(ctx, "bob")); p != "" {
		t.Errorf("PIN %q", p)
	}
}

func triesAreCounted(t *testing.T, open opener) {
	a, b, ctx, now := open(t), open(t), t.Context(), time.Now()
	var wg sync.WaitGroup
	allowed := make(chan bool, 40)
	for _, s := range []*store.Store{a, b} {
		for range 20 {
			wg.Go(func() {
				_, ok, err := s.Try(ctx, "pin:ann", now, 3, time.Minute)
				if err != nil {
					t.Error(err)
				}
				allowed <- ok
			})
		}
	}
	wg.Wait()
	if n := trues(allowed); n != 3 {
		t.Errorf("%d tries of 3", n)
	}
	try := func(key string, at time.Time) (int, bool) {
		left, ok, err := a.Try(ctx, key, at, 3, time.Minute)
		check(t, err)
		return left, ok
	}
	if _, ok := try("pin:ann", now.Add(59*time.Second)); ok {
		t.Error("allowed before the rest is over")
	}
	if left, ok := try("pin:ann", now.Add(time.Minute)); !ok || left != 2 {
		t.Errorf("after the rest: %d, %v", left, ok)
	}
	if left, ok := try("pin:bob", now); !ok || left != 2 {
		t.Errorf("another one: %d, %v", left, ok)
	}
	check(t, b.Forgive(ctx, "pin:ann"))
	if left, _ := try("pin:ann", now); left != 2 {
		t.Errorf("forgiven: %d left", left)
	}
}

func sweeping(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	save(t, s, "old", []byte("s"), "old", []byte("a"))
	_, _, err := s.AppendEvent(ctx, "old", "k", []byte("e"), []byte("s"))
	check(t, err)
	for _, q := range []string{"UPDATE deliveries SET at = 1", "UPDATE events SET at = 1", "UPDATE sessions SET updated = 1"} {
		check(t, s.Exec(ctx, q))
	}
	save(t, s, "new", []byte("s"), "new", []byte("a"))
	check(t, s.Sweep(ctx))
	if sess, ans, _ := s.LoadTurn(ctx, "old", "old"); sess != nil || ans != nil {
		t.Errorf("still keeps %q %q", sess, ans)
	}
	if sess, ans, _ := s.LoadTurn(ctx, "new", "new"); sess == nil || ans == nil {
		t.Error("swept what is new")
	}
	check(t, s.EventsAfter(ctx, "old", 0, func(int64, []byte) error { t.Error("still keeps an event"); return nil }))
}
