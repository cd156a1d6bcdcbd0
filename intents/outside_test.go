package intents

import (
	"path/filepath"
	"testing"
)

// TestOutside scores sentences whose authors knew the vocabulary and had seen no
// template. What they showed has been used since, so the score says how far it
// has been mended, and heldout.yaml how well it will do with the next ones.
func TestOutside(t *testing.T) {
	files, err := filepath.Glob("en/outside/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no sentences", err)
	}
	r, inv := testRecognizer(t), fixture(t)
	s := newScores("outside")
	for _, file := range files {
		tests, never := sentences(file, readTests(t, file))
		for _, l := range append(tests, never...) {
			got := r.Recognize(l.text, inv, l.open)
			v := judge(r, l, got)
			s.add(filepath.Base(file), v)
			if v.wrong {
				t.Errorf("%s: %q acts: %s %s, and means %s %s", l.at, l.text, got.Intent, jsonOf(got.Slots), l.intent, jsonOf(l.slots))
			}
		}
	}
	s.report(t)
}
