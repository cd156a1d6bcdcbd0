package intents

import (
	"math"
	"math/bits"
	"slices"
	"strings"
)

// maxSearches bounds the readings of one sentence with parts left out or put
// elsewhere, so that the work stays linear in its length.
const maxSearches = 24

// maxFuzzy bounds the searches for misspelt names in one sentence.
const maxFuzzy = 40

// reading is one sentence on its way through the automaton. It is reused, so
// that a sentence costs few allocations.
type reading struct {
	r        *Recognizer
	inv      *Inventory
	open     Expect
	text     string // what the tokens were cut from
	question bool
	guarded  bool
	anywhere bool // what guards holds for the whole sentence, not for one step
	quotes   bool
	loose    bool // look for slips of fingers and ears
	explain  bool // keep how each reading came about
	placing  bool // what a clause says about clusters is left out of it
	fuzzy    int
	work     int                  // threads followed: what it took to read the sentence
	searches int                  // readings tried: what is left out and put together is bounded
	nearby   map[nearKey]nearName // repairs of names, tried once a sentence
	repaired map[string][]int32   // the same of template words

	tokens  []token
	words   [][]wordReading
	cued    []bool      // by frame
	none    [][2]uint64 // types that have no reading at a position, of the first 128
	pass    []uint8     // how each token may be passed over
	tails   []float32   // what it costs to end at each position
	ahead   []uint64    // the word at each position, see automaton.follows
	fill    [][]int32   // ends of the fillers at each position
	noise   []bool      // tokens that may be passed over: courtesies mistyped, words said twice
	threads []thread
	active  [][]int32
	spans   [][]span // position × type
	spanGen []int32  // the parse that filled it
	parses  int32
	best    []int32 // by node and kind of thread: where the best one is kept, + 1
}

// wordReading is a template word that a token may stand for.
type wordReading struct {
	id   int32
	cost float32
}

// thread is a path through the automaton; prev leads back to its beginning.
type thread struct {
	node, prev, set int32
	edge            int32 // of a slot + 1: index of automaton.slotEdges
	word            int32 // template word + 1 that the step took
	cost            float32
	literals        int16
	from            int16 // position where the step began
	skips           uint8 // words of meaning that were skipped in a frame
	known           bool  // something that exists was named
	asked           bool  // "could you": a verb must follow
	unsure          bool  // the slot's value is to be asked about
	val             any
}

// key tells threads apart that must not replace one another: one that skipped
// words lives only where something known was named.
func (t *thread) key() int32 {
	k := t.node << 2
	if t.skips > 0 {
		k |= 2
	}
	if t.known || t.asked {
		k |= 1 // a sentence knows names, or courtesies at its beginning
	}
	return k
}

func (r *Recognizer) reading(inv *Inventory, open Expect, question bool) *reading {
	rd := r.kept()
	if rd == nil {
		rd = &reading{r: r, best: make([]int32, 4*len(r.a.nodes))}
	}
	rd.inv, rd.open, rd.question, rd.fuzzy, rd.searches, rd.work, rd.explain, rd.loose = inv, open, question, 0, 0, 0, false, false
	return rd
}

func (r *Recognizer) release(rd *reading) {
	clear(rd.threads)
	rd.threads = rd.threads[:0]
	rd.inv, rd.tokens, rd.open, rd.text = nil, nil, Expect{}, ""
	clear(rd.nearby)
	clear(rd.repaired)
	clear(rd.spans)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.scratch) < keptReadings { // more are seldom read at once
		r.scratch = append(r.scratch, rd)
	}
}

// kept takes one of those that were used; nil where none is left.
func (r *Recognizer) kept() *reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.scratch) - 1
	if n < 0 {
		return nil
	}
	rd := r.scratch[n]
	r.scratch = r.scratch[:n]
	return rd
}

// parse reads tokens as one sentence and returns its readings, best first.
// Frames are tried where no template fits, or none well.
func (rd *reading) parse(tokens []token) []parsed {
	return rd.placed(tokens, rd.parseWords(tokens))
}

// parseWords reads tokens as they stand.
func (rd *reading) parseWords(tokens []token) []parsed {
	r := rd.r
	n := len(tokens)
	rd.tokens = tokens
	if rd.searches++; rd.searches > maxSearches {
		return nil
	}
	if need := n * len(r.typeFns); len(rd.spans) < need {
		rd.spans, rd.spanGen = make([][]span, need), make([]int32, need)
	}
	if rd.parses++; rd.parses == math.MaxInt32 {
		clear(rd.spanGen)
		rd.parses = 1
	}
	rd.words, rd.noise = rd.words[:0], rd.noise[:0]
	for len(rd.fill) < n {
		rd.fill = append(rd.fill, nil)
	}
	for i := range tokens {
		rd.fill[i] = rd.fill[i][:0]
		r.filler.each(tokens, i, func(end int, _ string) { rd.fill[i] = append(rd.fill[i], int32(end)) })
	}
	for i := range tokens {
		t := tokens[i].text
		words := rd.readWord(t)
		rd.words = append(rd.words, words)
		twice := i > 0 && t == tokens[i-1].text && hasLetter(t) && !rd.r.isNumberWord(t)
		rd.noise = append(rd.noise, twice || (len(words) == 0 || words[0].cost > 0) && rd.mistypedCourtesy(t))
	}
	rd.none = append(rd.none[:0], make([][2]uint64, n)...)
	rd.findPasses()
	rd.findTails()
	rd.lookAhead()
	for len(rd.active) < n+1 {
		rd.active = append(rd.active, nil)
	}
	out := rd.search(r.a.start)
	if len(out) == 0 || out[0].cost > costDoubt {
		rd.findCues()
		out = append(out, rd.search(r.a.frames)...)
		sortParsed(out)
	}
	unique := out[:0]
	for _, p := range out {
		if !slices.ContainsFunc(unique, func(q parsed) bool { return sameMeaning(p, q) }) {
			unique = append(unique, p)
		}
	}
	return unique
}

// lookAhead notes what each position has for an edge before it. Where a word may
// be passed over, anything may follow.
func (rd *reading) lookAhead() {
	n := len(rd.tokens)
	rd.ahead = append(rd.ahead[:0], make([]uint64, n+1)...)
	rd.ahead[n] = 1 // for edges that anything may follow, the end as well
	for i := range rd.tokens {
		if len(rd.fill[i]) > 0 || rd.noise[i] || rd.pass[i]&passSign != 0 {
			rd.ahead[i] = anything
			continue
		}
		rd.ahead[i] = 0
		for _, w := range rd.words[i] {
			rd.ahead[i] |= aheadBit(w.id)
		}
		if rd.ahead[i] == 0 {
			rd.ahead[i] = 1 << 63 // a word of no template: slots and ends may still go on
		}
	}
}

// findCues notes the frames of whose cue a word was said.
func (rd *reading) findCues() {
	cues := rd.r.a.cues
	rd.cued = append(rd.cued[:0], make([]bool, len(cues))...)
	for k := range cues {
		c := &cues[k]
		rd.cued[k] = c.always
		for i := 0; i < len(rd.words) && !rd.cued[k]; i++ {
			rd.cued[k] = slices.ContainsFunc(rd.words[i], func(w wordReading) bool { return c.in(w.id) })
		}
	}
}

// search follows the automaton from start through all tokens.
func (rd *reading) search(start int32) []parsed {
	r, a, tokens := rd.r, rd.r.a, rd.tokens
	n := len(tokens)
	clear(rd.threads)
	rd.threads = rd.threads[:0]
	for i := range n + 1 {
		rd.active[i] = rd.active[i][:0]
	}
	rd.push(0, thread{node: start, prev: -1})
	found := map[int32]parsed{}
	var order []int32
	for pos := 0; pos <= n; pos++ {
		live := rd.dedupe(pos)
		for _, ti := range live {
			t := rd.threads[ti]
			node, nodeEnd := &a.nodes[t.node], &a.nodes[t.node+1]
			if tail := rd.tails[pos]; tail >= 0 && t.node != start {
				for _, acc := range a.accepts[node.accepts:nodeEnd.accepts] {
					p, ok := rd.accept(acc, ti, pos, tail)
					if !ok {
						continue
					}
					old, seen := found[acc.sentence]
					if !seen {
						order = append(order, acc.sentence)
					}
					if !seen || p.cost < old.cost {
						found[acc.sentence] = p
					}
				}
			}
			if pos == n {
				continue
			}
			next := thread{prev: ti, cost: t.cost, literals: t.literals, from: int16(pos), skips: t.skips, known: t.known, asked: t.asked}
			for _, w := range rd.words[pos] {
				from, to := a.follow(t.node, w.id)
				for i := from; i < to; i++ {
					e := a.wordEdges[i]
					if a.follows[e.to()]&rd.ahead[pos+1] == 0 {
						continue
					}
					w2 := next
					w2.node, w2.set = e.to(), e.set()
					w2.cost += w.cost
					w2.literals++
					w2.word = w.id + 1
					rd.push(pos+1, w2)
				}
			}
			for i := node.slots; i < nodeEnd.slots; i++ {
				e := a.slotEdges[i]
				typ := e.typ()
				none := &rd.none[pos][typ>>6&1]
				if *none&(1<<(typ&63)) != 0 {
					continue
				}
				spans := rd.typed(typ, pos)
				if len(spans) == 0 && typ < 128 {
					*none |= 1 << (typ & 63)
					continue
				}
				for _, s := range spans {
					if a.follows[e.to()]&rd.ahead[s.end] == 0 {
						continue
					}
					w2 := next
					w2.node, w2.set, w2.edge, w2.val = e.to(), e.set(), i+1, s.val
					w2.cost += s.cost
					w2.unsure = s.unsure
					w2.known = w2.known || s.known || namesSomething(s.val)
					rd.push(s.end, w2)
				}
			}
			skip := func(to, end int32, cost float32) {
				w2 := next
				w2.node = to
				w2.cost += cost
				rd.push(int(end), w2)
			}
			if t.node == start {
				r.lead.each(tokens, pos, func(end int, _ string) { skip(t.node, int32(end), costLead) })
				r.asking.each(tokens, pos, func(end int, _ string) {
					next.asked = true
					skip(t.node, int32(end), costLead)
					next.asked = t.asked
				})
			}
			for _, end := range rd.fill[pos] {
				skip(t.node, end, costFiller)
			}
			if rd.noise[pos] {
				skip(t.node, int32(pos+1), costNoise)
			}
			if rd.pass[pos]&passSign != 0 {
				skip(t.node, int32(pos+1), 0.001)
			}
			if node.skips > loopNone {
				switch {
				case rd.pass[pos]&passIdle != 0:
					skip(t.node, int32(pos+1), costIdle)
				case node.skips == loopAny && t.skips < maxSkips && rd.pass[pos]&passWord != 0:
					next.skips++
					skip(t.node, int32(pos+1), costSkip)
					next.skips--
				}
			}
		}
	}
	rd.work += len(rd.threads)
	slices.Sort(order)
	var out []parsed
	for _, s := range order {
		out = append(out, found[s])
	}
	sortParsed(out)
	return out
}

// namesSomething reports a target that exists.
func namesSomething(v any) bool {
	t, ok := v.(targetVal)
	return ok && slices.ContainsFunc(t.names, func(n string) bool { return n != TargetAll && !strings.HasPrefix(n, "@") })
}

// push adds a thread; dedupe drops what is worse at the same node.
func (rd *reading) push(pos int, t thread) {
	rd.threads = append(rd.threads, t)
	i := int32(len(rd.threads) - 1)
	rd.active[pos] = append(rd.active[pos], i)
	a := rd.r.a
	also, end := a.nodes[t.node].also, a.nodes[t.node+1].also
	if also == end {
		return
	}
	root := t.node == a.frames
	t.prev, t.from, t.edge, t.val, t.word, t.unsure = i, int16(pos), 0, nil, 0, false
	for k, h := range a.also[also:end] {
		if root && !rd.cued[k] {
			continue
		}
		t.node, t.set = h.to, h.set
		rd.threads = append(rd.threads, t)
		rd.active[pos] = append(rd.active[pos], int32(len(rd.threads)-1))
	}
}

// dedupe keeps the cheapest thread at each node, which makes the work linear in
// the length of the sentence whatever the templates. Skipping words at a node
// leads to the same node, never ahead of the position, so one pass suffices.
func (rd *reading) dedupe(pos int) []int32 {
	kept := rd.active[pos][:0]
	for _, ti := range rd.active[pos] {
		best := &rd.best[rd.threads[ti].key()]
		if *best == 0 {
			kept = append(kept, ti)
			*best = int32(len(kept))
			continue
		}
		if rd.worth(ti) < rd.worth(kept[*best-1]) {
			kept[*best-1] = ti
		}
	}
	for _, ti := range kept {
		rd.best[rd.threads[ti].key()] = 0
	}
	rd.active[pos] = kept
	return kept
}

func (rd *reading) worth(ti int32) float32 {
	t := &rd.threads[ti]
	return t.cost - bonusLiteral*float32(t.literals)
}

// The ways in which a token may be passed over between others.
const (
	passSign = 1 << iota // a comma
	passIdle             // a small word, in frames
	passWord             // another word, in frames that skip any
)

// findPasses notes of each token how it may be passed over.
func (rd *reading) findPasses() {
	r := rd.r
	rd.pass = append(rd.pass[:0], make([]uint8, len(rd.tokens))...)
	for i, t := range rd.tokens {
		if t.text == "," || t.text == "|" || len(t.text) > 3 && !hasLetter(t.text) {
			rd.pass[i] |= passSign
		}
		switch {
		case r.idle[t.text]:
			rd.pass[i] |= passIdle
		case !r.acting[t.text] && !r.neverSkipped[t.text] && (i == 0 || !r.places[rd.tokens[i-1].text]):
			rd.pass[i] |= passWord
		}
	}
}

// findTails notes at each position what the polite words behind it cost where
// the sentence may end there, and less than nothing where it may not.
func (rd *reading) findTails() {
	n := len(rd.tokens)
	rd.tails = append(rd.tails[:0], make([]float32, n+1)...)
	for pos := range n {
		rd.tails[pos] = -1
	}
	for pos := n - 1; pos > 0; pos-- {
		if rd.isReason(pos) {
			rd.tails[pos] = 2 * costFiller
			continue
		}
		skip := func(end int, _ string) {
			if c := rd.tails[end]; c >= 0 && (rd.tails[pos] < 0 || c+costFiller < rd.tails[pos]) {
				rd.tails[pos] = c + costFiller
			}
		}
		rd.r.tail.each(rd.tokens, pos, skip)
		rd.r.filler.each(rd.tokens, pos, skip)
		if t := rd.tokens[pos].text; t == "," || t == ";" {
			skip(pos+1, "")
		}
	}
}

// maxReason bounds the words of a reason.
const maxReason = 8

// isReason reports a reason from pos to the end. A joining word in it might
// begin another step, which must not be lost in silence.
func (rd *reading) isReason(pos int) bool {
	behind := rd.r.reason.longest(rd.tokens, pos)
	if behind == pos || len(rd.tokens)-behind > maxReason {
		return false
	}
	for i := behind; i < len(rd.tokens); i++ {
		if rd.r.chain.longest(rd.tokens, i) > i {
			return false
		}
	}
	return true
}

// accept collects the slots of a thread that has come to the end of a template.
func (rd *reading) accept(acc accept, ti int32, end int, tail float32) (parsed, bool) {
	r := rd.r
	s := &r.a.sentences[acc.sentence]
	p := parsed{intent: s.intent, at: s.at, terse: s.terse, cost: rd.worth(ti) + tail, slots: Slots{}}
	if s.answer {
		p.answer = true
		if !rd.answers(&p) {
			return p, false
		}
	}
	d := r.c.intents[p.intent]
	if d == nil {
		return p, false
	}
	if d.spec.Risk == RiskWrite && (rd.guarded || s.terse && (rd.question || rd.threads[ti].asked)) {
		return p, false
	}
	if p.intent == "confirm" && rd.open.Confirm {
		p.cost -= preferred // "yes, roll it back" says yes to what waits
	}
	p.skips = int(rd.threads[ti].skips)
	if s.frame != nil {
		p.cost += costFrame
		if t := &rd.threads[ti]; t.skips > 0 && (!t.known || int(t.skips)*2 >= len(rd.tokens)) {
			return p, false
		}
	}
	var targets targetVal
	for _, f := range r.a.sets[acc.set] {
		p.set(f, &targets)
	}
	for i := ti; i >= 0; i = rd.threads[i].prev {
		t := &rd.threads[i]
		slot := r.a.slotOf(t.edge)
		if slot != "" {
			p.head = int(t.from) // walking backwards, the first comes last
		}
		if t.unsure {
			p.unsure = slot
		}
		if slot != "" && slot != ignored {
			if v, ok := t.val.(targetVal); ok && slot == "targets" {
				// Walking backwards: what was said earlier goes first.
				if v.weak && s.frame != nil && d.spec.Risk != RiskWrite {
					continue // in any order "that" is any word
				}
				if v.guess != "" && d.spec.Risk == RiskWrite {
					v.names, v.unknown = nil, []string{v.guess}
				}
				targets.names = append(slices.Clone(v.names), targets.names...)
				targets.unknown = append(slices.Clone(v.unknown), targets.unknown...)
				if v.namespace != "" && !p.slots.Has("namespace") {
					p.slots["namespace"] = v.namespace
				}
				if v.version != "" {
					p.slots["version"] = v.version
				}
			} else if ok {
				if len(v.names) == 0 {
					return p, false
				}
				p.slots[slot] = v.names[0]
			} else if old, said := p.slots[slot]; said && old != t.val && (s.frame == nil || d.spec.Risk == RiskWrite) {
				return p, false // one slot said twice with different values
			} else {
				p.twice = p.twice || said && old != t.val
				p.slots[slot] = t.val
			}
		}
		for _, f := range r.a.sets[t.set] {
			p.set(f, &targets)
		}
	}
	if d.spec.Risk != RiskWrite && s.frame != nil && len(targets.names) > 1 {
		// "the logs from the web, can I have that?"
		named := slices.DeleteFunc(slices.Clone(targets.names), func(n string) bool { return n == TargetAll || n == TargetIt || n == TargetThem })
		if len(named) > 0 {
			targets.names = named
		}
	}
	if s.terse && d.spec.Risk == RiskWrite && len(targets.names) > 0 && strings.HasPrefix(targets.names[0], "@") && !slices.ContainsFunc(rd.tokens, func(t token) bool { return r.joins[t.text] }) {
		return p, false // "say that two"
	}
	if c, said := p.slots["container"]; said && len(targets.names) == 1 && c == targets.names[0] {
		delete(p.slots, "container") // the main one, as its name says
	}
	if names := unique(targets.names); len(names) > 0 {
		p.slots["targets"] = names
	}
	if len(targets.unknown) > 0 {
		p.slots["unknown_target"] = strings.Join(targets.unknown, ", ")
	}
	for _, name := range d.order {
		if f := d.slots[name].fallback; f != "" && !p.answer && !p.slots.Has(name) && !(name == "targets" && len(targets.unknown) > 0) {
			if name == "targets" {
				p.slots[name] = []string{f}
			} else {
				p.slots[name] = fixedValue(f)
			}
		}
	}
	if rd.explain {
		p.trace = rd.trace(ti, end, s)
	}
	return p, true
}

func (p *parsed) set(f fix, targets *targetVal) {
	if f.slot == "targets" {
		if s, ok := f.value.(string); ok {
			targets.names = append([]string{s}, targets.names...)
		}
		return
	}
	if !p.slots.Has(f.slot) {
		p.slots[f.slot] = f.value
	}
}

func unique(names []string) []string {
	var out []string
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	if slices.Contains(out, TargetAll) {
		return []string{TargetAll}
	}
	return out
}

// preferred is how much an answer is likelier than a sentence that could be one
// by chance.
const preferred = 0.25

// answers decides whether an answer template holds for the open question, and
// which intent it then belongs to.
func (rd *reading) answers(p *parsed) bool {
	switch p.intent {
	case "choice":
		if len(rd.open.Choices) == 0 {
			return false
		}
		p.intent = "amend"
		p.cost -= preferred / 10 // what was offered is likelier than a free answer
	case "confirm":
		if !rd.open.Confirm {
			return false
		}
		p.intent = "amend"
	case "deny": // "don't restart web": no act, and no answer unless one is waited for
		if !rd.open.Confirm {
			return false
		}
	default:
		if rd.open.Slot != p.intent || rd.open.Intent == "" {
			return false
		}
		p.intent = rd.open.Intent
	}
	p.cost -= preferred
	return true
}

// readWord lists the template words that a token may stand for.
func (rd *reading) readWord(text string) []wordReading {
	r := rd.r
	var out []wordReading
	if id, ok := r.a.words[text]; ok {
		out = append(out, wordReading{id, 0})
	} else if strings.IndexByte(text, '-') > 0 {
		if id, ok := r.a.words[strings.ReplaceAll(text, "-", "")]; ok {
			out = append(out, wordReading{id, 0})
		}
	}
	for _, id := range r.heard[text] {
		out = append(out, wordReading{id, costHeard})
	}
	if len(out) == 0 {
		for _, id := range rd.repairWord(text) {
			out = append(out, wordReading{id, costTypo})
		}
	}
	return out
}

// maxRepairs bounds the words that one misspelling may stand for.
const maxRepairs = 3

// repairWord finds the template words that text is a misspelling of; where
// several are equally near, what stands around decides. Inflections are no
// misspellings: "scaled" is not "scale" but the past.
func (rd *reading) repairWord(text string) []int32 {
	r := rd.r
	if !rd.loose {
		return nil
	}
	if words, tried := rd.repaired[text]; tried {
		return words
	}
	if len(text) < 4 || r.noFix[text] || r.never[text] || !hasLetter(text) || rd.fuzzy >= maxFuzzy || strings.ContainsAny(text, "0123456789/:.@") {
		return nil
	}
	if rd.inv != nil {
		if _, ok := rd.inv.workloads.exact[text]; ok {
			return nil
		}
	}
	rd.fuzzy++
	limit := 1
	if len(text) >= 8 {
		limit = 2
	}
	best := limit + 1
	mask := letterMask(text)
	var words []int32
	for l := len(text) - limit; l <= len(text)+limit; l++ {
		for _, c := range r.repairs[l] {
			w := c.text
			if bits.OnesCount64(c.mask^mask) > 2*limit {
				continue
			}
			if w[0] != text[0] && w[1] != text[0] {
				continue
			}
			d := osa(w, text, min(best, limit))
			if d > limit || d > best || inflection(w, text) || inflection(text, w) {
				continue
			}
			if d < best {
				best, words = d, words[:0]
			}
			words = append(words, r.a.words[w])
		}
	}
	if len(words) > maxRepairs {
		words = nil
	}
	if rd.repaired == nil {
		rd.repaired = map[string][]int32{}
	}
	rd.repaired[text] = words
	return words
}

// mistypedCourtesy reports a word that is a misspelt "please" or the like.
func (rd *reading) mistypedCourtesy(t string) bool {
	if !rd.loose || len(t) < 5 || rd.fuzzy >= maxFuzzy {
		return false
	}
	for _, p := range rd.r.polite {
		if (t[0] == p[0] || t[1] == p[0]) && osa(p, t, 1) == 1 {
			return true
		}
	}
	return false
}

// inflection reports whether long is another form of short.
func inflection(long, short string) bool {
	stem := strings.TrimSuffix(strings.TrimSuffix(short, "e"), "y")
	rest, ok := strings.CutPrefix(long, stem)
	if !ok {
		return false
	}
	switch strings.TrimPrefix(rest, "e") {
	case "", "d", "s", "r", "rs", "ing", "ly", "ied", "ies", "ment", "n", "able":
		return true
	}
	return false
}
