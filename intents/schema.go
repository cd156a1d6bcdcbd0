package intents

import (
	"fmt"
	"slices"
	"strings"
)

// Schema describes what an intent takes as a JSON Schema of the draft 2020-12: an object
// of its slots, for whoever names intent and slots instead of saying a sentence. What a
// slot holds is the same as what the recogniser puts there. leave are slots that are not
// to be named. ok is false where there is no such intent.
func (c *Catalogue) Schema(intent string, leave ...string) (schema map[string]any, ok bool) {
	d := c.intents[intent]
	if d == nil {
		return nil, false
	}
	props, required := map[string]any{}, []string{}
	for _, s := range d.spec.Slots {
		if slices.Contains(leave, s.Name) {
			continue
		}
		p := c.slotSchema(intent, s.Name, d.slots[s.Name].typ)
		if p == nil {
			continue
		}
		props[s.Name] = p
		if s.Required && len(s.Or) == 0 {
			required = append(required, s.Name)
		}
	}
	schema = map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema, true
}

// Bounds of what a slot takes that nobody says aloud.
const (
	maxCount = 100_000
	maxNames = 20
	maxName  = 253 // characters; what Kubernetes lets a name have
)

// slotSchema describes a slot's values, nil for one that cannot be named.
func (c *Catalogue) slotSchema(intent, slot, typ string) map[string]any {
	text := func(about string) map[string]any {
		return map[string]any{"type": "string", "minLength": 1, "maxLength": maxName, "description": about}
	}
	if entries, ok := c.List(typ); ok {
		var values []string
		for _, e := range entries {
			if !slices.Contains(values, e.Value) {
				values = append(values, e.Value)
			}
		}
		return map[string]any{"type": "string", "enum": values}
	}
	switch typ {
	case "steps":
		return nil
	case "text":
		values := c.fixed(intent, slot)
		if len(values) == 0 {
			return nil
		}
		return map[string]any{"enum": values}
	case "int":
		least := 0
		if slot == "delta" {
			least = -maxCount
		}
		return map[string]any{"type": "integer", "minimum": least, "maximum": maxCount}
	case "percent":
		return map[string]any{"type": "integer", "minimum": 1, "maximum": 1000}
	case "percentile":
		return map[string]any{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100}
	case "number":
		return map[string]any{"type": "number", "exclusiveMinimum": 0, "maximum": 1000}
	case "target":
		return map[string]any{
			"type": "array", "minItems": 1, "maxItems": maxNames, "items": map[string]any{"type": "string", "minLength": 1, "maxLength": maxName},
			"description": "names of workloads, as kubectl shows them",
		}
	case "duration":
		return map[string]any{"type": "string", "pattern": `^([0-9]{1,6}(mo|[smhdw]))+$`, "maxLength": 30, "description": "a length of time: 90s, 15m, 2h, 7d"}
	case "hour":
		return map[string]any{
			"type": "string", "pattern": `^[a-z0-9_: ]+$`, "maxLength": 40,
			"description": "a length of time ago (15m, 2h, 7d), a time of day (14:00), a day (today, yesterday, monday), both (yesterday 18:00), last_night, this_morning or last_deploy",
		}
	}
	switch typ { // where its description is for those who write templates
	case "version":
		return text("a version: a tag or a number, like v2 or 1.9")
	case "phrase":
		return text("words to look for")
	case "container", "sidecar":
		return text("a container of the pods")
	case "new_name":
		return text("a name")
	case "alert":
		return text("the name of an alert")
	}
	about, _, _ := strings.Cut(builtinTypes[typ], ":")
	return text(strings.ReplaceAll(about, " of the inventory", ""))
}

// fixed are the values that an intent's templates and frames set for a slot, each once:
// words, numbers, true and false.
func (c *Catalogue) fixed(intent, slot string) []any {
	f := fixes{c: c, slot: slot, seen: map[string]bool{}}
	for _, t := range c.templates {
		if t.intent != intent {
			continue
		}
		f.walk(t.node)
		if t.frame != nil {
			for _, s := range slices.Concat(t.frame.cues, t.frame.before, t.frame.parts) {
				f.walk(s.node)
			}
		}
	}
	slices.SortFunc(f.out, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return f.out
}

// fixes gathers what a slot is set to.
type fixes struct {
	c    *Catalogue
	slot string
	seen map[string]bool // rules
	out  []any
}

func (f *fixes) walk(n *node) {
	switch n.kind {
	case nodeFix:
		if n.slot == f.slot && !slices.Contains(f.out, n.value) {
			f.out = append(f.out, n.value)
		}
	case nodeRule:
		if r := f.c.rules[n.word]; r != nil && !f.seen[n.word] {
			f.seen[n.word] = true
			f.walk(r.node)
		}
	}
	for _, k := range n.kids {
		f.walk(k)
	}
}
