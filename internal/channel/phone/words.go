package phone

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// plain makes text harmless for what speaks or shows it: no control characters
// and no change of direction.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\ufffe', r == '\uffff':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// cutAt shortens s to n characters or less, at the end of a sentence or line if
// there is one in its second half, and gives what is left over.
func cutAt(s string, n int) (head, rest string) {
	if utf8.RuneCountInString(s) <= n {
		return s, ""
	}
	end := 0 // of the n-th character
	for i := range s {
		if n == 0 {
			end = i
			break
		}
		n--
	}
	head = s[:end]
	for _, marks := range []string{".!?\n", " "} {
		if i := strings.LastIndexAny(head, marks); i > len(head)/2 {
			return strings.TrimRight(head[:i+1], " \n"), strings.TrimLeft(s[i+1:], " \n")
		}
	}
	return head, s[end:]
}

// mostSaid is how many characters are said at once, a minute of them.
const mostSaid = 1000

// compose puts a reply for the ear, and gives what was left out for "more". What
// somebody is asked to agree to is said whole.
func compose(r dialogue.Reply) (text, rest string) {
	text = r.Speech
	if text == "" {
		text = r.Text
	}
	limits := speech.Limits{Sentences: speech.Brevity, Characters: mostSaid}
	if r.Expect == dialogue.ExpectConfirm || r.Expect == dialogue.ExpectPIN {
		limits = speech.Limits{Characters: maxSay}
	}
	said := speech.Say(plain(text), limits)
	return said.Text, said.Rest
}
