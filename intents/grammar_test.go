package intents

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// heardTypes are a value of each type of slots that an engine may hear.
func heardTypes() map[string]string {
	return map[string]string{
		"target": "checkout", "known": "checkout", "listed": "checkout", "namespace": "staging", "int": "five", "less": "two", "number": "three",
		"version": "two point three", "vtag": "v two", "period": "ten minutes", "moment": "yesterday", "hour": "noon", "duration": "ten minutes",
		"percent": "twenty percent",
	}
}

// walk takes a random way through a grammar.
func (g *Grammar) walk(rnd *rand.Rand) string {
	var words []string
	for at := 0; ; {
		n := g.Nodes[at]
		if len(n.Arcs) == 0 || n.End && rnd.IntN(2) == 0 {
			return strings.Join(words, " ")
		}
		a := n.Arcs[rnd.IntN(len(n.Arcs))]
		w := a.Word
		if w == "" {
			w = heardTypes()[a.Type]
		}
		words = append(words, w)
		at = a.To
	}
}

// TestWhatIsSaidIsUnderstood holds the grammar of what is said aloud against the
// recogniser: what an engine is told to expect is understood as that intent, and
// what only sounds like a request is none.
func TestWhatIsSaidIsUnderstood(t *testing.T) {
	c, err := English()
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecognizer(c)
	inv := NewInventory(InventoryData{Namespaces: []string{"shop", "staging"}, Workloads: []Workload{{Name: "checkout", Namespace: "shop", Kind: "Deployment"}, {Name: "web", Namespace: "shop", Kind: "Deployment"}}})
	types := func(typ string) bool { return heardTypes()[typ] != "" }
	rnd := rand.New(rand.NewPCG(1, 2))
	var names []string
	for _, s := range c.said {
		if !slices.Contains(names, s.intent) {
			names = append(names, s.intent)
		}
	}
	if len(names) < 20 {
		t.Fatalf("only %d intents are said aloud", len(names))
	}
	for _, name := range names {
		g := c.grammarOf(types, func(i string) bool { return i == name })
		if len(g.Nodes) < 2 {
			continue // its slots cannot be heard
		}
		seen := map[string]bool{}
		for range 1500 {
			text := g.walk(rnd)
			if text == "" || seen[text] {
				continue
			}
			seen[text] = true
			e := Expect{}
			if name == "amend" {
				e = Expect{Intent: "scale", Slot: "replicas"}
			}
			got := r.Recognize(text, inv, e)
			spec, _ := c.Spec(got.Intent)
			switch {
			case name == OutOfScope && spec.Risk == RiskWrite:
				t.Errorf("%q is read as %s %v, which acts", text, got.Intent, got.Slots)
			case name == OutOfScope, name == "amend":
			case got.Intent != name:
				t.Errorf("%q is read as %s, not as %s", text, got.Intent, name)
			}
		}
		if len(seen) == 0 {
			t.Errorf("%s: nothing is said", name)
		}
	}
}

func TestGrammarIsAnAutomaton(t *testing.T) {
	c, err := English()
	if err != nil {
		t.Fatal(err)
	}
	types := func(typ string) bool { return heardTypes()[typ] != "" }
	g, open := c.Grammar(types, false), c.Grammar(types, true)
	if len(open.Nodes) == 0 || len(g.Nodes) == 0 || len(g.Nodes) > 5000 {
		t.Fatalf("%d nodes, %d with a question", len(g.Nodes), len(open.Nodes))
	}
	accepts := func(g *Grammar, text string) bool {
		at := 0
	words:
		for _, w := range strings.Fields(text) {
			for _, a := range g.Nodes[at].Arcs {
				if a.Word == w || a.Word == "" && strings.Contains(" "+a.Type+" ", " "+strings.Trim(w, "{}")+" ") {
					at = a.To
					continue words
				}
			}
			return false
		}
		return g.Nodes[at].End
	}
	for text, want := range map[string]bool{
		"scale {target} to {int}": true, "please roll back {target} in {namespace} now": true, "what's wrong with {target}": true, "don't restart {target}": true,
		"scale {target}": false, "to {int}": false, "": false, "{target}": false, "yes": true,
	} {
		if got := accepts(g, text); got != want {
			t.Errorf("%q: accepted is %t", text, got)
		}
	}
	if !accepts(open, "{target}") || !accepts(open, "{int}") {
		t.Error("an answer alone is not expected, though a question is open")
	}
	for i, n := range g.Nodes {
		for k, a := range n.Arcs {
			if a.To < 0 || a.To >= len(g.Nodes) || k > 0 && a.Word == n.Arcs[k-1].Word && a.Type == n.Arcs[k-1].Type {
				t.Errorf("node %d: arc %d %+v", i, k, a)
			}
		}
	}
}
