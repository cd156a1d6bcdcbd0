package intents

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Each word of a right sentence is taken away and replaced in turn. The result
// must not be a different act that nobody asks about. What is no different act,
// or one that was said in so many words:
//
//   - same: An article, a courtesy or a kind word may go. "restart web then cart"
//     does what "restart web and cart" does, and reading something else beside the
//     same act is no other act. Asking, offering a choice and reading are no acts.
//   - value: A value in the place of a value of its kind: a name, a number, a
//     version, a place, "all", the direction of a change. Nothing else may change.
//     So for a value of two words that loses one ("twenty five", "search api"):
//     what is left is a whole value, and nobody can hear that it had been longer.
//     A place or a direction that is gone is not let off: the act would go too far,
//     or the other way.
//     A tag, an image and the name of something new can be any word.
//   - added: "staging" in the place of a word without a value says where, a name
//     there is one name more. What was said before stays as it was.
//   - asked: The word that was asked for, or that makes known what was unknown.
//   - role: "by", "to", "up", "more", "version" and the like say what a number is.
//     One in the place of another word gives the same number another part to play.
//     Taking such a word away is not let off: a number that has lost its role is
//     to be asked about, unless it means the same without.
//   - verb: A verb in the place of the verb gives that verb's act on the same
//     things: "pause web" was said, not "restart web".
//   - step: A word of another act makes another step. Every step that acts is one
//     of the sentence's own, or is the act of that word on what was named. A step
//     may be missing where the word that was replaced was its name or its verb, or
//     where the other word makes a question of it: "restart web, cart logs".
//   - idle: A courtesy, an article, a joining word or the word beside it once more
//     adds nothing, nor does a way up or down before "to five". It is as if no
//     word stood there, and what holds for that sentence holds for this one.
//   - heard: "two" is how "to" is heard, and means what "to" would.
//   - terse: A name and a number or a version, and nothing else, is a request as
//     people type it: "web 5", "2.3 of web".
//   - negation: Where "don't" is gone, or a word stands in its place, what is left
//     to hear is the act. Other words that say that nothing is wanted ("should",
//     "if", "told") are not let off: the rest of such a sentence is no request as
//     people make them.
//
// What is left are the exceptions below, each with its reason.

// exception is a mutation that acts and may.
type exception struct {
	said string // the sentence
	word string // that was taken away or replaced, with its place counted from one: "to/3"
	with string // by one of these; "" where it was taken away
	why  string
}

// exceptions are all mutations that act differently for a reason that no rule covers.
func exceptions() []exception {
	const (
		whole   = "what is left is a request of its own, word for word as others make it"
		another = "what stands there now is another request, said in so many words"
		where   = "it says where, in the place of what it said before"
		percent = "a share without a word for what it is a share of is of the cpu"
		selects = "these pods were named"
		noun    = "“deploy checkout” is a Deployment by its name, as kubectl takes it, and what is to be done with it was said"
		heard   = "“two” is how “to” is heard and “for” how “four” is; then it is said to where"
		twice   = "both were said, one after the other, for the same"
		names   = "web cart checkout basket"
	)
	return []exception{
		{"autoscale web between 2 and 10 at 70 percent cpu", "cpu/10", "", percent},
		{"autoscale web up to 8 pods", "autoscale/1", "", whole},
		{"autoscale web up to 8 pods", "autoscale/1", "all", whole},
		{"autoscale web up to 8 pods", "autoscale/1", "deploy", noun},
		{"deploy checkout 2.3", "2.3/3", "restart rollback double", noun},
		{"delete all evicted pods", "evicted/3", names + " everything it them pods", selects},
		{"go two versions back on cart", "back/4", "2.3 latest", heard},
		{"roll cart back two versions", "versions/5", "2.3 latest for", heard},
		{"please deploy version two point three to checkout", "point/5", "and then", twice},
		{"stop restarting web", "restarting/2", "autoscale", another},
		{"one fewer pod for worker", "fewer/2", "", whole},
		{"two more pods for worker please", "more/2", "", whole},
		{"roll out v3 of cart", "out/2", "back", another},
		{"roll out web 1.2 in staging", "out/2", "back", another},
		{"roll out web 1.2 in staging", "roll/1", "back", another},
		{"make it six", "six/3", "restart rollback", another},
		{"no, six", "no/1", names, another},
		{"no, six", "six/2", "undo", another},
		{"please cordon node 1", "please/1", "on", "“on cordon” is how “uncordon” is heard"},
		{"remove one replica from worker", "one/2", "latest oldest all", selects},
		{"remove the silence of HighErrorRate", "remove/1", "create", another},
		{"restart my heart", "heart/3", names, another},
		{"restart the image resizer", "restart/1", "create", another},
		{"restart worker two", "two/3", "staging prod", where},
		{"scale worker two to six", "two/3", "staging prod", where},
		{"scale search api to twenty five", "api/3", "staging prod", where},
		{"scale web to 3 at midnight", "midnight/6", "staging prod", where},
		{"scale cart from 3 to 5", "scale/1", "autoscale", another},
		{"scale worker two to six", "scale/1", "autoscale", another},
		{"show the crashing pods", "show/1", "delete kill", another},
		{"delete the evicted pods", "evicted/3", names, selects},
		{"delete the evicted pods in staging", "evicted/3", names, selects},
	}
}

// replacements are words of all kinds, put in the place of each word.
var replacements = strings.Fields(
	// verbs that write, verbs that read
	"scale restart deploy rollback pause resume promote delete drain cordon uncordon silence acknowledge create autoscale double undo stop kill " +
		"show list check describe " +
		// names, places, numbers and other values
		"web cart checkout basket staging prod node-1 edge HighErrorRate 0 1 3 five ten 50 2.3 half all everything it them latest oldest two " +
		// roles and directions
		"to by from in on of for at with and or then up down more fewer back off " +
		// words that make it no request
		"not don't never if unless should why when without tomorrow yesterday " +
		// kinds of things
		"pods pod namespace version revision replicas node alerts logs minutes percent " +
		// courtesies, and words without any meaning here
		"please the a banana purple frobnicate xyzzy he")

// verbs are the words that stand for an act of their own.
var verbs = map[string][]string{
	"scale": {"scale"}, "restart": {"restart"}, "bounce": {"restart"}, "deploy": {"deploy"}, "rollback": {"rollback"}, "revert": {"rollback"}, "pause": {"pause"}, "hold": {"pause"},
	"resume": {"resume"}, "continue": {"resume"}, "promote": {"promote"}, "delete": {"delete_pod"}, "kill": {"delete_pod"}, "drain": {"drain"}, "cordon": {"cordon"}, "uncordon": {"uncordon"},
	"silence": {"alert_silence"}, "mute": {"alert_silence"}, "unmute": {"alert_unsilence"}, "unsilence": {"alert_unsilence"}, "acknowledge": {"alert_ack"}, "ack": {"alert_ack"},
	"create": {"create"}, "run": {"create", "deploy", "scale"}, "autoscale": {"autoscale"}, "double": {"scale"}, "halve": {"scale"}, "undo": {"rollback", "undo"}, "ship": {"deploy"}, "upgrade": {"deploy"},
	"check": {"status"}, "show": {}, "list": {}, "describe": {"status"}, "graph": {}, "status": {}, "stop": {"pause"}, "cancel": {}, "set": {}, "bring": {}, "order": {},
	// what stands where a verb may stand
	"is": {}, "make": {}, "do": {}, "use": {}, "switch": {}, "turn": {}, "give": {}, "add": {}, "go": {}, "say": {}, "any": {}, "no": {},
}

var (
	// idle are words that add nothing to a sentence, wherever they stand.
	idle = strings.Fields("please the a then and")
	// ways go before a number that is reached: "down to two", "on to 1.4".
	ways = strings.Fields("up down in out on back")
	// openers begin a step that only reads.
	openers   = strings.Fields("pods pod version replicas alerts logs show list check describe why when")
	negations = strings.Fields("don't not never")
	// empty are words that add nothing to what they stand beside.
	empty = strings.Fields("please the a then deploy pod pods replicas alerts")
	// roles say what a number is, or which way it goes.
	roles = strings.Fields("by to from up down more fewer off version revision replicas percent minutes pods pod")
)

// mutant is a sentence with one word gone or replaced.
type mutant struct {
	text    string
	at      int // of the word, from nought
	was, is string
}

func mutants(text string) []mutant {
	words := strings.Fields(text)
	var out []mutant
	for i := range words {
		_, was, _ := cut(words[i])
		if len(words) > 1 {
			out = append(out, mutant{strings.Join(slices.Delete(slices.Clone(words), i, i+1), " "), i, was, ""})
		}
		for _, w := range replacements {
			if strings.EqualFold(w, was) {
				continue
			}
			changed := slices.Clone(words)
			changed[i] = strings.Replace(strings.ToLower(changed[i]), was, w, 1)
			out = append(out, mutant{strings.Join(changed, " "), i, was, w})
		}
	}
	return out
}

// values finds the kind of value that a word is, and what it stands for.
type values struct {
	inv   *Inventory
	parts map[string]bool // words of names
}

func newValues(inv *Inventory) values {
	v := values{inv, map[string]bool{}}
	for _, n := range allNames(inv) {
		for p := range strings.FieldsFuncSeq(strings.ToLower(n), isSeparator) {
			v.parts[p] = true
		}
	}
	return v
}

// kinds of value that a word can be: "name", "number", "place", "direction", "which".
func (v values) kinds(word string) []string {
	var out []string
	d := v.inv.Data()
	in := func(list ...string) bool { return slices.Contains(list, word) }
	for _, k := range []struct {
		name string
		is   bool
	}{
		{"number", isNumber(word) || in(units...) || in(tens...) || in("half", "latest", "an")},
		{"name", in("it", "them", "all", "everything", "both") || v.parts[word] || strings.Contains(word, "-") && !isNumber(word) || strings.EqualFold(word, "HighErrorRate")},
		{"place", in(d.Namespaces...) || d.NamespaceAliases[word] != "" || in(d.Clusters...)},
		{"direction", in("up", "down", "in", "out", "back", "more", "fewer", "off", "double", "halve", "add", "remove", "increase", "on")},
		{"which", in("oldest", "latest", "newest", "evicted", "crashing", "all")},
	} {
		if k.is {
			out = append(out, k.name)
		}
	}
	return out
}

func isNumber(word string) bool {
	_, err := strconv.ParseFloat(strings.TrimPrefix(word, "v"), 64)
	return err == nil
}

// target is what a word names, "" where it names nothing.
func (v values) target(word string) string {
	switch word {
	case "it":
		return TargetIt
	case "them", "both":
		return TargetThem
	case "all", "everything":
		return TargetAll
	}
	for _, w := range v.inv.Data().Workloads {
		if w.Name == word || slices.Contains(w.Aliases, word) {
			return w.Name
		}
	}
	return ""
}

// differ lists the slots in which two deeds differ.
func differ(a, b deed) []string {
	var out []string
	for k, v := range a.slots {
		if !reflect.DeepEqual(b.slots[k], v) {
			out = append(out, k)
		}
	}
	for k := range b.slots {
		if _, ok := a.slots[k]; !ok {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// subset reports whether list holds nothing but what is in of.
func subset(list, of []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(of, s) })
}

// slotsOf are the slots that hold values of a kind.
var slotsOf = map[string][]string{
	"name":      {"target", "node", "alert", "pod", "cluster"},
	"number":    {"replicas", "delta", "factor", "version", "revision", "steps", "min", "max", "percent", "port", "duration", "until", "node", "target"},
	"place":     {"namespace", "from", "to", "cluster"},
	"direction": {"delta", "factor", "enabled"},
	"which":     {"which"},
}

// numbers are the slots a number can go to, as its role is said.
var numbers = slotsOf["number"][:10]

// allowed says which of the rules above lets a mutation act, "" where none does.
func (v values) allowed(r *Recognizer, l labelled, m mutant, got Result) string {
	was, is := deeds(l.intent, l.slots, l.open), deeds(got.Intent, got.Slots, l.open)
	acted, act := writing(r, was), writing(r, is)
	if l.ask != "" {
		acted = nil
	}
	if slices.EqualFunc(acted, act, sameDeed) {
		return "same"
	}
	// Compared deed by deed: what changed, and is there a rule for it?
	if len(acted) == len(act) {
		why := "same"
		for i := range act {
			if !sameDeed(acted[i], act[i]) {
				why = v.changed(acted[i], act[i], m)
			}
			if why == "" {
				break
			}
		}
		if why != "" && why != "same" {
			return why
		}
	}
	// Several names become one, or everything.
	if reflect.DeepEqual(onAnything(acted), onAnything(act)) {
		if slices.Contains(v.kinds(m.was), "name") && (slices.Contains(v.kinds(m.is), "name") || m.is == "") {
			return "value"
		}
		// A name more: all that was there, and the one that was said.
		had := append(targetsOf(acted), v.target(m.is))
		if slices.Sort(had); had[0] == "" { // narrowed to what was said
			had = had[1:]
		}
		if len(had) > 0 && v.target(m.is) != "" && (slices.Equal(slices.Compact(had), targetsOf(act)) || v.target(m.is) == TargetAll && slices.Equal(targetsOf(act), []string{TargetAll})) {
			return "added"
		}
	}
	if len(was) == 1 && len(act) == 1 && l.ask != "" && was[0].intent == act[0].intent {
		if d := differ(was[0], act[0]); subset(d, append([]string{"unknown_target", l.ask, "target"}, numbers...)) && m.is != "" {
			return "asked"
		}
	}
	// A verb in the place of the verb, on the things of the same step, or on "that".
	if starts, ok := verbs[m.is]; ok {
		if _, wasVerb := verbs[m.was]; wasVerb && len(was) == len(is) {
			fits := true
			for i := range is {
				less := true // nothing new but what the verb itself says
				for k, to := range is[i].slots {
					had := was[i].slots[k]
					where := slices.Contains(slotsOf["place"], k) && slices.ContainsFunc(slotsOf["place"], func(p string) bool { return was[i].slots[p] == to })
					less = less && (where || reflect.DeepEqual(had, to) || k == "factor" || k == "target" && (had == nil || had == TargetCluster) && (to == TargetIt || to == TargetThem || to == TargetAll) ||
						slices.Contains(numbers, k) && slices.ContainsFunc(numbers, func(n string) bool { return was[i].text(n) == is[i].text(k) }))
				}
				fits = fits && (sameDeed(was[i], is[i]) || less && (!r.writes(is[i].intent) || slices.Contains(starts, is[i].intent)))
			}
			if fits {
				return "verb"
			}
		}
	}
	if slices.Contains(negations, m.was) && m.at < 3 {
		return "negation"
	}
	if v.steps(r, l, m, got) {
		return "step"
	}
	if len(act) == 1 && len(m.words()) < 4 && slices.Contains(v.kinds(m.is), "number") {
		s := act[0].slots
		if len(s) == 2 && v.target(m.other()) == s["target"] && (act[0].text("replicas") == asDigits(m.is) || act[0].text("version") == m.is) {
			return "terse"
		}
	}
	return ""
}

// words are those of the mutant that are no courtesies.
func (m mutant) words() []string {
	return slices.DeleteFunc(strings.Fields(m.text), func(w string) bool { return w == "please" })
}

// other is the last word that is not the one put in.
func (m mutant) other() string {
	for _, w := range slices.Backward(m.words()) {
		if w != m.is {
			return w
		}
	}
	return ""
}

// asDigits writes a number word in digits.
func asDigits(word string) string {
	if n := slices.Index(units, word); n >= 0 {
		return strconv.Itoa(n)
	}
	return word
}

// steps reports whether each step that acts is one of the sentence's own or
// that of the word put in, and what is missing was that of the word replaced.
func (v values) steps(r *Recognizer, l labelled, m mutant, got Result) bool {
	_, verb := verbs[m.is]
	if m.is == "" || got.Intent != "chain" && !verb && !slices.Contains(idle, m.is) {
		return false
	}
	was := deeds(l.intent, l.slots, l.open)
	acted, act := writing(r, was), writing(r, deeds(got.Intent, got.Slots, l.open))
	named := append(targetsOf(was), "", TargetIt, TargetThem)
	said := func(value any) bool {
		return slices.ContainsFunc(was, func(d deed) bool {
			for slot := range d.slots {
				if d.text(slot) == fmt.Sprint(value) {
					return true
				}
			}
			return false
		})
	}
	// same also where nothing but the value that was replaced is gone.
	same := func(a deed) func(deed) bool {
		return func(d deed) bool {
			gone := mutant{at: m.at, was: m.was}
			return sameDeed(a, d) || len(a.slots) < len(d.slots) && v.changed(d, a, gone) == "value"
		}
	}
	for _, a := range act {
		if slices.ContainsFunc(acted, same(a)) {
			continue
		}
		if !slices.Contains(verbs[m.is], a.intent) || !slices.Contains(named, a.text("target")) {
			return false
		}
		for slot, value := range a.slots {
			if slot != "target" && slot != "factor" && !said(value) {
				return false
			}
		}
	}
	reads := got.Intent == "chain" && slices.Contains(openers, m.is)
	for _, d := range acted {
		if slices.ContainsFunc(act, func(a deed) bool {
			return same(a)(d) || got.Intent == "chain" && slices.Contains(verbs[m.is], a.intent) && a.text("target") == d.text("target")
		}) {
			continue
		}
		mine := v.target(m.was) == d.text("target") || slices.Contains(verbs[m.was], d.intent)
		if !reads && (!mine || !verb && !slices.Contains(idle, m.is)) {
			return false
		}
	}
	return true
}

// why names the rule that lets a mutant act, or the exception, -1 where there is
// none of them.
func (v values) why(r *Recognizer, listed []exception, l labelled, m mutant, got Result) (rule string, except int) {
	if rule := v.allowed(r, l, m, got); rule != "" {
		return rule, -1
	}
	key := fmt.Sprintf("%s/%d", m.was, m.at+1)
	for i, e := range listed {
		if e.said == l.text && e.word == key && (e.with == m.is || slices.Contains(strings.Fields(e.with), m.is)) {
			return "", i
		}
	}
	if m.is == "" {
		return "", -1
	}
	act := writing(r, deeds(got.Intent, got.Slots, l.open))
	// like compares with what another sentence does, and asks for its rule.
	like := func(o mutant, change func(deed) deed) bool {
		res := r.Recognize(o.text, v.inv, l.open)
		if !acts(r, res, l.open) || !slices.EqualFunc(writing(r, deeds(res.Intent, res.Slots, l.open)), act, func(a, b deed) bool { return sameDeed(a, b) || sameDeed(a, change(b)) }) {
			return false
		}
		rule, except := v.why(r, listed, l, o, res)
		return rule != "" || except >= 0
	}
	as := func(d deed) deed { return d }
	words := strings.Fields(l.text)
	without := func(n int) mutant {
		rest := slices.Delete(slices.Clone(words), m.at, min(m.at+n, len(words)))
		return mutant{strings.Join(rest, " "), m.at, m.was, ""}
	}
	beside := func(at int) string {
		if at < 0 || at >= len(words) {
			return ""
		}
		_, w, _ := cut(words[at])
		return strings.ToLower(w)
	}
	before, after := beside(m.at-1), beside(m.at+1)
	way := slices.Contains(ways, m.is) && after == "to"
	if slices.Contains(idle, m.is) || m.is == before || m.is == after || way {
		if like(without(1), as) {
			return "idle", -1
		}
	}
	if m.is == "two" {
		if like(mutant{strings.Join(slices.Replace(slices.Clone(words), m.at, m.at+1, "to"), " "), m.at, m.was, "to"}, as) {
			return "heard", -1
		}
	}
	// A place, or the number of a name, beside what is done without it.
	kinds := v.kinds(m.is)
	if slices.Contains(kinds, "place") && like(without(1), func(d deed) deed {
		d.slots = maps.Clone(d.slots)
		delete(d.slots, "namespace")
		return d
	}) {
		return "added", -1
	}
	if slices.Contains(kinds, "number") && like(without(1), func(d deed) deed {
		d.slots = maps.Clone(d.slots)
		d.slots["target"] = strings.TrimSuffix(d.text("target"), "-"+asDigits(m.is))
		return d
	}) {
		return "added", -1
	}
	// "namespace" says that the word behind it is a place, and nothing else.
	if m.is == "namespace" && len(act) > 0 && !slices.ContainsFunc(act, func(d deed) bool { return d.text("namespace") != after }) {
		res := r.Recognize(without(2).text, v.inv, l.open)
		if slices.EqualFunc(writing(r, deeds(res.Intent, res.Slots, l.open)), act, func(a, b deed) bool {
			b.slots = maps.Clone(b.slots)
			delete(b.slots, "namespace")
			return sameDeed(a, b)
		}) {
			return "role", -1
		}
	}
	return "", -1
}

// changed names the rule by which a deed may differ from what it was, "" where
// there is none.
func (v values) changed(was, is deed, m mutant) string {
	d := differ(was, is)
	before, now := v.kinds(m.was), v.kinds(m.is)
	both := func(kind string) bool {
		switch {
		case !slices.Contains(before, kind):
			return false
		case slices.Contains(now, kind):
			return true
		case kind == "direction" || kind == "place":
			return false // gone, a change might go the other way, or too far
		case m.is == "", slices.Contains(empty, m.is): // gone, or as good as gone
			return true
		case kind == "number":
			return slices.Contains([]string{"to", "for", "a", "two"}, m.is) // heard for numbers
		case kind == "name":
			return slices.Contains(roles, m.is) // half of a name gave way to "up"
		}
		return false
	}
	said := asDigits(m.is)
	if was.intent != is.intent {
		// "web to 2.3" is no count, "web version 5" is none either.
		if subset(d, numbers) && (slices.Contains(before, "number") && (strings.Contains(m.is, ".") || m.is == "latest") || slices.Contains(roles, m.is)) {
			return "role"
		}
		return ""
	}
	if subset(d, []string{"image", "version"}) && is.text("version") == said {
		return "value"
	}
	if subset(d, []string{"name"}) && was.text("name") == m.was && slices.Contains(empty, m.is) {
		return "value" // without a name of its own
	}
	for _, free := range []string{"version", "image", "name", "pod", "query", "filter"} {
		if subset(d, []string{free}) && strings.EqualFold(is.text(free), m.is) {
			return "value"
		}
	}
	// An alert that nobody knows is as it was said, and nothing can come of it.
	if subset(d, []string{"alert"}) && strings.Contains(strings.ToLower(m.text), strings.ToLower(is.text("alert"))) {
		return "value"
	}
	for kind, in := range slotsOf {
		alone := len(d) == 1 || kind != "number" || !slices.Contains(d, "target") && !slices.Contains(d, "node") // "worker two" and its count are two values
		if both(kind) && alone && subset(d, in) {
			return "value"
		}
	}
	isPlace := slices.Contains(now, "place")
	switch {
	case isPlace && slices.Contains(before, "name") && subset(d, []string{"namespace", "target"}) && (is.slots["target"] == nil || is.slots["target"] == TargetAll) && was.slots["namespace"] == nil:
		return "value" // what it was in, now where
	case slices.Contains(now, "number") && slices.Contains(before, "name") && subset(d, []string{"node"}) && strings.HasSuffix(is.text("node"), "-"+said):
		return "value"
	case isPlace && subset(d, []string{"namespace"}) && was.slots["namespace"] == nil:
		return "added"
	case slices.Contains(before, "place") && subset(d, []string{"namespace", "target"}) && was.slots["target"] == nil && is.text("target") == v.target(m.is):
		return "value" // where it was, now in what
	case slices.Contains(now, "number") && len(d) == 1 && was.slots[d[0]] == nil && is.text(d[0]) == said:
		return "added"
	case slices.Contains(now, "place") && len(d) == 1 && was.slots[d[0]] == nil && (is.text(d[0]) == m.is || d[0] == "target"):
		return "added"
	case slices.Contains([]string{"from", "to", "in", "of", "off", "on"}, m.is) && subset(d, slotsOf["place"]):
		return "role" // from where, and to where
	case m.is != "" && slices.Contains(roles, m.is) && subset(d, append([]string{"duration"}, numbers...)):
		return "role"
	}
	return ""
}

// targetsOf lists what is acted on, sorted.
func targetsOf(ds []deed) []string {
	var out []string
	for _, d := range ds {
		out = append(out, d.text("target"))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (d deed) text(slot string) string { return Slots(d.slots).String(slot) }

// onAnything is what is done, whatever it is done to.
func onAnything(ds []deed) []deed {
	var out []deed
	for _, d := range ds {
		m := maps.Clone(d.slots)
		delete(m, "target")
		out = append(out, deed{d.intent, m})
	}
	return slices.CompactFunc(out, sameDeed)
}

// mutated is what `make bench` reads of the mutation check.
type mutated struct {
	Set        string `json:"set"`
	Sentences  int    `json:"sentences"` // that are read right
	NotRight   int    `json:"notRight"`
	Mutants    int    `json:"mutants"`
	Act        int    `json:"act"` // mutants that act without asking
	Exceptions int    `json:"exceptions"`
	Wrong      int    `json:"wrong"`
	// Rules counts those that a rule lets act.
	Rules map[string]int `json:"rules"`
}

// TestMutations holds that one word more or less never makes a different act
// of a sentence that was read right.
func TestMutations(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	v := newValues(inv)
	listed := exceptions()
	used := map[string]bool{} // exception and word
	tests, _ := sentences("testdata/mutation.yaml", readTests(t, "testdata/mutation.yaml"))
	n := mutated{Set: "mutation", Rules: map[string]int{}}
	present := map[string]bool{} // sentences that were mutated
	left := map[string][]string{}
	for _, l := range tests {
		if !l.judged(r) || !judge(r, l, r.Recognize(l.text, inv, l.open)).exact {
			n.NotRight++
			if l.judged(r) {
				t.Logf("%s: %q is not read right and not mutated", l.at, l.text)
			}
			continue
		}
		n.Sentences++
		present[l.text] = true
		for _, m := range mutants(l.text) {
			n.Mutants++
			got := r.Recognize(m.text, inv, l.open)
			if !acts(r, got, l.open) {
				continue
			}
			n.Act++
			rule, i := v.why(r, listed, l, m, got)
			if rule != "" {
				n.Rules[rule]++
				continue
			}
			if i >= 0 {
				used[fmt.Sprint(i, m.is)] = true
				n.Exceptions++
				continue
			}
			n.Wrong++
			what := fmt.Sprintf("%s without %q", l.text, m.was)
			if m.is != "" {
				what = fmt.Sprintf("%s with something for \"%s/%d\"", l.text, m.was, m.at+1)
			}
			left[what] = append(left[what], fmt.Sprintf("%q: %s %s", m.text, got.Intent, jsonOf(got.Slots)))
		}
	}
	for _, what := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("%s:\n  %s", what, strings.Join(left[what], "\n  "))
	}
	for i, e := range listed {
		if e.why == "" {
			t.Errorf("the exception %q, %s has no reason", e.said, e.word)
		}
		for _, w := range append(strings.Fields(e.with), "")[:max(1, len(strings.Fields(e.with)))] {
			if !used[fmt.Sprint(i, w)] && present[e.said] {
				t.Errorf("the exception %q, %s → %q does not occur any more", e.said, e.word, w)
			}
		}
	}
	t.Logf("%+v", n)
	attr(t, n)
	if n.Sentences < 200 && len(missing(r)) == 0 {
		t.Errorf("%d sentences are read right, wants 200", n.Sentences)
	}
}

// TestMutationRules holds that the rules let off what was said, and nothing else.
func TestMutationRules(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	v := newValues(inv)
	web := []any{"web"}
	scale := labelled{text: "scale web down by 2", intent: "scale", slots: map[string]any{"targets": web, "delta": -2}}
	restart := labelled{text: "restart web and cart", intent: "restart", slots: map[string]any{"targets": []any{"web", "cart"}}}
	placed := labelled{text: "restart web in staging", intent: "restart", slots: map[string]any{"targets": web, "namespace": "staging"}}
	asked := labelled{text: "should I restart web", intent: OutOfScope}
	act := func(intent string, slots Slots) Result { return Result{Intent: intent, Slots: slots} }
	on := func(names ...string) []string { return names }
	for _, tt := range []struct {
		of   labelled
		word string // "was/is"
		got  Result
		rule string
	}{
		{scale, "2/5", act("scale", Slots{"targets": on("web"), "delta": -5}), "value"},
		{scale, "down/up", act("scale", Slots{"targets": on("web"), "delta": 2}), "value"},
		{scale, "down/", act("scale", Slots{"targets": on("web"), "delta": 2}), ""},
		{scale, "down/purple", act("scale", Slots{"targets": on("web"), "delta": 2}), ""},
		{scale, "by/to", act("scale", Slots{"targets": on("web"), "replicas": 2}), "role"},
		{scale, "by/", act("scale", Slots{"targets": on("web"), "replicas": 2}), ""},
		{scale, "web/cart", act("scale", Slots{"targets": on("cart"), "delta": -2}), "value"},
		{scale, "down/purple", act("scale", Slots{"targets": on("cart"), "delta": -2}), ""},
		{scale, "2/5", act("scale", Slots{"targets": on("cart"), "delta": -5}), ""},
		{restart, "restart/pause", act("pause", Slots{"targets": on("web", "cart")}), "verb"},
		{restart, "restart/purple", act("pause", Slots{"targets": on("web", "cart")}), ""},
		{restart, "restart/pause", act("delete_pod", Slots{"targets": on("web", "cart")}), ""},
		{restart, "and/purple", act("restart", Slots{"targets": on("web")}), ""},
		{restart, "and/", act("restart", Slots{"targets": on("cart")}), ""},
		{restart, "cart/undo", act("chain", Slots{"steps": []Intent{{Name: "restart", Slots: Slots{"targets": on("web")}}, {Name: "undo", Slots: Slots{}}}}), "step"},
		{restart, "cart/purple", act("chain", Slots{"steps": []Intent{{Name: "restart", Slots: Slots{"targets": on("web")}}, {Name: "undo", Slots: Slots{}}}}), ""},
		{placed, "in/of", act("restart", Slots{"targets": on("web"), "namespace": "staging"}), "same"},
		{placed, "staging/prod", act("restart", Slots{"targets": on("web"), "namespace": "prod"}), "value"},
		{placed, "staging/", act("restart", Slots{"targets": on("web")}), ""},
		{asked, "should/please", act("restart", Slots{"targets": on("web")}), ""},
		{asked, "should/", act("restart", Slots{"targets": on("web")}), ""},
	} {
		was, is, _ := strings.Cut(tt.word, "/")
		m := mutant{at: slices.Index(strings.Fields(tt.of.text), was), was: was, is: is}
		m.text = strings.Join(strings.Fields(strings.Replace(tt.of.text, was, is, 1)), " ")
		if rule := v.allowed(r, tt.of, m, tt.got); rule != tt.rule {
			t.Errorf("%q for %q: rule %q, want %q", m.text, tt.of.text, rule, tt.rule)
		}
	}
}
