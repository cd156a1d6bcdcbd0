package offline

import (
	"context"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// What a piece of sound may be that is taken.
const (
	maxBytes   = 8 << 20
	maxSeconds = 60
)

// Decode reads sound of any format.
func (t Tools) Decode(ctx context.Context, a speech.Audio) (speech.PCM, error) {
	if len(a.Data) > maxBytes {
		return speech.PCM{}, tooLong()
	}
	var p speech.PCM
	var err error
	switch a.Format {
	case speech.Mulaw:
		p = speech.ParseMulaw(a.Data)
	case speech.WAV:
		if p, err = speech.ParseWAV(a.Data); err != nil {
			return p, fault.Wrap(err, fault.Usage, "I cannot read that recording: it is no WAV of 16-bit PCM.")
		}
	case speech.Ogg, speech.WebM, speech.MP4, speech.MP3:
		demuxer := map[speech.Format]string{speech.Ogg: "ogg", speech.WebM: "matroska", speech.MP4: "mov", speech.MP3: "mp3"}[a.Format]
		// Only what stands on standard input is read, as the one format that it is
		// said to be: whatever a recording refers to is not opened.
		out, err := t.run(ctx, t.FFmpeg, []string{
			"-hide_banner", "-loglevel", "error", "-nostdin", "-protocol_whitelist", "pipe,cache", "-f", demuxer, "-i", "cache:pipe:0",
			"-map", "0:a:0", "-vn", "-sn", "-dn", "-t", "61", "-ac", "1", "-ar", "16000", "-f", "s16le", "-c:a", "pcm_s16le", "pipe:1",
		}, a.Data)
		if err != nil {
			if ctx.Err() != nil || t.FFmpeg == "" {
				return p, err
			}
			return p, fault.Wrap(err, fault.Usage, "I cannot read that recording. Please record it again, or type.")
		}
		p = speech.PCM{Rate: speech.EngineRate, Samples: make([]int16, len(out)/2)}
		for i := range p.Samples {
			p.Samples[i] = int16(uint16(out[2*i]) | uint16(out[2*i+1])<<8)
		}
	default:
		return p, fault.New(fault.Usage, "I cannot read recordings of that kind. Send WAV, Ogg, WebM, MP4 or MP3.")
	}
	if p.Seconds() > maxSeconds {
		return p, tooLong()
	}
	return p, nil
}

func tooLong() error {
	return fault.New(fault.Usage, "That recording is too long: at most a minute is listened to.")
}
