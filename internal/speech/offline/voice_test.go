package offline_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/speech/offline"
)

// tools finds the programs; without them a test is skipped.
func tools(t *testing.T) offline.Tools {
	t.Helper()
	all := offline.Find(os.Getenv)
	for _, has := range []func() (bool, []string){all.Speaks, all.Hears, all.Converts} {
		if ok, lacks := has(); !ok {
			t.Skipf("not installed: %s; run make speech", strings.Join(lacks, ", "))
		}
	}
	return all
}

func TestVoicesSpeak(t *testing.T) {
	ts := tools(t)
	for name, tt := range map[string]struct {
		voice, lang string
		speed       float64
		format      speech.Format
		begins      string
	}{
		"flite":          {"", "", 1, speech.WAV, "RIFF"},
		"fast":           {"rms", "en-GB", 1.15, speech.WAV, "RIFF"},
		"on a telephone": {"awb", "en", 1, speech.Mulaw, ""},
		"in a chat":      {"slt", "", 1, speech.Ogg, "OggS"},
		"German":         {"", "de", 1, speech.WAV, "RIFF"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := offline.NewVoice(ts, tt.voice, tt.lang, tt.speed)
			if err != nil {
				t.Fatal(err)
			}
			a, err := v.Synthesize(t.Context(), "Checkout is back on version two. -o /tmp/x; $(true)", tt.format)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(a.Data, []byte(tt.begins)) {
				t.Errorf("begins with %q", a.Data[:4])
			}
			p, err := ts.Decode(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			if p.Seconds() < 1 || p.Seconds() > 15 {
				t.Errorf("lasts %.1f s", p.Seconds())
			}
			loudest := 0
			for _, s := range p.Samples {
				loudest = max(loudest, int(s), -int(s))
			}
			if loudest < 1000 {
				t.Errorf("it is silent: %d is its loudest", loudest)
			}
		})
	}
}

func TestVoiceIsOneThereIs(t *testing.T) {
	ts := tools(t)
	if _, err := offline.NewVoice(ts, "/etc/passwd", "", 1); err == nil {
		t.Error("a file is taken for a voice")
	}
	if _, err := offline.NewVoice(ts, "", "--path=/tmp", 1); err == nil {
		t.Error("a flag is taken for a language")
	}
}

func TestDecodingEnds(t *testing.T) {
	ts := tools(t)
	for name, a := range map[string]speech.Audio{
		"too long":       {Format: speech.Mulaw, Data: make([]byte, 61*speech.PhoneRate)},
		"too large":      {Format: speech.WebM, Data: make([]byte, 9<<20)},
		"not what it is": {Format: speech.WebM, Data: []byte("#EXTM3U\nfile:///etc/passwd\n")},
		"unknown":        {Format: "exe", Data: []byte("MZ")},
		"no WAV":         {Format: speech.WAV, Data: []byte("OggS")},
	} {
		if _, err := ts.Decode(t.Context(), a); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSpeakingStops(t *testing.T) {
	ts := tools(t)
	v, err := offline.NewVoice(ts, "", "", 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := v.Synthesize(ctx, strings.Repeat("This takes a while to say. ", 100), speech.WAV); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
