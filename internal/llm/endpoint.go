package llm

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	client "github.com/sashabaranov/go-openai"
	"github.com/sony/gobreaker/v2"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Config is where the endpoint is, and what it may take.
type Config struct {
	URL     string // of the API, with its version: https://api.openai.com/v1
	Key     string
	Model   string
	Timeout time.Duration // of one answer
	Answer  int           // tokens of one answer
	Budget  Budget
}

// Uses of the model, and what came of asking; for whoever counts.
const (
	UseSentence = "sentence"
	UseWording  = "wording"

	ResultUnderstood = "understood" // and taken
	ResultNothing    = "nothing"    // the model says that it does not know
	ResultRefused    = "refused"    // by us: what it said is none of what may be said
	ResultFailed     = "failed"     // no answer in time, or none that can be read
	ResultSpent      = "spent"      // not asked: the budget has no more
	ResultWithheld   = "withheld"   // not asked: the text looks like a secret, or there is no time
)

// Count is told of each question what came of it, with its tokens.
type Count func(use, result string, tokens int)

// Endpoint is a model behind an API, with a budget and a circuit. It is safe for
// concurrent use.
type Endpoint struct {
	c       *client.Client
	cfg     Config
	ledger  *ledger
	circuit *gobreaker.CircuitBreaker[client.ChatCompletionResponse]
	count   Count
	plain   atomic.Bool // it knows no json_schema
}

const (
	maxBody   = 64 << 10 // of an answer, with everything around it
	maxSaid   = 8 << 10  // of what the model says
	trips     = 3        // failures in a row, after which it is not asked
	open      = 30 * time.Second
	reserve   = time.Second            // of a channel's time, to answer with
	leastTime = 200 * time.Millisecond // less is not worth asking
)

// New returns an endpoint. h is the client that requests go through, without its way
// with redirects: a question goes where it was configured to go, and nowhere else.
// count may be nil.
func New(cfg Config, h *http.Client, now func() time.Time, count Count, log *slog.Logger) *Endpoint {
	cc := client.DefaultConfig(cfg.Key)
	cc.BaseURL = strings.TrimSuffix(cfg.URL, "/")
	own := *h
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cc.HTTPClient = bounded{&own}
	if count == nil {
		count = func(string, string, int) {}
	}
	return &Endpoint{
		c: client.NewClientWithConfig(cc), cfg: cfg, count: count, ledger: &ledger{budget: cfg.Budget, now: now},
		circuit: gobreaker.NewCircuitBreaker[client.ChatCompletionResponse](gobreaker.Settings{
			Name: "llm", MaxRequests: 1, Timeout: open,
			ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= trips },
			// Who hangs up says nothing about the endpoint.
			IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
			OnStateChange: func(name string, from, to gobreaker.State) {
				log.Warn("circuit of the language model", "backend", name, "from", from.String(), "to", to.String())
			},
		}),
	}
}

// bounded takes no more of an answer than it may have.
type bounded struct{ h *http.Client }

// Do sends a request.
func (b bounded) Do(r *http.Request) (*http.Response, error) {
	res, err := b.h.Do(r) //nolint:bodyclose // who asked closes it
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxBody), res.Body}
	}
	return res, err
}

// Why a question came to nothing.
var (
	errSpent = errors.New("llm: the budget of tokens is spent")
	errLate  = errors.New("llm: there is no time to ask")
)

// question is what a model is asked once.
type question struct {
	who    string // whose budget it is
	system string // what it is to do: ours, word for word the same each time
	data   string // fenced
	name   string // of the schema
	schema json.RawMessage
}

// ask asks, and returns what the model said, with the tokens that it took.
func (e *Endpoint) ask(ctx context.Context, q question) (said string, tokens int, err error) {
	ctx, cancel, ok := e.inTime(ctx)
	if !ok {
		return "", 0, errLate
	}
	defer cancel()
	most := estimate(q.system) + estimate(q.data) + estimate(string(q.schema)) + e.cfg.Answer
	give, ok := e.ledger.reserve(q.who, most)
	if !ok {
		return "", 0, errSpent
	}
	res, err := e.circuit.Execute(func() (client.ChatCompletionResponse, error) { return e.send(ctx, q) })
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		give(0)
		return "", 0, err
	case err != nil:
		tokens = most - e.cfg.Answer // it may well have been read
	default:
		// An endpoint that does not count, or counts too little, is counted by us.
		tokens = max(res.Usage.TotalTokens, 0)
		if len(res.Choices) > 0 {
			tokens = max(tokens, estimate(q.data)+estimate(res.Choices[0].Message.Content))
		}
	}
	give(tokens)
	if err != nil {
		return "", tokens, told(err)
	}
	said, err = content(res)
	return said, tokens, err
}

// inTime is a context that ends when an answer is of no use any more.
func (e *Endpoint) inTime(ctx context.Context) (context.Context, context.CancelFunc, bool) {
	limit := e.cfg.Timeout
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)-reserve)
	}
	if limit < leastTime {
		return nil, nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	return ctx, cancel, true
}

// send sends a question, by schema where the endpoint knows that.
func (e *Endpoint) send(ctx context.Context, q question) (client.ChatCompletionResponse, error) {
	if e.plain.Load() {
		return e.c.CreateChatCompletion(ctx, e.request(q, false))
	}
	res, err := e.c.CreateChatCompletion(ctx, e.request(q, true))
	if !refusesSchema(err) {
		return res, err
	}
	again, second := e.c.CreateChatCompletion(ctx, e.request(q, false))
	if second != nil {
		return res, err
	}
	e.plain.Store(true)
	return again, nil
}

// refusesSchema reports an error by which an endpoint may say that it knows no
// json_schema.
func refusesSchema(err error) bool {
	var api *client.APIError
	var req *client.RequestError
	status := 0
	switch {
	case errors.As(err, &api):
		status = api.HTTPStatusCode
	case errors.As(err, &req):
		status = req.HTTPStatusCode
	}
	return status == http.StatusBadRequest || status == http.StatusUnprocessableEntity || status == http.StatusNotImplemented
}

func (e *Endpoint) request(q question, schema bool) client.ChatCompletionRequest {
	r := client.ChatCompletionRequest{
		Model: e.cfg.Model,
		Messages: []client.ChatCompletionMessage{
			{Role: client.ChatMessageRoleSystem, Content: q.system}, {Role: client.ChatMessageRoleUser, Content: q.data},
		},
		ResponseFormat: &client.ChatCompletionResponseFormat{Type: client.ChatCompletionResponseFormatTypeJSONObject},
	}
	if schema {
		r.ResponseFormat = &client.ChatCompletionResponseFormat{
			Type:       client.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &client.ChatCompletionResponseFormatJSONSchema{Name: q.name, Schema: q.schema, Strict: true},
		}
	} else {
		r.Messages[0].Content += "\nAnswer with one JSON object by this JSON schema, and nothing else:\n" + string(q.schema)
	}
	// Models that think take their limit by another name, and no temperature.
	if name := e.cfg.Model[strings.LastIndexByte(e.cfg.Model, '/')+1:]; slices.ContainsFunc([]string{"o1", "o3", "o4", "gpt-5", "gpt-6"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
		r.MaxCompletionTokens = e.cfg.Answer
	} else {
		r.MaxTokens = e.cfg.Answer                  //nolint:staticcheck // servers of one's own know only this one
		r.Temperature = math.SmallestNonzeroFloat32 // zero would be left out, and be one
	}
	return r
}

// content is what the model said, where it said something and did nothing.
func content(res client.ChatCompletionResponse) (string, error) {
	if len(res.Choices) != 1 {
		return "", fmt.Errorf("llm: %d choices", len(res.Choices))
	}
	m := res.Choices[0].Message
	switch {
	case len(m.ToolCalls) > 0 || m.FunctionCall != nil:
		return "", errors.New("llm: it calls tools, and has none")
	case res.Choices[0].FinishReason == client.FinishReasonLength:
		return "", errors.New("llm: the answer has no end")
	case len(m.Content) > maxSaid:
		return "", fmt.Errorf("llm: %d bytes are too much", len(m.Content))
	}
	s := strings.TrimSpace(m.Content)
	if rest, ok := strings.CutPrefix(s, "```"); ok { // as models write that know no schema
		s = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(rest, "json"), "```"))
	}
	if s == "" {
		return "", errors.New("llm: no answer")
	}
	return s, nil
}

// decode reads what a model said as one JSON value of this shape, and nothing else.
func decode(said string, into any) error {
	d := json.NewDecoder(strings.NewReader(said))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return errors.New("llm: the answer is not of the shape that was asked for")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("llm: there is more than one answer")
	}
	return nil
}

// estimate is how many tokens a text may be.
func estimate(s string) int { return len(s)/3 + 8 }

// fence puts data between marks that nobody can foresee, as JSON, in which the marks
// cannot stand either: < and > are escaped.
func fence(label string, v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("llm: %w", err)
	}
	mark := label + " " + rand.Text()[:12]
	return "<<<" + mark + "\n" + string(b) + "\n" + mark + ">>>\n", nil
}

// told is an error as it is logged and told: what is wrong, and nothing of what was
// sent or answered.
func told(err error) error {
	var api *client.APIError
	var req *client.RequestError
	status := 0
	switch {
	case errors.As(err, &api):
		status = api.HTTPStatusCode
	case errors.As(err, &req):
		status = req.HTTPStatusCode
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Unavailable, "The language model did not answer in time.")
	case errors.Is(err, context.Canceled):
		return context.Canceled
	}
	switch status {
	case 0:
		return fault.New(fault.Unavailable, "The language model cannot be reached, or answers with something that is none.")
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.New(fault.Unavailable, "The language model does not take my key. Check llm.key.")
	case http.StatusNotFound:
		return fault.New(fault.Unavailable, "There is no such model or address. Check llm.url and llm.model.")
	case http.StatusTooManyRequests:
		return fault.New(fault.Unavailable, "The language model takes no more questions for now.")
	}
	return fault.New(fault.Unavailable, "The language model answers with status %d.", status)
}

// Probe asks whether the endpoint answers, and as what: whether the model answers to
// a schema, or to JSON alone.
func (e *Endpoint) Probe(ctx context.Context) (schema bool, err error) {
	said, _, err := e.ask(ctx, question{
		who: "doctor", system: "You check that a connection works. Answer with {\"ok\": true} as JSON.", data: "Are you there?", name: "probe",
		schema: json.RawMessage(`{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"],"additionalProperties":false}`),
	})
	if err != nil {
		return false, err
	}
	var a struct {
		OK bool `json:"ok"`
	}
	if err := decode(said, &a); err != nil || !a.OK {
		return false, fault.New(fault.Unavailable, "The language model answers, but not with the JSON that was asked for.")
	}
	return !e.plain.Load(), nil
}
