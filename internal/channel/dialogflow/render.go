package dialogflow

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// contextLifespan is for how many turns the agent remembers our context.
const contextLifespan = 5

// esResponse is a webhook response.
type esResponse struct {
	FulfillmentText     string      `json:"fulfillmentText"`
	FulfillmentMessages []esMessage `json:"fulfillmentMessages"`
	OutputContexts      []esContext `json:"outputContexts"`
	Source              string      `json:"source"`
}

type esMessage struct {
	Text struct {
		Text []string `json:"text"`
	} `json:"text"`
}

// esContext lets the designer of an agent branch on what firstmate waits for.
type esContext struct {
	Name          string         `json:"name"`
	LifespanCount int            `json:"lifespanCount"`
	Parameters    map[string]any `json:"parameters"`
}

// more ends a text that was cut.
const more = " …and more."

// renderES is the reply as Dialogflow ES takes it, cut to its size limit. It has one
// text for the eye and the ear: put for the ear where somebody telephones.
func renderES(session string, r dialogue.Reply, telephone bool) ([]byte, error) {
	out := esResponse{
		OutputContexts: []esContext{{
			Name: session + "/contexts/firstmate", LifespanCount: contextLifespan,
			Parameters: map[string]any{"expect": r.Expect, "proposal": proposal(r)},
		}},
		Source: "firstmate",
	}
	return fitting(said(r), func(said string) any {
		if telephone {
			said = aloud(said).Text
		}
		var m esMessage
		m.Text.Text = []string{said}
		out.FulfillmentText, out.FulfillmentMessages = said, []esMessage{m}
		return out
	})
}

// fitting encodes an answer with as much of what is said as its size allows.
func fitting(said string, answer func(said string) any) ([]byte, error) {
	for whole := said; ; {
		b, err := json.Marshal(answer(said))
		if err != nil {
			return nil, fmt.Errorf("dialogflow: encoding the answer: %w", err)
		}
		if len(b) <= maxResponse || whole == "" {
			return b, nil
		}
		whole = cut(whole, len(whole)/2)
		said = whole + more
	}
}

// aloud is what is said as it is spoken, within what Google's voices take. Of more
// than that the first sentences are spoken, and the question at the end.
func aloud(said string) speech.Spoken {
	for room := maxSpoken - len(more) - len("<s></s>"); ; {
		out := speech.Say(said, speech.Limits{Characters: room})
		if out.Cut && !strings.HasSuffix(out.Text, "?") {
			out = speech.Say(out.Text+more, speech.Limits{})
		}
		if len(out.SSML) <= maxSpoken || room <= 0 {
			return out
		}
		room = room*maxSpoken/len(out.SSML) - 1 // characters of several bytes
	}
}

// cut shortens s to n bytes or less, at the end of a sentence if there is one.
func cut(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	s = s[:n]
	if i := strings.LastIndexAny(s, ".!?\n"); i > 0 {
		return s[:i+1]
	}
	return s
}

// plain makes text harmless for what may speak or show it: no control
// characters, no change of direction, and nothing that starts SSML.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.ReplaceAll(s, "<speak", "< speak")
}
