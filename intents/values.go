package intents

import (
	"slices"
	"strconv"
	"strings"
)

// alert reads the name of an alert: one of the inventory, however spoken, or a
// word that is written like one.
func (rd *reading) alert(pos int) []span {
	if rd.inv != nil && rd.inv.alerts.maxLen > 0 {
		x := &rd.inv.alerts
		if out := rd.indexed(pos, func(i *Inventory) *nameIndex { return &i.alerts }); len(out) > 0 {
			return out
		}
		// Spoken names are made of common words, so several are tried together.
		key := ""
		var out []span
		for end := pos + 1; rd.loose && end <= len(rd.tokens) && end <= pos+6; end++ {
			w := rd.tokens[end-1].text
			if !hasLetter(w) || w == "alert" || w == "alerts" || end == pos+1 && rd.r.idle[w] {
				break
			}
			if skip := rd.r.filler.longest(rd.tokens, end-1); skip > end-1 && end > pos+1 {
				end = skip
				continue
			}
			if rd.noise[end-1] {
				continue
			}
			if key += squash(w); len(key) < 8 || end == pos+1 && rd.r.lists[listUnit].next[w] != nil {
				continue
			}
			if name, ok := x.find(key); ok {
				out = append(out, span{end: end, val: name, known: true, cost: costFiller})
				continue
			}
			if near := rd.near(x, key, min(end-pos, 3), maxSound); near.name != "" {
				out = append(out, span{end: end, val: near.name, cost: near.cost, known: true})
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	if said := rd.tokens[pos].said; isCamel(said) {
		return []span{{end: pos + 1, val: said, known: true}}
	}
	return nil
}

// isCamel reports a name written like HighErrorRate.
func isCamel(s string) bool {
	humps := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			if i+1 < len(s) && s[i+1] >= 'a' && s[i+1] <= 'z' {
				humps++
			}
		case c >= 'a' && c <= 'z', isDigit(c):
		default:
			return false
		}
	}
	return humps >= 2
}

// anyAlert takes words that describe an alert which the inventory lacks.
func (rd *reading) anyAlert(pos int) []span {
	if !slices.ContainsFunc(rd.tokens, func(t token) bool { return strings.HasPrefix(t.text, "alert") || strings.HasPrefix(t.text, "alarm") }) {
		return nil
	}
	var out []span
	for end := pos + 1; end <= len(rd.tokens) && end <= pos+4; end++ {
		w := rd.tokens[end-1].text
		if !hasLetter(w) || rd.r.article.next[w] != nil || w == "alert" || w == "alerts" {
			break
		}
		out = append(out, span{end: end, unsure: rd.inv != nil && rd.inv.alerts.maxLen > 0, val: joinSaid(rd.tokens[pos:end]), cost: 0.14 + 0.02*float32(end-pos)})
	}
	return out
}

// sidecar takes the name of a container behind the word that says it is one.
func (rd *reading) sidecar(pos int) []span {
	if out := rd.indexed(pos, func(i *Inventory) *nameIndex { return &i.containers }); len(out) > 0 {
		return out
	}
	t := rd.tokens[pos]
	if !isTag(t.text) || isNumeral(t.text) || rd.r.idle[t.text] {
		return nil
	}
	return []span{{end: pos + 1, val: t.text, cost: 0.02}}
}

// pod reads the full name of a pod: what its owner is called, and the signs
// that controllers add.
func (rd *reading) pod(pos int) []span {
	t := rd.tokens[pos].text
	t = strings.TrimPrefix(strings.TrimPrefix(t, "pods/"), "pod/")
	if !isTag(t) || strings.ContainsAny(t, "._+") {
		return nil
	}
	if rd.inv != nil {
		if _, ok := rd.inv.workloads.find(squash(t)); ok {
			return nil
		}
	}
	i := strings.LastIndexByte(t, '-')
	if i <= 0 {
		return nil
	}
	head, last := t[:i], t[i+1:]
	if isNumeral(last) && len(last) < 4 { // a StatefulSet's
		if rd.inv != nil {
			if _, ok := rd.inv.workloads.find(squash(head)); ok {
				return []span{{end: pos + 1, val: t, known: true}}
			}
		}
		return nil
	}
	if len(last) != 5 {
		return nil
	}
	known := false
	if rd.inv != nil {
		_, known = rd.inv.workloads.find(squash(head))
		if j := strings.LastIndexByte(head, '-'); !known && j > 0 {
			_, known = rd.inv.workloads.find(squash(head[:j]))
		}
	}
	j := strings.LastIndexByte(head, '-')
	hashed := j > 0 && len(head)-j-1 >= 5 && len(head)-j-1 <= 10 && randomLooking(head[j+1:])
	if randomLooking(last) && (hashed || known) || hashed && known {
		return []span{{end: pos + 1, val: t, known: known}}
	}
	return nil
}

// randomLooking reports the alphabet in which Kubernetes makes suffixes: no
// vowels, no 0, 1 and 3 (k8s.io/apimachinery/pkg/util/rand). Hand-made examples
// are not that strict, so a digit will do as well.
func randomLooking(s string) bool {
	vowel, digit := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isDigit(c):
			digit = true
		case c < 'a' || c > 'z':
			return false
		case strings.IndexByte("aeiou", c) >= 0:
			vowel = true
		}
	}
	return digit || !vowel
}

// percentile reads "p99", "p 99", "99th percentile", "the median".
func (rd *reading) percentile(pos int) []span {
	t := rd.tokens[pos].text
	text := func(i int) string {
		if i < len(rd.tokens) {
			return rd.tokens[i].text
		}
		return ""
	}
	valid := func(f float64) (any, bool) { return whole(f), f > 0 && f < 100 }
	parse := func(s string) (any, bool) {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, false
		}
		if f >= 100 && f < 1000 && !strings.Contains(s, ".") {
			f /= 10 // p999
		}
		return valid(f)
	}
	if body, ok := strings.CutPrefix(t, "p"); ok && body != "" && isDigit(body[0]) {
		if v, ok := parse(body); ok {
			return []span{{end: pos + 1, val: v}}
		}
	}
	if t == "p" || t == "pee" {
		if n, end, ok := rd.r.numeral(rd.tokens, pos+1); ok {
			if v, ok := parse(strconv.Itoa(n)); ok {
				return []span{{end: end, val: v}}
			}
		}
	}
	if t == "median" {
		return []span{{end: pos + 1, val: 50}}
	}
	if !strings.HasSuffix(t, "th") && !isDigit(t[0]) && !rd.r.isNumberWord(t) {
		return nil
	}
	// "99th percentile", "ninety ninth percentile", "95 percentile"
	for end := pos + 1; end <= pos+3 && end < len(rd.tokens); end++ {
		if w := text(end); w != "percentile" && w != "centile" && w != "percentiles" {
			continue
		}
		last := text(end - 1)
		total := 0
		if end-1 > pos {
			n, e, ok := rd.r.numeral(rd.tokens[:end-1], pos)
			if !ok || e != end-1 {
				return nil
			}
			total = n
		}
		switch body := strings.TrimSuffix(last, "th"); {
		case body != "" && isDigit(body[0]):
			if v, ok := parse(strings.TrimRight(body, "stndr")); ok && total == 0 {
				return []span{{end: end + 1, val: v}}
			}
		default:
			if n, ok := rd.ordinal(last); ok {
				if v, ok := valid(float64(total + n)); ok {
					return []span{{end: end + 1, val: v}}
				}
			}
		}
		return nil
	}
	return nil
}

// ordinal reads "ninth", "ninety-fifth", "fiftieth", and plain numbers.
func (rd *reading) ordinal(w string) (int, bool) {
	head, tail := "", w
	if i := strings.LastIndexByte(w, '-'); i > 0 {
		head, tail = w[:i], w[i+1:]
	}
	n, ok := rd.r.c.words.ordinals[tail]
	if !ok {
		n, ok = rd.r.c.words.units[tail]
	}
	if !ok {
		switch cut, isTh := strings.CutSuffix(tail, "th"); {
		case !isTh:
		case strings.HasSuffix(cut, "ie"):
			n, ok = rd.r.c.words.units[strings.TrimSuffix(cut, "ie")+"y"]
		case cut == "nin":
			n, ok = 9, true
		case cut == "fif":
			n, ok = 5, true
		default:
			n, ok = rd.r.c.words.units[cut]
		}
	}
	if !ok || n < 0 {
		return 0, false
	}
	if head != "" {
		tens, found := rd.r.c.words.units[head]
		if !found {
			return 0, false
		}
		n += tens
	}
	return n, true
}

// quoted takes what stands between quotes, as it was written.
func (rd *reading) quoted(pos int) []span {
	q := rd.tokens[pos].quote
	if q == 0 || pos > 0 && rd.tokens[pos-1].quote == q {
		return nil
	}
	end := pos + 1
	for end < len(rd.tokens) && rd.tokens[end].quote == q {
		end++
	}
	if s := rd.verbatim(pos, end); s != "" {
		return []span{{end: end, val: s}}
	}
	return nil
}

// maxPhrase bounds the words of text to search for without quotes.
const maxPhrase = 6

// phrase takes words as they are: the shorter the likelier.
func (rd *reading) phrase(pos int) []span {
	if rd.tokens[pos].quote != 0 {
		return rd.quoted(pos)
	}
	var out []span
	for end := pos + 1; end <= len(rd.tokens) && end <= pos+maxPhrase; end++ {
		t := rd.tokens[end-1]
		if t.text == "," || t.quote != 0 {
			break
		}
		if end == pos+1 && rd.r.idle[t.text] {
			return nil
		}
		out = append(out, span{end: end, val: rd.verbatim(pos, end), cost: 0.01 + 0.025*float32(end-pos)})
	}
	return out
}

// verbatim is the text of the tokens from pos to end as it was written.
func (rd *reading) verbatim(pos, end int) string {
	from, to := rd.tokens[pos].from, rd.tokens[end-1].to
	if to <= from || int(to) > len(rd.text) {
		return joinSaid(rd.tokens[pos:end])
	}
	return strings.Trim(rd.text[from:to], "\"'` .,;!?")
}

// newName takes a name for something that does not exist yet.
func (rd *reading) newName(pos int) []span {
	t := rd.tokens[pos]
	if !isTag(t.text) || strings.ContainsAny(t.text, "._+") || !hasLetter(t.text) || rd.r.idle[t.text] {
		return nil
	}
	cost := float32(0.01)
	if _, known := rd.r.a.words[t.text]; known {
		cost = 0.05
	}
	return []span{{end: pos + 1, val: t.text, cost: cost}}
}

// exception reads the class of an exception: a word written like one, or the
// words of one with "exception" behind.
func (rd *reading) exception(pos int) []span {
	said := rd.tokens[pos].said
	if isCamel(said) {
		for _, suffix := range [...]string{"Error", "Exception", "Fault", "Failure", "Panic", "Timeout"} {
			if strings.HasSuffix(said, suffix) {
				return []span{{end: pos + 1, val: said, known: true}}
			}
		}
		return nil
	}
	var b strings.Builder
	for end := pos + 1; end <= len(rd.tokens) && end <= pos+4; end++ {
		w := rd.tokens[end-1].text
		if !isTag(w) || rd.r.idle[w] || strings.ContainsAny(w, ".-_+") {
			return nil
		}
		if w == "exceptions" {
			w = "exception"
		}
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
		if w == "exception" {
			if end == pos+1 {
				return nil
			}
			return []span{{end: end, val: b.String(), known: true}}
		}
	}
	return nil
}

// port reads a port as it is said: a number, or its digits in ones and pairs.
func (rd *reading) port(pos int) []span {
	digits, end := "", pos
	for end < len(rd.tokens) && len(digits) < 5 {
		t := rd.tokens[end].text
		if t == "oh" || t == "o" {
			if digits == "" {
				break
			}
			digits, end = digits+"0", end+1
			continue
		}
		n, e, ok := rd.r.numeral(rd.tokens, end)
		if !ok || digits != "" && (n > 99 || len(digits) > 3) {
			break
		}
		digits, end = digits+strconv.Itoa(n), e
		if n > 99 {
			break
		}
	}
	if n, err := strconv.Atoi(digits); err == nil && n > 0 && n < 1<<16 {
		return []span{{end: end, val: n}}
	}
	return nil
}

// imagePath reads an image with a folder, which is no namespace of ours.
func (rd *reading) imagePath(pos int) []span {
	t := rd.tokens[pos]
	folder, name, ok := strings.Cut(t.text, "/")
	if !ok || !isTag(folder) || strings.Contains(name, "//") || !isTag(strings.ReplaceAll(name, "/", "-")) || !hasLetter(folder) || !hasLetter(name) {
		return nil
	}
	if rd.inv != nil {
		if _, place := rd.inv.namespaces.exact[squash(folder)]; place {
			return nil
		}
	}
	return []span{{end: pos + 1, val: t.said, cost: 0.01}}
}

// imageName reads the name of an image behind the word that announces one: a
// reference, a path, or a word that is no number.
func (rd *reading) imageName(pos int) []span {
	if out := rd.ref(pos); out != nil {
		return out
	}
	if out := rd.imagePath(pos); out != nil {
		return out
	}
	t := rd.tokens[pos]
	if t.whole != "" || !isTag(t.text) || !hasLetter(t.text) || isDigit(t.text[0]) || rd.r.isNumberWord(t.text) || rd.r.idle[t.text] || rd.r.never[t.text] {
		return nil
	}
	return []span{{end: pos + 1, val: t.said, cost: 0.02}}
}
