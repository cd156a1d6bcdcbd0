// Package openai hears and speaks by any endpoint that talks as OpenAI's does:
// OpenAI itself, or a server of one's own (whisper.cpp, speaches, LocalAI).
// go-openai is the client, because it is the kept one that takes any base URL.
package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"unicode/utf8"

	client "github.com/sashabaranov/go-openai"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// Config is where the endpoint is, and what it is asked for.
type Config struct {
	URL    string // of the API, with its version: https://api.openai.com/v1
	Key    string
	Hears  string // the model that transcribes; "" is whisper-1
	Speaks string // the model that speaks; "" is tts-1
	Voice  string // "" is alloy
}

// Engine is the endpoint as an engine.
type Engine struct {
	c   *client.Client
	cfg Config
}

// Name is what the engine is called.
const Name = "openai"

// What is sent and taken at most.
const (
	maxAudio  = 8 << 20
	maxReply  = 16 << 20
	maxPrompt = 800 // characters: models read no more than some two hundred tokens
	maxText   = 4000
)

// New returns an engine. h is the client that requests go through.
func New(cfg Config, h *http.Client) *Engine {
	cc := client.DefaultConfig(cfg.Key)
	if cfg.URL != "" {
		cc.BaseURL = strings.TrimSuffix(cfg.URL, "/")
	}
	cc.HTTPClient = bounded{h}
	if cfg.Hears == "" {
		cfg.Hears = client.Whisper1
	}
	if cfg.Speaks == "" {
		cfg.Speaks = string(client.TTSModel1)
	}
	if cfg.Voice == "" {
		cfg.Voice = string(client.VoiceAlloy)
	}
	return &Engine{client.NewClientWithConfig(cc), cfg}
}

// bounded takes no more of an answer than it may have.
type bounded struct{ h *http.Client }

// Do sends a request.
func (b bounded) Do(r *http.Request) (*http.Response, error) {
	res, err := b.h.Do(r) //nolint:bodyclose // who asked closes it
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxReply), res.Body}
	}
	return res, err
}

// Recognize has the sound transcribed, with the names that may be said as prompt.
func (e *Engine) Recognize(ctx context.Context, a speech.Audio, h speech.Hints) (speech.Heard, error) {
	if len(a.Data) > maxAudio {
		return speech.Heard{}, fault.New(fault.Usage, "That recording is too long: at most a minute is listened to.")
	}
	name := "audio." + string(a.Format)
	if a.Format == speech.Mulaw { // which no endpoint takes as it is
		name, a.Data = "audio.wav", speech.ParseMulaw(a.Data).Resampled(speech.EngineRate).WAV()
	}
	lang, _, _ := strings.Cut(h.Language, "-")
	req := client.AudioRequest{Model: e.cfg.Hears, FilePath: name, Reader: bytes.NewReader(a.Data), Prompt: prompt(h), Language: lang, Format: client.AudioResponseFormatJSON}
	if e.cfg.Hears == client.Whisper1 || !strings.HasPrefix(e.cfg.Hears, "gpt-") { // those do not tell how sure they are
		req.Format = client.AudioResponseFormatVerboseJSON
	}
	res, err := e.c.CreateTranscription(ctx, req)
	if err != nil {
		return speech.Heard{}, told(err)
	}
	return speech.Heard{Text: strings.Join(strings.Fields(res.Text), " "), Confidence: confidence(res), Engine: Name}, nil
}

// prompt names what may be said, as long as models read it.
func prompt(h speech.Hints) string {
	p := "Kubernetes: roll out, roll back, scale, restart, replicas, namespace."
	for _, n := range append(append([]string(nil), h.Names...), h.Places...) {
		if utf8.RuneCountInString(p)+len(n)+2 > maxPrompt {
			break
		}
		p += " " + strings.Map(printable, n) + ","
	}
	return strings.TrimSuffix(p, ",")
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// assumed is how sure an endpoint is taken to be that does not say.
const assumed = 0.7

// confidence is how sure the endpoint is, by its least sure part: the mean
// probability of its words, and that anything was said at all.
func confidence(res client.AudioResponse) float64 {
	if strings.TrimSpace(res.Text) == "" {
		return 0
	}
	if len(res.Segments) == 0 {
		return assumed
	}
	least := 1.0
	for _, s := range res.Segments {
		if strings.TrimSpace(s.Text) == "" {
			continue
		}
		c := math.Exp(math.Min(0, s.AvgLogprob)) * (1 - math.Min(1, math.Max(0, s.NoSpeechProb)))
		least = math.Min(least, c)
	}
	return least
}

// Synthesize has a text said.
func (e *Engine) Synthesize(ctx context.Context, text string, f speech.Format) (speech.Audio, error) {
	if text == "" || len(text) > maxText {
		return speech.Audio{}, fault.New(fault.Internal, "There is nothing to say, or too much.")
	}
	format := map[speech.Format]client.SpeechResponseFormat{speech.WAV: client.SpeechResponseFormatWav, speech.Mulaw: client.SpeechResponseFormatWav, speech.Ogg: client.SpeechResponseFormatOpus, speech.MP3: client.SpeechResponseFormatMp3}[f]
	if format == "" {
		return speech.Audio{}, fault.New(fault.Internal, "I cannot speak in the format %s.", f)
	}
	res, err := e.c.CreateSpeech(ctx, client.CreateSpeechRequest{Model: client.SpeechModel(e.cfg.Speaks), Input: text, Voice: client.SpeechVoice(e.cfg.Voice), ResponseFormat: format})
	if err != nil {
		return speech.Audio{}, told(err)
	}
	b, err := io.ReadAll(res)
	err = errors.Join(err, res.Close())
	if err != nil {
		return speech.Audio{}, told(err)
	}
	if format != client.SpeechResponseFormatWav {
		return speech.Audio{Format: f, Data: b}, nil
	}
	p, err := speech.ParseWAV(b)
	if err != nil {
		return speech.Audio{}, told(err)
	}
	if f == speech.Mulaw {
		return speech.Audio{Format: f, Data: p.Mulaw()}, nil
	}
	return speech.Audio{Format: f, Data: p.Resampled(speech.EngineRate).WAV()}, nil
}

// told is an error as it is told: what is wrong, and nothing of what was sent.
func told(err error) error {
	var api *client.APIError
	if errors.As(err, &api) && (api.HTTPStatusCode == http.StatusUnauthorized || api.HTTPStatusCode == http.StatusForbidden) {
		return fault.Wrap(err, fault.Unavailable, "The speech service does not take my key. Check speech.openai.key.")
	}
	return fmt.Errorf("openai: %w", err)
}
