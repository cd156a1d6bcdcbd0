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
	var buf [64]byte
	said := buf[:0]
	for end := pos + 1; end <= len(rd.tokens) && end <= pos+4; end++ {
		said = append(said, squash(rd.tokens[end-1].text)...)
		if len(said) > x.maxLen+2 || !x.goesOn(said) {
			break
		}
		if name, ok := x.find(string(said)); ok {
			out = append(out, span{end: end, val: name, known: true})
		}
	}
	if x != &rd.inv.clusters {
		if _, cluster := rd.inv.clusters.exact[squash(rd.tokens[pos].text)]; cluster {
			return out // "prod-eu" is that cluster, and no slip of the namespace prod
		}
	} else if _, namespace := rd.inv.namespaces.exact[squash(rd.tokens[pos].text)]; namespace {
		return out // nor is "prod a" one of the cluster prod-eu
	}
	// "note two", "cube system"
	key := squash(rd.tokens[pos].text)
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
		if near := rd.near(x, key, 2, sureSound); near.name != "" && near.far <= limit {
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
	if near := rd.near(x, squash(t), 1, sureSound); near.name != "" && near.far <= sureSound {
		return []span{{end: pos + 1, val: near.name, cost: near.cost, known: true}}
	}
	return nil
}

func (rd *reading) namespace(pos int) []span {
	out := rd.indexed(pos, func(i *Inventory) *nameIndex { return &i.namespaces })
	t := rd.tokens[pos].text
	if rd.inv != nil {
		if _, cluster := rd.inv.clusters.exact[squash(t)]; cluster {
			return out // "in prod" where prod is a cluster, and no namespace that we know
		}
	}
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
