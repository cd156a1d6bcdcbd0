package intents

import (
	"fmt"
	"strconv"
	"strings"
)

// node is a parsed template.
type node struct {
	kind  nodeKind
	kids  []*node
	word  string // literal word, rule name
	slot  string
	typ   string // of a slot span; "" is the declared type
	value any    // of a fixed slot
}

type nodeKind uint8

const (
	nodeWord nodeKind = iota
	nodeSeq
	nodeAlt
	nodeOpt
	nodePerm // all of them in any order
	nodeSlot
	nodeFix
	nodeRule
)

// maxPermuted bounds the orders that a permutation unfolds to.
const maxPermuted = 4

// leaves are the words, slots and rules that templates are made of, each once:
// a catalogue has thirteen times as many places where they stand.
type leaves map[leaf]*node

// leaf is a node without kids.
type leaf struct {
	kind            nodeKind
	word, slot, typ string
	value           any
}

func (l leaves) node(of leaf) *node {
	n := l[of]
	if n == nil {
		n = &node{kind: of.kind, word: of.word, slot: of.slot, typ: of.typ, value: of.value}
		l[of] = n
	}
	return n
}

// parseTemplate reads the template syntax; the error says what is wrong and
// where in the template.
func parseTemplate(text string, shared leaves) (*node, error) {
	p := &templateParser{s: text, leaves: shared}
	n, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	if p.i < len(p.s) {
		return nil, p.errorf("unexpected %q", p.s[p.i:p.i+1])
	}
	return n, nil
}

type templateParser struct {
	s      string
	i      int
	depth  int
	leaves leaves
}

func (p *templateParser) errorf(format string, args ...any) error {
	return fmt.Errorf("column %d: %s", p.i+1, fmt.Sprintf(format, args...))
}

// alternatives reads a|b or a;b up to a closing bracket or the end.
func (p *templateParser) alternatives() (*node, error) {
	if p.depth++; p.depth > 40 {
		return nil, p.errorf("brackets nest too deep")
	}
	defer func() { p.depth-- }()
	var kids []*node
	var sep byte
	for {
		n, err := p.sequence()
		if err != nil {
			return nil, err
		}
		kids = append(kids, n)
		if p.i >= len(p.s) || (p.s[p.i] != '|' && p.s[p.i] != ';') {
			break
		}
		if sep != 0 && sep != p.s[p.i] {
			return nil, p.errorf("| and ; do not mix: add brackets")
		}
		sep = p.s[p.i]
		p.i++
	}
	if len(kids) == 1 {
		return kids[0], nil
	}
	if sep == ';' {
		if len(kids) > maxPermuted {
			return nil, p.errorf("more than %d parts in any order", maxPermuted)
		}
		return &node{kind: nodePerm, kids: kids}, nil
	}
	return &node{kind: nodeAlt, kids: kids}, nil
}

// sequence reads what stands one behind the other; of one thing it is that thing.
func (p *templateParser) sequence() (*node, error) {
	var kids []*node
	for p.i < len(p.s) {
		switch c := p.s[p.i]; c {
		case ' ', '\t', '\n':
			p.i++
		case '|', ';', ')', ']':
			return sequenceOf(kids), nil
		case '(', '[':
			p.i++
			n, err := p.alternatives()
			if err != nil {
				return nil, err
			}
			want := byte(')')
			if c == '[' {
				want = ']'
				n = &node{kind: nodeOpt, kids: []*node{n}}
			}
			if p.i >= len(p.s) || p.s[p.i] != want {
				return nil, p.errorf("%q is not closed", string(c))
			}
			p.i++
			kids = append(kids, n)
		case '{', '<':
			closer := "}"
			if c == '<' {
				closer = ">"
			}
			inner, _, ok := strings.Cut(p.s[p.i+1:], closer)
			if !ok {
				return nil, p.errorf("%q is not closed", string(c))
			}
			n, err := p.braced(c, inner)
			if err != nil {
				return nil, err
			}
			p.i += len(inner) + 2
			kids = append(kids, n)
		case '}', '>':
			// "->" and "=>" are words; a lone one is a slip.
			return nil, p.errorf("unexpected %q", string(c))
		default:
			j := p.i
			for j < len(p.s) && !strings.ContainsRune(" \t\n|;()[]{}<", rune(p.s[j])) {
				if p.s[j] == '>' && !(j > p.i && (p.s[j-1] == '-' || p.s[j-1] == '=')) {
					break
				}
				j++
			}
			w := strings.ToLower(p.s[p.i:j])
			if strings.Contains(w, "'") {
				return nil, p.errorf("write %q out: sentences are matched with contractions expanded", w)
			}
			kids = append(kids, p.leaves.node(leaf{kind: nodeWord, word: w}))
			p.i = j
		}
	}
	return sequenceOf(kids), nil
}

func sequenceOf(kids []*node) *node {
	if len(kids) == 1 {
		return kids[0]
	}
	return &node{kind: nodeSeq, kids: kids}
}

func (p *templateParser) braced(open byte, inner string) (*node, error) {
	if open == '<' {
		if !isIdent(inner) {
			return nil, p.errorf("<%s> is not a rule name", inner)
		}
		return p.leaves.node(leaf{kind: nodeRule, word: inner}), nil
	}
	if slot, value, ok := strings.Cut(inner, "="); ok {
		if !isIdent(slot) || value == "" {
			return nil, p.errorf("{%s} wants {slot=value}", inner)
		}
		return p.leaves.node(leaf{kind: nodeFix, slot: slot, value: fixedValue(value)}), nil
	}
	slot, typ, _ := strings.Cut(inner, ":")
	if !isIdent(slot) || (typ != "" && !isIdent(typ)) {
		return nil, p.errorf("{%s} wants {slot} or {slot:type}", inner)
	}
	return p.leaves.node(leaf{kind: nodeSlot, slot: slot, typ: typ}), nil
}

// fixedValue reads numbers as numbers, so that {factor=0.5} is one.
func fixedValue(s string) any {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return f
	}
	switch s {
	case "true":
		return true
	case "false":
		return false
	}
	return s
}

func isIdent(s string) bool {
	if s == "" {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && !(i > 0 && isDigit(c)) {
			return false
		}
	}
	return true
}

// empty reports whether the node can match no words at all.
func (n *node) empty(rules map[string]*rule, depth int) bool {
	if depth > 64 {
		return true
	}
	switch n.kind {
	case nodeWord, nodeSlot:
		return false
	case nodeAlt:
		for _, k := range n.kids {
			if k.empty(rules, depth+1) {
				return true
			}
		}
		return false
	case nodeOpt, nodeFix:
		return true
	case nodeRule:
		r := rules[n.word]
		return r == nil || r.node.empty(rules, depth+1)
	}
	for _, k := range n.kids {
		if !k.empty(rules, depth+1) {
			return false
		}
	}
	return true
}

// opening adds the words with which the template can begin to set, and reports
// whether the whole of it may be left out.
func (n *node) opening(rules map[string]*rule, set map[string]bool) (empty bool) {
	switch n.kind {
	case nodeWord:
		set[n.word] = true
		return false
	case nodeSlot:
		return false
	case nodeFix:
		return true
	case nodeRule:
		return rules[n.word].node.opening(rules, set)
	case nodeOpt:
		n.kids[0].opening(rules, set)
		return true
	case nodeAlt, nodePerm:
		for _, k := range n.kids {
			empty = k.opening(rules, set) || empty
		}
		return empty
	}
	for _, k := range n.kids {
		if !k.opening(rules, set) {
			return false
		}
	}
	return true
}

// literals calls f for each word of the template, and reports whether there is
// no way through it without one.
func (n *node) literals(rules map[string]*rule, f func(string)) (needed bool) {
	switch n.kind {
	case nodeWord:
		f(n.word)
		return true
	case nodeRule:
		return rules[n.word].node.literals(rules, f)
	case nodeAlt:
		needed = true
		for _, k := range n.kids {
			needed = k.literals(rules, f) && needed
		}
		return needed
	}
	for _, k := range n.kids {
		needed = k.literals(rules, f) || needed
	}
	return needed && n.kind != nodeOpt
}

// size is about how many places the template unfolds to.
func (n *node) size(rules map[string]*rule) int {
	total := 1
	for _, k := range n.kids {
		total += k.size(rules) + 1
	}
	switch n.kind {
	case nodeRule:
		total += rules[n.word].node.size(rules)
	case nodePerm:
		total *= 3
	}
	return total
}
