package speech_test

import (
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/speech"
)

// TestSayIsLinear gives texts that are ever longer: what is allocated for them grows
// as they do, whatever they consist of, and however much of them may be said.
func TestSayIsLinear(t *testing.T) {
	allocated := func(text string, l speech.Limits) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := speech.Say(text, l)
		runtime.ReadMemStats(&after)
		if n := utf8.RuneCountInString(got.SSML); l.Characters > 0 && n > l.Characters {
			t.Errorf("%d characters, limit %d", n, l.Characters)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	const size = 30_000
	for name, unit := range map[string]string{
		"sentences": "Pod web-7d9f8b6c5d-x2x4z is down since 5m30s. ", "one sentence": "word ", "names": "a/b-1: ", "one word": "a/b-1:", "one word of humps": "FooBar", "lines": "ab\n", "questions": "Is it? ",
	} {
		few, many := strings.Repeat(unit, size/len(unit)), strings.Repeat(unit, 8*size/len(unit))
		for limit, limits := range map[string][2]speech.Limits{
			"all of it": {},
			"a reply":   {{Characters: 6000}, {Characters: 6000}},
			"the half":  {{Characters: size / 2}, {Characters: 8 * size / 2}},
		} {
			one, eight := allocated(few, limits[0]), allocated(many, limits[1])
			if eight > 20*one {
				t.Errorf("%s, %s: %d kB for a text of %d kB, but %d kB for one that is eight times as long", name, limit, one>>10, size>>10, eight>>10)
			}
		}
	}
}

// TestSayLooksAtWhatFits gives a text that is far longer than what may be said: its
// first sentences are said and what it asks, and all the others are left for "more".
func TestSayLooksAtWhatFits(t *testing.T) {
	const n = 5000
	text := strings.Repeat("Web is down. ", n)
	for name, tt := range map[string]struct{ text, begins, ends string }{
		"statements":                    {text, "Web is down. Web is down.", " Web is down."},
		"a question":                    {text + "Shall I go on?", "Web is down. Web is down.", " Web is down. Shall I go on?"},
		"no end":                        {strings.Repeat("web and ", n), "web and web and", "."},
		"an endless question behind it": {text + strings.Repeat("or web ", n) + "?", "Web is down. Web is down.", " Web is down."},
	} {
		got := speech.Say(tt.text, speech.Limits{Characters: 200})
		if l := utf8.RuneCountInString(got.SSML); !strings.HasPrefix(got.Text, tt.begins) || !strings.HasSuffix(got.Text, tt.ends) || l > 200 || l < 150 || !got.Cut {
			t.Errorf("%s: %d characters: %q", name, l, got.Text)
		}
		// Nothing is lost, and nothing said twice.
		if said, all := len(strings.Fields(got.Text))+len(strings.Fields(got.Rest)), len(strings.Fields(tt.text)); said != all {
			t.Errorf("%s: %d words of %d are said or left", name, said, all)
		}
	}
}
