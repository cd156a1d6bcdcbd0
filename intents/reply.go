package intents

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"text/template"

	"github.com/firstmate-ops/firstmate/internal/speech"
)

// Say is a reply: short for the ear, fuller for the eye.
type Say struct{ Speech, Text string }

// Say words the reply of that key. An unknown key and a value that the
// template names but data lacks are errors: a reply with a hole in it could
// mislead about what is going to happen.
func (c *Catalogue) Say(key string, data map[string]any) (Say, error) {
	r, ok := c.replies[key]
	if !ok {
		return Say{}, fmt.Errorf("intents: no reply %q", key)
	}
	if data == nil {
		data = map[string]any{}
	}
	text, err := execute(r.text, data)
	if err != nil {
		return Say{}, fmt.Errorf("intents: %s: reply %q: %w", r.at, key, err)
	}
	speech, err := execute(r.speech, data)
	if err != nil {
		return Say{}, fmt.Errorf("intents: %s: reply %q: speech: %w", r.at, key, err)
	}
	return Say{Speech: speech, Text: text}, nil
}

// CanSay reports whether there is a reply of that key.
func (c *Catalogue) CanSay(key string) bool {
	_, ok := c.replies[key]
	return ok
}

func execute(t *template.Template, data map[string]any) (string, error) {
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}

// newWordings returns what all wordings of a catalogue have in common.
func newWordings() *template.Template {
	return template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"plural": plural,
		"spoken": spoken,
		"join":   joinNames,
		"number": number,
		"quote":  strconv.Quote,
	})
}

// parseReply compiles one wording.
func parseReply(all *template.Template, key, text string) (*template.Template, error) {
	return all.New(key).Parse(text)
}

// plural writes a count with its noun: "1 pod", "5 pods".
func plural(n any, noun string) (string, error) {
	s, err := number(n)
	if err != nil {
		return "", err
	}
	if s == "1" {
		return "1 " + noun, nil
	}
	switch {
	case strings.HasSuffix(noun, "y") && len(noun) > 1 && !strings.ContainsRune("aeiou", rune(noun[len(noun)-2])):
		noun = noun[:len(noun)-1] + "ies"
	case strings.HasSuffix(noun, "s"), strings.HasSuffix(noun, "x"), strings.HasSuffix(noun, "ch"), strings.HasSuffix(noun, "sh"):
		noun += "es"
	default:
		noun += "s"
	}
	return s + " " + noun, nil
}

// number writes a number the shortest way.
func number(n any) (string, error) {
	v := reflect.ValueOf(n)
	switch {
	case !v.IsValid():
		return "", fmt.Errorf("number of nothing")
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), nil
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), nil
	case v.CanFloat():
		return strconv.FormatFloat(v.Float(), 'f', -1, 64), nil
	case v.Kind() == reflect.String:
		return v.String(), nil
	}
	return "", fmt.Errorf("%T is not a number", n)
}

// spoken is a name as it is said: speech has the rules.
func spoken(name any) string { return speech.Name(fmt.Sprint(name)) }

// joinNames lists names the way people do: "web, cart and search".
func joinNames(list any) (string, error) {
	var names []string
	switch v := list.(type) {
	case []string:
		names = v
	case string:
		names = []string{v}
	default:
		rv := reflect.ValueOf(list)
		if !rv.IsValid() {
			return "", nil
		}
		if rv.Kind() != reflect.Slice {
			return "", fmt.Errorf("join: %T is not a list", list)
		}
		for i := range rv.Len() {
			names = append(names, fmt.Sprint(rv.Index(i).Interface()))
		}
	}
	if len(names) < 2 {
		return strings.Join(names, ""), nil
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1], nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
