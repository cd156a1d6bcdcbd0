package slack

import (
	"bytes"
	"context"
	"errors"
	"mime"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// maxAudio is the largest recording that is listened to.
const maxAudio = 10 << 20

// formatOf is the format of a recording, by its media type; ok is false for what is
// none. Slack's own clips call themselves videos without a picture.
func formatOf(f eventFile) (speech.Format, bool) {
	kind, _, err := mime.ParseMediaType(f.Mime)
	if err != nil {
		return "", false
	}
	switch kind {
	case "audio/webm":
		return speech.WebM, true
	case "audio/mp4", "audio/m4a", "audio/x-m4a", "audio/aac":
		return speech.MP4, true
	case "audio/mpeg", "audio/mp3":
		return speech.MP3, true
	case "audio/ogg", "audio/opus", "application/ogg":
		return speech.Ogg, true
	case "audio/wav", "audio/x-wav", "audio/vnd.wave", "audio/wave":
		return speech.WAV, true
	case "video/webm":
		return speech.WebM, f.Subtype == "slack_audio"
	case "video/mp4", "video/quicktime":
		return speech.MP4, f.Subtype == "slack_audio"
	}
	return "", false
}

// audio is the recording among files, nil where there is none.
func audio(files []eventFile) *eventFile {
	for _, f := range files {
		if _, ok := formatOf(f); ok {
			return &f
		}
	}
	return nil
}

// errTooLong is that a recording is longer than it said.
var errTooLong = errors.New("slack: the recording is too large")

// recording fetches a clip with the bot's token, which slack-go gives to Slack only.
func (b *Bot) recording(f eventFile) func(ctx context.Context) (speech.Audio, error) {
	return func(ctx context.Context) (speech.Audio, error) {
		format, _ := formatOf(f)
		from := f.Download
		if from == "" {
			from = f.Private
		}
		if f.Size > maxAudio {
			return speech.Audio{}, fault.New(fault.Usage, "That recording is too long for me. Please say it shorter.")
		}
		var data bounded
		err := b.api.call(ctx, "download", func(ctx context.Context) error {
			data = bounded{}
			return b.api.GetFileContext(ctx, from, &data)
		})
		switch {
		case errors.Is(err, errTooLong):
			return speech.Audio{}, fault.New(fault.Usage, "That recording is too long for me. Please say it shorter.")
		case err != nil:
			return speech.Audio{}, fault.Wrap(err, fault.Unavailable, "I cannot fetch your recording from Slack. Please try again, or type it.")
		}
		return speech.Audio{Format: format, Data: data.b.Bytes()}, nil
	}
}

// bounded takes as much as a recording may have.
type bounded struct{ b bytes.Buffer }

// Write refuses what is too much.
func (b *bounded) Write(p []byte) (int, error) {
	if b.b.Len()+len(p) > maxAudio {
		return 0, errTooLong
	}
	return b.b.Write(p)
}
