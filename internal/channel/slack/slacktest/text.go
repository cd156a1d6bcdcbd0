package slacktest

import (
	"regexp"
	"slices"
	"strings"
)

var (
	control   = regexp.MustCompile(`<([^<>\n]+)>`)
	kept      = regexp.MustCompile(`<(?:[@#!][^<>\s]+|(?:https?://|mailto:)[^<>\s]+)>`)
	bareURL   = regexp.MustCompile(`\bhttps?://[^\s<>|]+|\b(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:com|org|net|io|dev|app)\b(?:/[^\s<>|]*)?`)
	broadcast = regexp.MustCompile(`(?:^|[^\w@])@(here|channel|everyone)\b`)
)

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

// typed is what Slack makes of what a person typed: &, < and > are escaped but
// in mentions and links, and what looks like an address becomes a link.
func typed(text string) string {
	var out strings.Builder
	at := 0
	plain := func(s string) {
		last := 0
		for _, m := range bareURL.FindAllStringIndex(s, -1) {
			url := s[m[0]:m[1]]
			out.WriteString(escape(s[last:m[0]]))
			if last = m[1]; strings.HasPrefix(url, "http") {
				out.WriteString("<" + escape(url) + ">")
			} else {
				out.WriteString("<http://" + url + "|" + url + ">")
			}
		}
		out.WriteString(escape(s[last:]))
	}
	for _, m := range kept.FindAllStringIndex(text, -1) {
		plain(text[at:m[0]])
		out.WriteString(text[m[0]:m[1]])
		at = m[1]
	}
	plain(text[at:])
	return out.String()
}

// reading is what a reader gets of a message.
type reading struct {
	lines    []string
	mentions []string // users, user groups and @channel, @here, @everyone
	links    []string
	buttons  []Button
}

func (r *reading) mention(who string) {
	if !slices.Contains(r.mentions, who) {
		r.mentions = append(r.mentions, who)
	}
}

// markup reads a text with markup. auto says that names and addresses without
// markup count too.
func (r *reading) markup(text string, auto bool) string {
	for _, m := range control.FindAllStringSubmatch(text, -1) {
		what, _, _ := strings.Cut(m[1], "|")
		switch {
		case strings.HasPrefix(what, "@"):
			r.mention(what[1:])
		case strings.HasPrefix(what, "!subteam^"):
			r.mention(strings.TrimPrefix(what, "!subteam^"))
		case strings.HasPrefix(what, "!date^"):
		case strings.HasPrefix(what, "!"):
			r.mention("@" + what[1:])
		case !strings.HasPrefix(what, "#"):
			r.links = append(r.links, unescape(what))
		}
	}
	if auto {
		rest := control.ReplaceAllString(text, " ")
		for _, m := range broadcast.FindAllStringSubmatch(rest, -1) {
			r.mention("@" + m[1])
		}
		for _, url := range bareURL.FindAllString(rest, -1) {
			r.links = append(r.links, unescape(url))
		}
	}
	return unescape(control.ReplaceAllStringFunc(text, func(m string) string {
		what, label, ok := strings.Cut(m[1:len(m)-1], "|")
		switch {
		case ok:
			return label
		case strings.HasPrefix(what, "!"):
			return "@" + what[1:]
		}
		return what
	}))
}

// read reads blocks that were found valid.
func (r *reading) read(blocks []any) {
	for _, b := range blocks {
		r.block(b)
	}
}

func (r *reading) line(s string) {
	if s != "" {
		r.lines = append(r.lines, s)
	}
}

func (r *reading) block(v any) {
	b, _ := v.(object)
	switch kind, _ := b["type"].(string); kind {
	case "table", "data_table":
		rows, _ := b["rows"].([]any)
		for _, row := range rows {
			var cells []string
			list, _ := row.([]any)
			for _, c := range list {
				cells = append(cells, r.inline(c))
			}
			r.line(strings.Join(cells, "\t"))
		}
	case "context":
		var parts []string
		list, _ := b["elements"].([]any)
		for _, e := range list {
			parts = append(parts, r.inline(e))
		}
		r.line(strings.Join(parts, " "))
	case "actions", "context_actions":
		list, _ := b["elements"].([]any)
		for _, e := range list {
			r.element(b, e)
		}
	case "rich_text":
		r.line(r.inline(b))
	case "markdown":
		s, _ := b["text"].(string)
		r.line(r.markup(s, true))
	case "input":
		r.line(r.inline(b["label"]))
		r.element(b, b["element"])
	case "image":
		s, _ := b["alt_text"].(string)
		r.line(r.inline(b["title"]))
		r.line(s)
	default:
		for _, key := range []string{"title", "subtitle", "text", "body"} {
			r.line(r.inline(b[key]))
		}
		fields, _ := b["fields"].([]any)
		for _, f := range fields {
			r.line(r.inline(f))
		}
		if a, ok := b["accessory"].(object); ok {
			r.element(b, a)
		}
		for _, key := range []string{"actions", "child_blocks"} {
			list, _ := b[key].([]any)
			for _, e := range list {
				if r.block(e); key == "actions" {
					r.element(b, e)
				}
			}
		}
	}
}

// element reads what can be clicked or chosen.
func (r *reading) element(block object, v any) {
	e, _ := v.(object)
	str := func(key string) string { s, _ := e[key].(string); return s }
	id, _ := block["block_id"].(string)
	b := Button{Kind: str("type"), ID: str("action_id"), Block: id, Value: str("value"), Style: str("style"), URL: str("url"), Label: (&reading{}).inline(e["text"]), json: e}
	if b.Kind == "image" {
		return
	}
	options, _ := e["options"].([]any)
	groups, _ := e["option_groups"].([]any)
	for _, g := range groups {
		o, _ := g.(object)
		more, _ := o["options"].([]any)
		options = append(options, more...)
	}
	for _, o := range options {
		opt, _ := o.(object)
		value, _ := opt["value"].(string)
		b.Options = append(b.Options, Option{Label: (&reading{}).inline(opt["text"]), Value: value, json: opt})
	}
	if b.URL != "" {
		r.links = append(r.links, b.URL)
	}
	r.buttons = append(r.buttons, b)
}

// inline reads a text object, or an element of rich text with what is in it.
func (r *reading) inline(v any) string {
	e, _ := v.(object)
	str := func(key string) string { s, _ := e[key].(string); return s }
	switch str("type") {
	case "mrkdwn":
		verbatim, _ := e["verbatim"].(bool)
		return r.markup(str("text"), !verbatim)
	case "plain_text", "text", "raw_text", "raw_number":
		return str("text")
	case "user":
		r.mention(str("user_id"))
		return "@" + str("user_id")
	case "usergroup":
		r.mention(str("usergroup_id"))
		return "@" + str("usergroup_id")
	case "broadcast":
		r.mention("@" + str("range"))
		return "@" + str("range")
	case "channel":
		return "#" + str("channel_id")
	case "emoji":
		return ":" + str("name") + ":"
	case "link":
		r.links = append(r.links, str("url"))
		if str("text") != "" {
			return str("text")
		}
		return str("url")
	case "image":
		return str("alt_text")
	case "rich_text", "rich_text_section", "rich_text_preformatted", "rich_text_quote", "rich_text_list":
		var parts []string
		list, _ := e["elements"].([]any)
		for _, x := range list {
			parts = append(parts, r.inline(x))
		}
		if str("type") == "rich_text" || str("type") == "rich_text_list" {
			return strings.Join(parts, "\n")
		}
		return strings.Join(parts, "")
	}
	return ""
}
