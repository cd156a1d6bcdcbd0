// Package speech is what is heard and said aloud: how words are put for the
// ear, and the two small interfaces that engines stand behind, with the chain
// that falls back from one engine to the next. It knows no engine, no channel
// and no conversation.
package speech

import "context"

// Format is how sound is encoded. These are the formats that telephones,
// browsers and chats send and take.
type Format string

// The formats. Engines take what they can and say so of what they cannot.
const (
	WAV   Format = "wav"   // 16 kHz, mono, 16-bit PCM in a RIFF header; other rates are understood when they come in
	Mulaw Format = "mulaw" // 8 kHz, mono, G.711 µ-law without a header: a telephone's
	Ogg   Format = "ogg"   // Opus in Ogg: a chat's voice message
	WebM  Format = "webm"  // Opus in WebM: what Chromium and Firefox record
	MP4   Format = "mp4"   // AAC or Opus in MP4: what Safari records
	MP3   Format = "mp3"
)

// Audio is a piece of sound.
type Audio struct {
	Format Format
	Data   []byte
}

// Hints are what a recogniser may know of what is going to be said.
type Hints struct {
	// Names are those that exist now and may be said, the likeliest first:
	// those of the namespace, and those spoken of last.
	Names []string
	// Places are the namespaces that may be said, the likeliest first.
	Places []string
	// Nodes and Alerts are those that may be said: nodes of the cluster, and what
	// fires.
	Nodes, Alerts []string
	// Question says that an answer is waited for, so that "yes", a number or a
	// name alone is likely.
	Question bool
	// Language is a BCP 47 tag, as "en-GB"; "" is English.
	Language string
}

// Heard is what an engine made of a piece of sound.
type Heard struct {
	Text string
	// Confidence is from 0 to 1. What is below Sure is asked again, and never
	// acted on.
	Confidence float64
	Engine     string // the engine that heard it
	// Alternatives are other readings, the likeliest first, without Text.
	Alternatives []string
}

// Sure is the confidence from which what was heard may be acted on.
const Sure = 0.6

// Sure reports whether what was heard may be acted on: anything else is asked
// again ("did you say …?").
func (h Heard) Sure() bool { return h.Text != "" && h.Confidence >= Sure }

// Recognizer turns sound into words. Sound without words is Heard{} with no error.
type Recognizer interface {
	Recognize(ctx context.Context, a Audio, h Hints) (Heard, error)
}

// Synthesizer turns words into sound.
type Synthesizer interface {
	Synthesize(ctx context.Context, text string, f Format) (Audio, error)
}

// Limits are what may be said at once.
type Limits struct {
	// Sentences is how many may be said, a question at the end apart, which is
	// never left out; 0 is all of them.
	Sentences int
	// Characters is how long Spoken.SSML and Spoken.Text may be; 0 is any length.
	Characters int
}

// Spoken is a reply as it is said aloud.
type Spoken struct {
	Text string // plain words
	SSML string // the same as a <speak> document, escaped
	Cut  bool   // something was left out
	Rest string // what was left out, for whoever says "more"; not yet put for the ear
}
