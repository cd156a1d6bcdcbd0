package intents

// maxConnectors bounds the places where a sentence may be parted into steps.
const maxConnectors = 6

// chain parts a sentence at "then", "and" and the like, where every part is a
// sentence of its own. nil is returned where it cannot be.
func (rd *reading) chain(tokens []token) []parsed {
	if rd.guarded {
		return nil
	}
	type joint struct{ from, to int }
	var joints []joint
	for i := 1; i < len(tokens); {
		if end := rd.r.chain.longest(tokens, i); end > i && end < len(tokens) {
			joints = append(joints, joint{i, end})
			i = end
			continue
		}
		i++
	}
	if len(joints) == 0 || len(joints) > maxConnectors {
		return nil
	}
	joints = append(joints, joint{len(tokens), len(tokens)})
	failed := map[int]bool{} // starts from which no split leads to the end
	var split func(start, next int) []parsed
	split = func(start, next int) []parsed {
		if failed[start] {
			return nil
		}
		// The longest part first: "restart web, cart and search" is one step,
		// however well its pieces would parse.
		for k := len(joints) - 1; k >= next; k-- {
			if joints[k].from <= start {
				continue
			}
			step, ok := rd.step(tokens[start:joints[k].from])
			if !ok {
				continue
			}
			if joints[k].from == len(tokens) {
				return step
			}
			if rest := split(joints[k].to, k+1); rest != nil {
				return append(step, rest...)
			}
		}
		failed[start] = true
		return nil
	}
	steps := split(0, 0)
	if len(steps) == 0 {
		return nil
	}
	return steps
}

// step reads one part. Courtesies are dropped; answers to questions and
// readings that need a question do not belong into a chain.
func (rd *reading) step(tokens []token) ([]parsed, bool) {
	best := rd.parse(tokens)
	if len(best) == 0 || best[0].answer {
		return nil, false
	}
	if len(best) > 1 && best[1].cost-best[0].cost <= margin && rd.r.writes(best[0].intent) {
		return nil, false // ambiguous by itself: ask about the whole
	}
	p := best[0]
	d := rd.r.c.intents[p.intent]
	if p.intent == "greet" || p.intent == "thanks" {
		return []parsed{}, true
	}
	// A bare name is a question at most, never a step.
	if d.spec.Risk == RiskNone || len(tokens) < 2 || (p.terse && d.spec.Risk != RiskWrite) {
		return nil, false
	}
	return []parsed{p}, true
}
