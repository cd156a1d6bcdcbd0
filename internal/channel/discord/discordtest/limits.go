package discordtest

import (
	"fmt"
	"net/http"
	"strings"
)

// checkMessage refuses what no schema says: sizes of a whole message, what
// excludes each other, and what has to be there.
func checkMessage(m *message) error {
	if utf16Len(m.content) > 2000 {
		return invalid("content", "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length.")
	}
	size := 0
	for i, e := range m.embeds {
		o, _ := e.(map[string]any)
		n := embedSize(o)
		if n == 0 && o["image"] == nil && o["thumbnail"] == nil {
			return invalid(fmt.Sprintf("embeds.%d.description", i), "BASE_TYPE_REQUIRED", "This field is required")
		}
		size += n
		fields, _ := o["fields"].([]any)
		for j, f := range fields {
			for _, k := range []string{"name", "value"} {
				if each, _ := f.(map[string]any); text(each, k) == "" {
					return invalid(fmt.Sprintf("embeds.%d.fields.%d.%s", i, j, k), "BASE_TYPE_REQUIRED", "This field is required")
				}
			}
		}
	}
	v2 := m.flags&componentsV2 != 0
	switch {
	case size > 6000:
		return invalid("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000")
	case v2 && (m.content != "" || len(m.embeds) > 0):
		return invalid("flags", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", "The content and embeds fields cannot be used with the components that this flag is for.")
	case len(m.files) > 10:
		return invalid("attachments", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
	}
	if err := checkComponents(m.components, v2); err != nil {
		return err
	}
	if m.flags&voiceMessage != 0 {
		return checkVoice(m)
	}
	if m.content == "" && len(m.embeds) == 0 && len(m.files) == 0 && len(m.components) == 0 && m.flags&loading == 0 {
		return refused(http.StatusBadRequest, 50006, "Cannot send an empty message")
	}
	return nil
}

func embedSize(o map[string]any) int {
	size := 0
	add := func(o map[string]any, fields ...string) {
		for _, f := range fields {
			size += utf16Len(text(o, f))
		}
	}
	nested := func(k string) map[string]any { v, _ := o[k].(map[string]any); return v }
	add(o, "title", "description")
	add(nested("footer"), "text")
	add(nested("author"), "name")
	fields, _ := o["fields"].([]any)
	for _, f := range fields {
		each, _ := f.(map[string]any)
		add(each, "name", "value")
	}
	return size
}

func checkVoice(m *message) error {
	switch {
	case m.content != "" || len(m.embeds) > 0 || len(m.components) > 0:
		return refused(http.StatusBadRequest, 50159, "Voice messages do not support additional content.")
	case len(m.files) != 1 || !strings.HasPrefix(m.files[0].kind, "audio/") && m.files[0].kind != "application/ogg":
		return refused(http.StatusBadRequest, 50160, "Voice messages must have a single audio attachment.")
	case m.files[0].waveform == "" || m.files[0].seconds <= 0:
		return refused(http.StatusBadRequest, 50161, "Voice messages must have supporting metadata.")
	}
	return nil
}

// walk visits components, also those within others.
func walk(components []any, visit func(map[string]any)) {
	for _, c := range components {
		o, ok := c.(map[string]any)
		if !ok {
			continue
		}
		visit(o)
		within, _ := o["components"].([]any)
		walk(within, visit)
		for _, k := range []string{"accessory", "component"} {
			if one, ok := o[k].(map[string]any); ok {
				walk([]any{one}, visit)
			}
		}
	}
}

// completed gives components the numbers, and the defaults, that Discord adds.
func completed(components []any) {
	next := 1
	walk(components, func(o map[string]any) {
		if id, ok := o["id"].(float64); !ok || id == 0 {
			o["id"] = float64(next)
		}
		next++
		defaults := map[float64]map[string]any{
			3: {"min_values": 1.0, "max_values": 1.0}, 5: {"min_values": 1.0, "max_values": 1.0}, 6: {"min_values": 1.0, "max_values": 1.0},
			7: {"min_values": 1.0, "max_values": 1.0}, 8: {"min_values": 1.0, "max_values": 1.0},
			14: {"spacing": 1.0, "divider": true}, 17: {"accent_color": nil, "spoiler": false},
		}
		kind, _ := o["type"].(float64)
		for k, v := range defaults[kind] {
			if _, ok := o[k]; !ok {
				o[k] = v
			}
		}
	})
}

func checkComponents(components []any, v2 bool) error {
	if !v2 && len(components) > 5 {
		return invalid("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
	}
	for i, c := range components {
		o, _ := c.(map[string]any)
		where := fmt.Sprintf("components.%d", i)
		if !v2 && o["type"] != 1.0 {
			return invalid(where+".type", "BASE_TYPE_CHOICES", "Value must be one of {1}.")
		}
		if err := checkRow(o, where); err != nil {
			return err
		}
	}
	seen, all, text := map[any]bool{}, 0, 0
	var err error
	walk(components, func(o map[string]any) {
		all++
		if s, ok := o["content"].(string); ok {
			text += utf16Len(s)
		}
		id, ok := o["custom_id"]
		if ok && seen[id] && err == nil {
			err = invalid("components", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
		}
		seen[id] = ok
		if err == nil {
			err = checkComponent(o)
		}
	})
	switch {
	case err != nil:
		return err
	case all > 40:
		return invalid("components", "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", "The maximum number of components is 40.")
	case text > 4000:
		return invalid("components", "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", "Total displayable text size exceeds maximum size of 4000")
	}
	return nil
}

// checkRow holds a row to five buttons, or one menu.
func checkRow(o map[string]any, where string) error {
	if o["type"] != 1.0 {
		return nil
	}
	within, _ := o["components"].([]any)
	width := 0
	for _, c := range within {
		each, _ := c.(map[string]any)
		if each["type"] == 2.0 {
			width++
		} else {
			width += 5
		}
	}
	if width > 5 {
		return invalid(where, "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "The maximum number of components in a row is 5 buttons or one menu.")
	}
	return nil
}

func checkComponent(o map[string]any) error {
	switch o["type"] {
	case 2.0:
		style, link := o["style"], o["url"] != nil
		id, _ := o["custom_id"].(string)
		label, _ := o["label"].(string)
		switch {
		case style == 5.0 && (!link || id != ""):
			return invalid("components", "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE", "A link has a url and no custom id.")
		case style != 5.0 && style != 6.0 && (id == "" || link):
			return invalid("components", "BUTTON_COMPONENT_CUSTOM_ID_REQUIRED", "A custom id is required")
		case label == "" && o["emoji"] == nil:
			return invalid("components", "BUTTON_COMPONENT_INVALID_LABEL", "A label or an emoji is required")
		}
	case 3.0:
		options, _ := o["options"].([]any)
		seen := map[any]bool{}
		for _, each := range options {
			v, _ := each.(map[string]any)
			if seen[v["value"]] {
				return invalid("components", "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "The specified option value is already used")
			}
			seen[v["value"]] = true
		}
		if most, ok := o["max_values"].(float64); ok && int(most) > len(options) {
			return invalid("components", "SELECT_COMPONENT_MAX_VALUES_TOO_BIG", "There are fewer options than may be chosen")
		}
	}
	return nil
}
