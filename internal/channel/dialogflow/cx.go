package dialogflow

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// PathCX is where Dialogflow CX posts to.
const PathCX = "/webhooks/dialogflow/cx"

// The session parameters that tell the designer of an agent what firstmate
// waits for, and about which change; null where there is nothing.
const (
	paramExpect   = "firstmate_expect"
	paramProposal = "firstmate_proposal"
	paramOutcome  = "firstmate_outcome"
)

// CXHandler answers Dialogflow CX.
type CXHandler struct {
	engine responder
	specs  specs
	cfg    Config
	verify []webhook.Verifier
	stack  *webhook.Stack
}

// NewCX returns the CX webhook. It refuses a configuration that lets anybody call.
func NewCX(cfg Config, engine responder, catalogue specs, log *slog.Logger) (*CXHandler, error) {
	stack, verify, err := cfg.prepare(log)
	if err != nil {
		return nil, err
	}
	return &CXHandler{engine: engine, specs: catalogue, cfg: cfg, verify: verify, stack: stack}, nil
}

// Routes registers the webhook.
func (h *CXHandler) Routes(mux *http.ServeMux) {
	mux.Handle("POST "+PathCX, h.stack.Handle(h.serve, h.verify...))
}

func (h *CXHandler) serve(w http.ResponseWriter, r *http.Request) error {
	body, err := webhook.ReadBody(r)
	if err != nil {
		return err
	}
	in, err := decodeCX(body)
	if err != nil {
		return err
	}
	req, err := in.heard().turn(h.specs, h.cfg)
	if err != nil {
		return err
	}
	answer, err := renderCX(h.engine.Respond(r.Context(), req))
	if err != nil {
		return err
	}
	return write(w, answer)
}

// cxRequest is what we use of a webhook request. One of the first five says
// what happened.
type cxRequest struct {
	Text          lenient[string] `json:"text"`
	Transcript    lenient[string] `json:"transcript"`
	TriggerIntent lenient[string] `json:"triggerIntent"`
	TriggerEvent  lenient[string] `json:"triggerEvent"`
	DTMFDigits    lenient[string] `json:"dtmfDigits"`

	ResponseID string `json:"detectIntentResponseId"`
	IntentInfo lenient[struct {
		DisplayName lenient[string]                 `json:"displayName"`
		Confidence  lenient[float64]                `json:"confidence"`
		Parameters  lenient[map[string]cxParameter] `json:"parameters"`
	}] `json:"intentInfo"`
	SessionInfo struct {
		Session string `json:"session"`
	} `json:"sessionInfo"`
	Payload json.RawMessage `json:"payload"`
}

type cxParameter struct {
	ResolvedValue any `json:"resolvedValue"`
}

func decodeCX(body []byte) (cxRequest, error) {
	var in cxRequest
	err := json.Unmarshal(body, &in)
	return in, fault.Wrap(err, fault.Usage, "The request is not the JSON that Dialogflow CX sends.")
}

// heard is what the request says.
func (in *cxRequest) heard() heard {
	info := in.IntentInfo.v
	parameters := map[string]any{}
	for name, p := range info.Parameters.v {
		parameters[name] = p.ResolvedValue
	}
	return heard{
		session: in.SessionInfo.Session, delivery: in.ResponseID, text: in.text(), payload: in.Payload,
		intent: info.DisplayName.v, parameters: parameters, confidence: info.Confidence.v,
	}
}

// text is what the person said or keyed. An event was not said by anybody: the
// first greets, and who says nothing is told once more what was asked.
func (in *cxRequest) text() string {
	event, keys := strings.ToLower(in.TriggerEvent.v), strings.Trim(in.DTMFDigits.v, "*# ")
	switch {
	case in.Text.v != "":
		return in.Text.v
	case in.Transcript.v != "":
		return in.Transcript.v
	case keys != "":
		return keys
	case event == "welcome" || strings.HasSuffix(event, "_welcome") || event == "" && in.IntentInfo.v.DisplayName.v == "Default Welcome Intent":
		return "hello"
	case strings.HasPrefix(event, "sys.no-input"):
		return "what did you say?"
	}
	return ""
}

// cxResponse is a webhook response.
type cxResponse struct {
	FulfillmentResponse struct {
		Messages      []cxMessage `json:"messages"`
		MergeBehavior string      `json:"mergeBehavior"`
	} `json:"fulfillmentResponse"`
	SessionInfo struct {
		Parameters map[string]any `json:"parameters"`
	} `json:"sessionInfo"`
	Payload map[string]any `json:"payload"`
}

// cxMessage is one of its messages: text for the eye, or speech for the ear.
type cxMessage struct {
	Text            *cxText  `json:"text,omitempty"`
	OutputAudioText *cxAudio `json:"outputAudioText,omitempty"`
}

type cxText struct {
	Text []string `json:"text"`
}

type cxAudio struct {
	SSML string `json:"ssml"`
}

// renderCX is the reply as Dialogflow CX takes it, cut to its size limit.
func renderCX(r dialogue.Reply) ([]byte, error) {
	var out cxResponse
	out.FulfillmentResponse.MergeBehavior = "REPLACE" // what the agent would say itself is not said
	out.SessionInfo.Parameters = map[string]any{
		paramExpect: orNull(r.Expect, dialogue.ExpectNone), paramProposal: orNull(proposal(r), ""), paramOutcome: orNull(string(r.Outcome), string(dialogue.OutcomeNone)),
	}
	out.Payload = map[string]any{"firstmate": map[string]any{
		"expect": r.Expect, "choices": r.Choices, "proposal": proposal(r), "outcome": r.Outcome, "fault": r.Fault,
	}}
	return fitting(said(r), func(said string) any {
		out.FulfillmentResponse.Messages = []cxMessage{{Text: &cxText{[]string{said}}}, {OutputAudioText: &cxAudio{aloud(said).SSML}}}
		return out
	})
}

// orNull is a session parameter, null where it says nothing: that removes it.
func orNull(v, nothing string) any {
	if v == "" || v == nothing {
		return nil
	}
	return v
}
