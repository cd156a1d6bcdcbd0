package dialogue

import (
	"maps"
	"slices"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// What a slot may hold in place of a name, beside the Target… values of intents.
const (
	targetOther    = "@other" // of two, the one that was not meant last
	namespaceThere = "@there" // the namespace last spoken of
)

// refer puts names in the place of "the other one" and "there".
func refer(s *Session, in *intents.Intent) error {
	if steps := in.Slots.Steps(); len(steps) > 0 {
		for i := range steps {
			if err := refer(s, &steps[i]); err != nil {
				return err
			}
		}
		in.Slots["steps"] = steps
		return nil
	}
	if in.Slots.String("namespace") == namespaceThere {
		if s.Namespace == "" && s.There == "" {
			return fault.New(fault.NotUnderstood, "I do not know which place you mean. Say the namespace.")
		}
		delete(in.Slots, "namespace")
		if s.Namespace != "" {
			in.Slots["namespace"] = s.Namespace
		}
		if s.There != "" && !in.Slots.Has("cluster") {
			in.Slots["cluster"] = s.There
		}
	}
	if !slices.Equal(in.Slots.Targets(), []string{targetOther}) {
		return nil
	}
	if c := s.Choice; c != nil {
		delete(in.Slots, "targets")
		in.Slots[c.Slot] = c.Other
		if c.Slot == "targets" {
			in.Slots["targets"] = []string{c.Other}
		} else if in.Name != "amend" {
			in.Slots["targets"] = []string{intents.TargetIt}
		}
		s.Choice = &Choice{Slot: c.Slot, Taken: c.Other, Other: c.Taken}
		return nil
	}
	o, ok := s.other()
	if !ok {
		return fault.New(fault.NotUnderstood, "I do not know which other one you mean. Say its name.")
	}
	in.Slots["targets"] = []string{o.Name}
	if !in.Slots.Has("namespace") && o.Namespace != "" {
		in.Slots["namespace"] = o.Namespace
	}
	if !in.Slots.Has("cluster") && o.Cluster != "" {
		in.Slots["cluster"] = o.Cluster
	}
	return nil
}

// complete puts the answer to an open question, or an amendment, into the
// intent it belongs to. It reports false where the turn was a sentence of its
// own.
func (e *Engine) complete(t *Turn) (bool, error) {
	s, q := t.Session, t.Session.Question
	if q != nil && t.Intent.Name == "confirm" { // what was asked last was the question, not the proposal
		if len(q.Choices) != 1 && s.Waiting() {
			s.Question = nil
			return false, fault.New(fault.Ambiguous, "I asked you something else meanwhile, so I do not know what you say yes to.")
		}
		if len(q.Choices) == 1 {
			t.Intent = intents.Intent{Name: "amend", Slots: intents.Slots{"choice": q.Choices[0]}}
		}
	}
	switch {
	case q != nil && (t.Intent.Name == q.about().Name || t.Intent.Name == "amend"):
		return e.answered(t, q), nil
	case t.Intent.Name != "amend":
		return false, nil
	case len(t.Intent.Slots) == 1 && t.Intent.Slots.String("cluster") != "" && e.base(s, t.Intent.Slots) == nil:
		t.Intent = intents.Intent{Name: "switch_cluster", Slots: t.Intent.Slots}
		return false, nil
	case s.LastWrite == nil && s.LastRead == nil:
		return false, fault.New(fault.NotUnderstood, "There is nothing to change yet. Say the whole thing, like “scale web to five”.")
	}
	if said := t.Intent.Slots; (said.Has("namespace") || said.Has("cluster")) && slices.Equal(said.Targets(), []string{intents.TargetIt}) {
		t.Intent.Slots = maps.Clone(said) // "the same in staging": what it is about stays
		delete(t.Intent.Slots, "targets")
	}
	base := e.base(s, t.Intent.Slots)
	if base == nil {
		t.Intent.Slots = otherWindow(t.Intent.Slots)
		base = e.base(s, t.Intent.Slots)
	}
	if base == nil {
		return false, fault.New(fault.NotUnderstood, "That does not go with what you asked before. Say the whole thing.")
	}
	if base == s.LastWrite {
		s.drop() // what is corrected is not wanted as it was
	}
	if base.Name == "chain" {
		chain, err := e.amendChain(*base, t.Intent.Slots)
		if err != nil {
			return false, err
		}
		t.Intent = chain
		return true, nil
	}
	guessed := t.Intent.Guessed || base.Guessed
	t.Intent = merge(*base, t.Intent.Slots)
	t.Intent.Guessed = guessed
	return true, nil
}

// answered puts the answer to a question into what it was asked for.
func (e *Engine) answered(t *Turn, q *Question) bool {
	about, said := q.about(), t.Intent.Slots
	q.Intent.Guessed = q.Intent.Guessed || t.Intent.Guessed
	if t.Intent.Name == about.Name && said.Has("targets") && q.Slot != "targets" && len(about.Slots.Targets()) > 0 {
		return false // the same verb anew, about something else: a sentence of its own
	}
	if c := said.String("choice"); c != "" {
		said = intents.Slots{q.Slot: c}
		if q.Slot == "targets" {
			said = intents.Slots{q.Slot: []string{c}}
		}
		if i := slices.Index(q.Choices, c); i >= 0 && len(q.Choices) == 2 {
			t.Session.Choice = &Choice{Slot: q.Slot, Taken: c, Other: q.Choices[1-i]}
		}
	}
	if q.Step == 0 {
		t.Intent = merge(q.Intent, said)
		return true
	}
	steps := slices.Clone(q.Intent.Slots.Steps())
	steps[q.Step-1] = merge(about, said)
	t.Intent = merge(q.Intent, intents.Slots{"steps": steps})
	return true
}

// base is the intent that an amendment amends: the later one of the last
// reading and the last change, if what is said has a place in it; else the
// earlier one.
func (e *Engine) base(s *Session, said intents.Slots) *intents.Intent {
	both := []*intents.Intent{s.LastWrite, s.LastRead}
	if s.ReadLast {
		slices.Reverse(both)
	}
	for _, b := range both {
		if b != nil && e.takes(*b, said) {
			return b
		}
	}
	return nil
}

// otherWindow has "for two hours" as a stretch ahead where it was taken for one
// behind, and the other way round: which it is depends on what it is said of.
func otherWindow(said intents.Slots) intents.Slots {
	for _, pair := range [][2]string{{"since", "duration"}, {"duration", "since"}} {
		if v, ok := said[pair[0]]; ok && !said.Has(pair[1]) {
			out := maps.Clone(said)
			delete(out, pair[0])
			out[pair[1]] = v
			return out
		}
	}
	return said
}

// takes reports whether an intent, or for a chain one of its steps, has all
// these slots.
func (e *Engine) takes(in intents.Intent, said intents.Slots) bool {
	if in.Name == "chain" {
		return slices.ContainsFunc(in.Slots.Steps(), func(s intents.Intent) bool { return e.takes(s, said) })
	}
	spec, _ := e.catalogue.Spec(in.Name)
	for k := range said {
		if k == "unknown_target" {
			k = "targets"
		}
		if !slices.ContainsFunc(spec.Slots, func(s intents.SlotSpec) bool { return s.Name == k }) {
			return false
		}
	}
	return len(said) > 0
}

// amendChain puts an amendment into the step of a chain that it is about: the
// one of that name, or the only one that it fits; a place, and the way it is to go, hold for all.
func (e *Engine) amendChain(chain intents.Intent, said intents.Slots) (intents.Intent, error) {
	steps := slices.Clone(chain.Slots.Steps())
	var fit []int
	for i, s := range steps {
		if e.takes(s, said) && speaksOf(s, said) {
			fit = append(fit, i)
		}
	}
	all := len(said) == 1 && (said.Has("namespace") || said.Has("cluster") || said.Has("way"))
	if len(fit) == 0 || len(fit) > 1 && !all {
		return chain, fault.New(fault.Ambiguous, "Which of the steps do you mean? Say it with its name, like “cart to five”.")
	}
	for _, i := range fit {
		steps[i] = merge(steps[i], said)
	}
	return merge(chain, intents.Slots{"steps": steps}), nil
}

// speaksOf reports whether a step is about what an amendment names, where it
// names something beside what it changes.
func speaksOf(step intents.Intent, said intents.Slots) bool {
	names := said.Targets()
	if len(said) < 2 || len(names) == 0 {
		return true
	}
	return slices.ContainsFunc(step.Slots.Targets(), func(n string) bool { return slices.Contains(names, n) })
}

// again fills a question that lacks something from the last one of its kind:
// "and memory?" is about what the CPU was asked of, and since when. It reports
// whether it did.
func (e *Engine) again(t *Turn) bool {
	last, said := t.Session.LastRead, t.Intent.Slots
	if e.risk(t.Intent) != intents.RiskRead || last == nil || last.Name != t.Intent.Name {
		return false
	}
	subject := []string{"targets", "unknown_target", "namespace", "cluster", "node", "kind", "what", "pod"}
	if said.Has("metric") && t.Session.ReadLast && !slices.ContainsFunc(subject, said.Has) {
		guessed := t.Intent.Guessed
		t.Intent = merge(*last, said)
		t.Intent.Guessed = t.Intent.Guessed || guessed
		if !said.Has("percentile") {
			delete(t.Intent.Slots, "percentile") // it was of the other number
		}
		return true
	}
	filled := false
	for slot := e.missing(t.Intent); slot != "" && last.Slots.Has(slot); slot = e.missing(t.Intent) {
		t.Intent = merge(t.Intent, intents.Slots{slot: last.Slots[slot]})
		filled = true
	}
	return filled
}
