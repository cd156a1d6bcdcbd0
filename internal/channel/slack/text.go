package slack

import (
	"regexp"
	"strings"
)

// escape makes text that anybody may have written harmless in Slack's markup: nobody is
// called, and nothing becomes a link.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// unescape is the opposite, for what Slack hands out.
func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

// marked is what Slack puts between angle brackets: somebody, a channel, a link.
var marked = regexp.MustCompile(`<([^<>]*)>`)

// said is a message as it was said: without the mentions of ourselves, and with names
// and links as they are read. mentioned is whether we were, others whether somebody else
// was.
func said(text, self string) (words string, mentioned, others bool) {
	words = marked.ReplaceAllStringFunc(text, func(m string) string {
		inner, label, labelled := strings.Cut(m[1:len(m)-1], "|")
		switch {
		case strings.HasPrefix(inner, "@"):
			if inner[1:] == self && self != "" {
				mentioned = true
				return " "
			}
			others = true
			if labelled {
				return "@" + label
			}
			return inner
		case strings.HasPrefix(inner, "#"), strings.HasPrefix(inner, "!"):
			if labelled {
				return inner[:1] + strings.TrimLeft(label, "@#")
			}
			return inner
		case labelled: // "web.shop", which Slack takes for an address
			return label
		}
		return strings.TrimPrefix(strings.TrimPrefix(inner, "mailto:"), "tel:")
	})
	return plain(words), mentioned, others
}

// plain is text without Slack's marks for code and bold, and without its escapes.
func plain(s string) string {
	s = strings.NewReplacer("```", " ", "`", "").Replace(s)
	fields := strings.Fields(s)
	for i, f := range fields {
		if t := strings.Trim(f, "*"); t != "" {
			fields[i] = t
		}
	}
	return unescape(strings.Join(fields, " "))
}

// clip is the beginning of a text, of at most n characters.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// pieces cuts text into parts of at most n characters, at the end of a line where there
// is one.
func pieces(s string, n int) []string {
	var out []string
	for {
		r := []rune(s)
		if len(r) <= n {
			break
		}
		head := string(r[:n])
		if i := strings.LastIndexByte(head, '\n'); i > 0 {
			out, s = append(out, head[:i]), s[i+1:]
			continue
		}
		out, s = append(out, head), s[len(head):]
	}
	if strings.TrimSpace(s) != "" {
		out = append(out, s)
	}
	return out
}
