package intents

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

func TestEnglish(t *testing.T) {
	c, err := English()
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecognizer(c)
	t.Logf("%d templates, %d nodes, %d word edges, %d words", len(r.a.sentences), len(r.a.nodes), len(r.a.wordEdges), len(r.a.words))
	var got []string
	for _, s := range c.Specs() {
		got = append(got, s.Name)
		if s.Help == "" || strings.Contains(s.Help, "\n") {
			t.Errorf("%s: help is %q, wants one line", s.Name, s.Help)
		}
		if one, ok := c.Spec(s.Name); !ok || one.Name != s.Name {
			t.Errorf("Spec(%q) = %v, %v", s.Name, one, ok)
		}
	}
	if !slices.IsSorted(got) {
		t.Errorf("not sorted: %v", got)
	}
	for _, want := range strings.Fields("scale deploy rollback restart status list confirm deny cancel undo repeat help greet thanks amend chain out_of_scope") {
		if !slices.Contains(got, want) {
			t.Errorf("intent %s is missing", want)
		}
	}
	scale, _ := c.Spec("scale")
	required := map[string]bool{}
	for _, s := range scale.Slots {
		required[s.Name] = s.Required
	}
	if !required["targets"] || !required["replicas"] || required["delta"] || required["factor"] {
		t.Errorf("scale requires %v", required)
	}
	scale.Examples[0], scale.Slots[0].Name = "changed", "changed"
	if again, _ := c.Spec("scale"); again.Examples[0] == "changed" || again.Slots[0].Name == "changed" {
		t.Error("a caller can change the catalogue")
	}
}

// TestExamples holds that every example of the catalogue is understood.
func TestExamples(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	for _, s := range r.c.Specs() {
		for _, e := range s.Examples {
			if got := r.Recognize(e, inv, Expect{}); got.Intent != s.Name || got.Ask != "" {
				t.Errorf("%s: example %q reads as %s, ask %q", s.Name, e, got.Intent, got.Ask)
			}
		}
	}
}

// TestListsAreUnambiguous holds that a phrase of a list leads to one value only.
func TestListsAreUnambiguous(t *testing.T) {
	r := testRecognizer(t)
	for name, entries := range r.c.lists {
		seen := map[string]string{}
		for _, e := range entries {
			if old, dup := seen[e.text]; dup && old != e.value {
				t.Errorf("%s: list %s: %q is both %s and %s", e.at, name, e.text, old, e.value)
			}
			seen[e.text] = e.value
		}
	}
}

func TestLoadErrors(t *testing.T) {
	intent := func(body string) string {
		return "intents:\n  scale:\n    risk: write\n    help: h\n    slots: {targets: {type: target}}\n    sentences:\n" + body
	}
	for _, tt := range []struct{ name, yaml, want string }{
		{"unknown key", "intnets: {}\n", `a.yaml:1: unknown key "intnets"`},
		{"unknown intent key", "intents:\n  a:\n    risk: none\n    help: h\n    sentence: []\n", `a.yaml:5: intent a: unknown key "sentence"`},
		{"unknown slot key", "intents:\n  a:\n    risk: none\n    help: h\n    slots: {x: {typ: int}}\n", `a.yaml:5: intent a: slot x: unknown key "typ"`},
		{"risk", "intents:\n  a:\n    risk: wirte\n    help: h\n", `a.yaml:3: intent a: risk "wirte"`},
		{"risk missing", "intents:\n  a:\n    help: h\n", `a.yaml:2: intent a: risk is missing`},
		{"bracket", intent("      - scale (a|b\n"), `a.yaml:7: scale: template "scale (a|b": column 11: "(" is not closed`},
		{"stray bracket", intent("      - scale a)\n"), `unexpected ")"`},
		{"mixed", intent("      - scale (a|b;c)\n"), `| and ; do not mix`},
		{"rule", intent("      - scale <nothing>\n"), `a.yaml:7: scale: template "scale <nothing>": no rule <nothing>`},
		{"slot", intent("      - scale {what:int}\n"), `the intent has no slot "what"`},
		{"type", intent("      - scale {targets:thing}\n"), `unknown type "thing"`},
		{"empty", intent("      - \"[scale]\"\n"), `accepts an empty sentence`},
		{"contraction", intent("      - what's {targets}\n"), `write "what's" out`},
		{"cycle", "rules:\n  a: x <b>\n  b: y <a>\n", `a.yaml:2: rule <a> contains itself: a → b → a`},
		{"yaml", "intents: [\n", `a.yaml: yaml: line 1`},
		{"reply", "replies:\n  x: {text: \"{{.A\"}\n", `a.yaml:2: reply x: text: template`},
		{"reply func", "replies:\n  x: {text: \"{{shout .A}}\"}\n", `function "shout" not defined`},
		{"reply key", "replies:\n  x: {txt: a}\n", `a.yaml:2: reply x: unknown key "txt"`},
		{"duplicate in file", "rules:\n  a: x\n  a: y\n", `a.yaml:3: rules: "a" is already at line 2`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(fstest.MapFS{"a.yaml": {Data: []byte(tt.yaml)}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
	_, err := Load(fstest.MapFS{
		"a.yaml": {Data: []byte("replies:\n  x: hello\n")},
		"b.yaml": {Data: []byte("replies:\n\n  x: there\n")},
	})
	if err == nil || !strings.Contains(err.Error(), "b.yaml:3: reply x is already defined at a.yaml:2") {
		t.Errorf("duplicate across files: %v", err)
	}
	if _, err := Load(fstest.MapFS{}); err == nil {
		t.Error("an empty catalogue loads")
	}
}

func TestSay(t *testing.T) {
	c, err := Load(fstest.MapFS{"replies_a.yaml": {Data: []byte(`
replies:
  scale.readback:
    speech: 'Scale {{spoken .Name}} to {{plural .N "pod"}}?'
    text: 'Scale {{quote .Name}} to {{plural .N "replica"}} ({{join .All}}, {{number .F}})?'
  plain: 'Done.'
`)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.ReplyKeys(); !slices.Equal(got, []string{"plain", "scale.readback"}) {
		t.Errorf("ReplyKeys = %v", got)
	}
	got, err := c.Say("scale.readback", map[string]any{"Name": "web-admin", "N": 1, "All": []string{"web", "cart", "search"}, "F": 0.5})
	want := Say{Speech: "Scale web admin to 1 pod?", Text: `Scale "web-admin" to 1 replica (web, cart and search, 0.5)?`}
	if err != nil || got != want {
		t.Errorf("Say = %+v, %v\nwant %+v", got, err, want)
	}
	if got, err := c.Say("plain", nil); err != nil || got.Speech != "Done." || got.Text != "Done." {
		t.Errorf("Say = %+v, %v", got, err)
	}
	if _, err := c.Say("scale.readback", map[string]any{"Name": "web"}); err == nil {
		t.Error("missing data is no error")
	}
	if _, err := c.Say("nothing", nil); err == nil {
		t.Error("an unknown key is no error")
	}
}

func TestReplyFuncs(t *testing.T) {
	for in, want := range map[string]string{"web-admin": "web admin", "2.1-bad": "2.1 bad", "shop/web": "shop web", "ghcr.io/acme/web:1.2": "ghcr io acme web 1.2", "a_b": "a b", "v2.": "v2", "web-7d9f8b6c5d-x2x4z": "web", "web@sha256:9f86d081": "web"} {
		if got := spoken(in); got != want {
			t.Errorf("spoken(%q) = %q, want %q", in, got, want)
		}
	}
	for _, tt := range []struct {
		n    any
		noun string
		want string
	}{{1, "pod", "1 pod"}, {5, "pod", "5 pods"}, {0, "replica", "0 replicas"}, {int32(2), "copy", "2 copies"}, {2, "patch", "2 patches"}, {1.5, "day", "1.5 days"}} {
		if got, err := plural(tt.n, tt.noun); err != nil || got != tt.want {
			t.Errorf("plural(%v, %q) = %q, %v, want %q", tt.n, tt.noun, got, err, tt.want)
		}
	}
	if _, err := plural([]int{1}, "pod"); err == nil {
		t.Error("a list is counted as a number")
	}
	for _, tt := range []struct {
		in   any
		want string
	}{{[]string{}, ""}, {[]string{"web"}, "web"}, {[]string{"web", "cart"}, "web and cart"}, {[]string{"web", "cart", "search"}, "web, cart and search"}, {"web", "web"}} {
		if got, err := joinNames(tt.in); err != nil || got != tt.want {
			t.Errorf("join(%v) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestNearest(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	for said, want := range map[string]string{"payments": "payments-api", "chekout": "checkout", "wep": "web", "web shop": "web", "admin": "web-admin", "inventroy": "inventory"} {
		got := r.Nearest(said, inv)
		if len(got) == 0 || got[0] != want || len(got) > 3 {
			t.Errorf("Nearest(%q) = %v, want %s first", said, got, want)
		}
	}
	if got := r.Nearest("xyzzyplugh", inv); len(got) != 0 {
		t.Errorf("Nearest of nonsense = %v", got)
	}
	if r.Nearest("web", nil) != nil {
		t.Error("Nearest without an inventory")
	}
}

func TestNames(t *testing.T) {
	inv := NewInventory(InventoryData{Workloads: []Workload{{Name: "redis-1"}, {Name: "redis-2"}, {Name: "orders"}, {Name: "border"}, {Name: "a-bc"}, {Name: "ab-c"}, {Name: "gateway"}}})
	r := testRecognizer(t)
	for said, want := range map[string]string{
		"restart redis-1": "redis-1", "restart redis two": "redis-2", "restart redis-3": "", // digits are never repaired
		"restart order": "orders", "restart gatewya": "gateway", "restart abc": "", // stands for two
	} {
		got := r.Recognize(said, inv, Expect{})
		if names := got.Slots.Targets(); got.Intent != "restart" || strings.Join(names, ",") != want || (want == "") != got.Slots.Has("unknown_target") {
			t.Errorf("%q: %s %v", said, got.Intent, got.Slots)
		}
	}
}

// TestGoesOn holds that nothing with which a name or its plural begins is taken
// for something that begins none.
func TestGoesOn(t *testing.T) {
	x := &NewInventory(manyNames(t)).workloads
	for key := range x.exact {
		for i := 1; i <= len(key); i++ {
			if !x.begins(key[:i]) || !x.goesOn([]byte(key[:i])) || i == len(key) && !x.goesOn([]byte(key+"s")) {
				t.Fatalf("%q begins no name, and %q does", key[:i], key)
			}
		}
	}
	if x.begins("frobnicator") && x.goesOn([]byte("frobnicator")) {
		t.Error("frobnicator begins a name")
	}
}

func TestOSA(t *testing.T) {
	for _, tt := range []struct {
		a, b  string
		limit int
		want  int
	}{{"web", "web", 1, 0}, {"web", "wbe", 1, 1}, {"checkout", "chekcout", 2, 1}, {"cart", "card", 1, 1}, {"cart", "chat", 1, 2}, {"", "ab", 2, 2}, {"", "abc", 2, 3}, {"search", "serch", 1, 1}} {
		if got := osa(tt.a, tt.b, tt.limit); got != tt.want {
			t.Errorf("osa(%q, %q, %d) = %d, want %d", tt.a, tt.b, tt.limit, got, tt.want)
		}
	}
}

func TestNumerals(t *testing.T) {
	r := testRecognizer(t)
	for said, want := range map[string]int{
		"five": 5, "twenty five": 25, "twenty-five": 25, "a hundred": 100, "one hundred and five": 105, "two thousand": 2000, "two thousand three hundred and twelve": 2312,
		"a dozen": 12, "half a dozen": 6, "two dozen": 24, "a couple": 2, "12": 12, "3 thousand": 3000, "hundred": 100, "zero": 0, "a hundred and fifty": 150, "ninety nine": 99,
	} {
		tokens, _, _ := r.tokenize(said)
		if n, end, ok := r.numeral(tokens, 0); !ok || n != want || end != len(tokens) {
			t.Errorf("%q = %d, %v, %d of %d words", said, n, ok, end, len(tokens))
		}
	}
	for said, words := range map[string]int{"two five": 1, "five and six": 1, "twenty thirty": 1, "twenty eleven": 1, "and five": 0, "hundred hundred": 1} {
		tokens, _, _ := r.tokenize(said)
		if _, end, _ := r.numeral(tokens, 0); end != words {
			t.Errorf("%q takes %d words, want %d", said, end, words)
		}
	}
}

// TestNoInventory holds that nothing is known without an inventory, and that
// nothing fails.
func TestNoInventory(t *testing.T) {
	r := testRecognizer(t)
	for _, inv := range []*Inventory{nil, NewInventory(InventoryData{})} { // not known yet, nothing there yet
		got := r.Recognize("scale web to five", inv, Expect{})
		if got.Intent != "scale" || got.Slots.String("unknown_target") != "web" || got.Ask != "targets" {
			t.Errorf("%+v", got)
		}
	}
	if got := r.Recognize("restart it in production", nil, Expect{}); got.Intent != "restart" || got.Slots.String("namespace") != "production" {
		t.Errorf("%+v", got)
	}
	if d := (*Inventory)(nil).Data(); d.Workloads != nil {
		t.Errorf("%+v", d)
	}
}

// TestConcurrent holds that one recogniser serves many at once with the same
// results every time.
func TestConcurrent(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	sentences := []string{"scale web to five", "restart web and then scale cart to 3", "how is everything", "restart pyaments api", "deploy 2.3 to search api in staging"}
	want := make([]string, len(sentences))
	for i, s := range sentences {
		want[i] = jsonOf(r.Recognize(s, inv, Expect{}))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				s := sentences[i%len(sentences)]
				if got := jsonOf(r.Recognize(s, inv, Expect{})); got != want[i%len(sentences)] {
					t.Errorf("%q: %s, want %s", s, got, want[i%len(sentences)])
				}
			}
		})
	}
	wg.Wait()
}

// TestChainJSON holds the shape of a chain, also after a round trip.
func TestChainJSON(t *testing.T) {
	got := testRecognizer(t).Recognize("restart web and then scale cart to 3", fixture(t), Expect{})
	b, err := json.Marshal(got.Slots)
	want := `{"steps":[{"intent":"restart","slots":{"targets":["web"]}},{"intent":"scale","slots":{"replicas":3,"targets":["cart"]}}]}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	var back Slots
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if a, b := fmt.Sprint(got.Slots.Steps()), fmt.Sprint(back.Steps()); len(back.Steps()) != 2 || a != b {
		t.Errorf("%s, want %s", b, a)
	}
}

// TestTagsInUse holds that a word is a version where it is a tag in use, and
// nowhere else.
func TestTagsInUse(t *testing.T) {
	d := InventoryData{Workloads: []Workload{{Name: "web"}}, Tags: []string{"zanzibar", "2.1-bad"}}
	r := testRecognizer(t)
	if got := r.Recognize("deploy zanzibar to web", NewInventory(d), Expect{}); got.Intent != "deploy" || got.Slots.String("version") != "zanzibar" || got.Ask != "" {
		t.Errorf("%s %v", got.Intent, got.Slots)
	}
	d.Tags = nil
	if got := r.Recognize("deploy zanzibar to web", NewInventory(d), Expect{}); got.Slots.Has("version") && got.Ask == "" {
		t.Errorf("%s %v", got.Intent, got.Slots)
	}
}
