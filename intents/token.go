package intents

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word of a sentence in the form in which templates are written.
type token struct {
	text string
	said string // as written, for names nobody knows
	// whole is the word with signs that were cut off and mean something in a
	// version or a path ("~1.0", ".env"); "" where none were. What was said for a
	// tag is taken as a whole or not at all.
	whole string
	// from and to are where the blank-separated piece stands in the text.
	from, to int32
	mended   bool  // text is what was probably meant
	quote    int32 // which quotation it stands in, 0 is none
}

// newSigns writes the many forms of quotes, arrows and dashes in one.
func newSigns() *strings.Replacer {
	return strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`, "„", `"`, "«", `"`, "»", `"`,
		"→", " -> ", "⇒", " -> ", "=>", " -> ", "->", " -> ", "—", " , ", "–", " , ", "…", " ")
}

// word makes a token of text as it stands.
func word(text string) token { return token{text: text, said: text} }

// tokenize splits a sentence: lower case, contractions written out, joined
// forms (deploy/web, --replicas=5, web->5) taken apart. Commas and semicolons
// stay as words of their own, because they part steps and corrections.
// quoted reports that a quotation of several words stands inside other words.
func (r *Recognizer) tokenize(text string) (tokens []token, question, quoted bool) {
	inQuote, quoteWords := false, 0
	longQuote := false
	var group int32 // of quotes, counted
	var closer byte
	at := 0
	tokens = make([]token, 0, strings.Count(text, " ")+4)
	for chunk := range strings.FieldsSeq(text) {
		at += strings.Index(text[at:], chunk)
		first := len(tokens)
		from := at
		at += len(chunk)
		in := closer != 0
		if !in && len(chunk) > 1 && strings.IndexByte("\"'`", chunk[0]) >= 0 && strings.IndexByte(text[from+1:], chunk[0]) > 0 {
			closer, in = chunk[0], true
			group++
		}
		if in && len(chunk) > 1 && strings.IndexByte(strings.TrimRight(chunk[1:], ".,;!?"), closer) == len(strings.TrimRight(chunk[1:], ".,;!?"))-1 {
			closer = 0
		}
		if n := strings.Count(chunk, `"`); n > 0 {
			if strings.HasPrefix(chunk, `"`) {
				inQuote, quoteWords = true, 0
			}
			if n%2 == 0 || !strings.HasPrefix(chunk, `"`) {
				if inQuote && quoteWords >= 1 {
					longQuote = true
				}
				inQuote = false
			}
		}
		if inQuote {
			quoteWords++
		}
		question = strings.HasSuffix(strings.TrimRight(chunk, `"')*_`+"`"), "?")
		tokens = r.appendChunk(tokens, chunk)
		if c := chunk[len(chunk)-1]; len(tokens) > first && at < len(text) && (c == '.' || c == '!' || c == '?' || c == ':') && !in {
			tokens = append(tokens, word(",")) // the end of a sentence before others
		}
		for i := first; i < len(tokens); i++ {
			tokens[i].from, tokens[i].to = int32(from), int32(at)
			if in {
				tokens[i].quote = group
			}
		}
	}
	// A sentence that is quoted as a whole is said, not reported.
	trimmed := strings.TrimSpace(text)
	whole := strings.HasPrefix(trimmed, `"`) && strings.HasSuffix(strings.TrimRight(trimmed, ".!"), `"`) && strings.Count(trimmed, `"`) == 2
	return tokens, question, longQuote && !whole
}

// appendChunk adds the tokens of one blank-separated piece.
func (r *Recognizer) appendChunk(tokens []token, chunk string) []token {
	if strings.HasPrefix(chunk, "<@") && strings.Contains(chunk, ">") {
		return tokens // a mention; whom the sentence is for is the channel's matter
	}
	switch chunk {
	case "&&", "|":
		return append(tokens, word(chunk))
	case "->", "=", "+", "-", "&", ",", "/":
		return append(tokens, word(chunk))
	}
	said := strings.TrimLeft(chunk, "\"'([{<*_~#`@!¡¿,;:.?/")
	before := chunk[:len(chunk)-len(said)]
	path := before[len(strings.TrimRight(before, "./~<")):]
	if said != "" && strings.ContainsAny(path, "./") && (isDigit(said[0]) || strings.Contains(said, "/") || strings.Contains(path, "./")) {
		said, path = path+said, "" // ".5" is not 5, "../web" is not web
	}
	body := strings.TrimRight(said, "\"')]}>*_~`.,!?;:")
	after := said[len(body):]
	if body == "" {
		if strings.ContainsAny(chunk, ",;") {
			return append(tokens, word(","))
		}
		// Signs without letters are kept: 👍 is an answer.
		for _, c := range chunk {
			if c > unicode.MaxASCII && !unicode.IsPunct(c) {
				return append(tokens, word(chunk))
			}
		}
		return tokens
	}
	first := len(tokens)
	tokens = r.appendWord(tokens, strings.ToLower(body), body)
	markWhole(tokens[first:], before, path, after)
	switch {
	case strings.Contains(after, ";"):
		tokens = append(tokens, word(","))
	case strings.Contains(after, ","):
		tokens = append(tokens, word(","))
	}
	return tokens
}

// markWhole notes signs that were cut off around a word and are no mere
// punctuation: a path before it, or one half of a pair ("2.1*").
func markWhole(tokens []token, before, path, after string) {
	if len(tokens) == 0 {
		return
	}
	for _, c := range after {
		if strings.ContainsRune("*_~", c) && !strings.ContainsRune(before, c) {
			last := &tokens[len(tokens)-1]
			last.whole = last.said + after
			break
		}
	}
	if strings.HasSuffix(path, "<") && strings.Contains(after, ">") {
		path = "" // <web>
	}
	if first := &tokens[0]; path != "" && !(path == "~" && strings.Contains(after, "~")) {
		if first.whole == "" {
			first.whole = first.said
		}
		first.whole = path + first.whole
	}
}

func (r *Recognizer) appendWord(tokens []token, low, said string) []token {
	if full, ok := r.c.words.contractions[low]; ok {
		for w := range strings.FieldsSeq(full) {
			tokens = append(tokens, word(w))
		}
		return tokens
	}
	if strings.IndexByte(low, '\'') >= 0 {
		for _, possessive := range [...]string{"'s", "s'"} {
			if cut, ok := strings.CutSuffix(low, possessive); ok && cut != "" {
				if possessive == "s'" {
					cut += "s"
				}
				return append(tokens, token{text: cut, said: said[:min(len(cut), len(said))], whole: said})
			}
		}
		if cut, ok := strings.CutSuffix(low, "n't"); ok && cut != "" {
			return append(tokens, word(cut), word("not"))
		}
		for _, c := range [...][2]string{{"'ll", "will"}, {"'d", "would"}, {"'ve", "have"}, {"'re", "are"}, {"'m", "am"}} {
			if cut, ok := strings.CutSuffix(low, c[0]); ok && cut != "" {
				return append(tokens, word(cut), word(c[1]))
			}
		}
	}
	if strings.ContainsAny(low, "=/&,;") && strings.IndexFunc(said, func(c rune) bool { return c > unicode.MaxASCII }) >= 0 {
		said = low // lower case may be longer, so the two cannot be cut alike
	}
	if left, right, ok := strings.Cut(low, "="); ok && left != "" && right != "" && !strings.Contains(left, "://") {
		tokens = r.appendWord(tokens, left, said[:len(left)])
		if !strings.HasPrefix(left, "-") {
			tokens = append(tokens, word("="))
		}
		return r.appendWord(tokens, right, said[len(left)+1:])
	}
	if from, to, ok := cutRange(low); ok {
		return append(tokens, word(from), word("-"), word(to))
	}
	if left, right, ok := strings.Cut(low, ">"); ok && left != "" && right != "" && isTag(left) && isTag(right) && len(said) == len(low) {
		return append(tokens, token{text: left, said: said[:len(left)]}, word("->"), token{text: right, said: said[len(left)+1:]})
	}
	if left, right, ok := strings.Cut(low, "/"); ok && r.kinds[left] && right != "" && !strings.Contains(right, "/") {
		return append(tokens, word(left), token{text: right, said: said[len(left)+1:]})
	}
	if left, right, ok := strings.Cut(low, "&"); ok && left != "" && right != "" {
		return append(r.appendWord(tokens, left, said[:len(left)]), append([]token{word("and")}, r.appendWord(nil, right, said[len(left)+1:])...)...)
	}
	// "web,cart" without a blank; a comma between digits groups thousands.
	if i := strings.IndexByte(low, ','); i > 0 && i+1 < len(low) {
		if isDigit(low[i-1]) && isDigit(low[i+1]) {
			if digits := strings.ReplaceAll(low, ",", ""); isNumeral(digits) && len(low)-i == 4 {
				return append(tokens, word(digits))
			}
		}
		tokens = append(r.appendWord(tokens, low[:i], said[:i]), word(","))
		return r.appendWord(tokens, low[i+1:], said[i+1:])
	}
	if i := strings.IndexByte(low, ';'); i > 0 && i+1 < len(low) {
		tokens = append(r.appendWord(tokens, low[:i], said[:i]), word(","))
		return r.appendWord(tokens, low[i+1:], said[i+1:])
	}
	return append(tokens, token{text: low, said: said})
}

// rejoin puts words together that speech recognisers part: "cube control".
func (r *Recognizer) rejoin(tokens []token) []token {
	if len(r.heardAs.next) == 0 {
		return tokens
	}
	out := tokens[:0]
	for i := 0; i < len(tokens); i++ {
		end, right := i, ""
		if r.heardAs.starts(tokens[i].text) {
			r.heardAs.each(tokens, i, func(e int, v string) { end, right = e, v })
		}
		if end == i {
			out = append(out, tokens[i])
			continue
		}
		t := word(right)
		t.from, t.to, t.quote = tokens[i].from, tokens[end-1].to, tokens[i].quote
		out = append(out, t)
		i = end - 1
	}
	return out
}

// cutRange parts "2-10" and "3..12".
func cutRange(s string) (from, to string, ok bool) {
	from, to, ok = strings.Cut(s, "..")
	if !ok {
		from, to, ok = strings.Cut(s, "-")
	}
	return from, to, ok && isNumeral(from) && isNumeral(to) && len(from) <= 3 && len(to) <= 3
}

func isNumeral(s string) bool {
	if s == "" || len(s) > 9 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// hasLetter reports whether s has a letter or digit at all.
func hasLetter(s string) bool {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return true
		}
		s = s[n:]
	}
	return false
}
