package dialogue

import (
	"slices"
	"strings"
	"unicode"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// harmless drops what could be markup to an engine that reads aloud, or a
// command to a terminal: names and messages of the cluster are strangers' text.
func harmless(s, drop string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || strings.ContainsRune(drop, r) {
			return -1
		}
		return r
	}, s)
}

// harmlessBlocks are blocks without signs that change how others are shown, as those
// that turn the order of letters: a log line must read as what it is. Nothing is copied
// where nothing of that is in it.
func harmlessBlocks(blocks []Block) []Block {
	return each(blocks, func(b Block) (Block, bool) {
		was := [2]string{b.Title, b.Text}
		b.Title, b.Text = harmless(b.Title, ""), harmless(b.Text, "")
		changed := was != [2]string{b.Title, b.Text}
		list := func(all []string) []string {
			return each(all, func(s string) (string, bool) { h := harmless(s, ""); changed = changed || h != s; return h, h != s })
		}
		b.Columns = list(b.Columns)
		b.Rows = each(b.Rows, func(row []string) ([]string, bool) {
			before := changed
			changed = false
			row = list(row)
			mine := changed
			changed = changed || before
			return row, mine
		})
		b.Lines = each(b.Lines, func(l observability.LogLine) (observability.LogLine, bool) {
			was := [3]string{l.Message, l.Stack, l.Raw}
			l.Message, l.Stack, l.Raw = harmless(l.Message, ""), harmless(l.Stack, ""), harmless(l.Raw, "")
			mine := was != [3]string{l.Message, l.Stack, l.Raw}
			l.Fields = each(l.Fields, func(f observability.Field) (observability.Field, bool) {
				h := observability.Field{Key: harmless(f.Key, ""), Value: harmless(f.Value, "")}
				mine = mine || h != f
				return h, h != f
			})
			changed = changed || mine
			return l, mine
		})
		return b, changed
	})
}

// each maps a list, which is copied only where something changes.
func each[T any](list []T, f func(T) (T, bool)) []T {
	copied := false
	for i, v := range list {
		n, changed := f(v)
		if !changed {
			continue
		}
		if !copied {
			list, copied = slices.Clone(list), true
		}
		list[i] = n
	}
	return list
}
