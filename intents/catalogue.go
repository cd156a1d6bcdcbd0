package intents

import (
	"embed"
	"io/fs"
	"slices"
	"sort"
	"text/template"
)

//go:embed en/*.yaml
var english embed.FS

// English returns the catalogue that is built in.
func English() (*Catalogue, error) {
	sub, err := fs.Sub(english, "en")
	if err != nil {
		return nil, err
	}
	return Load(sub)
}

// Spec describes an intent to help texts, exporters and the conversation.
type Spec struct {
	Name     string
	Risk     Risk
	Help     string // one line for `help`
	Examples []string
	Slots    []SlotSpec // in the order in which they are asked for
}

// SlotSpec describes one argument of an intent.
type SlotSpec struct {
	Name string
	Type string
	// Required slots are asked for when absent. Where one of several will do
	// (replicas, delta or factor), the one to ask for carries the mark and Or
	// lists the others, as "slot" or "slot=value".
	Required bool
	Or       []string
}

// SaidIn reports whether the slot, or one that serves instead, was said.
func (s SlotSpec) SaidIn(slots Slots) bool {
	return slots.Has(s.Name) || slices.ContainsFunc(s.Or, slots.says)
}

// Catalogue is everything that can be said and answered in one language. It is
// immutable once loaded.
type Catalogue struct {
	specs     []Spec // sorted by name
	intents   map[string]*intentDef
	templates []sentence
	answers   []sentence // intent is the slot they answer
	said      []sentence // aloud: what an engine that hears is to expect
	rules     map[string]*rule
	lists     map[string][]listEntry
	words     wordLists
	replies   map[string]*reply
}

// intentDef is an intent with what the specification does not show.
type intentDef struct {
	spec  Spec
	slots map[string]slotDef
	order []string // of slots, as written
}

// slotDef is a slot with its rules for absence.
type slotDef struct {
	typ      string
	required bool
	or       []string // slots that serve as well
	fallback string   // value where nothing was said
}

// sentence is a template with its origin, for messages.
type sentence struct {
	intent string
	text   string
	at     place
	node   *node
	terse  bool // not for questions
	answer bool // intent is the slot it answers
	frame  *frame
}

// frame is a cue with parts around it in any order and number: "logs" with "of
// web", "since noon", "with errors". It reads what no template foresaw. Where
// the intent only reads, small words between the parts are skipped too.
type frame struct {
	cues   []sentence
	before []sentence // parts that stand before the cue only
	parts  []sentence
	exact  bool // skips nothing
	idle   bool // skips small words only
}

// ignored is the slot name for words whose value does not matter: {_:any_name}.
const ignored = "_"

// rule is a named part of templates.
type rule struct {
	text string
	at   place
	node *node
}

// listEntry is one value of a closed list and one way to say it.
type listEntry struct {
	value string
	text  string
	at    place
}

// reply is the wording of one answer.
type reply struct {
	speech, text *template.Template
	at           place
}

// Specs returns the intents sorted by name.
func (c *Catalogue) Specs() []Spec {
	out := make([]Spec, len(c.specs))
	for i, s := range c.specs {
		out[i] = s.clone()
	}
	return out
}

// Spec returns the intent of that name.
func (c *Catalogue) Spec(name string) (Spec, bool) {
	d, ok := c.intents[name]
	if !ok {
		return Spec{}, false
	}
	return d.spec.clone(), true
}

// clone keeps callers from changing the catalogue through shared slices.
func (s Spec) clone() Spec {
	s.Examples = slices.Clone(s.Examples)
	s.Slots = slices.Clone(s.Slots)
	for i := range s.Slots {
		s.Slots[i].Or = slices.Clone(s.Slots[i].Or)
	}
	return s
}

// ReplyKeys returns the keys of all replies, sorted.
func (c *Catalogue) ReplyKeys() []string {
	out := make([]string, 0, len(c.replies))
	for k := range c.replies {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
