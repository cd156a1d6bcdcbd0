package intents

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Risk says what an intent may do to a cluster.
type Risk string

// The risks an intent file may declare.
const (
	RiskNone  Risk = "none"  // talks only
	RiskRead  Risk = "read"  // reads a cluster
	RiskWrite Risk = "write" // proposes a change
)

// OutOfScope is the intent of a sentence that is not for us: never executed.
const OutOfScope = "out_of_scope"

// The target values that are not names of objects.
const (
	TargetIt      = "@it"      // what was last spoken of
	TargetThem    = "@them"    // the same where it was several
	TargetCluster = "@cluster" // the cluster as a whole
	TargetAll     = "*"
)

// Slots are an intent's arguments by slot name. Values are what JSON knows:
// string, float64 or int, bool, []string; the steps of a chain are []Intent, see
// [Slots.Steps]. A slot that was not said is absent.
type Slots map[string]any

// Has reports whether the slot was said.
func (s Slots) Has(name string) bool { _, ok := s[name]; return ok }

// String returns a slot as text, "" where it is absent. A number is written
// the shortest way ("2", "8.3").
func (s Slots) String(name string) string {
	switch v := s[name].(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// Number returns a numeric slot, and whether it holds one.
func (s Slots) Number(name string) (float64, bool) {
	switch v := s[name].(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	return 0, false
}

// Int returns a whole-number slot; ok is false where it is absent or has a fraction.
func (s Slots) Int(name string) (int, bool) {
	f, ok := s.Number(name)
	if !ok || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return 0, false
	}
	return int(f), true
}

// Strings returns a slot that is a list of names; a single name is a list of one.
func (s Slots) Strings(name string) []string {
	switch v := s[name].(type) {
	case []string:
		return v
	case string:
		if v == "" {
			return nil
		}
		return []string{v}
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			if t, ok := e.(string); ok {
				out = append(out, t)
			}
		}
		return out
	}
	return nil
}

// Targets returns the workloads spoken of: canonical names, or one of the
// Target… values.
func (s Slots) Targets() []string { return s.Strings("targets") }

// Intent is what a person wants, with its arguments.
type Intent struct {
	Name  string `json:"intent"`
	Slots Slots  `json:"slots"`
	// Guessed marks an intent that no recogniser of ours found in what was said:
	// whatever becomes of it, it is never agreed to in advance.
	Guessed bool `json:"guessed,omitempty"`
}

// Candidate is another reading of a sentence.
type Candidate struct {
	Intent string  `json:"intent"`
	Slots  Slots   `json:"slots"`
	Score  float64 `json:"score"`
}

// Result is what the recogniser made of a sentence.
type Result struct {
	Text   string  `json:"text"`
	Intent string  `json:"intent"` // OutOfScope where nothing fits
	Slots  Slots   `json:"slots"`
	Score  float64 `json:"score"` // 0…1; 1 is a sentence a template accepts word for word
	// Ask names the needed slot that was not said ("replicas").
	Ask string `json:"ask,omitempty"`
	// Candidates are other readings that come close, best first; a writing
	// intent with candidates is asked about, never guessed.
	Candidates []Candidate `json:"candidates,omitempty"`
}

// Expect is the question that is open in the conversation: it lets "five"
// answer "how many?" and "the second one" answer a choice.
type Expect struct {
	Intent  string   // the intent whose slot was asked for
	Slot    string   // the slot asked for, "" where none is
	Choices []string // the answers offered, in the order they were said
	Confirm bool     // a proposal waits for yes or no
}
