package dialogflow

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Limits of what is taken and given; Dialogflow sends 256 characters of text
// at most and takes 64 KiB, and Google's voices speak 5,000 bytes with their markup.
const (
	maxText     = 1000 // characters
	maxSession  = 512  // bytes
	maxResponse = 64 << 10
	maxSpoken   = 5000
)

// minConfidence is how sure the agent has to be of what it recognised.
const minConfidence = 0.5

// responder is what the webhooks need of the dialogue engine.
type responder interface {
	Respond(ctx context.Context, r dialogue.Request) dialogue.Reply
}

// awaiter is also what a webhook needs that is called again.
type awaiter interface {
	responder
	Await(ctx context.Context, r dialogue.Request) (dialogue.Reply, bool)
}

// specs knows the intents; *intents.Catalogue is one.
type specs interface {
	Spec(name string) (intents.Spec, bool)
}

// heard is what a webhook request says, of either edition.
type heard struct {
	session, delivery string
	text              string
	intent            string // the display name of what the agent recognised
	parameters        map[string]any
	confidence        float64 // 0 where the agent does not say
	payload           json.RawMessage
}

// turn makes a turn of it.
func (h heard) turn(catalogue specs, cfg Config) (dialogue.Request, error) {
	speaker := h.session[strings.LastIndex(h.session, "/")+1:]
	if speaker == "" || len(h.session) > maxSession {
		return dialogue.Request{}, fault.New(fault.Usage, "The request names no usable session.")
	}
	if utf8.RuneCountInString(h.text) > maxText {
		return dialogue.Request{}, fault.New(fault.Usage, "The sentence is too long: at most %d characters are taken.", maxText)
	}
	req := dialogue.Request{
		Conversation: "dialogflow:" + h.session,
		Speaker:      access.NewSpeaker("dialogflow", speaker, access.Session),
		Text:         h.text,
		Intent:       h.recognised(catalogue),
		IntentFirst:  cfg.IntentFirst,
		Pull:         true,
		Patience:     cfg.Patience,
	}
	if id := callerID(h.payload); id != "" {
		req.Speaker = access.NewSpeaker("dialogflow", id, access.CallerID)
	}
	if h.delivery != "" {
		req.DeliveryID = "dialogflow:" + h.delivery
	}
	return req, nil
}

// recognised is what Dialogflow's own agent recognised, where it is sure and the
// catalogue has the same intent. Parameters that are no slots of it stay out.
func (h heard) recognised(catalogue specs) *intents.Intent {
	name := intentName.Replace(strings.ToLower(strings.TrimSpace(h.intent)))
	spec, ok := catalogue.Spec(name)
	if !ok || h.confidence > 0 && h.confidence < minConfidence {
		return nil
	}
	slots := intents.Slots{}
	for _, s := range spec.Slots {
		if v, ok := slotValue(h.parameters[s.Name]); ok {
			slots[s.Name] = v
		}
	}
	if t, ok := slots["targets"].(string); ok {
		slots["targets"] = []string{t}
	}
	return &intents.Intent{Name: name, Slots: slots}
}

// intentName makes a catalogue name of a display name: "Roll out" is roll_out.
var intentName = strings.NewReplacer(" ", "_", ".", "_", "-", "_")

// slotValue turns a parameter into what a slot may hold. Dialogflow sends ""
// and [] for what was not said.
func slotValue(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return v, v != ""
	case float64, bool:
		return v, true
	case []any:
		var names []string
		for _, e := range v {
			if s, ok := e.(string); ok && s != "" {
				names = append(names, s)
			}
		}
		return names, len(names) > 0
	}
	return nil, false
}

// telephone is a number as carriers write it.
var telephone = regexp.MustCompile(`^\+?[0-9]{3,15}$`)

// callerID is the number that a telephone gateway says somebody calls from; it
// can be forged. The payload has another shape for every front-end, so nothing in
// it may make the request fail.
func callerID(payload json.RawMessage) string {
	var p struct {
		Telephony lenient[struct {
			CallerID lenient[string] `json:"caller_id"`
		}] `json:"telephony"`
	}
	if json.Unmarshal(payload, &p) != nil {
		return ""
	}
	if id := p.Telephony.v.CallerID.v; telephone.MatchString(id) {
		return id
	}
	return ""
}

// lenient is a value that is not there where it has another type than expected:
// Google says that fields come that are not documented.
type lenient[T any] struct{ v T }

// UnmarshalJSON takes what can be taken.
func (l *lenient[T]) UnmarshalJSON(b []byte) error {
	var v T
	if json.Unmarshal(b, &v) == nil {
		l.v = v
	}
	return nil
}

// said is the answer as it is spoken, harmless.
func said(r dialogue.Reply) string {
	if r.Speech == "" {
		return plain(r.Text)
	}
	return plain(r.Speech)
}

// proposal is the id of what waits or runs, "" where nothing does.
func proposal(r dialogue.Reply) string {
	if r.Proposal == nil {
		return ""
	}
	return r.Proposal.ID
}
