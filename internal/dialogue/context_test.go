package dialogue_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

var bob = access.Speaker{Channel: "web", ID: "bob"}

// proposes makes these intents propose a change, as skills do.
func (r *room) proposes(names ...string) *room {
	for i, name := range names {
		n := 0
		r.do[name] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
			n++
			reply := dialogue.Reply{
				Text: "Shall I?", Speech: "Shall I?", Expect: dialogue.ExpectConfirm, Outcome: dialogue.OutcomePending,
				Proposal: &dialogue.Proposal{ID: fmt.Sprintf("p%d.%d", i, n), Changes: []dialogue.Change{{Name: "web"}}},
			}
			in := turn.Intent
			s := turn.Session
			s.Question = nil
			s.Propose(reply.Proposal.ID, turn.Request.Speaker, time.Now().Add(2*time.Minute), reply, intents.Say{Speech: "doing it", Text: "doing it"})
			s.LastWrite, s.ReadLast = &in, false
			if names := in.Slots.Targets(); len(names) > 0 && names[0][0] != '@' {
				s.Focus(dialogue.Target{Name: names[0], Namespace: "shop"})
			}
			return reply, nil
		}
	}
	return r
}

// looks makes status bring into focus what it is asked about.
func (r *room) looks() *room {
	r.do["status"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		ns := turn.Intent.Slots.String("namespace")
		if ns == "" {
			ns = "shop"
		}
		if name := turn.Intent.Slots.Targets()[0]; name[0] != '@' {
			turn.Session.Focus(dialogue.Target{Name: name, Namespace: ns})
		}
		return dialogue.Reply{Speech: "Fine.", Text: "Fine."}, nil
	}
	return r
}

// short is an intent as one line.
func short(in intents.Intent) string {
	var out []string
	for k, v := range in.Slots {
		if k == "steps" {
			continue
		}
		out = append(out, fmt.Sprintf("%s=%v", k, v))
	}
	slices.Sort(out)
	for _, s := range in.Slots.Steps() {
		out = append(out, "("+short(s)+")")
	}
	return strings.Join(append([]string{in.Name}, out...), " ")
}

const waiting = "I am still waiting for your yes or no about doing it."

func TestAnInterruptionLeavesTheProposalOpenAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t).proposes("scale").looks()
		first := r.say("scale web to five")
		for _, q := range []string{"how is cart?", "list pods", "hello", "thanks", "blorp the flurb"} {
			a := r.say(q)
			if !strings.HasSuffix(a.Text, waiting) || !strings.HasSuffix(a.Speech, waiting) || a.Expect != dialogue.ExpectConfirm || a.Proposal == nil || a.Proposal.ID != first.Proposal.ID {
				t.Errorf("%s: %+v", q, a)
			}
		}
		// It waits for who asked for it, and only as long as it counts.
		if a := r.Respond(context.Background(), dialogue.Request{Conversation: "c", Speaker: bob, Text: "how is cart?"}); strings.Contains(a.Text, waiting) {
			t.Errorf("bob is reminded: %s", a.Text)
		}
		time.Sleep(3 * time.Minute)
		if a := r.say("how is cart?"); strings.Contains(a.Text, waiting) {
			t.Errorf("it expired: %s", a.Text)
		}
	})
}

func TestAYesIsToWhatWasAskedLast(t *testing.T) {
	r := newRoom(t).proposes("scale")
	var yes []string
	r.do["confirm"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		yes = append(yes, turn.Session.Pending)
		return dialogue.Reply{Text: "ok"}, nil
	}
	// A change that something is missing of takes the place of the one that waits.
	r.say("scale web to five")
	r.say("scale cart")
	r.say("yes")
	if !slices.Equal(yes, []string{""}) {
		t.Errorf("said yes to %q", yes)
	}
	// A question about a question does not.
	r.do["status"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		return turn.Ask(dialogue.Reply{Text: "Which?"}, "namespace", []string{"shop", "staging"}), nil
	}
	yes = nil
	open := r.say("scale web to five").Proposal.ID
	r.say("how is cart")
	if a := r.say("yes"); a.Fault != fault.Ambiguous || !strings.HasSuffix(a.Text, waiting) || len(yes) != 0 {
		t.Errorf("%+v, said yes to %q", a, yes)
	}
	r.say("yes")
	if !slices.Equal(yes, []string{open}) {
		t.Errorf("said yes to %q, not %q", yes, open)
	}
}

func TestNotToDoItIsANoWhileItWaits(t *testing.T) {
	for _, no := range []string{"don't restart web", "please don't roll web back", "leave web alone", "no, don't scale web", "don't restart it"} {
		r := newRoom(t).proposes("restart")
		r.say("restart web")
		if r.say(no); r.last().Name != "deny" {
			t.Errorf("%s came to %s", no, short(r.last()))
		}
	}
	r := newRoom(t)
	if a := r.say("don't restart web"); a.Intent != intents.OutOfScope {
		t.Errorf("nothing waits, and yet %+v", a)
	}
}

func TestWhatIsCorrectedIsNotWantedAsItWas(t *testing.T) {
	r := newRoom(t).proposes("scale")
	r.say("scale web to five")
	r.do["scale"] = func(context.Context, *dialogue.Turn) (dialogue.Reply, error) {
		return dialogue.Reply{}, fault.New(fault.NotFound, "There is none.")
	}
	pending := "?"
	r.do["confirm"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		pending = turn.Session.Pending
		return dialogue.Reply{}, nil
	}
	r.say("no, make it six")
	r.say("yes")
	if pending != "" {
		t.Errorf("said yes to %q", pending)
	}
}

func TestContext(t *testing.T) {
	for _, tt := range []struct {
		name string
		said []string
		want string // what the last sentence comes to
	}{
		{"the last question, of another", []string{"which version of web is running", "and cart?"}, "status targets=[cart] what=version"},
		{"the last question, elsewhere", []string{"how many replicas does web have", "and in staging?"}, "status namespace=staging targets=[web] what=replicas"},
		{"a question behind a change", []string{"scale web to five", "how is web?", "and cart?"}, "status targets=[cart]"},
		{"a change behind a question", []string{"how is web?", "scale web to five", "the same in staging"}, "scale namespace=staging replicas=5 targets=[web]"},
		{"a number is never a question's", []string{"scale web to five", "how is web?", "no, make it six"}, "scale replicas=6 targets=[web]"},
		{"another window", []string{"logs of web since yesterday", "what about the last hour?"}, "logs since=1h targets=[web]"},
		{"another window, as one ahead", []string{"logs of web since yesterday", "make it 30 minutes"}, "logs since=30m targets=[web]"},
		{"the window stays", []string{"logs of web in the last hour", "and for cart?"}, "logs since=1h targets=[cart]"},
		{"another metric", []string{"how much cpu does web use in the last hour", "and memory?"}, "metrics metric=memory since=1h targets=[web]"},
		{"another metric of another", []string{"p99 latency of web", "and memory?", "and for cart?"}, "metrics metric=memory targets=[cart]"},
		{"there", []string{"how is web in staging?", "and cart there?"}, "status namespace=staging targets=[cart]"},
		{"the other of two", []string{"how is web?", "restart cart", "no, the other one"}, "restart namespace=shop targets=[web]"},
		{"and back", []string{"how is web?", "restart cart", "no, the other one", "no, the other one"}, "restart namespace=shop targets=[cart]"},
		{"all steps elsewhere", []string{"restart web and scale cart to 3", "no, in staging"}, "chain (restart namespace=staging targets=[web]) (scale namespace=staging replicas=3 targets=[cart])"},
		{"the step that has a number", []string{"restart web and scale cart to 3", "no, make it five"}, "chain (restart targets=[web]) (scale replicas=5 targets=[cart])"},
		{"the step of that name", []string{"scale web to 2 and scale cart to 3", "no, cart to five"}, "chain (scale replicas=2 targets=[web]) (scale replicas=5 targets=[cart])"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRoom(t).proposes("scale", "restart", "chain").looks()
			var last dialogue.Reply
			for _, s := range tt.said {
				last = r.say(s)
			}
			if got := short(r.last()); got != tt.want {
				t.Errorf("came to %s\nwant    %s\nanswer: %+v", got, tt.want, last)
			}
		})
	}
}

func TestWhatCannotBeKnownIsAskedOrSaid(t *testing.T) {
	for _, tt := range []struct {
		said []string
		kind fault.Kind
	}{
		{[]string{"and the other one?"}, fault.NotUnderstood},
		{[]string{"how is web?", "and the other one?"}, fault.NotUnderstood},
		{[]string{"restart web", "no, make it five"}, fault.NotUnderstood}, // a restart has no number
		{[]string{"scale web to 2 and scale cart to 3", "no, make it five"}, fault.Ambiguous},
		{[]string{"what about the last hour?"}, fault.NotUnderstood},
		{[]string{"and cart there?"}, fault.NotUnderstood},
	} {
		r := newRoom(t).proposes("scale", "restart", "chain").looks()
		var last dialogue.Reply
		for _, s := range tt.said {
			last = r.say(s)
		}
		if last.Fault != tt.kind {
			t.Errorf("%q: %+v", tt.said, last)
		}
	}
}

func TestTheOtherOfTwoThatWereOffered(t *testing.T) {
	r := newRoom(t)
	r.do["status"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		if ns := turn.Intent.Slots.String("namespace"); ns != "" {
			turn.Session.Focus(dialogue.Target{Name: "web", Namespace: ns})
			return dialogue.Reply{Text: "Fine."}, nil
		}
		return turn.Ask(dialogue.Reply{Text: "Which?"}, "namespace", []string{"shop", "staging"}), nil
	}
	r.say("how is web?")
	for _, tt := range [][2]string{{"the first one", "shop"}, {"and the other one?", "staging"}, {"and the other one?", "shop"}} {
		r.say(tt[0])
		if got := r.last(); got.Slots.String("namespace") != tt[1] || !slices.Equal(got.Slots.Targets(), []string{"web"}) {
			t.Errorf("%s came to %s", tt[0], short(got))
		}
	}
}

func TestAStepIsAskedFor(t *testing.T) {
	r := newRoom(t).proposes("chain")
	a := r.say("restart web and then scale cart")
	if a.Expect != "replicas" || !strings.Contains(a.Text, "cart") || r.last().Name != "" {
		t.Fatalf("asked %+v", a)
	}
	r.say("nine")
	if got := short(r.last()); got != "chain (restart targets=[web]) (scale replicas=9 targets=[cart])" {
		t.Errorf("came to %s", got)
	}
	// A name that is unknown, and another question behind it.
	if a := r.say("scale chekkout-sevice and then restart web"); a.Fault != fault.NotFound {
		t.Fatalf("asked %+v", a)
	}
	if a := r.say("checkout"); a.Expect != "replicas" {
		t.Fatalf("asked %+v", a)
	}
	r.say("two")
	if got := short(r.last()); got != "chain (scale replicas=2 targets=[checkout]) (restart targets=[web])" {
		t.Errorf("came to %s", got)
	}
	// A whole sentence wins.
	r.say("restart web and then scale cart")
	r.say("scale checkout to four")
	if got := short(r.last()); got != "scale replicas=4 targets=[checkout]" {
		t.Errorf("came to %s", got)
	}
}

func TestWhatCannotBeDoneYetIsNamed(t *testing.T) {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range c.ReplyKeys() {
		name, ok := strings.CutPrefix(key, "want.")
		if !ok {
			continue
		}
		for _, slots := range []intents.Slots{
			{}, {"targets": []string{"web", "search-api"}}, {"targets": []string{"@it"}}, {"node": "node-2", "alert": "DiskAlmostFull", "metric": "error_rate"},
		} {
			s := &dialogue.Session{Targets: []dialogue.Target{{Name: "web"}}}
			a, err := dialogue.NewTurn(c, dialogue.Request{}, s, intents.Intent{Name: name, Slots: slots}).NotYet()
			if err != nil || !strings.HasPrefix(a.Speech, "I understand that you want ") || !strings.HasSuffix(a.Text, ", but I cannot do that yet.") ||
				a.Outcome != dialogue.OutcomeNone || a.Fault != "" || strings.Contains(a.Speech, "search-api") || strings.Contains(a.Speech, "node-2") || strings.Contains(a.Text, "  ") {
				t.Errorf("%s %v: %+v, %v", name, slots, a, err)
			}
		}
	}
}

func TestWhereSomebodySwitchedToOutlastsASilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		home := ""
		r.do["status"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
			home = turn.Session.Home
			turn.Session.Home = "staging"
			return dialogue.Reply{}, nil
		}
		r.say("how is web")
		time.Sleep(3 * time.Hour)
		if r.say("how is web"); home != "staging" {
			t.Errorf("at home in %q", home)
		}
	})
}
