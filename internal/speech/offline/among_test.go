package offline_test

import (
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/speech/offline"
)

// What a reply says comes over a telephone, and not what another one would say.
func TestHearsReplies(t *testing.T) {
	if testing.Short() {
		t.Skip("it listens for some seconds")
	}
	ts := tools(t)
	v, err := offline.NewVoice(ts, "slt", "en", 1)
	if err != nil {
		t.Fatal(err)
	}
	replies := []string{
		"Scale web from 3 to 5.", "Scale cart from 4 to 2.", "Shall I go ahead?", "I leave web as it is.", "web runs 5 of 5.", "cart runs 2 of 4.",
	}
	for _, text := range replies[:4] {
		a, err := v.Synthesize(t.Context(), text, speech.Mulaw)
		if err != nil {
			t.Fatal(err)
		}
		heard, err := ts.HearAmong(t.Context(), a, replies)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.NewReplacer("2", "two", "3", "three", "4", "four", "5", "five", ".", "", "?", "").Replace(strings.ToLower(text))
		if heard != want {
			t.Errorf("%q is heard as %q", text, heard)
		}
	}
	if heard, err := ts.HearAmong(t.Context(), speech.Audio{Format: speech.Mulaw}, replies); err != nil || heard != "" {
		t.Errorf("in nothing is heard %q, %v", heard, err)
	}
}
