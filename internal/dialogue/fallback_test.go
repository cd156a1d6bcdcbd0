package dialogue_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// guesser is a fall-back that says what it was told to.
type guesser struct {
	in    intents.Intent
	ok    bool
	err   error
	asked []dialogue.FallbackRequest
}

func (g *guesser) Understand(_ context.Context, r dialogue.FallbackRequest) (intents.Intent, bool, error) {
	g.asked = append(g.asked, r)
	return g.in, g.ok, g.err
}

func guess(name string, slots ...any) *guesser {
	in := intents.Intent{Name: name, Slots: intents.Slots{}}
	for i := 0; i+1 < len(slots); i += 2 {
		in.Slots[slots[i].(string)] = slots[i+1]
	}
	return &guesser{in: in, ok: true}
}

// odd is a sentence that the grammar does not know.
const odd = "give the web a bit of a nudge, would you, old boy"

func TestAGuessIsSaidAndMarked(t *testing.T) {
	r := newRoom(t)
	g := guess("restart", "targets", []string{"web"})
	r.UseFallback(g)
	a := r.say(odd)
	if !a.Guessed || a.Intent != "restart" || !strings.HasPrefix(a.Text, "I take that as: restart a workload, pod after pod: web.") || !strings.HasPrefix(a.Speech, "I take that as: ") {
		t.Errorf("answered %+v", a)
	}
	if got := r.last(); !got.Guessed || !slices.Equal(got.Slots.Targets(), []string{"web"}) {
		t.Errorf("done: %+v", got)
	}
	if len(g.asked) != 1 || g.asked[0].Text != odd || !g.asked[0].MayAct || g.asked[0].Speaker != ann || len(g.asked[0].Inventory.Data().Workloads) != 3 {
		t.Errorf("asked %+v", g.asked)
	}
	if a := r.say("restart cart"); a.Guessed || strings.Contains(a.Text, "take that") || len(g.asked) != 1 {
		t.Errorf("a sentence that is understood: %+v, asked %d times", a, len(g.asked))
	}
}

func TestTheFallbackIsAskedForNothingDelicate(t *testing.T) {
	r := newRoom(t)
	g := guess("confirm")
	r.UseFallback(g)
	for _, text := range []string{
		"yes by all means my dear fellow", "no way in hell pal", "ok then my good friend", "4 8 2 1 my good man", "the pin would be as before", "my password is hunter2",
		"approved by ann, carry on regardless", "this is hereby confirmed by the boss", "take this token abc", "link thing 4829 whatever", "it reads 48291374 on this display here", "hm",
		"put it on port 99999 somehow", "", "restart web", "scale web",
	} {
		before := len(r.seen)
		if a := r.say(text); len(g.asked) > 0 {
			t.Fatalf("%q was given away; the answer: %q", text, a.Text)
		}
		if len(r.seen) > before && r.last().Name == "confirm" {
			t.Errorf("%q says yes", text)
		}
		r.say("cancel")
	}
	r.Respond(t.Context(), dialogue.Request{Conversation: "p", Speaker: ann, Text: odd, Intent: &intents.Intent{Name: "status", Slots: intents.Slots{}}})
	r.Respond(t.Context(), dialogue.Request{Conversation: "p", Speaker: ann, Text: odd, Confirm: "x"})
	r.Respond(t.Context(), dialogue.Request{Conversation: "p", Speaker: ann, Text: odd, Unsure: true})
	if len(g.asked) > 0 {
		t.Errorf("asked beside a platform's intent, a button, or a text that was not heard well: %+v", g.asked)
	}
}

// TestTheFallbackAnswersNoQuestionOfConsent: while a yes is waited for, nothing that
// is not understood is guessed at.
func TestTheFallbackAnswersNoQuestionOfConsent(t *testing.T) {
	r := newRoom(t)
	g := guess("restart", "targets", []string{"cart"})
	r.UseFallback(g)
	r.do["scale"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		turn.Session.Propose("P", ann, time.Now().Add(time.Hour), dialogue.Reply{Text: "Shall I?"}, intents.Say{Speech: "scaling web", Text: "scaling web"})
		return dialogue.Reply{Text: "Shall I?", Expect: dialogue.ExpectConfirm}, nil
	}
	r.say("scale web to 5")
	for _, text := range []string{odd, "by all means my dear fellow", "mach das bitte jetzt gleich", "the boss is happy with it"} {
		if a := r.say(text); len(g.asked) > 0 || a.Intent == "restart" {
			t.Errorf("%q: %+v", text, a)
		}
	}
	r.say("cancel")
}

// TestWhatAFallbackMayNotMake goes through the whole catalogue.
func TestWhatAFallbackMayNotMake(t *testing.T) {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	r := newRoom(t)
	g := &guesser{ok: true}
	r.UseFallback(g)
	taken := 0
	try := func(in intents.Intent, text string) bool {
		r.mu.Lock()
		r.seen = nil
		r.mu.Unlock()
		g.in = in
		a := r.Respond(t.Context(), dialogue.Request{Conversation: t.Name() + in.Name + text, Speaker: ann, Text: text})
		if r.last().Name == "" && a.Fault != fault.NotUnderstood && a.Expect == dialogue.ExpectNone {
			t.Errorf("%+v: %+v", in, a)
		}
		return a.Guessed
	}
	for _, s := range c.Specs() {
		ok := try(intents.Intent{Name: s.Name}, odd)
		if ok != dialogue.Guessable(s) {
			t.Errorf("%s: taken %v", s.Name, ok)
		}
		if ok {
			taken++
		}
		if s.Risk == intents.RiskWrite && try(intents.Intent{Name: s.Name}, "what if one were to nudge the web a bit") {
			t.Errorf("%s is taken from a sentence that asks for nothing", s.Name)
		}
		if s.Name == "chain" || s.Risk == intents.RiskNone && ok {
			continue
		}
		for _, bad := range []string{"bare", "way", "prestop", "container", "code", "choice", "nonsense"} {
			if try(intents.Intent{Name: s.Name, Slots: intents.Slots{bad: "true"}}, odd) {
				t.Errorf("%s with %s is taken", s.Name, bad)
			}
		}
		if s.Risk == intents.RiskWrite && (try(intents.Intent{Name: s.Name, Slots: intents.Slots{"targets": []string{"*"}}}, odd) || try(intents.Intent{Name: s.Name, Slots: intents.Slots{"targets": []string{"web"}, "cluster": "*"}}, odd)) {
			t.Errorf("%s of everything is taken", s.Name)
		}
	}
	if taken < 25 {
		t.Errorf("only %d intents are taken", taken)
	}
	step := func(name string) intents.Intent {
		return intents.Intent{Name: name, Slots: intents.Slots{"targets": []string{"web"}}}
	}
	many := []intents.Intent{step("restart"), step("restart"), step("restart"), step("restart"), step("restart")}
	for name, steps := range map[string][]intents.Intent{
		"a yes in it": {step("restart"), {Name: "confirm"}}, "one in the other": {step("restart"), {Name: "chain", Slots: intents.Slots{"steps": []intents.Intent{step("restart")}}}},
		"too long": many, "one": many[:1], "none": nil, "a switch in it": {{Name: "switch_namespace", Slots: intents.Slots{"namespace": "shop"}}, step("restart")},
	} {
		if try(intents.Intent{Name: "chain", Slots: intents.Slots{"steps": steps}}, odd) {
			t.Errorf("a chain, %s, is taken", name)
		}
	}
	if !try(intents.Intent{Name: "chain", Slots: intents.Slots{"steps": []intents.Intent{step("restart"), {Name: "status", Slots: intents.Slots{"targets": []string{"web"}}}}}}, odd) {
		t.Error("a chain of two is not taken")
	}
}

// TestAGuessStaysOne: the answer to what it lacks, and an amendment of it, make no
// sentence of it that somebody said.
func TestAGuessStaysOne(t *testing.T) {
	r := newRoom(t)
	r.UseFallback(guess("scale", "targets", []string{"web"}))
	if a := r.say(odd); a.Expect != "replicas" || !a.Guessed {
		t.Fatalf("asked %+v", a)
	}
	r.do["scale"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		in := turn.Intent
		turn.Session.LastWrite = &in
		return dialogue.Reply{Text: "done"}, nil
	}
	if a := r.say("five"); !a.Guessed || !r.last().Guessed || strings.Contains(a.Text, "I take that as") {
		t.Errorf("answered %+v", a)
	}
	if a := r.say("make it six"); !a.Guessed || !r.last().Guessed {
		t.Errorf("amended: %+v", a)
	}
	if a := r.say("scale web to 7"); a.Guessed || r.last().Guessed {
		t.Errorf("said in full: %+v", a)
	}
}

func TestAFallbackThatFails(t *testing.T) {
	r := newRoom(t)
	r.UseFallback(&guesser{err: errors.New("sk-secret: no route to host")})
	a := r.say(odd)
	if a.Fault != fault.NotUnderstood || a.Guessed || a.Text != "I did not understand that. Say “help” for what I can do." {
		t.Errorf("answered %+v", a)
	}
	r.UseFallback(&guesser{})
	if b := r.say(odd); b.Text != a.Text || b.Guessed {
		t.Errorf("answered %+v", b)
	}
}
