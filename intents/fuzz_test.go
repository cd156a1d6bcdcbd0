package intents

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func FuzzRecognize(f *testing.F) {
	r := testRecognizer(f)
	inv := fixture(f)
	for _, s := range []string{"scale web to five", "restart web and then scale cart to 3", "", "\x00\xff", `"a" "b`, "👍", "=", "/", "'", "deploy/", "=5", "web=", "v", "--replicas=", "1,000,", "a=b=c=d", "+", "-", "<@U1>", ":", "web:", "%", "-n", "x", "twenty hundred thousand million"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, open := range []Expect{{}, {Confirm: true}, {Intent: "scale", Slot: "replicas"}, {Intent: "scale", Slot: "targets"}, {Intent: "scale", Slot: "namespace", Choices: []string{"shop", "staging"}}} {
			for _, inv := range []*Inventory{nil, inv} {
				got := r.Recognize(s, inv, open)
				if got.Intent == "" || got.Slots == nil || got.Score < 0 || got.Score > 1 {
					t.Fatalf("%q: %+v", s, got)
				}
			}
		}
	})
}

// TestRandomText holds that text which nobody meant for us does not act.
func TestRandomText(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var b strings.Builder
		for range 1 + rnd.IntN(30) {
			b.WriteRune(rune(" abcdefghijklmnopqrstuvwxyz0123456789.,-/=:'\"äß"[rnd.IntN(40)]))
		}
		if got := r.Recognize(b.String(), inv, Expect{}); r.writes(got.Intent) && got.Ask == "" {
			t.Errorf("%q acts: %s %v", b.String(), got.Intent, got.Slots)
		}
	}
}

// TestWorstCase holds that no sentence of the permitted length takes long.
func TestWorstCase(t *testing.T) {
	r, inv := testRecognizer(t), names(5000)
	for _, unit := range []string{"scale ", "please ", "web and ", "a ", "to 5 ", "the ", "frobnicate ", "restart web and then ", "five ", "no, ", "pods of the ", "in staging ", "web, ", "search api "} {
		s := strings.Repeat(unit, 1000/len(unit))
		start := time.Now()
		got := r.Recognize(s, inv, Expect{})
		if d := time.Since(start); d > 500*time.Millisecond {
			t.Errorf("%q…: %v", unit, d)
		} else {
			t.Logf("%q…: %v %s", unit, d, got.Intent)
		}
	}
	if got := r.Recognize(strings.Repeat("x", maxRunes)+" restart web", inv, Expect{}); got.Intent != OutOfScope {
		t.Errorf("a sentence that is too long reads as %s", got.Intent)
	}
}
