package intents

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// contract is every intent of the vocabulary. While the catalogue lacks some,
// sentences that mean them are counted and not held against it.
const contract = "scale deploy create rollback restart pause resume promote autoscale delete_pod cordon uncordon drain " +
	"status list logs events metrics errors diagnose alerts_list alert_ack alert_silence alert_unsilence history " +
	"switch_namespace switch_cluster confirm deny cancel undo repeat help greet thanks amend chain out_of_scope"

// labelled is a sentence with what it means.
type labelled struct {
	text   string
	at     string // file and line
	intent string // "" where it only must not act
	slots  map[string]any
	ask    string
	open   Expect
}

// sentences flattens a file of tests.
func sentences(name string, f testFile) (tests, never []labelled) {
	for _, c := range f.Tests {
		for _, s := range c.Say {
			tests = append(tests, labelled{s.text, fmt.Sprintf("%s:%d", name, s.line), c.Intent, c.Slots, c.Ask, c.expect()})
		}
	}
	for _, s := range f.NeverActs {
		never = append(never, labelled{text: s.text, at: fmt.Sprintf("%s:%d", name, s.line)})
	}
	return tests, never
}

// ownSet is the project's own sentences: those with a meaning, and those that
// must not act.
func ownSet(t testing.TB) (tests, never []labelled) {
	t.Helper()
	files, err := filepath.Glob("en/tests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no test sentences", err)
	}
	for _, file := range files {
		a, b := sentences(file, readTests(t, file))
		tests, never = append(tests, a...), append(never, b...)
	}
	return tests, never
}

// missing lists the intents of the vocabulary that the catalogue lacks.
func missing(r *Recognizer) []string {
	return slices.DeleteFunc(strings.Fields(contract), func(name string) bool { return r.c.intents[name] != nil })
}

// judged reports whether a sentence can be held against the catalogue: it knows
// the intent, and those of a chain's steps.
func (l labelled) judged(r *Recognizer) bool {
	if l.intent == "" {
		return true
	}
	for _, step := range Slots(l.slots).Steps() {
		if r.c.intents[step.Name] == nil {
			return false
		}
	}
	return r.c.intents[l.intent] != nil
}

// verdict is what became of one sentence.
type verdict struct {
	exact  bool // intent, slots and question, and nothing to choose from before a write
	intent bool // the intent, at least
	wrong  bool // acts, and not as it was said
	asks   bool // asks back, for a slot or which of several readings was meant
}

// judge compares a result with what was meant.
func judge(r *Recognizer, want labelled, got Result) verdict {
	v := verdict{asks: got.Ask != "" || len(got.Candidates) > 0}
	if want.intent == "" {
		v.wrong = acts(r, got, want.open)
		v.exact, v.intent = !v.wrong, !v.wrong
		return v
	}
	v.intent = got.Intent == want.intent
	same := v.intent && got.Ask == want.ask && sameSlots(want.slots, got.Slots)
	v.exact = same && (len(got.Candidates) == 0 || !r.writes(got.Intent))
	v.wrong = !same && acts(r, got, want.open) &&
		(want.ask != "" || got.Intent == "confirm" || !slices.EqualFunc(writing(r, deeds(want.intent, want.slots, want.open)), writing(r, deeds(got.Intent, got.Slots, want.open)), sameDeed))
	return v
}

// acts reports whether a result changes something unless somebody says no: it
// writes, by itself or as a step, or says yes to what waits for a yes, and asks
// nothing.
func acts(r *Recognizer, got Result, open Expect) bool {
	if got.Ask != "" || len(got.Candidates) > 0 {
		return false
	}
	if open.Intent != "" && got.Slots.Has("unknown_target") {
		return false // an answer asks for nothing itself; the conversation asks about a name nobody knows
	}
	switch got.Intent {
	case "confirm":
		return open.Confirm
	case "chain":
		return slices.ContainsFunc(got.Slots.Steps(), func(s Intent) bool { return r.writes(s.Name) })
	}
	return r.writes(got.Intent)
}

// deed is one thing that a result would do.
type deed struct {
	intent string
	slots  map[string]any
}

// deeds are what a result does, one target each, in order: "restart web and
// cart" and "restart web, then cart" do the same. An answer or an amendment does
// what is open, changed, whichever of the two it is taken for.
func deeds(intent string, slots map[string]any, open Expect) []deed {
	steps := []Intent{{Name: intent, Slots: slots}}
	if intent == "chain" {
		steps = Slots(slots).Steps()
	}
	var out []deed
	for _, s := range steps {
		targets := s.Slots.Targets()
		m, _ := decoded(s.Slots).(map[string]any)
		delete(m, "targets")
		if open.Intent != "" && (s.Name == "amend" || s.Name == open.Intent) {
			s.Name = open.Intent
			if choice := s.Slots.String("choice"); choice != "" && open.Slot != "" {
				delete(m, "choice")
				if open.Slot == "targets" {
					targets = append(targets, choice)
				} else {
					m[open.Slot] = choice
				}
			}
			if len(targets) == 0 {
				targets = []string{TargetIt}
			}
		}
		if len(targets) == 0 {
			targets = []string{""}
		}
		for _, t := range targets {
			one := maps.Clone(m)
			if t != "" {
				one["target"] = t
			}
			out = append(out, deed{s.Name, one})
		}
	}
	return out
}

// writing keeps the deeds that change something.
func writing(r *Recognizer, ds []deed) []deed {
	return slices.DeleteFunc(slices.Clone(ds), func(d deed) bool { return !r.writes(d.intent) })
}

func sameDeed(a, b deed) bool { return a.intent == b.intent && reflect.DeepEqual(a.slots, b.slots) }

func sameSlots(want map[string]any, got Slots) bool {
	return reflect.DeepEqual(decoded(want), decoded(got))
}

// decoded makes slots comparable whatever they came from: YAML or the recogniser.
func decoded(slots map[string]any) any {
	b, err := json.Marshal(slots)
	if err != nil {
		return err
	}
	out := map[string]any{}
	if err := json.Unmarshal(b, &out); err != nil {
		return err
	}
	if out == nil {
		out = map[string]any{}
	}
	steps, _ := out["steps"].([]any)
	for _, s := range steps { // a step without slots may be written without them
		if m, ok := s.(map[string]any); ok && m["slots"] == nil {
			m["slots"] = map[string]any{}
		}
	}
	return out
}

// tally counts verdicts; its JSON is what `make bench` reads.
type tally struct {
	Set    string `json:"set"`
	Of     string `json:"of,omitempty"` // intent or kind of noise; "" is all of them
	N      int    `json:"n"`
	Exact  int    `json:"exact"`
	Intent int    `json:"intent"`
	Wrong  int    `json:"wrong"`
	Asks   int    `json:"asks"`
	// Aside counts sentences whose intent the catalogue does not have yet.
	Aside int `json:"aside,omitempty"`
}

func (t *tally) add(v verdict) {
	t.N++
	for _, c := range []struct {
		is bool
		n  *int
	}{{v.exact, &t.Exact}, {v.intent, &t.Intent}, {v.wrong, &t.Wrong}, {v.asks, &t.Asks}} {
		if c.is {
			*c.n++
		}
	}
}

func percent(n, of int) float64 {
	if of == 0 {
		return 100
	}
	return 100 * float64(n) / float64(of)
}

func (t *tally) String() string {
	return fmt.Sprintf("%-18s %5d  exact %5.1f %%  intent %5.1f %%  wrong acts %d  asks %d", t.Of, t.N, percent(t.Exact, t.N), percent(t.Intent, t.N), t.Wrong, t.Asks)
}

// scores are tallies of one set: all of it, and by what it is made of.
type scores struct {
	all  tally
	each map[string]*tally
}

func newScores(set string) *scores { return &scores{all: tally{Set: set}, each: map[string]*tally{}} }

func (s *scores) add(of string, v verdict) {
	if s.each[of] == nil {
		s.each[of] = &tally{Set: s.all.Set, Of: of}
	}
	s.each[of].add(v)
	s.all.add(v)
}

// report logs the numbers, and leaves them where `make bench` finds them.
func (s *scores) report(t *testing.T) {
	t.Helper()
	t.Logf("%s, all of it: %s; %d of intents that do not exist yet", s.all.Set, s.all.String(), s.all.Aside)
	attr(t, s.all)
	for _, of := range slices.Sorted(maps.Keys(s.each)) {
		t.Log(s.each[of].String())
		attr(t, *s.each[of])
	}
}

// attr leaves a value as an attribute of the test; see bench/sentences.go.
func attr(t *testing.T, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	t.Attr("measured", string(b))
}

// TestOwnSet holds the score of the project's own sentences.
func TestOwnSet(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	tests, never := ownSet(t)
	s := newScores("own")
	for _, l := range tests {
		if !l.judged(r) {
			s.all.Aside++
			continue
		}
		got := r.Recognize(l.text, inv, l.open)
		v := judge(r, l, got)
		s.add(l.intent, v)
		if v.wrong {
			t.Errorf("%s: %q acts: %s %s, and means %s %s %s", l.at, l.text, got.Intent, jsonOf(got.Slots), l.intent, jsonOf(l.slots), l.ask)
		}
	}
	n := newScores("never")
	for _, l := range never {
		v := judge(r, l, r.Recognize(l.text, inv, l.open))
		n.add("", v)
		if v.wrong {
			t.Errorf("%s: %q acts", l.at, l.text)
		}
	}
	s.report(t)
	attr(t, n.all)
	if p := percent(s.all.Exact, s.all.N); p < 99 {
		t.Errorf("%.1f %% exact of %d, wants 99 %%", p, s.all.N)
	}
	if lacks := missing(r); len(lacks) > 0 {
		t.Logf("not in the catalogue yet: %s", strings.Join(lacks, " "))
	} else if s.all.N < 1500 {
		t.Errorf("%d sentences, wants 1500", s.all.N)
	}
}

// TestJudge holds what counts as an act and as a wrong one.
func TestJudge(t *testing.T) {
	r := testRecognizer(t)
	five := map[string]any{"targets": []any{"web"}, "replicas": 5}
	want := labelled{intent: "scale", slots: five}
	steps := func(names ...string) Slots {
		var list []Intent
		for _, n := range names {
			list = append(list, Intent{Name: n, Slots: Slots{"targets": []string{"web"}}})
		}
		return Slots{"steps": list}
	}
	other := []Candidate{{Intent: "restart"}}
	for name, tt := range map[string]struct {
		want labelled
		got  Result
		is   verdict
	}{
		"right":              {want, Result{Intent: "scale", Slots: Slots{"targets": []string{"web"}, "replicas": 5}}, verdict{exact: true, intent: true}},
		"other number":       {want, Result{Intent: "scale", Slots: Slots{"targets": []string{"web"}, "replicas": 6}}, verdict{intent: true, wrong: true}},
		"other intent":       {want, Result{Intent: "restart", Slots: Slots{"targets": []string{"web"}}}, verdict{wrong: true}},
		"reads instead":      {want, Result{Intent: "status", Slots: Slots{"targets": []string{"web"}}}, verdict{}},
		"asks":               {want, Result{Intent: "scale", Slots: Slots{"targets": []string{"web"}}, Ask: "replicas"}, verdict{intent: true, asks: true}},
		"right, with others": {want, Result{Intent: "scale", Slots: Slots(five), Candidates: other}, verdict{intent: true, asks: true}},
		"should have asked":  {labelled{intent: "scale", slots: five, ask: "namespace"}, Result{Intent: "scale", Slots: Slots(five)}, verdict{intent: true, wrong: true}},
		"not for us":         {labelled{intent: OutOfScope}, Result{Intent: "restart", Slots: Slots{}}, verdict{wrong: true}},
		"chain":              {labelled{intent: "restart"}, Result{Intent: "chain", Slots: steps("status", "restart")}, verdict{wrong: true}},
		"reading chain":      {labelled{intent: "restart"}, Result{Intent: "chain", Slots: steps("status", "list")}, verdict{}},
		"same chain": {labelled{intent: "chain", slots: map[string]any{"steps": []any{map[string]any{"intent": "status", "slots": map[string]any{"targets": []any{"web"}}}}}},
			Result{Intent: "chain", Slots: steps("status")}, verdict{exact: true, intent: true}},
		"two steps for two targets": {labelled{intent: "restart", slots: map[string]any{"targets": []any{"web", "web"}}}, Result{Intent: "chain", Slots: steps("restart", "restart")}, verdict{}},
		"answer for a choice": {labelled{intent: "amend", slots: map[string]any{"choice": "shop"}, open: Expect{Intent: "scale", Slot: "namespace"}},
			Result{Intent: "scale", Slots: Slots{"namespace": "shop"}}, verdict{}},
		"another answer": {labelled{intent: "amend", slots: map[string]any{"choice": "shop"}, open: Expect{Intent: "scale", Slot: "namespace"}},
			Result{Intent: "scale", Slots: Slots{"namespace": "staging"}}, verdict{wrong: true}},
		"yes to what waits": {labelled{intent: "deny", open: Expect{Confirm: true}}, Result{Intent: "confirm"}, verdict{wrong: true}},
		"yes to nothing":    {labelled{intent: "deny"}, Result{Intent: "confirm"}, verdict{}},
		"must not act":      {labelled{}, Result{Intent: "restart"}, verdict{wrong: true}},
		"does not act":      {labelled{}, Result{Intent: "status"}, verdict{exact: true, intent: true}},
	} {
		if got := judge(r, tt.want, tt.got); got != tt.is {
			t.Errorf("%s: %+v, want %+v", name, got, tt.is)
		}
	}
}
