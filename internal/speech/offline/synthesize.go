package offline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// Voice speaks: English by flite, other languages by espeak-ng, and English too where
// flite is not there.
type Voice struct {
	tools Tools
	name  string
	speed float64
	lang  string
}

// Voices are those of flite that a Voice may have.
func Voices() []string { return []string{"slt", "awb", "rms", "kal16"} }

// NewVoice returns a voice: one of Voices, or "" for the usual one, at so many
// times its usual speed. lang is a BCP 47 tag, or "" for English.
func NewVoice(t Tools, name, lang string, speed float64) (*Voice, error) {
	if name == "" {
		name = "slt"
	}
	if !slices.Contains(Voices(), name) {
		return nil, fmt.Errorf("there is no voice %q; there are %s", name, strings.Join(Voices(), ", "))
	}
	if ok, lacks := t.Speaks(); !ok {
		return nil, fmt.Errorf("not installed: %s", strings.Join(lacks, ", "))
	}
	for _, r := range lang {
		if r != '-' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)) || len(lang) > 16 || lang[0] == '-' {
			return nil, fmt.Errorf("%q is no language", lang)
		}
	}
	if speed <= 0 {
		speed = 1
	}
	v := &Voice{t, name, min(max(speed, 0.5), 2), strings.ToLower(lang)}
	if !v.english() && t.Espeak == "" {
		return nil, fmt.Errorf("not installed: espeak-ng")
	}
	return v, nil
}

func (v *Voice) english() bool {
	return v.lang == "" || v.lang == "en" || strings.HasPrefix(v.lang, "en-")
}

// stand is who of espeak-ng stands in for a voice of flite.
func (v *Voice) stand() string {
	if v.name == "slt" {
		return "en-us+f3"
	}
	return "en-us+m3"
}

// maxText is how much is said at once, in bytes.
const maxText = 4000

// Synthesize says a text.
func (v *Voice) Synthesize(ctx context.Context, text string, f speech.Format) (speech.Audio, error) {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if text == "" {
		return speech.Audio{}, fault.New(fault.Internal, "There is nothing to say.")
	}
	if len(text) > maxText {
		return speech.Audio{}, fault.New(fault.Internal, "That is too long to be said at once.")
	}
	p, err := v.say(ctx, text)
	if err != nil {
		return speech.Audio{}, err
	}
	return v.tools.Encode(ctx, p, f)
}

func (v *Voice) say(ctx context.Context, text string) (speech.PCM, error) {
	dir, err := os.MkdirTemp("", "firstmate-say-*")
	if err != nil {
		return speech.PCM{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the system's folder of what is left over
	in, out := filepath.Join(dir, "text"), filepath.Join(dir, "out.wav")
	if err := os.WriteFile(in, []byte(text+"\n"), 0o600); err != nil {
		return speech.PCM{}, err
	}
	lang := v.lang
	if v.english() {
		lang = v.stand()
	}
	if v.english() && v.tools.Flite != "" {
		_, err = v.tools.run(ctx, v.tools.Flite, []string{"-voice", v.name, "--setf", "duration_stretch=" + strconv.FormatFloat(1/v.speed, 'f', 3, 64), "-f", in, "-o", out}, nil)
	} else {
		_, err = v.tools.run(ctx, v.tools.Espeak, []string{"-v", lang, "-s", strconv.Itoa(int(160 * v.speed)), "-f", in, "-w", out}, nil)
	}
	if err != nil {
		return speech.PCM{}, err
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return speech.PCM{}, err
	}
	return speech.ParseWAV(b)
}

// Encode writes sound in a format that telephones and chats take.
func (t Tools) Encode(ctx context.Context, p speech.PCM, f speech.Format) (speech.Audio, error) {
	switch f {
	case speech.WAV:
		return speech.Audio{Format: f, Data: p.Resampled(speech.EngineRate).WAV()}, nil
	case speech.Mulaw:
		return speech.Audio{Format: f, Data: p.Mulaw()}, nil
	case speech.Ogg:
		b, err := t.run(ctx, t.Opusenc, []string{"--quiet", "--bitrate", "24", "--discard-comments", "-", "-"}, p.WAV())
		return speech.Audio{Format: f, Data: b}, err
	}
	return speech.Audio{}, fault.New(fault.Internal, "I cannot speak in the format %s.", f)
}
