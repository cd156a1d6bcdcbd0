// Package logs makes of what a workload wrote what a person reads: lines with
// a level, a message and the few fields that matter, stack traces kept whole,
// the lines that are alike counted as one pattern. What looks like a secret is
// masked before anything else is done with a line. It asks nobody: where lines
// come from is the business of the packages that are a Source.
package logs

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// Query says which lines are wanted.
type Query struct {
	Target observability.Target
	Window observability.Window // From zero: as far back as there is; To zero: up to now
	Level  observability.Level  // this one and the graver; "" is all
	// Filter and Exclude are texts that a line must and must not hold, whatever
	// the case of their letters.
	Filter  string
	Exclude string
	// Container is the one to read. "" is those of the application, and "init"
	// those that ran before it, where none is called so.
	Container string
	Previous  bool // of the run before the last restart
	Tail      int  // the last so many lines that fit; 0 is all of the window
	Follow    bool // go on with what is written from now on, until the context ends
}

// Source is where lines come from. An error beside a zero line ends the stream
// or says, at its end, what of it is missing.
type Source interface {
	Lines(ctx context.Context, q Query) iter.Seq2[observability.LogLine, error]
}

// Several is a Source that is asked for many workloads at once, which costs it
// less than to be asked for one after the other.
type Several interface {
	Source
	// Several gives each target's share, in their order, of what a query asks for;
	// its Target does not count. Tail, which has to be set, is for each of them.
	Several(ctx context.Context, targets []observability.Target, q Query) []Share
}

// Share is what there is of one of several workloads.
type Share struct {
	Lines []observability.LogLine // oldest first
	// Since is from when on they are all that there is; the zero time where
	// nothing could be read.
	Since time.Time
	Err   error
}

// Keeps reports whether a line is one that a query asks for.
func (q Query) Keeps(l observability.LogLine) bool {
	switch {
	case !q.Window.From.IsZero() && l.At.Before(q.Window.From),
		!q.Window.To.IsZero() && l.At.After(q.Window.To),
		q.Level != "" && rank(l.Level) < rank(q.Level),
		q.Filter != "" && !holds(l, q.Filter),
		q.Exclude != "" && holds(l, q.Exclude):
		return false
	}
	return true
}

// AtLeast reports whether a level is as grave as another, or graver. One that
// is not known is taken for info.
func AtLeast(l, least observability.Level) bool { return rank(l) >= rank(least) }

// Graver is the graver of two levels.
func Graver(a, b observability.Level) observability.Level {
	if a == "" || b != "" && rank(b) > rank(a) {
		return b
	}
	return a
}

func rank(l observability.Level) int {
	switch l {
	case observability.LevelDebug:
		return 1
	case observability.LevelWarning:
		return 3
	case observability.LevelError:
		return 4
	case observability.LevelFatal:
		return 5
	}
	return 2
}

// holds reports whether a line has a text somewhere.
func holds(l observability.LogLine, text string) bool {
	return contains(l.Raw, text) || contains(l.Stack, text) || contains(l.Message, text)
}

// contains looks for a text without regard to the case of its letters, and
// without making a copy for plain ASCII, which nearly all of it is.
func contains(s, text string) bool {
	if len(text) == 0 {
		return true
	}
	for i := range len(text) {
		if text[i] >= 0x80 {
			return strings.Contains(strings.ToLower(s), strings.ToLower(text))
		}
	}
	lower, upper := lowerByte(text[0]), upperByte(text[0])
	for i := 0; i+len(text) <= len(s); i++ {
		if (s[i] == lower || s[i] == upper) && strings.EqualFold(s[i:i+len(text)], text) {
			return true
		}
	}
	return false
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upperByte(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}
