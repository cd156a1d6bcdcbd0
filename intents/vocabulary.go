package intents

import (
	"slices"
	"strings"
	"unicode"
)

// Vocabulary returns the words that sentences of the catalogue consist of: what
// anybody may say, and gives nothing away.
func (c *Catalogue) Vocabulary() map[string]bool {
	words := map[string]bool{}
	add := func(phrases ...string) {
		for _, p := range phrases {
			for w := range strings.FieldsSeq(p) {
				if strings.IndexFunc(w, unicode.IsLetter) >= 0 { // numbers are nobody's word
					words[w] = true
				}
			}
		}
	}
	var walk func(n *node)
	walk = func(n *node) {
		if n.kind == nodeWord {
			add(n.word)
		}
		for _, k := range n.kids {
			walk(k)
		}
	}
	for _, s := range slices.Concat(c.templates, c.answers) {
		walk(s.node)
		if s.frame != nil {
			for _, p := range slices.Concat(s.frame.before, s.frame.parts) {
				walk(p.node)
			}
		}
	}
	for _, r := range c.rules {
		walk(r.node)
	}
	for _, entries := range c.lists {
		for _, e := range entries {
			add(e.text)
		}
	}
	w := &c.words
	for _, list := range [][]string{
		w.lead, w.filler, w.tail, w.article, w.kindBefore, w.kindAfter, w.and, w.never, w.inflected, w.counted, w.env, w.chain, w.reason, w.idle,
		w.guardStart, w.guardAnywhere,
	} {
		add(list...)
	}
	for _, table := range []map[string][]string{w.targets, w.asr} {
		for word, said := range table {
			if !strings.HasPrefix(word, "@") {
				add(word)
			}
			add(said...)
		}
	}
	for short, full := range w.contractions {
		add(short, full)
	}
	for _, table := range []map[string]int{w.units, w.scales, w.numbers, w.homophones, w.ordinals} {
		for word := range table {
			add(word)
		}
	}
	return words
}
