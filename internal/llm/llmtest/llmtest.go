// Package llmtest is a language model for tests: a server that talks as OpenAI's chat
// completions do, refuses what the API reference does not allow, keeps what it was
// sent, and says what a script tells it to. The client of OpenAI itself (npm's openai)
// gets along with it: see TestOpenAIsOwnClientGetsAlong.
package llmtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Key is the only key that the server takes, Model its only model.
const (
	Key   = "sk-test-0123456789"
	Model = "test-model"
)

// Request is what was asked.
type Request struct {
	System string // all that the system said
	User   string // and the user
	Format string // json_schema, json_object or text
	Schema string // its name
	Body   string // as it came
}

// Answer is what the server does about a request. The zero value is an empty answer.
type Answer struct {
	Content string // what the model says
	// Message, where it is not "", is the JSON of the message in place of Content: tool
	// calls and the like.
	Message string
	Finish  string // "" is stop
	Status  int    // where not 0 or 200, an error of that status
	Error   string // its message
	Raw     string // the whole body as it is, whatever it is
	Type    string // content type of Raw
	Target  string // a redirect there
	// Drip sends the body byte by byte, with this pause between, until the client leaves.
	Drip  time.Duration
	Usage int // total tokens; 0 is counted, less is none at all
}

// Server is the model.
type Server struct {
	*httptest.Server
	t testing.TB

	mu     sync.Mutex
	answer func(Request) Answer
	asked  []Request
	schema bool // it knows json_schema
}

// New starts a model that says it understands nothing. It ends with the test.
func New(t testing.TB) *Server {
	s := &Server{t: t, schema: true, answer: func(Request) Answer { return Answer{Content: `{"understood":false,"steps":[]}`} }}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// Base is the address of the API.
func (s *Server) Base() string { return s.URL + "/v1" }

// Script says what is answered from now on.
func (s *Server) Script(f func(Request) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// Says has the same said from now on.
func (s *Server) Says(content string) {
	s.Script(func(Request) Answer { return Answer{Content: content} })
}

// KnowsNoSchema makes it one of those that know only json_object.
func (s *Server) KnowsNoSchema() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schema = false
}

// Asked are the requests so far.
func (s *Server) Asked() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// maxRequest is more than anybody may send here.
const maxRequest = 256 << 10

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, kind, code, message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message, "type": kind, "code": code, "param": nil}})
	}
	if r.Header.Get("Authorization") != "Bearer "+Key {
		fail(http.StatusUnauthorized, "invalid_request_error", "invalid_api_key", "Incorrect API key provided")
		return
	}
	if r.Method == http.MethodGet && r.URL.Path == "/v1/models" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"object":"list","data":[{"id":"`+Model+`","object":"model","created":1700000000,"owned_by":"test"}]}`)
		return
	}
	if r.URL.Path != "/v1/chat/completions" {
		fail(http.StatusNotFound, "invalid_request_error", "unknown_url", "Unknown request URL: "+r.Method+" "+r.URL.Path)
		return
	}
	if r.Method != http.MethodPost {
		fail(http.StatusMethodNotAllowed, "invalid_request_error", "", "Only POST")
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil || len(body) > maxRequest {
		fail(http.StatusRequestEntityTooLarge, "invalid_request_error", "", "too much")
		return
	}
	s.mu.Lock()
	knows, answer := s.schema, s.answer
	s.mu.Unlock()
	req, wrong := read(body, knows)
	s.mu.Lock()
	s.asked = append(s.asked, req)
	s.mu.Unlock()
	if wrong != nil {
		fail(wrong.status, "invalid_request_error", wrong.code, wrong.message)
		return
	}
	s.reply(w, r, req, answer(req), fail)
}

// Sent is all that was ever sent to it, as it came.
func (s *Server) Sent() string {
	var b strings.Builder
	for _, r := range s.Asked() {
		b.WriteString(r.Body + "\n")
	}
	return b.String()
}

func (s *Server) reply(w http.ResponseWriter, r *http.Request, req Request, a Answer, fail func(int, string, string, string)) {
	if a.Target != "" {
		http.Redirect(w, r, a.Target, http.StatusTemporaryRedirect)
		return
	}
	if a.Status != 0 && a.Status != http.StatusOK {
		if a.Status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		fail(a.Status, "server_error", "", a.Error)
		return
	}
	out := []byte(a.Raw)
	if a.Raw == "" {
		out = completion(req, a)
	}
	w.Header().Set("Content-Type", "application/json")
	if a.Type != "" {
		w.Header().Set("Content-Type", a.Type)
	}
	if a.Drip == 0 {
		_, _ = w.Write(out) // who asked has gone if this fails
		return
	}
	flush, _ := w.(http.Flusher)
	for i := 0; ; i++ {
		if _, err := w.Write(out[i%len(out) : i%len(out)+1]); err != nil {
			return
		}
		flush.Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(a.Drip):
		}
	}
}

// completion is an answer as the API reference has it.
func completion(req Request, a Answer) []byte {
	message := json.RawMessage(a.Message)
	if a.Message == "" {
		message, _ = json.Marshal(map[string]any{"role": "assistant", "content": a.Content, "refusal": nil}) // strings always encode
	}
	finish := a.Finish
	if finish == "" {
		finish = "stop"
	}
	out := map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": time.Now().Unix(), "model": Model, "system_fingerprint": nil,
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": finish, "logprobs": nil}},
	}
	in, said := (len(req.System)+len(req.User))/4, len(a.Content)/4
	switch {
	case a.Usage > 0:
		out["usage"] = map[string]int{"prompt_tokens": a.Usage, "completion_tokens": 0, "total_tokens": a.Usage}
	case a.Usage == 0:
		out["usage"] = map[string]int{"prompt_tokens": in, "completion_tokens": said, "total_tokens": in + said}
	}
	b, _ := json.Marshal(out) // only Message may be no JSON, and that is the test's own
	return b
}

// wrong is why a request is refused.
type wrong struct {
	status        int
	code, message string
}

func no(format string, a ...any) *wrong {
	return &wrong{http.StatusBadRequest, "", fmt.Sprintf(format, a...)}
}

var schemaName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// read reads a request as strictly as the reference is.
func read(body []byte, knowsSchema bool) (Request, *wrong) {
	req := Request{Body: string(body), Format: "text"}
	var b struct {
		Model    string `json:"model"`
		Messages []struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		} `json:"messages"`
		MaxTokens           *int     `json:"max_tokens"`
		MaxCompletionTokens *int     `json:"max_completion_tokens"`
		Temperature         *float64 `json:"temperature"`
		Stream              bool     `json:"stream"`
		ResponseFormat      *struct {
			Type       string `json:"type"`
			JSONSchema *struct {
				Name   string         `json:"name"`
				Strict bool           `json:"strict"`
				Schema map[string]any `json:"schema"`
			} `json:"json_schema"`
		} `json:"response_format"`
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields() // tools among them: nobody here may offer any
	if err := d.Decode(&b); err != nil {
		return req, no("we could not parse the JSON body: %v", err)
	}
	if b.Model != Model {
		return req, &wrong{http.StatusNotFound, "model_not_found", "The model `" + b.Model + "` does not exist"}
	}
	if len(b.Messages) == 0 {
		return req, no("[] is too short - 'messages'")
	}
	for _, m := range b.Messages {
		switch m.Role {
		case "system", "developer":
			req.System += m.Content
		case "user":
			req.User += m.Content
		default:
			return req, no("'%s' is not one of ['system', 'developer', 'user'] - 'messages'", m.Role)
		}
	}
	if b.Stream {
		return req, no("this server does not stream")
	}
	for _, n := range []*int{b.MaxTokens, b.MaxCompletionTokens} {
		if n != nil && *n < 1 {
			return req, no("%d is less than the minimum of 1 - 'max_tokens'", *n)
		}
	}
	if b.MaxTokens != nil && b.MaxCompletionTokens != nil {
		return req, no("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
	}
	if b.Temperature != nil && (*b.Temperature < 0 || *b.Temperature > 2) {
		return req, no("temperature must be between 0 and 2")
	}
	f := b.ResponseFormat
	if f == nil {
		return req, nil
	}
	req.Format = f.Type
	switch {
	case f.Type == "json_object" && f.JSONSchema == nil:
		if !strings.Contains(strings.ToLower(req.System+req.User), "json") {
			return req, no("'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.")
		}
	case f.Type == "json_schema" && !knowsSchema:
		return req, no("'response_format.type' must be 'json_object' or 'text'")
	case f.Type == "json_schema" && f.JSONSchema != nil:
		req.Schema = f.JSONSchema.Name
		if !schemaName.MatchString(f.JSONSchema.Name) {
			return req, no("Invalid 'response_format.json_schema.name'")
		}
		if f.JSONSchema.Strict {
			if err := CheckStrict(f.JSONSchema.Schema); err != nil {
				return req, no("Invalid schema for response_format '%s': %v", f.JSONSchema.Name, err)
			}
		}
	case f.Type != "text":
		return req, no("Invalid value: '%s'. Supported values are: 'json_object', 'json_schema', and 'text'.", f.Type)
	}
	return req, nil
}

// What strict schemas may have at most, by the guide on structured outputs.
const (
	maxDepth      = 10
	maxProperties = 5000
	maxEnum       = 1000
	maxEnumLetter = 15_000 // of one enum with more than 250 values
)

// CheckStrict says why a schema is none that strict structured outputs take.
func CheckStrict(schema map[string]any) error {
	if schema["type"] != "object" || schema["anyOf"] != nil {
		return fmt.Errorf("schema must be a JSON Schema of 'type: \"object\"', got 'type: %v'", schema["type"])
	}
	properties, enums := 0, 0
	return strict(schema, 1, &properties, &enums)
}

func strict(s map[string]any, depth int, properties, enums *int) error {
	for k := range s {
		if !slices.Contains([]string{"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "description", "title"}, k) {
			return fmt.Errorf("'%s' is not permitted", k)
		}
	}
	if depth > maxDepth {
		return fmt.Errorf("more than %d levels", maxDepth)
	}
	if values, ok := s["enum"].([]any); ok {
		letters := 0
		for _, v := range values {
			t, _ := v.(string)
			letters += len(t)
		}
		if *enums += len(values); *enums > maxEnum || len(values) > 250 && letters > maxEnumLetter || len(values) == 0 {
			return fmt.Errorf("too many or no enum values")
		}
	}
	if list, ok := s["anyOf"].([]any); ok {
		for _, v := range list {
			m, ok := v.(map[string]any)
			if !ok {
				return fmt.Errorf("anyOf of something else than schemas")
			}
			if err := strict(m, depth, properties, enums); err != nil {
				return err
			}
		}
		return nil
	}
	switch s["type"] {
	case "string", "integer", "number", "boolean":
		return nil
	case "array":
		m, ok := s["items"].(map[string]any)
		if !ok {
			return fmt.Errorf("array schema missing items")
		}
		return strict(m, depth+1, properties, enums)
	case "object":
	default:
		return fmt.Errorf("schema must have a 'type' key")
	}
	if s["additionalProperties"] != false {
		return fmt.Errorf("'additionalProperties' is required to be supplied and to be false")
	}
	props, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	if *properties += len(props); *properties > maxProperties {
		return fmt.Errorf("too many properties")
	}
	for name, p := range props {
		if !slices.Contains(required, any(name)) {
			return fmt.Errorf("'required' is required to be supplied and to be an array including every key in properties. Missing '%s'", name)
		}
		m, ok := p.(map[string]any)
		if !ok {
			return fmt.Errorf("property '%s' is no schema", name)
		}
		if err := strict(m, depth+1, properties, enums); err != nil {
			return err
		}
	}
	if len(required) != len(props) {
		return fmt.Errorf("'required' names more than there is")
	}
	return nil
}
