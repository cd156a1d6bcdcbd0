package logs

import (
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

const (
	maxStack  = 64 << 10 // bytes of a stack trace
	maxBlanks = 4        // blank lines within one
)

// trace is what a stack trace is written by, which decides how it goes on.
type trace int

const (
	noTrace trace = iota
	goTrace
	pythonTrace
	otherTrace // Java, Node and whoever indents
	keyBlock   // no trace: a private key, line by line
)

// Joiner puts the lines of one container together to entries: a stack trace
// belongs to the line before it. It keeps what is not complete until the next
// line shows that it is; see Flush.
type Joiner struct {
	Parser Parser

	at     time.Time
	text   strings.Builder // of the entry that is being read
	first  string          // its first line
	last   string          // its last
	kind   trace
	over   bool // a Python trace has said its error
	open   bool
	blanks int // blank lines that may be part of it
}

// Add takes the next line, and gives the entry before it where that is complete.
func (j *Joiner) Add(at time.Time, line string) (observability.LogLine, bool) {
	line = strings.TrimRight(line, "\r\n")
	if j.open && j.continues(line) {
		if line == "" && j.kind != keyBlock {
			j.blanks++
			return observability.LogLine{}, false
		}
		if j.text.Len() < maxStack {
			for range min(j.blanks, maxBlanks) {
				j.text.WriteByte('\n')
			}
			j.text.WriteByte('\n')
			j.text.WriteString(line)
		}
		j.blanks, j.last = 0, line
		return observability.LogLine{}, false
	}
	out, ok := j.Flush()
	if strings.TrimSpace(line) == "" {
		return out, ok // alone it says nothing
	}
	j.at, j.first, j.last, j.open, j.kind, j.over = at, line, line, true, begins(line), false
	j.text.WriteString(line)
	return out, ok
}

// Flush gives what has been read so far, complete or not.
func (j *Joiner) Flush() (observability.LogLine, bool) {
	if !j.open {
		return observability.LogLine{}, false
	}
	whole := j.text.String()
	j.text.Reset()
	j.open, j.blanks = false, 0
	l := j.Parser.Parse(j.at, whole)
	if len(whole) > len(j.first) {
		j.summarise(&l)
	}
	return l, true
}

// Waiting reports whether there is something to flush.
func (j *Joiner) Waiting() bool { return j.open }

// begins tells what a first line begins.
func begins(line string) trace {
	switch {
	case strings.Contains(line, "-----BEGIN ") && strings.Contains(line, "KEY") && !strings.Contains(line, "-----END "):
		return keyBlock
	case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "), strings.HasPrefix(line, "goroutine ") && strings.HasSuffix(line, "]:"), strings.HasPrefix(line, "unexpected fault address"), strings.HasPrefix(line, "SIG"):
		return goTrace
	case strings.HasPrefix(line, "Traceback (most recent call last)"):
		return pythonTrace
	case strings.HasPrefix(line, "Exception in thread"), exceptionHead(line), nodeHead(line):
		return otherTrace
	}
	return noTrace
}

// nodeHead reports the place that Node shows before an error: /app/x.js:10.
func nodeHead(line string) bool {
	i := strings.LastIndexByte(line, ':')
	return i > 3 && digits(line[i+1:]) && (strings.HasSuffix(line[:i], "js") || strings.HasSuffix(line[:i], ".ts")) && !strings.ContainsAny(line[:i], " \t")
}

// continues reports whether a line belongs to the entry that is open, and
// follows it in doing so.
func (j *Joiner) continues(line string) bool {
	trimmed := strings.TrimLeft(line, " \t")
	indented := len(trimmed) < len(line)
	if j.kind == keyBlock {
		if strings.Contains(line, "-----END ") {
			j.kind = noTrace
			return true
		}
		return !strings.ContainsAny(trimmed, " {}[]") || strings.Contains(line, ": ") // base64, or Proc-Type: 4,ENCRYPTED
	}
	if strings.Contains(line, "-----BEGIN ") {
		return false
	}
	if trimmed == "" {
		return j.kind != noTrace && j.blanks < maxBlanks
	}
	if indented && !strings.HasPrefix(trimmed, "{") {
		if j.kind == noTrace && !strings.HasPrefix(j.first, "{") {
			j.kind = otherTrace
		}
		return !strings.HasPrefix(j.first, "{") // JSON is complete as it is
	}
	if strings.HasPrefix(j.first, "{") {
		return false
	}
	switch j.kind {
	case goTrace:
		return goContinues(line)
	case pythonTrace:
		return j.pythonContinues(line)
	}
	switch {
	case strings.HasPrefix(line, "Caused by: "), strings.HasPrefix(line, "Suppressed: "), strings.HasPrefix(line, "... ") && strings.HasSuffix(line, " more"):
		return true
	case j.kind == noTrace && j.blanks == 0 && grave(j.first):
		// An error with its trace behind it.
		switch {
		case strings.HasPrefix(line, "Traceback (most recent call last)"):
			j.kind = pythonTrace
			return true
		case strings.HasPrefix(line, "goroutine ") && strings.HasSuffix(line, "]:"), strings.HasPrefix(line, "panic: "):
			j.kind = goTrace
			return true
		case exceptionHead(line):
			j.kind = otherTrace
			return true
		}
	case j.kind == otherTrace && nodeHead(j.first):
		return exceptionHead(line) || strings.HasPrefix(line, "throw ") || strings.HasPrefix(trimmed, "^") || strings.HasPrefix(line, "Node.js v") || line == "}"
	}
	return false
}

func grave(first string) bool {
	l := parse(time.Time{}, first)
	return AtLeast(l.Level, observability.LevelWarning) && l.Level != ""
}

func goContinues(line string) bool {
	switch {
	case strings.HasPrefix(line, "goroutine ") && strings.HasSuffix(line, ":"), strings.HasPrefix(line, "created by "), strings.HasPrefix(line, "[signal "), strings.HasPrefix(line, "panic: "),
		strings.HasPrefix(line, "fatal error: "), strings.HasPrefix(line, "runtime: "), strings.HasPrefix(line, "runtime stack:"), strings.HasPrefix(line, "...additional frames elided"), strings.HasPrefix(line, "exit status "):
		return true
	}
	// A frame: package.Function(arguments).
	i := strings.IndexByte(line, '(')
	return i > 0 && strings.HasSuffix(line, ")") && strings.IndexByte(line, '.') > 0 && !strings.ContainsAny(line[:i], " \t=\"")
}

func (j *Joiner) pythonContinues(line string) bool {
	switch {
	case strings.HasPrefix(line, "During handling of the above"), strings.HasPrefix(line, "The above exception was"), strings.HasPrefix(line, "Traceback (most recent"):
		j.over = false
		return true
	case j.over:
		return false
	}
	// The line that says the error; it ends the trace, unless another follows.
	if j.blanks == 0 && (exceptionHead(line) || strings.HasPrefix(j.last, " ")) {
		j.over = true
		return true
	}
	return false
}

// summarise makes the message of an entry with a trace that which a person
// would read first.
func (j *Joiner) summarise(l *observability.LogLine) {
	head, rest, ok := strings.Cut(l.Raw, "\n")
	if !ok {
		return
	}
	lines := strings.Split(rest, "\n")
	switch {
	case strings.HasPrefix(head, "Traceback"):
		for i := len(lines) - 1; i >= 0; i-- { // the error is said last
			if lines[i] != "" && lines[i][0] != ' ' && lines[i][0] != '\t' {
				l.Message = lines[i]
				break
			}
		}
	case nodeHead(head):
		for _, s := range lines {
			if exceptionHead(s) {
				l.Message = s
				break
			}
		}
	case l.Stack == "":
		l.Stack = rest
	}
	if l.Stack == "" {
		l.Stack = rest
	}
	if l.Level == "" || l.Level == observability.LevelInfo && exceptionHead(l.Message) {
		for _, s := range append([]string{head, l.Message}, lines...) {
			if v := levelWithin(s); v != "" {
				l.Level = v
				break
			}
		}
	}
}
