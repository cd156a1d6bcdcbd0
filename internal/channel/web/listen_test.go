package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// ears hear what a test says, and note what they were given.
type ears struct {
	heard speech.Heard
	err   error
	audio speech.Audio
	hints speech.Hints
}

func (e *ears) Recognize(_ context.Context, a speech.Audio, h speech.Hints) (speech.Heard, error) {
	e.audio, e.hints = a, h
	return e.heard, e.err
}

// recording posts a recording as a turn.
func recording(t *testing.T, h http.Handler, kind, file string, data []byte) *httptest.ResponseRecorder {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	_ = m.WriteField("conversation", "c-1")
	if data != nil {
		head := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="audio"; filename="` + file + `"`}}
		if kind != "" {
			head.Set("Content-Type", kind)
		}
		p, err := m.CreatePart(head)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = p.Write(data)
	}
	_ = m.Close()
	r := httptest.NewRequest(http.MethodPost, "http://localhost/api/v1/turns", &b)
	r.Header.Set("Content-Type", m.FormDataContentType())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRecordedTurn(t *testing.T) {
	for name, tt := range map[string]struct {
		kind, file string
		data       []byte
		heard      speech.Heard
		err        error
		status     int
		format     speech.Format
		text       string
		unsure     bool
		says       string
	}{
		"sure":         {"audio/webm;codecs=opus", "a", []byte("x"), speech.Heard{Text: "scale web to five", Confidence: 0.9}, nil, 200, speech.WebM, "scale web to five", false, `"heard":"scale web to five"`},
		"unsure":       {"audio/ogg", "a", []byte("x"), speech.Heard{Text: "scale web to five", Confidence: 0.3}, nil, 200, speech.Ogg, "scale web to five", true, ""},
		"nothing":      {"", "a.wav", []byte("x"), speech.Heard{}, nil, 200, speech.WAV, "", true, ""},
		"far too long": {"audio/mp4", "a", []byte("x"), speech.Heard{Text: strings.Repeat("no ", 500), Confidence: 1}, nil, 400, speech.MP4, "", false, "too long"},
		"too large":    {"audio/wav", "a", make([]byte, 9<<20), speech.Heard{}, nil, 413, "", "", false, "too large"},
		"unknown":      {"application/x-sh", "a.sh", []byte("x"), speech.Heard{}, nil, 415, "", "", false, "recordings of that kind"},
		"no recording": {"", "", nil, speech.Heard{}, nil, 400, "", "", false, "no recording"},
		"engines fail": {"audio/mpeg", "a", []byte("x"), speech.Heard{}, fault.New(fault.Unavailable, "I cannot listen."), 503, speech.MP3, "", false, "I cannot listen."},
	} {
		t.Run(name, func(t *testing.T) {
			e := channeltest.NewEngine(nil)
			mux := http.NewServeMux()
			s := web.NewServer(t.Context(), web.Config{}, e, slog.New(slog.DiscardHandler))
			on := &ears{heard: tt.heard, err: tt.err}
			s.Listen(on, func(context.Context) speech.Hints { return speech.Hints{Names: []string{"web"}} })
			s.Routes(mux)
			w := recording(t, mux, tt.kind, tt.file, tt.data)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || on.audio.Format != tt.format {
				t.Fatalf("%d %s, format %q", w.Code, w.Body, on.audio.Format)
			}
			got := e.Requests()
			if tt.status != 200 {
				if len(got) != 0 {
					t.Errorf("it went on with %+v", got)
				}
				return
			}
			if len(got) != 1 || got[0].Text != tt.text || got[0].Unsure != tt.unsure || got[0].Conversation != "c-1" || on.hints.Names[0] != "web" {
				t.Errorf("%+v", got)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Error(w.Body)
			}
		})
	}
}

// TestRecordedAnswer records the answers to questions: the ears know of a question,
// that of this conversation, for as long as it is open.
func TestRecordedAnswer(t *testing.T) {
	replies := map[string]string{"scale web to five": dialogue.ExpectConfirm, "restart it": dialogue.ExpectChoice, "scale web": "replicas"}
	e := channeltest.NewEngine(func(r dialogue.Request) dialogue.Reply {
		expect := replies[r.Text]
		if expect == "" {
			expect = dialogue.ExpectNone
		}
		return dialogue.Reply{Speech: "ok", Text: "ok", Expect: expect}
	})
	mux := http.NewServeMux()
	s := web.NewServer(t.Context(), web.Config{}, e, slog.New(slog.DiscardHandler))
	on := &ears{}
	s.Listen(on, func(context.Context) speech.Hints { return speech.Hints{Names: []string{"web"}} })
	s.Routes(mux)
	for _, turn := range []struct {
		says     string
		question bool
	}{
		{"scale web to five", false}, {"yes", true}, {"restart it", false}, {"web", true}, {"scale web", false}, {"five", true}, {"thanks", false},
	} {
		on.heard = speech.Heard{Text: turn.says, Confidence: 0.9}
		// What is asked in another conversation is answered there.
		e.Respond(t.Context(), dialogue.Request{Conversation: "c-2", Text: "scale web to five"})
		if w := recording(t, mux, "audio/wav", "a", []byte("x")); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if on.hints.Question != turn.question || len(on.hints.Names) != 1 {
			t.Errorf("%q: %+v", turn.says, on.hints)
		}
	}
}
