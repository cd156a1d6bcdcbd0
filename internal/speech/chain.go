package speech

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// EarEngine is an engine that hears, with its name and how long it may take.
type EarEngine struct {
	Name    string
	Engine  Recognizer
	Timeout time.Duration
}

// VoiceEngine is an engine that speaks, with its name and how long it may take.
type VoiceEngine struct {
	Name    string
	Engine  Synthesizer
	Timeout time.Duration
}

// Ears hears by the first engine that is sure; where none is, the surest counts.
type Ears struct {
	engines []EarEngine
	log     *slog.Logger
}

// ChainEars returns a recogniser that asks engines in turn.
func ChainEars(log *slog.Logger, engines ...EarEngine) *Ears { return &Ears{engines, log} }

// Recognize hears a sentence. An engine that fails, or takes too long, is passed
// over. The first one's error is what is told where all fail.
func (c *Ears) Recognize(ctx context.Context, a Audio, h Hints) (Heard, error) {
	var best Heard
	var failed error
	answered := false
	for _, e := range c.engines {
		got, err := within(ctx, e.Timeout, func(ctx context.Context) (Heard, error) { return e.Engine.Recognize(ctx, a, h) })
		if err != nil {
			c.log.WarnContext(ctx, "an engine did not hear", "engine", e.Name, "err", err)
			if failed == nil {
				failed = err
			}
			if ctx.Err() != nil {
				break
			}
			continue
		}
		if got.Engine == "" {
			got.Engine = e.Name
		}
		if got.Sure() {
			return got, nil
		}
		if !answered || got.Confidence > best.Confidence && got.Text != "" || best.Text == "" {
			best = got
		}
		answered = true
	}
	if answered {
		return best, nil
	}
	return Heard{}, said(failed, "I could not listen to that just now. Please type, or try again in a moment.")
}

// Voices speaks by the first engine that can.
type Voices struct {
	engines []VoiceEngine
	log     *slog.Logger
}

// ChainVoices returns a synthesizer that asks engines in turn.
func ChainVoices(log *slog.Logger, engines ...VoiceEngine) *Voices { return &Voices{engines, log} }

// Synthesize says a text.
func (c *Voices) Synthesize(ctx context.Context, text string, f Format) (Audio, error) {
	var failed error
	for _, e := range c.engines {
		got, err := within(ctx, e.Timeout, func(ctx context.Context) (Audio, error) { return e.Engine.Synthesize(ctx, text, f) })
		if err == nil {
			return got, nil
		}
		c.log.WarnContext(ctx, "an engine did not speak", "engine", e.Name, "err", err)
		if failed == nil {
			failed = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return Audio{}, said(failed, "I cannot speak just now.")
}

// within gives f so much time.
func within[T any](ctx context.Context, d time.Duration, f func(context.Context) (T, error)) (T, error) {
	if d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	return f(ctx)
}

// said is the error as it may be said: an engine's own words where they are for
// people, else these.
func said(err error, words string) error {
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		return err
	}
	if err == nil {
		err = fmt.Errorf("no engine is configured")
	}
	return fault.Wrap(err, fault.Unavailable, "%s", words)
}
