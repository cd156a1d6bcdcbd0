package discord

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// escaped makes a text plain in Discord's markdown: nothing in it formats, links,
// mentions or opens a preview.
func escaped(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	fresh := true // only blanks since the line began
	for i, r := range s {
		switch {
		case strings.ContainsRune("\\*_~`|<>[]@#", r),
			fresh && strings.ContainsRune("-+", r),
			r == ':' && strings.HasPrefix(s[i+1:], "//"):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		switch {
		case r == '\n':
			fresh = true
		case r != ' ' && r != '\t':
			fresh = false
		}
	}
	return b.String()
}

// fenced is a text in a code block, which it cannot leave.
func fenced(language, s string) string {
	return "```" + language + "\n" + strings.ReplaceAll(strings.TrimRight(s, "\n"), "```", "`\u200b`\u200b`") + "\n```"
}

// units is how long a text is to Discord.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// clip cuts a text to so many units, with an ellipsis where something is missing.
func clip(s string, most int) string {
	if units(s) <= most {
		return s
	}
	n := 0
	for i, r := range s {
		if n += max(1, utf16.RuneLen(r)); n > most-1 {
			return strings.TrimRight(s[:i], " \\") + "…"
		}
	}
	return s
}

// clipLines cuts a text to so many units at the end of a line, where it has one.
func clipLines(s string, most int) string {
	if units(s) <= most {
		return s
	}
	cut := clip(s, most)
	if i := strings.LastIndexByte(cut, '\n'); i > 0 {
		return cut[:i]
	}
	return cut
}

// plain is a text on one line, for labels and names.
func plain(s string, most int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	return clip(s, most)
}

// width is how many columns a text takes in a code block.
func width(s string) int { return utf8.RuneCountInString(s) }
