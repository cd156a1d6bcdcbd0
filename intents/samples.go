package intents

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SamplePart is a piece of a sample: words, or a slot that stands for any of
// its values.
type SamplePart struct {
	Text string // words
	Slot string // or the slot, with
	Type string // its type: built in, or a list of the catalogue
}

// Sample is one way to say an intent.
type Sample struct {
	Intent string
	Parts  []SamplePart
	Fixed  Slots // what the words say without a slot: "double" is factor 2
}

// String writes a sample with its slots in braces: "scale {targets} to {replicas}".
func (s Sample) String() string {
	return s.Fill(func(p SamplePart) string { return "{" + p.Slot + "}" })
}

// Fill writes a sample with values in the place of slots.
func (s Sample) Fill(value func(SamplePart) string) string {
	var b strings.Builder
	for i, p := range s.Parts {
		if i > 0 {
			b.WriteByte(' ')
		}
		if p.Slot == "" {
			b.WriteString(p.Text)
			continue
		}
		b.WriteString(value(p))
	}
	return b.String()
}

// Samples returns at most so many ways to say an intent, always the same ones:
// first one of every template, then what covers every alternative of every
// template and rule, then combinations of them.
func (c *Catalogue) Samples(intent string, atMost int) []Sample {
	w := &sampler{c: c, d: c.intents[intent], widths: map[*node]int{}, covered: map[choice]bool{}}
	if w.d == nil {
		return nil
	}
	var nodes []*node
	widest := 0
	for _, s := range c.templates {
		if s.intent != intent {
			continue
		}
		n := s.node
		if s.frame != nil {
			n = s.frame.typical(n)
		}
		nodes = append(nodes, n)
		widest = max(widest, w.width(n))
	}
	var out []Sample
	seen := map[string]bool{}
	// Combinations go round three times: more of them would only weigh down
	// what was covered.
	for i := 0; i < 3*widest && len(out) < atMost; i++ {
		for _, n := range nodes {
			if i >= 3*w.width(n) || len(out) >= atMost {
				continue
			}
			w.visited = w.visited[:0]
			s := Sample{Intent: intent, Fixed: Slots{}}
			w.walk(n, i, &s)
			if s.Parts = joinWords(s.Parts); len(s.Parts) == 0 {
				continue
			}
			fresh := i == 0 || i >= w.width(n)
			for _, v := range w.visited {
				fresh = fresh || !w.covered[v]
				w.covered[v] = true
			}
			if key := s.String() + fmt.Sprint(s.Fixed); fresh && !seen[key] {
				seen[key] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// typical is a frame as a template: the cue with at most one part on each side.
// Parts may come in any number and order; that is more than samples can show.
func (f *frame) typical(cue *node) *node {
	alt := func(parts []sentence) *node {
		n := &node{kind: nodeAlt}
		for _, p := range parts {
			n.kids = append(n.kids, p.node)
		}
		return &node{kind: nodeOpt, kids: []*node{n}}
	}
	seq := &node{kind: nodeSeq, kids: []*node{cue}}
	if len(f.before) > 0 {
		seq.kids = slices.Insert(seq.kids, 0, alt(f.before))
	}
	if len(f.parts) > 0 {
		seq.kids = append(seq.kids, alt(f.parts))
	}
	return seq
}

// sampler walks templates and notes which alternatives it took.
type sampler struct {
	c       *Catalogue
	d       *intentDef
	widths  map[*node]int
	covered map[choice]bool
	visited []choice
}

// choice is an alternative of a node.
type choice struct {
	node *node
	kid  int
}

// width is how many walks it takes to go through every alternative below n.
func (w *sampler) width(n *node) int {
	if got := w.widths[n]; got > 0 {
		return got
	}
	out := 1
	switch n.kind {
	case nodeSeq, nodePerm:
		for _, k := range n.kids {
			out = max(out, w.width(k))
		}
		if n.kind == nodePerm {
			out = max(out, 2)
		}
	case nodeAlt:
		out = 0
		for _, k := range n.kids {
			out += w.width(k)
		}
	case nodeOpt:
		out = 1 + w.width(n.kids[0])
	case nodeRule:
		if r := w.c.rules[n.word]; r != nil {
			out = w.width(r.node)
		}
	}
	w.widths[n] = out
	return out
}

// walk adds the i-th way through n to s. The first goes past everything that
// may be left out.
func (w *sampler) walk(n *node, i int, s *Sample) {
	switch n.kind {
	case nodeWord:
		s.Parts = append(s.Parts, SamplePart{Text: n.word})
	case nodeSlot:
		typ := n.typ
		if typ == "" {
			typ = w.d.slots[n.slot].typ
		}
		s.Parts = append(s.Parts, SamplePart{Slot: n.slot, Type: typ})
	case nodeFix:
		s.Fixed[n.slot] = n.value
	case nodeSeq:
		round := i / w.width(n) // shifts the parts against each other
		for k, kid := range n.kids {
			w.walk(kid, i+k*round, s)
		}
	case nodePerm:
		kids := slices.Clone(n.kids)
		if i%2 == 1 {
			slices.Reverse(kids)
			w.visited = append(w.visited, choice{n, 1})
		}
		for _, kid := range kids {
			w.walk(kid, i, s)
		}
	case nodeAlt:
		i %= w.width(n)
		for k, kid := range n.kids {
			if i < w.width(kid) {
				w.visited = append(w.visited, choice{n, k})
				w.walk(kid, i, s)
				return
			}
			i -= w.width(kid)
		}
	case nodeOpt:
		if i %= w.width(n); i > 0 {
			w.visited = append(w.visited, choice{n, 0})
			w.walk(n.kids[0], i-1, s)
		}
	case nodeRule:
		if r := w.c.rules[n.word]; r != nil {
			w.walk(r.node, i, s)
		}
	}
}

// joinWords makes one part of words that follow each other.
func joinWords(parts []SamplePart) []SamplePart {
	var out []SamplePart
	for _, p := range parts {
		if n := len(out); n > 0 && p.Slot == "" && out[n-1].Slot == "" {
			out[n-1].Text += " " + p.Text
			continue
		}
		out = append(out, p)
	}
	return out
}

// ListEntry is a value of a closed list with the ways to say it.
type ListEntry struct {
	Value string
	Said  []string
}

// List returns the values of a closed list of the catalogue, and whether there
// is one of that name.
func (c *Catalogue) List(name string) ([]ListEntry, bool) {
	entries, ok := c.lists[name]
	var out []ListEntry
	for _, e := range entries {
		if n := len(out); n == 0 || out[n-1].Value != e.value {
			out = append(out, ListEntry{Value: e.value})
		}
		last := &out[len(out)-1]
		last.Said = append(last.Said, e.text)
	}
	return out, ok
}

// Environments returns what namespaces are called without anybody knowing them.
func (c *Catalogue) Environments() []string { return slices.Clone(c.words.env) }

// SlotType returns the declared type of an intent's slot, "" where there is none.
func (c *Catalogue) SlotType(intent, slot string) string {
	d := c.intents[intent]
	if d == nil {
		return ""
	}
	return d.slots[slot].typ
}

// Lists returns the names of the closed lists, sorted.
func (c *Catalogue) Lists() []string { return slices.Sorted(maps.Keys(c.lists)) }
