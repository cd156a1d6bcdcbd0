package skill

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/llm"

	"github.com/firstmate-ops/firstmate/intents"
)

// smith words findings as it was told to.
type smith struct {
	text  string
	ok    bool
	err   error
	asked []diagnosis.Finding
}

func (s *smith) Word(_ context.Context, _ string, f diagnosis.Finding) (string, bool, error) {
	s.asked = append(s.asked, f)
	return s.text, s.ok, s.err
}

// TestOnlyTheExplanationIsReworded: what is said aloud, offered, and shown as evidence
// is the same with a wordsmith and without, and with one that fails all is.
func TestOnlyTheExplanationIsReworded(t *testing.T) {
	k := casesOfDiagnosis(t)["slow-database"]
	tell := func(w Wordsmith) dialogue.Reply {
		t.Helper()
		c := sleuth(t, k.Request.Window.To)
		c.ledger = readOnly{}
		if w != nil {
			c.UseWording(w)
		}
		turn := dialogue.NewTurn(c.catalogue, dialogue.Request{Speaker: access.Speaker{Channel: "web", ID: "ann"}}, &dialogue.Session{}, intents.Intent{Name: "diagnose"})
		r, err := c.tellVerdict(t.Context(), turn, k, diagnosis.Rank(k))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ours := tell(nil)
	good := &smith{text: "postgres it is.", ok: true}
	theirs := tell(good)
	_, rest, _ := strings.Cut(ours.Text, "\n")
	if theirs.Text != "Postgres it is.\n"+rest || theirs.Speech != ours.Speech || len(theirs.Blocks) != len(ours.Blocks) || theirs.Expect != ours.Expect {
		t.Errorf("%+v\nours: %+v", theirs, ours)
	}
	f := good.asked[0]
	if f.Lead != "checkout is slow since 14:10" || !strings.Contains(f.Why, "postgres") || f.Target != "checkout" || f.Cause != "postgres" || f.Sure != diagnosis.Surely || len(f.Facts) == 0 {
		t.Errorf("asked of %+v", f)
	}
	for name, w := range map[string]*smith{"fails": {text: "x", ok: true, err: errors.New("gone")}, "has nothing": {text: "x"}} {
		if r := tell(w); r.Text != ours.Text {
			t.Errorf("one that %s: %s", name, r.Text)
		}
	}
}

// readOnly is a ledger by which nobody may change anything.
type readOnly struct{ Ledger }

func (readOnly) MayChange(context.Context, access.Speaker) error { return errors.New("read only") }

// TestOwnWordsPass holds that what firstmate itself says of each verdict of the library
// would pass the check that others' words must: it drops nothing for being strict with us.
func TestOwnWordsPass(t *testing.T) {
	tried := 0
	for name, k := range casesOfDiagnosis(t) {
		c := sleuth(t, k.Request.Window.To)
		v := diagnosis.Rank(k)
		if v.Outcome != diagnosis.Found {
			continue
		}
		f, err := c.finding(k, v)
		if err != nil {
			t.Fatal(err)
		}
		say, err := c.verdict(k, v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(say.Text, "=<>#@;?!\"“") {
			continue // what is shown is no sentence of words
		}
		tried++
		if kept, dropped, ok := llm.Check(say.Text, f); !ok || kept != say.Text {
			t.Errorf("%s: %q is dropped: %+v", name, say.Text, dropped)
		}
		for _, fact := range f.Facts {
			if strings.Contains(fact.Line, "“") {
				t.Errorf("%s: a fact quotes: %+v", name, fact)
			}
		}
	}
	if tried < 20 {
		t.Errorf("only %d were tried", tried)
	}
}
