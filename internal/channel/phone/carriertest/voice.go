package carriertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/firstmate-ops/firstmate/internal/speech"
)

// Spoken is an Ear that really listens: what a caller says is spoken, sent
// through a telephone and recognised with the hints of the Gather.
type Spoken struct {
	// Voices are who speaks: each sentence by the next one.
	Voices     []speech.Synthesizer
	Recognizer speech.Recognizer
	// Names are the names among the hints, as they are said. The rest are words that
	// the recogniser expects anyway.
	Names []string

	mu   sync.Mutex
	next int
}

// Hear speaks and listens. A sentence that is heard as nothing is silence.
func (s *Spoken) Hear(ctx context.Context, text string, hints []string) (string, float64, error) {
	if len(s.Voices) == 0 {
		return "", 0, errors.New("carriertest: nobody has a voice")
	}
	s.mu.Lock()
	voice := s.Voices[s.next%len(s.Voices)]
	s.next++
	s.mu.Unlock()
	a, err := voice.Synthesize(ctx, text, speech.Mulaw)
	if err != nil {
		return "", 0, err
	}
	h := speech.Hints{Question: len(hints) > 0 && hints[0] == "yes"}
	for _, n := range hints {
		if slices.Contains(s.Names, n) {
			h.Names = append(h.Names, n)
		}
	}
	heard, err := s.Recognizer.Recognize(ctx, a, h)
	return heard.Text, heard.Confidence, err
}

// Heard is a Mouth that really speaks: what the bot says is spoken, sent through
// a telephone and recognised by who knows how its replies go.
type Heard struct {
	Voice speech.Synthesizer
	// Among hears sound in which something like these texts is said.
	Among func(ctx context.Context, a speech.Audio, texts []string) (string, error)
	// Others are replies that might be said as well, so that what is heard is no
	// foregone conclusion.
	Others []string
}

// Speak speaks and listens.
func (h *Heard) Speak(ctx context.Context, text string) (string, error) {
	var out []string
	for _, s := range speech.Sentences(text) {
		a, err := h.Voice.Synthesize(ctx, s, speech.Mulaw)
		if err != nil {
			return "", err
		}
		heard, err := h.Among(ctx, a, append(slices.Clone(h.Others), s))
		if err != nil {
			return "", err
		}
		out = append(out, heard)
	}
	return strings.Join(out, ". "), nil
}
