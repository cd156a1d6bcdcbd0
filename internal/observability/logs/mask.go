package logs

import (
	"encoding/base64"
	"strings"
)

// Masked stands in place of a secret.
const Masked = "[masked]"

// Masker replaces what must not leave the process. Its zero value masks
// passwords, tokens, keys and the like.
type Masker struct {
	Emails bool // addresses too, which not everybody minds
}

// Mask replaces passwords, tokens, keys, credentials in URLs and blocks of
// private keys. What it is not sure of it masks: a line that says too little is
// better than a secret that is read aloud.
func Mask(s string) string { return Masker{}.Mask(s) }

// Mask replaces secrets, and addresses where that was asked for.
func (m Masker) Mask(s string) string {
	w := masking{s: plainEscapes(s), emails: m.Emails}
	return w.run()
}

// The classes of bytes: what a token may consist of, and what sort of letter.
const (
	isLower = 1 << iota
	isUpper
	isDigit
	isMark // joins the parts of a token: _ - . / + ~
)

func class(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z':
		return isLower
	case c >= 'A' && c <= 'Z':
		return isUpper
	case c >= '0' && c <= '9':
		return isDigit
	case c == '_' || c == '-' || c == '.' || c == '/' || c == '+' || c == '~':
		return isMark
	}
	return 0
}

// masking is one text being gone through, from left to right, once.
type masking struct {
	s      string
	emails bool
	out    strings.Builder
	copied int    // s up to here is in out
	before string // the word before the one that is looked at
}

// replace puts with in the place of s[from:to].
func (m *masking) replace(from, to int, with string) {
	if from < m.copied {
		from = m.copied
	}
	if to <= from {
		return
	}
	m.out.WriteString(m.s[m.copied:from])
	m.out.WriteString(with)
	m.copied = to
}

func (m *masking) run() string {
	s := m.s
	for i := 0; i < len(s); {
		k := class(s[i])
		if k == 0 {
			switch s[i] {
			case ':':
				if strings.HasPrefix(s[i:], "://") {
					i = m.url(i + 3)
					continue
				}
			case '@':
				i = m.at(i)
				continue
			}
			i++
			continue
		}
		j, seen := i, byte(0)
		for j < len(s) {
			k := class(s[j])
			if k == 0 {
				break
			}
			seen |= k
			j++
		}
		i = m.word(i, j, seen)
	}
	if m.copied == 0 {
		return s
	}
	m.out.WriteString(s[m.copied:])
	return m.out.String()
}

// word looks at the run s[i:j] of token characters, and returns where to go on.
func (m *masking) word(i, j int, seen byte) int {
	s, w := m.s, m.s[i:j]
	before := m.before
	m.before = w
	if w[0] == '-' && strings.HasPrefix(w, "-----BEGIN") {
		if end := armour(s, i); end > 0 {
			m.replace(i, end, Masked)
			return end
		}
	}
	if seen&^isMark == 0 {
		return j
	}
	if from, ok := token(w, seen); ok {
		end := j
		for end < len(s) && s[end] == '=' { // the padding of base64
			end++
		}
		m.replace(i+from, end, Masked)
		return end
	}
	if seen&(isLower|isUpper) == 0 {
		return j
	}
	if v, ok := separator(s, i, j); ok {
		if kind := keyKind(w); kind != keyOther {
			if end, ok := m.value(kind, i, j, v); ok {
				return end
			}
		}
		return j
	}
	return m.prose(i, j, before)
}

// armour finds the end of a block of a private key that begins at i: behind
// its last line, or, where that is missing, the end of the text.
func armour(s string, i int) int {
	head, _, ok := strings.Cut(s[i+5:], "-----")
	if !ok {
		head = s[i+5:]
	}
	if len(head) > 80 || !strings.Contains(head, "KEY") || strings.Contains(head, "PUBLIC") {
		return 0
	}
	end := strings.Index(s[i:], "-----END")
	if end < 0 {
		return len(s)
	}
	end += i + len("-----END")
	if n := strings.Index(s[end:], "-----"); n >= 0 && n < 80 {
		return end + n + 5
	}
	return len(s)
}

// separator finds what parts a key s[i:j] from its value, and where that begins.
func separator(s string, i, j int) (v int, ok bool) {
	k := j
	for k < len(s) && (s[k] == '\\' || s[k] == '"' || s[k] == '\'' || s[k] == '`' || s[k] == ']') && k-j < 8 {
		k++
	}
	for n := 0; k < len(s) && (s[k] == ' ' || s[k] == '\t') && n < 12; n++ {
		k++
	}
	switch rest := s[k:]; {
	case rest == "":
		return 0, false
	case strings.HasPrefix(rest, "://"), strings.HasPrefix(rest, "::"):
		return 0, false
	case strings.HasPrefix(rest, ":="), strings.HasPrefix(rest, "=>"), strings.HasPrefix(rest, "->"):
		k += 2
	case rest[0] == ':' || rest[0] == '=':
		k++
	case len(rest) > 2 && (strings.EqualFold(rest[:3], "%3d") || strings.EqualFold(rest[:3], "%3a")):
		k += 3
	case rest[0] == '>' && i > 0 && s[i-1] == '<': // an XML element
		k++
	default:
		return 0, false
	}
	for k < len(s) && (s[k] == ' ' || s[k] == '\t') {
		k++
	}
	return k, k < len(s)
}

// value masks the value that begins at v, of the key s[i:j]. ok is false where
// there is nothing to hide.
func (m *masking) value(kind kind, i, j, v int) (end int, ok bool) {
	s := m.s
	if strings.HasPrefix(s[v:], Masked) {
		return v + len(Masked), true
	}
	open := v
	if c := s[open]; (c == 'b' || c == 'u' || c == 'r') && open+1 < len(s) && (s[open+1] == '\'' || s[open+1] == '"') {
		open++ // b'…', as Python writes it
	}
	if n, q := quote(s, open); q != 0 {
		from := open + n + 1
		to := closing(s, from, n, q)
		if kind != keyAuth && harmless(kind, s[from:to], true) || to == from {
			return 0, false
		}
		m.replace(from, to, Masked)
		return to, true
	}
	if c := s[v]; c == '[' || c == '{' || c == '(' {
		if c == '{' && kind == keyToken || c == '(' {
			return 0, false // what describes a secret, as secretKeyRef: its own keys are looked at
		}
		to := bracket(s, v)
		if to == v+2 || harmless(kind, s[v:to], true) {
			return 0, false
		}
		m.replace(v, to, m.quoted(j, Masked))
		return to, true
	}
	to := v
	switch {
	case s[j] == '>': // an XML element, up to its end
		for to < len(s) && s[to] != '<' {
			to++
		}
	case kind == keyAuth && !scheme(s[v:]) && len(keyName(s[i:j])) > 4: // a cookie, or a scheme nobody knows: all of it
		for to < len(s) && s[to] != '\n' && s[to] != '"' && s[to] != '\'' {
			to++
		}
	case kind == keyAuth && scheme(s[v:]):
		for to < len(s) && class(s[to]) != 0 {
			to++
		}
		for to < len(s) && s[to] == ' ' {
			to++
		}
		if strings.HasPrefix(s[to:], Masked) {
			return to + len(Masked), true
		}
		if strings.EqualFold(s[v:min(v+6, len(s))], "digest") || strings.HasPrefix(s[v:], "AWS4") {
			to = len(s)
			if n := strings.IndexAny(s[v:], "\"'\n"); n > 0 && strings.HasPrefix(s[v:], "AWS4") {
				to = v + n
			}
			break
		}
		to = unquoted(s, to)
	default:
		to = unquoted(s, v)
	}
	if to <= v || harmless(kind, s[v:to], s[v-1] != ' ') {
		return 0, false
	}
	m.replace(v, to, m.quoted(j, Masked))
	return to, true
}

// quoted writes a mask in the quotes that the key had, so that JSON stays JSON.
func (m *masking) quoted(j int, mask string) string {
	n, q := quote(m.s, j)
	if q != '"' {
		return mask
	}
	slashes := strings.Repeat(`\`, n)
	return slashes + `"` + mask + slashes + `"`
}

// quote reads a quotation mark with the n backslashes before it; 0 for none.
func quote(s string, i int) (n int, q byte) {
	for i+n < len(s) && s[i+n] == '\\' && n < 8 {
		n++
	}
	if i+n < len(s) && (s[i+n] == '"' || s[i+n] == '\'' || s[i+n] == '`') {
		return n, s[i+n]
	}
	return 0, 0
}

// closing finds where the text ends that was opened by q behind n backslashes:
// before the backslashes of the closing one.
func closing(s string, from, n int, q byte) int {
	for i := from; i < len(s); i++ {
		if s[i] != q {
			continue
		}
		slashes := 0
		for i-slashes > from && s[i-slashes-1] == '\\' {
			slashes++
		}
		switch {
		case n == 0 && slashes%2 == 0:
			return i
		case n > 0 && slashes <= n:
			return i - slashes
		}
	}
	return len(s)
}

// bracket finds the end of what a bracket opens.
func bracket(s string, i int) int {
	depth := 0
	for j := i; j < len(s); j++ {
		switch s[j] {
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return j + 1
			}
		}
	}
	return len(s)
}

// unquoted finds the end of a value without quotes. A sign that could be part
// of a password ends it only where another key follows.
func unquoted(s string, from int) int {
	i := from
	for i < len(s) {
		switch c := s[i]; c {
		case ' ', '\t', '\n', '\r', '"', '\'', '`', '<':
			return trimEnd(s, from, i)
		case '\\':
			if n, q := quote(s, i); q != 0 && n > 0 || i+1 < len(s) && strings.IndexByte("nrt", s[i+1]) >= 0 {
				return trimEnd(s, from, i)
			}
			i++
		case '&', ';', ',', '|':
			if keyFollows(s, i+1) {
				return trimEnd(s, from, i)
			}
		}
		i++
	}
	return trimEnd(s, from, min(i, len(s)))
}

// trimEnd leaves out what closes a sentence or a bracket.
func trimEnd(s string, from, to int) int {
	for to > from && strings.IndexByte(",;)]}.", s[to-1]) >= 0 {
		to--
	}
	return to
}

// keyFollows reports whether a key and a separator stand at i.
func keyFollows(s string, i int) bool {
	j := i
	for j < len(s) && class(s[j]) != 0 && j-i < 40 {
		j++
	}
	return j > i && j < len(s) && (s[j] == '=' || s[j] == ':')
}

// prose looks at a word that no separator follows: "Bearer abc", "the password
// is hunter2", "--token abc".
func (m *masking) prose(i, j int, before string) int {
	s, w := m.s, m.s[i:j]
	if j >= len(s) || s[j] != ' ' || len(w) < 3 || len(w) > 40 {
		return j
	}
	v := j + 1
	for v < len(s) && s[v] == ' ' {
		v++
	}
	name := keyName(w)
	switch {
	case name == "bearer":
		return m.next(j, v, func(x string) bool { return len(x) >= 6 && (mixed(x) || len(x) >= 16) })
	case name == "basic":
		return m.next(j, v, func(x string) bool {
			plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(x, "="))
			return err == nil && len(x) >= 6 && strings.Contains(string(plain), ":")
		})
	case name == "key" && isKeyWord(keyName(before)+"key"):
		return m.next(j, v, func(x string) bool { return len(x) >= 8 && mixed(x) })
	case keyKind(w) == keyOther || keyKind(w) == keyAuth:
		return j
	case strings.HasPrefix(w, "-"):
		return m.next(j, v, func(x string) bool { return x[0] != '-' || len(x) > 2 && x[1] != '-' }) // no other option
	}
	for _, is := range [...]string{"is ", "was ", "are ", "of ", "set to ", "changed to ", "value "} {
		if len(s)-v > len(is) && strings.EqualFold(s[v:v+len(is)], is) {
			v += len(is)
			break
		}
	}
	return m.next(j, v, func(x string) bool { return len(x) >= 5 && mixed(x) })
}

// next masks the word at v where it is one that must not be seen.
func (m *masking) next(j, v int, secret func(string) bool) int {
	s := m.s
	if v >= len(s) || strings.HasPrefix(s[v:], Masked) {
		return j
	}
	if n, q := quote(s, v); q != 0 {
		from := v + n + 1
		to := closing(s, from, n, q)
		if to > from && secret(s[from:to]) && !strings.ContainsAny(s[from:to], " \t") && s[from:to] != Masked {
			m.replace(from, to, Masked)
			return to
		}
		return j
	}
	if to := unquoted(s, v); to > v && secret(s[v:to]) {
		m.replace(v, to, Masked)
		return to
	}
	return j
}

// mixed reports what is no word of a language: digits or signs within, or
// capitals where no sentence has them.
func mixed(x string) bool {
	x = strings.TrimRight(x, ".,:;!?")
	letters, digits, upper, signs := 0, 0, 0, 0
	for i := range len(x) {
		switch c := x[i]; {
		case class(c)&isDigit != 0:
			digits++
		case class(c)&isLower != 0:
			letters++
		case class(c)&isUpper != 0:
			letters++
			if i > 0 {
				upper++
			}
		case c != '-' && c != '/' && c != '.' && c < 0x80:
			signs++
		}
	}
	return digits > 0 && letters > 0 || signs > 0 && letters > 0 || upper > 0 && upper < letters-1
}

// plainEscapes writes \u00XX of printable ASCII as the sign itself: "p\u0061ss"
// is a key like any other, and < is how many write < in JSON.
func plainEscapes(s string) string {
	i := strings.Index(s, `\u00`)
	if i < 0 {
		return s
	}
	var b strings.Builder
	for i >= 0 {
		slashes := 0
		for i-slashes > 0 && s[i-slashes-1] == '\\' {
			slashes++
		}
		c, ok := hexByte(s, i+4)
		if ok && slashes%2 == 0 && c >= 0x20 && c < 0x7f && c != '"' && c != '\\' {
			b.WriteString(s[:i])
			b.WriteByte(c)
			s = s[i+6:]
		} else {
			b.WriteString(s[:i+4])
			s = s[i+4:]
		}
		i = strings.Index(s, `\u00`)
	}
	b.WriteString(s)
	return b.String()
}

func hexByte(s string, i int) (byte, bool) {
	if i+2 > len(s) {
		return 0, false
	}
	var v byte
	for _, c := range []byte(s[i : i+2]) {
		c = lowerByte(c)
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | (c - '0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | (c - 'a' + 10)
		default:
			return 0, false
		}
	}
	return v, true
}
