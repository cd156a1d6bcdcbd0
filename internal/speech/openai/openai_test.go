package openai_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/speech/openai"
)

// endpoint is a server as OpenAI's API reference describes it (audio/transcriptions,
// audio/speech): it reads what is sent by the standard library's multipart and
// refuses what the reference does not allow.
type endpoint struct {
	t      *testing.T
	answer string // of a transcription
	status int
	fields map[string]string // of the last request
	file   []byte
	name   string
	speech map[string]any
	sound  []byte
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer sk-test" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}`)
		return
	}
	if e.status != 0 {
		w.WriteHeader(e.status)
		_, _ = io.WriteString(w, `{"error":{"message":"overloaded","type":"server_error"}}`)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /v1/audio/transcriptions":
		kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || kind != "multipart/form-data" {
			e.t.Errorf("content type %q", r.Header.Get("Content-Type"))
		}
		e.fields = map[string]string{}
		for m := multipart.NewReader(r.Body, params["boundary"]); ; {
			p, err := m.NextPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				e.t.Error(err)
				return
			}
			b, _ := io.ReadAll(p)
			if p.FormName() == "file" {
				e.file, e.name = b, p.FileName()
				continue
			}
			if _, twice := e.fields[p.FormName()]; twice || p.FileName() != "" {
				e.t.Errorf("field %q", p.FormName())
			}
			e.fields[p.FormName()] = string(b)
		}
		for k := range e.fields {
			if !strings.Contains(" model prompt response_format language ", " "+k+" ") {
				e.t.Errorf("the reference has no field %q that is wanted here", k)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, e.answer)
	case "POST /v1/audio/speech":
		if err := json.NewDecoder(r.Body).Decode(&e.speech); err != nil {
			e.t.Error(err)
		}
		_, _ = w.Write(e.sound)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func start(t *testing.T, e *endpoint, model string) *openai.Engine {
	e.t = t
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	return openai.New(openai.Config{URL: s.URL + "/v1/", Key: "sk-test", Hears: model}, s.Client())
}

func TestTranscribes(t *testing.T) {
	wav := speech.PCM{Rate: 16000, Samples: make([]int16, 16000)}.WAV()
	for name, tt := range map[string]struct {
		model, answer string
		format        speech.Format
		text          string
		least, most   float64
		asked, file   string
	}{
		"sure":       {"", `{"text":" Scale checkout to ten. ","segments":[{"text":"Scale checkout to ten.","avg_logprob":-0.1,"no_speech_prob":0.01}]}`, speech.WAV, "Scale checkout to ten.", 0.85, 0.95, "verbose_json", "audio.wav"},
		"unsure":     {"", `{"text":"Scale cart","segments":[{"text":"Scale","avg_logprob":-0.1},{"text":"cart","avg_logprob":-1.2,"no_speech_prob":0.1}]}`, speech.WebM, "Scale cart", 0.2, 0.35, "verbose_json", "audio.webm"},
		"no speech":  {"", `{"text":"Thank you.","segments":[{"text":"Thank you.","avg_logprob":-0.3,"no_speech_prob":0.9}]}`, speech.Ogg, "Thank you.", 0, 0.1, "verbose_json", "audio.ogg"},
		"nothing":    {"", `{"text":"  ","segments":[]}`, speech.WAV, "", 0, 0, "verbose_json", "audio.wav"},
		"says not":   {"gpt-4o-transcribe", `{"text":"restart web"}`, speech.WAV, "restart web", 0.7, 0.7, "json", "audio.wav"},
		"telephone":  {"", `{"text":"yes"}`, speech.Mulaw, "yes", 0.7, 0.7, "verbose_json", "audio.wav"},
		"own server": {"Systran/faster-whisper-small", `{"text":"yes"}`, speech.MP3, "yes", 0.7, 0.7, "verbose_json", "audio.mp3"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &endpoint{answer: tt.answer}
			data := wav
			if tt.format == speech.Mulaw {
				data = make([]byte, 8000)
			}
			got, err := start(t, e, tt.model).Recognize(t.Context(), speech.Audio{Format: tt.format, Data: data}, speech.Hints{Names: []string{"checkout", "payments-api"}, Places: []string{"shop"}, Language: "en-GB"})
			if err != nil || got.Text != tt.text || got.Confidence < tt.least || got.Confidence > tt.most {
				t.Errorf("%+v, %v", got, err)
			}
			if e.fields["response_format"] != tt.asked || e.name != tt.file || e.fields["language"] != "en" || !strings.Contains(e.fields["prompt"], "checkout, payments-api, shop") {
				t.Errorf("asked with %v, file %s", e.fields, e.name)
			}
			if tt.format == speech.Mulaw {
				if p, err := speech.ParseWAV(e.file); err != nil || p.Rate != 16000 || p.Seconds() != 1 {
					t.Errorf("sent %d Hz, %v", p.Rate, err)
				}
			} else if !bytes.Equal(e.file, data) {
				t.Error("the sound is not what was sent")
			}
		})
	}
}

func TestPromptIsBounded(t *testing.T) {
	e := &endpoint{answer: `{"text":"yes"}`}
	var names []string
	for range 1000 {
		names = append(names, "some\nname-of-a-workload")
	}
	if _, err := start(t, e, "").Recognize(t.Context(), speech.Audio{Format: speech.WAV}, speech.Hints{Names: names}); err != nil {
		t.Fatal(err)
	}
	if p := e.fields["prompt"]; len(p) > 800 || strings.Contains(p, "\n") {
		t.Errorf("%d characters: %.100q", len(p), p)
	}
}

func TestSpeaks(t *testing.T) {
	p := speech.PCM{Rate: 24000, Samples: make([]int16, 24000)}
	e := &endpoint{sound: p.WAV()}
	en := start(t, e, "")
	a, err := en.Synthesize(t.Context(), "Hello.", speech.Mulaw)
	if err != nil || len(a.Data) != 8000 || e.speech["response_format"] != "wav" || e.speech["input"] != "Hello." || e.speech["voice"] != "alloy" || e.speech["model"] != "tts-1" {
		t.Errorf("%d bytes, %v, %v", len(a.Data), e.speech, err)
	}
	e.sound = []byte("OggS…")
	if a, err = en.Synthesize(t.Context(), "Hello.", speech.Ogg); err != nil || string(a.Data) != "OggS…" || e.speech["response_format"] != "opus" {
		t.Errorf("%q, %v, %v", a.Data, e.speech, err)
	}
	if _, err = en.Synthesize(t.Context(), "Hello.", speech.WAV); err == nil {
		t.Error("what is no WAV is taken for one")
	}
}

func TestFailures(t *testing.T) {
	e := &endpoint{status: http.StatusServiceUnavailable, t: t}
	s := httptest.NewServer(e)
	defer s.Close()
	for key, want := range map[string]string{"sk-wrong-and-secret": "speech.openai.key", "sk-test": "could not listen"} {
		en := openai.New(openai.Config{URL: s.URL + "/v1", Key: key}, s.Client())
		ears := speech.ChainEars(slog.New(slog.DiscardHandler), speech.EarEngine{Name: openai.Name, Engine: en, Timeout: 5 * time.Second})
		_, err := ears.Recognize(t.Context(), speech.Audio{Format: speech.WAV}, speech.Hints{})
		if err == nil || !strings.Contains(fault.Say(err), want) || strings.Contains(err.Error()+fault.Say(err), "secret") {
			t.Errorf("%s: %v", key, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := start(t, &endpoint{}, "").Recognize(ctx, speech.Audio{Format: speech.WAV}, speech.Hints{}); err == nil {
		t.Error("it goes on though nobody waits")
	}
}
