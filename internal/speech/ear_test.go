package speech_test

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/speech"
)

func TestEar(t *testing.T) {
	for in, want := range map[string]string{
		"payments-api is up.":                         "payments A P I is up.",
		"Roll out v2.10.1 of payments-api?":           "Roll out version two ten one of payments A P I?",
		"move web from v1 to v2":                      "move web from version one to version two",
		"version 2.10 and version v3":                 "version two ten and version three",
		"from 2.2 to 2.3":                             "from 2.2 to 2.3",
		"v1.2.3-rc.1 is there":                        "version one two three R C one is there",
		"Errors are 12.5% since 02:51.":               "Errors are 12.5 percent since two fifty one.",
		"it took 1.23456s, then 5m30s, then 250ms":    "it took 1.2 seconds, then 5 minutes 30 seconds, then 250 milliseconds",
		"3/5 pods, 512Mi each (12/s)":                 "3 of 5 pods, 512 megabytes each 12 per second,",
		"The ratio is 0.00123456.":                    "The ratio is 0.0012.",
		"checkout-7d9f8b6c5d-x2x4z crashed":           "checkout crashed",
		"node-exporter-kx7zb and web-https":           "node exporter and web H T T P S",
		"image ghcr.io/acme/web:1.2@sha256:0123abcd":  "image ghcr io acme web 1.2",
		"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf": "an image",
		"commit 3f2a9bc by Ann":                       "commit a build by Ann",
		"id 123e4567-e89b-12d3-a456-426614174000.":    "I D an identifier.",
		"HighErrorRate fires":                         "High Error Rate fires",
		"see https://example.com/a?b=c now":           "see a link now",
		"1 → 3, memory ≥ 90%":                         "1 to 3, memory at least 90 percent",
		"“roll back” it":                              "roll back it",
		"line one\nline two":                          "line one. line two",
		"`kubectl` says OOMKilled ✔.":                 "kube control says killed for memory.",
		"-2 pods, +3 pods":                            "minus 2 pods, plus 3 pods",
		"cpu 500m":                                    "C P U 500 millicores",
		"nginx, redis and etcd":                       "engine X, reddis and et C D",
		"at 14:00 or 9:05 or 3:00":                    "at fourteen hundred or nine oh five or three o'clock",
		"ratio 1.987":                                 "ratio 2",
		"tag v10.0.3, revision 7":                     "tag ten zero three, revision 7",
		"PR #12":                                      "P R number 12",
	} {
		if got := speech.Ear(in); got != want {
			t.Errorf("Ear(%q)\n = %q\nwant %q", in, got, want)
		}
		if again := speech.Ear(want); again != want {
			t.Errorf("put for the ear twice, %q is %q", want, again)
		}
	}
}

func TestSay(t *testing.T) {
	const three = "Checkout fails 12% of requests. Its logs say connection refused. It began at 02:51. Shall I roll it back?"
	for name, tt := range map[string]struct {
		text   string
		limits speech.Limits
		want   speech.Spoken
	}{
		"all of it": {"Done. It took 5s. Bye.", speech.Limits{}, speech.Spoken{Text: "Done. It took 5 seconds. Bye.", SSML: "<speak><s>Done.</s><s>It took 5 seconds.</s><s>Bye.</s></speak>"}},
		"two sentences and the question": {three, speech.Limits{Sentences: 2}, speech.Spoken{
			Text: "Checkout fails 12 percent of requests. Its logs say connection refused. Shall I roll it back?",
			SSML: "<speak><s>Checkout fails 12 percent of requests.</s><s>Its logs say connection refused.</s><s>Shall I roll it back?</s></speak>",
			Cut:  true, Rest: "It began at 02:51.",
		}},
		"escaped": {"a & b\" <script>alert(1)</script>", speech.Limits{}, speech.Spoken{Text: "a and b scriptalert(1) script", SSML: "<speak><s>a and b scriptalert(1) script</s></speak>"}},
		"cut at a sentence": {"One is here. Two is there. Three is away.", speech.Limits{Characters: 50}, speech.Spoken{
			Text: "One is here.", SSML: "<speak><s>One is here.</s></speak>", Cut: true, Rest: "Two is there. Three is away.",
		}},
		"the question stays": {"One is here. Two is there. Go on?", speech.Limits{Characters: 55}, speech.Spoken{
			Text: "One is here. Go on?", SSML: "<speak><s>One is here.</s><s>Go on?</s></speak>", Cut: true, Rest: "Two is there.",
		}},
		"a long sentence ends at a word": {"This is one very long sentence without an end", speech.Limits{Characters: 40}, speech.Spoken{
			Text: "This is one very.", SSML: "<speak><s>This is one very.</s></speak>", Cut: true, Rest: "long sentence without an end",
		}},
		"nothing": {"", speech.Limits{Sentences: 2, Characters: 100}, speech.Spoken{SSML: "<speak></speak>"}},
	} {
		if got := speech.Say(tt.text, tt.limits); got != tt.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, tt.want)
		}
	}
}

func TestSentences(t *testing.T) {
	got := speech.Sentences("Version 2.3 is out. Is it? No. E.g. this “one.” Last\nline!")
	want := []string{"Version 2.3 is out.", "Is it?", "No.", "E.g. this “one.”", "Last", "line!"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q", got)
	}
}

func TestMarkup(t *testing.T) {
	var m speech.Markup
	m.Sentence(`</s><audio src="https://evil"/>&amp;`)
	m.Pause(time.Minute)
	if got := m.Document(); got != `<speak><s>&lt;/s&gt;&lt;audio src=&#34;https://evil&#34;/&gt;&amp;amp;</s><break time="10000ms"/></speak>` {
		t.Error(got)
	}
}

// hashes are rows of signs that nobody wants to hear.
var hashes = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-|sha256[:-][0-9a-f]|\b(?:[0-9]+[a-f]+|[a-f]+[0-9]+)[0-9a-f]{8,}\b`)

func FuzzSay(f *testing.F) {
	for _, s := range []string{
		"payments-api v2.10.1 12.5% 5m30s 3/5", "web-7d9f8b6c5d-x2x4z sha256:9f86d081884c7d659a2feaa0c55ad015", "<speak>&amp;</speak>]]>", "a. b? c! d… \u202e\x00\xff",
		"123e4567-e89b-12d3-a456-426614174000", "HighErrorRate [x](http://y) “q”", "1:05 v v2 -1 ± ≥ 3–5 x=y 9999999999999999999999d", "…", "’’…’", "A.B.C d.e. 1.2.3.4.5",
	} {
		f.Add(s, 2, 200)
	}
	f.Fuzz(func(t *testing.T, text string, sentences, characters int) {
		if len(text) > 4000 {
			return
		}
		l := speech.Limits{Sentences: sentences % 8, Characters: characters % 5000}
		got := speech.Say(text, l)
		if l.Characters > len("<speak></speak>") && utf8.RuneCountInString(got.SSML) > l.Characters {
			t.Errorf("%d characters, limit %d", utf8.RuneCountInString(got.SSML), l.Characters)
		}
		if l.Sentences > 0 && len(speech.Sentences(got.Text)) > l.Sentences+1 {
			t.Errorf("%q: more than %d sentences and a question", got.Text, l.Sentences)
		}
		if !got.Cut && got.Rest != "" {
			t.Errorf("not cut, and %q is left", got.Rest)
		}
		if h := hashes.FindString(got.Text); h != "" {
			t.Errorf("%q says the hash %q", got.Text, h)
		}
		if got.SSML == "" {
			return // no room for any
		}
		// The document holds the words and no markup but ours.
		d := xml.NewDecoder(strings.NewReader(got.SSML))
		var words []string
		for {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%q: %v", got.SSML, err)
			}
			switch tok := tok.(type) {
			case xml.CharData:
				words = append(words, string(tok))
			case xml.StartElement:
				if n := tok.Name.Local; n != "speak" && n != "s" || len(tok.Attr) > 0 {
					t.Errorf("%q has an element <%s>", got.SSML, n)
				}
			case xml.EndElement:
			default:
				t.Errorf("%q has a %T", got.SSML, tok)
			}
		}
		if strings.Join(words, " ") != got.Text {
			t.Errorf("SSML says %q, text %q", words, got.Text)
		}
	})
}
