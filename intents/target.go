package intents

import (
	"slices"
	"strings"
)

// targetList reads one name or several, with articles, kind words and the
// words that join them. Each beginning of the list is a reading of its own.
func (rd *reading) targetList(pos int, unknown bool) []span {
	first := rd.target(pos, unknown)
	out := slices.Clone(first)
	level := first
	for range 7 { // eight names in one breath are enough
		var next []span
		for _, s := range level {
			if s.end >= len(rd.tokens) || !joinable(s) {
				continue
			}
			at := rd.joiner(s.end)
			if at == s.end {
				continue
			}
			have := s.val.(targetVal)
			for _, more := range rd.target(at, unknown) {
				v := more.val.(targetVal)
				if !joinable(more) {
					continue
				}
				if v.namespace != have.namespace && have.namespace != "" {
					continue
				}
				joined := span{end: more.end, cost: s.cost + more.cost, val: targetVal{
					names:     append(slices.Clone(have.names), v.names...),
					unknown:   append(slices.Clone(have.unknown), v.unknown...),
					namespace: v.namespace,
				}}
				next = appendBetter(next, joined)
			}
		}
		if len(next) == 0 {
			break
		}
		for _, s := range next {
			out = appendBetter(out, s)
		}
		level = next
	}
	return out
}

// joinable reports whether a name can be part of a list: "both and cart" lacks
// a name, and everything is not one of several.
func joinable(s span) bool {
	for _, n := range s.val.(targetVal).names {
		if n == TargetAll || strings.HasPrefix(n, "@") {
			return false
		}
	}
	return true
}

// appendBetter keeps one span for each end, the cheapest.
func appendBetter(list []span, s span) []span {
	for i := range list {
		if list[i].end == s.end {
			if s.cost < list[i].cost {
				list[i] = s
			}
			return list
		}
	}
	return append(list, s)
}

// joiner skips ", and" and the like.
func (rd *reading) joiner(pos int) int {
	start := pos
	for pos < len(rd.tokens)-1 && rd.noise[pos] { // "web web and cart"
		pos++
	}
	if rd.tokens[pos].text == "," {
		pos++
	}
	if end := rd.r.and.longest(rd.tokens, pos); end > pos {
		pos = end
	}
	if pos >= len(rd.tokens) || rd.tokens[pos-1].text == rd.tokens[start].text && rd.noise[start] {
		return start
	}
	return pos
}

// target reads one name: "the web deployment", "pods of web", "it".
func (rd *reading) target(pos int, unknown bool) []span {
	if pos >= len(rd.tokens) {
		return nil
	}
	var out []span
	tokens := rd.tokens
	rd.r.targets.each(tokens, pos, func(end int, v string) {
		if end == pos+1 && pos > 0 && rd.r.determiner[tokens[pos-1].text] {
			return // "the it"
		}
		weak := end == pos+1 && (tokens[pos].text == "this" || tokens[pos].text == "that")
		out = appendBetter(out, span{end: end, val: targetVal{names: []string{v}, weak: weak}})
	})
	starts := []int{pos}
	if end := rd.r.article.longest(tokens, pos); end > pos && end < len(tokens) {
		starts = append(starts, end)
	}
	kindAt := -1
	for _, s := range starts {
		if end := rd.r.before.longest(tokens, s); end > s && end < len(tokens) {
			kindAt = len(starts)
			starts = append(starts, end)
			if a := rd.r.article.longest(tokens, end); a > end && a < len(tokens) {
				starts = append(starts, a)
			}
			break
		}
	}
	for i, s := range starts {
		cost := float32(0)
		if kindAt >= 0 && i >= kindAt {
			cost = costKind
		}
		names := rd.name(s)
		for _, n := range names {
			n.cost += cost
			out = appendBetter(out, n)
			if end := rd.r.after.longest(tokens, n.end); end > n.end {
				n.end = end
				n.cost += costKind
				out = appendBetter(out, n)
			}
		}
		if unknown {
			out = rd.unknownName(out, s, cost)
		}
	}
	return out
}

// name looks up the words from pos in the inventory; several lengths may fit.
func (rd *reading) name(pos int) []span {
	if rd.inv == nil {
		return nil
	}
	x := &rd.inv.workloads
	var out []span
	var buf [64]byte
	key := buf[:0]
	begins := x.begins(rd.tokens[pos].text) // most words begin no name
	if !begins && !rd.loose {
		if s, ok := rd.qualified(rd.tokens[pos].text, pos+1); ok {
			return []span{s}
		}
		if s, ok := rd.partOf(x, rd.tokens[pos].text, pos+1); ok {
			out = append(out, s)
		}
		return out
	}
	for end := pos + 1; end <= len(rd.tokens) && end <= pos+maxNameTokens; end++ {
		word := rd.tokens[end-1].text
		if word == "dash" || word == "hyphen" {
			if end == pos+1 {
				break
			}
			continue // "web dash admin"
		}
		if !hasLetter(word) {
			break
		}
		if end == pos+1 {
			if s, ok := rd.qualified(word, end); ok {
				return []span{s}
			}
		}
		key = append(key, squash(word)...)
		if len(key) > x.maxLen+3 {
			break
		}
		begins = begins && x.goesOn(key)
		if begins {
			if name, ok := x.find(string(key)); ok {
				out = append(out, span{end: end, val: targetVal{names: []string{name}}})
				continue
			}
			if name, ok := x.plural(key); ok {
				out = append(out, span{end: end, val: targetVal{names: []string{name}}, cost: costPlural})
				continue
			}
		}
		if rd.loose {
			if s, ok := rd.misspelt(x, pos, end, string(key)); ok {
				out = append(out, s)
				continue
			}
		}
		if end == pos+1 {
			if s, ok := rd.partOf(x, word, end); ok {
				out = append(out, s)
			}
		}
		if !begins && !rd.loose {
			break
		}
	}
	return out
}

// partOf takes a word for the one name that has it as a part: "payments" for
// payments-api. It is a guess.
func (rd *reading) partOf(x *nameIndex, word string, end int) (span, bool) {
	if len(word) < 4 || rd.r.never[word] || rd.r.isNumberWord(word) {
		return span{}, false
	}
	if _, known := rd.r.a.words[word]; known {
		return span{}, false
	}
	name := ""
	for _, i := range x.bySuffix[word] {
		if c := x.names[i].canonical; name == "" {
			name = c
		} else if name != c {
			return span{}, false
		}
	}
	if name == "" {
		return span{}, false
	}
	return span{end: end, val: targetVal{names: []string{name}, guess: word}, cost: costPart}, true
}

// qualified reads "shop/web" as web in shop.
func (rd *reading) qualified(word string, end int) (span, bool) {
	left, right, ok := strings.Cut(word, "/")
	if !ok {
		return span{}, false
	}
	ns, ok := rd.inv.namespaces.find(squash(left))
	if !ok {
		return span{}, false
	}
	name, ok := rd.inv.workloads.find(squash(right))
	if !ok {
		return span{}, false
	}
	return span{end: end, val: targetVal{names: []string{name}, namespace: ns}}, true
}

// misspelt repairs a name, unless all its words mean something by themselves.
func (rd *reading) misspelt(x *nameIndex, pos, end int, key string) (span, bool) {
	if _, node := rd.inv.nodes.exact[key]; node || len(key) < 3 {
		return span{}, false
	}
	named := false // a word of it is a name itself: "web basket" is no other name
	if end-pos > maxHeardWords {
		return span{}, false
	}
	common := false // "post grass": words that mean something by themselves
	for i := pos; i < end; i++ {
		w := rd.tokens[i].text
		if i > pos && i < end-1 {
			continue // "red is cash"
		}
		if i == pos && end-pos >= 3 {
			continue
		}
		if rd.r.never[w] || rd.r.isNumberWord(w) {
			return span{}, false
		}
		if _, exact := x.exact[w]; exact && end > pos+1 {
			named = true
		}
		_, known := rd.r.a.words[w]
		if _, exact := x.exact[w]; exact && end > pos+1 {
			continue // "web admn"
		}
		if known && (i == end-1 || i == pos) {
			if end == pos+1 || rd.r.idle[w] || rd.r.acting[w] && i == pos {
				return span{}, false
			}
			common = true
		}
	}
	// A repair that only cuts off or adds a word whose own name exists would
	// turn "web to" into "web2".
	if end > pos+1 {
		if len(rd.tokens[end-1].text) < 3 || len(rd.tokens[pos].text) < 2 {
			return span{}, false
		}
	}
	furthest := float32(maxSound)
	if common {
		furthest = surelySound
	}
	near := rd.near(x, key, end-pos, furthest)
	if near.name == "" || named && near.far > 0 || common && (near.far > surelySound || near.far == 0 && len(key) < 7) {
		return span{}, false
	}
	v := targetVal{names: []string{near.name}}
	if near.far > sureSound || near.far > 0 && end == pos+1 && len(rd.words[pos]) > 0 {
		v.guess = joinSaid(rd.tokens[pos:end])
	}
	return span{end: end, val: v, cost: near.cost}, true
}

// strange reports a word among those from pos to end that means nothing.
func (rd *reading) strange(pos, end int) bool {
	return rd.strangeIn(rd.tokens[pos:end])
}

// maxHeardWords is how many words one name may have been misheard as.
const maxHeardWords = 4

// strangeIn is strange for tokens that are not read at the moment.
func (rd *reading) strangeIn(tokens []token) bool {
	return slices.ContainsFunc(tokens, func(t token) bool { return !rd.r.vocabulary[t.text] })
}

// nearName is the name that a word was repaired to, "" where there is none.
type nearName struct {
	name string
	cost float32
	far  float32 // of the sound, 0 for a slip of the fingers
}

// near finds the name that key is a misspelling or mishearing of. A sentence is
// read many ways and asks for the same words again and again.
func (rd *reading) near(x *nameIndex, key string, words int, furthest float32) nearName {
	if !rd.loose {
		return nearName{}
	}
	at := nearKey{x, key, furthest}
	if n, ok := rd.nearby[at]; ok {
		return n
	}
	if rd.fuzzy >= maxFuzzy {
		return nearName{}
	}
	rd.fuzzy++
	var n nearName
	if name, d, ok := x.repair(key); ok {
		n = nearName{name: name, cost: costNameTypo * float32(d)}
	} else if words <= 3 {
		if name, far, ok := x.sounds(key, furthest); ok {
			n = nearName{name: name, cost: costNameTypo + 0.4*far, far: far}
		}
	}
	if rd.nearby == nil {
		rd.nearby = map[nearKey]nearName{}
	}
	rd.nearby[at] = n
	return n
}

type nearKey struct {
	x        *nameIndex
	key      string
	furthest float32
}

// surelySound is the same for words that mean something else by themselves.
const surelySound = 0.1

// sureSound is the distance up to which a misheard name may also be written to.
const sureSound = 0.15

// unknownName adds the readings of the words from pos as a name that nobody
// knows. Words with a meaning of their own are none.
func (rd *reading) unknownName(out []span, pos int, cost float32) []span {
	tokens := rd.tokens
	for end := pos + 1; end <= len(tokens) && end <= pos+3; end++ {
		w := tokens[end-1].text
		if !rd.nameable(w) {
			break
		}
		if rd.inv != nil && end-pos <= 2 {
			if _, exists := rd.inv.workloads.exact[w]; exists {
				cost += costSkip // "web web" is likelier anything else than a name
			}
		}
		s := span{end: end, cost: cost + costUnknown + costPerWord*float32(end-pos), val: targetVal{unknown: []string{joinSaid(tokens[pos:end])}}}
		out = appendBetter(out, s)
		if after := rd.r.after.longest(tokens, end); after > end {
			s.end = after
			s.cost += costKind
			out = appendBetter(out, s)
		}
	}
	return out
}

// nameable reports whether a word could be (part of) a name.
func (rd *reading) nameable(w string) bool {
	if !hasLetter(w) || rd.r.never[w] || strings.ContainsAny(w, "@%'\"$") || len(w) > 100 || w[0] == '-' || w[0] == '+' || isDigit(w[0]) || (len(w) > 1 && w[0] == 'v' && isDigit(w[1])) {
		return false
	}
	if bad, _ := isPath(w); bad || rd.r.isNumberWord(w) || isNumeral(w) || isTimes(w) || isOrdinal(w) {
		return false
	}
	if rd.inv != nil {
		if _, isNamespace := rd.inv.namespaces.exact[w]; isNamespace {
			return false // a place without a name in it is no name
		}
	}
	if strings.ContainsAny(w, "-_") && isTag(w) {
		return true // looks like an object's name whatever its words mean
	}
	if _, known := rd.r.a.words[w]; known {
		return false
	}
	return !isImage(w)
}
