package phone

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/speech"
)

// maxSay is how many characters a <Say> takes with the voices of Polly.
const maxSay = 3000

// response is a TwiML document.
type response struct {
	XMLName xml.Name `xml:"Response"`
	Verbs   []any
}

type say struct {
	XMLName  xml.Name `xml:"Say"`
	Voice    string   `xml:"voice,attr,omitempty"`
	Language string   `xml:"language,attr,omitempty"`
	Text     string   `xml:",chardata"`
}

type pause struct {
	XMLName xml.Name `xml:"Pause"`
	Length  int      `xml:"length,attr"`
}

type redirect struct {
	XMLName xml.Name `xml:"Redirect"`
	Method  string   `xml:"method,attr"`
	URL     string   `xml:",chardata"`
}

type hangup struct {
	XMLName xml.Name `xml:"Hangup"`
}

type message struct {
	XMLName xml.Name `xml:"Message"`
	Text    string   `xml:",chardata"`
}

// gather listens. What is said within it can be talked over.
type gather struct {
	XMLName       xml.Name `xml:"Gather"`
	Input         string   `xml:"input,attr"`
	Action        string   `xml:"action,attr"`
	Method        string   `xml:"method,attr"`
	Always        bool     `xml:"actionOnEmptyResult,attr"`
	Timeout       int      `xml:"timeout,attr"`
	SpeechTimeout string   `xml:"speechTimeout,attr,omitempty"`
	Language      string   `xml:"language,attr,omitempty"`
	Hints         string   `xml:"hints,attr,omitempty"`
	Profanity     string   `xml:"profanityFilter,attr,omitempty"`
	BargeIn       bool     `xml:"bargeIn,attr"`
	NumDigits     int      `xml:"numDigits,attr,omitempty"`
	FinishOnKey   string   `xml:"finishOnKey,attr"`
	Verbs         []any
}

// What a gather listens to.
const (
	byVoice  = "speech dtmf"
	byKeypad = "dtmf"
)

// writeTwiML answers with a document.
func writeTwiML(w http.ResponseWriter, verbs ...any) error {
	b, err := xml.Marshal(response{Verbs: verbs})
	if err != nil {
		return fmt.Errorf("phone: encoding the answer: %w", err)
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(append([]byte(xml.Header), b...))
	return err
}

// say is words in our voice.
func (c Config) say(text string) say {
	text, _ = cutAt(strings.Join(strings.Fields(plain(text)), " "), maxSay)
	return say{Voice: c.Voice, Language: c.Language, Text: text}
}

const (
	maxHint      = 100 // characters
	hearFor      = 5   // seconds until silence is an answer
	mailboxFor   = 3   // seconds that somebody has whom the carrier took for a mailbox
	keyFor       = 10  // seconds to find the keypad
	mostDigits   = 12  // of a PIN
	pollFor      = 1   // seconds that are listened between two looks while something runs
	fixedPhrases = "yes, no, more, repeat, goodbye, cancel, undo, scale, roll back, roll out, restart, how is it going, why is it slow"
)

// listen makes a gather for the next turn, and the redirect for carriers that
// do not post an empty result.
func (h *Handler) listen(next leg, hints string, verbs ...any) []any {
	to := h.cfg.public(PathVoice, next.query())
	g := gather{
		Input: byVoice, Action: to, Method: http.MethodPost, Always: true, Timeout: hearFor, SpeechTimeout: "auto",
		Language: h.cfg.Language, Hints: hints, Profanity: "false", BargeIn: true, NumDigits: 1, Verbs: verbs,
	}
	if h.cfg.Provider == Telnyx {
		g.Input, g.SpeechTimeout = "dtmf speech", "1" // as it writes them
	}
	switch {
	case next.expect == expectPIN || next.expect == expectCode:
		// Who keys a PIN is not recorded while doing so, and says nothing aloud.
		g.Input, g.SpeechTimeout, g.Language, g.Hints, g.Profanity = byKeypad, "", "", "", ""
		g.NumDigits, g.FinishOnKey, g.Timeout = 0, "#", keyFor
	case next.mailbox:
		g.Input, g.SpeechTimeout, g.Language, g.Hints, g.Profanity = byKeypad, "", "", "", ""
		g.Timeout = mailboxFor
	case next.menu:
		g.Input, g.SpeechTimeout, g.Language, g.Hints, g.Profanity = byKeypad, "", "", "", ""
		g.Timeout = keyFor
	case next.running:
		g.Timeout = pollFor
	}
	return []any{g, redirect{Method: http.MethodPost, URL: to}}
}

// hints are the words that the carrier's recogniser is told: what is open, what
// is often said, and the names that exist now, as they are spoken.
func hints(open string, names []string, most int) string {
	out := fixedPhrases
	if open == expectConfirm {
		out = "yes, no, " + out
	}
	seen := map[string]bool{}
	n := strings.Count(out, ",") + 1
	for _, name := range names {
		s := strings.Join(strings.Fields(strings.ReplaceAll(speech.Name(plain(name)), ",", " ")), " ")
		if s == "" || len(s) > maxHint || seen[s] {
			continue
		}
		if len(seen) >= most || n >= maxHints {
			break
		}
		seen[s] = true
		n++
		out += ", " + s
	}
	return out
}

// number writes a small number into a URL.
func number(n int) string { return strconv.Itoa(n) }
