package intents

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// testFile is one file of en/tests.
type testFile struct {
	Inventory InventoryData `yaml:"inventory"`
	Tests     []testCase    `yaml:"tests"`
	// NeverActs are sentences that must not read as a writing intent.
	NeverActs []testSentence `yaml:"never_acts"`
}

type testSentence struct {
	text string
	line int
}

func (s *testSentence) UnmarshalYAML(n *yaml.Node) error {
	s.text, s.line = n.Value, n.Line
	return nil
}

type testCase struct {
	Say    []testSentence `yaml:"say"`
	Intent string         `yaml:"intent"`
	Slots  map[string]any `yaml:"slots"`
	Ask    string         `yaml:"ask"`
	// Known says why these sentences are not read right yet. They count against
	// the score all the same.
	Known string `yaml:"known"`
	Open  *struct {
		Intent  string   `yaml:"intent"`
		Slot    string   `yaml:"slot"`
		Choices []string `yaml:"choices"`
		Confirm bool     `yaml:"confirm"`
	} `yaml:"open"`
}

func (c testCase) expect() Expect {
	if c.Open == nil {
		return Expect{}
	}
	return Expect{Intent: c.Open.Intent, Slot: c.Open.Slot, Choices: c.Open.Choices, Confirm: c.Open.Confirm}
}

var english1 = sync.OnceValues(func() (*Recognizer, error) {
	c, err := English()
	if err != nil {
		return nil, err
	}
	return NewRecognizer(c), nil
})

func testRecognizer(t testing.TB) *Recognizer {
	t.Helper()
	r, err := english1()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readTests(t testing.TB, name string) testFile {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var f testFile
	d := yaml.NewDecoder(strings.NewReader(string(b)))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return f
}

// fixture is the inventory of the test sentences.
func fixture(t testing.TB) *Inventory {
	return NewInventory(readTests(t, "en/tests/inventory.yaml").Inventory)
}

// plain makes slots comparable with what YAML gives.
func plain(t testing.TB, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSentences(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	files, _ := filepath.Glob("en/tests/*.yaml")
	said, never := 0, 0
	for _, file := range files {
		f := readTests(t, file)
		for _, c := range f.Tests {
			for _, s := range c.Say {
				said++
				got := r.Recognize(s.text, inv, c.expect())
				want := c.Slots
				if want == nil {
					want = map[string]any{}
				}
				diff := cmp.Diff(plain(t, want), plain(t, got.Slots))
				wrong := got.Intent != c.Intent || diff != "" || got.Ask != c.Ask || len(got.Candidates) > 0 && r.writes(got.Intent)
				switch {
				case wrong && c.Known != "":
					t.Logf("%s:%d: %q is not read right yet: %s", file, s.line, s.text, c.Known)
				case !wrong && c.Known != "":
					t.Errorf("%s:%d: %q is read right now: it is not known to fail any more", file, s.line, s.text)
				case wrong:
					t.Errorf("%s:%d: %q\n  got  %s %s ask=%q %v\n  want %s %s ask=%q", file, s.line, s.text,
						got.Intent, jsonOf(got.Slots), got.Ask, got.Candidates, c.Intent, jsonOf(want), c.Ask)
				}
			}
		}
		for _, s := range f.NeverActs {
			never++
			for _, open := range []Expect{{}, {Confirm: true}, {Intent: "scale", Slot: "replicas"}, {Intent: "deploy", Slot: "version"}} {
				got := r.Recognize(s.text, inv, open)
				if r.writes(got.Intent) {
					t.Errorf("%s:%d: %q acts: %s %s", file, s.line, s.text, got.Intent, jsonOf(got.Slots))
				}
				if got.Intent == "confirm" {
					t.Errorf("%s:%d: %q confirms", file, s.line, s.text)
				}
			}
		}
	}
	t.Logf("%d sentences, %d that must not act", said, never)
}

func jsonOf(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// TestFramed puts every acting sentence into frames that make it no request.
func TestFramed(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	frames := []string{
		"don't %s", "please don't %s", "do not %s", "never %s", "should we %s", "should I %s?", "why did you %s", "did you %s",
		"what if we %s", "what happens if I %s", "bob said %s", "bob told me to %s", "he says to %s", "I wonder whether to %s", "if it breaks, %s",
		"%s if it breaks", "%s unless it is fine", "%s yesterday", "%s tomorrow", "%s at midnight", "%s when it is done", "when did we %s",
		"who told you to %s", "would it help to %s", "I don't want to %s", "it is not a good idea to %s", "how do I %s", "is it safe to %s",
		"the runbook says %s", `the command is "%s"`, "are we supposed to %s", "maybe we should %s", "we could %s", "remind me to %s", "suppose we %s",
		"there is no need to %s", "can I %s", "instead of telling me to %s", "I was about to %s", "we had to %s", "%s has been done", "%s was a mistake", "%s later",
	}
	files, _ := filepath.Glob("en/tests/*.yaml")
	n := 0
	for _, file := range files {
		for _, c := range readTests(t, file).Tests {
			if !r.writes(c.Intent) || c.Open != nil {
				continue
			}
			for _, s := range c.Say {
				text := strings.TrimRight(s.text, ".!?")
				for _, frame := range frames {
					if strings.HasPrefix(frame, "can I") && (strings.HasPrefix(text, "get ") || strings.HasPrefix(text, "have ") || strings.HasPrefix(text, "please have ")) {
						continue // "can I get web restarted" asks for it
					}
					if strings.Contains(text, "until") && (strings.HasSuffix(frame, "midnight") || strings.HasSuffix(frame, "row") || strings.HasSuffix(frame, "day")) {
						continue // "until monday at midnight" says how long
					}
					n++
					framed := strings.ReplaceAll(frame, "%s", text)
					if got := r.Recognize(framed, inv, Expect{}); r.writes(got.Intent) {
						t.Errorf("%s:%d: %q acts: %s %s", file, s.line, framed, got.Intent, jsonOf(got.Slots))
					}
				}
			}
		}
	}
	t.Logf("%d framed sentences", n)
}

// TestWhole holds that no version, image or count is a piece of what was said:
// it is there as it was said, or not at all.
func TestWhole(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	frames := []string{"deploy cart version %s", "deploy cart %s", "deploy cart to %s", "roll out %s of cart", "roll out version %s of cart", "deploy %s to cart",
		"upgrade cart to %s", "set the image of cart to %s", "kubectl set image deploy/cart cart=%s", "deploy cart:%s", "cart %s", "roll back cart to %s", "roll back cart to version %s"}
	for _, said := range []string{
		"../../evil", "./evil", "..", "/etc/passwd", "/evil", "2.1/../evil", "2.1/evil", "v2/evil", "-1.0", "--1.0", "-v2", ".5", ".hidden", "~1.0", "~web:1.0", "<2.1",
		"2.1*", "2.1_", "2.1~", "2.1's", "2.1'evil", "2.1=evil", "2.1&evil", "2.1,evil", "2.1;evil", "2.1:evil", "2.1@evil", "2.1\\evil", "2.1%2fevil", "$(evil)2.1", "sha256:../../../../evil",
		"../evil:1.0", "ghcr.io/../evil:1.0", "/etc/web:1.0",
	} {
		for _, frame := range frames {
			text := strings.ReplaceAll(frame, "%s", said)
			got := r.Recognize(text, inv, Expect{})
			for _, slot := range []string{"version", "image"} {
				if v := got.Slots.String(slot); v != "" && v != said && v != "cart:"+said {
					t.Errorf("%q: %s %q of %s", text, slot, v, got.Intent)
				}
			}
			if r.writes(got.Intent) && got.Intent != "deploy" && got.Intent != "rollback" {
				t.Errorf("%q: %s %v", text, got.Intent, got.Slots)
			}
		}
	}
	odd := NewInventory(InventoryData{Workloads: []Workload{{Name: "cart", Aliases: []string{"ȺȺȺ"}}}})
	if got := r.Recognize("deploy ȺȺȺ:2.1-RC", odd, Expect{}); got.Slots.String("version") != "2.1-RC" {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{"scale cart to .5", "scale cart to ./5", "scale cart to /5"} {
		if got := r.Recognize(text, inv, Expect{}); got.Slots.Has("replicas") {
			t.Errorf("%q: %v", text, got.Slots)
		}
	}
}

// TestImageNamedLikeWorkload holds that nginx:1.27 is an image where nginx is
// also what runs it.
func TestImageNamedLikeWorkload(t *testing.T) {
	inv := NewInventory(InventoryData{Workloads: []Workload{{Name: "nginx"}}})
	got := testRecognizer(t).Recognize("use image nginx:1.27 for nginx", inv, Expect{})
	want := Slots{"targets": []string{"nginx"}, "image": "nginx:1.27"}
	if diff := cmp.Diff(want, got.Slots); got.Intent != "deploy" || got.Ask != "" || len(got.Candidates) > 0 || diff != "" {
		t.Errorf("%s %v %s", got.Intent, got.Candidates, diff)
	}
}

// TestMergedNodes holds that templates followed together mean what they mean
// when each is followed by itself, and are less to follow.
func TestMergedNodes(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	apart := newRecognizer(r.c, 0)
	tests, never := ownSet(t)
	var work, workApart int
	for _, l := range slices.Concat(tests, never) {
		var e, a Explanation
		got, _ := r.recognize(l.text, inv, l.open, &e)
		want, _ := apart.recognize(l.text, inv, l.open, &a)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q reads as %+v, and apart as %+v", l.at, l.text, got, want)
		}
		work, workApart = work+e.work, workApart+a.work
	}
	t.Logf("%d threads, apart %d", work, workApart)
	if work*2 > workApart {
		t.Errorf("%d threads, and apart %d", work, workApart)
	}
}

// Edges are packed: a catalogue that outgrows their fields must be found here,
// while it is still half of what they hold, and not by a sentence read wrongly.
func TestEdgesHoldTheCatalogue(t *testing.T) {
	a := compile(testRecognizer(t).c, mergedWords)
	for _, tt := range []struct {
		what      string
		got, bits int
	}{
		{"words", len(a.words), 20}, {"sets of side effects", len(a.sets), 20}, {"nodes", len(a.nodes), 24},
		{"types", len(a.types), 10}, {"slots", len(a.slots), 10},
	} {
		if tt.got == 0 || tt.got >= 1<<(tt.bits-1) {
			t.Errorf("%d %s: an edge has %d bits for them", tt.got, tt.what, tt.bits)
		}
	}
	e, s := newWordEdge(1<<20-1, 1, 1<<24-1), newSlotEdge(1<<10-1, 1, 1<<20-1, 2)
	if e.word() != 1<<20-1 || e.set() != 1 || e.to() != 1<<24-1 || s.typ() != 1<<10-1 || s.slot() != 1 || s.set() != 1<<20-1 || s.to() != 2 {
		t.Errorf("packed and unpacked: %d %d %d, %d %d %d %d", e.word(), e.set(), e.to(), s.typ(), s.slot(), s.set(), s.to())
	}
}
