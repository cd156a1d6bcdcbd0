package skill

import (
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// TestWhatAVerdictGoesByIsSaid holds for every case of the library that its basis
// can be said: short for the ear, with the facts of the first cause and their
// times and sources for the eye, and that no word of a log is said aloud.
func TestWhatAVerdictGoesByIsSaid(t *testing.T) {
	for name, k := range casesOfDiagnosis(t) {
		c := sleuth(t, k.Request.Window.To)
		v := diagnosis.Rank(k)
		say, err := c.basisOf(k, v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Logf("%s: %s", name, say.Speech)
		if say.Speech == "" || v.Outcome != diagnosis.Unclear && strings.Count(say.Speech, ". ") > 1 || len(say.Speech) > 400 || strings.Contains(say.Speech, "<no value>") || strings.Contains(say.Text, "<no value>") {
			t.Errorf("%s: said %q", name, say.Speech)
		}
		if v.Outcome != diagnosis.Found {
			continue
		}
		for _, e := range v.Causes[0].Evidence {
			fact, err := c.fact(e)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(say.Text, fact) || e.Source != "" && !strings.Contains(say.Text, e.Source) || !e.At.IsZero() && !strings.Contains(say.Text, when(e.At, c.investigation.Now())) {
				t.Errorf("%s: the text lacks %q", name, fact)
			}
			if e.Text != "" && len(e.Text) > 20 && strings.Contains(say.Speech, e.Text) {
				t.Errorf("%s: a line is read out: %q", name, say.Speech)
			}
		}
	}
}

// TestTheBasisIsAskedFor holds that it is given where there was a diagnosis, as
// often as it is asked for, and that nothing is made up where there was none.
func TestTheBasisIsAskedFor(t *testing.T) {
	k := casesOfDiagnosis(t)["config-change-impatient"]
	c := sleuth(t, k.Request.Window.To)
	say, err := c.basisOf(k, diagnosis.Rank(k))
	if err != nil {
		t.Fatal(err)
	}
	turn := dialogue.NewTurn(c.catalogue, dialogue.Request{}, &dialogue.Session{Basis: &say}, intents.Intent{Name: "basis"})
	for range 2 {
		if r, err := c.basis(t.Context(), turn); err != nil || r.Text != say.Text || r.Speech != say.Speech || !strings.Contains(r.Speech, "checkout settings was changed") || !strings.Contains(r.Text, "(kubernetes)") || !strings.Contains(r.Text, "What speaks against it") && !strings.Contains(r.Text, "What else it might be") {
			t.Errorf("%q\n%s %v", r.Speech, r.Text, err)
		}
	}
	turn.Session = &dialogue.Session{}
	if r, err := c.basis(t.Context(), turn); err != nil || !strings.Contains(r.Text, "no reason") {
		t.Errorf("%+v %v", r, err)
	}
}
