package intents

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Grammar is what may be said, for an engine that hears better where it knows
// what to expect: an automaton over words and slots, without cycles and with one
// arc for each word at a node. Node 0 is the start.
type Grammar struct {
	Nodes []GrammarNode
}

// GrammarNode is a place in a sentence.
type GrammarNode struct {
	End  bool // a sentence may end here
	Arcs []GrammarArc
}

// GrammarArc leads on by a word, or by any value of a type.
type GrammarArc struct {
	Word string
	Type string // a type of slots, where Word is ""
	To   int
}

// Grammar makes the grammar of what is said aloud. types says which types of slots
// can be heard; closed lists are spelled out by themselves. A name or a number alone
// is there only where a question is open.
func (c *Catalogue) Grammar(types func(typ string) bool, question bool) *Grammar {
	return c.grammarOf(types, func(intent string) bool { return question || intent != "amend" })
}

func (c *Catalogue) grammarOf(types, take func(string) bool) *Grammar {
	g := &grammarMaker{c: c, types: types, lists: map[string]*node{}}
	start, open, end, last := g.add(), g.add(), g.add(), g.add()
	// Who answers, or only says a name, puts nothing around it.
	bare := []string{"confirm", "deny", "cancel", "repeat", "help", "greet", "thanks", "amend", OutOfScope, "switch_namespace"}
	nowhere := []string{"alert_ack", "alert_silence", "alerts_list", "history", "promote", "status", "list"} // they say their place themselves
	g.phrases(start, open, "please", "can you", "could you", "could you please", "can you please", "hey first mate", "first mate")
	g.skip(start, open)
	placed, in, named := g.add(), g.add(), g.add()
	g.skip(end, placed)
	g.phrases(end, in, "in", "in the", "in namespace")
	g.arc(in, GrammarArc{Type: "namespace", To: named})
	g.skip(named, placed)
	g.phrases(named, placed, "namespace")
	g.skip(placed, last)
	plain := g.add() // behind what has no place
	g.skip(plain, placed)
	g.phrases(placed, last, "please", "now", "thanks", "right now")
	for _, s := range c.said {
		g.d = c.intents[s.intent]
		if g.d == nil {
			g.d = &intentDef{}
		}
		if !take(s.intent) || g.size(s.node, 0) < 0 {
			continue
		}
		if slices.Contains(bare, s.intent) {
			g.build(s.node, start, last, 0)
			continue
		}
		to := plain
		if _, ok := g.d.slots["namespace"]; ok && !slices.Contains(nowhere, s.intent) {
			to = end
		}
		g.build(s.node, open, to, 0)
	}
	g.spoken()
	return g.determined(start, last)
}

// grammarMaker builds the automaton, at first with empty steps.
type grammarMaker struct {
	c     *Catalogue
	d     *intentDef // whose templates are built
	types func(string) bool
	nodes []grammarNode
	lists map[string]*node
}

type grammarNode struct {
	arcs  []GrammarArc
	empty []int
}

func (g *grammarMaker) add() int {
	g.nodes = append(g.nodes, grammarNode{})
	return len(g.nodes) - 1
}

func (g *grammarMaker) arc(from int, a GrammarArc) {
	g.nodes[from].arcs = append(g.nodes[from].arcs, a)
}

func (g *grammarMaker) skip(from, to int) { g.nodes[from].empty = append(g.nodes[from].empty, to) }

// phrases lets any of these stand between two nodes.
func (g *grammarMaker) phrases(from, to int, phrases ...string) {
	for _, p := range phrases {
		at := from
		words := strings.Fields(p)
		for i, w := range words {
			next := to
			if i < len(words)-1 {
				next = g.add()
			}
			g.arc(at, GrammarArc{Word: w, To: next})
			at = next
		}
	}
}

// sayable reports a word that can be said as it is written.
func sayable(w string) bool {
	return w != "" && strings.IndexFunc(w, func(r rune) bool { return (r < 'a' || r > 'z') && r != '\'' }) < 0
}

// slot is what a slot of a template stands for: a type that is heard, or a closed
// list, written out. dead where it is neither.
func (g *grammarMaker) slot(n *node) (typ string, list *node, dead bool) {
	typ = n.typ
	if typ == "" {
		typ = g.d.slots[n.slot].typ
	}
	if g.types(typ) {
		return typ, nil, false
	}
	entries, ok := g.c.lists[typ]
	if !ok {
		return "", nil, true
	}
	if g.lists[typ] == nil {
		alt := &node{kind: nodeAlt}
		for _, e := range entries {
			seq := &node{kind: nodeSeq}
			for w := range strings.FieldsSeq(e.text) {
				seq.kids = append(seq.kids, &node{kind: nodeWord, word: w})
			}
			alt.kids = append(alt.kids, seq)
		}
		g.lists[typ] = alt
	}
	return typ, g.lists[typ], false
}

// size is how many arcs a part of a template makes; -1 where it cannot be said.
func (g *grammarMaker) size(n *node, depth int) int {
	if depth > 12 {
		return -1
	}
	total := 0
	switch n.kind {
	case nodeWord:
		if n.word == "," {
			return 0
		}
		if !sayable(n.word) {
			return -1
		}
		return 1
	case nodeFix:
		return 0
	case nodeSlot:
		_, list, dead := g.slot(n)
		switch {
		case dead:
			return -1
		case list != nil:
			return g.size(list, depth+1)
		}
		return 1
	case nodeRule:
		return g.size(g.c.rules[n.word].node, depth+1)
	case nodeOpt:
		return max(g.size(n.kids[0], depth+1), 0)
	case nodeAlt:
		for _, k := range n.kids {
			total += max(g.size(k, depth+1), 0)
		}
		if total == 0 {
			return -1
		}
		return total
	}
	for _, k := range n.kids {
		s := g.size(k, depth+1)
		if s < 0 {
			return -1
		}
		total += s
	}
	return total
}

// build adds n between two nodes. Its size is not negative.
func (g *grammarMaker) build(n *node, from, to, depth int) {
	switch n.kind {
	case nodeWord:
		if n.word == "," {
			g.skip(from, to)
			return
		}
		g.arc(from, GrammarArc{Word: n.word, To: to})
	case nodeFix:
		g.skip(from, to)
	case nodeSlot:
		typ, list, _ := g.slot(n)
		if list != nil {
			g.build(list, from, to, depth+1)
			return
		}
		g.arc(from, GrammarArc{Type: typ, To: to})
	case nodeRule:
		g.build(g.c.rules[n.word].node, from, to, depth+1)
	case nodeOpt:
		g.skip(from, to)
		if g.size(n.kids[0], depth+1) > 0 {
			g.build(n.kids[0], from, to, depth+1)
		}
	case nodeAlt:
		for _, k := range n.kids {
			if g.size(k, depth+1) >= 0 {
				g.build(k, from, to, depth+1)
			}
		}
	default: // parts in any order are said in the order they are written
		if len(n.kids) == 0 {
			g.skip(from, to)
		}
		for i, k := range n.kids {
			next := to
			if i < len(n.kids)-1 {
				next = g.add()
			}
			g.build(k, from, next, depth+1)
			from = next
		}
	}
}

// spoken adds the contractions that people say where templates write them out.
func (g *grammarMaker) spoken() {
	for from := range g.nodes {
		for _, a := range slices.Clone(g.nodes[from].arcs) {
			for _, b := range g.nodes[a.To].arcs {
				if a.Word == "" || b.Word == "" {
					continue
				}
				switch b.Word {
				case "is":
					if slices.Contains([]string{"what", "how", "where", "who", "that", "it", "there"}, a.Word) {
						g.arc(from, GrammarArc{Word: a.Word + "'s", To: b.To})
					}
				case "not":
					if slices.Contains([]string{"do", "does", "is", "did"}, a.Word) {
						g.arc(from, GrammarArc{Word: a.Word + "n't", To: b.To})
					}
				case "us":
					if a.Word == "let" {
						g.arc(from, GrammarArc{Word: "let's", To: b.To})
					}
				case "would":
					if slices.Contains([]string{"i", "we"}, a.Word) {
						g.arc(from, GrammarArc{Word: a.Word + "'d", To: b.To})
					}
				case "am":
					if a.Word == "i" {
						g.arc(from, GrammarArc{Word: "i'm", To: b.To})
					}
				}
			}
		}
	}
}

// determined makes the automaton one with a single arc for each word, and joins
// nodes from which the same may follow.
func (g *grammarMaker) determined(start, last int) *Grammar {
	sets := map[string]int{}
	var members [][]int
	closed := func(from []int) []int {
		seen := map[int]bool{}
		for len(from) > 0 {
			n := from[len(from)-1]
			from = from[:len(from)-1]
			if !seen[n] {
				seen[n] = true
				from = append(from, g.nodes[n].empty...)
			}
		}
		out := make([]int, 0, len(seen))
		for n := range seen {
			out = append(out, n)
		}
		slices.Sort(out)
		return out
	}
	of := func(from []int) int {
		set := closed(from)
		var key []byte
		for _, n := range set {
			key = binary.LittleEndian.AppendUint32(key, uint32(n))
		}
		id, ok := sets[string(key)]
		if !ok {
			id = len(members)
			sets[string(key)] = id
			members = append(members, set)
		}
		return id
	}
	of([]int{start})
	var nodes []GrammarNode
	for i := 0; i < len(members); i++ {
		to := map[GrammarArc][]int{}
		for _, n := range members[i] {
			for _, a := range g.nodes[n].arcs {
				label := GrammarArc{Word: a.Word, Type: a.Type}
				to[label] = append(to[label], a.To)
			}
		}
		n := GrammarNode{End: slices.Contains(members[i], last)}
		for label, next := range to {
			label.To = of(next)
			n.Arcs = append(n.Arcs, label)
		}
		slices.SortFunc(n.Arcs, func(a, b GrammarArc) int {
			return strings.Compare(a.Word+"\x00"+a.Type, b.Word+"\x00"+b.Type)
		})
		nodes = append(nodes, n)
	}
	return joined(nodes)
}

// joined gives nodes that the same may follow one number.
func joined(nodes []GrammarNode) *Grammar {
	ids := make([]int, len(nodes)) // node → its number + 1
	seen := map[string]int{}
	var out []GrammarNode
	var visit func(n int) int
	visit = func(n int) int {
		if ids[n] > 0 {
			return ids[n] - 1
		}
		var arcs []GrammarArc
		var key strings.Builder
		if nodes[n].End {
			key.WriteByte('.')
		}
		for _, a := range nodes[n].Arcs {
			if a.To = visit(a.To); !out[a.To].End && len(out[a.To].Arcs) == 0 {
				continue // a way that leads nowhere
			}
			arcs = append(arcs, a)
			key.WriteString(a.Word + "\x00" + a.Type + "\x00")
			key.Write(binary.LittleEndian.AppendUint32(nil, uint32(a.To)))
		}
		id, ok := seen[key.String()]
		if !ok {
			id = len(out)
			seen[key.String()] = id
			out = append(out, GrammarNode{End: nodes[n].End, Arcs: arcs})
		}
		ids[n] = id + 1
		return id
	}
	first := visit(0)
	// The start comes first.
	last := len(out) - 1
	out[first], out[last] = out[last], out[first]
	slices.Reverse(out)
	for i := range out {
		for k := range out[i].Arcs {
			a := &out[i].Arcs[k]
			switch a.To {
			case first:
				a.To = last
			case last:
				a.To = first
			}
			a.To = last - a.To
		}
	}
	return &Grammar{Nodes: out}
}
