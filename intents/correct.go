package intents

import "slices"

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
	first, ok := rd.sure(before)
	if !ok { // a correction of a correction
		if first, ok = rd.corrected(before); !ok {
			return parsed{}, false
		}
	}
	behind := tokens[to:]
	if p, ok := rd.sure(behind); ok && !p.terse && rd.r.c.intents[p.intent].spec.Risk != RiskNone && p.head > 0 {
		p.cost += costCorrected
		return p, true
	}
	tries := 0
	for k := len(before) - 1; k >= 1 && tries < maxCorrections; k-- {
		tries++
		p, ok := rd.sure(append(slices.Clone(before[:k]), behind...))
		if ok && p.intent == first.intent && sameKeys(p.slots, first.slots) {
			p.cost += costCorrected
			return p, true
		}
	}
	p, ok := rd.sure(append(slices.Clone(before), behind...))
	if ok && p.intent == first.intent {
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

// sameKeys reports whether two readings say the same things, if not with the
// same values. A number may come as count, change or factor.
func sameKeys(a, b Slots) bool {
	kind := func(s Slots) []string {
		var keys []string
		for k := range s {
			switch k {
			case "delta", "factor":
				k = "replicas"
			case "until":
				k = "since"
			}
			keys = append(keys, k)
		}
		slices.Sort(keys)
		return slices.Compact(keys)
	}
	return slices.Equal(kind(a), kind(b))
}

// maxAside bounds the words of a clause that only sets the scene.
const maxAside = 9

// besides reads a sentence without a clause that sets the scene, parted by a
// comma: "traffic is nuts, double checkout", "drain node-2, the disk is smoking".
// Such a clause holds a verb, and nothing that could ask for, forbid or put off
// an act.
func (rd *reading) besides(tokens []token, depth int) (best, steps []parsed) {
	for i, t := range tokens {
		if t.text != "," || i == 0 || i == len(tokens)-1 {
			continue
		}
		for _, c := range [...]struct{ rest, clause []token }{{tokens[i+1:], tokens[:i]}, {tokens[:i], tokens[i+1:]}} {
			behind := c.clause[0].from > c.rest[0].from
			if !behind {
				if p, ok := rd.topic(c.clause, c.rest); ok { // "the checkout, roll it back"
					return []parsed{p}, nil
				}
			}
			if !rd.aside(c.clause) || len(c.clause) == 1 && behind {
				continue
			}
			best, steps := rd.understand(c.rest, depth-1)
			if steps != nil {
				return nil, steps
			}
			if len(best) == 0 || unknownTarget(best[0]) || best[0].answer || best[0].head == 0 || rd.r.c.intents[best[0].intent].spec.Risk == RiskNone {
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

// aside reports a clause that only sets the scene.
func (rd *reading) aside(clause []token) bool {
	if len(clause) > maxAside {
		return false
	}
	verb := false
	for i, t := range clause {
		if rd.r.asideNever.longest(clause, i) > i {
			return false
		}
		// "that release broke it" speaks of a thing, "release it" asks for it.
		if rd.r.acting[t.text] && rd.r.asideVerbs.longest(clause, i) == i && !rd.noun(clause, i) {
			return false
		}
		if rd.inv != nil {
			if _, name := rd.inv.workloads.exact[squash(t.text)]; name {
				return false
			}
		}
		verb = verb || rd.r.asideVerbs.longest(clause, i) > i
	}
	if !verb && len(clause) == 1 { // "aaargh, …"
		_, known := rd.r.a.words[clause[0].text]
		return !known && hasLetter(clause[0].text) && rd.name(0) == nil
	}
	return verb
}

// noun reports a word that an article, or "to", makes no request.
func (rd *reading) noun(clause []token, i int) bool {
	for j := i - 1; j >= max(0, i-2); j-- {
		if w := clause[j].text; rd.r.article.starts(w) || w == "to" {
			return true
		}
	}
	return false
}

// topic reads a clause that names a thing, and a request that takes it up with
// "it": "the checkout is bad, roll it back".
func (rd *reading) topic(clause, rest []token) (parsed, bool) {
	at := slices.IndexFunc(rest, func(t token) bool { return t.text == "it" || t.text == "that" || t.text == "them" })
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
	if to == 0 {
		return parsed{}, false
	}
	full := slices.Concat(rest[:at], clause[from:to], rest[at+1:])
	p, ok := rd.sure(full)
	if !ok || p.head == 0 {
		return parsed{}, false
	}
	p.cost += costAside
	return p, true
}
