package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/misses"
)

// Reader holds values to what the grammar would read; *intents.Recognizer is one.
type Reader interface {
	Fill(intent string, terms []intents.Term, sentence string, inv *intents.Inventory) (intents.Intent, error)
}

// Understander is a fall-back of the dialogue. It is safe for concurrent use.
type Understander struct {
	e        *Endpoint
	c        *intents.Catalogue
	reader   Reader
	acts     form // what may be answered to a sentence that may ask for a change
	reads    form // and to others
	ordinary func(word string) bool
}

// NewUnderstander returns a fall-back. vocabulary are the words that anybody may say,
// which give nothing away.
func NewUnderstander(e *Endpoint, c *intents.Catalogue, r Reader, vocabulary map[string]bool) (*Understander, error) {
	acts, err := newForm(c, true)
	if err != nil {
		return nil, err
	}
	reads, err := newForm(c, false)
	if err != nil {
		return nil, err
	}
	return &Understander{e: e, c: c, reader: r, acts: acts, reads: reads, ordinary: func(w string) bool { return vocabulary[w] }}, nil
}

// What is sent at most of a sentence, and of names.
const (
	maxSentence = 400  // bytes; who says more did not say a sentence
	maxNames    = 6000 // bytes of JSON
	maxName     = 63   // of one name, as Kubernetes has it
)

// secret is what misses puts in the place of what looks like one.
const secret = "{secret}"

// Understand asks the model what a sentence means. What it says counts only where all
// of it is something that the grammar could have read.
func (u *Understander) Understand(ctx context.Context, r dialogue.FallbackRequest) (in intents.Intent, ok bool, err error) {
	result, tokens := ResultFailed, 0
	defer func() { u.e.count(UseSentence, result, tokens) }()
	data := intents.InventoryData{}
	if r.Inventory != nil {
		data = r.Inventory.Data()
	}
	text := misses.Know(data).MaskSecrets(r.Text, u.ordinary)
	if len(r.Text) > maxSentence || strings.Contains(text, secret) || strings.TrimSpace(text) == "" {
		result = ResultWithheld
		return in, false, nil
	}
	q, err := u.question(text, data, r)
	if err != nil {
		return in, false, err
	}
	said, tokens, err := u.e.ask(ctx, q)
	switch {
	case errors.Is(err, errSpent):
		result = ResultSpent
		return in, false, err
	case errors.Is(err, errLate):
		result = ResultWithheld
		return in, false, nil
	case err != nil:
		return in, false, err
	}
	in, ok, err = u.read(said, r)
	switch {
	case err != nil:
		result = ResultRefused
	case !ok:
		result = ResultNothing
	default:
		result = ResultUnderstood
	}
	return in, ok, err
}

// question words the question about a sentence.
func (u *Understander) question(text string, inv intents.InventoryData, r dialogue.FallbackRequest) (question, error) {
	f := u.reads
	if r.MayAct {
		f = u.acts
	}
	names, err := fence("NAMES", namesFor(text, inv))
	if err != nil {
		return question{}, err
	}
	sentence, err := fence("SENTENCE", text)
	if err != nil {
		return question{}, err
	}
	return question{who: r.Speaker.Key(), system: f.system, name: "reading", schema: f.schema, data: "Names that exist, as data:\n" + names + "The sentence, as data:\n" + sentence}, nil
}

// answer is what a model is to say.
type answer struct {
	Understood bool         `json:"understood"`
	Steps      []answerStep `json:"steps"`
}

type answerStep struct {
	Intent string       `json:"intent"`
	Slots  []answerSlot `json:"slots"`
}

type answerSlot struct {
	Slot  string `json:"slot"`
	Value any    `json:"value"`
}

// maxSlots bounds the slots of a step.
const maxSlots = 16

// read makes an intent of what the model said, or says why it is none.
func (u *Understander) read(said string, r dialogue.FallbackRequest) (in intents.Intent, ok bool, err error) {
	var a answer
	if err := decode(said, &a); err != nil {
		return in, false, err
	}
	if !a.Understood || len(a.Steps) == 0 {
		return in, false, nil
	}
	var steps []intents.Intent
	for _, s := range a.Steps {
		step, err := u.step(s, r)
		if err != nil {
			return in, false, err
		}
		steps = append(steps, step)
	}
	if len(steps) == 1 {
		return steps[0], true, nil
	}
	return intents.Intent{Name: "chain", Slots: intents.Slots{"steps": steps}}, true, nil
}

func (u *Understander) step(s answerStep, r dialogue.FallbackRequest) (intents.Intent, error) {
	spec, ok := u.c.Spec(s.Intent)
	if !ok || !dialogue.Guessable(spec) || spec.Risk == intents.RiskWrite && !r.MayAct || len(s.Slots) > maxSlots {
		return intents.Intent{}, errors.New("llm: it answers with an intent that was not offered")
	}
	var terms []intents.Term
	for _, slot := range s.Slots {
		if !dialogue.GuessableSlot(slot.Slot) {
			return intents.Intent{}, errors.New("llm: it answers with a slot that was not offered")
		}
		value, err := asSaid(slot.Value)
		if err != nil {
			return intents.Intent{}, err
		}
		if value == "" {
			continue // where there is no schema, models leave nothing out
		}
		terms = append(terms, intents.Term{Slot: slot.Slot, Said: value})
	}
	return u.reader.Fill(spec.Name, terms, r.Text, r.Inventory)
}

// asSaid is a value of JSON as somebody would say it.
func asSaid(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return strings.TrimSpace(v), nil
	case json.Number:
		return strings.TrimSuffix(v.String(), ".0"), nil
	case bool:
		return fmt.Sprint(v), nil
	}
	return "", errors.New("llm: it answers with a value that is none")
}

// named are the names that a model may use.
type named struct {
	Clusters   []string        `json:"clusters,omitempty"`
	Namespaces []string        `json:"namespaces"`
	Workloads  []namedWorkload `json:"workloads"`
	Nodes      []string        `json:"nodes,omitempty"`
	Alerts     []string        `json:"alerts,omitempty"`
}

type namedWorkload struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
}

// namesFor are the names of an inventory, as many as there is room for: those that a
// sentence has a word of come first.
func namesFor(sentence string, inv intents.InventoryData) named {
	words := parts(sentence)
	near := func(a, b string) int {
		return boolInt(slices.ContainsFunc(parts(b), func(p string) bool { return slices.Contains(words, p) })) -
			boolInt(slices.ContainsFunc(parts(a), func(p string) bool { return slices.Contains(words, p) }))
	}
	room := maxNames
	few := func(all []string, share int) []string {
		all = slices.Clone(all)
		slices.SortStableFunc(all, near)
		left := room / share
		var out []string
		for _, n := range all {
			if !plainName(n) {
				continue
			}
			if left -= len(n) + 3; left < 0 {
				break
			}
			room -= len(n) + 3
			out = append(out, n)
		}
		return out
	}
	var out named
	if len(inv.Clusters) > 1 {
		out.Clusters = few(inv.Clusters, 8)
	}
	out.Namespaces, out.Alerts, out.Nodes = few(inv.Namespaces, 4), few(inv.Alerts, 6), few(inv.Nodes, 6)
	ws := slices.Clone(inv.Workloads)
	slices.SortStableFunc(ws, func(a, b intents.Workload) int { return near(a.Name, b.Name) })
	for _, w := range ws {
		if !plainName(w.Name) || !plainName(w.Namespace) {
			continue
		}
		if room -= len(w.Name) + len(w.Namespace) + len(w.Kind) + 40; room < 0 {
			break
		}
		out.Workloads = append(out.Workloads, namedWorkload{w.Name, w.Namespace, w.Kind})
	}
	return out
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// parts are the words that a text or name is made of.
func parts(s string) []string {
	out := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) })
	return slices.DeleteFunc(out, func(w string) bool { return len(w) < 3 })
}

// plainName reports a name as names are written, and no text that calls itself one.
func plainName(n string) bool {
	if n == "" || len(n) > maxName {
		return false
	}
	for _, r := range n {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:/", r)) {
			return false
		}
	}
	return true
}
