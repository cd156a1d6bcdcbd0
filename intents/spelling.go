package intents

import (
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// learnSpelling collects the words that mean something: typing errors in those
// of lists and guards are mended before a sentence is read, those of templates
// while it is.
func (r *Recognizer) learnSpelling() {
	w := &r.c.words
	for word := range r.a.words {
		r.vocabulary[word] = true
	}
	for _, list := range [...][]string{w.lead, w.asking, w.filler, w.tail, w.article, w.kindBefore, w.kindAfter, w.and, w.never, w.inflected, w.counted, w.env, w.chain, w.reason, w.idle, w.asideVerbs, w.asideNever, w.asideStart, w.neverSkipped} {
		for _, p := range list {
			for word := range strings.FieldsSeq(p) {
				r.vocabulary[word] = true
			}
		}
	}
	mended := map[string]bool{}
	learn := func(phrase string) {
		for word := range strings.FieldsSeq(phrase) {
			if len(word) >= 5 && !mended[word] && hasLetter(word) {
				mended[word] = true
			}
			r.vocabulary[word] = true
		}
	}
	for _, list := range r.c.lists {
		for _, e := range list {
			learn(e.text)
		}
	}
	for _, list := range [...][]string{w.guardStart, w.guardAnywhere, w.correction} {
		for _, p := range list {
			learn(p)
		}
	}
	for _, ps := range w.targets {
		for _, p := range ps {
			learn(p)
		}
	}
	for _, word := range slices.Sorted(maps.Keys(mended)) {
		if _, template := r.a.words[word]; !template {
			r.spelling[len(word)] = append(r.spelling[len(word)], word)
		}
	}
}

// mend corrects typing errors in the words of lists and guards. What could be a
// name, or a word of a template, is left to the reading.
func (r *Recognizer) mend(tokens []token, inv *Inventory) []token {
	tokens = slices.Clone(tokens)
	for i := range tokens {
		t := tokens[i].text
		if len(t) < 5 || r.vocabulary[t] || r.noFix[t] || tokens[i].quote != 0 || tokens[i].whole != "" || r.heard[t] != nil || strings.ContainsAny(t, "0123456789/:.@-_=") {
			continue
		}
		if inv != nil {
			if _, ok := inv.workloads.exact[t]; ok {
				continue
			}
			if _, ok := inv.namespaces.exact[t]; ok {
				continue
			}
		}
		limit := 1
		if len(t) >= 9 {
			limit = 2
		}
		best, word, ties := limit+1, "", 0
		for l := len(t) - limit; l <= len(t)+limit; l++ {
			for _, w := range r.spelling[l] {
				if w[0] != t[0] && w[1] != t[0] {
					continue
				}
				if d := osa(w, t, min(best, limit)); d < best {
					best, word, ties = d, w, 0
				} else if d == best && d <= limit {
					ties++
				}
			}
		}
		if word == "" || ties > 0 || inflection(word, t) || inflection(t, word) {
			continue
		}
		for l := len(t) - best; l <= len(t)+best; l++ { // a template's word as near is as likely
			for _, w := range r.repairs[l] {
				if bits.OnesCount64(w.mask^letterMask(t)) <= 2*best && osa(w.text, t, best) <= best {
					word = ""
				}
			}
		}
		if word == "" {
			continue
		}
		if inv != nil {
			if _, _, name := inv.workloads.repair(t); name {
				continue
			}
		}
		tokens[i].text, tokens[i].mended = word, true
	}
	return tokens
}

// plainer drops hesitations and words said twice, for a sentence that makes no
// sense with them. nil is returned where there are none.
func (r *Recognizer) plainer(tokens []token) []token {
	var out []token
	for i := 0; i < len(tokens); i++ {
		if end := r.hesitation.longest(tokens, i); end > i && tokens[i].quote == 0 {
			i = end - 1
			continue
		}
		if n := len(out); n > 0 && out[n-1].text == tokens[i].text && (tokens[i].text == "," || hasLetter(tokens[i].text) && !r.isNumberWord(tokens[i].text)) {
			continue
		}
		out = append(out, tokens[i])
	}
	if len(out) == len(tokens) || len(out) == 0 {
		return nil
	}
	return out
}

// repairWord is a template word with the letters that occur in it.
type repairWord struct {
	text string
	mask uint64
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}

// slips reports whether any word may be a slip: without one, reading again
// would find what was found before.
func (rd *reading) slips(tokens []token) bool {
	defer func() { rd.fuzzy = 0 }() // what was found is remembered
	rd.tokens = tokens
	rd.words, rd.noise = rd.words[:0], append(rd.noise[:0], make([]bool, len(tokens))...)
	for i := range tokens {
		if tokens[i].mended {
			return true
		}
		words := rd.readWord(tokens[i].text)
		rd.words = append(rd.words, words)
		if slices.ContainsFunc(words, func(w wordReading) bool { return w.cost == costTypo }) || rd.mistypedCourtesy(tokens[i].text) {
			return true
		}
	}
	fuzzy := func(s span) bool { return s.cost > 0 }
	for i := range tokens {
		if slices.ContainsFunc(rd.name(i), func(s span) bool { return s.cost > costPlural && s.cost != costPart }) || slices.ContainsFunc(rd.alert(i), fuzzy) {
			return true
		}
		if rd.inv == nil {
			continue
		}
		for _, of := range [...]func(*Inventory) *nameIndex{
			func(v *Inventory) *nameIndex { return &v.namespaces }, func(v *Inventory) *nameIndex { return &v.nodes }, func(v *Inventory) *nameIndex { return &v.clusters },
		} {
			if slices.ContainsFunc(rd.indexed(i, of), fuzzy) {
				return true
			}
		}
	}
	return false
}
