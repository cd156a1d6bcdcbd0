package intents

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// contexts are the questions that may be open while a text comes in.
func contexts() []Expect {
	return []Expect{
		{},
		{Intent: "scale", Confirm: true},
		{Intent: "scale", Slot: "replicas"},
		{Intent: "scale", Slot: "targets"},
		{Intent: "deploy", Slot: "version"},
		{Intent: "scale", Slot: "namespace", Choices: []string{"shop", "staging"}},
		{Intent: "restart", Slot: "targets", Choices: []string{"search", "search-api"}},
	}
}

// soundness checks results: what they are whatever was said.
type soundness struct {
	r   *Recognizer
	inv *Inventory
	has map[string]bool // workloads, and "*"
}

func newSoundness(r *Recognizer, inv *Inventory) soundness {
	s := soundness{r, inv, map[string]bool{TargetAll: true}}
	for _, w := range inv.Data().Workloads {
		s.has[w.Name] = true
	}
	return s
}

func (s soundness) recognize(t *testing.T, text string, open Expect) Result {
	t.Helper()
	got := s.r.Recognize(text, s.inv, open)
	if got.Slots == nil || got.Score < 0 || got.Score > 1 {
		t.Fatalf("%q: %+v", text, got)
	}
	s.check(t, open, text, got.Intent, got.Slots)
	for _, c := range got.Candidates {
		s.check(t, open, text, c.Intent, c.Slots)
	}
	for _, step := range got.Slots.Steps() {
		if step.Name == "chain" {
			t.Errorf("%q: a chain in a chain", text)
		}
		s.check(t, open, text, step.Name, step.Slots)
	}
	return got
}

// check holds that an intent exists, that its slots are declared, and that what
// it is about is there: workloads of the inventory, or what stands for them.
func (s soundness) check(t *testing.T, open Expect, text, intent string, slots Slots) {
	t.Helper()
	d := s.r.c.intents[intent]
	if d == nil {
		t.Errorf("%q: no intent %q", text, intent)
		return
	}
	for name := range slots {
		if _, ok := d.slots[name]; !ok && name != "unknown_target" && (intent != "chain" || name != "steps") {
			t.Errorf("%q: %s has no slot %s", text, intent, name)
		}
	}
	for _, target := range slots.Targets() {
		if !s.has[target] && !strings.HasPrefix(target, "@") && !slices.Contains(open.Choices, target) {
			t.Errorf("%q: %s of %q, which is not there", text, intent, target)
		}
	}
}

func FuzzRecognize(f *testing.F) {
	r := testRecognizer(f)
	none, some := newSoundness(r, nil), newSoundness(r, fixture(f))
	for _, s := range []string{"scale web to five", "restart web and then scale cart to 3", "", "\x00\xff", `"a" "b`, "👍", "=", "/", "'", "deploy/", "=5", "web=", "v", "--replicas=", "1,000,", "a=b=c=d", "+", "-", "<@U1>", ":", "web:", "%", "-n", "x", "twenty hundred thousand million",
		"logs of web for two hours", "since yesterday at six pm", "half an hour and a half", "p99 latency of web", "silence HighErrorRate for", "between 2 and", "an hour and", "quarter past", "delete pod web-7d9f8b6c5-x2k4q", "ı İ ß ſ K Å", "'s 's", "n't", "2.3.", "٣ web", "web to ５"} {
		f.Add(s)
	}
	// Whatever the vocabulary has is a start for mutation.
	tests, _ := ownSet(f)
	for i := 0; i < len(tests); i += 20 {
		f.Add(tests[i].text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, open := range contexts() {
			none.recognize(t, s, open)
			some.recognize(t, s, open)
		}
	})
}

// pieces of random text: letters and signs, as a keyboard in a bag would type.
const keys = " abcdefghijklmnopqrstuvwxyz0123456789.,-/=:'\"äß"

// TestRandomText holds that text which nobody meant for us does not act.
func TestRandomText(t *testing.T) {
	r := testRecognizer(t)
	s := newSoundness(r, fixture(t))
	rnd := rand.New(rand.NewPCG(1, 2))
	runes := []rune(keys)
	for range 20000 {
		var b strings.Builder
		for range 1 + rnd.IntN(40) {
			b.WriteRune(runes[rnd.IntN(len(runes))])
		}
		if got := s.recognize(t, b.String(), Expect{}); acts(r, got, Expect{}) {
			t.Errorf("%q acts: %s %v", b.String(), got.Intent, got.Slots)
		}
	}
	for range 5000 { // bytes
		b := make([]byte, 1+rnd.IntN(60))
		for i := range b {
			b[i] = byte(rnd.IntN(256))
		}
		for _, open := range contexts() {
			// Nothing but the answer to the question may come of it: "k" is a yes, and
			// any word may be a version or an image.
			got := s.recognize(t, string(b), open)
			if answers := got.Intent == "confirm" && open.Confirm || got.Intent == open.Intent && open.Slot != "" && (got.Slots.Has(open.Slot) || open.Slot == "version" && got.Slots.Has("image")); acts(r, got, open) && !answers {
				t.Errorf("%q acts: %s %v", b, got.Intent, got.Slots)
			}
		}
	}
}

// everyday are words of every day. Some of them are ours, too.
var everyday = strings.Fields(`apple river mountain yellow quickly singing under table window children garden winter because yesterday teacher bread
	salt pepper ocean forest paper pencil chair music dancing walking slowly bright stars moon planet rocket engine wheel bridge village castle
	king queen soldier doctor nurse lawyer farmer baker mirror lamp clock hour minute weather storm thunder rain snow holiday travel ticket
	airport station suitcase passport language grammar spelling letter number zero seven hundred morning evening breakfast lunch dinner kitchen
	bottle glass spoon fork knife plate sugar coffee tea milk juice water fire earth wind metal wood stone brick house door roof wall floor
	carpet pillow blanket bed dream sleep awake tired happy sad angry calm brave clever foolish honest gentle strong weak heavy light`)

// TestRandomWords holds that words thrown together do not act: words of every
// day never; our own words only where they say a whole request, which takes
// something of the cluster to do it to.
func TestRandomWords(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	s := newSoundness(r, inv)
	rnd := rand.New(rand.NewPCG(3, 4))
	ours := slices.Sorted(maps.Keys(r.a.words))
	named := map[string]bool{}
	for _, n := range allNames(inv) {
		named[n] = true
		for p := range strings.FieldsFuncSeq(n, isSeparator) {
			named[p], named[strings.TrimSuffix(p, "s")], named[p+"s"] = true, true, true
		}
	}
	withNames := slices.Concat(ours, []string{"web", "cart", "search", "staging", "5", "2.3", "node-1"})
	nobody := slices.DeleteFunc(slices.Clone(ours), func(w string) bool { return named[w] })
	for _, p := range r.c.words.targets { // "it" and "everything" are names, too
		for w := range strings.FieldsSeq(strings.Join(p, " ")) {
			nobody = slices.DeleteFunc(nobody, func(o string) bool { return o == w })
		}
	}
	// Behind these anything may stand: "undo, 'cause …" is a request with its reason.
	nobody = slices.DeleteFunc(nobody, func(w string) bool { return slices.Contains([]string{"because", "cause", "coz", "cuz"}, w) })
	text := func(words []string, most int) string {
		var b []string
		for range 2 + rnd.IntN(most) {
			b = append(b, words[rnd.IntN(len(words))])
		}
		return strings.Join(b, " ")
	}
	for range 4000 {
		for _, said := range []string{text(everyday, 10), text(slices.Concat(everyday, nobody), 10), text(nobody, 8)} {
			if got := s.recognize(t, said, Expect{}); acts(r, got, Expect{}) {
				t.Errorf("%q acts: %s %v", said, got.Intent, got.Slots)
			}
		}
		// With names in it a request may come about by chance; it must be sound.
		s.recognize(t, text(withNames, 8), Expect{})
	}
}

// TestShuffled holds that results are sound whatever the order of the words.
func TestShuffled(t *testing.T) {
	s := newSoundness(testRecognizer(t), fixture(t))
	rnd := rand.New(rand.NewPCG(5, 6))
	tests, _ := ownSet(t)
	for _, l := range tests {
		words := strings.Fields(l.text)
		for range 3 {
			rnd.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
			s.recognize(t, strings.Join(words, " "), l.open)
		}
	}
}

// TestWorstCase holds that twice the words take about twice the work, whatever
// the sentence. Work is counted, since time is not to be had alike twice; the
// times are in BenchmarkWorst.
func TestWorstCase(t *testing.T) {
	r, inv := testRecognizer(t), NewInventory(manyNames(t))
	kinds := nasty()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		full := r.Explain(repeated(kinds[kind], maxRunes), inv, Expect{}).work
		half := r.Explain(repeated(kinds[kind], maxRunes/2), inv, Expect{}).work
		ratio := float64(full) / float64(max(half, 1))
		t.Logf("%-12s %7d threads, half of it %7d, ratio %.1f", kind, full, half, ratio)
		// A quadratic reader has a ratio of 4; some thousand threads are no work.
		if full > 1_000_000 || ratio > 3.2 && full > 20_000 {
			t.Errorf("%s: %d threads, and %d for half as much", kind, full, half)
		}
	}
	if got := r.Recognize(strings.Repeat("x", maxRunes)+" restart web", inv, Expect{}); got.Intent != OutOfScope {
		t.Errorf("a sentence that is too long reads as %s", got.Intent)
	}
}
