package intents

import (
	"strings"
	"testing"
)

func TestVocabulary(t *testing.T) {
	words := testRecognizer(t).c.Vocabulary()
	for _, w := range strings.Fields("scale please five staging don't kubectl pods shows weather crashlooping the grep") {
		if !words[w] {
			t.Errorf("%q is missing", w)
		}
	}
	for w := range words {
		if strings.ContainsAny(w, "{}<>()| ") || w != strings.ToLower(w) && !strings.HasPrefix(w, "-") {
			t.Errorf("%q is no word", w)
		}
	}
}
