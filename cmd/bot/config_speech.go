package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/speech/offline"
	"github.com/firstmate-ops/firstmate/internal/speech/openai"
)

// SpeechConfig is what hears recordings.
type SpeechConfig struct {
	Engines []string           `yaml:"engines" doc:"What listens to recordings, in this order: openai, offline. One that is not set up or not installed is passed over; one that fails, or is not sure, has the next one listen."`
	Timeout time.Duration      `yaml:"timeout" doc:"How long one engine may take."`
	OpenAI  SpeechOpenAIConfig `yaml:"openai"`
}

// SpeechOpenAIConfig is an endpoint that talks as OpenAI's does.
type SpeechOpenAIConfig struct {
	URL   string `yaml:"url" doc:"OpenAI's API, or a server of your own that talks like it, with its version: https://api.openai.com/v1. Empty: it is not used."`
	Key   Secret `yaml:"key" doc:"The API key, where it wants one."`
	Model string `yaml:"model" doc:"The model that transcribes."`

	Speaks string `yaml:"speaks" doc:"The model that says answers aloud in the web console, like tts-1. Empty: it is not asked to."`
	Voice  string `yaml:"voice" doc:"The voice of that model. Empty: alloy."`
}

func speechDefaults() SpeechConfig {
	return SpeechConfig{Engines: []string{openai.Name, offline.Engine}, Timeout: 10 * time.Second, OpenAI: SpeechOpenAIConfig{Model: "whisper-1"}}
}

func (c SpeechConfig) check() error {
	for i, e := range c.Engines {
		if e != openai.Name && e != offline.Engine || slices.Contains(c.Engines[:i], e) {
			return fault.New(fault.Usage, "speech.engines: %q is none of openai and offline, or is there twice.", e)
		}
	}
	if c.Timeout < time.Second {
		return fault.New(fault.Usage, "speech.timeout is a duration of at least a second, like 10s.")
	}
	if u := c.OpenAI.URL; u != "" && !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://") {
		return fault.New(fault.Usage, "speech.openai.url is an address like https://api.openai.com/v1.")
	}
	return nil
}

func (c SpeechConfig) openai() *openai.Engine {
	return openai.New(openai.Config{URL: c.OpenAI.URL, Key: string(c.OpenAI.Key), Hears: c.OpenAI.Model}, &http.Client{})
}

// listening is what listens to recordings; ears is nil where nothing can.
type listening struct {
	ears  *speech.Ears
	close func() error
}

// listening makes the engines that are set up and installed.
func (c SpeechConfig) listening(catalogue *intents.Catalogue, r interface {
	Recognize(text string, inv *intents.Inventory, e intents.Expect) intents.Result
}, log *slog.Logger,
) (listening, error) {
	out := listening{close: func() error { return nil }}
	var engines []speech.EarEngine
	for _, name := range c.Engines {
		e := speech.EarEngine{Name: name, Timeout: c.Timeout}
		switch name {
		case openai.Name:
			if c.OpenAI.URL == "" {
				continue
			}
			e.Engine = c.openai()
		case offline.Engine:
			tools := offline.Find(os.Getenv)
			if ok, _ := tools.Hears(); !ok {
				continue
			}
			own, err := offline.NewRecognizer(tools, catalogue, r, log)
			if err != nil {
				return out, err
			}
			e.Engine, out.close = own, own.Close
		}
		engines = append(engines, e)
	}
	if len(engines) > 0 {
		out.ears = speech.ChainEars(log, engines...)
	}
	return out, nil
}

// spokenNames are the names that may be said, those of the home namespace first, with
// what fires.
// Where everybody has names of their own, there are none: to be asked "did you say"
// one would give it away.
func spokenNames(n kube.Names, home string, own bool, firing ...observability.Alert) speech.Hints {
	var h speech.Hints
	if own {
		return h
	}
	for _, first := range []bool{true, false} {
		for _, w := range n.Workloads {
			if (w.Namespace == home) == first && !slices.Contains(h.Names, w.Name) {
				h.Names = append(h.Names, w.Name)
			}
		}
	}
	h.Places, h.Nodes = n.Namespaces, n.Nodes
	for _, a := range firing {
		if a.Name != "" && !slices.Contains(h.Alerts, a.Name) {
			h.Alerts = append(h.Alerts, a.Name)
		}
	}
	return h
}

// speech says which engines hear.
func (d *doctor) speech(ctx context.Context, c SpeechConfig) {
	works := 0
	for _, name := range c.Engines {
		switch {
		case name == offline.Engine:
			tools := offline.Find(os.Getenv)
			if ok, lacks := tools.Hears(); !ok {
				d.warn("On Debian: apt-get install "+strings.Join(lacks, " "), "speech: the offline engine is not installed")
				continue
			}
			if ok, lacks := tools.Converts(); !ok {
				d.warn("On Debian: apt-get install "+strings.Join(lacks, " "), "speech: the offline engine hears WAV only, not what browsers record")
			}
			works++
			d.well("speech: the offline engine is installed")
		case c.OpenAI.URL != "":
			silence := speech.PCM{Rate: speech.EngineRate, Samples: make([]int16, speech.EngineRate)}.WAV()
			ctx, cancel := context.WithTimeout(ctx, c.Timeout)
			_, err := c.openai().Recognize(ctx, speech.Audio{Format: speech.WAV, Data: silence}, speech.Hints{})
			cancel()
			if err != nil {
				d.fail(fault.Unavailable, "Check speech.openai.url, key and model.", "speech: %s does not transcribe: %v", c.OpenAI.URL, err)
				continue
			}
			works++
			d.well("speech: %s transcribes", c.OpenAI.URL)
		}
	}
	if works == 0 {
		d.warn("Install the offline engine, or set speech.openai.url.", "speech: nothing listens to recordings; sentences can be typed")
	}
}
