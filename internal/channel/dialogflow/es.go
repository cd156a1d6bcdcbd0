// Package dialogflow is the webhook of Google Dialogflow: phone gateways,
// messengers and other front-ends that Dialogflow speaks for.
//
// A session id is chosen by whoever calls Dialogflow and proves nobody's
// identity; what such a speaker may change is decided by the access rules.
package dialogflow

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// PathES is where Dialogflow ES posts to.
const PathES = "/webhooks/dialogflow/es"

// DefaultPatience is how long an answer may wait for an outcome. Dialogflow ES
// gives up after 5 seconds; the rest is for the network.
const DefaultPatience = 3500 * time.Millisecond

// Limits of what is taken and given; Dialogflow sends 256 characters of text
// at most and takes 64 KiB.
const (
	maxText     = 1000 // characters
	maxSession  = 512  // bytes
	maxResponse = 64 << 10
)

// ES is the configuration of the ES webhook: what Dialogflow authenticates
// with. Basic and header may be used together; then both must match.
type ES struct {
	Username, Password      string
	HeaderName, HeaderValue string
}

// verifiers returns the checks that the configuration asks for.
func (c ES) verifiers() ([]webhook.Verifier, error) {
	basic, header := c.Username != "" || c.Password != "", c.HeaderName != "" || c.HeaderValue != ""
	switch {
	case !basic && !header:
		return nil, fault.New(fault.Usage, "Dialogflow needs a user name and password, or a header name and value, to know who calls.")
	case basic && (c.Username == "" || c.Password == ""):
		return nil, fault.New(fault.Usage, "Dialogflow needs both the user name and the password; one of them is empty.")
	case header && (c.HeaderName == "" || c.HeaderValue == ""):
		return nil, fault.New(fault.Usage, "Dialogflow needs both the name and the value of the header; one of them is empty.")
	case basic && header && strings.EqualFold(c.HeaderName, "Authorization"):
		return nil, fault.New(fault.Usage, "Dialogflow cannot send a password and an Authorization header together; choose one, or another header.")
	}
	var v []webhook.Verifier
	if basic {
		v = append(v, webhook.Basic(c.Username, c.Password))
	}
	if header {
		v = append(v, webhook.Header(c.HeaderName, c.HeaderValue))
	}
	return v, nil
}

// responder is what the webhook needs of the dialogue engine.
type responder interface {
	Respond(ctx context.Context, r dialogue.Request) dialogue.Reply
}

// specs knows the intents; *intents.Catalogue is one.
type specs interface {
	Spec(name string) (intents.Spec, bool)
}

// ESHandler answers Dialogflow ES.
type ESHandler struct {
	engine   responder
	specs    specs
	patience time.Duration
	verify   []webhook.Verifier
	stack    *webhook.Stack
}

// NewES returns the ES webhook. It refuses a configuration that lets anybody
// call. patience is how long an answer may wait for the outcome of what it
// starts; see DefaultPatience.
func NewES(cfg ES, engine responder, catalogue specs, patience time.Duration, log *slog.Logger) (*ESHandler, error) {
	verify, err := cfg.verifiers()
	if err != nil {
		return nil, err
	}
	return &ESHandler{
		engine: engine, specs: catalogue, patience: patience, verify: verify,
		stack: webhook.New(log, webhook.Deadline(patience+time.Second)),
	}, nil
}

// Routes registers the webhook.
func (h *ESHandler) Routes(mux *http.ServeMux) {
	mux.Handle("POST "+PathES, h.stack.Handle(h.serve, h.verify...))
}

func (h *ESHandler) serve(w http.ResponseWriter, r *http.Request) error {
	body, err := webhook.ReadBody(r)
	if err != nil {
		return err
	}
	req, session, err := decode(body, h.specs)
	if err != nil {
		return err
	}
	req.Patience = h.patience
	answer, err := render(session, h.engine.Respond(r.Context(), req))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err = w.Write(answer)
	return err
}

// esRequest is what we use of a webhook request. Google says that fields that
// are not documented occur.
type esRequest struct {
	ResponseID  string `json:"responseId"`
	Session     string `json:"session"`
	QueryResult struct {
		QueryText  string         `json:"queryText"`
		Action     string         `json:"action"`
		Parameters map[string]any `json:"parameters"`
		Intent     struct {
			DisplayName string `json:"displayName"`
		} `json:"intent"`
	} `json:"queryResult"`
	// The payload has another shape for every front-end, so nothing in it may
	// make the request fail.
	Original struct {
		Payload json.RawMessage `json:"payload"`
	} `json:"originalDetectIntentRequest"`
}

// decode makes a turn of a webhook request, and names its session.
func decode(body []byte, catalogue specs) (dialogue.Request, string, error) {
	var in esRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return dialogue.Request{}, "", fault.Wrap(err, fault.Usage, "The request is not the JSON that Dialogflow ES sends.")
	}
	speaker := in.Session[strings.LastIndex(in.Session, "/")+1:]
	if speaker == "" || len(in.Session) > maxSession {
		return dialogue.Request{}, "", fault.New(fault.Usage, "The request names no usable session.")
	}
	req := dialogue.Request{
		Conversation: "dialogflow:" + in.Session,
		Speaker:      access.NewSpeaker("dialogflow", speaker, access.Session),
		Text:         in.text(),
		Intent:       in.intent(catalogue),
		Pull:         true,
	}
	if in.ResponseID != "" {
		req.DeliveryID = "dialogflow:" + in.ResponseID
	}
	if utf8.RuneCountInString(req.Text) > maxText {
		return dialogue.Request{}, "", fault.New(fault.Usage, "The sentence is too long: at most %d characters are taken.", maxText)
	}
	return req, in.Session, nil
}

// text is what the person said. The query text of an event is the event's
// name; what was said then stands in the payload of the front-end, if at all.
func (in *esRequest) text() string {
	q := in.QueryResult
	welcome := q.QueryText == "WELCOME" || strings.HasSuffix(q.QueryText, "_WELCOME") ||
		q.QueryText == "" && (q.Intent.DisplayName == "Default Welcome Intent" || q.Action == "input.welcome")
	switch {
	case welcome:
		return "hello"
	case strings.HasPrefix(q.QueryText, "actions_intent_"):
		if said := in.rawQuery(); said != "" {
			return said
		}
	}
	return q.QueryText
}

// rawQuery is what the person said or tapped, as Google's front-ends tell it.
func (in *esRequest) rawQuery() string {
	var payload struct {
		Inputs []struct {
			RawInputs []struct {
				Query string `json:"query"`
			} `json:"rawInputs"`
		} `json:"inputs"`
	}
	if json.Unmarshal(in.Original.Payload, &payload) != nil {
		return ""
	}
	for _, i := range payload.Inputs {
		for _, r := range i.RawInputs {
			if r.Query != "" {
				return r.Query
			}
		}
	}
	return ""
}

// intentName makes a catalogue name of a display name: "Roll out" is roll_out.
var intentName = strings.NewReplacer(" ", "_", ".", "_", "-", "_")

// intent is what Dialogflow's own agent recognised, where the catalogue has
// the same intent. Parameters that are no slots of it stay out.
func (in *esRequest) intent(catalogue specs) *intents.Intent {
	name := intentName.Replace(strings.ToLower(strings.TrimSpace(in.QueryResult.Intent.DisplayName)))
	spec, ok := catalogue.Spec(name)
	if !ok {
		return nil
	}
	slots := intents.Slots{}
	for _, s := range spec.Slots {
		if v, ok := slotValue(in.QueryResult.Parameters[s.Name]); ok {
			slots[s.Name] = v
		}
	}
	if t, ok := slots["targets"].(string); ok {
		slots["targets"] = []string{t}
	}
	return &intents.Intent{Name: name, Slots: slots}
}

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
