package intents

import (
	"maps"
	"slices"
	"strings"
)

// maxConnectors bounds the places where a sentence may be parted into steps.
const maxConnectors = 6

// chain parts a sentence at "then", "and" and the like, where every part is a
// sentence of its own. nil is returned where it cannot be.
func (rd *reading) chain(tokens []token) []parsed {
	if rd.quotes {
		return nil
	}
	if from, to := rd.guard(tokens); rd.anywhere || rd.guarded && from == to {
		return nil // what guards holds for all of it, or stands in a clause before
	}
	// A question may follow what is to be done; behind a question nothing is.
	defer func(guarded bool) { rd.guarded = guarded }(rd.guarded)
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
	var split func(start, next int, before *said) []parsed
	split = func(start, next int, before *said) []parsed {
		if before == nil && failed[start] {
			return nil
		}
		// The longest part first: "restart web, cart and search" is one step,
		// however well its pieces would parse.
		for k := len(joints) - 1; k >= next; k-- {
			if joints[k].from <= start {
				continue
			}
			part := tokens[start:joints[k].from]
			from, to := rd.guard(part)
			rd.guarded = to > from
			if rd.guarded && joints[k].from < len(tokens) {
				continue
			}
			step, ok := rd.step(part)
			if ok && before != nil && len(step) == 1 && step[0].terse && step[0].intent != before.p.intent && !slices.ContainsFunc(part, func(t token) bool { return rd.r.joins[t.text] }) {
				ok = false // "restart both web and cart 2.3": a name and a number are no step of another kind
			}
			if !ok {
				if step, ok = rd.elided(before, part); !ok {
					continue
				}
			}
			if joints[k].from == len(tokens) {
				return step
			}
			as := before
			if len(step) > 0 {
				as = &said{part, step[0]}
				if step[0].head == 0 && before != nil { // itself without a verb
					as = before
				}
			}
			if rest := split(joints[k].to, k+1, as); rest != nil {
				return append(step, rest...)
			}
		}
		if before == nil {
			failed[start] = true
		}
		return nil
	}
	steps := split(0, 0, nil)
	if len(steps) == 0 {
		return nil
	}
	steps = rd.complaints(steps)
	for i, p := range steps[1:] {
		if before := steps[i]; before.slots.Has("node") && rd.r.writes(p.intent) && slices.Contains(p.slots.Targets(), TargetIt) {
			return nil // "drain node-2, it needs a reboot": nothing of ours reboots a node
		}
	}
	rd.share(steps)
	return distinct(steps)
}

// complaint is the intent of a sentence that says what is wrong.
const complaint = "diagnose"

// complaints drops what only says why something is asked for: "web is slow,
// restart it" is a request to restart web.
func (rd *reading) complaints(steps []parsed) []parsed {
	var out []parsed
	for i, p := range steps {
		if p.intent == complaint && i+1 < len(steps) && rd.r.writes(steps[i+1].intent) {
			next := &steps[i+1]
			names, about := p.slots.Targets(), next.slots.Targets()
			if refersBack(*next) && len(names) > 0 {
				next.slots["targets"] = names
				if ns, ok := p.slots["namespace"]; ok && !next.slots.Has("namespace") {
					next.slots["namespace"] = ns
				}
				continue
			}
			if slices.Equal(names, about) {
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

// distinct drops a step that repeats the one before it: "no new pods on node-1,
// cordon it".
func distinct(steps []parsed) []parsed {
	out := steps[:1]
	for _, p := range steps[1:] {
		if last := out[len(out)-1]; refersBack(p) && last.intent == p.intent { // "web can go on, resume it"
			p.slots = maps.Clone(p.slots)
			p.slots["targets"] = last.slots["targets"]
		}
		if !sameMeaning(out[len(out)-1], p) {
			out = append(out, p)
		}
	}
	return out
}

// said is a step with its words.
type said struct {
	tokens []token
	p      parsed
}

// elided reads a step that leaves its verb out with the verb of the step before:
// "restart web, then cart".
func (rd *reading) elided(before *said, part []token) ([]parsed, bool) {
	if before == nil || before.p.head == 0 || before.p.head >= len(before.tokens) {
		return nil, false
	}
	full := append(slices.Clone(before.tokens[:before.p.head]), part...)
	step, ok := rd.step(full)
	if !ok || len(step) != 1 || step[0].intent != before.p.intent || step[0].cost > costElided || step[0].slots.Has("unknown_target") {
		return nil, false
	}
	if before.p.slots.Has("targets") && !step[0].slots.Has("targets") {
		return nil, false // "scale web to 3 and back to 5" is no second step
	}
	for _, name := range step[0].slots.Targets() {
		if name == TargetAll || strings.HasPrefix(name, "@") {
			return nil, false // "it and everything" is no two steps
		}
	}
	return step, true
}

// shared are the slots that a step may leave to its neighbours.
var shared = [...]string{"targets", "node"}

// share gives steps that name nothing what the step before names, or the one
// behind: "cordon and drain node-1".
func (rd *reading) share(steps []parsed) {
	for i := range steps {
		p := &steps[i]
		ask := rd.r.ask(*p)
		for _, slot := range shared {
			if ask != slot || p.slots.Has(slot) || p.slots.Has("unknown_target") {
				continue
			}
			for _, j := range [...]int{i - 1, i + 1} {
				if j < 0 || j >= len(steps) || !steps[j].slots.Has(slot) {
					continue
				}
				p.slots[slot] = steps[j].slots[slot]
				if ns, ok := steps[j].slots["namespace"]; ok && !p.slots.Has("namespace") {
					if _, has := rd.r.c.intents[p.intent].slots["namespace"]; has {
						p.slots["namespace"] = ns
					}
				}
				break
			}
		}
	}
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
	if p.skips > 0 {
		return nil, false // a remark that a frame made something of
	}
	d := rd.r.c.intents[p.intent]
	if p.intent == "greet" || p.intent == "thanks" {
		return []parsed{}, true
	}
	// A bare name is a question at most, never a step, and so is an answer.
	if d.spec.Risk == RiskNone && (len(p.slots) == 0 || p.intent == "amend" || p.intent == "help") {
		return nil, false
	}
	if (p.terse || len(tokens) < 2) && d.spec.Risk != RiskWrite {
		return nil, false
	}
	return []parsed{p}, true
}
