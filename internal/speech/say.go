package speech

import (
	"strings"
	"unicode/utf8"
)

// Brevity is how many sentences are said at once to somebody who listens.
const Brevity = 2

// Say puts a reply's words for the ear, within limits. What does not fit is left
// for "more", by sentences. Words that somebody is going to agree to are to be
// said whole: their limits have no Sentences. Of a text that is far longer than
// what may be said, no more than that is looked at.
func Say(text string, l Limits) Spoken {
	now, rest := Brief(text, l.Sentences)
	if l.Characters > 0 && len(now) > window(l.Characters) {
		var left string
		now, left = near(now, window(l.Characters))
		rest = join(left, rest)
	}
	said := Sentences(Ear(now))
	lengths := make([]int, len(said)) // in the document
	whole := len(document)
	for i, s := range said {
		lengths[i] = len(sentence) + written(s)
		whole += lengths[i]
	}
	if l.Characters <= 0 || whole <= l.Characters {
		return spoken(said, rest)
	}
	asked := 0 // 1 where the last sentence is a question: it stays
	if n := len(said); n > 1 && asks(said[n-1]) {
		asked = 1
	}
	tail := said[len(said)-asked:]
	left := whole
	for n := len(said) - asked - 1; n > 0; n-- {
		if left -= lengths[n]; left <= l.Characters {
			return spoken(append(said[:n:n], tail...), join(strings.Join(said[n:len(said)-asked], " "), rest))
		}
	}
	return firstWords(strings.Fields(strings.Join(said, " ")), rest, l.Characters)
}

// What there is around the words of a document, and around each sentence.
const (
	document = "<speak></speak>"
	sentence = "<s></s>"
)

// firstWords is said where not even one sentence fits: it ends at a word.
func firstWords(words []string, rest string, characters int) Spoken {
	n, end, length := 0, "", len(document)+len(sentence)+len(".")
	for i, w := range words {
		bare := strings.TrimRight(w, ",;:")
		if length+written(bare) > characters || i == len(words)-1 {
			break
		}
		n, end = i+1, bare
		length += written(w) + len(" ")
	}
	left := join(strings.Join(words[n:], " "), rest)
	switch {
	case n > 0:
		return spoken([]string{strings.Join(append(words[:n-1:n-1], end), " ") + "."}, left)
	case len(document) <= characters:
		return spoken(nil, left)
	}
	return Spoken{Cut: true, Rest: left} // not even an empty document fits
}

// spoken is sentences as they are said, with what is left.
func spoken(said []string, rest string) Spoken {
	var m Markup
	for _, s := range said {
		m.Sentence(s)
	}
	return Spoken{Text: strings.Join(said, " "), SSML: m.Document(), Cut: rest != "", Rest: rest}
}

// written is how many characters words have in a document.
func written(text string) int {
	var m Markup
	m.Sentence(text)
	return max(utf8.RuneCountInString(m.Inner())-len(sentence), 0)
}

// window is how many bytes are looked at for so many characters: names, links and
// digests are longer in writing than they are said.
func window(characters int) int { return 4*min(characters, 1<<24) + 4<<10 }

// near takes of a text the first sentences that have n bytes, or the first words
// where not even one has, and the question at its end.
func near(text string, n int) (now, rest string) {
	all := Sentences(text)
	asked := ""
	if last := len(all) - 1; last > 0 && asks(all[last]) && len(all[last]) <= n/2 {
		asked, all = all[last], all[:last]
	}
	fits := func(parts []string) int {
		room := n - len(asked)
		for i, p := range parts {
			if room -= len(p) + 1; room < 0 {
				return i
			}
		}
		return len(parts)
	}
	k := fits(all)
	if k > 0 {
		return join(strings.Join(all[:k], " "), asked), strings.Join(all[k:], " ")
	}
	words := strings.Fields(strings.Join(all, " "))
	k = fits(words)
	return join(strings.Join(words[:k], " "), asked), strings.Join(words[k:], " ")
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
