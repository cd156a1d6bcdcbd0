package llm

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
)

// Dropped is a sentence that must not be said, and why.
type Dropped struct{ Sentence, Why string }

// What is said at most.
const (
	maxSentences = 3
	maxWording   = 500 // bytes
)

// Check keeps of a wording the sentences that say nothing which the finding lacks. It
// knows nothing of meaning, so it lets little through: each word is either one of a
// short list that says nothing by itself, or stands in one and the same source: what
// firstmate would say, or one fact. With that
//
//   - an object, a number, a time or a cause that is nowhere in evidence has no words,
//   - what belongs to one fact is not said of another,
//   - numbers keep their order, so that nothing goes up that went down,
//   - a no, a comparison or a certainty is said only where the source says it,
//   - a cause is said only as firstmate says it, and no surer,
//   - what strangers wrote stands between quotes, as it stands in the fact,
//   - nothing is asked, offered, linked to or told to be done.
//
// ok is false where what is left does not tell the cause: then the wording is of no use.
func Check(said string, f diagnosis.Finding) (kept string, dropped []Dropped, ok bool) {
	if len(said) > maxSaid {
		return "", []Dropped{{"", "too long"}}, false
	}
	c := checker{lead: newSource(f.Lead, ""), why: newSource(f.Why, ""), f: f}
	for _, fact := range f.Facts {
		c.facts = append(c.facts, newSource(fact.Line, fact.Quote))
	}
	var out []string
	size := 0
	for _, s := range sentences(said) {
		tells, why := c.judge(s)
		if why == "" && (len(out) == maxSentences || size+len(s)+1 > maxWording) {
			why = "too much"
		}
		if why != "" {
			dropped = append(dropped, Dropped{s, why})
			continue
		}
		out, size, ok = append(out, s), size+len(s)+1, ok || tells
	}
	if !ok {
		return "", dropped, false
	}
	return strings.Join(out, " "), dropped, true
}

// checker holds sentences to a finding.
type checker struct {
	lead, why source
	facts     []source
	f         diagnosis.Finding
}

// source is what a sentence may take its words from.
type source struct {
	words  []string // in order
	quoted string   // what may stand between quotes
}

var arrow = regexp.MustCompile(`(\S+(?: (?:%|ms|s|/s|[KMG]iB|B))?) → `)

func newSource(line, quote string) source {
	return source{words: words(arrow.ReplaceAllString(line, "from $1 to ")), quoted: " " + strings.Join(strings.Fields(quote), " ") + " "}
}

// judge says why a sentence must not be said, "" where it may, and whether it tells
// the cause.
func (c checker) judge(sentence string) (tells bool, why string) {
	if strings.ContainsAny(sentence, "<>[]{}|`$\\@#*~^=;?!") || strings.Contains(sentence, "//") || strings.Contains(strings.ToLower(sentence), "www.") {
		return false, "a question, markup or a link"
	}
	for _, r := range sentence {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r) {
			return false, "signs that are not seen"
		}
	}
	plain, quotes, closed := unquoted(sentence)
	if !closed {
		return false, "a quotation without an end"
	}
	ws := words(plain)
	if !slices.ContainsFunc(ws, func(w string) bool { return !neutral(w) }) {
		return false, "nothing said"
	}
	if at, behind := because(ws); at >= 0 {
		before, cause := ws[:at], ws[behind:]
		hedged := slices.ContainsFunc(ws, hedges)
		switch {
		case len(quotes) > 0:
			return false, "a quotation as a cause"
		case !slices.ContainsFunc(words(c.f.Cause), func(w string) bool { return slices.Contains(cause, w) }) && !slices.ContainsFunc(cause, func(w string) bool { return !neutral(w) && !hedges(w) }):
			return false, "no cause"
		case c.f.Cause != c.f.Target && !slices.ContainsFunc(words(c.f.Cause), func(w string) bool { return slices.Contains(cause, w) }):
			return false, "a cause that is not the one"
		case c.f.Sure != diagnosis.Surely && !hedged:
			return false, "surer than the evidence"
		}
		if other, _ := because(cause); other >= 0 {
			return false, "a cause of the cause"
		}
		if why := c.lead.covers(before, nil); why != "" {
			return false, why
		}
		return true, c.why.covers(cause, nil)
	}
	if slices.ContainsFunc(ws, causal) {
		return false, "a cause told in another way"
	}
	all := append([]source{c.lead, c.why}, c.facts...)
	for _, s := range all {
		if why = s.covers(ws, quotes); why == "" {
			return false, ""
		}
	}
	if len(all) > 2 {
		why = "no one fact says that"
	}
	return false, why
}

// because is where a sentence goes on from what is to why; at is -1 where it does not.
func because(ws []string) (at, behind int) {
	for i, w := range ws {
		switch {
		case w == "because" && i+1 < len(ws) && ws[i+1] == "of":
			return i, i + 2
		case w == "because":
			return i, i + 1
		case w == "due" && i+1 < len(ws) && ws[i+1] == "to":
			return i, i + 2
		}
	}
	return -1, -1
}

// covers says what of a sentence a source lacks, "" where it has all of it.
func (s source) covers(ws, quotes []string) string {
	for _, q := range quotes {
		q = strings.Join(strings.Fields(q), " ")
		if q == "" || !strings.Contains(s.quoted, q) {
			return "a quotation of something else"
		}
	}
	at := 0 // numbers come in the order of the source
	for i, w := range ws {
		switch {
		case negates(w):
			if i+1 >= len(ws) || !s.follows(w, ws[i+1]) {
				return "a denial that the evidence lacks"
			}
		case isFigure(w):
			j := s.figure(w, role(ws, i), at)
			if j < 0 {
				return "the number or time " + w
			}
			at = j + 1
		case neutral(w), hedges(w), slices.Contains(s.words, w):
		default:
			return "the word " + w
		}
	}
	return ""
}

// figure is where a number stands in a source, from a place on and in a role; -1 where
// it does not.
func (s source) figure(w, as string, from int) int {
	for j := from; j < len(s.words); j++ {
		if s.words[j] == w && role(s.words, j) == as {
			return j
		}
	}
	return -1
}

// role is what a number is: what was before, or what something went from or to.
func role(ws []string, i int) string {
	marks := []string{"before", "from", "to"}
	k := i - 1
	for k > 0 && slices.Contains(strings.Fields("is was were at of it its had been then that"), ws[k]) {
		k-- // "before, it was 120 ms"
	}
	if k >= 0 && slices.Contains(marks, ws[k]) {
		return ws[k]
	}
	for j := i + 1; j < len(ws) && j <= i+2; j++ { // "120 ms before"
		switch ws[j] {
		case "before", "earlier", "previously":
			if j+1 == len(ws) || !isFigure(ws[j+1]) { // else it is of that one
				return "before"
			}
		}
		if !isUnit(ws[j]) {
			break
		}
	}
	return ""
}

func isUnit(w string) bool {
	return slices.Contains(strings.Fields("% ms s m h /s b kb mb gb kib mib gib x rps percent milliseconds seconds minutes hours cores"), w)
}

// follows reports whether two words follow each other.
func (s source) follows(a, b string) bool {
	for i := range max(0, len(s.words)-1) {
		if s.words[i] == a && s.words[i+1] == b {
			return true
		}
	}
	return false
}

// sentences splits a text at full stops, line ends and the like, where a blank
// follows: "2.3" is one word.
func sentences(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		from := 0
		for i := 0; i < len(line); i++ {
			if strings.IndexByte(".!?", line[i]) >= 0 && (i+1 == len(line) || line[i+1] == ' ') {
				out = append(out, strings.TrimSpace(line[from:i+1]))
				from = i + 1
			}
		}
		if rest := strings.TrimSpace(line[from:]); rest != "" {
			out = append(out, rest)
		}
	}
	return out
}

// unquoted parts a sentence into what stands outside of quotes, and inside.
func unquoted(s string) (plain string, quotes []string, closed bool) {
	s = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "«", `"`, "»", `"`).Replace(s)
	pieces := strings.Split(s, `"`)
	var b strings.Builder
	for i, p := range pieces {
		if i%2 == 0 {
			b.WriteString(p + " ")
			continue
		}
		quotes = append(quotes, p)
	}
	return b.String(), quotes, len(pieces)%2 == 1
}

var (
	unit    = regexp.MustCompile(`^([+-]?\d[\d.,]*)(%|ms|s|m|h|gib|mib|kib|gb|mb|kb|x|rps)$`)
	version = regexp.MustCompile(`^v\d`)
)

// words are the words of a text as they are compared: small, without what stands
// around them, numbers apart from their units.
func words(text string) []string {
	var out []string
	text = strings.NewReplacer("’", "'", "—", " ", "–", " ", "→", " ", ":", ": ").Replace(rejoinTimes(perSecond.ReplaceAllString(text, " /s")))
	for w := range strings.FieldsSeq(strings.ToLower(text)) {
		w = strings.ReplaceAll(w, timeColon, ":")
		w = strings.Trim(w, `.,;:()“”"'…`)
		w = strings.TrimSuffix(w, "'s")
		if version.MatchString(w) {
			w = w[1:]
		}
		if m := unit.FindStringSubmatch(w); m != nil {
			out = append(out, strings.TrimRight(m[1], ".,"), m[2])
			continue
		}
		for p := range strings.SplitSeq(w, "/") { // shop/deployment/checkout
			switch {
			case p == "":
			case strings.HasPrefix(w, "/"):
				out = append(out, "/"+p) // a second
			default:
				out = append(out, p)
			}
		}
	}
	return out
}

// timeColon keeps the colon of 14:05 apart from that which ends a word.
const timeColon = "\x00"

var perSecond = regexp.MustCompile(`/s\b`)

var clock = regexp.MustCompile(`(\d):(\d)`)

func rejoinTimes(s string) string { return clock.ReplaceAllString(s, "$1"+timeColon+"$2") }

// isFigure reports a number, in digits or in words.
func isFigure(w string) bool {
	return strings.ContainsFunc(w, unicode.IsNumber) || slices.Contains(figures(), w)
}

func figures() []string {
	return strings.Fields(`zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty
		forty fifty sixty seventy eighty ninety hundred thousand million billion dozen half third quarter twice thrice double triple tenfold once first second both`)
}

// negates reports a word that turns what is said around.
func negates(w string) bool {
	return strings.HasSuffix(w, "n't") || slices.Contains(strings.Fields("not no never none nobody nothing neither nor without cannot hardly barely rarely unlikely except despite although but instead unless if"), w)
}

// hedges reports a word that says that something is not certain.
func hedges(w string) bool {
	return slices.Contains(strings.Fields("probably perhaps likely may might possibly apparently seems suggests"), w)
}

// causal reports a word that says what causes what.
func causal(w string) bool {
	return slices.Contains(strings.Fields(`because cause causes caused causing due reason reasons culprit blame blamed explains explained explain responsible
		so thus hence therefore consequently result results resulted resulting leads led leading triggers triggered trigger makes made fault
		root origin stems comes came traced`), w)
}

// neutral reports a word that says nothing by itself.
func neutral(w string) bool {
	return slices.Contains(strings.Fields(`a an the this that these those it its they their them there here which who whose what
		is are was were be been being has have had having does do did will would can could
		of in on at by to from for with as and or also since during within into onto over under between against among about through per than then when where while
		evidence shows show showing seen see says say said reports reported reporting according indicates points line fact facts service workload
		now currently same moment time began begins begin started start starts`), w)
}
