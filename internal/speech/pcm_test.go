package speech_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/speech"
)

// tone is a sine wave of half the full loudness.
func tone(rate int, hertz, seconds float64) speech.PCM {
	p := speech.PCM{Rate: rate, Samples: make([]int16, int(float64(rate)*seconds))}
	for i := range p.Samples {
		p.Samples[i] = int16(16000 * math.Sin(2*math.Pi*hertz*float64(i)/float64(rate)))
	}
	return p
}

// loudness is the root of the mean square, without the ends.
func loudness(p speech.PCM) float64 {
	sum, n := 0.0, 0
	for _, s := range p.Samples[len(p.Samples)/10 : len(p.Samples)*9/10] {
		sum += float64(s) * float64(s)
		n++
	}
	return math.Sqrt(sum / float64(n))
}

func TestWAV(t *testing.T) {
	p := tone(16000, 440, 0.2)
	q, err := speech.ParseWAV(p.WAV())
	if err != nil || q.Rate != 16000 || len(q.Samples) != len(p.Samples) || q.Samples[100] != p.Samples[100] {
		t.Fatalf("%v, %d Hz, %d samples", err, q.Rate, len(q.Samples))
	}
	stream := p.WAV()
	binary.LittleEndian.PutUint32(stream[40:], 0xffffffff) // nobody knew how long it would be
	if q, err := speech.ParseWAV(stream); err != nil || len(q.Samples) != len(p.Samples) {
		t.Errorf("of a stream: %v, %d samples", err, len(q.Samples))
	}
	for _, b := range []string{"", "RIFF", "RIFF1234WAVEdata\x04\x00\x00\x00abcd", "OggS"} {
		if _, err := speech.ParseWAV([]byte(b)); err == nil {
			t.Errorf("%q is taken for a WAV", b)
		}
	}
}

func TestMulaw(t *testing.T) {
	// G.711's own table: the code of silence, of the loudest, and of a step between.
	for code, want := range map[byte]int16{0xff: 0, 0x7f: 0, 0x80: 32124, 0x00: -32124, 0xf0: 120, 0xe0: 372, 0x9f: 8316} {
		if got := speech.ParseMulaw([]byte{code}).Samples[0]; got != want {
			t.Errorf("%#x is %d, want %d", code, got, want)
		}
	}
	for i := range 256 { // every code stands for itself, save the negative zero
		p := speech.ParseMulaw([]byte{byte(i)})
		if got := p.Mulaw()[0]; got != byte(i) && i != 0x7f {
			t.Errorf("code %#x comes back as %#x", i, got)
		}
	}
}

func TestResampled(t *testing.T) {
	for _, tt := range []struct {
		from, to int
		hertz    float64
		kept     bool
	}{{16000, 8000, 1000, true}, {16000, 8000, 6000, false}, {8000, 16000, 1000, true}, {44100, 16000, 440, true}, {44100, 16000, 12000, false}} {
		in := tone(tt.from, tt.hertz, 0.5)
		out := in.Resampled(tt.to)
		if d := out.Seconds() - in.Seconds(); d < -0.001 || d > 0.001 {
			t.Errorf("%+v: lasts %v s, not %v s", tt, out.Seconds(), in.Seconds())
		}
		share := loudness(out) / loudness(in)
		if tt.kept && (share < 0.95 || share > 1.05) || !tt.kept && share > 0.05 {
			t.Errorf("%+v: %.3f of it is left", tt, share)
		}
	}
}

func FuzzParseWAV(f *testing.F) {
	f.Add(tone(8000, 100, 0.01).WAV())
	f.Add([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\x40\x1f\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00data\xff\xff\xff\xff123"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := speech.ParseWAV(b)
		if err == nil && (p.Rate < 4000 || 2*len(p.Samples) > len(b)) {
			t.Errorf("%d Hz, %d samples of %d bytes", p.Rate, len(p.Samples), len(b))
		}
	})
}

func TestTelephone(t *testing.T) {
	for hertz, kept := range map[float64]bool{100: false, 1000: true, 3000: true, 5000: false} {
		in := tone(16000, hertz, 0.5)
		if share := loudness(in.Telephone()) / loudness(in); kept && (share < 0.9 || share > 1.1) || !kept && share > 0.1 {
			t.Errorf("%v Hz: %.3f of it is left", hertz, share)
		}
	}
}
