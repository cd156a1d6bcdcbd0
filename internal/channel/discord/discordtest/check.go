package discordtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/getkin/kin-openapi/openapi3"
)

// checked holds a body to its schema and returns it. Discord ignores fields that
// it does not know; here they are refused, unless they say nothing, as the zero
// values do that libraries send.
func checked(schema *openapi3.SchemaRef, body any) (any, error) {
	body = numbers(body)
	if schema.Value.VisitJSON(body) == nil {
		return body, nil
	}
	said := saying(body)
	if schema.Value.VisitJSON(said) == nil {
		return said, nil
	}
	return nil, explain(schema.Value, said, nil)
}

// numbers turns the one number that libraries send as text into one; Discord
// takes both, and its description names the number.
func numbers(body any) any {
	switch v := body.(type) {
	case []any:
		for _, each := range v {
			numbers(each)
		}
	case map[string]any:
		if p, ok := v["default_member_permissions"].(string); ok {
			if n, err := strconv.ParseUint(p, 10, 53); err == nil {
				v["default_member_permissions"] = float64(n)
			}
		}
	}
	return body
}

// saying leaves out what has no meaning: null, false, and what is empty.
func saying(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, each := range v {
			switch e := each.(type) {
			case nil:
				continue
			case bool:
				if !e {
					continue
				}
			case string:
				if e == "" {
					continue
				}
			case []any:
				if len(e) == 0 && k != "components" && k != "embeds" && k != "attachments" {
					continue
				}
			}
			out[k] = saying(each)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, each := range v {
			out = append(out, saying(each))
		}
		return out
	}
	return v
}

// explain finds the field that does not fit, and says it as Discord does.
func explain(schema *openapi3.Schema, v any, path []string) error {
	err := schema.VisitJSON(v)
	if err == nil {
		return nil
	}
	for _, part := range schema.AllOf {
		if err := explain(part.Value, v, path); err != nil {
			return err
		}
	}
	if len(schema.AnyOf) > 0 {
		if one := meant(schema.AnyOf, v); one != nil {
			return explain(one, v, path)
		}
	}
	switch v := v.(type) {
	case []any:
		for i, each := range v {
			if schema.Items == nil {
				break
			}
			if err := explain(schema.Items.Value, each, append(slices.Clone(path), strconv.Itoa(i))); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			p := schema.Properties[k]
			if p == nil {
				if schema.Properties != nil {
					return invalid(strings.Join(append(path, k), "."), "UNKNOWN_FIELD", "Discord's description has no such field.")
				}
				continue
			}
			if err := explain(p.Value, v[k], append(slices.Clone(path), k)); err != nil {
				return err
			}
		}
		for _, k := range schema.Required {
			if _, ok := v[k]; !ok {
				return invalid(strings.Join(append(path, k), "."), "BASE_TYPE_REQUIRED", "This field is required")
			}
		}
	}
	code, sentence := sentenceOf(schema, v)
	return invalid(strings.Join(path, "."), code, sentence)
}

// meant finds which of several shapes a value is to have: a text's is the one of
// texts, an object's the one of its type, or else the one that has all its fields.
func meant(of openapi3.SchemaRefs, v any) *openapi3.Schema {
	o, ok := v.(map[string]any)
	if s, text := v.(string); text {
		for _, one := range of {
			if one.Value.Type.Is("string") && len(one.Value.Enum) == 0 && s != "" {
				return one.Value
			}
		}
	}
	if !ok {
		return nil
	}
	var found []*openapi3.Schema
	for _, s := range of {
		if t := s.Value.Properties["type"]; t != nil && t.Value.Enum != nil && t.Value.VisitJSON(o["type"]) != nil {
			continue
		}
		found = append(found, s.Value)
	}
	if len(found) == 0 {
		return nil
	}
	for _, s := range found {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(o)), func(k string) bool { return s.Properties[k] == nil }) {
			return s
		}
	}
	return found[0]
}

// sentenceOf names what of a schema a value misses.
func sentenceOf(s *openapi3.Schema, v any) (code, sentence string) {
	size := -1
	switch v := v.(type) {
	case string:
		size = utf16Len(v)
	case []any:
		size = len(v)
	}
	most, least := s.MaxLength, s.MinLength
	if _, list := v.([]any); list {
		most, least = s.MaxItems, s.MinItems
	}
	switch {
	case size >= 0 && most != nil && uint64(size) > *most:
		return "BASE_TYPE_MAX_LENGTH", fmt.Sprintf("Must be %d or fewer in length.", *most)
	case size >= 0 && uint64(size) < least:
		return "BASE_TYPE_MIN_LENGTH", fmt.Sprintf("Must be %d or more in length.", least)
	case s.Enum != nil:
		return "BASE_TYPE_CHOICES", fmt.Sprintf("Value must be one of %v.", s.Enum)
	case len(s.AnyOf) > 0:
		return "UNION_TYPE_CHOICES", "Value of field \"type\" must be one of those that are allowed here."
	}
	return "BASE_TYPE_INVALID", fmt.Sprintf("Must be what the description says: %v.", s.Type)
}

// fits holds an answer of this fake to the description.
func (s *Server) fits(rt route, status int, answer any) error {
	r := s.operation(rt).Responses.Value(strconv.Itoa(status))
	if r == nil {
		return fmt.Errorf("the description has no status %d", status)
	}
	content := r.Value.Content["application/json"]
	if content == nil {
		return nil
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	if err := content.Schema.Value.VisitJSON(v); err != nil {
		return fmt.Errorf("the answer %s does not fit the description: %w", raw, err)
	}
	return nil
}

// utf16Len counts as JavaScript does, which is the strictest way to.
func utf16Len(s string) int { return len(utf16.Encode([]rune(s))) }
