package alexa

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// What Alexa takes.
const (
	maxSpeech   = 8000 // characters, with the markup
	maxCard     = 8000 // characters, with the title
	maxResponse = 24 << 10
	cardTitle   = "First mate"
)

// response is the JSON of an answer.
type response struct {
	Version           string      `json:"version"`
	SessionAttributes *attributes `json:"sessionAttributes,omitempty"`
	Response          struct {
		OutputSpeech     *outputSpeech `json:"outputSpeech,omitempty"`
		Card             *card         `json:"card,omitempty"`
		Reprompt         *reprompt     `json:"reprompt,omitempty"`
		Directives       []any         `json:"directives,omitempty"`
		ShouldEndSession *bool         `json:"shouldEndSession,omitempty"`
	} `json:"response"`
}

type outputSpeech struct {
	Type string `json:"type"`
	SSML string `json:"ssml"`
}

type card struct {
	Type    string `json:"type"`
	Title   string `json:"title,omitempty"`
	Content string `json:"content,omitempty"`
}

type reprompt struct {
	OutputSpeech outputSpeech `json:"outputSpeech"`
}

// directive asks for a slot: what is said next arrives as it was said, without
// the words that otherwise have to go before free speech.
type directive struct {
	Type          string        `json:"type"`
	SlotToElicit  string        `json:"slotToElicit"`
	UpdatedIntent updatedIntent `json:"updatedIntent"`
}

type updatedIntent struct {
	Name               string                 `json:"name"`
	ConfirmationStatus string                 `json:"confirmationStatus"`
	Slots              map[string]updatedSlot `json:"slots"`
}

type updatedSlot struct {
	Name               string `json:"name"`
	ConfirmationStatus string `json:"confirmationStatus"`
}

// answer is what is said and shown, and whether somebody is listened to then.
type answer struct {
	speech   string
	question string // asked at the end where speech does not ask; "" closes the session
	text     string // for the card; "" for none
	link     bool   // a card that asks for an account
	elicit   bool   // the next words are wanted as they are said
	known    attributes
	names    Names // to be told to Alexa
}

// quiet is the answer to what takes none.
func quiet(end bool) ([]byte, error) {
	var out response
	out.Version = "1.0"
	if end {
		out.Response.ShouldEndSession = &end
	}
	return encode(out)
}

// render is the answer as Alexa takes it, within its limits.
func (a answer) render() ([]byte, error) {
	said, asked := a.speech, ""
	open := a.question != ""
	if open {
		if asked = lastQuestion(said); asked == "" {
			asked = a.question
			said = strings.TrimSpace(said + " " + asked)
		}
	}
	var out response
	out.Version = "1.0"
	end := !open
	out.Response.ShouldEndSession = &end
	if d, ok := entities(a.names); ok {
		out.Response.Directives = append(out.Response.Directives, d)
	}
	if open {
		out.SessionAttributes = &a.known
		out.Response.Reprompt = &reprompt{outputSpeech{"SSML", spoken(asked, maxSpeech/4)}}
		if a.elicit {
			out.Response.Directives = append(out.Response.Directives, directive{
				Type: "Dialog.ElicitSlot", SlotToElicit: anythingSlot,
				UpdatedIntent: updatedIntent{anything, "NONE", map[string]updatedSlot{anythingSlot: {anythingSlot, "NONE"}}},
			})
		}
	}
	if a.link {
		out.Response.Card = &card{Type: "LinkAccount"}
	}
	// Characters count, and bytes as well: the card gives way first, then the speech.
	content, limit := clean(a.text), maxSpeech
	room := maxCard - len(cardTitle)
	for {
		if said != "" {
			out.Response.OutputSpeech = &outputSpeech{"SSML", spoken(said, limit)}
		}
		if content != "" && !a.link {
			out.Response.Card = &card{"Simple", cardTitle, cutText(content, room)}
		}
		b, err := encode(out)
		if err != nil || len(b) <= maxResponse {
			return b, err
		}
		switch {
		case room > 500 && out.Response.Card != nil:
			room /= 2
		case limit > 500:
			limit /= 2
		default:
			return nil, fmt.Errorf("alexa: an answer of %d bytes cannot be cut", len(b))
		}
	}
}

// encode writes an answer. Less-than signs are escaped, whatever looks at it.
func encode(out response) ([]byte, error) {
	b, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("alexa: encoding the answer: %w", err)
	}
	return b, nil
}

// spoken is text as SSML, escaped. What is far too long is cut before it is put
// for the ear, which takes its time for each sentence.
func spoken(text string, limit int) string {
	text = clean(text)
	if utf8.RuneCountInString(text) > limit {
		asked := lastQuestion(text)
		text = string([]rune(text)[:limit])
		if i := strings.LastIndexAny(text, ".!?\n"); i > limit/2 {
			text = text[:i+1]
		}
		if len(asked) < limit/2 {
			text += " " + asked
		}
	}
	return speech.Say(text, speech.Limits{Characters: limit}).SSML
}

// lastQuestion is the question that a text ends with, "" where it ends otherwise.
func lastQuestion(text string) string {
	all := speech.Sentences(text)
	if len(all) == 0 || !strings.HasSuffix(strings.TrimRight(all[len(all)-1], `"”')`), "?") {
		return ""
	}
	return all[len(all)-1]
}

// forTheEye is a reply as a card shows it: the text, and what stands beside it.
func forTheEye(r dialogue.Reply) string {
	if r.Private {
		return "" // a card stays in the app
	}
	var b strings.Builder
	b.WriteString(r.Text)
	for _, block := range r.Blocks {
		if block.Type == "chart" || b.Len() > maxCard {
			continue
		}
		fmt.Fprintf(&b, "\n\n%s", block.Title)
		if len(block.Columns) > 0 {
			b.WriteString("\n" + strings.Join(block.Columns, " · "))
		}
		for _, row := range block.Rows {
			b.WriteString("\n" + strings.Join(row, " · "))
		}
		if block.Text != "" {
			b.WriteString("\n" + block.Text)
		}
	}
	return strings.TrimSpace(b.String())
}

// clean drops what could be a command to whatever shows or speaks a text, and
// what XML may not hold.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\ufffe', r == '\uffff':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// cutText shortens a text to n characters at the end of a line.
func cutText(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	const more = "\n…"
	s = string([]rune(s)[:n-utf8.RuneCountInString(more)])
	if i := strings.LastIndexByte(s, '\n'); i > n/2 {
		s = s[:i]
	}
	return s + more
}
