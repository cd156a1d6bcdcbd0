// Package misses keeps the sentences that were not understood, with what the
// person did next, so that they can become tests. Sentences are masked before
// they are kept: names, secrets and addresses stay out of the file.
package misses

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Why is what was wrong with a turn.
type Why string

// The ways to miss.
const (
	NotUnderstood Why = "not understood"
	UnknownName   Why = "nothing is called so"
	Corrected     Why = "corrected at once"
)

// Miss is a sentence that was not understood as it was meant.
type Miss struct {
	Text string    `json:"text"` // masked
	Why  Why       `json:"why"`
	Open Open      `json:"open,omitzero"`
	As   string    `json:"as"` // the intent it was taken for
	At   time.Time `json:"at"`
	Next *Next     `json:"-"` // kept beside it: it comes later
}

// Open is the question that was open when a sentence was said.
type Open struct {
	Intent  string `json:"intent,omitempty"`
	Slot    string `json:"slot,omitempty"`
	Confirm bool   `json:"confirm,omitempty"`
}

// Next is what the person said next.
type Next struct {
	Text   string `json:"text"` // masked; "" for a button
	Intent string `json:"intent"`
}

// window is how soon a sentence must follow to be what was done next.
const window = 2 * time.Minute

// missed reports what is wrong with a turn by itself, "" where nothing is.
func missed(h dialogue.Heard) Why {
	switch {
	case pressed(h) || strings.TrimSpace(h.Request.Text) == "":
		return ""
	case h.Read.Name == intents.OutOfScope:
		return NotUnderstood
	case h.Read.Slots.Has("unknown_target") && h.Reply.Fault == fault.NotFound:
		return UnknownName
	}
	return ""
}

// corrected reports whether the turn next puts right what first was taken for:
// an amendment that answers no question, or the same request said anew where a
// yes or no to the first was waited for.
func corrected(first, next dialogue.Heard) bool {
	if pressed(first) || pressed(next) {
		return false
	}
	asked := first.Reply.Expect != dialogue.ExpectNone && first.Reply.Expect != dialogue.ExpectConfirm
	if next.Read.Name == "amend" {
		return !asked && first.Reply.Intent != intents.OutOfScope
	}
	// Where a proposal was open before, the answer may only have reminded of it.
	return !first.Open.Confirm && first.Reply.Expect == dialogue.ExpectConfirm && first.Reply.Proposal != nil &&
		next.Read.Name == first.Read.Name && next.Read.Slots.Has("targets")
}

// Group is a sentence with all that is known of it.
type Group struct {
	Text  string    `json:"text"`
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
	Why   Why       `json:"why"` // the last time
	Open  Open      `json:"open,omitzero"`
	As    string    `json:"as"`
	Nexts []Nexts   `json:"next"`
}

// Nexts is something that was done next, and how often. An empty intent is
// nothing.
type Nexts struct {
	Text   string `json:"text"`
	Intent string `json:"intent"`
	Count  int    `json:"count"`
}

// Grouped puts equal sentences together: the most frequent first, then the latest.
func Grouped(misses []Miss) []Group {
	var out []Group
	at := map[string]int{}
	for _, m := range misses {
		i, ok := at[m.Text]
		if !ok {
			i = len(out)
			at[m.Text] = i
			out = append(out, Group{Text: m.Text, Nexts: []Nexts{}})
		}
		g := &out[i]
		g.Count++
		if !m.At.Before(g.Last) {
			g.Last, g.Why, g.Open, g.As = m.At, m.Why, m.Open, m.As
		}
		var n Next
		if m.Next != nil {
			n = *m.Next
		}
		j := slices.IndexFunc(g.Nexts, func(o Nexts) bool { return o.Text == n.Text && o.Intent == n.Intent })
		if j < 0 {
			j = len(g.Nexts)
			g.Nexts = append(g.Nexts, Nexts{Text: n.Text, Intent: n.Intent})
		}
		g.Nexts[j].Count++
	}
	slices.SortStableFunc(out, func(a, b Group) int {
		return cmp.Or(b.Count-a.Count, b.Last.Compare(a.Last), strings.Compare(a.Text, b.Text))
	})
	for _, g := range out {
		slices.SortStableFunc(g.Nexts, func(a, b Nexts) int { return b.Count - a.Count })
	}
	return out
}

// Suggest is the intent that a sentence probably has: what was said next, where
// that is a request and no part of the conversation, or what was understood of it.
func (g Group) Suggest() string {
	if g.Why == NotUnderstood {
		for _, n := range g.Nexts {
			switch n.Intent {
			case "", "amend", "confirm", "deny", "cancel", "undo", "repeat", "help", "greet", "thanks", "chain", intents.OutOfScope:
				continue
			}
			return n.Intent
		}
	}
	return cmp.Or(g.As, intents.OutOfScope)
}

// Kept is where misses are listed from; *store.Store is one.
type Kept interface {
	// Misses calls f with what was kept since a time, oldest first; next is nil
	// where nothing was said.
	Misses(ctx context.Context, since time.Time, f func(miss, next []byte) error) error
}

// Load reads what was kept since a time.
func Load(ctx context.Context, from Kept, since time.Time) ([]Miss, error) {
	var out []Miss
	err := from.Misses(ctx, since, func(miss, next []byte) error {
		var m Miss
		if err := json.Unmarshal(miss, &m); err != nil {
			return fmt.Errorf("misses: %w", err)
		}
		if next != nil {
			m.Next = &Next{}
			if err := json.Unmarshal(next, m.Next); err != nil {
				return fmt.Errorf("misses: %w", err)
			}
		}
		out = append(out, m)
		return nil
	})
	return out, err
}

// pressed reports whether a turn was a button, and no words.
func pressed(h dialogue.Heard) bool {
	button, _ := h.Request.Button()
	return button != ""
}
