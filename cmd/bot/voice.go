package main

import (
	"log/slog"
	"net/http"
	"os"

	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/speech/offline"
	"github.com/firstmate-ops/firstmate/internal/speech/openai"
)

// speaking makes what says answers aloud of the engines that hear: nil where none
// can speak.
func (c SpeechConfig) speaking(log *slog.Logger) speech.Synthesizer {
	var engines []speech.VoiceEngine
	for _, name := range c.Engines {
		e := speech.VoiceEngine{Name: name, Timeout: c.Timeout}
		switch name {
		case openai.Name:
			if c.OpenAI.URL == "" || c.OpenAI.Speaks == "" {
				continue
			}
			e.Engine = openai.New(openai.Config{URL: c.OpenAI.URL, Key: string(c.OpenAI.Key), Speaks: c.OpenAI.Speaks, Voice: c.OpenAI.Voice}, &http.Client{})
		case offline.Engine:
			own, err := offline.NewVoice(offline.Find(os.Getenv), "", "", 1)
			if err != nil {
				log.Debug("the offline engine does not speak", "err", err)
				continue
			}
			e.Engine = own
		}
		engines = append(engines, e)
	}
	if len(engines) == 0 {
		return nil
	}
	return speech.ChainVoices(log, engines...)
}
