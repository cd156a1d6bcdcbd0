package logs

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logfmt/logfmt"
	"github.com/tidwall/gjson"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

const (
	maxFields = 8     // of a line; more nobody reads
	maxValue  = 240   // bytes of a field's value
	maxLine   = 32768 // bytes of a line; the rest is left out
)

// Parser makes lines of text into LogLines.
type Parser struct {
	Masker Masker
}

// Parse masks a line and finds what it says: level, message and fields. at is
// when it was written as far as the source knows; the zero time takes the
// line's own word for it.
func (p Parser) Parse(at time.Time, text string) observability.LogLine {
	return parse(at, p.Masker.Mask(clean(text)))
}

// Parse is Parser.Parse without addresses masked.
func Parse(at time.Time, text string) observability.LogLine { return Parser{}.Parse(at, text) }

// clean drops colours, control signs and what is no UTF-8, and cuts what is too
// long.
func clean(s string) string {
	if len(s) > maxLine {
		s = s[:maxLine] + "…"
	}
	plain := true
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] < 0x20 && s[i] != '\t' && s[i] != '\n' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	s = strings.ToValidUTF8(s, "�")
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '[' { // a terminal's colours
			i += 2
			for i < len(s) && (s[i] < 0x40 || s[i] > 0x7e) {
				i++
			}
			i++
			continue
		}
		if s[i] >= 0x20 && s[i] != 0x7f || s[i] == '\t' || s[i] == '\n' {
			b.WriteByte(s[i])
		}
		i++
	}
	return b.String()
}

// parse reads a line that has been masked already.
func parse(at time.Time, raw string) observability.LogLine {
	l := observability.LogLine{At: at, Raw: raw}
	text := strings.TrimSpace(raw)
	switch {
	case strings.HasPrefix(text, "{") && structured(&l, text):
	case looksLogfmt(text) && logfmtLine(&l, text):
	default:
		plainLine(&l, text)
	}
	return l
}

// structured reads a line of JSON.
func structured(l *observability.LogLine, text string) bool {
	if !gjson.Valid(text) {
		return false
	}
	var pairs []observability.Field
	var stack string
	flatten(gjson.Parse(text), "", 0, func(key string, v gjson.Result) {
		s := v.String()
		if isStack(key) && strings.Contains(s, "\n") {
			stack = strings.TrimRight(s, "\n")
			return
		}
		pairs = append(pairs, observability.Field{Key: key, Value: s})
	})
	take(l, pairs)
	if stack != "" {
		l.Stack = clean(stack)
	}
	return true
}

func isStack(key string) bool {
	return strings.HasSuffix(key, "stack") || strings.HasSuffix(key, "stacktrace") || strings.HasSuffix(key, "stack_trace") || key == "exception" || strings.HasSuffix(key, "traceback") || key == "exc_info"
}

// flatten gives the values of an object, those of objects within it by their path.
func flatten(o gjson.Result, prefix string, depth int, each func(key string, v gjson.Result)) {
	o.ForEach(func(k, v gjson.Result) bool {
		key := prefix + k.Str
		if v.IsObject() && depth < 2 {
			flatten(v, key+".", depth+1, each)
		} else {
			each(key, v)
		}
		return true
	})
}

// looksLogfmt reports whether a line begins as logfmt does, or has the keys that
// its writers give it.
func looksLogfmt(s string) bool {
	eq := strings.IndexByte(s, '=')
	if eq <= 0 {
		return false
	}
	for i := range eq {
		if class(s[i]) == 0 || s[i] == '/' {
			return strings.Contains(s, " level=") || strings.Contains(s, " msg=")
		}
	}
	return true
}

// logfmtLine reads key=value pairs.
func logfmtLine(l *observability.LogLine, text string) bool {
	d := logfmt.NewDecoderSize(strings.NewReader(text), len(text)+2)
	var pairs []observability.Field
	bare := 0
	if !d.ScanRecord() {
		return false
	}
	for d.ScanKeyval() {
		if d.Value() == nil {
			bare++
		}
		pairs = append(pairs, observability.Field{Key: string(d.Key()), Value: string(d.Value())})
	}
	if d.Err() != nil || len(pairs) == 0 || bare > 1 && bare*2 > len(pairs) {
		return false
	}
	take(l, pairs)
	if l.Message == "" {
		l.Message = text
	}
	return true
}

// take finds level, message and time among the values of a line; of the others
// it keeps those that matter most.
func take(l *observability.LogLine, pairs []observability.Field) {
	msg := -1
	used := make([]bool, len(pairs))
	for i, f := range pairs {
		switch strings.ToLower(f.Key) {
		case "level", "lvl", "severity", "loglevel", "log.level", "levelname", "@l", "severity_text", "severitytext", "severitynumber", "lvlname":
			if lv := levelOf(f.Value); lv != "" {
				l.Level, used[i] = Graver(l.Level, lv), true
			}
		case "msg", "message", "@m", "@message", "event", "log", "short_message", "body", "text":
			if f.Value != "" && (msg < 0 || better(f.Key, pairs[msg].Key)) {
				msg = i
			}
		case "ts", "time", "timestamp", "@timestamp", "@t", "t", "datetime", "date", "asctime", "eventtime":
			used[i] = true
			if l.At.IsZero() {
				l.At = timeOf(f.Value)
			}
		case "v", "pid", "hostname", "thread", "thread_name", "logger_name", "level_value", "@version", "instance":
			used[i] = true // says where the line comes from, which is known
		}
	}
	if msg >= 0 {
		l.Message, used[msg] = clean(pairs[msg].Value), true
	}
	if l.Message == "" {
		for i, f := range pairs {
			if k := strings.ToLower(f.Key); (k == "err" || k == "error" || k == "error.message") && f.Value != "" {
				l.Message, used[i] = clean(f.Value), true
				break
			}
		}
	}
	if l.Level == "" {
		l.Level = levelOfStatus(pairs)
	}
	l.Fields = matter(pairs, used)
	if l.Message == "" { // nothing but fields
		var parts []string
		for _, f := range l.Fields {
			parts = append(parts, f.Key+"="+f.Value)
		}
		l.Message = strings.Join(parts, " ")
	}
}

// better reports whether a key is more surely that of the message than another.
func better(a, b string) bool {
	order := [...]string{"msg", "message", "@m", "@message", "short_message", "body", "log", "text", "event"}
	return slices.Index(order[:], strings.ToLower(a)) < slices.Index(order[:], strings.ToLower(b))
}

// matter keeps the values that say something about what went wrong, and of the
// others the first, in the order of the line.
func matter(pairs []observability.Field, used []bool) []observability.Field {
	left := 0
	for _, u := range used {
		if !u {
			left++
		}
	}
	if left == 0 {
		return nil
	}
	room := maxFields
	keep := make([]bool, len(pairs))
	for pass := range 2 {
		for i, f := range pairs {
			if room > 0 && !used[i] && !keep[i] && f.Value != "" && (pass == 1 || telling(f.Key)) {
				keep[i] = true
				room--
			}
		}
	}
	out := make([]observability.Field, 0, min(left, maxFields))
	for i, f := range pairs {
		if keep[i] {
			out = append(out, observability.Field{Key: clean(f.Key), Value: cut(clean(f.Value), maxValue)})
		}
	}
	return out
}

func telling(key string) bool {
	switch strings.ToLower(key[strings.LastIndexByte(key, '.')+1:]) {
	case "err", "error", "cause", "reason", "exception", "status", "status_code", "code", "method", "path", "url", "route", "uri", "host", "peer", "upstream", "provider",
		"duration", "took", "took_ms", "duration_ms", "latency", "elapsed", "trace_id", "traceid", "request_id", "attempt", "retry", "user_agent", "component", "logger", "caller":
		return true
	}
	return false
}

// cut shortens a text to at most n bytes, at the end of a sign.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// levelOf reads a level as frameworks write it, by word or number.
func levelOf(s string) observability.Level {
	switch strings.ToLower(strings.Trim(s, "[]():")) {
	case "trace", "debug", "dbg", "verbose", "fine", "finer", "finest", "d", "10", "20", "trce", "debg", "dbug":
		return observability.LevelDebug
	case "info", "information", "informational", "notice", "inf", "i", "30", "note", "normal", "log", "config":
		return observability.LevelInfo
	case "warn", "warning", "wrn", "w", "40":
		return observability.LevelWarning
	case "error", "err", "eror", "e", "50", "severe", "fail", "failure":
		return observability.LevelError
	case "fatal", "critical", "crit", "panic", "dpanic", "emergency", "emerg", "alert", "ftl", "f", "60", "crt":
		return observability.LevelFatal
	}
	return ""
}

// levelOfStatus takes the level of a line without one from its HTTP status.
func levelOfStatus(pairs []observability.Field) observability.Level {
	for _, f := range pairs {
		switch strings.ToLower(f.Key) {
		case "status", "status_code", "http.status_code", "code", "response_code":
			if n, err := strconv.Atoi(f.Value); err == nil && n >= 500 && n < 600 {
				return observability.LevelError
			}
		case "state", "result", "outcome":
			if strings.EqualFold(f.Value, "failed") {
				return observability.LevelError
			}
		}
	}
	return ""
}

// timeOf reads a moment: a date, or seconds, milliseconds or nanoseconds since 1970.
func timeOf(s string) time.Time {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case f > 1e17:
			return time.Unix(0, int64(f)).UTC()
		case f > 1e14:
			return time.UnixMicro(int64(f)).UTC()
		case f > 1e11:
			return time.UnixMilli(int64(f)).UTC()
		case f > 1e8:
			return time.UnixMicro(int64(f * 1e6)).UTC()
		}
		return time.Time{}
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05,999", "2006/01/02 15:04:05.999999999", "02/Jan/2006:15:04:05 -0700", "2006-01-02 15:04:05.999 MST"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
