package speech

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Ear puts a text for the ear: versions, durations, sizes, percentages and times
// as they are said, names in words, short forms spelled, and never a hash, a
// digest or an id. Words that are for the ear already come out as they are.
func Ear(text string) string {
	var out []string
	stop := func(sign string) { // ends what was said last
		if n := len(out) - 1; n >= 0 && !strings.ContainsAny(out[n][len(out[n])-1:], ".,;:!?") {
			out[n] += sign
		}
	}
	for line := range strings.Lines(text) {
		begin := len(out)
		for w := range strings.FieldsSeq(line) {
			before := ""
			if len(out) > 0 {
				before = strings.ToLower(out[len(out)-1])
			}
			said, sign := field(w, before)
			for part := range strings.FieldsSeq(said) {
				out = append(out, runPattern.ReplaceAllStringFunc(part, func(run string) string {
					if isHash(run) { // that came out of something longer
						return unsayable(run)
					}
					return run
				}))
			}
			if len(out) > begin {
				stop(sign)
			}
		}
		if len(out) > begin && strings.HasSuffix(line, "\n") {
			stop(".") // a line is a sentence of its own, also where nothing ends it
		}
	}
	return strings.Join(out, " ")
}

// Name puts the name of a thing into words: what separates them becomes a pause,
// because engines stumble over it or say "dash". What a controller or a build
// added, which tells nobody anything, is left out. A dot between digits is a
// decimal point and stays.
func Name(s string) string {
	if i := strings.Index(s, "@sha256"); i > 0 {
		s = s[:i]
	}
	parts := separated(bare(s))
	kept := parts[:0]
	for _, p := range parts {
		if !isHash(p) {
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 && len(parts) > 0 || strings.HasPrefix(s, "sha256:") {
		return unsayable(s)
	}
	return strings.Join(kept, " ")
}

// separated splits a name at what is not said of it.
func separated(s string) []string {
	digit := func(i int) bool { return i >= 0 && i < len(s) && s[i] >= '0' && s[i] <= '9' }
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if strings.IndexByte("-_/:@", c) >= 0 || c == '.' && !(digit(i-1) && digit(i+1)) {
			c = ' '
		}
		b.WriteByte(c)
	}
	return strings.Fields(b.String())
}

// The patterns of what is not said as it is written.
const (
	safe = `[bcdfghjklmnpqrstvwxz2456789]` // what Kubernetes makes up names of
	unit = `(?:Ki|Mi|Gi|Ti|Pi|[kKMGTP]?B|[KMGT]iB)`
)

var (
	runPattern      = regexp.MustCompile(`[0-9A-Za-z]+`)
	uuidPattern     = regexp.MustCompile(`(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$`)
	hashPattern     = regexp.MustCompile(`(?i)^(?:sha-?|git-?|g)?[0-9a-f]{7,}$`)
	podOfPattern    = regexp.MustCompile(`^(.+)-` + safe + `{8,10}-` + safe + `{5}$`)
	madeOfPattern   = regexp.MustCompile(`^(.+)-(` + safe + `{5}|` + safe + `{8,10})$`)
	durationPattern = regexp.MustCompile(`^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)(s|ms|µs|us|ns))?$`)
	percentPattern  = regexp.MustCompile(`^([-+±]?\d+(?:[.,]\d+)*)%$`)
	sizePattern     = regexp.MustCompile(`^(\d+(?:\.\d+)?)(` + unit + `)$`)
	versionPattern  = regexp.MustCompile(`(?i)^(v?)(\d+(?:\.\d+)*)((?:[-+.][0-9a-z]+)*)$`)
	clockPattern    = regexp.MustCompile(`^([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?Z?$`)
	numberPattern   = regexp.MustCompile(`^([-+±−]?)(\d+)(?:\.(\d+))?$`)
	ratioPattern    = regexp.MustCompile(`^(\d+)/(\d+)$`)
	ratePattern     = regexp.MustCompile(`^([\d.,]+|[a-z]+)/(s|sec|second|min|minute|m|h|hour|day)$`)
	spanPattern     = regexp.MustCompile(`^(\d+(?:\.\d+)?)[–—](\d+(?:\.\d+)?.*)$`)
)

// bare is a name without what a controller added to it.
func bare(s string) string {
	if m := podOfPattern.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	if m := madeOfPattern.FindStringSubmatch(s); m != nil && !knownWord(m[2]) && (len(m[2]) == 5 || strings.ContainsAny(m[2], "2456789")) {
		return m[1]
	}
	return s
}

// knownWord reports words that look as if they were made up by Kubernetes.
func knownWord(w string) bool {
	switch w {
	case "https", "pgsql", "html5", "xhtml", "mssql", "plsql", "rtmps":
		return true
	}
	return false
}

// isHash reports a commit, a digest, an id or a part of one.
func isHash(s string) bool {
	if uuidPattern.MatchString(s) {
		return true
	}
	if !hashPattern.MatchString(s) || !strings.ContainsFunc(s, unicode.IsDigit) {
		return len(s) >= 24 && hashPattern.MatchString(s)
	}
	return strings.ContainsFunc(s, unicode.IsLetter) || len(s) >= 16
}

// unsayable is said instead of what would only be a row of signs.
func unsayable(s string) string {
	switch {
	case strings.Contains(s, "sha256"):
		return "an image"
	case uuidPattern.MatchString(s):
		return "an identifier"
	}
	return "a build"
}

// field puts what stands between two blanks for the ear, and says which sign ends
// it. before is the word said before it.
func field(w, before string) (said, sign string) {
	w = strings.Map(sayable, w)
	const opening, closing = "(“\"'[{‘", ".,;:!?)”\"']}’…"
	core := strings.TrimLeft(w, opening)
	signs := core[len(strings.TrimRight(core, closing)):]
	core = core[:len(core)-len(signs)]
	for _, r := range signs { // of brackets and quotes a pause is left
		switch {
		case r == '…':
			r = '.'
		case strings.ContainsRune(")]}", r):
			r = ','
		}
		if strings.ContainsRune(".,;:!?", r) && (sign == "" || sign == ",") {
			sign = string(r)
		}
	}
	return say(core, before), sign
}

// sayable maps what is written but not said to what is, or drops it.
func sayable(r rune) rune {
	switch {
	case r == '`' || r == '*' || r == '~' || r == '|' || r == '\\' || r == unicode.ReplacementChar:
		return -1
	case r == '−' || r == '‑' || r == '‐':
		return '-'
	case r == '´' || r == '’':
		return '\''
	case strings.ContainsRune("–—…“”‘’°±→≥≤×µ", r):
		return r
	case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
		return r
	case r > 0x20 && r < 0x7f:
		return r
	}
	return -1
}

// say is a word without the signs around it.
func say(w, before string) string {
	switch w {
	case "":
		return ""
	case "→", "->", "=>":
		return "to"
	case "&", "+":
		return map[string]string{"&": "and", "+": "plus"}[w]
	case "-", "–", "—", "/", "=", "#", "@", "^", "_", "$", "%":
		return ""
	case "<", "≤", "<=":
		return "at most"
	case ">", "≥", ">=":
		return "at least"
	case "×":
		return "times"
	}
	if strings.ContainsAny(w, "<>#") {
		return say(strings.NewReplacer("<", "", ">", "", "#", "number ").Replace(w), before)
	}
	if strings.Contains(w, " ") {
		return words(w, before, w)
	}
	switch {
	case strings.Contains(w, "://"):
		return "a link"
	case strings.Contains(w, "sha256:") || strings.Contains(w, "sha256-"):
		if i := strings.Index(w, "@sha256"); i > 0 {
			return say(w[:i], before)
		}
		return "an image"
	case uuidPattern.MatchString(w):
		return "an identifier"
	case isHash(w):
		return "a build"
	}
	if m := ratioPattern.FindStringSubmatch(w); m != nil {
		return m[1] + " of " + m[2]
	}
	if m := clockPattern.FindStringSubmatch(w); m != nil {
		return clock(m[1], m[2])
	}
	if m := spanPattern.FindStringSubmatch(w); m != nil {
		return say(m[1], before) + " to " + say(m[2], "to")
	}
	if m := ratePattern.FindStringSubmatch(w); m != nil {
		per := map[string]string{"s": "second", "sec": "second", "min": "minute", "m": "minute", "h": "hour"}[m[2]]
		if per == "" {
			per = m[2]
		}
		return say(m[1], before) + " per " + per
	}
	if m := percentPattern.FindStringSubmatch(w); m != nil {
		return say(m[1], before) + " percent"
	}
	if m := sizePattern.FindStringSubmatch(w); m != nil {
		return figure(m[1]) + " " + plural(m[1], sizes(m[2]))
	}
	if m := durationPattern.FindStringSubmatch(w); m != nil && w != "" {
		return duration(m)
	}
	if m := numberPattern.FindStringSubmatch(w); m != nil && !isVersionWord(before) {
		sign := map[string]string{"-": "minus ", "−": "minus ", "+": "plus ", "±": "plus or minus "}[m[1]]
		return sign + figure(strings.TrimLeft(w, "-+±−"))
	}
	if m := versionPattern.FindStringSubmatch(w); m != nil && (m[1] != "" || strings.Contains(m[2], ".") || isVersionWord(before)) {
		return version(m[1], m[2], m[3], before)
	}
	if strings.ContainsAny(w, "-_/:@.=") {
		return words(Name(w), before, w)
	}
	return word(w)
}

// words says each word of a name.
func words(name, before, w string) string {
	var out []string
	for s := range strings.FieldsSeq(strings.ReplaceAll(name, "=", " ")) {
		if s == w { // it cannot be taken apart
			out = append(out, word(s))
			continue
		}
		out = append(out, say(s, before))
		before = strings.ToLower(s)
	}
	return strings.Join(out, " ")
}

// word says a word: spelled where it is a short form, in its parts where it is
// made of several.
func word(w string) string {
	if said := lexicon(strings.ToLower(w)); said != "" {
		return said
	}
	if stem, ok := strings.CutSuffix(w, "s"); ok && len(w) > 2 && stem == strings.ToUpper(stem) { // "APIs"
		if said := lexicon(strings.ToLower(stem)); said != "" {
			return said + "s"
		}
	}
	if len(w) > 1 && len(w) <= 5 && w == strings.ToUpper(w) && strings.IndexFunc(w, func(r rune) bool { return r < 'A' || r > 'Z' }) < 0 && !strings.ContainsAny(w, "AEIOU") {
		return spell(w)
	}
	parts := humps(w)
	if len(parts) < 2 {
		return w
	}
	for i, p := range parts {
		if said := lexicon(strings.ToLower(p)); said != "" {
			parts[i] = said
		}
	}
	return strings.Join(parts, " ")
}

// humps splits "HighErrorRate".
func humps(w string) []string {
	var out []string
	rs := []rune(w)
	from := 0
	for i := 1; i < len(rs); i++ {
		if unicode.IsUpper(rs[i]) && (unicode.IsLower(rs[i-1]) || unicode.IsDigit(rs[i-1]) || i+1 < len(rs) && unicode.IsUpper(rs[i-1]) && unicode.IsLower(rs[i+1])) {
			out = append(out, string(rs[from:i]))
			from = i
		}
	}
	return append(out, string(rs[from:]))
}

func spell(w string) string {
	return strings.Join(strings.Split(strings.ToUpper(w), ""), " ")
}

// isVersionWord reports that what follows is a version.
func isVersionWord(before string) bool {
	switch before {
	case "version", "versions", "release", "tag", "v":
		return true
	}
	return false
}

// version says "v2.10.1" as "version two ten one".
func version(v, numbers, rest, before string) string {
	var out []string
	if !isVersionWord(before) && (v != "" || strings.Count(numbers, ".") > 1) {
		out = append(out, "version")
	}
	for n := range strings.SplitSeq(numbers, ".") {
		out = append(out, inWords(n))
	}
	for _, s := range separated(strings.ReplaceAll(rest, "+", "-")) {
		if isHash(s) {
			continue
		}
		letters := strings.TrimRight(s, "0123456789")
		if letters != "" {
			out = append(out, word(letters))
		}
		if n := s[len(letters):]; n != "" {
			out = append(out, inWords(n))
		}
	}
	return strings.Join(out, " ")
}

func clock(h, m string) string {
	n, _ := strconv.Atoi(h) // the pattern has seen to it
	hour := inWords(strconv.Itoa(n))
	switch {
	case m == "00" && n > 0 && n <= 12:
		return hour + " o'clock"
	case m == "00":
		return hour + " hundred"
	case m[0] == '0':
		return hour + " oh " + inWords(m[1:])
	}
	return hour + " " + inWords(m)
}

func duration(m []string) string {
	var out []string
	add := func(n, unit string) {
		if n != "" {
			out = append(out, figure(n)+" "+plural(n, unit))
		}
	}
	add(m[1], "day")
	add(m[2], "hour")
	if n, err := strconv.Atoi(m[3]); err == nil && n >= 100 && m[1]+m[2]+m[4] == "" {
		add(m[3], "millicore") // nobody says a hundred minutes: it is a share of a processor
	} else {
		add(m[3], "minute")
	}
	add(m[4], map[string]string{"s": "second", "ms": "millisecond", "µs": "microsecond", "us": "microsecond", "ns": "nanosecond"}[m[5]])
	return strings.Join(out, " ")
}

func sizes(unit string) string {
	switch strings.ToUpper(unit[:1]) {
	case "K":
		return "kilobyte"
	case "M":
		return "megabyte"
	case "G":
		return "gigabyte"
	case "T":
		return "terabyte"
	case "P":
		return "petabyte"
	}
	return "byte"
}

func plural(n, unit string) string {
	if n == "1" {
		return unit
	}
	return unit + "s"
}

// figure is a number with no more decimals than an ear takes in.
func figure(n string) string {
	whole, part, ok := strings.Cut(n, ".")
	if !ok || len(part) <= 2 {
		return n
	}
	f, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return n
	}
	if strings.Trim(whole, "0") == "" { // the first two digits that are not 0
		zeros := len(part) - len(strings.TrimLeft(part, "0"))
		return strconv.FormatFloat(f, 'f', min(zeros+2, 6), 64)
	}
	return strings.TrimSuffix(strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), "0"), ".")
}

// inWords says a whole number: up to 9999 as a number, digit by digit where it is
// longer or begins with a zero.
func inWords(s string) string {
	n, err := strconv.Atoi(s)
	if err != nil || len(s) > 4 || len(s) > 1 && s[0] == '0' {
		var out []string
		for _, r := range s {
			if r >= '0' && r <= '9' {
				out = append(out, below100(int(r-'0')))
			}
		}
		return strings.Join(out, " ")
	}
	var out []string
	if n >= 1000 {
		out = append(out, below100(n/1000), "thousand")
	}
	if n%1000 >= 100 {
		out = append(out, below100(n%1000/100), "hundred")
	}
	if n%100 > 0 || n == 0 {
		out = append(out, below100(n%100))
	}
	return strings.Join(out, " ")
}

func below100(n int) string {
	ones := [...]string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"}
	tens := [...]string{"", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"}
	if n < len(ones) {
		return ones[n]
	}
	if n%10 == 0 {
		return tens[n/10]
	}
	return tens[n/10] + " " + ones[n%10]
}

// lexicon is how words are said that nobody could guess; "" of all others.
func lexicon(w string) string {
	switch w {
	case "api", "ui", "db", "http", "https", "dns", "tls", "ssl", "cpu", "gpu", "pvc", "hpa", "pdb", "crd", "cdn", "sms", "url", "ip", "vm", "ml", "ai", "sdk", "cms", "crm",
		"erp", "bff", "aws", "gcp", "ssh", "tcp", "udp", "id", "qa", "ci", "cd", "pr", "slo", "sla", "html", "css", "js", "kv", "mq", "etl", "s3", "rpc", "cdc", "jvm", "rbac":
		return spell(w)
	case "sql":
		return "S Q L"
	case "grpc":
		return "G R P C"
	case "apis":
		return "A P Is"
	case "ids":
		return "I Ds"
	case "cpus":
		return "C P Us"
	case "k8s":
		return "kubernetes"
	case "kubectl":
		return "kube control"
	case "etcd":
		return "et C D"
	case "nginx":
		return "engine X"
	case "postgresql", "postgres", "pgsql":
		return "postgres"
	case "mysql":
		return "my S Q L"
	case "redis":
		return "reddis"
	case "oom":
		return "out of memory"
	case "oomkilled":
		return "killed for memory"
	case "crashloopbackoff":
		return "crash loop back off"
	case "imagepullbackoff":
		return "image pull back off"
	case "errimagepull":
		return "image pull error"
	case "svc":
		return "service"
	case "mgr":
		return "manager"
	case "cfg":
		return "config"
	case "ns":
		return "namespace"
	case "ctrl":
		return "controller"
	case "json":
		return "jason"
	case "yaml":
		return "yamel"
	case "argocd":
		return "argo C D"
	case "coredns":
		return "core D N S"
	case "rc":
		return "R C"
	case "config", "ok":
		return w
	}
	return ""
}
