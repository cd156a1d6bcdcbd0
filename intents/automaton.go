package intents

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// automaton is all templates of a catalogue in one graph. Literal words are
// numbered, so that following one is a binary search over integers.
type automaton struct {
	words     map[string]int32
	types     []string // by edge label
	sentences []sentence
	nodes     []autoNode
	wordEdges []wordEdge
	slotEdges []slotEdge
	// follows tells of each node, in little room, which words may come next: most
	// edges lead to places where the next word of the sentence does not fit.
	follows []uint64
	accepts []accept
	sets    [][]fix // side effects of an edge; 0 is none
	also    []hubEdge
	cues    []cue // of the hubs that a.frames leads to, in that order
	start   int32 // of whole sentences
	frames  int32 // of frames: tried where no sentence fits well
}

// autoNode is a place between two words; its edges are slices of the
// automaton's tables with all empty steps already taken.
type autoNode struct {
	// Each is the first of the node's own; they end where the next node's begin.
	words, slots, accepts int32
	// also are the hubs that hold whatever may go on from here besides.
	also int32
	// skips says what may be skipped here: only hubs skip.
	skips loopKind
}

type wordEdge struct {
	word, to, set int32
}

type slotEdge struct {
	typ, to, set int32
	slot         string
}

// loopKind says what may be skipped at a place between the parts of a frame.
type loopKind uint8

const (
	loopNone loopKind = iota
	loopIdle          // small words
	loopAny           // other words as well
)

// hubEdge leads without a word to a place between the parts of a frame. So much
// may follow there that it is kept once, and not with every end of a part.
type hubEdge struct {
	to, set int32
}

// cue is the words of which a frame needs one, as a set of word numbers. A frame
// that can do without is always tried.
type cue struct {
	words  []uint64
	always bool
}

// in reports a word of the cue.
func (c *cue) in(word int32) bool {
	i := int(word >> 6)
	return i < len(c.words) && c.words[i]&(1<<(word&63)) != 0
}

type accept struct {
	sentence, set int32
}

// fix sets a slot to a value that the template gives.
type fix struct {
	slot  string
	value any
}

// compiler builds the automaton in two steps: a graph with empty steps, then
// the same without them.
type compiler struct {
	c     *Catalogue
	a     *automaton
	types map[string]int32
	raw   []rawNode
	hubs  []hub // before the cues
	words []rawWord
	slots []rawSlot
	empty []rawEps
	fixes []fix
	sets  map[string]int32 // fixes by their indexes → set
}

// hub is the place before the cue of a frame.
type hub struct {
	raw int32
	cue *node
}

// rawNode holds the heads and tails of its lists of edges, as index + 1 into
// the compiler's tables: the graph has some hundred thousand nodes, most with one
// edge, and a slice for each would be the most of the work.
type rawNode struct {
	words, words2 int32
	slots, slots2 int32
	eps, eps2     int32
	acc           int32 // sentence + 1
	loop          loopKind
	hub           bool
}

type rawWord struct {
	word, to, next int32
}

type rawSlot struct {
	typ, to, next int32
	slot          string
}

type rawEps struct {
	to, next int32
	fix      int32 // index of fixes + 1
}

// openingRule names the rule that may precede the sentences of every intent
// with a namespace.
const openingRule = "opening"

func compile(c *Catalogue) *automaton {
	co := &compiler{c: c, a: &automaton{words: map[string]int32{}, sets: [][]fix{nil}}, types: map[string]int32{}, sets: map[string]int32{}}
	n := 0
	for _, s := range slices.Concat(c.templates, c.answers) {
		n += s.node.size(c.rules)
		if s.frame != nil {
			for _, p := range slices.Concat(s.frame.before, s.frame.parts, s.frame.parts) {
				n += p.node.size(c.rules)
			}
		}
	}
	co.raw, co.words, co.empty = make([]rawNode, 0, n/2), make([]rawWord, 0, n/4), make([]rawEps, 0, n/2)
	co.a.wordEdges, co.a.nodes = make([]wordEdge, 0, n/2), make([]autoNode, 0, n/10)
	start := co.add()
	// "in staging, …" may open every sentence that has a place.
	placed := co.add()
	co.eps(start, placed, nil)
	if r := c.rules[openingRule]; r != nil {
		co.eps(co.build(r.node, nil, start), placed, nil)
	}
	frames := co.add()
	for _, s := range slices.Concat(c.templates, c.answers) {
		i := int32(len(co.a.sentences))
		co.a.sentences = append(co.a.sentences, s)
		from := start
		d := c.intents[s.intent]
		if d != nil && !s.answer {
			if _, ok := d.slots["namespace"]; ok {
				from = placed
			}
		}
		var end int32
		if s.frame != nil {
			end = co.frame(&s, d, frames)
		} else {
			end = co.build(s.node, d, from)
		}
		if co.raw[end].acc != 0 { // ends are never shared, save by an empty template
			continue
		}
		co.raw[end].acc = i + 1
	}
	co.close(start, frames)
	co.a.lookAhead()
	co.a.cues = make([]cue, len(co.hubs))
	for i, h := range co.hubs {
		c := &co.a.cues[i]
		c.words = make([]uint64, len(co.a.words)/64+1)
		c.always = !h.cue.literals(co.c.rules, func(w string) {
			if id, ok := co.a.words[w]; ok {
				c.words[id>>6] |= 1 << (id & 63)
			}
		})
	}
	return co.a
}

func (co *compiler) add() int32 {
	co.raw = append(co.raw, rawNode{})
	return int32(len(co.raw) - 1)
}

func (co *compiler) eps(from, to int32, f *fix) {
	e := rawEps{to: to}
	if f != nil {
		co.fixes = append(co.fixes, *f)
		e.fix = int32(len(co.fixes))
	}
	co.empty = append(co.empty, e)
	i, n := int32(len(co.empty)), &co.raw[from]
	if n.eps2 == 0 {
		n.eps = i
	} else {
		co.empty[n.eps2-1].next = i
	}
	n.eps2 = i
}

// build adds n behind from and returns the node where it ends.
func (co *compiler) build(n *node, d *intentDef, from int32) int32 {
	switch n.kind {
	case nodeWord:
		id, ok := co.a.words[n.word]
		if !ok {
			id = int32(len(co.a.words))
			co.a.words[n.word] = id
		}
		to := co.add()
		co.words = append(co.words, rawWord{word: id, to: to})
		i, n := int32(len(co.words)), &co.raw[from]
		if n.words2 == 0 {
			n.words = i
		} else {
			co.words[n.words2-1].next = i
		}
		n.words2 = i
		return to
	case nodeSlot:
		typ := n.typ
		if typ == "" {
			typ = d.slots[n.slot].typ
		}
		id, ok := co.types[typ]
		if !ok {
			id = int32(len(co.a.types))
			co.types[typ] = id
			co.a.types = append(co.a.types, typ)
		}
		to := co.add()
		co.slots = append(co.slots, rawSlot{typ: id, to: to, slot: n.slot})
		i, r := int32(len(co.slots)), &co.raw[from]
		if r.slots2 == 0 {
			r.slots = i
		} else {
			co.slots[r.slots2-1].next = i
		}
		r.slots2 = i
		return to
	case nodeFix:
		to := co.add()
		co.eps(from, to, &fix{n.slot, n.value})
		return to
	case nodeRule:
		return co.build(co.c.rules[n.word].node, d, from)
	case nodeSeq:
		for _, k := range n.kids {
			from = co.build(k, d, from)
		}
		return from
	case nodeOpt:
		end := co.build(n.kids[0], d, from)
		to := co.add()
		co.eps(end, to, nil)
		co.eps(from, to, nil)
		return to
	case nodeAlt:
		to := co.add()
		for _, k := range n.kids {
			// A node of its own keeps the branches' fixed slots apart.
			in := co.add()
			co.eps(from, in, nil)
			co.eps(co.build(k, d, in), to, nil)
		}
		return to
	case nodePerm:
		to := co.add()
		co.permute(n.kids, d, from, to)
		return to
	}
	return from
}

// frame adds the two loops of parts before and behind the cue, and returns the
// second, where the sentence may end.
func (co *compiler) frame(s *sentence, d *intentDef, from int32) int32 {
	skips := loopAny
	switch {
	case s.frame.exact || d.spec.Risk == RiskWrite:
		skips = loopNone
	case s.frame.idle:
		skips = loopIdle
	}
	loop := func(parts []sentence) int32 {
		at := co.add()
		for _, p := range parts {
			co.eps(co.build(p.node, d, at), at, nil)
		}
		co.raw[at].loop, co.raw[at].hub = skips, true
		return at
	}
	before := loop(slices.Concat(s.frame.before, s.frame.parts))
	behind := loop(s.frame.parts)
	co.hubs = append(co.hubs, hub{before, s.node})
	co.eps(from, before, nil)
	co.eps(co.build(s.node, d, before), behind, nil)
	return behind
}

// permute adds every order of kids; orders share their beginnings.
func (co *compiler) permute(kids []*node, d *intentDef, from, to int32) {
	if len(kids) == 0 {
		co.eps(from, to, nil)
		return
	}
	for i, k := range kids {
		in := co.add()
		co.eps(from, in, nil)
		rest := slices.Delete(slices.Clone(kids), i, i+1)
		co.permute(rest, d, co.build(k, d, in), to)
	}
}

// set numbers a set of fixed slots; the same set is kept once.
func (co *compiler) set(fixes []int32) int32 {
	if len(fixes) == 0 {
		return 0
	}
	key := make([]byte, 0, 4*len(fixes))
	for _, i := range fixes {
		key = binary.LittleEndian.AppendUint32(key, uint32(i))
	}
	if set, ok := co.sets[string(key)]; ok {
		return set
	}
	set := make([]fix, len(fixes))
	for i, f := range fixes {
		set[i] = co.fixes[f]
	}
	co.a.sets = append(co.a.sets, set)
	co.sets[string(key)] = int32(len(co.a.sets) - 1)
	return int32(len(co.a.sets) - 1)
}

// close takes all empty steps and keeps the nodes that a word leads to.
func (co *compiler) close(start, frames int32) {
	a := co.a
	ids := make([]int32, len(co.raw)) // raw node → node + 1
	var queue []int32
	intern := func(raw int32) int32 {
		// A node that only leads on is the node it leads to.
		for {
			r := &co.raw[raw]
			if r.words > 0 || r.slots > 0 || r.acc > 0 || r.hub || r.eps == 0 || r.eps != r.eps2 || co.empty[r.eps-1].fix > 0 {
				break
			}
			raw = co.empty[r.eps-1].to
		}
		if ids[raw] == 0 {
			queue = append(queue, raw)
			ids[raw] = int32(len(queue))
		}
		return ids[raw] - 1
	}
	a.start = intern(start)
	a.frames = intern(frames)
	seen := make([]int32, len(co.raw)) // mark of the closure that saw it
	var mark int32
	for q := 0; q < len(queue); q++ {
		n := autoNode{words: int32(len(a.wordEdges)), slots: int32(len(a.slotEdges)), accepts: int32(len(a.accepts)), also: int32(len(a.also)), skips: co.raw[queue[q]].loop}
		mark++
		var walk func(raw int32, fixes []int32)
		walk = func(raw int32, fixes []int32) {
			// With fixed slots on the way the same node may be reached twice
			// with different meaning, so only plain paths are remembered.
			if len(fixes) == 0 {
				if seen[raw] == mark {
					return
				}
				seen[raw] = mark
			}
			r := &co.raw[raw]
			set := int32(0)
			if r.hub && raw != queue[q] {
				set = co.set(fixes)
				a.also = append(a.also, hubEdge{intern(raw), set})
				return
			}
			if r.words > 0 || r.slots > 0 || r.acc > 0 {
				set = co.set(fixes)
			}
			for i := r.words; i > 0; i = co.words[i-1].next {
				e := &co.words[i-1]
				a.wordEdges = append(a.wordEdges, wordEdge{e.word, intern(e.to), set})
			}
			for i := r.slots; i > 0; i = co.slots[i-1].next {
				e := &co.slots[i-1]
				a.slotEdges = append(a.slotEdges, slotEdge{e.typ, intern(e.to), set, e.slot})
			}
			if r.acc > 0 {
				a.accepts = append(a.accepts, accept{r.acc - 1, set})
			}
			for i := r.eps; i > 0; i = co.empty[i-1].next {
				e := &co.empty[i-1]
				next := fixes
				if e.fix > 0 {
					next = append(slices.Clone(fixes), e.fix-1)
				}
				walk(e.to, next)
			}
		}
		walk(queue[q], nil)
		edges := a.wordEdges[n.words:]
		slices.SortStableFunc(edges, func(x, y wordEdge) int { return cmp.Compare(x.word, y.word) })
		a.nodes = append(a.nodes, n)
	}
	a.nodes = append(a.nodes, autoNode{words: int32(len(a.wordEdges)), slots: int32(len(a.slotEdges)), accepts: int32(len(a.accepts)), also: int32(len(a.also))})
}

// aheadBit is the bit that stands for a word in what may follow.
func aheadBit(word int32) uint64 { return 1 << (uint32(word) * 2654435769 >> 26) }

// anything is what may follow where more than words may.
const anything = ^uint64(0)

// lookAhead fills in what may follow each node.
func (a *automaton) lookAhead() {
	a.follows = make([]uint64, len(a.nodes)-1)
	for i := range a.follows {
		n, end := &a.nodes[i], &a.nodes[i+1]
		if n.slots < end.slots || n.accepts < end.accepts || n.also < end.also || n.skips > loopNone {
			a.follows[i] = anything
			continue
		}
		for _, e := range a.wordEdges[n.words:end.words] {
			a.follows[i] |= aheadBit(e.word)
		}
	}
}

// slotOf names the slot of an edge, given as its index + 1; 0 is none.
func (a *automaton) slotOf(edge int32) string {
	if edge == 0 {
		return ""
	}
	return a.slotEdges[edge-1].slot
}

// follow returns the edges of n that a word takes, as indexes of wordEdges.
func (a *automaton) follow(node, word int32) (from, to int32) {
	n := &a.nodes[node]
	edges := a.wordEdges[n.words:a.nodes[node+1].words]
	lo, hi := 0, len(edges)
	for lo < hi {
		m := (lo + hi) / 2
		if edges[m].word < word {
			lo = m + 1
		} else {
			hi = m
		}
	}
	for hi = lo; hi < len(edges) && edges[hi].word == word; hi++ {
	}
	return n.words + int32(lo), n.words + int32(hi)
}
