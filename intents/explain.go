package intents

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Explanation tells how a sentence came to be read as it was.
type Explanation struct {
	Result Result `json:"result"`
	// Guard is what forbids every act in this sentence, "" where nothing does.
	Guard string `json:"guard,omitempty"`
	// Readings are what fitted, best first: the first was taken, unless a chain was.
	Readings []Reading `json:"readings,omitempty"`
	// Steps are the readings of a chain's steps.
	Steps []Reading `json:"steps,omitempty"`
	// Forbidden is what the sentence would have been without the guard.
	Forbidden *Reading `json:"forbidden,omitempty"`

	work int // what it took, see reading.work
}

// Reading is one way to understand a sentence.
type Reading struct {
	Intent   string  `json:"intent"`
	Slots    Slots   `json:"slots"`
	Cost     float32 `json:"cost"` // lower is better; see [Result.Score]
	Template string  `json:"template"`
	At       string  `json:"at"` // file and line of the template
	// Spans are the words that gave each slot.
	Spans []SpanNote `json:"spans,omitempty"`
	// Repairs are words taken for others, and words passed over, with what each cost.
	Repairs []string `json:"repairs,omitempty"`
	// WhyNot says what the reading before it has over this one.
	WhyNot string `json:"why_not,omitempty"`
}

// SpanNote is the words of a sentence that became a slot's value.
type SpanNote struct {
	Slot  string `json:"slot"`
	Value any    `json:"value"`
	Said  string `json:"said"`
	From  int    `json:"from"` // first word, counted from 0
	To    int    `json:"to"`   // word behind the last
}

// Explain reads a sentence like [Recognizer.Recognize] and tells why.
func (r *Recognizer) Explain(text string, inv *Inventory, open Expect) Explanation {
	var why Explanation
	why.Result, _ = r.recognize(text, inv, open, &why)
	return why
}

// trace is what an explanation keeps of a reading.
type trace struct {
	template string
	at       place
	spans    []SpanNote
	repairs  []string
}

// trace walks a thread back to its beginning. Each step ends where the next one
// began, the last at end.
func (rd *reading) trace(ti int32, end int, s *sentence) *trace {
	t := &trace{template: s.text, at: s.at}
	if s.frame != nil {
		t.template = "frame around " + s.text
	}
	for i := ti; i >= 0 && rd.threads[i].prev >= 0; i = rd.threads[i].prev {
		step, from := &rd.threads[i], int(rd.threads[i].from)
		prev := &rd.threads[step.prev]
		said := joinSaid(rd.tokens[from:end])
		cost := step.cost - prev.cost
		note := ""
		slot := rd.r.a.slotOf(step.edge)
		switch {
		case slot != "" && slot != ignored:
			value := step.val
			if v, ok := value.(targetVal); ok {
				value = append(append([]string{}, v.names...), v.unknown...)
				if len(v.unknown) > 0 {
					note = fmt.Sprintf("%q is no name that exists", strings.Join(v.unknown, ", "))
				} else if v.guess != "" {
					note = fmt.Sprintf("%q is a guess for %s", said, strings.Join(v.names, ", "))
				}
			}
			t.spans = append([]SpanNote{{Slot: slot, Value: value, Said: said, From: from, To: end}}, t.spans...)
			if note == "" && cost >= costHeard/2 {
				note = fmt.Sprintf("%q taken for %v", said, value)
			}
		case step.word > 0:
			if cost > 0 {
				note = fmt.Sprintf("%q taken for %q", said, rd.r.wordOf(step.word-1))
			}
		case cost >= costSkip:
			note = fmt.Sprintf("%q not understood and passed over", said)
		case cost > 0:
			note = fmt.Sprintf("%q passed over", said)
		}
		if note != "" {
			t.repairs = append([]string{fmt.Sprintf("%s (+%.3f)", note, cost)}, t.repairs...)
		}
		end = from
	}
	return t
}

// wordOf is the template word of an id. It is slow, for explanations only.
func (r *Recognizer) wordOf(id int32) string {
	for w, i := range r.a.words {
		if i == id {
			return w
		}
	}
	return ""
}

func (p parsed) reading() Reading {
	out := Reading{Intent: p.intent, Slots: p.slots, Cost: p.cost}
	if p.trace != nil {
		out.Template, out.At, out.Spans, out.Repairs = p.trace.template, p.trace.at.String(), p.trace.spans, p.trace.repairs
	}
	return out
}

// readings notes what fitted, with what parts each from the one before it.
func (e *Explanation) readings(r *Recognizer, best []parsed) {
	for i, p := range best {
		if i > maxCandidates {
			break
		}
		next := p.reading()
		if i > 0 {
			next.WhyNot = whyNot(best[0], p)
			if p.cost-best[0].cost <= margin && (r.writes(p.intent) || r.writes(best[0].intent)) {
				next.WhyNot = "as good as the first, so it is asked which was meant"
			}
		}
		e.Readings = append(e.Readings, next)
	}
}

func whyNot(first, p parsed) string {
	why := fmt.Sprintf("costs %.3f more", p.cost-first.cost)
	if p.trace != nil && len(p.trace.repairs) > 0 {
		return why + ": " + strings.Join(p.trace.repairs, ", ")
	}
	return why + ": fewer words of the sentence are words of its template"
}

func (e *Explanation) chain(_ *Recognizer, steps []parsed) {
	for _, p := range steps {
		e.Steps = append(e.Steps, p.reading())
	}
}

func (e *Explanation) guarded(rd *reading, words []token, quoted bool) {
	switch {
	case len(words) > 0:
		e.Guard = fmt.Sprintf("%q: the sentence speaks about an act without asking for it", joinSaid(words))
	case quoted:
		e.Guard = "a quotation: the act is somebody else's words"
	}
}

func (e *Explanation) without(r *Recognizer, best []parsed) {
	if len(best) > 0 && r.writes(best[0].intent) {
		p := best[0].reading()
		e.Forbidden = &p
	}
}

// String is the explanation for the eye.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q\n", e.Result.Text)
	line := func(indent string, p Reading) {
		fmt.Fprintf(&b, "%s%s %s, cost %.3f\n%s  by %s  %s\n", indent, p.Intent, p.Slots.text(), p.Cost, indent, p.At, p.Template)
		for _, s := range p.Spans {
			fmt.Fprintf(&b, "%s  %s: %q, words %d to %d → %v\n", indent, s.Slot, s.Said, s.From+1, s.To, s.Value)
		}
		for _, r := range p.Repairs {
			fmt.Fprintf(&b, "%s  %s\n", indent, r)
		}
		if p.WhyNot != "" {
			fmt.Fprintf(&b, "%s  not taken: %s\n", indent, p.WhyNot)
		}
	}
	if e.Guard != "" {
		fmt.Fprintf(&b, "  nothing may be changed: %s\n", e.Guard)
	}
	for i, s := range e.Steps {
		fmt.Fprintf(&b, "  step %d\n", i+1)
		line("    ", s)
	}
	for _, p := range e.Readings {
		line("  ", p)
	}
	if e.Forbidden != nil {
		b.WriteString("  would otherwise be\n")
		line("    ", *e.Forbidden)
	}
	if len(e.Readings)+len(e.Steps) == 0 {
		b.WriteString("  no template or frame accepts all its words\n")
	}
	if e.Result.Ask != "" {
		fmt.Fprintf(&b, "  asks for: %s\n", e.Result.Ask)
	}
	return b.String()
}

// text writes slots in one line, sorted by name.
func (s Slots) text() string {
	parts := make([]string, 0, len(s))
	for _, k := range sortedKeys(s) {
		parts = append(parts, fmt.Sprintf("%s=%v", k, s[k]))
	}
	return strings.Join(parts, " ")
}

func sortedKeys(s Slots) []string { return slices.Sorted(maps.Keys(s)) }
