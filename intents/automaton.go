package intents

// automaton is all templates of a catalogue in one graph. Literal words are
// numbered, so that following one is a binary search over integers.
type automaton struct {
	words     map[string]int32
	types     []string // by number
	slots     []string // by number
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

// wordEdge is a word, the side effects and the node that it leads to, packed
// because most of the automaton is edges: sorted, they are so by word.
type wordEdge uint64

func newWordEdge(word, set, to int32) wordEdge {
	return wordEdge(word)<<44 | wordEdge(set)<<24 | wordEdge(to)
}

func (e wordEdge) word() int32 { return int32(e >> 44) }
func (e wordEdge) set() int32  { return int32(e >> 24 & (1<<20 - 1)) }
func (e wordEdge) to() int32   { return int32(e & (1<<24 - 1)) }

// slotEdge is the same for a value: its type, its slot, side effects, node.
type slotEdge uint64

func newSlotEdge(typ, slot, set, to int32) slotEdge {
	return slotEdge(typ)<<54 | slotEdge(slot)<<44 | slotEdge(set)<<24 | slotEdge(to)
}

func (e slotEdge) typ() int32  { return int32(e >> 54) }
func (e slotEdge) slot() int32 { return int32(e >> 44 & (1<<10 - 1)) }
func (e slotEdge) set() int32  { return int32(e >> 24 & (1<<20 - 1)) }
func (e slotEdge) to() int32   { return int32(e & (1<<24 - 1)) }

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
			a.follows[i] |= aheadBit(e.word())
		}
	}
}

// slotOf names the slot of an edge, given as its index + 1; 0 is none.
func (a *automaton) slotOf(edge int32) string {
	if edge == 0 {
		return ""
	}
	return a.slots[a.slotEdges[edge-1].slot()]
}

// follow returns the edges of n that a word takes, as indexes of wordEdges.
func (a *automaton) follow(node, word int32) (from, to int32) {
	n := &a.nodes[node]
	edges := a.wordEdges[n.words:a.nodes[node+1].words]
	first := newWordEdge(word, 0, 0)
	lo, hi := 0, len(edges)
	for lo < hi {
		m := int(uint(lo+hi) / 2)
		if edges[m] < first {
			lo = m + 1
		} else {
			hi = m
		}
	}
	for hi = lo; hi < len(edges) && edges[hi].word() == word; hi++ {
	}
	return n.words + int32(lo), n.words + int32(hi)
}
