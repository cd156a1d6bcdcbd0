package intents

import (
	"encoding/binary"
	"slices"
)

// compiler builds the automaton in two steps: a graph with empty steps, then
// the same without them.
type compiler struct {
	c     *Catalogue
	a     *automaton
	types map[string]int32
	names map[string]int32 // of slots
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
	typ, slot, to, next int32
}

type rawEps struct {
	to, next int32
	fix      int32 // index of fixes + 1
}

// openingRule names the rule that may precede the sentences of every intent
// with a namespace.
const openingRule = "opening"

// compile makes one automaton of all templates. The words of a sentence up to
// merged lead to merged nodes.
func compile(c *Catalogue, merged int) *automaton {
	co := &compiler{c: c, a: &automaton{words: map[string]int32{}, sets: [][]fix{nil}}, types: map[string]int32{}, names: map[string]int32{}, sets: map[string]int32{}}
	n := 0
	for _, s := range slices.Concat(c.templates, c.answers) {
		n += s.node.size(c.rules)
		if s.frame != nil {
			for _, p := range slices.Concat(s.frame.before, s.frame.parts, s.frame.parts) {
				n += p.node.size(c.rules)
			}
		}
	}
	co.raw, co.words, co.empty = make([]rawNode, 0, n/8), make([]rawWord, 0, n/4), make([]rawEps, 0, n/16)
	co.a.wordEdges, co.a.nodes = make([]wordEdge, 0, n*11/16), make([]autoNode, 0, n/10)
	start := co.add()
	// "in staging, …" may open every sentence that has a place. It is kept apart
	// like a hub, or all that may follow would be there twice, behind both.
	placed := co.add()
	co.raw[placed].hub = true
	co.eps(start, placed, nil)
	if r := c.rules[openingRule]; r != nil {
		co.build(r.node, nil, start, placed)
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
			end = co.build(s.node, d, from, none)
		}
		if co.raw[end].acc != 0 { // ends are never shared, save by an empty template
			continue
		}
		co.raw[end].acc = i + 1
	}
	co.close(start, placed, frames, merged)
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

// none stands for a node that is yet to be added.
const none = -1

// build adds n between two nodes, and returns the second, where it ends.
func (co *compiler) build(n *node, d *intentDef, from, to int32) int32 {
	switch n.kind {
	case nodeRule:
		return co.build(co.c.rules[n.word].node, d, from, to)
	case nodeSeq:
		for i, k := range n.kids {
			if i == len(n.kids)-1 {
				return co.build(k, d, from, to)
			}
			from = co.build(k, d, from, none)
		}
		if to == none {
			return from
		}
		co.eps(from, to, nil)
		return to
	}
	if to == none {
		to = co.add()
	}
	switch n.kind {
	case nodeWord:
		id, ok := co.a.words[n.word]
		if !ok {
			id = int32(len(co.a.words))
			co.a.words[n.word] = id
		}
		co.words = append(co.words, rawWord{word: id, to: to})
		i, r := int32(len(co.words)), &co.raw[from]
		if r.words2 == 0 {
			r.words = i
		} else {
			co.words[r.words2-1].next = i
		}
		r.words2 = i
	case nodeSlot:
		typ := n.typ
		if typ == "" {
			typ = d.slots[n.slot].typ
		}
		co.slots = append(co.slots, rawSlot{typ: numbered(co.types, &co.a.types, typ), slot: numbered(co.names, &co.a.slots, n.slot), to: to})
		i, r := int32(len(co.slots)), &co.raw[from]
		if r.slots2 == 0 {
			r.slots = i
		} else {
			co.slots[r.slots2-1].next = i
		}
		r.slots2 = i
	case nodeFix:
		co.eps(from, to, &fix{n.slot, n.value})
	case nodeOpt:
		co.build(n.kids[0], d, from, to)
		co.eps(from, to, nil)
	case nodeAlt:
		for _, k := range n.kids {
			co.build(k, d, from, to)
		}
	case nodePerm:
		co.permute(n.kids, d, from, to)
	}
	return to
}

// numbered gives each name a number: its index in names.
func numbered(ids map[string]int32, names *[]string, name string) int32 {
	id, ok := ids[name]
	if !ok {
		id = int32(len(*names))
		ids[name] = id
		*names = append(*names, name)
	}
	return id
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
			co.build(p.node, d, at, at)
		}
		co.raw[at].loop, co.raw[at].hub = skips, true
		return at
	}
	before := loop(slices.Concat(s.frame.before, s.frame.parts))
	behind := loop(s.frame.parts)
	co.hubs = append(co.hubs, hub{before, s.node})
	co.eps(from, before, nil)
	co.build(s.node, d, before, behind)
	return behind
}

// permute adds every order of kids; orders share their beginnings.
func (co *compiler) permute(kids []*node, d *intentDef, from, to int32) {
	if len(kids) == 1 {
		co.build(kids[0], d, from, to)
		return
	}
	for i, k := range kids {
		rest := slices.Delete(slices.Clone(kids), i, i+1)
		co.permute(rest, d, co.build(k, d, from, none), to)
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

// mergedWords is how many words of a sentence lead to merged nodes. Hundreds of
// templates begin alike, and following each by itself would be the most of the
// work; further on few are left, and merging would only make the graph larger.
const mergedWords = 2

// close takes all empty steps and keeps the nodes that a word leads to.
func (co *compiler) close(start, placed, frames int32, merged int) {
	a := co.a
	st := &states{raw: co.raw, single: make([]int32, len(co.raw)), several: map[string]int32{}}
	a.start = st.of(start)
	st.of(placed)
	a.frames = st.of(frames)
	for i := range co.words {
		co.words[i].to = co.skip(co.words[i].to)
	}
	for i := range co.slots {
		co.slots[i].to = co.skip(co.slots[i].to)
	}
	seen := make([]int32, len(co.raw)) // the state + 1 whose closure saw it last
	var words []wordEdge               // of the state, to raw nodes
	var slots []slotEdge
	var state, root int32
	var walk func(raw int32, fixes []int32)
	walk = func(raw int32, fixes []int32) {
		// With fixed slots on the way the same node may be reached twice
		// with different meaning, so only plain paths are remembered.
		if len(fixes) == 0 {
			if seen[raw] == state+1 {
				return
			}
			seen[raw] = state + 1
		}
		r := &co.raw[raw]
		set := int32(0)
		if r.hub && raw != root {
			set = co.set(fixes)
			a.also = append(a.also, hubEdge{st.of(raw), set})
			return
		}
		if r.words > 0 || r.slots > 0 || r.acc > 0 {
			set = co.set(fixes)
		}
		for i := r.words; i > 0; i = co.words[i-1].next {
			e := &co.words[i-1]
			words = append(words, newWordEdge(e.word, set, e.to))
		}
		for i := r.slots; i > 0; i = co.slots[i-1].next {
			e := &co.slots[i-1]
			slots = append(slots, newSlotEdge(e.typ, e.slot, set, e.to))
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
	for level, last := 0, st.len(); state < st.len(); state++ {
		if state == last {
			level, last = level+1, st.len()
		}
		n := autoNode{words: int32(len(a.wordEdges)), slots: int32(len(a.slotEdges)), accepts: int32(len(a.accepts)), also: int32(len(a.also))}
		words, slots = words[:0], slots[:0]
		for _, root = range st.members(state) {
			n.skips = co.raw[root].loop // of a hub, which is alone
			walk(root, nil)
		}
		a.wordEdges = link(st, a.wordEdges, words, level < merged)
		a.slotEdges = link(st, a.slotEdges, slots, level < merged)
		a.nodes = append(a.nodes, n)
	}
	a.nodes = append(a.nodes, autoNode{words: int32(len(a.wordEdges)), slots: int32(len(a.slotEdges)), accepts: int32(len(a.accepts)), also: int32(len(a.also))})
}

// skip gives the node that a node stands for: one that only leads on is the node
// it leads to.
func (co *compiler) skip(raw int32) int32 {
	for {
		r := &co.raw[raw]
		if r.words > 0 || r.slots > 0 || r.acc > 0 || r.hub || r.eps == 0 || r.eps != r.eps2 || co.empty[r.eps-1].fix > 0 {
			return raw
		}
		raw = co.empty[r.eps-1].to
	}
}

// states numbers the nodes of the automaton: raw nodes, and sets of them.
type states struct {
	raw     []rawNode
	single  []int32          // raw node → state + 1
	several map[string]int32 // raw nodes → state
	flat    []int32          // raw nodes of all states
	ends    []int32          // by state, where its raw nodes end
	set     []int32          // of the state that is looked up
	key     []byte
}

func (st *states) len() int32 { return int32(len(st.ends)) }

// members are the raw nodes of a state.
func (st *states) members(state int32) []int32 {
	from := int32(0)
	if state > 0 {
		from = st.ends[state-1]
	}
	return st.flat[from:st.ends[state]]
}

func (st *states) add(raw ...int32) int32 {
	st.flat = append(st.flat, raw...)
	st.ends = append(st.ends, int32(len(st.flat)))
	return st.len() - 1
}

// of is the state of one raw node.
func (st *states) of(raw int32) int32 {
	if st.single[raw] == 0 {
		st.single[raw] = st.add(raw) + 1
	}
	return st.single[raw] - 1
}

// ofSet is the state of the raw nodes in st.set, which are sorted.
func (st *states) ofSet() int32 {
	if len(st.set) == 1 {
		return st.of(st.set[0])
	}
	st.key = st.key[:0]
	for _, raw := range st.set {
		st.key = binary.LittleEndian.AppendUint32(st.key, uint32(raw))
	}
	id, ok := st.several[string(st.key)]
	if !ok {
		id = st.add(st.set...)
		st.several[string(st.key)] = id
	}
	return id
}

// link appends edges that lead to raw nodes as edges of the automaton. merge
// makes one of edges that differ in nothing else. A hub stays by itself, since
// what may be skipped there may not be elsewhere.
func link[E ~uint64](st *states, to, edges []E, merge bool) []E {
	const node = 1<<24 - 1
	slices.Sort(edges)
	edges = slices.Compact(edges)
	for i := 0; i < len(edges); {
		label := edges[i] &^ node
		st.set = st.set[:0]
		for ; i < len(edges) && edges[i]&^node == label; i++ {
			if raw := int32(edges[i] & node); merge && !st.raw[raw].hub {
				st.set = append(st.set, raw)
			} else {
				to = append(to, label|E(st.of(raw)))
			}
		}
		if len(st.set) > 0 {
			to = append(to, label|E(st.ofSet()))
		}
	}
	return to
}
