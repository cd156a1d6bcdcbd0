package llm_test

import (
	"testing"

	"github.com/firstmate-ops/firstmate/internal/llm"
	"github.com/firstmate-ops/firstmate/internal/llm/llmtest"
)

// BenchmarkUnderstand is what the fall-back adds to a turn where the model takes no
// time: masking, names, the request over loopback, reading and filling in.
func BenchmarkUnderstand(b *testing.B) {
	m := llmtest.New(b)
	m.Says(`{"understood":true,"steps":[{"intent":"scale","slots":[{"slot":"targets","value":"web"},{"slot":"replicas","value":5}]}]}`)
	cfg := config(m)
	cfg.Budget = llm.Budget{Day: 1 << 40, Person: 1 << 40, Turn: 1 << 20}
	u := understander(b, cfg, &counted{})
	r := request("the web could do with a handful of friends")
	if _, ok, err := u.Understand(b.Context(), r); !ok || err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok, err := u.Understand(b.Context(), r); !ok || err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheck is what the check of a wording takes.
func BenchmarkCheck(b *testing.B) {
	f := slowCheckout()
	for b.Loop() {
		if _, _, ok := llm.Check(cause+" Its p99 went from 120 ms to 900 ms.", f); !ok {
			b.Fatal("dropped")
		}
	}
}
