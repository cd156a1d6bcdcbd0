package discord

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

const (
	opusRate    = 48000
	mostBars    = 256 // of a waveform
	barsASecond = 10
	// mostSpoken is how much of an answer is said; who wants it all reads it.
	mostSpoken = 600
)

// format is that of a recording. Discord's own are Opus in Ogg.
func format(a attachment) speech.Format {
	kind, _, _ := strings.Cut(a.ContentType, ";")
	switch strings.TrimSpace(kind) {
	case "audio/mpeg", "audio/mp3":
		return speech.MP3
	case "audio/mp4", "audio/m4a", "audio/x-m4a", "audio/aac":
		return speech.MP4
	case "audio/webm":
		return speech.WebM
	case "audio/wav", "audio/x-wav", "audio/wave":
		return speech.WAV
	}
	return speech.Ogg
}

// speak says an answer as a voice message, after it stands there in writing. That goes
// without it where it cannot be said.
func (b *Bot) speak(to chat.Address, m chat.Message) {
	b.going(func(ctx context.Context) {
		err := errors.New("no engine speaks")
		if b.Voice != nil {
			err = b.say(ctx, to, m)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		b.log.WarnContext(ctx, "an answer is not said aloud", "err", err)
		r, err := b.words("discord.voiceless")
		if err == nil {
			_, err = b.Post(ctx, to, chat.Message{Reply: r, Name: m.Name + "/voiceless"})
		}
		if err != nil {
			b.log.InfoContext(ctx, "nor is it told so", "err", err)
		}
	})
}

func (b *Bot) say(ctx context.Context, to chat.Address, m chat.Message) error {
	spoken := speech.Say(m.Reply.Speech, speech.Limits{Characters: mostSpoken})
	a, err := b.Voice.Synthesize(ctx, spoken.Text, speech.Ogg)
	if err != nil {
		return err
	}
	seconds, wave, err := oggOpus(a.Data)
	if err != nil {
		return err
	}
	out := body{Allowed: mentionsAllowed{Parse: []string{}}, Flags: flagVoice, Components: []any{}, Nonce: nonce(m.Name + "/voice"), Enforce: true}
	f := file{name: "voice-message.ogg", kind: "audio/ogg", data: a.Data}
	out.Attachments = []attached{{ID: "0", Filename: f.name, Seconds: seconds, Waveform: base64.StdEncoding.EncodeToString(wave)}}
	_, err = b.send(ctx, to, about(m.Reply), out, []file{f})
	return err
}

// oggOpus tells how long a recording of Opus in Ogg is, and how loud it is over time.
// That goes by how large its packets are: quiet takes fewer bytes, and nothing has to be
// decoded for a picture of some pixels.
func oggOpus(data []byte) (seconds float64, wave []byte, err error) {
	var end, skip int64
	var sizes []int
	packet, n := 0, 0
	for len(data) > 0 {
		if len(data) < 27 || !bytes.HasPrefix(data, []byte("OggS")) {
			return 0, nil, errors.New("discord: no Ogg")
		}
		granule, segments := int64(binary.LittleEndian.Uint64(data[6:14])), int(data[26]) //nolint:gosec // -1 says that none ends there
		if len(data) < 27+segments {
			return 0, nil, errors.New("discord: a page of Ogg is cut off")
		}
		lacing, rest := data[27:27+segments], data[27+segments:]
		length := 0
		for _, l := range lacing {
			length += int(l)
			if packet += int(l); l == 255 {
				continue
			}
			if n++; n > 2 { // the first two are headers
				sizes = append(sizes, packet)
			}
			packet = 0
		}
		if len(rest) < length {
			return 0, nil, errors.New("discord: a page of Ogg is cut off")
		}
		if head := rest[:length]; bytes.HasPrefix(head, []byte("OpusHead")) && len(head) >= 12 {
			skip = int64(binary.LittleEndian.Uint16(head[10:12]))
		}
		end = max(end, granule)
		data = rest[length:]
	}
	if len(sizes) == 0 || end <= skip {
		return 0, nil, errors.New("discord: a recording without sound")
	}
	seconds = float64(end-skip) / opusRate
	bars := min(max(int(seconds*barsASecond), 1), mostBars, len(sizes))
	wave = make([]byte, bars)
	loudest := 1
	for _, s := range sizes {
		loudest = max(loudest, s)
	}
	for i := range wave {
		most := 0
		for _, s := range sizes[i*len(sizes)/bars : (i+1)*len(sizes)/bars] {
			most = max(most, s)
		}
		wave[i] = byte(most * 255 / loudest)
	}
	return seconds, wave, nil
}
