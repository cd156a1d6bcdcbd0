package action_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// ruled is a ledger under a policy, as a process of its own.
func (h *house) ruled(rules string) *action.Ledger {
	h.t.Helper()
	p, err := access.ReadPolicy("rules.yaml", []byte(rules))
	if err != nil {
		h.t.Fatal(err)
	}
	guard := access.NewGuard([]access.Person{
		{Name: "ann", Speakers: []string{"web:ann", "phone:ann"}, User: "ann@example.com", Write: true},
		{Name: "bob", Speakers: []string{"web:bob"}},
		{Name: "carl", Speakers: []string{"web:carl"}, Groups: []string{"leads"}},
		{Name: "eve", Speakers: []string{"web:eve"}},
	}, p, h.store)
	if err := guard.SetPIN(context.Background(), "ann", "2580"); err != nil {
		h.t.Fatal(err)
	}
	return action.NewLedger(h.store, h.cluster, h.cluster, guard, action.DefaultPatience, slog.New(slog.DiscardHandler))
}

const twoRules = `
- {name: two, match: {}, verdict: approve, by: {person: bob}}
- {name: lead, match: {}, verdict: approve, by: {group: leads, person: bob}, reason: because}
`

var (
	carl     = access.Speaker{Channel: "web", ID: "carl"}
	annPhone = access.Speaker{Channel: "phone", ID: "ann"}
	stranger = access.Speaker{Channel: "web", ID: "x"}
)

func TestASecondPersonApproves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l := h.ruled(twoRules)
		r, stop := h.run(l)
		ctx := t.Context()
		e := h.propose(l, "k", 5)
		if _, err := l.Approve(ctx, e.ID, e.Digest, bob); fault.KindOf(err) != fault.Refused {
			t.Errorf("approved before the one who asks said yes: %v", err)
		}
		e, err := l.Decide(ctx, e.ID, action.Decision{By: ann, Yes: true})
		if err != nil || e.State != action.Waiting || len(e.Code) != 4 || !strings.Contains(e.WaitsFor(), "bob") {
			t.Fatalf("after the yes: %+v, %v", e, err)
		}
		for who, s := range map[string]access.Speaker{"the asker": ann, "the asker elsewhere": annPhone, "nobody in particular": stranger, "somebody not named": eve} {
			if _, err := l.Approve(ctx, e.ID, e.Digest, s); fault.KindOf(err) != fault.Refused {
				t.Errorf("%s approved: %v", who, err)
			}
		}
		if _, err := l.Approve(ctx, e.ID, "something else", bob); !strings.Contains(fault.Say(err), "not what was shown") {
			t.Errorf("approved something else: %v", err)
		}
		// carl is enough for one of the two rules, and is so once.
		for range 2 {
			if e, err = l.Approve(ctx, e.ID, e.Digest, carl); e.State != action.Waiting {
				t.Fatalf("one of two: %v, %v", e.State, err)
			}
		}
		l.Settle(ctx)
		if len(h.cluster.applied) != 0 {
			t.Fatal("applied before all agreed")
		}
		if e, err = l.Approve(ctx, e.ID, e.Digest, bob); err != nil || e.State != action.Approved {
			t.Fatalf("both: %v, %v", e.State, err)
		}
		l.Settle(ctx)
		stop()
		told := r.told()
		if len(told) != 1 || told[0].State != action.Done || strings.Join(told[0].Approvers(), " ") != "carl bob" || told[0].Person != "ann" {
			t.Errorf("told %+v", told)
		}
		if _, err := l.Approve(ctx, e.ID, e.Digest, bob); fault.KindOf(err) != fault.Refused {
			t.Errorf("approved what is done: %v", err)
		}
	})
}

// TestARoleAloneApprovesNothing holds that who is known by nothing but a role of a
// platform is no second pair of eyes: it could be the one who asked.
func TestARoleAloneApprovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		guard := access.NewGuard([]access.Person{
			{Name: "ann", Speakers: []string{"web:ann"}, User: "ann@example.com", Write: true},
			{Name: "bob", Speakers: []string{"discord:2"}, User: "bob@example.com"},
		}, access.Policy{{Name: "leads", Verdict: access.Approve, By: access.Approvers{Groups: []string{"leads"}}}}, nil).
			WithRoles([]access.Role{{Speaker: "discord:role:88", User: "discord:{id}", Groups: []string{"leads"}, Write: true}})
		l := action.NewLedger(h.store, h.cluster, h.cluster, guard, action.DefaultPatience, slog.New(slog.DiscardHandler))
		_, stop := h.run(l)
		defer stop()
		e := h.propose(l, "k", 5)
		e, err := l.Decide(t.Context(), e.ID, action.Decision{By: ann, Yes: true})
		if err != nil || e.State != action.Waiting {
			t.Fatal(e.State, err)
		}
		lead := func(id string) access.Speaker {
			s := access.NewSpeaker("discord", id, access.Signature)
			s.Roles = access.NewRoles("88")
			return s
		}
		if _, err := l.Approve(t.Context(), e.ID, e.Digest, lead("7")); fault.KindOf(err) != fault.Refused || !strings.Contains(fault.Say(err), "by a role only") {
			t.Errorf("approved by a role alone: %v", err)
		}
		if e, err = l.Approve(t.Context(), e.ID, e.Digest, lead("2")); err != nil || e.State != action.Approved {
			t.Errorf("a person whose role makes them a lead: %v, %v", e.State, err)
		}
		l.Settle(t.Context())
	})
}

func TestAnApprovalIsForThatDiff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l := h.ruled(twoRules)
		ctx := t.Context()
		five, err := l.Decide(ctx, h.propose(l, "k", 5).ID, action.Decision{By: ann, Yes: true})
		if err != nil {
			t.Fatal(err)
		}
		six, err := l.Decide(ctx, h.propose(l, "k6", 6).ID, action.Decision{By: ann, Yes: true})
		if err != nil || five.Digest == six.Digest || five.Code == six.Code {
			t.Fatalf("two proposals are one: %v", err)
		}
		if _, err := l.Approve(ctx, six.ID, five.Digest, bob); fault.KindOf(err) != fault.Refused {
			t.Errorf("the approval of one counts for another: %v", err)
		}
		// Whoever changes what the journal says would be done has no approval for it.
		var tampered action.Entry
		data, err := h.store.Action(ctx, five.ID)
		if err != nil || json.Unmarshal(data, &tampered) != nil {
			t.Fatal(err)
		}
		tampered.Steps[0].Change.ToReplicas = 50
		if data, err = json.Marshal(tampered); err != nil {
			t.Fatal(err)
		}
		if ok, err := h.store.SwapAction(ctx, five.ID, "waiting", "waiting", data, false, "x", time.Second); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, err := l.Approve(ctx, five.ID, five.Digest, bob); !strings.Contains(fault.Say(err), "not what was shown") {
			t.Errorf("approved what was changed behind it: %v", err)
		}
	})
}

func TestAnApprovalIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l := h.ruled(twoRules)
		r, stop := h.run(l)
		e, err := l.Decide(t.Context(), h.propose(l, "k", 5).ID, action.Decision{By: ann, Yes: true})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(action.ApprovalLife - time.Second)
		if len(r.told()) != 0 {
			t.Fatal("given up too early")
		}
		time.Sleep(30 * time.Second)
		stop()
		if told := r.told(); len(told) != 1 || told[0].State != action.Expired {
			t.Errorf("the one who asked was told %+v", told)
		}
		if _, err := l.Approve(t.Context(), e.ID, e.Digest, bob); fault.KindOf(err) != fault.Refused {
			t.Errorf("approved too late: %v", err)
		}
		if len(h.cluster.applied) != 0 {
			t.Error("applied")
		}
	})
}

func TestThePINGoesWithTheYes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		l := h.ruled("- {name: p, match: {person: ann}, verdict: pin}")
		ctx := t.Context()
		e := h.propose(l, "k", 5)
		if _, err := l.Decide(ctx, e.ID, action.Decision{By: ann, Yes: true}); !errors.As(err, &action.PINWanted{}) {
			t.Fatalf("without: %v", err)
		}
		var wrong *access.PINError
		if _, err := l.Decide(ctx, e.ID, action.Decision{By: ann, Yes: true, PIN: "1111"}); !errors.As(err, &wrong) {
			t.Errorf("a wrong one: %v", err)
		}
		e, err := l.Decide(ctx, e.ID, action.Decision{By: ann, Yes: true, PIN: "2580"})
		if err != nil || e.State != action.Approved || !e.PINGiven {
			t.Errorf("the right one: %v, %v", e.State, err)
		}
		if data, err := h.store.Action(ctx, e.ID); err != nil || strings.Contains(string(data), "2580") {
			t.Errorf("the journal has it: %s, %v", data, err)
		}
	})
}

// TestThePolicyOfTheMomentCounts holds that a yes, and an approval, are judged
// by the rules and the time when they are given.
func TestThePolicyOfTheMomentCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins on Saturday, the first of January 2000
		h := newHouse(t)
		ctx := t.Context()
		free := h.ruled("")
		e := h.propose(free, "k", 5)
		frozen := h.ruled("- {name: f, match: {}, verdict: deny, reason: frozen}")
		if _, err := frozen.Decide(ctx, e.ID, action.Decision{By: ann, Yes: true}); fault.KindOf(err) != fault.Refused || !strings.Contains(fault.Say(err), "frozen") {
			t.Errorf("a yes under another policy: %v", err)
		}
		if again, err := frozen.Decide(ctx, h.propose(free, "k2", 6).ID, action.Decision{By: ann}); err != nil || again.State != action.Denied {
			t.Errorf("a no under a freeze: %v, %v", again.State, err)
		}
		if _, err := frozen.Decide(ctx, h.propose(free, "k3", 6).ID, action.Decision{By: eve}); fault.KindOf(err) != fault.Refused {
			t.Errorf("a no of somebody else under a freeze: %v", err)
		}
		l := h.ruled("- {name: night, match: {time: {from: '00:01', to: '06:00'}}, verdict: deny, reason: not at night}" + twoRules)
		if e, err := l.Decide(ctx, e.ID, action.Decision{By: ann, Yes: true}); err != nil || e.State != action.Waiting {
			t.Fatalf("before it: %v, %v", e.State, err)
		}
		time.Sleep(90 * time.Second)
		if _, err := l.Approve(ctx, e.ID, e.Digest, bob); !strings.Contains(fault.Say(err), "not at night") {
			t.Errorf("an approval in it: %v", err)
		}
	})
}

// TestAChainIsWhatItsStepsAre holds that a rule about scaling holds for a
// sentence that scales among other things.
func TestAChainIsWhatItsStepsAre(t *testing.T) {
	h := newHouse(t)
	l := h.ruled("- {name: s, match: {intent: scale}, verdict: deny}")
	change := kube.Change{Ref: ref, Verb: kube.VerbScale, ToReplicas: 5}
	for _, intent := range []string{"scale", "chain", "undo", ""} {
		_, err := l.Propose(t.Context(), action.Proposal{Conversation: "c", Speaker: ann, Intent: intent, Changes: []kube.Change{change}})
		if fault.KindOf(err) != fault.Refused {
			t.Errorf("%q: %v", intent, err)
		}
	}
	// By way of Git it is scaling all the same.
	pull := kube.Change{Ref: ref, Verb: kube.VerbPull, Pull: &kube.PullRequest{Change: change}}
	if _, err := l.Propose(t.Context(), action.Proposal{Conversation: "c", Speaker: ann, Intent: "chain", Changes: []kube.Change{pull}}); fault.KindOf(err) != fault.Refused {
		t.Errorf("by a pull request: %v", err)
	}
	change.Verb = kube.VerbRestart
	if _, err := l.Propose(t.Context(), action.Proposal{Conversation: "c", Speaker: ann, Intent: "chain", Changes: []kube.Change{change}}); err != nil {
		t.Errorf("another verb: %v", err)
	}
}
