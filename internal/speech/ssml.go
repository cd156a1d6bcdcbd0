package speech

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

// Markup is SSML being written. Nothing gets into it unescaped: there is no way
// to add markup but by its methods. It sticks to what Alexa, Dialogflow and
// Twilio's <Say> all take.
type Markup struct{ b strings.Builder }

// Sentence adds a sentence.
func (m *Markup) Sentence(text string) {
	if text == "" {
		return
	}
	m.b.WriteString("<s>")
	_ = xml.EscapeText(&m.b, []byte(text)) // a Builder takes everything
	m.b.WriteString("</s>")
}

// Pause adds silence, at most the ten seconds that platforms allow.
func (m *Markup) Pause(d time.Duration) {
	fmt.Fprintf(&m.b, `<break time="%dms"/>`, min(max(d, 0), 10*time.Second).Milliseconds())
}

// Inner is the markup without a root, as it stands within Twilio's <Say>.
func (m *Markup) Inner() string { return m.b.String() }

// Document is the markup as a document of its own.
func (m *Markup) Document() string { return "<speak>" + m.b.String() + "</speak>" }
