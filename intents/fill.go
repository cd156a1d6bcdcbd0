package intents

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Term is a slot with its value as somebody would say it: {"replicas", "five"}.
type Term struct{ Slot, Said string }

// Fill makes an intent of slots that were not found in a sentence but named one by
// one, by something that read the sentence in another way. It is how readings of
// others are held to what this recogniser would have made of it: each value is
// read as in a sentence of its own, whole, by the type of its slot, so that a
// name is one that exists and a word one of the catalogue. Free text, and a name
// that nobody knows (which becomes unknown_target, as in [Recognizer.Recognize]),
// must stand in the sentence that was said: nothing gets in that nobody said.
//
// What is missing is not looked at: that is asked for, as ever.
func (r *Recognizer) Fill(intent string, terms []Term, sentence string, inv *Inventory) (Intent, error) {
	d := r.c.intents[intent]
	if d == nil {
		return Intent{}, fmt.Errorf("intents: no intent %.40q", intent)
	}
	out := Intent{Name: intent, Slots: Slots{}}
	var targets targetVal
	for _, t := range terms {
		def, ok := d.slots[t.Slot]
		if !ok {
			return Intent{}, fmt.Errorf("intents: %s has no slot %.40q", intent, t.Slot)
		}
		v, ok := r.fillValue(d, t, def.typ, sentence, inv)
		if !ok {
			return Intent{}, fmt.Errorf("intents: slot %s of %s does not take that value", t.Slot, intent)
		}
		if name, is := v.(targetVal); is {
			if !out.place(t.Slot, name, &targets) {
				return Intent{}, fmt.Errorf("intents: slot %s of %s does not take that value", t.Slot, intent)
			}
			continue
		}
		if old, said := out.Slots[t.Slot]; said && old != v {
			return Intent{}, fmt.Errorf("intents: slot %s of %s has two values", t.Slot, intent)
		}
		out.Slots[t.Slot] = v
	}
	if names := unique(targets.names); len(names) > 0 {
		out.Slots["targets"] = names
	}
	if len(targets.unknown) > 0 {
		out.Slots["unknown_target"] = strings.Join(targets.unknown, ", ")
	}
	for _, name := range d.order {
		if f := d.slots[name].fallback; f != "" && !out.Slots.Has(name) && !(name == "targets" && len(targets.unknown) > 0) {
			out.Slots[name] = fixedValue(f)
			if name == "targets" {
				out.Slots[name] = []string{f}
			}
		}
	}
	return out, nil
}

// place puts names into an intent; it reports whether they have a place there.
func (in *Intent) place(slot string, v targetVal, all *targetVal) bool {
	if v.guess != "" || v.version != "" || slot != "targets" {
		return false
	}
	if v.namespace != "" {
		if ns, said := in.Slots["namespace"]; said && ns != v.namespace {
			return false
		}
		in.Slots["namespace"] = v.namespace
	}
	all.names = append(all.names, v.names...)
	all.unknown = append(all.unknown, v.unknown...)
	return true
}

// maxTerm bounds what a value may be said with.
const maxTerm = 120

// fillValue reads the value of a slot. ok is false where it is none.
func (r *Recognizer) fillValue(d *intentDef, t Term, typ, sentence string, inv *Inventory) (v any, ok bool) {
	said := strings.TrimSpace(t.Said)
	if said == "" || len(said) > maxTerm || !utf8.ValidString(said) {
		return nil, false
	}
	switch typ {
	case "text":
		return r.fixedOf(d, t.Slot, said)
	case "phrase", "new_name", "ref", "image", "sidecar", "pod":
		if !standsIn(said, sentence) {
			return nil, false
		}
		if typ == "phrase" {
			return said, len(said) <= 60
		}
	case "choice", "steps", "container":
		return nil, false
	}
	if entries := r.c.lists[typ]; entries != nil {
		for _, e := range entries {
			if e.value == said {
				return e.value, true
			}
		}
	}
	for _, way := range r.ways(t.Slot, typ, said) {
		for _, s := range r.readAlone(way.typ, way.said, inv) {
			if _, isNames := s.val.(targetVal); isNames {
				if u := s.val.(targetVal).unknown; slices.ContainsFunc(u, func(name string) bool { return !standsIn(name, sentence) }) {
					continue
				}
			}
			if v := fmt.Sprint(s.val); typ == "version" && !standsIn(said, sentence) && !standsIn(v, sentence) && !standsIn("v"+v, sentence) && !inUse(inv, v) {
				continue
			}
			return s.val, true
		}
	}
	return nil, false
}

// inUse reports a tag that is in use.
func inUse(inv *Inventory, tag string) bool {
	return inv != nil && slices.Contains(inv.Data().Tags, tag)
}

// way is how a value is read: by which type, and written how.
type way struct{ typ, said string }

// ways are the types by which templates read a slot, with the signs that others
// leave out.
func (r *Recognizer) ways(slot, typ, said string) []way {
	numeral := strings.Trim(said, "0123456789.") == ""
	switch {
	case typ == "hour":
		return []way{{"period", said}, {"moment", said}, {"hour", said}}
	case typ == "duration":
		return []way{{"duration", said}}
	case typ == "image":
		return []way{{"ref", said}, {"known_image", said}, {"image_name", said}}
	case typ == "version":
		return []way{{"version", said}, {"tag", said}}
	case typ == "percent" && numeral:
		return []way{{"percent", said + "%"}}
	case typ == "percentile" && numeral:
		return []way{{"percentile", "p" + said}}
	case slot == "delta":
		return []way{{"signed", said}, {"int", said}}
	case slot == "port":
		return []way{{"port", said}}
	case typ == "target": // those that exist first
		return []way{{"known", said}, {"target", said}}
	}
	return []way{{typ, said}}
}

// readAlone reads a text as a value of a type and nothing else: best first.
func (r *Recognizer) readAlone(typ, said string, inv *Inventory) []span {
	text := r.signs.Replace(said)
	tokens, _, quoted := r.tokenize(text)
	if len(tokens) == 0 || quoted {
		return nil
	}
	rd := r.reading(inv, Expect{}, false)
	defer r.release(rd)
	rd.text, rd.tokens, rd.guarded, rd.quotes = text, tokens, false, false
	rd.noise = append(rd.noise[:0], make([]bool, len(tokens))...)
	var found []span
	if t, ok := r.lists[typ]; ok {
		t.each(tokens, 0, func(end int, v string) { found = append(found, span{end: end, val: v}) })
	} else if fn := r.types[typ]; fn != nil {
		found = fn(rd, 0)
	}
	found = slices.DeleteFunc(slices.Clone(found), func(s span) bool { return s.end != len(tokens) || s.unsure })
	slices.SortStableFunc(found, func(a, b span) int {
		switch {
		case a.cost < b.cost:
			return -1
		case a.cost > b.cost:
			return 1
		}
		return 0
	})
	return found
}

// standsIn reports whether a text stands in a sentence, as words of it.
func standsIn(said, sentence string) bool {
	low := func(s string) string { return " " + strings.Join(strings.Fields(strings.ToLower(s)), " ") + " " }
	cut := func(s string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(",;!?\"'“”()", r) {
				return ' '
			}
			return r
		}, s)
	}
	in, what := low(cut(sentence)), low(cut(said))
	if strings.TrimSpace(what) == "" {
		return false
	}
	return strings.Contains(in, what) || strings.Contains(strings.ReplaceAll(in, ". ", "  "), strings.TrimRight(what, ". ")+" ")
}

// fixedOf is the value of a slot of few words, all of which the templates set.
func (r *Recognizer) fixedOf(d *intentDef, slot, said string) (any, bool) {
	for _, v := range r.c.fixed(d.spec.Name, slot) {
		if said == textOf(v) {
			return v, true
		}
	}
	return nil, false
}

func textOf(v any) string {
	if f, ok := v.(float64); ok && f != math.Trunc(f) {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// SlotValues are the values that a slot of an intent may have where that are few:
// those of its list, or those that templates set. nil is any value of its type.
func (c *Catalogue) SlotValues(intent, slot string) []string {
	d := c.intents[intent]
	if d == nil {
		return nil
	}
	typ := d.slots[slot].typ
	if entries, ok := c.List(typ); ok {
		var out []string
		for _, e := range entries {
			out = append(out, e.Value)
		}
		return out
	}
	if typ != "text" {
		return nil
	}
	out := []string{}
	for _, v := range c.fixed(intent, slot) {
		out = append(out, textOf(v))
	}
	return out
}

// MayAct reports whether a sentence could be a request to do something: whatever
// its words mean, nothing in it says that it is a question, a refusal, a
// condition, a quotation or a report. Where it is false, no reading of the sentence may
// change anything.
func (r *Recognizer) MayAct(text string, inv *Inventory) bool {
	if utf8.RuneCountInString(text) > maxRunes || !utf8.ValidString(text) {
		return false
	}
	text = r.signs.Replace(text)
	tokens, _, quoted := r.tokenize(text)
	if tokens = r.rejoin(tokens); len(tokens) == 0 || quoted {
		return false
	}
	rd := r.reading(inv, Expect{}, false)
	defer r.release(rd)
	rd.text = text
	from, to := rd.guard(tokens)
	if to > from {
		return false
	}
	from, to = rd.guard(r.mend(tokens, inv)) // "dont" misspelt is one too
	return from == to
}
