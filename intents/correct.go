package intents

import (
	"slices"
	"strings"
)

// maxCorrections bounds the readings that are tried for one correction.
const maxCorrections = 16

// corrected reads a sentence whose speaker changes their mind in the middle:
// "scale web to three, no, to four". What stands behind the last word of
// correction is either a sentence of its own, which then counts alone, or takes
// the place of the end of what stands before.
func (rd *reading) corrected(tokens []token) (parsed, bool) {
	from, to := -1, -1
	for i := 1; i < len(tokens); i++ {
		if end := rd.r.correction.longest(tokens, i); end > i && end < len(tokens) {
			from, to = i, end
			i = end - 1
		}
	}
	if from < 0 {
		return parsed{}, false
	}
	for to < len(tokens)-1 && tokens[to].text == "," {
		to++
	}
	before := tokens[:from]
	for len(before) > 0 && before[len(before)-1].text == "," {
		before = before[:len(before)-1]
	}
	if len(before) == 0 {
		return parsed{}, false
	}
	first, parses := rd.sure(before)
	if !parses { // a correction of a correction
		first, parses = rd.corrected(before)
	}
	behind := tokens[to:]
	if p, ok := rd.sure(behind); ok && parses && !p.terse && rd.r.c.intents[p.intent].spec.Risk != RiskNone && p.head > 0 {
		p.cost += costCorrected
		return p, true
	}
	tries := 0
	for k := len(before) - 1; k >= 1 && tries < maxCorrections; k-- {
		tries++
		p, ok := rd.sure(append(slices.Clone(before[:k]), behind...))
		switch {
		case !ok || p.head == 0:
		case parses && p.intent == first.intent && coversKeys(p.slots, first.slots), !parses && !p.terse && p.skips == 0 && rd.r.ask(p) == "":
			p.cost += costCorrected
			return p, true
		}
	}
	p, ok := rd.sure(append(slices.Clone(before), behind...))
	if ok && parses && p.intent == first.intent {
		p.cost += costCorrected
		return p, true
	}
	return parsed{}, false
}

// sure is the one reading of tokens that leaves nothing open.
func (rd *reading) sure(tokens []token) (parsed, bool) {
	best := rd.parse(tokens)
	if len(best) == 0 || best[0].answer || best[0].slots.Has("unknown_target") || best[0].intent == "amend" {
		return parsed{}, false
	}
	if len(best) > 1 && best[1].cost-best[0].cost <= margin && rd.r.writes(best[0].intent) {
		return parsed{}, false
	}
	return best[0], true
}

// coversKeys reports whether a says all that b says, if not with the same
// values. A number may come as count, change or factor.
func coversKeys(a, b Slots) bool {
	kind := func(k string) string {
		switch k {
		case "delta", "factor":
			return "replicas"
		case "until":
			return "since"
		}
		return k
	}
	have := map[string]bool{}
	for k := range a {
		have[kind(k)] = true
	}
	for k := range b {
		if !have[kind(k)] {
			return false
		}
	}
	return true
}

// contrast drops what is named only to say that it is not meant: "scale
// worker-2, not worker, to 4". Names and numbers alone are dropped: in "restart
// web, not now" the "not" forbids.
func (rd *reading) contrast(tokens []token) []token {
	for i := 1; i < len(tokens); i++ {
		if tokens[i].text != "not" {
			continue
		}
		from := i
		for from > 0 && (tokens[from-1].text == "," || tokens[from-1].text == "and" || tokens[from-1].text == "but") {
			from--
		}
		if from == i || from == 0 {
			continue
		}
		at := i + 1
		for at < len(tokens) && rd.r.determiner[tokens[at].text] {
			at++
		}
		if at >= len(tokens) {
			return nil
		}
		rd.tokens = tokens
		rd.noise = append(rd.noise[:0], make([]bool, len(tokens))...)
		end := at
		if rd.inv != nil {
			for _, s := range slices.Concat(rd.name(at), rd.indexed(at, func(v *Inventory) *nameIndex { return &v.nodes }), rd.indexed(at, func(v *Inventory) *nameIndex { return &v.alerts }), rd.indexed(at, func(v *Inventory) *nameIndex { return &v.namespaces })) {
				if s.cost < costPart {
					end = max(end, s.end)
				}
			}
		}
		if v, e, _, ok := rd.r.version(tokens, at); ok && v != "" {
			end = max(end, e)
		}
		if end == at || end < len(tokens) && tokens[end].text != "," {
			continue
		}
		if end < len(tokens) {
			end++
		}
		return slices.Concat(tokens[:from], tokens[end:])
	}
	return nil
}

// maxClauses bounds the commas at which a sentence may be parted.
const maxClauses = 6

// maxAside bounds the words of a clause that only sets the scene.
const maxAside = 14

// besides reads a sentence without a clause that sets the scene, parted by a
// comma: "traffic is nuts, double checkout", "drain node-2, the disk is smoking".
func (rd *reading) besides(tokens []token, depth int) (best, steps []parsed) {
	commas := 0
	for i, t := range tokens {
		if t.text != "," || i == 0 || i == len(tokens)-1 {
			continue
		}
		if commas++; commas > maxClauses {
			return nil, nil
		}
		for _, c := range [...]struct{ rest, clause []token }{{tokens[i+1:], tokens[:i]}, {tokens[:i], tokens[i+1:]}} {
			behind := c.clause[0].from > c.rest[0].from
			if !behind {
				if p, ok := rd.topic(c.clause, c.rest); ok { // "the checkout, roll it back"
					return []parsed{p}, nil
				}
			}
			if !rd.loose && rd.strangeIn(c.clause) {
				continue // a name may be misspelt in it
			}
			if len(c.clause) > maxAside || rd.names(c.clause) && !(behind && rd.statement(c.clause)) {
				continue
			}
			writes := rd.aside(c.clause, behind) && !rd.asks(c.clause)
			// A remark behind a request has guards of its own: "restart web, Bob asked
			// for it". One before it might be what guards: "I was about to, …".
			guarded, anywhere := rd.guarded, rd.anywhere
			if writes {
				if behind {
					rd.reguard(c.rest)
				} else {
					rd.unguard(c.clause, c.rest)
				}
			}
			best, steps := rd.understand(c.rest, depth-1)
			rd.guarded, rd.anywhere = guarded, anywhere
			if steps != nil && writes {
				return nil, steps
			}
			if len(best) == 0 || unknownTarget(best[0]) || best[0].answer || best[0].twice || best[0].cost > costBeside {
				continue
			}
			d := rd.r.c.intents[best[0].intent]
			switch {
			case d.spec.Risk == RiskWrite && (!writes || best[0].terse && best[0].head == 0 && len(best[0].slots) > 0):
				continue // a name and a number alone are too little
			case d.spec.Risk == RiskNone && rd.asks(c.clause):
				continue // "unsilence TargetDown, cheers"
			case !behind && refersBack(best[0]) && rd.strangeIn(c.clause):
				continue // "oath service, restart it": it is what was not understood
			case best[0].intent == "confirm" || best[0].intent == "amend" || best[0].terse && d.spec.Risk == RiskRead:
				continue // a word alone is too little beside others
			case d.spec.Risk != RiskWrite && (len(best[0].slots) > 0 || d.spec.Risk == RiskRead) && (!rd.remark(c.clause) || rd.asks(c.clause)):
				continue
			}
			for i := range best {
				best[i].cost += costAside
			}
			return best, nil
		}
	}
	return nil, nil
}

// refersBack reports a reading that is about "it".
func refersBack(p parsed) bool {
	return slices.ContainsFunc(p.slots.Targets(), func(n string) bool { return n == TargetIt || n == TargetThem })
}

// names reports a clause that names something of the cluster: it might be
// another step.
func (rd *reading) names(clause []token) bool {
	if rd.inv == nil {
		return false
	}
	for i := range clause {
		for end := i + 1; end <= len(clause) && end <= i+4; end++ {
			key := ""
			for _, t := range clause[i:end] {
				key += squash(t.text)
			}
			if rd.known(key) {
				return true
			}
		}
	}
	return false
}

// known reports the squashed name of something of the cluster.
func (rd *reading) known(key string) bool {
	for _, x := range [...]*nameIndex{&rd.inv.workloads, &rd.inv.namespaces, &rd.inv.nodes, &rd.inv.clusters, &rd.inv.alerts} {
		if _, ok := x.exact[key]; ok {
			return true
		}
	}
	return false
}

// remark reports a clause with a verb, or words that mean nothing here: what a
// question may do without. "In the last hour" is none.
func (rd *reading) remark(clause []token) bool {
	strange := 0
	for i, t := range clause {
		if rd.r.asideVerbs.longest(clause, i) > i || strings.HasSuffix(t.whole, "'s") || i > 0 && len(t.text) > 4 && strings.HasSuffix(t.text, "ed") {
			return true
		}
		if !rd.r.vocabulary[t.text] && hasLetter(t.text) {
			strange++
		}
	}
	return strange > 0 && strange == len(clause) || rd.r.lead.longest(clause, 0) == len(clause)
}

// statement reports a clause that tells how something is and asks for nothing:
// "search is fine", "node one stays open". A number in it might be a request.
func (rd *reading) statement(clause []token) bool {
	stative := false
	for i, t := range clause {
		if isDigit(t.text[0]) || rd.r.isNumberWord(t.text) && t.text != "one" || t.text == "to" || t.text == "too" || t.text == "also" {
			return false
		}
		stative = stative || i > 0 && rd.r.statives[t.text]
	}
	return stative
}

// asksFor reports a clause that is a request to change something.
func (rd *reading) asksFor(clause []token) bool {
	defer func(guarded bool) { rd.guarded = guarded }(rd.guarded)
	rd.guarded = false
	best := rd.parse(clause)
	return len(best) > 0 && !unclear(best) && rd.r.writes(best[0].intent)
}

// asks reports a clause that is a request itself.
func (rd *reading) asks(clause []token) bool {
	defer func(guarded bool) { rd.guarded = guarded }(rd.guarded)
	rd.guarded = false
	best := rd.parse(clause)
	return len(best) > 0 && !unclear(best) && (len(best[0].slots) > 0 || rd.r.c.intents[best[0].intent].spec.Risk != RiskNone)
}

// aside reports a clause that only sets the scene, so that it may be dropped
// beside a request to change something: it holds nothing that could ask for,
// forbid or put off an act. Behind the request it must be a clause with a verb:
// "canary first" is none.
func (rd *reading) aside(clause []token, behind bool) bool {
	if len(clause) == 1 && rd.r.vocabulary[clause[0].text] && rd.r.lead.longest(clause, 0) == 0 && rd.r.tail.longest(clause, 0) == 0 {
		return false // "nginx, spin up three of them"
	}
	rd.tokens = clause
	verb, number := false, false
	for i, t := range clause {
		if rd.r.asideNever.longest(clause, i) > i {
			return false
		}
		if _, _, unit := rd.listed(listUnit, i); unit && len(t.text) > 1 {
			return false // "an hour from now"
		}
		if _, _, day := rd.listed(listDay, i); day && (i == 0 || clause[i-1].text != "black") {
			return false
		}
		number = number || isDigit(t.text[0])
		if i == 0 && rd.r.asideStart[t.text] {
			return false
		}
		isVerb := rd.r.asideVerbs.longest(clause, i) > i || strings.HasSuffix(t.whole, "'s")
		// "that release broke it" speaks of a thing, "release it" asks for it.
		if rd.r.acting[t.text] && !isVerb && rd.imperative(clause, i) {
			return false
		}
		verb = verb || isVerb || i > 0 && len(t.text) > 4 && strings.HasSuffix(t.text, "ed")
	}
	return verb || !behind && !number
}

// imperative reports a word that stands where a request begins.
func (rd *reading) imperative(clause []token, i int) bool {
	if i == 0 {
		return true
	}
	switch w := clause[i-1].text; w {
	case ",", "and", "then", "please", "just", "also":
		return true
	default:
		return rd.r.lead.longest(clause[:i], i-1) == i && !rd.r.idle[w]
	}
}

// reguard lets only what stands in tokens guard.
func (rd *reading) reguard(tokens []token) {
	if !rd.quotes {
		from, to := rd.guard(tokens)
		rd.guarded = to > from
	}
}

// unguard does the same where the clause before only tells what was: "we have
// tested it, so …". A clause that asks, or that has "to" in it ("I was about
// to"), keeps its guard.
func (rd *reading) unguard(clause, rest []token) {
	i := 0
	for i < len(clause) {
		end := max(rd.r.lead.longest(clause, i), rd.r.filler.longest(clause, i))
		if clause[i].text == "," {
			end = i + 1
		}
		if end == i {
			break
		}
		i = end
	}
	if i >= len(clause) || !rd.r.tellers[clause[i].text] || slices.ContainsFunc(clause, func(t token) bool { return t.text == "to" || t.text == "not" }) {
		return
	}
	if from, to := rd.guard(clause); from == to || rd.anywhere && clause[from].text != "was" && clause[from].text != "has" && clause[from].text != "have" {
		rd.guard(slices.Concat(clause, rest))
		return
	}
	rd.reguard(rest)
}

// topic reads a clause that names a thing, and a request that takes it up with
// "it": "the checkout is bad, roll it back".
func (rd *reading) topic(clause, rest []token) (parsed, bool) {
	at := slices.IndexFunc(rest, func(t token) bool {
		return t.text == "it" || t.text == "its" || t.text == "that" || t.text == "them" || t.text == "this"
	})
	if at < 0 || len(clause) > maxAside {
		return parsed{}, false
	}
	for i, t := range clause {
		if rd.r.asideNever.longest(clause, i) > i || rd.r.acting[t.text] && i == 0 {
			return parsed{}, false
		}
	}
	from, to := 0, 0 // the longest name of the clause, which must hold no other
	rd.tokens = clause
	rd.noise = rd.noise[:0]
	for range clause {
		rd.noise = append(rd.noise, false)
	}
	for i := 0; i < len(clause); i++ {
		end := i
		for _, s := range slices.Concat(rd.name(i), rd.pod(i), rd.indexed(i, func(v *Inventory) *nameIndex { return &v.nodes })) {
			if s.cost < costPart {
				end = max(end, s.end)
			}
		}
		if end == i {
			continue
		}
		if to > 0 {
			return parsed{}, false
		}
		from, to = i, end
		i = end - 1
	}
	if to == 0 || rd.asksFor(clause) {
		return parsed{}, false
	}
	place, origin := "", false
	for i := range clause {
		if i > 0 && i != from && slices.Contains([]string{"in", "on", "from", "of"}, clause[i-1].text) {
			for _, s := range rd.namespace(i) {
				place, _ = s.val.(string)
				origin = clause[i-1].text == "from"
			}
		}
	}
	behind := at + 1 // "this node"
	if behind < len(rest) && (rest[at].text == "this" || rest[at].text == "that") && (rd.r.kinds[rest[behind].text] || slices.Contains([]string{"node", "machine", "box", "one", "host", "alert"}, rest[behind].text)) {
		behind++
	}
	for i := range clause {
		if place == "" && i > 0 && (clause[i-1].text == "from" || rd.r.places[clause[i-1].text] && rd.strangeIn(clause[i:min(i+2, len(clause))])) {
			return parsed{}, false // a place that was not understood
		}
	}
	full := slices.Concat(rest[:at], clause[from:to], rest[behind:])
	guarded, anywhere := rd.guarded, rd.anywhere
	rd.unguard(clause, rest)
	p, ok := rd.sure(full)
	rd.guarded, rd.anywhere = guarded, anywhere
	if !ok || p.head == 0 {
		return parsed{}, false
	}
	if place != "" {
		slots := rd.r.c.intents[p.intent].slots
		slot := "namespace"
		if _, has := slots["from"]; has && origin {
			slot = "from"
		}
		if _, has := slots[slot]; !has {
			return parsed{}, false // where was said, and would be lost
		}
		if !p.slots.Has(slot) {
			p.slots[slot] = place
		}
	}
	p.cost += costAside
	return p, true
}
