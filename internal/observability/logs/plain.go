package logs

import (
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// plainLine reads a line that is neither JSON nor logfmt: klog's, an access
// log's, or any with a time and a level at its beginning.
func plainLine(l *observability.LogLine, text string) {
	head, rest, more := strings.Cut(text, "\n")
	if more {
		l.Stack = rest
	}
	l.Message = head
	if klog(l, head) || access(l, head) {
		return
	}
	at, body := leadingTime(head)
	if l.At.IsZero() {
		l.At = at
	}
	if lv := levelWithin(body); lv == observability.LevelFatal && !strings.HasPrefix(body, "FATAL") {
		l.Level, l.Message = lv, body // "panic: …" is said with its word
		return
	}
	level, message := leadingLevel(body)
	if message == "" {
		message = body
	}
	if level == "" {
		level = levelWithin(message)
	}
	l.Level = level
	if message != "" {
		l.Message = message
	}
}

// klog reads what Kubernetes' own programs write:
// E1121 17:48:05.123456       1 file.go:123] message.
func klog(l *observability.LogLine, s string) bool {
	if len(s) < 30 || s[5] != ' ' || s[8] != ':' || s[11] != ':' || !digits(s[1:5]) {
		return false
	}
	switch s[0] {
	case 'I':
		l.Level = observability.LevelInfo
	case 'W':
		l.Level = observability.LevelWarning
	case 'E':
		l.Level = observability.LevelError
	case 'F':
		l.Level = observability.LevelFatal
	default:
		return false
	}
	where, message, ok := strings.Cut(s, "] ")
	if !ok {
		return false
	}
	l.Message = message
	if i := strings.LastIndexByte(where, ' '); i > 0 {
		l.Fields = []observability.Field{{Key: "source", Value: where[i+1:]}}
	}
	// "message" key="value" …, the structured form.
	if strings.HasPrefix(message, `"`) {
		if n := strings.Index(message[1:], `" `); n >= 0 {
			var more observability.LogLine
			if logfmtLine(&more, message[n+3:]) {
				l.Message, l.Fields = message[1:n+1], more.Fields
			}
		} else {
			l.Message = strings.Trim(message, `"`)
		}
	}
	return true
}

// access reads the access log of a web server: what was asked for between
// quotes, and the status behind it.
func access(l *observability.LogLine, s string) bool {
	open := strings.IndexByte(s, '"')
	if open < 0 || open > 200 {
		return false
	}
	end := strings.IndexByte(s[open+1:], '"')
	if end < 0 {
		return false
	}
	request, rest := s[open+1:open+1+end], strings.TrimSpace(s[open+end+2:])
	method, path, ok := strings.Cut(request, " ")
	if !ok || !strings.Contains(path, "HTTP/") || method != strings.ToUpper(method) {
		return false
	}
	status, after, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(status)
	if err != nil || n < 100 || n > 599 {
		return false
	}
	l.Level = observability.LevelInfo
	if n >= 500 {
		l.Level = observability.LevelError
	}
	path, _, _ = strings.Cut(path, " HTTP/")
	l.Message = method + " " + path + " " + status
	// What is no number and no browser says why, as "upstream error: timeout".
	words := strings.Fields(strings.TrimLeft(after, "0123456789.ms- "))
	if len(words) > 1 && !strings.HasPrefix(words[0], `"`) {
		l.Message += " " + strings.Join(words, " ")
	}
	l.Fields = []observability.Field{{Key: "method", Value: method}, {Key: "path", Value: path}, {Key: "status", Value: status}}
	if l.At.IsZero() {
		if _, t, ok := strings.Cut(s[:open], "["); ok {
			t, _, _ = strings.Cut(t, "]")
			l.At = timeOf(t)
		}
	}
	return true
}

// leadingTime takes a moment off the beginning of a line.
func leadingTime(s string) (time.Time, string) {
	rest := strings.TrimLeft(s, "[(")
	if len(rest) < 8 || class(rest[0]) != isDigit {
		return time.Time{}, s
	}
	// A date and a time of day, with or without a blank between.
	n := 0
	for n < len(rest) && n < 40 && (class(rest[n])&isDigit != 0 || strings.IndexByte("-/:.,TZ+", rest[n]) >= 0) {
		n++
	}
	first := rest[:n]
	if len(first) == 10 && (first[4] == '-' || first[4] == '/') && len(rest) > 11 && rest[10] == ' ' {
		m := 11
		for m < len(rest) && m < 40 && (class(rest[m])&isDigit != 0 || strings.IndexByte(":.,Z+", rest[m]) >= 0) {
			m++
		}
		if m > 15 {
			first, n = rest[:m], m
		}
	}
	first = strings.TrimRight(first, ":,")
	at := timeOf(first)
	clock := len(first) >= 8 && first[2] == ':' && first[5] == ':' // a time of day alone
	if at.IsZero() && !clock {
		return time.Time{}, s
	}
	if at.Year() < 1980 {
		at = time.Time{}
	}
	body := strings.TrimLeft(rest[n:], "]) \t:-|")
	if zone, more, ok := strings.Cut(body, " "); ok && (zone == "UTC" || zone == "GMT") {
		body = strings.TrimLeft(more, " |-")
	}
	return at, body
}

// leadingLevel takes a level off the beginning of a line, where it stands as one:
// in capitals, in brackets, or before a colon.
func leadingLevel(s string) (observability.Level, string) {
	// 1:M * message: Redis.
	if pid, rest, ok := strings.Cut(s, ":"); ok && len(rest) > 4 && digits(pid) && strings.IndexByte("MCSX", rest[0]) >= 0 {
		for i := 1; i < len(rest)-2 && i < 30; i++ {
			if rest[i] == ' ' && rest[i+2] == ' ' {
				switch rest[i+1] {
				case '#':
					return observability.LevelWarning, rest[i+3:]
				case '*', '-':
					return observability.LevelInfo, rest[i+3:]
				case '.':
					return observability.LevelDebug, rest[i+3:]
				}
			}
		}
	}
	// At most four parts before the level: a process, a thread, a logger.
	rest := s
	for range 5 {
		rest = strings.TrimLeft(rest, " \t|-")
		word, after := rest, ""
		if i := strings.IndexAny(rest, " \t|"); i >= 0 {
			word, after = rest[:i], rest[i+1:]
		}
		bare := strings.Trim(word, "[]():,<>")
		marked := bare != word || bare == strings.ToUpper(bare) && len(bare) > 2
		if level := levelOf(bare); level != "" && marked && class(bare[0]) != isDigit && after != "" {
			return level, strings.TrimLeft(after, " \t|-:")
		}
		if bare == word && word != "-" && !strings.ContainsAny(word, "0123456789./#:_") || after == "" {
			break // an ordinary word: the message has begun
		}
		rest = after
	}
	if i := strings.IndexByte(s, ':'); i > 0 && i < 12 {
		if level := levelOf(s[:i]); level != "" && i > 2 {
			return level, strings.TrimLeft(s[i+1:], " ")
		}
	}
	return "", s
}

// levelWithin finds a level by what a line says.
func levelWithin(s string) observability.Level {
	switch {
	case strings.HasPrefix(s, "panic:"), strings.HasPrefix(s, "fatal error:"), strings.HasPrefix(s, "FATAL"), strings.HasPrefix(s, "[signal SIG"):
		return observability.LevelFatal
	case strings.HasPrefix(s, "Traceback (most recent"), strings.HasPrefix(s, "Exception in thread"), strings.HasPrefix(s, "Caused by: "), exceptionHead(s),
		strings.HasPrefix(s, "Unhandled"), strings.HasPrefix(s, "Uncaught"):
		return observability.LevelError
	}
	for i := 0; i < len(s) && i < 80; i++ { // " ERROR ", " [error] " further on
		if s[i] != ' ' && s[i] != '[' && i > 0 {
			continue
		}
		j := i + 1
		if i == 0 && s[0] != ' ' && s[0] != '[' {
			j = 0
		}
		n := j
		for n < len(s) && class(s[n])&(isLower|isUpper) != 0 {
			n++
		}
		if w := s[j:n]; len(w) > 3 && (w == strings.ToUpper(w) || s[i] == '[' && n < len(s) && s[n] == ']') {
			if level := levelOf(w); level != "" && w != "CONFIG" && w != "NORMAL" && w != "LOG" && w != "NOTE" {
				return level
			}
		}
	}
	return ""
}

// exceptionHead reports the first line of an exception as Java, Python and Node
// print it: a name that ends with Exception or Error, and a colon or the end.
func exceptionHead(s string) bool {
	n := 0
	for n < len(s) && (class(s[n])&(isLower|isUpper|isDigit) != 0 || s[n] == '.' || s[n] == '_' || s[n] == '$') {
		n++
	}
	name := s[:n]
	if n < 5 || n < len(s) && s[n] != ':' {
		return false
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	return last != "" && class(last[0]) == isUpper && (strings.HasSuffix(last, "Exception") || strings.HasSuffix(last, "Error") || strings.HasSuffix(last, "Throwable") || strings.HasSuffix(last, "Interrupt") || strings.HasSuffix(last, "Iteration"))
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
