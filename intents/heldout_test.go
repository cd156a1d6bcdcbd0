package intents

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestHeldOut scores sentences that were written by somebody who had not seen
// the templates, and that nobody tunes on. So this test tells numbers and never
// a sentence, and wants nothing of them but that they never act wrongly.
func TestHeldOut(t *testing.T) {
	b, err := os.ReadFile("en/heldout.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f testFile
	d := yaml.NewDecoder(strings.NewReader(string(b)))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		// The message itself quotes the file.
		t.Fatalf("en/heldout.yaml is not a file of tests: %s", strings.Join(regexp.MustCompile(`line \d+`).FindAllString(err.Error(), -1), ", "))
	}
	r, inv := testRecognizer(t), fixture(t)
	tests, never := sentences("en/heldout.yaml", f)
	s := newScores("heldout")
	for _, l := range tests {
		if !l.judged(r) {
			s.all.Aside++
			continue
		}
		s.add(l.intent, judge(r, l, r.Recognize(l.text, inv, l.open)))
	}
	wrong := s.all.Wrong
	for _, l := range never {
		if judge(r, l, r.Recognize(l.text, inv, l.open)).wrong {
			wrong++
		}
	}
	s.report(t)
	if wrong > 0 {
		t.Errorf("%d wrong acts", wrong)
	}
	if len(tests) < 300 {
		t.Errorf("%d sentences, wants 300", len(tests))
	}
}
