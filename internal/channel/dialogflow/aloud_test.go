package dialogflow_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// TestHeardAnswerOfES asks through Dialogflow ES, which has one text for the eye and
// the ear: it is put for the ear where somebody telephones, and only there.
func TestHeardAnswerOfES(t *testing.T) {
	const written, heard = "Roll out v2.10.1 of payments-api?", "Roll out version two ten one of payments A P I?"
	for name, tt := range map[string]struct{ original, want string }{
		"a chat":            {`{"source":"slack","payload":{"data":{}}}`, written},
		"nothing said":      {`{}`, written},
		"no telephone":      {`{"payload":{"telephony":null}}`, written},
		"something else":    {`{"source":["x"],"payload":{"telephony":"x"}}`, written},
		"a telephone":       {`{"source":"GOOGLE_TELEPHONY"}`, heard},
		"a number":          {`{"payload":{"telephony":{"caller_id":"+15550100"}}}`, heard},
		"a withheld number": {`{"payload":{"telephony":{"caller_id":"REDACTED"}}}`, heard},
	} {
		body := strings.TrimSuffix(query("r1", "x"), "}") + `,"originalDetectIntentRequest":` + tt.original + "}"
		_, w := post(t, channeltest.NewEngine(func(dialogue.Request) dialogue.Reply { return dialogue.Reply{Speech: written} }), body)
		var a esAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || a.FulfillmentText != tt.want || a.FulfillmentMessages[0].Text.Text[0] != tt.want {
			t.Errorf("%s: %q, %v", name, a.FulfillmentText, err)
		}
	}
}

// TestSpokenAnswerFits gives answers that are longer than Google's voices speak at
// once, 5,000 bytes: they end at a sentence, and say that there is more or what is
// asked. What is read is whole.
func TestSpokenAnswerFits(t *testing.T) {
	pods := strings.Repeat("A pod of web is not ready. ", 500)
	for name, tt := range map[string]struct{ speech, ends string }{
		"short":        {"Web is up.", "<s>Web is up.</s></speak>"},
		"sentences":    {pods, "ready.</s><s>…and more.</s></speak>"},
		"a question":   {pods + "Shall I restart web?", "ready.</s><s>Shall I restart web?</s></speak>"},
		"many bytes":   {strings.Repeat("Ж ы э. ", 2000), "more.</s></speak>"},
		"all bytes":    {strings.Repeat("\U00020000 ", 8000), "more.</s></speak>"},
		"no sentences": {strings.Repeat("web & co ", 1500), "more.</s></speak>"},
	} {
		e := channeltest.NewEngine(func(dialogue.Request) dialogue.Reply { return dialogue.Reply{Speech: tt.speech} })
		_, w := cxPost(t, credentials, e, cxQuery("r", "list pods"))
		var a cxAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		m := a.FulfillmentResponse.Messages
		ssml := m[1].OutputAudioText.SSML
		if long := len(tt.speech) > 5000; len(ssml) > 5000 || long && len(ssml) < 4000 || !strings.HasSuffix(ssml, tt.ends) {
			t.Errorf("%s: %d bytes end in %q", name, len(ssml), ssml[max(0, len(ssml)-60):])
		}
		if m[0].Text.Text[0] != tt.speech {
			t.Errorf("%s: what is read is cut", name)
		}
	}
}
