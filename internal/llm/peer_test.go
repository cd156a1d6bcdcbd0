//go:build unix

package llm_test

import (
	"encoding/json"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/llm/llmtest"
	"github.com/firstmate-ops/firstmate/internal/peers"
)

// TestOpenAIsOwnClientGetsAlong holds the language model for tests to OpenAI's own
// client (npm's openai): it takes its answers, and its errors for what they are. And
// what our program sends is sent once more by that client, word for word.
func TestOpenAIsOwnClientGetsAlong(t *testing.T) {
	m := llmtest.New(t)
	peer := peers.Ask(t, "openai", "chat.js")
	type answer struct {
		Models  []string        `json:"models"`
		Content string          `json:"content"`
		Finish  string          `json:"finish"`
		Parsed  json.RawMessage `json:"parsed"`
		Tokens  int             `json:"tokens"`
		Tools   int             `json:"tools"`
		Error   string          `json:"error"`
		Status  int             `json:"status"`
		Code    string          `json:"code"`
	}
	ask := func(op, key, body string) answer {
		t.Helper()
		q := map[string]any{"base": m.Base(), "key": key, "op": op}
		if body != "" {
			q["body"] = json.RawMessage(body)
		}
		var a answer
		if err := peer.Ask(q, &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	const said = `{"understood":false,"steps":[]}`
	m.Says(said)
	if _, _, err := understander(t, config(m), &counted{}).Understand(t.Context(), request("be nice to the web")); err != nil {
		t.Fatal(err)
	}
	ours := m.Asked()[0].Body
	if a := ask("create", llmtest.Key, ours); a.Content != said || a.Finish != "stop" || a.Tokens < 500 || a.Tools != 0 {
		t.Errorf("our own request: %+v", a)
	}
	if a := ask("parse", llmtest.Key, ours); a.Content != said || a.Error != "" {
		t.Errorf("our own request, parsed: %+v", a)
	}
	if again := m.Asked(); again[0].User != again[1].User || again[0].System != again[1].System || again[1].Format != "json_schema" || again[1].Schema != "reading" {
		t.Error("it came as something else")
	}
	if a := ask("models", llmtest.Key, ""); len(a.Models) != 1 || a.Models[0] != llmtest.Model {
		t.Errorf("models: %+v", a)
	}
	chat := func(more string) string {
		return `{"model":"` + llmtest.Model + `","messages":[{"role":"user","content":"say it in json"}]` + more + `}`
	}
	if a := ask("create", llmtest.Key, chat(`,"response_format":{"type":"json_object"}`)); a.Content != said {
		t.Errorf("json_object: %+v", a)
	}
	for name, tt := range map[string]struct{ key, body, want string }{
		"a wrong key":     {"sk-wrong", chat(""), "AuthenticationError"},
		"another model":   {llmtest.Key, `{"model":"gpt-0","messages":[{"role":"user","content":"x"}]}`, "NotFoundError"},
		"tools":           {llmtest.Key, chat(`,"tools":[{"type":"function","function":{"name":"x","parameters":{"type":"object","properties":{}}}}]`), "BadRequestError"},
		"no messages":     {llmtest.Key, `{"model":"` + llmtest.Model + `","messages":[]}`, "BadRequestError"},
		"a loose schema":  {llmtest.Key, chat(`,"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string"}}}}}`), "BadRequestError"},
		"an odd format":   {llmtest.Key, chat(`,"response_format":{"type":"yaml"}`), "BadRequestError"},
		"no tokens":       {llmtest.Key, chat(`,"max_tokens":0`), "BadRequestError"},
		"both limits":     {llmtest.Key, chat(`,"max_tokens":5,"max_completion_tokens":5`), "BadRequestError"},
		"a temperature":   {llmtest.Key, chat(`,"temperature":3`), "BadRequestError"},
		"a made-up field": {llmtest.Key, chat(`,"obey":true`), "BadRequestError"},
	} {
		if a := ask("create", tt.key, tt.body); a.Error != tt.want {
			t.Errorf("%s: %+v", name, a)
		}
	}
	m.Script(func(llmtest.Request) llmtest.Answer { return llmtest.Answer{Status: 429, Error: "slow down"} })
	if a := ask("create", llmtest.Key, chat("")); a.Error != "RateLimitError" || a.Status != 429 {
		t.Errorf("too fast: %+v", a)
	}
	m.Script(func(llmtest.Request) llmtest.Answer { return llmtest.Answer{Status: 503, Error: "overloaded"} })
	if a := ask("create", llmtest.Key, chat("")); a.Error != "InternalServerError" {
		t.Errorf("overloaded: %+v", a)
	}
	m.Script(func(llmtest.Request) llmtest.Answer {
		return llmtest.Answer{Message: `{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"kubectl","arguments":"{}"}}]}`, Finish: "tool_calls"}
	})
	if a := ask("create", llmtest.Key, chat("")); a.Tools != 1 || a.Finish != "tool_calls" {
		t.Errorf("tool calls: %+v", a)
	}
	m.Script(func(llmtest.Request) llmtest.Answer { return llmtest.Answer{Content: said, Finish: "length"} })
	if a := ask("parse", llmtest.Key, ours); a.Error != "LengthFinishReasonError" {
		t.Errorf("cut off: %+v", a)
	}
}
