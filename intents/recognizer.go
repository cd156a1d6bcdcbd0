package intents

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxRunes bounds a sentence. What is longer is not cut but refused: the part
// cut off might have said "don't".
const maxRunes = 1000

// keptReadings is how many sentences may be read at once without what that takes
// being made anew.
const keptReadings = 4

// maxCandidates bounds the other readings of a result.
const maxCandidates = 3

// Recognizer reads sentences. It is compiled once and safe for concurrent use;
// the inventory comes with each sentence.
type Recognizer struct {
	c            *Catalogue
	a            *automaton
	lead         *phrases
	filler       *phrases
	tail         *phrases
	reason       *phrases // "because …": may close a sentence with anything behind
	guardS       *phrases
	guardA       *phrases
	chain        *phrases
	unguarded    *phrases        // "no more than": a limit, no negation
	heardAs      *phrases        // several words that are one misheard
	asideVerbs   *phrases        // what makes a clause one: "is", "looks"
	asideStart   map[string]bool // words that such a clause must not begin with
	asideNever   *phrases        // what a clause that is dropped must not hold
	correction   *phrases        // "no wait", "I mean": what follows replaces
	article      *phrases
	before       *phrases
	after        *phrases
	and          *phrases
	targets      *phrases
	numbers      *phrases
	lists        map[string]*phrases
	kinds        map[string]bool // "deploy" of deploy/web
	counted      map[string]bool
	joins        map[string]bool // what makes a name and a number a request: to, ->
	neverSkipped map[string]bool
	places       map[string]bool  // what stands before a place: in, on
	vocabulary   map[string]bool  // every word that means something
	spelling     map[int][]string // words of lists and guards by length, for typing errors
	hesitation   *phrases
	statives     map[string]bool // verbs that tell how something is
	inCluster    *phrases        // what stands before the name of a cluster
	aboutCluster *phrases        // the same of what is asked about
	toCluster    *phrases        // the same of something that is brought there
	clusterNoun  *phrases        // what stands behind it
	allClusters  *phrases        // follows "in"
	everywhere   *phrases
	notThere     *phrases        // what makes a cluster the one that is not meant
	tellers      map[string]bool // words with which a statement begins
	determiner   map[string]bool
	asking       *phrases        // courtesies that want a verb behind them: \"could you\"
	never        map[string]bool // words that are no unknown name
	noFix        map[string]bool // words that are what they are
	idle         map[string]bool // small words that frames skip
	polite       []string        // long words of courtesy, for typing errors
	acting       map[string]bool // words of writing intents, which frames never skip
	env          map[string]bool
	heard        map[string][]int32   // word → words it may be a mishearing of
	repairs      map[int][]repairWord // length → template words, for typing errors
	types        map[string]func(*reading, int) []span
	typeFns      []func(*reading, int) []span // by edge label
	signs        *strings.Replacer
	mu           sync.Mutex
	scratch      []*reading // those that were used: a pool would keep one for each processor, of 2 MB
}

// NewRecognizer compiles a catalogue.
func NewRecognizer(c *Catalogue) *Recognizer { return newRecognizer(c, mergedWords) }

func newRecognizer(c *Catalogue, merged int) *Recognizer {
	w := &c.words
	r := &Recognizer{
		c: c, a: compile(c, merged),
		lead: newPhrases(w.lead), filler: newPhrases(w.filler), tail: newPhrases(w.tail), reason: newPhrases(w.reason),
		guardS: newPhrases(w.guardStart), guardA: newPhrases(w.guardAnywhere), chain: newPhrases(w.chain), correction: newPhrases(w.correction), asideVerbs: newPhrases(w.asideVerbs), unguarded: newPhrases(w.unguarded), heardAs: &phrases{}, asideNever: newPhrases(w.asideNever), asideStart: set(w.asideStart),
		article: newPhrases(w.article), before: newPhrases(w.kindBefore), after: newPhrases(w.kindAfter), and: newPhrases(w.and),
		targets: &phrases{}, numbers: &phrases{}, lists: map[string]*phrases{},
		kinds: set(w.kindBefore), counted: set(w.counted), joins: set([]string{"to", "->", "=", "at", ":"}), asking: newPhrases(w.asking),
		neverSkipped: set(w.neverSkipped), places: set([]string{"in", "on", "from", "at", "namespace"}), hesitation: newPhrases(w.hesitation), statives: set(w.statives), inCluster: newPhrases(w.inCluster), aboutCluster: newPhrases(w.aboutCluster), toCluster: newPhrases(w.toCluster), clusterNoun: newPhrases(w.clusterNoun), allClusters: newPhrases(w.allClusters), everywhere: newPhrases(w.everywhere), notThere: newPhrases(w.notThere), tellers: set([]string{"i", "we", "they", "he", "she", "it", "this", "that", "the", "there", "my", "our", "its", "their"}), determiner: set([]string{"the", "a", "an", "our", "my", "your"}),
		vocabulary: map[string]bool{}, spelling: map[int][]string{}, never: set(w.never), noFix: set(w.inflected), idle: set(w.idle), acting: map[string]bool{}, signs: newSigns(), env: set(w.env),
		heard: map[string][]int32{}, repairs: map[int][]repairWord{},
	}
	for _, value := range slices.Sorted(maps.Keys(w.targets)) {
		for _, p := range w.targets[value] {
			r.targets.add(p, value)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(w.numbers)) {
		r.numbers.add(p, strconv.Itoa(w.numbers[p]))
	}
	for _, name := range slices.Sorted(maps.Keys(c.lists)) {
		t := &phrases{}
		for _, e := range c.lists[name] {
			t.add(e.text, e.value)
		}
		r.lists[name] = t
	}
	for _, right := range slices.Sorted(maps.Keys(w.asr)) {
		if id, ok := r.a.words[right]; ok {
			for _, said := range w.asr[right] {
				if strings.Contains(said, " ") {
					r.heardAs.add(said, right)
					continue
				}
				r.heard[said] = append(r.heard[said], id)
			}
		}
	}
	for _, word := range slices.Sorted(maps.Keys(r.a.words)) {
		if len(word) >= 5 && hasLetter(word) {
			r.repairs[len(word)] = append(r.repairs[len(word)], repairWord{word, letterMask(word)})
		}
	}
	for _, s := range c.templates {
		if c.intents[s.intent].spec.Risk == RiskWrite {
			s.node.opening(c.rules, r.acting)
		}
	}
	for w := range r.idle {
		delete(r.acting, w)
	}
	for _, p := range slices.Concat(w.filler, w.tail) {
		if len(p) >= 6 && !strings.Contains(p, " ") && !slices.Contains(r.polite, p) {
			r.polite = append(r.polite, p)
		}
	}
	r.learnSpelling()
	r.bindTypes()
	return r
}

// Steps returns the steps of a chain.
func (s Slots) Steps() []Intent {
	switch v := s["steps"].(type) {
	case []Intent:
		return v
	case []any:
		var out []Intent
		for _, e := range v {
			if m, ok := e.(map[string]any); ok {
				name, _ := m["intent"].(string)
				slots, _ := m["slots"].(map[string]any)
				out = append(out, Intent{Name: name, Slots: Slots(slots)})
			}
		}
		return out
	}
	return nil
}

// Recognize reads one sentence. inv may be nil: then no name is known. open is
// the question that waits for an answer, if any; a full sentence wins over it.
//
// A name that nothing matches is returned as slot unknown_target, with Ask set
// to "targets" where the intent needs them: it is asked about, never guessed.
func (r *Recognizer) Recognize(text string, inv *Inventory, open Expect) Result {
	res, _ := r.recognize(text, inv, open, nil)
	return res
}

// recognize reads one sentence; why, where it is not nil, is filled in.
func (r *Recognizer) recognize(text string, inv *Inventory, open Expect, why *Explanation) (Result, bool) {
	res := Result{Text: text, Intent: OutOfScope, Slots: Slots{}}
	if utf8.RuneCountInString(text) > maxRunes || !utf8.ValidString(text) {
		return res, false
	}
	text = r.signs.Replace(text)
	tokens, question, quoted := r.tokenize(text)
	tokens = r.rejoin(tokens)
	if len(tokens) == 0 {
		return res, false
	}
	rd := r.reading(inv, open, question)
	defer r.release(rd)
	if why != nil {
		defer func() { why.work = rd.work }()
	}
	rd.text = text
	rd.explain = why != nil
	if rest := rd.contrast(tokens); rest != nil {
		tokens = rest
	}
	from, to := rd.guard(tokens)
	rd.quotes = quoted
	rd.guarded = quoted || to > from
	if why != nil {
		why.guarded(rd, tokens[from:to], quoted)
	}
	best, steps := rd.understand(tokens, 2)
	rd.tokens = tokens
	if steps == nil && unclear(best) && (!rd.guarded || len(best) > 0 || rd.strange(0, len(tokens))) {
		// Slips of fingers and ears are looked for where nothing fits as it stands:
		// that is dear, and good for a mistake each time.
		rd.loose, rd.fuzzy, rd.searches = true, 0, 0
		tokens = r.mend(tokens, inv)
		if !rd.guarded {
			from, to = rd.guard(tokens)
			rd.guarded = to > from
		}
		var b, s []parsed
		parted := slices.ContainsFunc(tokens, func(t token) bool { return t.text == "," }) // clauses with strange words wait for now
		if len(best) > 0 || parted || rd.slips(tokens) {
			b, s = rd.understand(tokens, 2)
		}
		if s != nil || len(b) > 0 && (len(best) == 0 || b[0].cost < best[0].cost) {
			best, steps = b, s
		}
	}
	if steps == nil && (len(best) == 0 || unknownTarget(best[0])) {
		if plain := r.plainer(tokens); plain != nil {
			rd.searches = 0
			if b, s := rd.understand(plain, 2); s != nil || len(b) > 0 && !unknownTarget(b[0]) {
				best, steps = b, s
			}
		}
	}
	if steps != nil {
		if why != nil {
			why.chain(r, steps)
		}
		return r.chained(res, steps), true
	}
	if why != nil {
		why.readings(r, best)
		if len(best) == 0 && rd.guarded {
			rd.guarded = false
			why.without(r, rd.parse(tokens))
		}
	}
	if len(best) == 0 {
		return res, false
	}
	return r.result(res, best), true
}

// understand reads tokens as one sentence, as one that is corrected in the
// middle, as one with a clause beside it, or as several steps. depth bounds the
// clauses that are dropped.
func (rd *reading) understand(tokens []token, depth int) (best, steps []parsed) {
	best = rd.parse(tokens)
	if len(best) > 0 && !unknownTarget(best[0]) && !best[0].twice {
		if best[0].skips > 0 { // what was passed over may be another step
			if steps := rd.chain(tokens); len(steps) > 1 && !slices.ContainsFunc(steps, func(p parsed) bool { return unknownTarget(p) || p.skips > 0 }) {
				return nil, steps
			}
		}
		return best, nil
	}
	if p, ok := rd.corrected(tokens); ok {
		return []parsed{p}, nil
	}
	if depth > 0 {
		if b, s := rd.besides(tokens, depth); len(b)+len(s) > 0 {
			return b, s
		}
	}
	if steps := rd.chain(tokens); steps != nil && (len(best) == 0 || !slices.ContainsFunc(steps, unknownTarget)) {
		if len(steps) == 1 {
			return steps, nil
		}
		return nil, steps
	}
	return best, nil
}

// unclear reports that nothing fitted, or not every word.
func unclear(best []parsed) bool {
	return len(best) == 0 || unknownTarget(best[0]) || best[0].skips > 0 || best[0].unsure != ""
}

func unknownTarget(p parsed) bool { return p.slots.Has("unknown_target") }

// guard finds the words that make a sentence speak about an act without wanting
// it: from and to are equal where there are none.
func (rd *reading) guard(tokens []token) (from, to int) {
	r := rd.r
	rd.tokens, rd.anywhere = tokens, false
	// Polite phrases hide the words they are made of: "if you don't mind".
	polite := make([]bool, len(tokens)+1)
	starts := make([]bool, len(tokens)+1)
	starts[0] = true
	for i := range tokens {
		for _, t := range [...]*phrases{r.lead, r.asking, r.filler, r.tail, r.unguarded} {
			end := t.longest(tokens, i)
			if end > i+1 {
				for j := i; j < end; j++ {
					polite[j] = true
				}
			}
		}
		if starts[i] {
			r.lead.each(tokens, i, func(e int, _ string) { starts[e] = true })
			r.asking.each(tokens, i, func(e int, _ string) { starts[e] = true })
			r.filler.each(tokens, i, func(e int, _ string) { starts[e] = true })
			if tokens[i].text == "," {
				starts[i+1] = true
			}
		}
	}
	for i, t := range tokens[:len(tokens)-1] {
		if t.text != "until" && t.text != "till" {
			continue
		}
		for _, s := range rd.moment(i+1, true) { // how long, and not when: no template puts an act off
			for j := i; j < s.end; j++ {
				polite[j] = true
			}
		}
	}
	for i := range tokens {
		if end := r.guardA.longest(tokens, i); end > i && !polite[i] {
			rd.anywhere = true
			return i, end
		}
	}
	for i := range tokens {
		if !starts[i] || polite[i] {
			continue
		}
		if end := r.guardS.longest(tokens, i); end > i {
			return i, end
		}
	}
	return 0, 0
}

// parsed is one reading of a whole sentence.
type parsed struct {
	intent string
	slots  Slots
	cost   float32
	answer bool
	terse  bool
	unsure string // the slot whose value stands for nothing that exists
	skips  int    // words of meaning that were passed over
	twice  bool   // a slot was said twice, differently
	head   int    // tokens before the first slot: the verb
	trace  *trace
	at     place
}

// result turns the readings, best first, into what callers see.
func (r *Recognizer) result(res Result, best []parsed) Result {
	p := best[0]
	res.Intent, res.Slots, res.Score = p.intent, p.slots, p.score()
	if !p.answer {
		res.Ask = r.ask(p)
	}
	for _, o := range best[1:] {
		if o.cost-p.cost > margin || len(res.Candidates) == maxCandidates {
			break
		}
		if r.writes(p.intent) || r.writes(o.intent) {
			res.Candidates = append(res.Candidates, Candidate{Intent: o.intent, Slots: o.slots, Score: o.score()})
		}
	}
	return res
}

// score maps what a reading cost to 0…1.
func (p parsed) score() float64 {
	s := 1 - float64(max(p.cost, 0))
	return float64(int(min(1, max(s, 0.05))*1000+0.5)) / 1000
}

func (r *Recognizer) writes(intent string) bool {
	d := r.c.intents[intent]
	return d != nil && d.spec.Risk == RiskWrite
}

// ask names the first needed slot that was not said.
func (r *Recognizer) ask(p parsed) string {
	d := r.c.intents[p.intent]
	if d == nil {
		return ""
	}
	if p.slots.Has("unknown_target") {
		return "targets"
	}
	if p.unsure != "" && d.spec.Risk == RiskWrite {
		return p.unsure
	}
	for _, name := range d.order {
		s := d.slots[name]
		if !s.required {
			continue
		}
		if !p.slots.Has(name) && !slices.ContainsFunc(s.or, p.slots.says) {
			return name
		}
	}
	return ""
}

// says reports a slot, or with "slot=value" a slot of that value.
func (s Slots) says(what string) bool {
	slot, value, exact := strings.Cut(what, "=")
	return s.Has(slot) && (!exact || s.String(slot) == value)
}

// chained makes one result of several steps.
func (r *Recognizer) chained(res Result, steps []parsed) Result {
	if len(steps) == 1 {
		return r.result(res, steps)
	}
	r.shareClusters(steps)
	list := make([]Intent, 0, len(steps))
	res.Score = 1
	for _, s := range steps {
		list = append(list, Intent{Name: s.intent, Slots: s.slots})
		res.Score = min(res.Score, s.score())
		if res.Ask == "" {
			res.Ask = r.ask(s)
		}
	}
	res.Intent, res.Slots = "chain", Slots{"steps": list}
	return res
}

// Nearest returns at most three workload names that name may have meant, the
// likeliest first.
func (r *Recognizer) Nearest(name string, inv *Inventory) []string {
	if inv == nil {
		return nil
	}
	return inv.workloads.nearest(name, 3)
}

// sortParsed puts the best reading first; the order of the catalogue decides
// between equals, so that results do not change from run to run.
func sortParsed(ps []parsed) {
	slices.SortStableFunc(ps, func(a, b parsed) int { return cmp.Compare(a.cost, b.cost) })
}

// sameMeaning reports whether two readings would do the same.
func sameMeaning(a, b parsed) bool {
	if a.intent != b.intent || len(a.slots) != len(b.slots) {
		return false
	}
	for k, v := range a.slots {
		w, ok := b.slots[k]
		if !ok {
			return false
		}
		l, isList := v.([]string)
		m, isList2 := w.([]string)
		if isList && isList2 {
			if !slices.Equal(l, m) {
				return false
			}
			continue
		}
		if isList != isList2 || v != w {
			return false
		}
	}
	return true
}

// joinSaid gives words back as they were said, for names nobody knows.
func joinSaid(tokens []token) string {
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t.said)
	}
	return b.String()
}
