package slacktest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// surface is where blocks are shown.
type surface int

const (
	onMessage surface = iota
	inModal
	inHome
)

// checker notes what is wrong, in Slack's words.
type checker struct {
	where surface
	wrong []string
}

func (c *checker) no(at, format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...)+" [json-pointer:"+at+"]")
}

// rule checks one value.
type rule func(c *checker, at string, v any)

// spec is what an object may hold. A name with ! must be there.
type spec map[string]rule

// object checks that v holds what it must and nothing else.
func (s spec) object(c *checker, at string, v any) {
	o, ok := v.(object)
	if !ok {
		c.no(at, "must provide an object")
		return
	}
	for name := range s {
		if n, must := strings.CutSuffix(name, "!"); must && o[n] == nil {
			c.no(at, "missing required field: %s", n)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		r := s[name]
		if r == nil {
			r = s[name+"!"]
		}
		switch {
		case r == nil && name != "type":
			c.no(at, "invalid additional property: %s", name)
		case r != nil && (o[name] != nil || s[name] != nil):
			r(c, at+"/"+name, o[name])
		}
	}
}

func str(least, most int) rule {
	return func(c *checker, at string, v any) {
		s, ok := v.(string)
		switch n := utf8.RuneCountInString(s); {
		case !ok:
			c.no(at, "must provide a string")
		case n < least:
			c.no(at, "must be more than %d characters", least-1)
		case n > most:
			c.no(at, "must be less than %d characters", most+1)
		}
	}
}

func among(values ...string) rule {
	return func(c *checker, at string, v any) {
		if s, ok := v.(string); !ok || !slices.Contains(values, s) {
			c.no(at, "value must be one of: %s", strings.Join(values, ", "))
		}
	}
}

func flag(c *checker, at string, v any) {
	if _, ok := v.(bool); !ok {
		c.no(at, "must provide a boolean")
	}
}

func number(c *checker, at string, v any) {
	if _, ok := v.(float64); !ok {
		c.no(at, "must provide a number")
	}
}

func address(c *checker, at string, v any) {
	str(1, 3000)(c, at, v)
	s, _ := v.(string)
	if u, err := url.Parse(s); err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" {
		c.no(at, "invalid URL: %s", s)
	}
}

func anything(*checker, string, any) {}

func list(least, most int, each rule) rule {
	return func(c *checker, at string, v any) {
		l, ok := v.([]any)
		switch {
		case !ok:
			c.no(at, "must provide an array")
			return
		case len(l) < least:
			c.no(at, "no fewer than %d items allowed", least)
		case len(l) > most:
			c.no(at, "no more than %d items allowed", most)
		}
		for i, e := range l {
			each(c, fmt.Sprintf("%s/%d", at, i), e)
		}
	}
}

// text is a text object; plain says that no markup is allowed.
func text(plain bool, most int) rule {
	return func(c *checker, at string, v any) {
		o, _ := v.(object)
		switch kind, _ := o["type"].(string); {
		case kind == "plain_text":
			spec{"text!": str(1, most), "emoji": flag}.object(c, at, v)
		case kind == "mrkdwn" && !plain:
			spec{"text!": str(1, most), "verbatim": flag}.object(c, at, v)
		default:
			c.no(at, "unsupported type: %s", kind)
		}
	}
}

// kinds checks an object by its type, among those that are allowed here.
func kinds(all func() map[string]spec, allowed string) rule {
	return func(c *checker, at string, v any) {
		o, ok := v.(object)
		if !ok {
			c.no(at, "must provide an object")
			return
		}
		kind, _ := o["type"].(string)
		s, known := all()[kind]
		if !known || !slices.Contains(strings.Fields(allowed), kind) {
			c.no(at+"/type", "unsupported type: %s", kind)
			return
		}
		s.object(c, at, v)
	}
}

const (
	menus    = "static_select external_select users_select conversations_select channels_select multi_static_select multi_external_select multi_users_select multi_conversations_select multi_channels_select"
	choosers = menus + " checkboxes radio_buttons datepicker timepicker datetimepicker"
)

// element is an element and whether somebody can do something with it.
type element struct {
	spec        spec
	interactive bool
}

func specs() map[string]spec {
	out := map[string]spec{}
	for k, e := range elements() {
		out[k] = e.spec
	}
	return out
}

// elements are the elements of blocks.
func elements() map[string]element {
	confirm := spec{"title": text(true, 100), "text!": text(false, 300), "confirm": text(true, 30), "deny": text(true, 30), "style": among("primary", "danger")}.object
	option := spec{"text!": text(false, 75), "value!": str(1, 150), "description": text(false, 75), "url": address}.object
	plainOption := spec{"text!": text(true, 75), "value!": str(1, 150), "description": text(true, 75), "url": address}.object
	group := spec{"label!": text(true, 75), "options!": list(1, 100, plainOption)}.object
	image := spec{"image_url": address, "slack_file": anything, "alt_text!": str(1, 2000)}
	out := map[string]element{"image": {spec: image}}
	add := func(kind string, parts ...spec) {
		all := spec{"action_id": str(1, 255)}
		for _, p := range parts {
			maps.Copy(all, p)
		}
		out[kind] = element{all, true}
	}
	focus, ask, holder := spec{"focus_on_load": flag}, spec{"confirm": confirm}, spec{"placeholder": text(true, 150)}
	add("button", ask, spec{"text!": text(true, 75), "value": str(0, 2000), "url": address, "style": among("primary", "danger"), "accessibility_label": str(1, 75)})
	add("workflow_button", ask, spec{"text!": text(true, 75), "workflow!": anything, "style": among("primary", "danger"), "accessibility_label": str(1, 75)})
	add("overflow", ask, spec{"options!": list(1, 5, plainOption)})
	add("checkboxes", ask, focus, spec{"options!": list(1, 10, option), "initial_options": list(1, 10, option)})
	add("radio_buttons", ask, focus, spec{"options!": list(1, 10, option), "initial_option": option})
	add("datepicker", ask, focus, holder, spec{"initial_date": str(10, 10)})
	add("timepicker", ask, focus, holder, spec{"initial_time": str(5, 5), "timezone": str(1, 100)})
	add("datetimepicker", ask, focus, spec{"initial_date_time": number})
	add("plain_text_input", focus, holder, spec{"initial_value": str(0, 3000), "multiline": flag, "min_length": number, "max_length": number, "dispatch_action_config": anything})
	add("email_text_input", focus, holder, spec{"initial_value": str(0, 3000), "dispatch_action_config": anything})
	add("url_text_input", focus, holder, spec{"initial_value": str(0, 3000), "dispatch_action_config": anything})
	add("number_input", focus, holder, spec{"is_decimal_allowed!": flag, "initial_value": str(1, 100), "min_value": str(1, 100), "max_value": str(1, 100), "dispatch_action_config": anything})
	add("rich_text_input", focus, holder, spec{"initial_value": anything, "dispatch_action_config": anything})
	add("file_input", spec{"filetypes": list(1, 100, str(1, 20)), "max_files": number})
	add("static_select", ask, focus, holder, spec{"options": list(1, 100, plainOption), "option_groups": list(1, 100, group), "initial_option": plainOption})
	add("multi_static_select", ask, focus, holder, spec{"options": list(1, 100, plainOption), "option_groups": list(1, 100, group), "initial_options": list(1, 100, plainOption), "max_selected_items": number})
	add("external_select", ask, focus, holder, spec{"initial_option": plainOption, "min_query_length": number})
	add("multi_external_select", ask, focus, holder, spec{"initial_options": list(1, 100, plainOption), "min_query_length": number, "max_selected_items": number})
	for _, of := range []string{"user", "conversation", "channel"} {
		one, many := spec{"initial_" + of: str(1, 100)}, spec{"initial_" + of + "s": list(1, 100, str(1, 100)), "max_selected_items": number}
		more := spec{}
		if of != "user" {
			one["response_url_enabled"] = flag
		}
		if of == "conversation" {
			more = spec{"default_to_current_conversation": flag, "filter": anything}
		}
		add(of+"s_select", ask, focus, holder, one, more)
		add("multi_"+of+"s_select", ask, focus, holder, many, more)
	}
	feedback := spec{"text!": text(true, 75), "value!": str(1, 2000), "accessibility_label": str(1, 75)}.object
	add("feedback_buttons", spec{"positive_button!": feedback, "negative_button!": feedback})
	add("icon_button", ask, spec{"icon!": str(1, 50), "text!": text(true, 75), "value": str(0, 2000), "accessibility_label": str(1, 75), "visible_to_user_ids": list(0, 100, str(1, 20))})
	return out
}

// richText are the elements of rich text.
func richText() map[string]spec {
	style := spec{"bold": flag, "italic": flag, "strike": flag, "code": flag, "underline": flag, "highlight": flag, "client_highlight": flag, "unlink": flag}.object
	const inline = "text link user usergroup broadcast channel emoji date color team"
	part := kinds(richText, inline)
	return map[string]spec{
		"rich_text_section":      {"elements!": list(0, 1000, part)},
		"rich_text_quote":        {"elements!": list(0, 1000, part), "border": number},
		"rich_text_preformatted": {"elements!": list(0, 1000, kinds(richText, "text link")), "border": number, "language": str(1, 50)},
		"rich_text_list":         {"elements!": list(0, 1000, kinds(richText, "rich_text_section")), "style!": among("bullet", "ordered"), "indent": number, "offset": number, "border": number},
		"text":                   {"text!": str(1, 12000), "style": style},
		"link":                   {"url!": address, "text": str(0, 3000), "unsafe": flag, "style": style},
		"user":                   {"user_id!": str(1, 20), "style": style},
		"usergroup":              {"usergroup_id!": str(1, 20), "style": style},
		"team":                   {"team_id!": str(1, 20), "style": style},
		"channel":                {"channel_id!": str(1, 20), "style": style},
		"broadcast":              {"range!": among("here", "channel", "everyone"), "style": style},
		"emoji":                  {"name!": str(1, 100), "unicode": str(1, 100), "url": address, "style": style},
		"color":                  {"value!": str(1, 20), "style": style},
		"date":                   {"timestamp!": number, "format!": str(1, 200), "url": address, "fallback": str(1, 200), "style": style},
	}
}

// blocks are the blocks that there are.
func blocks() map[string]spec {
	of := func(allowed string) rule { return kinds(specs, allowed) }
	rich := spec{"elements!": list(0, 1000, kinds(richText, "rich_text_section rich_text_list rich_text_quote rich_text_preformatted"))}
	cell := func(c *checker, at string, v any) {
		kinds(func() map[string]spec {
			return map[string]spec{"raw_text": {"text!": str(1, 3000)}, "raw_number": {"value!": number, "text!": str(1, 3000)}, "rich_text": rich}
		}, "raw_text raw_number rich_text")(c, at, v)
	}
	image := func(c *checker, at string, v any) {
		if o, _ := v.(object); o["type"] == "image" {
			elements()["image"].spec.object(c, at, v)
		} else {
			text(false, 3000)(c, at, v)
		}
	}
	column := func(c *checker, at string, v any) {
		if v != nil {
			spec{"align": among("left", "center", "right"), "is_wrapped": flag}.object(c, at, v)
		}
	}
	out := map[string]spec{
		"actions":         {"elements!": list(1, 25, of(choosers+" button overflow workflow_button rich_text_input"))},
		"context":         {"elements!": list(1, 10, image)},
		"context_actions": {"elements!": list(1, 5, of("feedback_buttons icon_button"))},
		"divider":         {},
		"header":          {"text!": text(true, 150), "level": number},
		"image":           {"image_url": address, "slack_file": anything, "alt_text!": str(1, 2000), "title": text(true, 2000)},
		"input":           {"label!": text(true, 2000), "hint": text(true, 2000), "optional": flag, "dispatch_action": flag, "element!": of(choosers + " plain_text_input email_text_input url_text_input number_input rich_text_input file_input")},
		"markdown":        {"text!": str(1, 12000)},
		"rich_text":       rich,
		"section":         {"text": text(false, 3000), "fields": list(1, 10, text(false, 2000)), "accessory": of(choosers + " button overflow workflow_button image"), "expand": flag},
		"table":           {"rows!": list(1, 100, list(1, 20, cell)), "column_settings": list(0, 20, column)},
		"video":           {"video_url!": address, "thumbnail_url!": address, "alt_text!": str(1, 2000), "title!": text(true, 199), "title_url": address, "author_name": str(1, 49), "provider_name": str(1, 2000), "provider_icon_url": address, "description": text(true, 200)},
	}
	for _, s := range out {
		s["block_id"] = str(1, 255)
	}
	return out
}

// checkBlocks says what Slack would say is wrong with blocks.
func checkBlocks(l []any, where surface) []string {
	c := &checker{where: where}
	c.blocks(l, "/blocks")
	return c.wrong
}

func (c *checker) blocks(l []any, at string) {
	most, allowed := 100, "actions context divider header image input rich_text section video"
	if c.where == onMessage {
		most, allowed = 50, allowed+" markdown table context_actions"
	}
	list(0, most, kinds(blocks, allowed))(c, at, l)
	ids, tables, markdown := map[string]bool{}, 0, 0
	for i, v := range l {
		b, _ := v.(object)
		here := fmt.Sprintf("%s/%d", at, i)
		if id, _ := b["block_id"].(string); id != "" {
			if ids[id] {
				c.no(here+"/block_id", "`block_id` %q already exists", id)
			}
			ids[id] = true
		}
		switch b["type"] {
		case "section":
			if b["text"] == nil && b["fields"] == nil {
				c.no(here+"/type", "must define either `text` or `fields`")
			}
		case "image":
			c.picture(here, b)
		case "table":
			if tables++; tables > 1 {
				c.no(here, "only_one_table_allowed")
			}
			if textOf([]any{b["rows"]}) > 10000 {
				c.no(here+"/rows", "must be less than 10001 characters")
			}
		case "markdown":
			s, _ := b["text"].(string)
			if markdown += utf8.RuneCountInString(s); markdown > 12000 {
				c.no(here+"/text", "must be less than 12001 characters")
			}
		}
		c.actions(here, b)
	}
}

// picture checks that an image comes from somewhere.
func (c *checker) picture(at string, o object) {
	if (o["image_url"] == nil) == (o["slack_file"] == nil) {
		c.no(at, "must define either `image_url` or `slack_file`")
	}
}

// actions checks what concerns several elements of a block.
func (c *checker) actions(at string, b object) {
	ids, focus := map[string]bool{}, 0
	l, _ := b["elements"].([]any)
	for i, v := range append(slices.Clone(l), b["element"], b["accessory"]) {
		e, _ := v.(object)
		here := fmt.Sprintf("%s/elements/%d", at, i)
		switch kind, _ := e["type"].(string); kind {
		case "image":
			c.picture(here, e)
		case "static_select", "multi_static_select":
			if (e["options"] == nil) == (e["option_groups"] == nil) {
				c.no(here, "must define either `options` or `option_groups`")
			}
		}
		if f, _ := e["focus_on_load"].(bool); f {
			focus++
		}
		if id, _ := e["action_id"].(string); id != "" {
			if ids[id] {
				c.no(here+"/action_id", "`action_id` %q already exists for another element of the block", id)
			}
			ids[id] = true
		}
	}
	if focus > 1 {
		c.no(at, "only one element may have `focus_on_load`")
	}
}

// checkView says what Slack would say is wrong with a view.
func checkView(v object) []string {
	c := &checker{where: inHome}
	all := spec{"type!": anything, "blocks!": anything, "private_metadata": str(0, 3000), "callback_id": str(0, 255), "external_id": str(0, 255)}
	if v["type"] == "modal" {
		c.where = inModal
		maps.Copy(all, spec{"title!": text(true, 24), "close": text(true, 24), "submit": text(true, 24), "clear_on_close": flag, "notify_on_close": flag, "submit_disabled": flag})
	}
	all.object(c, "/view", v)
	l, ok := v["blocks"].([]any)
	if !ok {
		return append(c.wrong, "must provide an array [json-pointer:/view/blocks]")
	}
	c.blocks(l, "/view/blocks")
	for i, x := range l {
		if b, _ := x.(object); b["type"] == "input" && c.where == inModal && v["submit"] == nil {
			c.no(fmt.Sprintf("/view/blocks/%d/input", i), "must define `submit` to use an `input` block in modals")
		}
	}
	return c.wrong
}

// textOf is how many characters are in the texts of blocks.
func textOf(v any) int {
	n := 0
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n += textOf(e)
		}
	case object:
		for k, e := range v {
			if s, ok := e.(string); ok && k == "text" {
				n += utf8.RuneCountInString(s)
			} else {
				n += textOf(e)
			}
		}
	}
	return n
}
