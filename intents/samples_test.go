package intents

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestSamples(t *testing.T) {
	c, err := Load(fstest.MapFS{"a.yaml": {Data: []byte(`
rules:
  t: (service|app) {targets:target}
intents:
  scale:
    risk: write
    help: h
    slots: {targets: {type: target}, replicas: {type: int}, factor: {type: number}}
    sentences:
      - (scale|set) [up] <t> to {replicas}
      - (double {factor=2}|halve {factor=0.5}) <t>
      - run (a;b;c)
    frames:
      - {cue: (grow|shrink), before: [please now], parts: ["[of] <t>"]}
`)}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.Samples("scale", 100) {
		got = append(got, s.String()+strings.TrimPrefix(jsonOf(s.Fixed), "{}"))
	}
	covering := []string{
		"scale service {targets} to {replicas}", `double service {targets}{"factor":2}`, "run a b c", "grow",
		"set up app {targets} to {replicas}", `halve app {targets}{"factor":0.5}`, "run c b a", "please now shrink service {targets}",
	}
	if len(got) < len(covering) || !slices.Equal(got[:len(covering)], covering) {
		t.Errorf("first\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(covering, "\n"))
	}
	for _, combination := range []string{"set app {targets} to {replicas}", "grow of app {targets}"} {
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, combination) }) {
			t.Errorf("no combination %q in\n%s", combination, strings.Join(got, "\n"))
		}
	}
	if few := c.Samples("scale", 4); len(few) != 4 || few[3].String() != "grow" {
		t.Errorf("four samples are %v", few)
	}
	if c.Samples("nothing", 4) != nil {
		t.Error("samples of an intent that is not there")
	}
}

// TestSamplesCoverTheCatalogue holds that every template and every alternative
// has a sample, where there is room for it.
func TestSamplesCoverTheCatalogue(t *testing.T) {
	c := testRecognizer(t).c
	for _, spec := range c.Specs() {
		seen := map[string]bool{}
		samples := c.Samples(spec.Name, 1_000_000)
		for _, s := range samples {
			for _, p := range s.Parts {
				for w := range strings.FieldsSeq(p.Text) {
					seen[w] = true
				}
			}
		}
		var walk func(n *node)
		walk = func(n *node) {
			switch n.kind {
			case nodeWord:
				if !seen[n.word] {
					t.Errorf("%s: no sample has %q", spec.Name, n.word)
				}
			case nodeRule:
				walk(c.rules[n.word].node)
			}
			for _, k := range n.kids {
				walk(k)
			}
		}
		templates := 0
		for _, s := range c.templates {
			if s.intent == spec.Name {
				templates++
				walk(s.node)
			}
		}
		t.Logf("%s: %d templates, %d samples", spec.Name, templates, len(samples))
	}
}
