package mcp_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/mcp"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

func server(t *testing.T, e *channeltest.Engine) *mcp.Server {
	t.Helper()
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	s, err := mcp.New(mcp.Parts{
		Engine: e, Catalogue: c, Version: "test", Patience: time.Second,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func handler(t *testing.T, e *channeltest.Engine) http.Handler {
	return server(t, e).Handler([]mcp.Client{{Name: "ann", SHA256: sha256.Sum256([]byte("tok"))}, {Name: "bob", SHA256: sha256.Sum256([]byte("kot"))}})
}

func raw(body io.Reader) *http.Request {
	r := httptest.NewRequest("POST", "http://127.0.0.1"+mcp.Path, body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Authorization", "Bearer tok")
	return r
}

// message is a call of a tool as it goes over the wire.
func message(name string, args any) string {
	b, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{"name": name, "arguments": args}})
	return string(b)
}

func TestChannel(t *testing.T) {
	channeltest.Run(t, channeltest.Channel{
		Handler: func(t *testing.T, e *channeltest.Engine) http.Handler { return handler(t, e) },
		Request: func(_, text string) *http.Request {
			return raw(strings.NewReader(message("ask", map[string]string{"text": text})))
		},
		Raw: raw,
		Forge: map[string]func(*http.Request){
			"none":  func(r *http.Request) { r.Header.Del("Authorization") },
			"wrong": func(r *http.Request) { r.Header.Set("Authorization", "Bearer tokk") },
			"basic": func(r *http.Request) { r.SetBasicAuth("ann", "tok") },
			"other site": func(r *http.Request) {
				r.Header.Set("Origin", "https://evil.example")
				r.Header.Set("Sec-Fetch-Site", "cross-site")
			},
		},
		MaxBody: 256 << 10,
		OneWay:  true, // the protocol repeats nothing
	})
}

// connect is a client of the protocol's own library, over a pipe. asks answers what the
// server asks the person; nil for a client that has nobody to ask.
func connect(t *testing.T, s *mcp.Server, asks func(message string) string, progress func(string)) *sdk.ClientSession {
	t.Helper()
	near, far := sdk.NewInMemoryTransports()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Run(ctx, access.NewSpeaker(mcp.Channel, "ann", access.Login), far) // ends when the client goes
	}()
	opt := &sdk.ClientOptions{}
	if asks != nil {
		opt.ElicitationHandler = func(_ context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			return &sdk.ElicitResult{Action: asks(r.Params.Message), Content: map[string]any{}}, nil
		}
	}
	if progress != nil {
		opt.ProgressNotificationHandler = func(_ context.Context, r *sdk.ProgressNotificationClientRequest) { progress(r.Params.Message) }
	}
	cs, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, opt).Connect(t.Context(), near, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cs.Close()
		cancel()
		<-ended
	})
	return cs
}

func call(t *testing.T, cs *sdk.ClientSession, name string, args map[string]any) (text string, r dialogue.Reply, bad bool) {
	t.Helper()
	p := &sdk.CallToolParams{Name: name, Arguments: args}
	p.SetProgressToken("p1")
	res, err := cs.CallTool(t.Context(), p)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, c := range res.Content {
		if c, ok := c.(*sdk.TextContent); ok {
			text += c.Text
		}
	}
	if res.StructuredContent != nil {
		b, _ := json.Marshal(res.StructuredContent)
		if err := json.Unmarshal(b, &r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	return text, r, res.IsError
}

// TestTools lists the tools: each intent that asks or changes something is one, and says
// whether it does.
func TestTools(t *testing.T) {
	cs := connect(t, server(t, channeltest.NewEngine(nil)), nil, nil)
	res, err := cs.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	tools := map[string]*sdk.Tool{}
	for _, tool := range res.Tools {
		tools[tool.Name] = tool
		if tool.Description == "" || tool.Title == "" || tool.Annotations == nil || tool.Annotations.OpenWorldHint == nil || *tool.Annotations.OpenWorldHint {
			t.Errorf("%s: %+v", tool.Name, tool)
		}
	}
	for _, spec := range c.Specs() {
		tool := tools[spec.Name]
		if spec.Risk != intents.RiskNone && spec.Name != "chain" && tool == nil {
			t.Errorf("%s is no tool", spec.Name)
		}
		if tool == nil || spec.Name == "confirm" || spec.Name == "deny" || spec.Name == "approve" {
			continue
		}
		if tool.Annotations.ReadOnlyHint != (spec.Risk != intents.RiskWrite) {
			t.Errorf("%s: read only %v", spec.Name, tool.Annotations.ReadOnlyHint)
		}
	}
	for _, name := range []string{"confirm", "approve"} {
		a := tools[name].Annotations
		if a.ReadOnlyHint || a.DestructiveHint == nil || !*a.DestructiveHint {
			t.Errorf("%s: %+v", name, a)
		}
	}
	for _, name := range []string{"link", "unlink", "chain", "amend", "out_of_scope"} {
		if tools[name] != nil {
			t.Errorf("%s is a tool", name)
		}
	}
}

// TestCalls holds what is called to what the engine is asked.
func TestCalls(t *testing.T) {
	for _, tt := range []struct {
		tool string
		args map[string]any
		want dialogue.Request
		says string // where it is refused
	}{
		{tool: "status", args: map[string]any{"targets": []string{"web"}}, want: dialogue.Request{Intent: &intents.Intent{Name: "status", Slots: intents.Slots{"targets": []string{"web"}}}}},
		{tool: "scale", args: map[string]any{"targets": []string{"web"}, "replicas": 5}, want: dialogue.Request{Intent: &intents.Intent{Name: "scale", Slots: intents.Slots{"targets": []string{"web"}, "replicas": 5.0}}}},
		{tool: "ask", args: map[string]any{"text": "how is web?", "conversation": "two"}, want: dialogue.Request{Text: "how is web?", Conversation: "mcp:ann:two"}},
		{tool: "confirm", args: map[string]any{"proposal": "a1"}, want: dialogue.Request{Confirm: "a1", Patience: time.Second}},
		{tool: "deny", args: map[string]any{"proposal": "a1"}, want: dialogue.Request{Deny: "a1"}},
		{tool: "approve", args: map[string]any{"proposal": "a1@sha256:00"}, want: dialogue.Request{Approve: "a1@sha256:00", Patience: time.Second}},
		{tool: "ask", args: map[string]any{"text": "yes"}, want: dialogue.Request{Text: "yes"}}, // which NoYes keeps from counting
		{tool: "scale", args: map[string]any{"replicas": 5}, says: "not what its schema says"},
		{tool: "scale", args: map[string]any{"targets": []string{"web"}, "replicas": -5}, says: "not what its schema says"},
		{tool: "scale", args: map[string]any{"targets": "web", "replicas": 5}, says: "not what its schema says"},
		{tool: "scale", args: map[string]any{"targets": []string{"web"}, "replicas": 5, "confirm": true}, says: "not what its schema says"},
		{tool: "deploy", args: map[string]any{"targets": []string{"web"}, "version": "v2", "way": "x"}, says: "not what its schema says"},
		{tool: "confirm", args: map[string]any{}, says: "not what its schema says"},
		{tool: "approve", args: map[string]any{"proposal": "a1"}, says: "not what its schema says"},
		{tool: "ask", args: map[string]any{"text": strings.Repeat("x", 1001)}, says: "not what its schema says"},
		{tool: "ask", args: map[string]any{"text": "hi", "conversation": "slack:T:C:1"}, says: "not what its schema says"},
	} {
		t.Run(tt.tool, func(t *testing.T) {
			e := channeltest.NewEngine(func(dialogue.Request) dialogue.Reply {
				return dialogue.Reply{Text: "ok", Expect: dialogue.ExpectConfirm}
			})
			e.Respond(t.Context(), dialogue.Request{Conversation: "mcp:ann"}) // something is asked
			text, _, bad := call(t, connect(t, server(t, e), nil, nil), tt.tool, tt.args)
			reqs := e.Requests()[1:]
			if tt.says != "" {
				if !bad || !strings.Contains(text, tt.says) || len(reqs) > 0 {
					t.Errorf("%q, %v, %d turns", text, bad, len(reqs))
				}
				return
			}
			if bad || len(reqs) != 1 {
				t.Fatalf("%q, %d turns", text, len(reqs))
			}
			got := reqs[0]
			if tt.want.Conversation == "" {
				tt.want.Conversation = "mcp:ann"
			}
			a, _ := json.Marshal(got.Intent)
			b, _ := json.Marshal(tt.want.Intent)
			if !bytes.Equal(a, b) || got.Text != tt.want.Text || got.Confirm != tt.want.Confirm || got.Deny != tt.want.Deny || got.Approve != tt.want.Approve ||
				got.Conversation != tt.want.Conversation || got.Patience != tt.want.Patience || got.Speaker.Key() != "mcp:ann" || !got.Pull || !got.NoYes {
				t.Errorf("%+v, %s", got, a)
			}
		})
	}
}

func proposing(r dialogue.Request) dialogue.Reply {
	if r.Confirm != "" {
		return dialogue.Reply{Text: "web runs 5 of 5.", Outcome: dialogue.OutcomeDone, Proposal: &dialogue.Proposal{ID: r.Confirm}}
	}
	return dialogue.Reply{
		Text: "Scale web from 3 to 5. Shall I?", Expect: dialogue.ExpectConfirm, Outcome: dialogue.OutcomePending,
		Proposal: &dialogue.Proposal{ID: "a1", Digest: "d1"}, Blocks: []dialogue.Block{{Type: "diff", Title: "web", Text: "-  replicas: 3\n+  replicas: 5"}},
	}
}

// A client that has somebody to ask asks them, with the diff; only their yes is one.
func TestThePersonIsAsked(t *testing.T) {
	for _, tt := range []struct {
		action string
		done   bool
	}{{"accept", true}, {"decline", false}, {"cancel", false}} {
		t.Run(tt.action, func(t *testing.T) {
			e := channeltest.NewEngine(proposing)
			var asked []string
			cs := connect(t, server(t, e), func(m string) string {
				asked = append(asked, m)
				return tt.action
			}, nil)
			text, r, _ := call(t, cs, "scale", map[string]any{"targets": []string{"web"}, "replicas": 5})
			if r.Proposal == nil || r.Proposal.Digest != "d1" || !strings.Contains(text, "+  replicas: 5") || len(asked) > 0 {
				t.Fatalf("%q, %+v, asked %q", text, r.Proposal, asked)
			}
			text, _, bad := call(t, cs, "confirm", map[string]any{"proposal": "a1"})
			if len(asked) != 1 || !strings.Contains(asked[0], "from 3 to 5") || !strings.Contains(asked[0], "+  replicas: 5") {
				t.Errorf("asked %q", asked)
			}
			yes := slices.ContainsFunc(e.Requests(), func(r dialogue.Request) bool { return r.Confirm != "" })
			if yes != tt.done || bad == tt.done {
				t.Errorf("%q, confirmed %v", text, yes)
			}
			if _, _, bad := call(t, cs, "confirm", map[string]any{"proposal": "never-shown"}); !bad {
				t.Error("agreed to what the person was not shown")
			}
		})
	}
}

// What a client agreed to is told while it goes on, and the end is the answer.
func TestProgress(t *testing.T) {
	var e *channeltest.Engine
	said := make(chan string, 8)
	e = channeltest.NewEngine(func(r dialogue.Request) dialogue.Reply {
		for _, s := range []string{"4 of 5", "5 of 5"} {
			e.Push(r.Conversation, dialogue.Event{Kind: dialogue.EventProgress, Action: "a1", Reply: dialogue.Reply{Text: s}})
		}
		return proposing(r)
	})
	cs := connect(t, server(t, e), nil, func(s string) { said <- s })
	if text, _, _ := call(t, cs, "confirm", map[string]any{"proposal": "a1"}); text != "web runs 5 of 5." {
		t.Errorf("%q", text)
	}
	for _, want := range []string{"4 of 5", "5 of 5"} {
		select {
		case got := <-said:
			if got != want {
				t.Errorf("%q", got)
			}
		case <-t.Context().Done():
		}
	}
}

// A refusal is one to the client's model, in words; a table is text and data.
func TestAnswers(t *testing.T) {
	e := channeltest.NewEngine(func(r dialogue.Request) dialogue.Reply {
		if r.Text == "no" {
			return dialogue.Reply{Text: "You may not.", Fault: fault.Refused}
		}
		return dialogue.Reply{Text: "Two pods.", Blocks: []dialogue.Block{{Type: "table", Columns: []string{"POD", "READY"}, Rows: [][]string{{"web-1", "yes"}}}, {Type: "log", Text: strings.Repeat("x", 10_000)}}}
	})
	cs := connect(t, server(t, e), nil, nil)
	if text, r, bad := call(t, cs, "ask", map[string]any{"text": "no"}); !bad || text != "You may not." || r.Fault != fault.Refused {
		t.Errorf("%q %+v", text, r)
	}
	text, r, bad := call(t, cs, "ask", map[string]any{"text": "pods"})
	if bad || !strings.Contains(text, "POD | READY\nweb-1 | yes") || len(text) > 7000 || len(r.Blocks) != 2 {
		t.Errorf("%d %.200q", len(text), text)
	}
}

// Two clients are two speakers, each with a conversation of their own.
func TestClientsAreApart(t *testing.T) {
	e := channeltest.NewEngine(nil)
	h := handler(t, e)
	for _, token := range []string{"tok", "kot"} {
		r := raw(strings.NewReader(message("ask", map[string]string{"text": "hi"})))
		r.Header.Set("Authorization", "Bearer "+token)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	var got []string
	for _, r := range e.Requests() {
		got = append(got, r.Speaker.Key()+" "+r.Conversation+" "+r.Speaker.Assurance.String())
	}
	if !slices.Equal(got, []string{"mcp:ann mcp:ann verified", "mcp:bob mcp:bob verified"}) {
		t.Errorf("%q", got)
	}
}

// FuzzArguments: whatever a program sends as arguments is refused or becomes a turn that
// confirms nothing it does not name.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{`{"targets":["web"],"replicas":5}`, `{"targets":[null]}`, `[]`, `null`, `{"targets":["web"],"replicas":1e99}`, `{"a":{"b":[]}}`, `"x"`} {
		f.Add("scale", s)
		f.Add("ask", s)
		f.Add("confirm", s)
	}
	f.Fuzz(func(t *testing.T, tool, args string) {
		if !json.Valid([]byte(args)) {
			return
		}
		e := channeltest.NewEngine(nil)
		b, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{"name": tool, "arguments": json.RawMessage(args)}})
		w := httptest.NewRecorder()
		handler(t, e).ServeHTTP(w, raw(bytes.NewReader(b)))
		if w.Code >= 500 {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		for _, r := range e.Requests() {
			if button, _ := r.Button(); button != "" && tool != button {
				t.Errorf("%s %s became %+v", tool, args, r)
			}
		}
	})
}
