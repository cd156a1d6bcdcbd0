// Package dialogflow is the webhooks of Google Dialogflow, ES and CX: phone
// gateways, messengers and other front-ends that Dialogflow speaks for.
//
// A session id is chosen by whoever calls Dialogflow, and a caller's number can
// be forged: neither proves anybody's identity. What such a speaker may change is
// decided by the access rules.
package dialogflow

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// PathES is where Dialogflow ES posts to.
const PathES = "/webhooks/dialogflow/es"

// WaitEvent begins the names of the events by which Dialogflow ES calls again,
// which end with how often it did: FIRSTMATE_WAIT_1.
const WaitEvent = "FIRSTMATE_WAIT_"

// ESHandler answers Dialogflow ES.
type ESHandler struct {
	engine awaiter
	specs  specs
	cfg    Config
	verify []webhook.Verifier
	stack  *webhook.Stack
}

// NewES returns the ES webhook. It refuses a configuration that lets anybody call.
func NewES(cfg Config, engine awaiter, catalogue specs, log *slog.Logger) (*ESHandler, error) {
	stack, verify, err := cfg.prepare(log)
	if err != nil {
		return nil, err
	}
	return &ESHandler{engine: engine, specs: catalogue, cfg: cfg, verify: verify, stack: stack}, nil
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
	in, err := decodeES(body)
	if err != nil {
		return err
	}
	req, err := in.heard().turn(h.specs, h.cfg)
	if err != nil {
		return err
	}
	reply, next := h.answer(r, req, in.waited())
	var answer []byte
	if next > 0 {
		answer, err = json.Marshal(followUp(next, in.QueryResult.LanguageCode.v, proposal(reply)))
	} else {
		answer, err = renderES(in.Session, reply, in.telephone())
	}
	if err != nil {
		return err
	}
	return write(w, answer)
}

// answer takes a turn, or goes on waiting for what one began: waited is how
// often Dialogflow called again already, and next is not 0 where it shall once
// more. What is said with that would not be heard.
func (h *ESHandler) answer(r *http.Request, req dialogue.Request, waited int) (reply dialogue.Reply, next int) {
	if waited == 0 {
		reply = h.engine.Respond(r.Context(), req)
		if h.cfg.FollowUps > 0 && running(reply) {
			return reply, 1
		}
		return reply, 0
	}
	if reply, ok := h.engine.Await(r.Context(), req); ok {
		return reply, 0
	}
	if waited < h.cfg.FollowUps {
		return dialogue.Reply{}, waited + 1
	}
	// Still working: how far it is says more than that.
	req.Text, req.Intent, req.Patience = "how is it going?", nil, 0
	return h.engine.Respond(r.Context(), req), 0
}

// running reports whether the turn began something that goes on.
func running(r dialogue.Reply) bool {
	return r.Outcome == dialogue.OutcomePending && r.Proposal != nil && (r.Expect == dialogue.ExpectNone || r.Expect == "")
}

func write(w http.ResponseWriter, answer []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err := w.Write(answer)
	return err
}

// esRequest is what we use of a webhook request.
type esRequest struct {
	ResponseID  string `json:"responseId"`
	Session     string `json:"session"`
	QueryResult struct {
		QueryText    string                  `json:"queryText"`
		Action       lenient[string]         `json:"action"`
		Parameters   lenient[map[string]any] `json:"parameters"`
		LanguageCode lenient[string]         `json:"languageCode"`
		Confidence   lenient[float64]        `json:"intentDetectionConfidence"`
		Intent       lenient[struct {
			DisplayName lenient[string] `json:"displayName"`
		}] `json:"intent"`
	} `json:"queryResult"`
	Original lenient[struct {
		Source  lenient[string] `json:"source"`
		Payload json.RawMessage `json:"payload"`
	}] `json:"originalDetectIntentRequest"`
}

func decodeES(body []byte) (esRequest, error) {
	var in esRequest
	err := json.Unmarshal(body, &in)
	return in, fault.Wrap(err, fault.Usage, "The request is not the JSON that Dialogflow ES sends.")
}

// heard is what the request says.
func (in *esRequest) heard() heard {
	return heard{
		session: in.Session, delivery: in.ResponseID, text: in.text(), payload: in.Original.v.Payload,
		intent: in.intent(), parameters: in.QueryResult.Parameters.v, confidence: in.QueryResult.Confidence.v,
	}
}

func (in *esRequest) intent() string { return in.QueryResult.Intent.v.DisplayName.v }

// telephone reports whether the answer is heard: it came through a telephone
// gateway, which says so also where the number is withheld.
func (in *esRequest) telephone() bool {
	var p struct {
		Telephony map[string]any `json:"telephony"`
	}
	return in.Original.v.Source.v == "GOOGLE_TELEPHONY" || json.Unmarshal(in.Original.v.Payload, &p) == nil && p.Telephony != nil
}

// waited is how often Dialogflow called again for one sentence.
func (in *esRequest) waited() int {
	n, ok := strings.CutPrefix(in.QueryResult.QueryText, WaitEvent)
	if i, err := strconv.Atoi(n); ok && err == nil && i > 0 && i <= MaxFollowUps {
		return i
	}
	return 0
}

// text is what the person said. The query text of an event is the event's
// name; what was said then stands in the payload of the front-end, if at all.
func (in *esRequest) text() string {
	q := in.QueryResult
	welcome := q.QueryText == "WELCOME" || strings.HasSuffix(q.QueryText, "_WELCOME") ||
		q.QueryText == "" && (in.intent() == "Default Welcome Intent" || q.Action.v == "input.welcome")
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
	if json.Unmarshal(in.Original.v.Payload, &payload) != nil {
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

// followUp makes Dialogflow ES call again at once, which gives us another five
// seconds. It drops all else that an answer holds.
func followUp(n int, language, proposal string) any {
	type event struct {
		Name         string         `json:"name"`
		LanguageCode string         `json:"languageCode"`
		Parameters   map[string]any `json:"parameters"`
	}
	if language == "" {
		language = "en"
	}
	return struct {
		FollowupEventInput event `json:"followupEventInput"`
	}{event{fmt.Sprint(WaitEvent, n), language, map[string]any{"proposal": proposal}}}
}
