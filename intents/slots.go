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
	if f, err := strconv.ParseFloat(rd.tokens[pos].text, 64); err == nil && f >= 0 && f < 1e9 && isDigit(rd.tokens[pos].text[0]) {
		if f == math.Trunc(f) {
			return []span{{end: pos + 1, val: int(f)}}
		}
		return []span{{end: pos + 1, val: f}}
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
	if bad, sure := isPath(t.text); bad && t.whole == "" && (sure || !strong) && !strings.Contains(t.text, ":") && !isImage(t.text) {
		return []span{{end: pos + 1, val: t.said}}
	}
	v, end, sure, ok := rd.r.version(rd.tokens, pos)
	if !ok || (strong && !sure) || rd.sets(end) {
		return nil
	}
	return []span{{end: end, val: v}}
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

// indexed looks names of other kinds up.
func (rd *reading) indexed(pos int, of func(*Inventory) *nameIndex) []span {
	if rd.inv == nil {
		return nil
	}
	x := of(rd.inv)
	var out []span
	key := ""
	for end := pos + 1; end <= len(rd.tokens) && end <= pos+4; end++ {
		key += squash(rd.tokens[end-1].text)
		if len(key) > x.maxLen+2 {
			break
		}
		if name, ok := x.find(key); ok {
			out = append(out, span{end: end, val: name})
		}
	}
	return out
}

func (rd *reading) namespace(pos int) []span {
	out := rd.indexed(pos, func(i *Inventory) *nameIndex { return &i.namespaces })
	if out != nil {
		return out
	}
	t := rd.tokens[pos]
	if rd.r.env[t.text] {
		return []span{{end: pos + 1, val: t.text}}
	}
	if rd.inv == nil || rd.fuzzy >= maxFuzzy || rd.r.never[t.text] || len(t.text) < 5 || rd.r.isNumberWord(t.text) {
		return nil
	}
	if _, known := rd.r.a.words[t.text]; known {
		return nil
	}
	rd.fuzzy++
	if name, d, ok := rd.inv.namespaces.repair(squash(t.text)); ok {
		return []span{{end: pos + 1, val: name, cost: costNameTypo * float32(d)}}
	}
	return nil
}

// anyName takes a word that nobody knows where the words around say what it is.
func (rd *reading) anyName(pos int) []span {
	t := rd.tokens[pos]
	if _, known := rd.r.a.words[t.text]; known || rd.r.never[t.text] || !isTag(t.text) {
		return nil
	}
	return []span{{end: pos + 1, val: t.text, cost: 0.05}}
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
