package speech

import (
	"strings"
	"unicode/utf8"
)

// Brevity is how many sentences are said at once to somebody who listens.
const Brevity = 2

// Say puts a reply's words for the ear, within limits. What does not fit is left
// for "more", by sentences. Words that somebody is going to agree to are to be
// said whole: their limits have no Sentences.
func Say(text string, l Limits) Spoken {
	now, rest := Brief(text, l.Sentences)
	said := Sentences(Ear(now))
	var out Spoken
	fits := func(said []string) bool {
		var m Markup
		for _, s := range said {
			m.Sentence(s)
		}
		out.Text, out.SSML = strings.Join(said, " "), m.Document()
		return l.Characters <= 0 || utf8.RuneCountInString(out.SSML) <= l.Characters
	}
	if fits(said) {
		out.Rest, out.Cut = rest, rest != ""
		return out
	}
	out.Cut = true
	last := ""
	if n := len(said); n > 1 && asks(said[n-1]) {
		last = said[n-1]
	}
	for n := len(said) - 1; n > 0; n-- {
		kept := said[:n:n]
		left := strings.Join(said[n:], " ")
		if last != "" && n < len(said)-1 { // what is asked stays
			kept = append(kept, last)
			left = strings.Join(said[n:len(said)-1], " ")
		}
		if (last == "" || len(kept) > n) && fits(kept) {
			out.Rest = join(left, rest)
			return out
		}
	}
	// Not even one sentence fits: it ends at a word.
	words := strings.Fields(strings.Join(said, " "))
	for n := len(words) - 1; n >= 0; n-- {
		kept := []string{strings.TrimRight(strings.Join(words[:n], " "), ",;:") + "."}
		if n == 0 {
			kept = nil
		}
		if fits(kept) {
			out.Rest = join(strings.Join(words[n:], " "), rest)
			return out
		}
	}
	out.Text, out.SSML, out.Rest = "", "", join(strings.Join(said, " "), rest) // not even an empty document fits
	return out
}

// Brief takes the first n sentences of a reply, and the question at its end, which
// is what the conversation goes on with. n of 0 takes all. Neither part is put for
// the ear yet.
func Brief(text string, n int) (now, rest string) {
	all := Sentences(text)
	last := len(all) - 1
	if n <= 0 || len(all) <= n || len(all) == n+1 && asks(all[last]) {
		return strings.Join(all, " "), ""
	}
	if !asks(all[last]) {
		return strings.Join(all[:n], " "), strings.Join(all[n:], " ")
	}
	return join(strings.Join(all[:n], " "), all[last]), strings.Join(all[n:last], " ")
}

func asks(sentence string) bool { return strings.HasSuffix(strings.TrimRight(sentence, `”"')`), "?") }

func join(a, b string) string { return strings.TrimSpace(a + " " + b) }

// Sentences splits a text where a sentence or a line ends. Dots within numbers and
// names are no ends, nor is one behind a short form.
func Sentences(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		var words []string
		end := func() {
			if len(words) > 0 {
				out = append(out, strings.Join(words, " "))
			}
			words = nil
		}
		for w := range strings.FieldsSeq(line) {
			words = append(words, w)
			bare := strings.TrimRight(w, `”"')`)
			switch {
			case strings.HasSuffix(bare, "!"), strings.HasSuffix(bare, "?"), strings.HasSuffix(bare, "…"):
				end()
			case strings.HasSuffix(bare, ".") && !shortForm(strings.ToLower(bare)):
				end()
			}
		}
		end()
	}
	return out
}

// shortForm reports words whose dot ends no sentence.
func shortForm(w string) bool {
	switch strings.TrimLeft(w, `(“"'`) {
	case "e.g.", "i.e.", "vs.", "approx.", "no.", "incl.", "mr.", "ms.", "dr.":
		return w != "no." // "No." is an answer
	}
	return false
}
