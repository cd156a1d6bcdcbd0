package intents

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// bindTypes gives every type of the automaton the code that reads it.
func (r *Recognizer) bindTypes() {
	r.types = map[string]func(*reading, int) []span{
		"int":    func(rd *reading, pos int) []span { return rd.ints(pos, 1) },
		"less":   func(rd *reading, pos int) []span { return rd.ints(pos, -1) },
		"signed": (*reading).signed,
		"number": (*reading).decimal,
		"times":  (*reading).times,
		"percent_up": func(rd *reading, pos int) []span {
			return rd.percent(pos, func(p float64) float64 { return 1 + p/100 })
		},
		"percent_down": func(rd *reading, pos int) []span {
			return rd.percent(pos, func(p float64) float64 { return 1 - p/100 })
		},
		"percent_of": func(rd *reading, pos int) []span { return rd.percent(pos, func(p float64) float64 { return p / 100 }) },
		"percent":    func(rd *reading, pos int) []span { return rd.percent(pos, func(p float64) float64 { return p }) },
		"pinned":     (*reading).pinned,
		"listed":     func(rd *reading, pos int) []span { return rd.targetList(pos, false) },
		"target":     func(rd *reading, pos int) []span { return rd.targetList(pos, true) },
		"known":      func(rd *reading, pos int) []span { return rd.targetList(pos, false) },
		"namespace":  (*reading).namespace,
		"any_name":   (*reading).anyName,
		"node": func(rd *reading, pos int) []span {
			return rd.indexed(pos, func(i *Inventory) *nameIndex { return &i.nodes })
		},
		"version": func(rd *reading, pos int) []span { return rd.versions(pos, false) },
		"vtag":    func(rd *reading, pos int) []span { return rd.versions(pos, true) },
		"tag":     (*reading).tag,
		"image":   (*reading).image,
		"ref":     (*reading).ref, "container": (*reading).container,
		"choice": (*reading).choice,
		"cluster": func(rd *reading, pos int) []span {
			return rd.indexed(pos, func(i *Inventory) *nameIndex { return &i.clusters })
		},
		"alert": (*reading).alert, "any_alert": (*reading).anyAlert, "sidecar": (*reading).sidecar, "pod": (*reading).pod,
		"duration": (*reading).length, "period": (*reading).unitLength, "clock": (*reading).clock,
		"moment":     func(rd *reading, pos int) []span { return rd.moment(pos, false) },
		"hour":       func(rd *reading, pos int) []span { return rd.moment(pos, true) },
		"percentile": (*reading).percentile, "quoted": (*reading).quoted, "exception": (*reading).exception, "port": (*reading).port, "image_path": (*reading).imagePath, "image_name": (*reading).imageName, "phrase": (*reading).phrase, "new_name": (*reading).newName,
	}
	for _, name := range r.a.types {
		fn := r.types[name]
		if t, ok := r.lists[name]; ok {
			fn = func(rd *reading, pos int) []span {
				var out []span
				t.each(rd.tokens, pos, func(end int, v string) { out = append(out, span{end: end, val: v}) })
				return out
			}
		}
		if fn == nil {
			fn = func(*reading, int) []span { return nil }
		}
		r.typeFns = append(r.typeFns, fn)
	}
}

// typed returns the readings of a type at a position, each computed once.
func (rd *reading) typed(typ int32, pos int) []span {
	key := pos*len(rd.r.typeFns) + int(typ)
	if rd.spanGen[key] != rd.parses {
		rd.spanGen[key] = rd.parses
		rd.spans[key] = rd.r.typeFns[typ](rd, pos)
	}
	return rd.spans[key]
}

func (rd *reading) ints(pos, sign int) []span {
	if n, end, ok := rd.r.numeral(rd.tokens, pos); ok {
		return []span{{end: end, val: sign * n}}
	}
	// "to" is two only where a number stands for certain: behind a word that
	// wants one, and before what is counted or the end. "scale web to" and
	// "scale web to pods" lack their number.
	n, ok := rd.r.c.words.homophones[rd.tokens[pos].text]
	if !ok {
		return nil
	}
	behind := pos > 0 && slices.Contains([]string{"to", "two", "too", "by", "add", "remove"}, rd.tokens[pos-1].text)
	ahead := pos+1 < len(rd.tokens) && rd.r.counted[rd.tokens[pos+1].text]
	if behind && (ahead || pos+1 >= len(rd.tokens)) {
		return []span{{end: pos + 1, val: sign * n, cost: costHeard}}
	}
	return nil
}

func (rd *reading) signed(pos int) []span {
	t := rd.tokens[pos].text
	sign := 1
	switch t[0] {
	case '+':
	case '-':
		sign = -1
	default:
		return nil
	}
	if n, err := strconv.Atoi(t[1:]); err == nil && n > 0 && n < 1_000_000 {
		return []span{{end: pos + 1, val: sign * n}}
	}
	return nil
}

func (rd *reading) decimal(pos int) []span {
	if isDigit(rd.tokens[pos].text[0]) {
		if f, err := strconv.ParseFloat(rd.tokens[pos].text, 64); err == nil && f >= 0 && f < 1e9 {
			if f == math.Trunc(f) {
				return []span{{end: pos + 1, val: int(f)}}
			}
			return []span{{end: pos + 1, val: f}}
		}
	}
	n, end, ok := rd.r.numeral(rd.tokens, pos)
	if !ok {
		return nil
	}
	if end+1 < len(rd.tokens) && rd.tokens[end].text == "point" {
		if m, e, ok := rd.r.numeral(rd.tokens, end+1); ok {
			if f, err := strconv.ParseFloat(strconv.Itoa(n)+"."+strconv.Itoa(m), 64); err == nil {
				return []span{{end: e, val: f}}
			}
		}
	}
	if end+2 < len(rd.tokens) && rd.tokens[end].text == "and" && rd.tokens[end+1].text == "a" && rd.tokens[end+2].text == "half" {
		return []span{{end: end + 3, val: float64(n) + 0.5}, {end: end, val: n}}
	}
	return []span{{end: end, val: n}}
}

// times reads "3x" and "x3".
func (rd *reading) times(pos int) []span {
	t := rd.tokens[pos].text
	n := strings.TrimSuffix(t, "x")
	if n == t {
		n = strings.TrimPrefix(t, "x")
	}
	if n == t || n == "" || !isDigit(n[0]) {
		return nil
	}
	f, err := strconv.ParseFloat(n, 64)
	if err != nil || f <= 0 || f > 1000 {
		return nil
	}
	return []span{{end: pos + 1, val: whole(f)}}
}

// percent reads a share and returns it as a factor.
func (rd *reading) percent(pos int, factor func(float64) float64) []span {
	t := rd.tokens[pos].text
	if n, ok := strings.CutSuffix(t, "%"); ok {
		if f, err := strconv.ParseFloat(n, 64); err == nil && f > 0 && f <= 10000 && factor(f) > 0 {
			return []span{{end: pos + 1, val: whole(factor(f))}}
		}
		return nil
	}
	n, end, ok := rd.r.numeral(rd.tokens, pos)
	if !ok || end >= len(rd.tokens) || n <= 0 || factor(float64(n)) <= 0 {
		return nil
	}
	if w := rd.tokens[end].text; w == "percent" || w == "%" {
		return []span{{end: end + 1, val: whole(factor(float64(n)))}}
	}
	return nil
}

// whole keeps numbers without a fraction as ints, as they are said.
func whole(f float64) any {
	f = math.Round(f*1e6) / 1e6
	if f == math.Trunc(f) {
		return int(f)
	}
	return f
}

func (rd *reading) versions(pos int, strong bool) []span {
	t := &rd.tokens[pos]
	if rd.inv != nil && t.whole == "" && !rd.r.vocabulary[t.text] && !rd.sets(pos+1) {
		if tag, ok := rd.inv.tags.find(squash(t.text)); ok && hasWord(tag) { // "deploy blue to web"
			return []span{{end: pos + 1, val: tag, known: true}}
		}
	}
	if bad, sure := isPath(t.text); bad && t.whole == "" && (sure || !strong) && !strings.Contains(t.text, ":") && !isImage(t.text) {
		return []span{{end: pos + 1, val: t.said}}
	}
	v, end, sure, ok := rd.r.version(rd.tokens, pos)
	if !ok || (strong && !sure) || rd.sets(end) {
		return nil
	}
	return []span{{end: end, val: v}}
}

// hasWord reports a tag that is a word rather than a number.
func hasWord(tag string) bool {
	return tag[0] >= 'a' && tag[0] <= 'z' && !(tag[0] == 'v' && len(tag) > 1 && isDigit(tag[1]))
}

// tag takes any word that could be one, because the word before said so.
func (rd *reading) tag(pos int) []span {
	if out := rd.versions(pos, false); out != nil {
		return out
	}
	t, whole := rd.tokens[pos].text, rd.tokens[pos].whole
	if whole != "" || strings.ContainsAny(t, "/") || t[0] == '-' && len(t) > 1 {
		// No tag, and none is cut out of it.
		return []span{{end: pos + 1, val: cmp.Or(whole, rd.tokens[pos].said), cost: 0.02}}
	}
	if !isTag(t) || rd.r.never[t] {
		return nil
	}
	if _, known := rd.r.a.words[t]; known && t != "stable" {
		return nil
	}
	if rd.r.idle[t] || rd.r.filler.next[t] != nil || rd.noise[pos] {
		return nil
	}
	if rd.inv != nil {
		if _, name := rd.inv.workloads.exact[squash(t)]; name {
			return nil
		}
	}
	return []span{{end: pos + 1, val: rd.tokens[pos].said, cost: 0.02}}
}

func (rd *reading) image(pos int) []span {
	t := rd.tokens[pos]
	if !isImage(t.text) || rd.pinned(pos) != nil {
		return nil
	}
	return rd.ref(pos)
}

func (rd *reading) ref(pos int) []span {
	t := rd.tokens[pos]
	if !isImage(t.text) || rd.sets(pos+1) {
		return nil
	}
	return []span{{end: pos + 1, val: cmp.Or(t.whole, t.said)}}
}

// sets reports an equals sign: what is before it gets a value and is none.
func (rd *reading) sets(pos int) bool { return pos < len(rd.tokens) && rd.tokens[pos].text == "=" }

// container takes the word before an equals sign, as it was written.
func (rd *reading) container(pos int) []span {
	t := rd.tokens[pos]
	if t.whole != "" || !rd.sets(pos+1) || !isTag(t.text) {
		return nil
	}
	return []span{{end: pos + 1, val: t.said}}
}

// indexed looks names of other kinds up. Only where none is exact are slips and
// mishearings tried, on single words that mean nothing else.
func (rd *reading) indexed(pos int, of func(*Inventory) *nameIndex) []span {
	if rd.inv == nil {
		return nil
	}
	x := of(rd.inv)
	if x.maxLen == 0 || !rd.loose && !x.begins(rd.tokens[pos].text) {
		return nil
	}
	var out []span
	key := ""
	for end := pos + 1; end <= len(rd.tokens) && end <= pos+4; end++ {
		key += squash(rd.tokens[end-1].text)
		if len(key) > x.maxLen+2 {
			break
		}
		if name, ok := x.find(key); ok {
			out = append(out, span{end: end, val: name, known: true})
		}
	}
	// "note two", "cube system"
	key = squash(rd.tokens[pos].text)
	for end := pos + 2; rd.loose && len(out) == 0 && end <= len(rd.tokens) && end <= pos+3; end++ {
		w := rd.tokens[end-1].text
		if !hasLetter(w) || rd.r.idle[rd.tokens[pos].text] || rd.r.places[w] {
			break
		}
		if key += squash(w); len(key) < 5 || len(key) > x.maxLen+4 {
			continue
		}
		limit := float32(sureSound)
		if rd.r.acting[rd.tokens[pos].text] {
			limit = surelySound
		}
		if near := rd.near(x, key, 2); near.name != "" && near.far <= limit {
			return []span{{end: end, val: near.name, cost: near.cost, known: true}}
		}
	}
	t := rd.tokens[pos].text
	if len(out) > 0 || !rd.loose || rd.r.never[t] || len(t) < 5 || rd.r.isNumberWord(t) {
		return out
	}
	if _, known := rd.r.a.words[t]; known && (pos == 0 || !rd.r.places[rd.tokens[pos-1].text]) {
		return nil
	}
	if near := rd.near(x, squash(t), 1); near.name != "" && near.far <= sureSound {
		return []span{{end: pos + 1, val: near.name, cost: near.cost, known: true}}
	}
	return nil
}

func (rd *reading) namespace(pos int) []span {
	out := rd.indexed(pos, func(i *Inventory) *nameIndex { return &i.namespaces })
	t := rd.tokens[pos].text
	if !rd.r.env[t] || slices.ContainsFunc(out, func(s span) bool { return s.end == pos+1 }) {
		return out
	}
	return append(slices.Clone(out), span{end: pos + 1, val: t})
}

// anyName takes a word that nobody knows where the words around say what it is.
func (rd *reading) anyName(pos int) []span {
	t := rd.tokens[pos]
	if _, known := rd.r.a.words[t.text]; known || rd.r.never[t.text] || !isTag(t.text) || isDigit(t.text[0]) || rd.r.isNumberWord(t.text) {
		return nil
	}
	return []span{{end: pos + 1, val: t.text, cost: 0.2, unsure: rd.inv != nil && rd.inv.namespaces.maxLen > 0}}
}

// choice matches one of the offered answers: by name, by its words, by number.
func (rd *reading) choice(pos int) []span {
	var out []span
	choices := rd.open.Choices
	if len(choices) == 0 {
		return nil
	}
	t := rd.tokens[pos].text
	n, ok := rd.r.c.words.ordinals[t]
	end := pos + 1
	if !ok && len(t) >= 5 {
		for _, w := range [...]string{"first", "second", "third", "fourth", "former", "latter"} {
			if osa(w, t, 1) == 1 {
				n, ok = rd.r.c.words.ordinals[w]
			}
		}
	}
	if !ok {
		n, end, ok = rd.r.numeral(rd.tokens, pos)
	}
	if ok {
		if n < 0 {
			n = len(choices) + 1 + n
		}
		if n >= 1 && n <= len(choices) {
			out = append(out, span{end: end, val: choices[n-1], cost: 0.01})
		}
	}
	key := ""
	for end := pos + 1; end <= len(rd.tokens) && end <= pos+maxNameTokens; end++ {
		key += squash(rd.tokens[end-1].text)
		found, hits := "", 0
		for _, c := range choices {
			if squash(c) == key {
				found, hits = c, 1
				break
			}
			for _, part := range strings.FieldsFunc(strings.ToLower(c), func(r rune) bool { return r == ' ' || r == '/' || r == ',' || r == '(' || r == ')' }) {
				if squash(part) == key {
					found = c
					hits++
					break
				}
			}
		}
		if hits == 0 && rd.inv != nil {
			if ns, ok := rd.inv.namespaces.find(key); ok {
				for _, c := range choices {
					if c == ns || strings.HasPrefix(c, ns+"/") || strings.HasSuffix(c, " "+ns) {
						found = c
						hits++
					}
				}
			}
		}
		if hits == 1 {
			out = append(out, span{end: end, val: found})
		}
	}
	return out
}

// pinned reads "web:1.2" where web is a workload; otherwise it is an image.
func (rd *reading) pinned(pos int) []span {
	t := &rd.tokens[pos]
	left, right, ok := strings.Cut(t.text, ":")
	if !ok || rd.inv == nil || t.whole != "" {
		return nil
	}
	if bad, sure := isPath(right); !isTag(right) && !bad || bad && !sure && strings.Contains(right, "/") {
		return nil // a host with its port, or nothing we know
	}
	_, right, _ = strings.Cut(t.said, ":")
	name, ok := rd.inv.workloads.find(squash(left))
	if !ok {
		return nil
	}
	if len(right) > 1 && (right[0] == 'v' || right[0] == 'V') && isDigit(right[1]) {
		right = right[1:]
	}
	return []span{{end: pos + 1, val: targetVal{names: []string{name}, version: right}}}
}

// alert reads the name of an alert: one of the inventory, however spoken, or a
// word that is written like one.
func (rd *reading) alert(pos int) []span {
	if rd.inv != nil && rd.inv.alerts.maxLen > 0 {
		x := &rd.inv.alerts
		if out := rd.indexed(pos, func(i *Inventory) *nameIndex { return &i.alerts }); len(out) > 0 {
			return out
		}
		// Spoken names are made of common words, so several are tried together.
		key := ""
		var out []span
		for end := pos + 1; rd.loose && end <= len(rd.tokens) && end <= pos+6; end++ {
			w := rd.tokens[end-1].text
			if !hasLetter(w) || w == "alert" || w == "alerts" || end == pos+1 && rd.r.idle[w] {
				break
			}
			if skip := rd.r.filler.longest(rd.tokens, end-1); skip > end-1 && end > pos+1 {
				end = skip
				continue
			}
			if rd.noise[end-1] {
				continue
			}
			if key += squash(w); len(key) < 8 || end == pos+1 && rd.r.lists[listUnit].next[w] != nil {
				continue
			}
			if name, ok := x.find(key); ok {
				out = append(out, span{end: end, val: name, known: true, cost: costFiller})
				continue
			}
			if near := rd.near(x, key, min(end-pos, 3)); near.name != "" {
				out = append(out, span{end: end, val: near.name, cost: near.cost, known: true})
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	if said := rd.tokens[pos].said; isCamel(said) {
		return []span{{end: pos + 1, val: said, known: true}}
	}
	return nil
}

// isCamel reports a name written like HighErrorRate.
func isCamel(s string) bool {
	humps := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			if i+1 < len(s) && s[i+1] >= 'a' && s[i+1] <= 'z' {
				humps++
			}
		case c >= 'a' && c <= 'z', isDigit(c):
		default:
			return false
		}
	}
	return humps >= 2
}

// anyAlert takes words that describe an alert which the inventory lacks.
func (rd *reading) anyAlert(pos int) []span {
	if !slices.ContainsFunc(rd.tokens, func(t token) bool { return strings.HasPrefix(t.text, "alert") || strings.HasPrefix(t.text, "alarm") }) {
		return nil
	}
	var out []span
	for end := pos + 1; end <= len(rd.tokens) && end <= pos+4; end++ {
		w := rd.tokens[end-1].text
		if !hasLetter(w) || rd.r.article.next[w] != nil || w == "alert" || w == "alerts" {
			break
		}
		out = append(out, span{end: end, unsure: rd.inv != nil && rd.inv.alerts.maxLen > 0, val: joinSaid(rd.tokens[pos:end]), cost: 0.14 + 0.02*float32(end-pos)})
	}
	return out
}

// sidecar takes the name of a container behind the word that says it is one.
func (rd *reading) sidecar(pos int) []span {
	if out := rd.indexed(pos, func(i *Inventory) *nameIndex { return &i.containers }); len(out) > 0 {
		return out
	}
	t := rd.tokens[pos]
	if !isTag(t.text) || isNumeral(t.text) || rd.r.idle[t.text] {
		return nil
	}
	return []span{{end: pos + 1, val: t.text, cost: 0.02}}
}

// pod reads the full name of a pod: what its owner is called, and the signs
// that controllers add.
func (rd *reading) pod(pos int) []span {
	t := rd.tokens[pos].text
	t = strings.TrimPrefix(strings.TrimPrefix(t, "pods/"), "pod/")
	if !isTag(t) || strings.ContainsAny(t, "._+") {
		return nil
	}
	if rd.inv != nil {
		if _, ok := rd.inv.workloads.find(squash(t)); ok {
			return nil
		}
	}
	i := strings.LastIndexByte(t, '-')
	if i <= 0 {
		return nil
	}
	head, last := t[:i], t[i+1:]
	if isNumeral(last) && len(last) < 4 { // a StatefulSet's
		if rd.inv != nil {
			if _, ok := rd.inv.workloads.find(squash(head)); ok {
				return []span{{end: pos + 1, val: t, known: true}}
			}
		}
		return nil
	}
	if len(last) != 5 {
		return nil
	}
	known := false
	if rd.inv != nil {
		_, known = rd.inv.workloads.find(squash(head))
		if j := strings.LastIndexByte(head, '-'); !known && j > 0 {
			_, known = rd.inv.workloads.find(squash(head[:j]))
		}
	}
	j := strings.LastIndexByte(head, '-')
	hashed := j > 0 && len(head)-j-1 >= 5 && len(head)-j-1 <= 10 && randomLooking(head[j+1:])
	if randomLooking(last) && (hashed || known) || hashed && known {
		return []span{{end: pos + 1, val: t, known: known}}
	}
	return nil
}

// randomLooking reports the alphabet in which Kubernetes makes suffixes: no
// vowels, no 0, 1 and 3 (k8s.io/apimachinery/pkg/util/rand). Hand-made examples
// are not that strict, so a digit will do as well.
func randomLooking(s string) bool {
	vowel, digit := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isDigit(c):
			digit = true
		case c < 'a' || c > 'z':
			return false
		case strings.IndexByte("aeiou", c) >= 0:
			vowel = true
		}
	}
	return digit || !vowel
}

// percentile reads "p99", "p 99", "99th percentile", "the median".
func (rd *reading) percentile(pos int) []span {
	t := rd.tokens[pos].text
	text := func(i int) string {
		if i < len(rd.tokens) {
			return rd.tokens[i].text
		}
		return ""
	}
	valid := func(f float64) (any, bool) { return whole(f), f > 0 && f < 100 }
	parse := func(s string) (any, bool) {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, false
		}
		if f >= 100 && f < 1000 && !strings.Contains(s, ".") {
			f /= 10 // p999
		}
		return valid(f)
	}
	if body, ok := strings.CutPrefix(t, "p"); ok && body != "" && isDigit(body[0]) {
		if v, ok := parse(body); ok {
			return []span{{end: pos + 1, val: v}}
		}
	}
	if t == "p" || t == "pee" {
		if n, end, ok := rd.r.numeral(rd.tokens, pos+1); ok {
			if v, ok := parse(strconv.Itoa(n)); ok {
				return []span{{end: end, val: v}}
			}
		}
	}
	if t == "median" {
		return []span{{end: pos + 1, val: 50}}
	}
	if !strings.HasSuffix(t, "th") && !isDigit(t[0]) && !rd.r.isNumberWord(t) {
		return nil
	}
	// "99th percentile", "ninety ninth percentile", "95 percentile"
	for end := pos + 1; end <= pos+3 && end < len(rd.tokens); end++ {
		if w := text(end); w != "percentile" && w != "centile" && w != "percentiles" {
			continue
		}
		last := text(end - 1)
		total := 0
		if end-1 > pos {
			n, e, ok := rd.r.numeral(rd.tokens[:end-1], pos)
			if !ok || e != end-1 {
				return nil
			}
			total = n
		}
		switch body := strings.TrimSuffix(last, "th"); {
		case body != "" && isDigit(body[0]):
			if v, ok := parse(strings.TrimRight(body, "stndr")); ok && total == 0 {
				return []span{{end: end + 1, val: v}}
			}
		default:
			if n, ok := rd.ordinal(last); ok {
				if v, ok := valid(float64(total + n)); ok {
					return []span{{end: end + 1, val: v}}
				}
			}
		}
		return nil
	}
	return nil
}

// ordinal reads "ninth", "ninety-fifth", "fiftieth", and plain numbers.
func (rd *reading) ordinal(w string) (int, bool) {
	head, tail := "", w
	if i := strings.LastIndexByte(w, '-'); i > 0 {
		head, tail = w[:i], w[i+1:]
	}
	n, ok := rd.r.c.words.ordinals[tail]
	if !ok {
		n, ok = rd.r.c.words.units[tail]
	}
	if !ok {
		switch cut, isTh := strings.CutSuffix(tail, "th"); {
		case !isTh:
		case strings.HasSuffix(cut, "ie"):
			n, ok = rd.r.c.words.units[strings.TrimSuffix(cut, "ie")+"y"]
		case cut == "nin":
			n, ok = 9, true
		case cut == "fif":
			n, ok = 5, true
		default:
			n, ok = rd.r.c.words.units[cut]
		}
	}
	if !ok || n < 0 {
		return 0, false
	}
	if head != "" {
		tens, found := rd.r.c.words.units[head]
		if !found {
			return 0, false
		}
		n += tens
	}
	return n, true
}

// quoted takes what stands between quotes, as it was written.
func (rd *reading) quoted(pos int) []span {
	q := rd.tokens[pos].quote
	if q == 0 || pos > 0 && rd.tokens[pos-1].quote == q {
		return nil
	}
	end := pos + 1
	for end < len(rd.tokens) && rd.tokens[end].quote == q {
		end++
	}
	if s := rd.verbatim(pos, end); s != "" {
		return []span{{end: end, val: s}}
	}
	return nil
}

// maxPhrase bounds the words of text to search for without quotes.
const maxPhrase = 6

// phrase takes words as they are: the shorter the likelier.
func (rd *reading) phrase(pos int) []span {
	if rd.tokens[pos].quote != 0 {
		return rd.quoted(pos)
	}
	var out []span
	for end := pos + 1; end <= len(rd.tokens) && end <= pos+maxPhrase; end++ {
		t := rd.tokens[end-1]
		if t.text == "," || t.quote != 0 {
			break
		}
		if end == pos+1 && rd.r.idle[t.text] {
			return nil
		}
		out = append(out, span{end: end, val: rd.verbatim(pos, end), cost: 0.01 + 0.025*float32(end-pos)})
	}
	return out
}

// verbatim is the text of the tokens from pos to end as it was written.
func (rd *reading) verbatim(pos, end int) string {
	from, to := rd.tokens[pos].from, rd.tokens[end-1].to
	if to <= from || int(to) > len(rd.text) {
		return joinSaid(rd.tokens[pos:end])
	}
	return strings.Trim(rd.text[from:to], "\"'` .,;!?")
}

// newName takes a name for something that does not exist yet.
func (rd *reading) newName(pos int) []span {
	t := rd.tokens[pos]
	if !isTag(t.text) || strings.ContainsAny(t.text, "._+") || !hasLetter(t.text) || rd.r.idle[t.text] {
		return nil
	}
	cost := float32(0.01)
	if _, known := rd.r.a.words[t.text]; known {
		cost = 0.05
	}
	return []span{{end: pos + 1, val: t.text, cost: cost}}
}

// exception reads the class of an exception: a word written like one, or the
// words of one with "exception" behind.
func (rd *reading) exception(pos int) []span {
	said := rd.tokens[pos].said
	if isCamel(said) {
		for _, suffix := range [...]string{"Error", "Exception", "Fault", "Failure", "Panic", "Timeout"} {
			if strings.HasSuffix(said, suffix) {
				return []span{{end: pos + 1, val: said, known: true}}
			}
		}
		return nil
	}
	var b strings.Builder
	for end := pos + 1; end <= len(rd.tokens) && end <= pos+4; end++ {
		w := rd.tokens[end-1].text
		if !isTag(w) || rd.r.idle[w] || strings.ContainsAny(w, ".-_+") {
			return nil
		}
		if w == "exceptions" {
			w = "exception"
		}
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
		if w == "exception" {
			if end == pos+1 {
				return nil
			}
			return []span{{end: end, val: b.String(), known: true}}
		}
	}
	return nil
}

// port reads a port as it is said: a number, or its digits in ones and pairs.
func (rd *reading) port(pos int) []span {
	digits, end := "", pos
	for end < len(rd.tokens) && len(digits) < 5 {
		t := rd.tokens[end].text
		if t == "oh" || t == "o" {
			if digits == "" {
				break
			}
			digits, end = digits+"0", end+1
			continue
		}
		n, e, ok := rd.r.numeral(rd.tokens, end)
		if !ok || digits != "" && (n > 99 || len(digits) > 3) {
			break
		}
		digits, end = digits+strconv.Itoa(n), e
		if n > 99 {
			break
		}
	}
	if n, err := strconv.Atoi(digits); err == nil && n > 0 && n < 1<<16 {
		return []span{{end: end, val: n}}
	}
	return nil
}

// imagePath reads an image with a folder, which is no namespace of ours.
func (rd *reading) imagePath(pos int) []span {
	t := rd.tokens[pos]
	folder, name, ok := strings.Cut(t.text, "/")
	if !ok || !isTag(folder) || strings.Contains(name, "//") || !isTag(strings.ReplaceAll(name, "/", "-")) || !hasLetter(folder) || !hasLetter(name) {
		return nil
	}
	if rd.inv != nil {
		if _, place := rd.inv.namespaces.exact[squash(folder)]; place {
			return nil
		}
	}
	return []span{{end: pos + 1, val: t.said, cost: 0.01}}
}

// imageName reads the name of an image behind the word that announces one: a
// reference, a path, or a word that is no number.
func (rd *reading) imageName(pos int) []span {
	if out := rd.ref(pos); out != nil {
		return out
	}
	if out := rd.imagePath(pos); out != nil {
		return out
	}
	t := rd.tokens[pos]
	if t.whole != "" || !isTag(t.text) || !hasLetter(t.text) || isDigit(t.text[0]) || rd.r.isNumberWord(t.text) || rd.r.idle[t.text] || rd.r.never[t.text] {
		return nil
	}
	return []span{{end: pos + 1, val: t.said, cost: 0.02}}
}
