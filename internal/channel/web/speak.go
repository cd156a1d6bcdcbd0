package web

import (
	"cmp"
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

const (
	speechPath = "/api/v1/speech"
	// maxSpoken is how much is said aloud at once, in characters.
	maxSpoken = 1500
	// saidKept is how many answers are remembered as said.
	saidKept = 4096
	// voices is how many speak at a time; each takes a good part of a core.
	voices = 2
	// spokenEvery and spokenAtOnce are how much one person may have said aloud.
	spokenEvery  = time.Second
	spokenAtOnce = 10
	// speakersKept bounds of how many people that is counted.
	speakersKept = 1000
)

// Speak lets answers be said aloud.
func (s *Server) Speak(voice speech.Synthesizer) { s.voice = voice }

// said remembers what firstmate said to whom by this process, so that nobody uses its
// voice for what it did not say, nor learns by it what others were told.
type said struct {
	speaking chan struct{} // those in flight

	mu     sync.Mutex
	known  map[[sha256.Size]byte]bool
	order  [][sha256.Size]byte // of known, oldest first, once around
	next   int
	limits map[string]*rate.Limiter // by speaker
}

func newSaid() *said {
	return &said{
		known: map[[sha256.Size]byte]bool{}, order: make([][sha256.Size]byte, saidKept), limits: map[string]*rate.Limiter{},
		speaking: make(chan struct{}, voices),
	}
}

// saidTo is under what it is remembered that something was said to a speaker.
func saidTo(speaker, text string) [sha256.Size]byte {
	return sha256.Sum256([]byte(speaker + "\x00" + text))
}

// add notes that something was said to a speaker.
func (s *said) add(speaker, text string) {
	if text == "" {
		return
	}
	sum := saidTo(speaker, text)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[sum] {
		return
	}
	delete(s.known, s.order[s.next])
	s.known[sum], s.order[s.next] = true, sum
	s.next = (s.next + 1) % saidKept
}

func (s *said) has(speaker, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[saidTo(speaker, text)]
}

// allow counts what somebody has said aloud.
func (s *said) allow(speaker string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limits[speaker]
	if l == nil {
		if len(s.limits) >= speakersKept {
			clear(s.limits)
		}
		l = rate.NewLimiter(rate.Every(spokenEvery), spokenAtOnce)
		s.limits[speaker] = l
	}
	return l.Allow()
}

// speechRequest is the body of what is to be said. With a conversation, what was
// said in it by another process, or before this one was started, is known too.
type speechRequest struct {
	Text         string `json:"text"`
	Conversation string `json:"conversation"`
}

// speak says aloud what firstmate answered or told, as WAV, which all browsers play.
func (s *Server) speak(w http.ResponseWriter, r *http.Request, c caller) error {
	if s.voice == nil {
		return fault.New(fault.NotFound, "I have no voice here; “bot doctor” says what is missing.")
	}
	if err := checkContentType(r.Header.Get("Content-Type")); err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, webhook.DefaultMaxBody)
	var in speechRequest
	if err := webhook.ReadJSON(r, &in); err != nil {
		return err
	}
	switch n := utf8.RuneCountInString(in.Text); {
	case n == 0:
		return fault.New(fault.Usage, "There is no text in the request.")
	case n > maxSpoken:
		return fault.New(fault.Usage, "That is too long to be said aloud: at most %d characters are.", maxSpoken)
	}
	mine, err := s.wasSaid(r.Context(), c, in)
	switch {
	case err != nil:
		return err
	case !mine:
		return fault.New(fault.Refused, "I say aloud only what I said in a conversation: the speech of an answer, as it is.")
	case !s.said.allow(c.speaker.Key()):
		return webhook.WithStatus(http.StatusTooManyRequests, fault.New(fault.Unavailable, "That is more than I can say at once. Try again in a moment."))
	}
	select {
	case s.said.speaking <- struct{}{}:
		defer func() { <-s.said.speaking }()
	case <-r.Context().Done():
		return fault.New(fault.Unavailable, "Too much is to be said at once. Try again in a moment.")
	}
	a, err := s.voice.Synthesize(r.Context(), in.Text, speech.WAV)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", cmp.Or(map[speech.Format]string{speech.Ogg: "audio/ogg", speech.MP3: "audio/mpeg"}[a.Format], "audio/wav"))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, err = w.Write(a.Data)
	return err
}

// wasSaid reports whether a text is what firstmate said, to this person where they
// name the conversation.
func (s *Server) wasSaid(ctx context.Context, c caller, in speechRequest) (bool, error) {
	if s.said.has(c.speaker.Key(), in.Text) {
		return true, nil
	}
	if in.Conversation == "" || s.parts.History == nil {
		return false, nil
	}
	if err := s.mayEnter(ctx, c, in.Conversation); err != nil {
		return false, err
	}
	turns, _, err := s.parts.History.Turns(ctx, in.Conversation)
	for _, t := range turns {
		if t.Reply.Speech == in.Text {
			return true, nil
		}
	}
	return false, err
}
