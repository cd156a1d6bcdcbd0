package speech_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// ear is an engine that gives what a test says.
type ear func(ctx context.Context) (speech.Heard, error)

func (e ear) Recognize(ctx context.Context, _ speech.Audio, _ speech.Hints) (speech.Heard, error) {
	return e(ctx)
}

func (e ear) Synthesize(ctx context.Context, text string, f speech.Format) (speech.Audio, error) {
	_, err := e(ctx)
	return speech.Audio{Format: f, Data: []byte(text)}, err
}

func hears(text string, confidence float64) ear {
	return func(context.Context) (speech.Heard, error) {
		return speech.Heard{Text: text, Confidence: confidence}, nil
	}
}

func hangs(ctx context.Context) (speech.Heard, error) {
	<-ctx.Done()
	return speech.Heard{}, ctx.Err()
}

func breaks(context.Context) (speech.Heard, error) { return speech.Heard{}, errors.New("broken") }

func TestEars(t *testing.T) {
	for name, tt := range map[string]struct {
		engines []ear
		want    speech.Heard
		kind    fault.Kind
		took    time.Duration
	}{
		"the first that is sure":      {[]ear{hears("yes", 0.9), hears("no", 1)}, speech.Heard{Text: "yes", Confidence: 0.9, Engine: "a"}, "", 0},
		"unsure: the next is asked":   {[]ear{hears("yes", 0.3), hears("no", 0.8)}, speech.Heard{Text: "no", Confidence: 0.8, Engine: "b"}, "", 0},
		"none is sure: the surest":    {[]ear{hears("yes", 0.4), hears("no", 0.3)}, speech.Heard{Text: "yes", Confidence: 0.4, Engine: "a"}, "", 0},
		"one hears nothing":           {[]ear{hears("", 0), hears("no", 0.3)}, speech.Heard{Text: "no", Confidence: 0.3, Engine: "b"}, "", 0},
		"one hangs, one is broken":    {[]ear{hangs, breaks, hears("no", 0.7)}, speech.Heard{Text: "no", Confidence: 0.7, Engine: "c"}, "", 2 * time.Second},
		"all are broken":              {[]ear{breaks, hangs}, speech.Heard{}, fault.Unavailable, 2 * time.Second},
		"none is there":               {nil, speech.Heard{}, fault.Unavailable, 0},
		"nothing was said, by anyone": {[]ear{hears("", 0), breaks}, speech.Heard{Engine: "a"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all []speech.EarEngine
				for i, e := range tt.engines {
					all = append(all, speech.EarEngine{Name: string(rune('a' + i)), Engine: e, Timeout: 2 * time.Second})
				}
				start := time.Now()
				got, err := speech.ChainEars(slog.New(slog.DiscardHandler), all...).Recognize(t.Context(), speech.Audio{}, speech.Hints{})
				if got.Text != tt.want.Text || got.Engine != tt.want.Engine || got.Confidence != tt.want.Confidence || time.Since(start) != tt.took {
					t.Errorf("%+v, %v after %v", got, err, time.Since(start))
				}
				if (err != nil) != (tt.kind != "") || err != nil && fault.KindOf(err) != tt.kind {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestVoices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := []speech.VoiceEngine{{"a", ear(hangs), time.Second}, {"b", ear(breaks), time.Second}, {"c", hears("", 1), time.Second}}
		got, err := speech.ChainVoices(slog.New(slog.DiscardHandler), all...).Synthesize(t.Context(), "hello", speech.Ogg)
		if err != nil || string(got.Data) != "hello" || got.Format != speech.Ogg {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := speech.ChainVoices(slog.New(slog.DiscardHandler), all[:2]...).Synthesize(t.Context(), "hello", speech.Ogg); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%v", err)
		}
	})
}
