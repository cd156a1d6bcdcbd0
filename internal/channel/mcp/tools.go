package mcp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// conversationArg is the argument by which a client keeps several conversations apart.
const conversationArg = "conversation"

// unnamed are slots that only a conversation sets.
func unnamed() []string { return []string{"way", "prestop", "bare", "follow"} }

// talked are the intents that have no tool: they only mean something in a talk, or have
// a tool of their own, or are about who speaks.
func talked() []string {
	return []string{
		"amend", "approve", "cancel", "chain", "confirm", "deny", "greet", "link", "oncall_next", "oncall_take", "out_of_scope", "repeat", "switch_cluster",
		"switch_namespace", "thanks", "unlink",
	}
}

// catalogue is a tool for each intent that asks or changes something.
func (s *Server) catalogue() []tool {
	var out []tool
	for _, spec := range s.parts.Catalogue.Specs() {
		if slices.Contains(talked(), spec.Name) {
			continue
		}
		schema, ok := s.parts.Catalogue.Schema(spec.Name, unnamed()...)
		if !ok {
			continue
		}
		out = append(out, tool{Tool: mcp.Tool{
			Name: spec.Name, Title: title(spec.Name), Description: describe(spec), InputSchema: talking(schema), Annotations: annotations(spec.Risk),
		}, call: func(a arguments) (dialogue.Request, error) {
			return dialogue.Request{Intent: &intents.Intent{Name: spec.Name, Slots: a.slots()}}, nil
		}})
	}
	return out
}

// title is a name for the eye.
func title(name string) string {
	return strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "_", " ")
}

func describe(spec intents.Spec) string {
	d := strings.TrimRight(spec.Help, ".") + "."
	if len(spec.Examples) > 0 {
		d += fmt.Sprintf(" As in “%s”.", spec.Examples[0])
	}
	for _, s := range spec.Slots {
		if s.Required && len(s.Or) > 0 {
			d += fmt.Sprintf(" Needs one of %s, %s.", s.Name, strings.ReplaceAll(strings.Join(s.Or, ", "), "=", " "))
		}
	}
	if spec.Risk == intents.RiskWrite {
		d += " Changes nothing by itself: it gives back a proposal for confirm."
	}
	return d
}

// talking adds the conversation to what a tool takes.
func talking(schema map[string]any) map[string]any {
	props, _ := schema["properties"].(map[string]any)
	props[conversationArg] = map[string]any{
		"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$",
		"description": "Keeps what is talked about apart from other talks of the same client. Leave it out for the usual one.",
	}
	return schema
}

// annotations say what a tool may do. A proposal is not a change, yet who proposes what
// nobody wants is a nuisance; a host asks before it, if it asks before anything.
func annotations(r intents.Risk) *mcp.ToolAnnotations {
	no := false
	a := &mcp.ToolAnnotations{ReadOnlyHint: r != intents.RiskWrite, IdempotentHint: true, OpenWorldHint: &no}
	if r == intents.RiskWrite {
		a.DestructiveHint, a.IdempotentHint = &no, false
	}
	return a
}

// object is a schema of an object.
func object(required []string, props map[string]any) map[string]any {
	return map[string]any{"type": "object", "properties": props, "required": required, "additionalProperties": false}
}

// fixedTools are those that are no intent of their own.
func fixedTools() []tool {
	yes, no := true, false
	acts := &mcp.ToolAnnotations{DestructiveHint: &yes, IdempotentHint: true, OpenWorldHint: &no}
	id := func(pattern, about string) map[string]any {
		return map[string]any{"type": "string", "pattern": pattern, "description": about}
	}
	const plain = "^[A-Za-z0-9._-]{1,128}$"
	return []tool{
		{
			Tool: mcp.Tool{
				Name: "ask", Title: "Ask in words", Annotations: &mcp.ToolAnnotations{DestructiveHint: &no, OpenWorldHint: &no},
				Description: "Says a sentence, for what no other tool says: “scale web to five, then restart it”, “which one? the one in shop”. A yes to a proposal is not taken here: use confirm.",
				InputSchema: talking(object([]string{"text"}, map[string]any{"text": map[string]any{"type": "string", "minLength": 1, "maxLength": 1000}})),
			},
			call: func(a arguments) (dialogue.Request, error) { return dialogue.Request{Text: a.text("text")}, nil },
		},
		{
			Tool: mcp.Tool{
				Name: "confirm", Title: "Agree to a proposal", Annotations: acts,
				Description: "Says yes to a proposal, by its id, and carries it out. Only for a proposal that the person was shown and agreed to. Waits a while for how it ends.",
				InputSchema: talking(object([]string{"proposal"}, map[string]any{
					"proposal": id(plain, "the id of the proposal"),
					"pin":      map[string]any{"type": "string", "pattern": "^[0-9]{4,12}$", "description": "the person's PIN, where one is asked for"},
				})),
			},
			call: func(a arguments) (dialogue.Request, error) {
				return dialogue.Request{Confirm: a.text("proposal")}, nil
			},
		},
		{
			Tool: mcp.Tool{
				Name: "deny", Title: "Refuse a proposal", Annotations: &mcp.ToolAnnotations{DestructiveHint: &no, IdempotentHint: true, OpenWorldHint: &no},
				Description: "Says no to a proposal, by its id: nothing is done.",
				InputSchema: talking(object([]string{"proposal"}, map[string]any{"proposal": id(plain, "the id of the proposal")})),
			},
			call: func(a arguments) (dialogue.Request, error) { return dialogue.Request{Deny: a.text("proposal")}, nil },
		},
		{
			Tool: mcp.Tool{
				Name: "approve", Title: "Approve somebody else's proposal", Annotations: acts,
				Description: "Approves what somebody else asked for, just as it was shown: by its id and digest, joined by @.",
				InputSchema: talking(object([]string{"proposal"}, map[string]any{"proposal": id("^[A-Za-z0-9._-]{1,128}@[A-Za-z0-9._:+/=-]{1,128}$", "id@digest of the proposal")})),
			},
			call: func(a arguments) (dialogue.Request, error) {
				return dialogue.Request{Approve: a.text("proposal")}, nil
			},
		},
	}
}

// arguments are those of a call, checked by the tool's schema.
type arguments map[string]any

func (a arguments) text(name string) string {
	s, _ := a[name].(string)
	return s
}

// slots are the arguments as an intent holds them.
func (a arguments) slots() intents.Slots {
	out := intents.Slots{}
	for name, v := range a {
		if name == conversationArg {
			continue
		}
		if list, ok := v.([]any); ok {
			var names []string
			for _, e := range list {
				if s, ok := e.(string); ok {
					names = append(names, s)
				}
			}
			v = names
		}
		out[name] = v
	}
	return out
}
