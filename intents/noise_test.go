package intents

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The noise is what speech recognisers, mouths and thumbs make of a sentence.
// It never takes away what a sentence means: no content word is dropped, no
// number becomes another number, and "don't" stays, since what was not heard
// cannot be known. Free text (a searched phrase, a new name, an image) stays as
// it is, for it has no right form to go back to.

// misheard is what speech recognisers make of words, written without a look at
// the catalogue's own table of such pairs. Recognisers write words that exist;
// what does not exist is the business of thumbs.
var misheard = map[string][]string{
	// numbers and the little words that sound like them
	"one": {"won"}, "two": {"to", "too"}, "three": {"tree"}, "four": {"for"}, "five": {"fife"}, "six": {"sicks"},
	"eight": {"ate"}, "ten": {"tin"}, "to": {"two", "too"}, "for": {"four"}, "by": {"buy", "bye"}, "percent": {"per cent"},
	"half": {"halve"}, "minutes": {"minute"}, "hours": {"ours", "hour"}, "hour": {"our"},
	"since": {"sins"}, "last": {"lost"}, "of": {"off"}, "and": {"an"}, "are": {"our"}, "then": {"than"}, "there": {"their"},
	// verbs
	"scale": {"skill", "scales"}, "roll": {"role"}, "rollback": {"roll back", "role back"}, "restart": {"re start", "re-start"},
	"deploy": {"deploys", "employ"}, "drain": {"train", "drained"}, "cordon": {"gordon", "cord on"}, "uncordon": {"un cordon", "on cordon"},
	"pause": {"paws", "pose"}, "resume": {"resumed", "resumes"}, "promote": {"remote", "promotes"}, "mute": {"moot"}, "silence": {"silents"},
	"acknowledge": {"acknowledged", "a knowledge"}, "ack": {"act"}, "undo": {"un do", "and do"}, "switch": {"which"},
	"autoscale": {"auto scale", "auto-scale"}, "autoscaling": {"auto scaling"}, "halve": {"half", "have"}, "double": {"doubled"},
	"bring": {"ring"}, "ship": {"chip"}, "increase": {"in crease"},
	// things of a cluster
	"pods": {"parts", "pots"}, "pod": {"pot", "part"}, "nodes": {"notes", "knows"}, "node": {"note"}, "replicas": {"replica", "replicants"},
	"logs": {"locks", "lox"}, "log": {"lock"}, "alerts": {"alert's"}, "errors": {"arrows", "error's"}, "error": {"arrow"},
	"events": {"vents", "event"}, "metrics": {"matrix"}, "namespace": {"name space"}, "namespaces": {"name spaces"}, "cluster": {"clutter", "clusters"},
	"version": {"virgin", "version's"}, "canary": {"cannery"}, "latency": {"late and see"},
	"cpu": {"c p u", "cp u"}, "disk": {"disc"}, "queue": {"cue"}, "rollout": {"roll out"}, "roll-out": {"roll out"}, "sentry": {"century"},
	"exceptions": {"exception"}, "issues": {"tissues"}, "requests": {"request"}, "memory": {"memories"}, "status": {"stages"}, "deployment": {"deployments"},
	"crashing": {"crushing"}, "crash": {"crush"}, "down": {"dawn"}, "pending": {"bending"}, "failing": {"falling"},
	// names
	"web": {"whip", "webb"}, "cart": {"card", "kart"}, "checkout": {"check out", "check-out"}, "search": {"surge"}, "payments": {"pavements", "payment"},
	"billing": {"building"}, "basket": {"baskets"}, "worker": {"walker"}, "postgres": {"post grass"}, "redis": {"readies"},
	"cache": {"cash"}, "auth": {"oath", "off"}, "frontend": {"front end"}, "staging": {"stage in", "staying"}, "prod": {"broad"},
	"edge": {"hedge"}, "notifications": {"notification"}, "shipper": {"chipper"}, "monitoring": {"monitor ring"},
	"firstmate": {"first mate", "first made"},
}

// unstressed are the words that get lost between mouth and microphone. Those
// that carry a role ("from", "by", "in") or a mood ("do you …") are not here.
var unstressed = []string{"the", "a", "an", "of", "to", "is", "are", "please", "me", "my", "our"}

var fillers = []string{"um", "uh", "er", "erm", "hmm", "you know", "like"}

// parted are names as recognisers cut them where they do not know them.
var parted = map[string][]string{
	"web-admin": {"web add min"}, "checkout": {"check out"}, "search-api": {"search a p i"}, "payments-api": {"pay ments api", "payments a p i"},
	"inventory": {"invent ory"}, "notifications": {"notify cations", "notification s"}, "redis-cache": {"red is cache"}, "postgres": {"post gres"},
	"image-resizer": {"image re sizer", "im age resizer"}, "frontend": {"front end"}, "auth-service": {"au th service", "auth serve ice"},
	"log-shipper": {"log ship per"}, "basket": {"bas ket"}, "billing": {"bill ing"}, "staging": {"stay ging"}, "production": {"pro duction"},
	"monitoring": {"moni toring"}, "worker": {"work er"},
}

// moods are the words that decide whether something is wanted at all; no slip
// of a thumb is tried on them.
var moods = strings.Fields("not never no none nothing without should shall shouldn't don't dont won't can't cannot couldn't wouldn't if unless when whenever until till after before why who what " +
	"which how did does do was were has have had said says told asked think wonder maybe could would might tomorrow yesterday tonight later stop avoid instead")

// written marks sentences that nobody says aloud.
var written = regexp.MustCompile(`kubectl|(^|\s)--?[a-z]|[=/→@<>|*_]|->|[a-zA-Z]:\w|\p{So}`)

// freeText are the slots whose words are nobody's names.
var freeText = []string{"filter", "exclude", "query", "name", "image", "pod", "container", "unknown_target", "alert"}

// noises are the kinds of noise; each changes a sentence or gives it back as it was.
var noises = []struct {
	kind string
	make func(*sentence0, *rand.Rand) bool
}{
	{"homophone", (*sentence0).mishear},
	{"dropped word", (*sentence0).drop},
	{"doubled word", (*sentence0).stutter},
	{"split name", (*sentence0).part},
	{"joined name", (*sentence0).join},
	{"digits as words", (*sentence0).spell},
	{"words as digits", (*sentence0).figure},
	{"punctuation lost", (*sentence0).unpunctuate},
	{"lower case", (*sentence0).lower},
	{"filler", (*sentence0).hesitate},
	{"typing error", (*sentence0).slip},
}

// sentence0 is a sentence while noise is made of it.
type sentence0 struct {
	words []string
	keep  map[string]bool // words that stay as they are, in lower case
	names []string        // that may be in it
	acts  bool            // false where it only must not act, or is not for us
}

func newSentence(l labelled, names []string) *sentence0 {
	s := &sentence0{words: strings.Fields(l.text), keep: map[string]bool{}, names: names, acts: l.intent != "" && l.intent != OutOfScope}
	var hold func(slots map[string]any)
	hold = func(slots map[string]any) {
		for _, name := range freeText {
			value := Slots(slots).String(name)
			if slices.Contains(names, value) {
				continue // an alert that exists has a right form
			}
			for w := range strings.FieldsSeq(strings.ToLower(value)) {
				s.keep[w] = true
			}
		}
		for _, step := range Slots(slots).Steps() {
			hold(step.Slots)
		}
	}
	hold(l.slots)
	return s
}

func (s *sentence0) String() string { return strings.Join(s.words, " ") }

// cut parts a word into the signs before it, the word in lower case, and what follows.
func cut(w string) (before, core, after string) {
	core = strings.TrimLeft(w, `"'([`)
	before = w[:len(w)-len(core)]
	after = core
	core = strings.TrimRight(core, `"')].,!?;:`)
	core = strings.TrimSuffix(strings.TrimSuffix(core, "'s"), "’s")
	return before, strings.ToLower(core), after[len(core):]
}

// pick changes one of the words for which change finds something else.
func (s *sentence0) pick(rnd *rand.Rand, change func(i int, core string) (string, bool)) bool {
	type found struct {
		i  int
		to string
	}
	var all []found
	for i, w := range s.words {
		before, core, after := cut(w)
		if core == "" || s.keep[core] {
			continue
		}
		if to, ok := change(i, core); ok {
			all = append(all, found{i, before + to + after})
		}
	}
	if len(all) == 0 {
		return false
	}
	f := all[rnd.IntN(len(all))]
	s.words = slices.Replace(s.words, f.i, f.i+1, strings.Fields(f.to)...)
	return true
}

func (s *sentence0) mishear(rnd *rand.Rand) bool {
	return s.pick(rnd, func(i int, core string) (string, bool) {
		heard := misheard[core]
		switch {
		case len(heard) == 0,
			core == "to" && !s.counts(),
			core == "one" && (i == 0 || !slices.Contains([]string{"to", "by", "with"}, s.words[i-1])): // "which one" is no number
			return "", false
		}
		return heard[rnd.IntN(len(heard))], true
	})
}

// counts reports whether a number is said. Where none is, "scale web to" would
// become "scale web two", which nobody can tell from a request.
func (s *sentence0) counts() bool {
	return slices.ContainsFunc(s.words, func(w string) bool {
		_, core, _ := cut(w)
		return core != "" && isDigit(core[0]) || slices.Contains(units, core) || slices.Contains(tens, core)
	})
}

func (s *sentence0) drop(rnd *rand.Rand) bool {
	if len(s.words) < 3 {
		return false
	}
	var at []int
	for i, w := range s.words {
		if i > 0 && strings.HasPrefix(strings.ToLower(s.words[i-1]), "worker") {
			continue // worker a
		}
		if _, core, _ := cut(w); slices.Contains(unstressed, core) && !s.keep[core] {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return false
	}
	i := at[rnd.IntN(len(at))]
	s.words = slices.Delete(s.words, i, i+1)
	return true
}

func (s *sentence0) stutter(rnd *rand.Rand) bool {
	return s.pick(rnd, func(_ int, core string) (string, bool) {
		switch { // "five five" may be fifty five as well
		case slices.Contains(moods, core), !hasLetter(core), core == "to" && !s.counts(),
			strings.ContainsAny(core, "0123456789"), slices.Contains(units, core), slices.Contains(tens, core):
			return "", false
		}
		return core + " " + core, true
	})
}

// spoken finds a name in the sentence, said with hyphens or blanks.
func (s *sentence0) spoken(rnd *rand.Rand, change func(name string) string) bool {
	text := s.String()
	type found struct {
		from, to int
		as       string
	}
	var all []found
	for _, name := range s.names {
		for _, m := range regexp.MustCompile(`(?i)(^|[\s"(])(`+strings.ReplaceAll(regexp.QuoteMeta(name), "-", "[- ]")+`)($|['\s",.?!;:)])`).FindAllStringSubmatchIndex(text, -1) {
			said := text[m[4]:m[5]]
			if as := change(name); as != "" && !strings.EqualFold(as, said) && !slices.ContainsFunc(all, func(f found) bool { return f.from < m[5] && m[4] < f.to }) && !s.keep[strings.ToLower(said)] {
				all = append(all, found{m[4], m[5], as})
			}
		}
	}
	if len(all) == 0 {
		return false
	}
	f := all[rnd.IntN(len(all))]
	s.words = strings.Fields(text[:f.from] + f.as + text[f.to:])
	return true
}

func (s *sentence0) part(rnd *rand.Rand) bool {
	return s.spoken(rnd, func(name string) string {
		as := parted[name]
		if strings.Contains(name, "-") {
			as = append(slices.Clone(as), strings.ReplaceAll(name, "-", " "))
		}
		if h := humps(name); len(h) > 1 {
			as = append(slices.Clone(as), strings.Join(h, " "))
		}
		if len(as) == 0 {
			return ""
		}
		return as[rnd.IntN(len(as))]
	})
}

func (s *sentence0) join(rnd *rand.Rand) bool {
	return s.spoken(rnd, func(name string) string {
		if !strings.Contains(name, "-") {
			return ""
		}
		return strings.ReplaceAll(name, "-", "")
	})
}

var (
	numeral = regexp.MustCompile(`^\d{1,3}$`)
	release = regexp.MustCompile(`^v?\d{1,2}(\.\d{1,2})+$`)
	share   = regexp.MustCompile(`^\d{1,3}%$`)
	units   = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
	tens    = strings.Fields("- - twenty thirty forty fifty sixty seventy eighty ninety")
)

func inWords(n int) string {
	switch {
	case n < 20:
		return units[n]
	case n < 100 && n%10 == 0:
		return tens[n/10]
	case n < 100:
		return tens[n/10] + " " + units[n%10]
	case n%100 == 0:
		return units[n/100] + " hundred"
	default:
		return units[n/100] + " hundred and " + inWords(n%100)
	}
}

func (s *sentence0) spell(rnd *rand.Rand) bool {
	return s.pick(rnd, func(_ int, core string) (string, bool) {
		say := func(digits string) string { n, _ := strconv.Atoi(digits); return inWords(n) }
		switch {
		case numeral.MatchString(core):
			return say(core), true
		case share.MatchString(core):
			return say(core[:len(core)-1]) + " percent", true
		case release.MatchString(core):
			var parts []string
			for p := range strings.SplitSeq(strings.TrimPrefix(core, "v"), ".") {
				parts = append(parts, say(p))
			}
			return strings.Join(parts, " point "), true
		}
		return "", false
	})
}

// figure writes a spoken number in digits. "One" mostly is no number.
func (s *sentence0) figure(rnd *rand.Rand) bool {
	type found struct {
		i, words int
		as       string
	}
	var all []found
	value := func(i int) (int, bool, bool) { // the number, whether it is one, whether it is a ten
		if i < 0 || i >= len(s.words) {
			return 0, false, false
		}
		w := strings.ToLower(s.words[i])
		if i+1 == len(s.words) {
			w = strings.TrimRight(w, ".?!")
		}
		if n := slices.Index(units, w); n >= 0 && !s.keep[w] {
			return n, true, false
		}
		n := slices.Index(tens, w)
		return n * 10, n >= 2, true
	}
	for i := 0; i < len(s.words); i++ {
		n, ok, ten := value(i)
		if !ok {
			continue
		}
		words := 1
		if u, more, t := value(i + 1); ten && more && !t && u > 0 && u < 10 {
			n, words = n+u, 2
		}
		next := ""
		if i+words < len(s.words) {
			next = strings.ToLower(s.words[i+words])
		}
		if n != 1 && !strings.HasPrefix(next, "hundred") && !strings.HasPrefix(next, "thousand") && !strings.HasPrefix(next, "dozen") && next != "of" {
			all = append(all, found{i, words, strconv.Itoa(n)})
		}
		i += words - 1
	}
	if len(all) == 0 {
		return false
	}
	f := all[rnd.IntN(len(all))]
	s.words = slices.Replace(s.words, f.i, f.i+f.words, f.as)
	return true
}

// unpunctuate takes away what is not heard. A question mark stays where nothing
// else makes a question of the sentence: "web 5?".
func (s *sentence0) unpunctuate(*rand.Rand) bool {
	was := s.String()
	_, first, _ := cut(s.words[0])
	asks := slices.Contains(moods, first) || slices.Contains(strings.Fields("is are can may am will what's how's who's where when's"), first)
	var words []string
	for _, w := range s.words {
		w = strings.Trim(w, `"'()`)
		if !asks && strings.HasSuffix(w, "?") {
			words = append(words, w)
			continue
		}
		if w = strings.NewReplacer("'", "", "’", "").Replace(strings.TrimRight(w, `.,!?;:"`)); w != "" {
			words = append(words, w)
		}
	}
	s.words = words
	return len(words) > 0 && s.String() != was
}

func (s *sentence0) lower(*rand.Rand) bool {
	was := s.String()
	for i, w := range s.words {
		if _, core, _ := cut(w); !s.keep[core] && !strings.ContainsAny(w, "0123456789") { // the case of a tag matters
			s.words[i] = strings.ToLower(w)
		}
	}
	return s.String() != was
}

func (s *sentence0) hesitate(rnd *rand.Rand) bool {
	within := map[int]bool{} // places inside a name of several words
	for _, name := range s.names {
		parts := strings.Split(strings.ToLower(name), "-")
		for i := 0; i+len(parts) <= len(s.words); i++ {
			same := true
			for j, p := range parts {
				_, core, _ := cut(s.words[i+j])
				n := slices.Index(units, core) // node one
				same = same && (core == p || n >= 0 && strconv.Itoa(n) == p)
			}
			for j := 1; same && j < len(parts); j++ {
				within[i+j] = true
			}
		}
	}
	var at []int
	for i := range s.words { // before a word, but not within what is to stay together
		_, core, _ := cut(s.words[i])
		if i > 0 {
			if _, before, _ := cut(s.words[i-1]); s.keep[core] || s.keep[before] {
				continue
			}
		}
		if !within[i] {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return false
	}
	i := at[rnd.IntN(len(at))]
	s.words = slices.Insert(s.words, i, strings.Fields(fillers[rnd.IntN(len(fillers))])...)
	return true
}

// slip is one wrong key in a word of some length.
func (s *sentence0) slip(rnd *rand.Rand) bool {
	if !s.acts {
		return false
	}
	return s.pick(rnd, func(_ int, core string) (string, bool) {
		if len(core) < 5 || slices.Contains(moods, core) || strings.ContainsFunc(core, func(c rune) bool { return c < 'a' || c > 'z' }) {
			return "", false
		}
		i := 1 + rnd.IntN(len(core)-2)
		switch rnd.IntN(4) {
		case 0: // swapped
			if core[i] != core[i+1] {
				return core[:i] + core[i+1:i+2] + core[i:i+1] + core[i+2:], true
			}
		case 1: // too short
			return core[:i] + core[i+1:], true
		case 2: // the key beside
			const keys = "qwertyuiopasdfghjklzxcvbnm"
			if k := strings.IndexByte(keys, core[i]); k > 0 {
				return core[:i] + keys[k-1:k] + core[i+1:], true
			}
		}
		return core[:i] + core[i:i+1] + core[i:], true // twice
	})
}

// noisy is a sentence with its noise.
type noisy struct {
	labelled
	kind string
}

// noiseOf makes each kind of noise that a sentence can have, and some pairs of
// kinds. It depends on nothing but the sentence.
func noiseOf(l labelled, names []string) []noisy {
	h := fnv.New64a()
	h.Write([]byte(l.text))
	rnd := rand.New(rand.NewPCG(h.Sum64(), 1))
	var out []noisy
	add := func(s *sentence0, kind string) {
		text := s.String()
		if text == l.text || slices.ContainsFunc(out, func(n noisy) bool { return n.text == text }) {
			return
		}
		n := noisy{l, kind}
		n.text = text
		out = append(out, n)
	}
	for _, n := range noises {
		if s := newSentence(l, names); n.make(s, rnd) {
			add(s, n.kind)
		}
	}
	for range 2 {
		s := newSentence(l, names)
		a, b := rnd.IntN(len(noises)), rnd.IntN(len(noises))
		if a != b && noises[a].make(s, rnd) && noises[b].make(s, rnd) {
			add(s, "two of them")
		}
	}
	return out
}

// allNames are the names of an inventory and those they go by, the longest first.
func allNames(inv *Inventory) []string {
	d := inv.Data()
	names := slices.Concat(d.Namespaces, d.Nodes, d.Clusters, d.Alerts, slices.Collect(maps.Keys(d.NamespaceAliases)))
	for _, w := range d.Workloads {
		names = append(append(names, w.Name), w.Aliases...)
	}
	for _, a := range d.Alerts {
		names = append(names, strings.Join(humps(a), "-"))
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	return slices.Compact(names)
}

// humps are the words of "HighErrorRate", in lower case.
func humps(name string) []string {
	return strings.Fields(strings.ToLower(regexp.MustCompile(`[A-Z]`).ReplaceAllString(name, " $0")))
}

// TestNoise holds what speech recognisers, mouths and thumbs may do to the own
// sentences. With -v it prints what went wrong, by kind of noise.
func TestNoise(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	names := allNames(inv)
	tests, never := ownSet(t)
	s := newScores("noise")
	failures := map[string][]string{}
	for _, l := range slices.Concat(tests, never) {
		if written.MatchString(l.text) {
			continue
		}
		if !l.judged(r) {
			s.all.Aside++
			continue
		}
		for _, n := range noiseOf(l, names) {
			got := r.Recognize(n.text, inv, n.open)
			v := judge(r, n.labelled, got)
			s.add(n.kind, v)
			if v.wrong {
				t.Errorf("%s, %s: %q, which was %q, acts: %s %s", n.at, n.kind, n.text, l.text, got.Intent, jsonOf(got.Slots))
			} else if !v.exact {
				failures[n.kind] = append(failures[n.kind], fmt.Sprintf("%s: %q (%s) reads as %s %s ask=%q %v", n.at, n.text, l.intent, got.Intent, jsonOf(got.Slots), got.Ask, got.Candidates))
			}
		}
	}
	if testing.Verbose() {
		for _, kind := range slices.Sorted(maps.Keys(failures)) {
			t.Logf("%s:\n  %s", kind, strings.Join(failures[kind], "\n  "))
		}
	}
	s.report(t)
	if p := percent(s.all.Exact, s.all.N); p < 90 {
		t.Errorf("%.1f %% exact of %d, wants 90 %%", p, s.all.N)
	}
}

// TestNoiseIsNoise holds that the model does what it says, and the same every time.
func TestNoiseIsNoise(t *testing.T) {
	inv := fixture(t)
	names := allNames(inv)
	l := labelled{text: `Please scale the search-api to 25, it's "slow"`, intent: "scale"}
	first, again := noiseOf(l, names), noiseOf(l, names)
	kinds := map[string]bool{}
	for i, n := range first {
		kinds[n.kind] = true
		if n.text == l.text {
			t.Errorf("%s: not changed", n.kind)
		}
		if again[i].text != n.text {
			t.Errorf("%s: %q and then %q", n.kind, n.text, again[i].text)
		}
	}
	for _, want := range []string{"homophone", "dropped word", "doubled word", "split name", "joined name", "digits as words", "punctuation lost", "lower case", "filler", "typing error"} {
		if !kinds[want] {
			t.Errorf("no %s in %v", want, first)
		}
	}
	for in, want := range map[int]string{0: "zero", 17: "seventeen", 40: "forty", 42: "forty two", 100: "one hundred", 250: "two hundred and fifty"} {
		if got := inWords(in); got != want {
			t.Errorf("inWords(%d) = %q, want %q", in, got, want)
		}
	}
	apply := func(text string, do func(*sentence0, *rand.Rand) bool) string {
		s := newSentence(labelled{text: text, intent: "scale"}, names)
		do(s, rand.New(rand.NewPCG(1, 1)))
		return s.String()
	}
	for _, tt := range []struct {
		in, want string
		do       func(*sentence0, *rand.Rand) bool
	}{
		{"scale web to twenty five", "scale web to 25", (*sentence0).figure},
		{"the first one", "the first one", (*sentence0).figure},
		{"deploy web 2.3", "deploy web two point three", (*sentence0).spell},
		{"don't, web's fine.", "dont webs fine", (*sentence0).unpunctuate},
		{"web 5?", "web 5?", (*sentence0).unpunctuate},
		{"should we, bob?", "should we bob", (*sentence0).unpunctuate},
		{"don't do not", "don't do not", (*sentence0).stutter},
		{"restart payments api", "restart paymentsapi", (*sentence0).join},
	} {
		if got := apply(tt.in, tt.do); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := newSentence(labelled{text: "x", slots: map[string]any{"filter": "Connection refused"}}, nil); !got.keep["refused"] {
		t.Error("free text is not kept")
	}
}
