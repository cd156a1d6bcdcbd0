package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

const (
	// maxBlock bounds the text of a table, diff or log in an answer; the structured
	// answer has it whole.
	maxBlock = 6000 // bytes
	// maxShown is of how many proposals is known how they were read back.
	maxShown = 500
)

// call answers one call of a tool.
func (s *Server) call(ctx context.Context, t tool, who access.Speaker, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	args, err := t.read(req.Params.Arguments)
	if err != nil {
		return refuse(err), nil
	}
	turn, err := t.call(args)
	if err != nil {
		return refuse(err), nil
	}
	turn.Speaker = who
	turn.Conversation = Channel + ":" + who.ID
	if c := args.text(conversationArg); c != "" {
		turn.Conversation += ":" + c
	}
	turn.NoYes = true
	if button, id := turn.Button(); button == "confirm" || button == "approve" {
		turn.Patience = s.parts.Patience
		if res := s.person(req, id); res != nil {
			return res, nil
		}
	}
	turn.Pull = true
	stop := s.narrate(ctx, turn, req)
	r := s.parts.Engine.Respond(ctx, turn)
	stop()
	s.note(r)
	return result(r)
}

// read reads the arguments of a call and holds them to the tool's schema.
func (t tool) read(raw json.RawMessage) (arguments, error) {
	args := arguments{}
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := json.Unmarshal(raw, &args); err != nil {
			return nil, fault.Wrap(err, fault.Usage, "The arguments of %s are no JSON object.", t.Name)
		}
	}
	if err := t.args.Validate(map[string]any(args)); err != nil {
		return nil, fault.Wrap(err, fault.Usage, "The arguments of %s are not what its schema says: %s", t.Name, strings.TrimRight(lastLine(err.Error()), ".")+".")
	}
	return args, nil
}

// lastLine is what a validator says last, which is the most particular.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// agreed names the question that a person answers.
const agreed = "agreed"

// person has the client ask the person whether they agree, where it can; nil means that
// they do, or that the client has nobody to ask and asks by its own rules.
func (s *Server) person(req *mcp.CallToolRequest, proposal string) *mcp.CallToolResult {
	caps := req.ClientCapabilities()
	if caps == nil || caps.Elicitation == nil || caps.Elicitation.Form == nil && caps.Elicitation.URL != nil {
		return nil
	}
	if answer, ok := req.Params.InputResponses[agreed]; ok {
		if a, ok := answer.(*mcp.ElicitResult); ok && a.Action == "accept" {
			return nil
		}
		return refuse(fault.New(fault.Refused, "The person did not agree, so nothing was done."))
	}
	s.mu.Lock()
	about := s.shown[proposal]
	s.mu.Unlock()
	if about == "" { // of another process; the person is to see what they agree to
		return refuse(fault.New(fault.NotFound, "I did not show that proposal here. Ask for the change again."))
	}
	return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{agreed: &mcp.ElicitParams{
		Mode: "form", Message: about, RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{}},
	}}}
}

// note remembers how a proposal was read back.
func (s *Server) note(r dialogue.Reply) {
	if r.Proposal == nil || r.Expect != dialogue.ExpectConfirm && r.Expect != dialogue.ExpectApproval {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.shown) >= maxShown {
		clear(s.shown)
	}
	s.shown[r.Proposal.ID] = words(r)
}

// narrate tells the client how what it agreed to goes, where it wants to know. stop
// waits until no more is told.
func (s *Server) narrate(ctx context.Context, turn dialogue.Request, req *mcp.CallToolRequest) (stop func()) {
	token := req.Params.GetProgressToken()
	if token == nil || turn.Patience == 0 {
		return func() {}
	}
	sub := s.parts.Engine.Subscribe(turn.Conversation)
	done := make(chan struct{})
	go func() {
		defer close(done)
		n := 0.0
		for ev := range sub.C {
			if ev.Kind != dialogue.EventProgress {
				continue
			}
			n++
			err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: n, Message: ev.Reply.Text})
			if err != nil {
				s.log.DebugContext(ctx, "progress is not told", "err", err)
			}
		}
	}()
	return func() {
		sub.Close()
		<-done
	}
}

// result is an answer for a program: words for its model, and the answer as it is
// everywhere.
func result(r dialogue.Reply) (*mcp.CallToolResult, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("mcp: encoding an answer: %w", err)
	}
	return &mcp.CallToolResult{
		Content: []mcp.Content{&mcp.TextContent{Text: words(r)}}, StructuredContent: json.RawMessage(b), IsError: r.Fault != "",
	}, nil
}

// words are an answer as text.
func words(r dialogue.Reply) string {
	var b strings.Builder
	b.WriteString(r.Text)
	for _, blk := range r.Blocks {
		if s := block(blk); s != "" {
			fmt.Fprintf(&b, "\n\n%s", s)
		}
	}
	if r.Proposal != nil && r.Expect == dialogue.ExpectConfirm {
		fmt.Fprintf(&b, "\n\nNothing was changed yet. Proposal %s; with the person's agreement: confirm {\"proposal\": %q}.", r.Proposal.ID, r.Proposal.ID)
	}
	if r.Expect == dialogue.ExpectPIN {
		b.WriteString("\n\nA PIN is not to be given to a program. Ask for the change in the console or a chat.")
	}
	return b.String()
}

// block is a table, diff or log as text; a chart's numbers stand in the structured
// answer.
func block(blk dialogue.Block) string {
	var b strings.Builder
	if blk.Title != "" {
		b.WriteString(blk.Title + "\n")
	}
	switch {
	case blk.Type == "table":
		for _, row := range append([][]string{blk.Columns}, blk.Rows...) {
			b.WriteString(strings.Join(row, " | ") + "\n")
		}
	case blk.Text != "":
		b.WriteString(blk.Text)
	default:
		return ""
	}
	s := strings.TrimRight(b.String(), "\n")
	if len(s) > maxBlock {
		s = strings.ToValidUTF8(s[:maxBlock], "") + "\n… (more in the structured answer)"
	}
	return s
}

// refuse is an error as the answer of a tool, which the client's model sees.
func refuse(err error) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fault.Say(err)}}, IsError: true}
}
