package web

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// What a turn may bring: a recording of a minute, or a sentence.
const (
	maxRecording = 8 << 20
	maxField     = 4 << 10
)

// Listen lets turns be recordings: ears hear them, hints gives the names that may
// be said.
func (s *Server) Listen(ears speech.Recognizer, hints func(ctx context.Context) speech.Hints) {
	s.ears, s.hints = ears, hints
}

// heardReply is an answer with what was heard.
type heardReply struct {
	dialogue.Reply
	Heard string `json:"heard"`
}

// recorded reads a turn that is multipart: the fields of a turn, with the
// recording as audio in the place of text.
func (s *Server) recorded(r *http.Request) (turnRequest, speech.Audio, error) {
	var in turnRequest
	var a speech.Audio
	broken := func(err error) error {
		if tooMuch := (*http.MaxBytesError)(nil); errors.As(err, &tooMuch) {
			return webhook.WithStatus(http.StatusRequestEntityTooLarge, fault.Wrap(err, fault.Usage, "The recording is too large: at most a minute is listened to."))
		}
		return fault.Wrap(err, fault.Usage, "The request's body is not valid multipart/form-data.")
	}
	m, err := r.MultipartReader()
	if err != nil {
		return in, a, broken(err)
	}
	for {
		p, err := m.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return in, a, broken(err)
		}
		limit := int64(maxField)
		if p.FormName() == "audio" {
			limit = maxRecording
		}
		b, err := io.ReadAll(io.LimitReader(p, limit+1))
		if err != nil {
			return in, a, broken(err)
		}
		if int64(len(b)) > limit {
			return in, a, webhook.WithStatus(http.StatusRequestEntityTooLarge, fault.New(fault.Usage, "The field %q is too large.", p.FormName()))
		}
		switch p.FormName() {
		case "conversation":
			in.Conversation = string(b)
		case "audio":
			a = speech.Audio{Format: formatOf(p), Data: b}
		}
	}
	switch {
	case len(a.Data) == 0:
		return in, a, fault.New(fault.Usage, "There is no recording in the request: it is to be in the field audio.")
	case a.Format == "":
		return in, a, webhook.WithStatus(http.StatusUnsupportedMediaType, fault.New(fault.Usage, "I cannot read recordings of that kind. Send WAV, Ogg, WebM, MP4 or MP3."))
	}
	return in, a, nil
}

// formatOf is the format that a part says it has, by its type or its name.
func formatOf(p *multipart.Part) speech.Format {
	kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
	if err == nil {
		_, kind, _ = strings.Cut(kind, "/")
	}
	for _, k := range []string{kind, strings.TrimPrefix(path.Ext(strings.ToLower(p.FileName())), ".")} {
		switch k {
		case "wav", "x-wav", "wave", "vnd.wave":
			return speech.WAV
		case "ogg", "oga", "opus":
			return speech.Ogg
		case "webm":
			return speech.WebM
		case "mp4", "m4a", "x-m4a":
			return speech.MP4
		case "mpeg", "mp3":
			return speech.MP3
		case "basic", "pcmu", "ulaw", "mulaw":
			return speech.Mulaw
		}
	}
	return ""
}

// listened is what was heard of a recording. Where something was asked in its
// conversation, a yes, a name or a number alone is expected.
func (s *Server) listened(ctx context.Context, conversation string, a speech.Audio) (speech.Heard, error) {
	h := s.hints(ctx)
	var err error
	if h.Question, err = s.engine.Asked(ctx, conversation); err != nil {
		return speech.Heard{}, err
	}
	return s.ears.Recognize(ctx, a, h)
}

// deaf is what is told where nothing listens.
func deaf() error {
	return webhook.WithStatus(http.StatusUnsupportedMediaType, fault.New(fault.Usage, "I cannot listen to audio here. Type the sentence; “bot doctor” says what is missing."))
}
