package logs

import (
	"cmp"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// Drain groups messages that differ only in their variable parts, after He et
// al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree" (2017):
// messages of the same number of words and the same first ones are compared
// word by word, and what differs within a group becomes <*>.
const (
	varies      = "<*>"
	treeDepth   = 2    // first words that must be the same
	maxChildren = 100  // of a node; what comes later counts as variable
	likeness    = 0.4  // share of words that must be the same
	maxPatterns = 2000 // what comes later is one pattern with the rest of its length
	maxTokens   = 60   // of a message
)

// Patterns groups lines, the most frequent group first.
func Patterns(lines []observability.LogLine) []observability.Pattern {
	var g Grouper
	for i := range lines {
		g.Add(lines[i])
	}
	return g.Patterns()
}

// Grouper groups lines as they come, in memory that does not grow with their
// number. Its zero value is empty.
type Grouper struct {
	roots  map[int]*branch // by number of words
	groups []*group
	words  []string // of the line that is looked at
}

type branch struct {
	next   map[string]*branch
	groups []*group
}

type group struct {
	words []string
	observability.Pattern
}

// Add puts a line into its group.
func (g *Grouper) Add(l observability.LogLine) {
	if g.roots == nil {
		g.roots = map[int]*branch{}
	}
	g.words = split(g.words[:0], l.Message)
	at := g.descend()
	in := closest(at.groups, g.words)
	if in == nil {
		if len(g.groups) >= maxPatterns && len(at.groups) > 0 {
			in = at.groups[0]
		} else {
			in = &group{words: slices.Clone(g.words), Pattern: observability.Pattern{Example: l, First: l.At, Last: l.At}}
			at.groups = append(at.groups, in)
			g.groups = append(g.groups, in)
		}
	}
	for i, w := range in.words {
		if w != g.words[i] {
			in.words[i] = varies
		}
	}
	in.Count++
	if worse := Graver(in.Level, l.Level); worse != in.Level {
		in.Level = worse
		in.Example = l // the gravest is the one to show
	} else if in.Example.Stack == "" && l.Stack != "" && l.Level == in.Level {
		in.Example = l
	}
	if l.At.Before(in.First) {
		in.First = l.At
	}
	if l.At.After(in.Last) {
		in.Last = l.At
	}
}

// descend finds the leaf for the words, and makes it where there is none.
func (g *Grouper) descend() *branch {
	at := g.roots[len(g.words)]
	if at == nil {
		at = &branch{}
		g.roots[len(g.words)] = at
	}
	for _, w := range g.words[:min(treeDepth, len(g.words))] {
		if strings.Contains(w, varies) {
			w = varies
		}
		if at.next == nil {
			at.next = map[string]*branch{}
		}
		n := at.next[w]
		if n == nil && len(at.next) >= maxChildren {
			w = varies
			n = at.next[w]
		}
		if n == nil {
			n = &branch{}
			at.next[w] = n
		}
		at = n
	}
	return at
}

// closest finds the group that is most like some words, nil where none is like
// them enough.
func closest(groups []*group, words []string) *group {
	var best *group
	most, open := -1, -1
	for _, g := range groups {
		same, free := 0, 0
		for i, w := range g.words {
			switch w {
			case words[i]:
				if w == varies {
					free++
				} else {
					same++
				}
			case varies:
				free++
			}
		}
		if same > most || same == most && free > open {
			best, most, open = g, same, free
		}
	}
	if best == nil || len(words) > 0 && float64(most) < likeness*float64(fixed(words)) {
		return nil
	}
	return best
}

// fixed is how many of the words are no variable by themselves, at least one.
func fixed(words []string) int {
	n := 0
	for _, w := range words {
		if w != varies {
			n++
		}
	}
	return max(n, 1)
}

// Patterns are the groups so far, the most frequent first.
func (g *Grouper) Patterns() []observability.Pattern {
	out := make([]observability.Pattern, 0, len(g.groups))
	for _, in := range g.groups {
		p := in.Pattern
		p.Template = strings.Join(in.words, " ")
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b observability.Pattern) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(rank(b.Level), rank(a.Level)), a.First.Compare(b.First), cmp.Compare(a.Template, b.Template))
	})
	return out
}

// split makes words of a message, with <*> for the parts that are numbers,
// addresses, identifiers and quoted texts with such in them.
func split(words []string, s string) []string {
	for len(s) > 0 && len(words) < maxTokens {
		s = strings.TrimLeft(s, " \t\n")
		if s == "" {
			break
		}
		n := strings.IndexAny(s, " \t\n")
		if n < 0 {
			n = len(s)
		}
		words = append(words, mask(s[:n]))
		s = s[n:]
	}
	if len(words) == maxTokens {
		words[maxTokens-1] = varies
	}
	return words
}

// mask replaces the variable parts of a word, keeping the signs between them.
func mask(w string) string {
	any := false
	for i := range len(w) {
		if class(w[i]) == isDigit {
			any = true
			break
		}
	}
	if !any {
		return w
	}
	var b strings.Builder
	for i := 0; i < len(w); {
		j := i
		for j < len(w) && (class(w[j])&(isLower|isUpper|isDigit) != 0 || w[j] == '.' || w[j] == '-' || w[j] == '_' || w[j] >= 0x80) {
			j++
		}
		if j == i {
			b.WriteByte(w[i])
			i++
			continue
		}
		part := strings.TrimRight(w[i:j], ".")
		if variable(part) {
			if !strings.HasSuffix(b.String(), varies) {
				b.WriteString(varies)
			}
			b.WriteString(w[i+len(part) : j])
		} else {
			b.WriteString(w[i:j])
		}
		i = j
	}
	out := b.String()
	// "<*>:<*>:<*>", "/<*>/<*>": how many parts there are varies as well.
	for _, sign := range [...]string{":", "/", ",", "."} {
		for strings.Contains(out, varies+sign+varies) {
			out = strings.ReplaceAll(out, varies+sign+varies, varies)
		}
	}
	return out
}

// variable reports a part that is a number or an identifier, and no name with a
// small number in it, as "http2".
func variable(w string) bool {
	digits, hex := 0, true
	for i := range len(w) {
		switch c := w[i]; {
		case class(c) == isDigit:
			digits++
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == '-', c == 'x', c == '.', c == '_':
		default:
			hex = false
		}
	}
	if digits == 0 {
		return false
	}
	return hex || class(w[0]) == isDigit || w[0] == '-' || digits*2 >= len(w) || len(w) > 6
}
