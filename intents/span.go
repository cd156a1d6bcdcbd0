package intents

import (
	"math"
	"strconv"
	"strings"
)

// builtinTypes are the slot types that code reads; lists of the catalogue add
// closed ones. The text is for error messages and the curious.
var builtinTypes = map[string]string{
	"int":        "a whole number: 5, five, a dozen",
	"less":       "a whole number, taken as negative",
	"signed":     "+2, -2",
	"number":     "a number with or without a fraction",
	"times":      "3x, x3",
	"percent_up": "50%, fifty percent: the factor 1.5", "percent_down": "the factor 0.5", "percent_of": "the factor 0.5",
	"percent":    "50%, fifty percent: the number 50",
	"pinned":     "a workload with its version: web:1.2",
	"listed":     "like known",
	"target":     "names of workloads, in a list; unknown names go to unknown_target",
	"known":      "names of workloads that exist",
	"namespace":  "a namespace of the inventory, or its alias",
	"any_name":   "any single word that can be a name",
	"node":       "a node of the inventory",
	"version":    "a version, tag or bare number",
	"vtag":       "a version that cannot be mistaken for a count: v2, 1.9, latest",
	"tag":        "any single word, after the word \"version\"",
	"image":      "an image reference: nginx:1.25, ghcr.io/acme/web:1.2",
	"ref":        "like image, also where it is named like a workload: web:1.2",
	"container":  "the word before an equals sign",
	"choice":     "one of the answers offered",
	"steps":      "the steps of a chain",
	"text":       "words of a fixed list in code",
	"cluster":    "a cluster of the inventory",
	"alert":      "an alert of the inventory, or a name written like one: HighErrorRate",
	"any_alert":  "up to four words, before or after the word \"alert\"",
	"sidecar":    "a container of the inventory, or any single word",
	"pod":        "a pod's full name: web-7d9f8b6c5-x2k4q, postgres-0",
	"duration":   "a length of time: 15m, an hour and a half",
	"period":     "like duration, also a bare unit: (the last) hour",
	"clock":      "a time of day: 15:00, 3 pm, half past two",
	"moment":     "a clock, a day, or both: yesterday at six pm",
	"hour":       "like moment, also a bare number: (since) nine",
	"percentile": "p99, 95th percentile: the number",
	"port":       "a port, also digit by digit: 8080, eighty eighty",
	"image_name": "the name of an image where the words around say it is one",
	"image_path": "an image with a folder and without a tag: acme/api",
	"exception":  "the class of an exception: TimeoutError, null pointer exception",
	"quoted":     "the words between quotes",
	"phrase":     "up to six words as they were said",
	"new_name":   "a name for something that does not exist yet",
}

// What a departure from a template costs. Readings whose costs differ by less
// than margin are equally good.
const (
	costFiller    = 0.01
	costLead      = 0.01
	costKind      = 0.004
	costPlural    = 0.005
	costHeard     = 0.10 // what speech recognisers make of a word
	costTypo      = 0.15
	costNameTypo  = 0.06
	costNoise     = 0.02  // a word said twice, a courtesy mistyped
	costCorrected = 0.05  // somebody changed their mind in the middle
	costAside     = 0.06  // a clause that sets the scene
	costBeside    = 0.2   // at most, of a request beside a clause that is dropped
	costElided    = 0.003 // at most, of a step that lacks its verb: no guesses there
	costPart      = 0.12  // a name of which only a part was said
	costUnknown   = 0.30
	costPerWord   = 0.05  // of an unknown name: the shorter is the likelier
	costFrame     = 0.03  // a frame where a template would do
	costIdle      = 0.012 // a small word between the parts of a frame
	costSkip      = 0.09  // another word there
	costDoubt     = 0.04  // a reading that costs more is not taken without trying frames
	bonusLiteral  = 0.004
	margin        = 0.003
)

// maxSkips bounds the words of meaning that a frame may skip.
const maxSkips = 3

// span is a typed reading of the words from one position up to end.
type span struct {
	end   int
	cost  float32
	known bool // it is the name of something that exists
	// unsure holds what stands for nothing that exists where much does.
	unsure bool
	val    any
}

// targetVal is what a list of names was understood as.
type targetVal struct {
	names     []string
	unknown   []string
	namespace string
	version   string
	// guess holds what was said where the names are a guess from a part of them
	// or from their sound: good enough to read, to be asked about before a write.
	guess string
	weak  bool // "this", "that": may point at something, may be any word
}

// phrases is a set of word sequences with values.
type phrases struct {
	next   map[string]*phrases
	sieve  sieve // of the words in next
	values []string
}

func (t *phrases) add(phrase, value string) {
	for w := range strings.FieldsSeq(phrase) {
		if t.next == nil {
			t.next = map[string]*phrases{}
		}
		n := t.next[w]
		if n == nil {
			n = &phrases{}
			t.next[w] = n
			t.sieve.add(w)
		}
		t = n
	}
	t.values = append(t.values, value)
}

// sieve holds one bit for each word of a set: most words that open no phrase
// are told by it, without a look into the map.
type sieve [4]uint64

func (s *sieve) add(w string) {
	bit := sieveBit(w)
	s[bit>>6] |= 1 << (bit & 63)
}

func (s *sieve) has(w string) bool {
	bit := sieveBit(w)
	return s[bit>>6]&(1<<(bit&63)) != 0
}

func sieveBit(w string) uint8 {
	if w == "" {
		return 0
	}
	return w[0]*5 + w[len(w)-1]*11 + w[len(w)/2]*23 + uint8(len(w))*59
}

func newPhrases(list []string) *phrases {
	t := &phrases{}
	for _, p := range list {
		if p != "" {
			t.add(p, "")
		}
	}
	return t
}

// each calls f for every phrase that starts at pos, shortest first.
func (t *phrases) each(tokens []token, pos int, f func(end int, value string)) {
	for i := pos; ; i++ {
		for _, v := range t.values {
			f(i, v)
		}
		if i >= len(tokens) {
			return
		}
		w := tokens[i].text
		if !t.sieve.has(w) {
			return
		}
		if t = t.next[w]; t == nil {
			return
		}
	}
}

// starts reports a word that opens a phrase.
func (t *phrases) starts(word string) bool { return t.sieve.has(word) && t.next[word] != nil }

// longest returns the end of the longest phrase at pos, pos where there is none.
func (t *phrases) longest(tokens []token, pos int) int {
	end := pos
	t.each(tokens, pos, func(e int, _ string) { end = e })
	return end
}

// numeral reads the number that starts at pos: digits or words up to millions.
// It takes as many words as belong together and no more.
func (r *Recognizer) numeral(tokens []token, pos int) (value, end int, ok bool) {
	w := &r.c.words
	end = pos
	r.numbers.each(tokens, pos, func(e int, v string) {
		value, _ = strconv.Atoi(v)
		end, ok = e, true
	})
	if ok {
		return value, end, true
	}
	total, group, last := 0, 0, 0 // last is the size of the word before
	seen := false
	for i := pos; i < len(tokens) && i < pos+10; i++ {
		text := tokens[i].text
		if isNumeral(text) {
			if seen {
				break
			}
			group, _ = strconv.Atoi(text)
			seen, last, end = true, 1, i+1
			if len(text) > 2 {
				last = 0
			}
			continue
		}
		if text == "and" {
			if !seen || last < 100 || i+1 >= len(tokens) {
				break
			}
			if _, isUnit := w.units[firstPart(tokens[i+1].text)]; !isUnit {
				break
			}
			continue
		}
		if text == "a" {
			if seen || i+1 >= len(tokens) || w.scales[tokens[i+1].text] == 0 {
				break
			}
			continue
		}
		stop := false
		for part := range strings.SplitSeq(text, "-") {
			if v, isUnit := w.units[part]; isUnit {
				fits := !seen || last >= 100 || (last >= 20 && v < 10 && v > 0)
				if !fits || (seen && v == 0) {
					stop = true
					break
				}
				group += v
				seen = true
				last = max(v, 1)
				continue
			}
			if scale := w.scales[part]; scale > 0 {
				if last >= 1000 || (scale == 100 && seen && last >= 100) || group > 999 {
					stop = true
					break
				}
				if !seen {
					group = 1
				}
				if scale >= 1000 {
					total += group * scale
					group = 0
				} else {
					group *= scale
				}
				seen, last = true, scale
				continue
			}
			stop = true
			break
		}
		if stop {
			break
		}
		end = i + 1
	}
	if !seen || end == pos || total+group > math.MaxInt32 {
		return 0, pos, false
	}
	return total + group, end, true
}

// isNumberWord reports a word that counts: "five", "twenty-five", "hundred".
func (r *Recognizer) isNumberWord(w string) bool {
	first := firstPart(w)
	_, unit := r.c.words.units[first]
	_, scale := r.c.words.scales[first]
	return unit || scale || w == "dozen"
}

func firstPart(s string) string {
	a, _, _ := strings.Cut(s, "-")
	return a
}

// version reads a version as a tag would be written. strong reports that it
// cannot be mistaken for a count.
func (r *Recognizer) version(tokens []token, pos int) (v string, end int, strong, ok bool) {
	if pos >= len(tokens) {
		return "", pos, false, false
	}
	t, said := tokens[pos].text, tokens[pos].said
	if tokens[pos].whole != "" {
		return "", pos, false, false
	}
	if t == "v" || t == "vee" {
		if v, end, _, ok := r.version(tokens, pos+1); ok {
			return v, end, true, true
		}
		return "", pos, false, false
	}
	if t == "latest" || t == "newest" {
		return "latest", pos + 1, true, true
	}
	if body, isV := strings.CutPrefix(t, "v"); isV && body != "" && isDigit(body[0]) && isTag(body) {
		v, end = r.versionTail(tokens, said[1:], pos+1)
		return v, end, true, true
	}
	if isDigit(t[0]) && isTag(t) && !isNumeral(t) && !isTimes(t) && !isOrdinal(t) {
		v, end = r.versionTail(tokens, said, pos+1)
		return v, end, true, true
	}
	if isSHA(t) {
		return t, pos + 1, true, true
	}
	n, end, found := r.numeral(tokens, pos)
	if !found {
		return "", pos, false, false
	}
	v = strconv.Itoa(n)
	for end+1 < len(tokens) && (tokens[end].text == "point" || tokens[end].text == "dot") {
		m, e, found := r.numeral(tokens, end+1)
		if tokens[end+1].whole != "" {
			break
		}
		if !found {
			if tokens[end+1].text != "oh" && tokens[end+1].text != "o" {
				break
			}
			m, e = 0, end+2
		}
		v += "." + strconv.Itoa(m)
		end, strong = e, true
	}
	if strong {
		v, end = r.versionTail(tokens, v, end)
	}
	return v, end, strong, true
}

// versionTail adds what may follow a spoken version: "dash bad", "rc one".
func (r *Recognizer) versionTail(tokens []token, v string, end int) (string, int) {
	for end < len(tokens) {
		label, next := "", 0
		switch t := tokens[end].text; {
		case (t == "dash" || t == "hyphen") && end+1 < len(tokens) && tokens[end+1].whole == "" && isTag(tokens[end+1].text):
			label, next = tokens[end+1].text, end+2
		case t == "release" && end+1 < len(tokens) && tokens[end+1].text == "candidate":
			label, next = "rc", end+2
		case t == "rc" || t == "alpha" || t == "beta":
			label, next = t, end+1
		default:
			return v, end
		}
		v += "-" + label
		end = next
		if n, e, ok := r.numeral(tokens, end); ok && (label == "rc" || label == "alpha" || label == "beta") {
			v += strconv.Itoa(n)
			end = e
		}
	}
	return v, end
}

// isTag reports whether s could be written as an image tag.
func isTag(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(isDigit(c) || (c >= 'a' && c <= 'z') || (i > 0 && (c == '.' || c == '-' || c == '_' || c == '+'))) {
			return false
		}
	}
	return true
}

// isPath reports what stands where a version does and cannot be one: a path, or
// a number with a sign. It is taken as it was said, so that the answer can be
// that there is no such version. sure reports that it is nothing else either.
func isPath(s string) (ok, sure bool) {
	for part := range strings.SplitSeq(s, "/") {
		if part == "." || part == ".." {
			return true, true
		}
	}
	body := strings.TrimPrefix(strings.TrimLeft(s, "-+."), "v")
	if body == "" || !isDigit(body[0]) || isTag(s) {
		return false, false
	}
	return strings.Contains(s, ".") && (strings.Contains(s, "/") || strings.ContainsAny(s[:1], "-+.")), false
}

// isSHA reports a commit or digest: hexadecimal, with a digit and a letter, so
// that neither a word nor a number is taken for one.
func isSHA(s string) bool {
	if d, ok := strings.CutPrefix(s, "sha256:"); ok {
		return len(d) >= 12 && strings.Trim(d, "0123456789abcdef") == ""
	}
	if len(s) < 7 || len(s) > 64 {
		return false
	}
	digit, letter := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isDigit(c):
			digit = true
		case c >= 'a' && c <= 'f':
			letter = true
		default:
			return false
		}
	}
	return digit && letter
}

// isTimes reports "3x".
func isTimes(s string) bool {
	n, ok := strings.CutSuffix(s, "x")
	return ok && isNumeral(n)
}

// isOrdinal reports "2nd", and also what else begins with a digit and is no
// version: "5pm", "10m", "50%".
func isOrdinal(s string) bool {
	body := strings.TrimLeft(s, "0123456789.:")
	switch body {
	case "st", "nd", "rd", "th", "am", "pm", "s", "m", "h", "d", "w", "ms", "min", "mins", "hrs", "sec", "secs", "%", "k", "gb", "mb", "gi", "mi":
		return true
	}
	return strings.Contains(s, ":") || strings.Contains(s, "%")
}

// isImage reports an image reference with a tag, a digest or a registry.
func isImage(s string) bool {
	if strings.Contains(s, "://") || strings.HasPrefix(s, "/") || strings.HasPrefix(s, "-") {
		return false
	}
	name, tag, tagged := strings.Cut(s[strings.LastIndexByte(s, '/')+1:], ":")
	if strings.Contains(s, "@sha256:") {
		return true
	}
	if strings.Contains(s, "/") {
		host, _, _ := strings.Cut(s, "/")
		if _, path := isPath(s); path && !tagged {
			return false
		}
		return name != "" && (!tagged || isTag(tag)) && (tagged || strings.ContainsAny(host, ".:"))
	}
	return tagged && name != "" && !isNumeral(name) && isTag(tag) && name[0] >= 'a' && name[0] <= 'z'
}
