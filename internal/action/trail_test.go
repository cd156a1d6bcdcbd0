package action_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// trail proves the audit trail and returns what it tells.
func (h *house) trail() (events []audit.Event, kinds string) {
	h.t.Helper()
	v := audit.NewVerifier(audit.Head{})
	var words []string
	head, err := h.store.AuditTrail(h.t.Context(), func(r audit.Row) error {
		ev, err := audit.Decode(r.Line)
		if err != nil {
			return err
		}
		events, words = append(events, ev), append(words, string(ev.Kind))
		return v.Next(r)
	})
	if err == nil {
		_, err = v.End(head)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return events, strings.Join(words, " ")
}

func TestTheTrailTellsOfAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l := h.ledger()
		_, stop := h.run(l)
		e := h.propose(l, "k", 5)
		h.propose(l, "k", 7) // the same delivery
		for range 2 {
			if _, err := l.Decide(t.Context(), e.ID, action.Decision{By: ann, Yes: true, How: "button"}); err != nil {
				t.Fatal(err)
			}
		}
		l.Settle(t.Context())
		stop()
		events, kinds := h.trail()
		if kinds != "proposed approved applied outcome" {
			t.Fatalf("the trail tells %s", kinds)
		}
		for _, ev := range events {
			if ev.Action != e.ID || ev.Person != "ann" || ev.Channel != "web" || ev.Speaker != "ann" || ev.User != "ann@example.com" || ev.Intent != "scale" || ev.Assurance != "none" || ev.At.IsZero() {
				t.Errorf("%+v", ev)
			}
		}
		want := audit.Object{Cluster: "c", Namespace: "shop", Kind: "Deployment", Name: "web", Verb: "scale", From: "3", To: "5"}
		shown, done := want, want
		shown.Diff, done.Done = "-a\n+b\n", true
		if got := events[0].Objects; !slices.Equal(got, []audit.Object{shown}) {
			t.Errorf("proposed %+v", got)
		}
		if got := events[2].Objects; !slices.Equal(got, []audit.Object{want}) {
			t.Errorf("applied %+v", got)
		}
		if events[1].How != "button" || events[3].State != "done" || !slices.Equal(events[3].Objects, []audit.Object{done}) {
			t.Errorf("approved %+v, outcome %+v", events[1], events[3])
		}
	})
}

func TestTheTrailTellsOfAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l := h.ledger()
		_, stop := h.run(l)
		if _, err := l.Decide(t.Context(), h.propose(l, "no", 5).ID, action.Decision{By: bob, How: "words"}); err != nil {
			t.Fatal(err)
		}
		h.cluster.hook = func(string) error { return fault.New(fault.Refused, "The cluster says no.") }
		h.yes(l, h.propose(l, "refused", 6).ID)
		l.Settle(t.Context())
		late := h.propose(l, "late", 7)
		time.Sleep(action.ProposalLife + time.Second)
		if _, err := l.Decide(t.Context(), late.ID, action.Decision{By: ann, Yes: true}); err == nil {
			t.Fatal("a late yes counts")
		}
		stop()
		events, kinds := h.trail()
		if kinds != "proposed denied proposed approved refused outcome proposed expired" {
			t.Fatalf("the trail tells %s", kinds)
		}
		if no := events[1]; no.Person != "bob" || no.Speaker != "bob" || no.How != "words" {
			t.Errorf("denied by %+v", no)
		}
		if r := events[4]; r.Person != "ann" || r.Why != "The cluster says no." || events[5].State != "failed" {
			t.Errorf("refused %+v, outcome %+v", r, events[5])
		}
	})
}

// TestTheTrailTellsOnceWhereverTheProcessDies kills the process at each write
// to the journal: what the journal holds the trail tells, once.
func TestTheTrailTellsOnceWhereverTheProcessDies(t *testing.T) {
	for at := range 8 {
		t.Run(fmt.Sprintf("write %d", at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				first := action.NewLedger(&dying{Journal: h.store, writes: at}, h.cluster, h.cluster, people(), action.DefaultPatience, slog.New(slog.DiscardHandler))
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
				want := "proposed approved applied outcome"
				if decided != nil {
					want = "proposed"
				}
				if _, kinds := h.trail(); kinds != want {
					t.Errorf("the trail tells %s", kinds)
				}
			})
		})
	}
}

func TestTheTrailTellsWhoApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		hash, err := access.HashPIN("4917")
		if err != nil {
			t.Fatal(err)
		}
		guard := access.NewGuard([]access.Person{
			{Name: "ann", Speakers: []string{"web:ann"}, User: "ann@example.com", PINHash: hash},
			{Name: "bob", Speakers: []string{"web:bob"}, User: "bob@example.com"},
		}, access.Policy{
			{Name: "four eyes", Verdict: access.Approve, By: access.Approvers{People: []string{"bob"}}},
			{Name: "pins", Verdict: access.PIN},
		}, h.store)
		l := action.NewLedger(h.store, h.cluster, h.cluster, guard, action.DefaultPatience, slog.New(slog.DiscardHandler))
		_, stop := h.run(l)
		e, err := l.Propose(t.Context(), action.Proposal{
			Conversation: "c", Speaker: ann, Intent: "scale", Changes: []kube.Change{{Ref: ref, Verb: kube.VerbScale, ToReplicas: 5}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Decide(t.Context(), e.ID, action.Decision{By: ann, Yes: true, PIN: "1111"}); err == nil {
			t.Fatal("a wrong PIN is right")
		}
		if e, err = l.Decide(t.Context(), e.ID, action.Decision{By: ann, Yes: true, PIN: "4917", How: "words"}); err != nil || e.State != action.Waiting {
			t.Fatal(e.State, err)
		}
		if _, err := l.Approve(t.Context(), e.ID, e.Digest, bob); err != nil {
			t.Fatal(err)
		}
		l.Settle(t.Context())
		stop()
		events, kinds := h.trail()
		if kinds != "proposed pin approved seconded applied outcome" {
			t.Fatalf("the trail tells %s", kinds)
		}
		if events[2].Person != "ann" || events[2].How != "words, PIN" || events[3].Person != "bob" || events[3].Speaker != "bob" || events[3].How != "four eyes" {
			t.Errorf("approved %+v, seconded %+v", events[2], events[3])
		}
		if s := fmt.Sprint(events); strings.Contains(s, "4917") || strings.Contains(s, "1111") || events[1].Why == "" {
			t.Errorf("a PIN is in the trail, or no reason: %s", s)
		}
	})
}
