package intents

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNameTokens is how many spoken words a name may take.
const maxNameTokens = 6

// Inventory is the names that exist now, indexed for lookup. It is immutable:
// when the cluster changes, a new one takes its place.
type Inventory struct {
	data       InventoryData
	workloads  nameIndex
	namespaces nameIndex
	nodes      nameIndex
	clusters   nameIndex
	alerts     nameIndex
	containers nameIndex
	tags       nameIndex
}

// NewInventory indexes the names.
func NewInventory(d InventoryData) *Inventory {
	inv := &Inventory{data: d.clone()}
	costs := newSoundCosts()
	indexes := [...]*nameIndex{&inv.workloads, &inv.namespaces, &inv.nodes, &inv.clusters, &inv.alerts, &inv.containers, &inv.tags}
	for _, x := range indexes {
		x.costs = costs
	}
	for _, w := range d.Workloads {
		inv.workloads.add(w.Name, w.Name)
		for _, a := range w.Aliases {
			inv.workloads.add(a, w.Name)
		}
	}
	for _, n := range d.Namespaces {
		inv.namespaces.add(n, n)
	}
	for _, alias := range slices.Sorted(maps.Keys(d.NamespaceAliases)) {
		inv.namespaces.add(alias, d.NamespaceAliases[alias])
	}
	for _, of := range [...]struct {
		index *nameIndex
		names []string
	}{{&inv.nodes, d.Nodes}, {&inv.clusters, d.Clusters}, {&inv.alerts, d.Alerts}, {&inv.containers, d.Containers}, {&inv.tags, d.Tags}} {
		for _, n := range of.names {
			of.index.add(n, n)
		}
	}
	for _, alias := range slices.Sorted(maps.Keys(d.ClusterAliases)) {
		inv.clusters.add(alias, d.ClusterAliases[alias])
	}
	for _, x := range indexes {
		x.sortSounds()
	}
	return inv
}

// Data returns the names the inventory was made of.
func (inv *Inventory) Data() InventoryData {
	if inv == nil {
		return InventoryData{}
	}
	return inv.data.clone()
}

func (d InventoryData) clone() InventoryData {
	d.Clusters = slices.Clone(d.Clusters)
	d.Namespaces = slices.Clone(d.Namespaces)
	d.NamespaceAliases, d.ClusterAliases = maps.Clone(d.NamespaceAliases), maps.Clone(d.ClusterAliases)
	d.Nodes = slices.Clone(d.Nodes)
	d.Alerts, d.Containers, d.Tags = slices.Clone(d.Alerts), slices.Clone(d.Containers), slices.Clone(d.Tags)
	d.Workloads = slices.Clone(d.Workloads)
	for i := range d.Workloads {
		d.Workloads[i].Aliases = slices.Clone(d.Workloads[i].Aliases)
	}
	return d
}

// nameIndex finds canonical names by what people say. Names are squashed: lower
// case without separators, because "web admin", "web-admin" and "webadmin"
// sound the same.
type nameIndex struct {
	exact map[string]int32 // squashed → entry
	names []indexedName
	// byLength keeps a fuzzy search to the names that can be near at all.
	byLength map[int][]int32
	// byFirst and bySecond are the names by length and first or second letter; a
	// name with the same letter first and second is in the first alone.
	byFirst, bySecond map[startKey][]spelled
	starts, opens     letters // first two and first four letters of names
	bySound           map[soundKey][]soundName
	costs             *soundCosts
	maxLen            int
	bySuffix          map[string][]int32 // single words of a name → entries
}

// startKey is a length and a letter at the beginning.
type startKey uint32

func newStartKey(length int, letter byte) startKey { return startKey(length)<<8 | startKey(letter) }

// letters is a set of beginnings of names. One that is not in it may be taken
// for one that is.
type letters [1 << 10]uint64

func (l *letters) add(s string) {
	h := hashed(s)
	l[h>>6] |= 1 << (h & 63)
}

func (l *letters) has(s string) bool {
	h := hashed(s)
	return l[h>>6]&(1<<(h&63)) != 0
}

// hashed makes a number of 16 bits of up to four letters; those of two are all
// different.
func hashed(s string) uint32 {
	h := uint32(0)
	for i := range len(s) {
		h = h<<8 | uint32(s[i])
	}
	if h < 1<<16 {
		return h
	}
	return h * 2654435769 >> 16
}

// spelled is a name with the letters that occur in it, which tell most names
// apart without a look at them.
type spelled struct {
	mask uint64
	name int32
}

type indexedName struct {
	squashed  string
	canonical string
	mask      uint64 // letters that occur
	digits    string
	clash     bool // several canonical names squash to the same
}

func (x *nameIndex) add(said, canonical string) {
	key := squash(said)
	if key == "" || canonical == "" {
		return
	}
	if x.exact == nil {
		x.exact, x.byLength, x.bySuffix, x.bySound = map[string]int32{}, map[int][]int32{}, map[string][]int32{}, map[soundKey][]soundName{}
		x.byFirst, x.bySecond = map[startKey][]spelled{}, map[startKey][]spelled{}
	}
	x.put(key, canonical)
	if w := wordy(said); w != "" {
		x.put(w, canonical)
	}
	if w := abbreviated(said); w != "" {
		if _, taken := x.exact[w]; !taken { // somebody's own name comes first
			x.put(w, canonical)
		}
	}
	i := x.exact[key]
	for part := range strings.FieldsFuncSeq(strings.ToLower(said), isSeparator) {
		if l := x.bySuffix[part]; len(l) == 0 || l[len(l)-1] != i {
			x.bySuffix[part] = append(l, i)
		}
	}
}

func (x *nameIndex) put(key, canonical string) {
	if i, ok := x.exact[key]; ok {
		if x.names[i].canonical != canonical {
			x.names[i].clash = true
		}
		return
	}
	i := int32(len(x.names))
	sound := soundOf(key)
	x.names = append(x.names, indexedName{squashed: key, canonical: canonical, mask: letterMask(key), digits: digitsOf(key)})
	x.starts.add(key[:min(2, len(key))])
	switch {
	case len(key) > 3:
		x.opens.add(key[:4])
	case len(key) == 3:
		x.opens.add(key + "s") // its plural
	}
	first := newStartKey(len(key), key[0])
	x.byFirst[first] = append(x.byFirst[first], spelled{letterMask(key), i})
	if len(key) > 1 && key[1] != key[0] {
		second := newStartKey(len(key), key[1])
		x.bySecond[second] = append(x.bySecond[second], spelled{letterMask(key), i})
	}
	at := newSoundKey(len(sound), firstClass(sound))
	x.bySound[at] = append(x.bySound[at], soundName{sound: sound, counts: countSounds(sound), name: i})
	x.exact[key] = i
	x.byLength[len(key)] = append(x.byLength[len(key)], i)
	x.maxLen = max(x.maxLen, len(key))
}

// wordy is the squashed name with its digits said as words ("redis-2" is heard
// as "redis two"), "" where there are none.
func wordy(said string) string {
	digits := [...]string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
	var b strings.Builder
	found := false
	for _, p := range strings.FieldsFunc(strings.ToLower(said), isSeparator) {
		if len(p) == 1 && isDigit(p[0]) {
			b.WriteString(digits[p[0]-'0'])
			found = true
			continue
		}
		b.WriteString(p)
	}
	if !found {
		return ""
	}
	return b.String()
}

// abbreviated is the squashed name with its words shortened or written out the
// way people do ("auth-svc"), "" where nothing changes.
func abbreviated(said string) string {
	var b strings.Builder
	found := false
	for _, p := range strings.FieldsFunc(strings.ToLower(said), isSeparator) {
		short := p
		switch p {
		case "service":
			short = "svc"
		case "svc":
			short = "service"
		case "database":
			short = "db"
		case "db":
			short = "database"
		case "postgres":
			short = "postgresql"
		case "postgresql":
			short = "postgres"
		}
		found = found || short != p
		b.WriteString(short)
	}
	if !found {
		return ""
	}
	return b.String()
}

// find looks a squashed name up. A name that stands for several is not found:
// it must be asked about.
func (x *nameIndex) find(key string) (string, bool) {
	i, ok := x.exact[key]
	if !ok || x.names[i].clash {
		return "", false
	}
	return x.names[i].canonical, true
}

// begins reports whether a name might begin with the word, by its first letters.
func (x *nameIndex) begins(word string) bool {
	return len(word) < 2 || isSeparator(rune(word[0])) || isSeparator(rune(word[1])) || x.starts.has(string([]byte{lower(word[0]), lower(word[1])}))
}

// goesOn reports whether a name, or its plural, might begin with a squashed key.
func (x *nameIndex) goesOn(key []byte) bool { return len(key) < 4 || x.opens.has(string(key[:4])) }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// plural looks up a name that is said in the plural, or that is one itself.
func (x *nameIndex) plural(key []byte) (string, bool) {
	if n := len(key) - 1; n >= 0 && key[n] == 's' {
		if name, ok := x.find(string(key[:n])); ok {
			return name, true
		}
	}
	if len(key) < 3 {
		return "", false
	}
	return x.find(string(append(key, 's')))
}

// repair finds the one name that key is a misspelling of: one slip in four
// letters or more, two in eight or more. Two names equally near are no repair.
// Digits are never repaired: redis-1 and redis-2 are different things.
func (x *nameIndex) repair(key string) (name string, distance int, ok bool) {
	limit := 0
	switch {
	case len(key) >= 8:
		limit = 2
	case len(key) >= 4:
		limit = 1
	default:
		return "", 0, false
	}
	mask, digits := letterMask(key), digitsOf(key)
	best := limit + 1
	try := func(list []spelled) {
		for _, s := range list {
			if bits.OnesCount64(s.mask^mask) > 2*limit {
				continue
			}
			n := &x.names[s.name]
			if n.digits != digits || min(len(n.squashed), len(key)) < 4 {
				continue
			}
			d := osa(n.squashed, key, min(best, limit))
			switch {
			case d < best:
				best, name, ok = d, n.canonical, !n.clash
			case d == best && n.canonical != name:
				ok = false
			}
		}
	}
	for l := max(2, len(key)-limit); l <= len(key)+limit; l++ {
		// The first letter is rarely mistyped: it is swapped, doubled or lost.
		try(x.byFirst[newStartKey(l, key[0])])
		if key[1] != key[0] {
			try(x.byFirst[newStartKey(l, key[1])])
		}
		try(x.bySecond[newStartKey(l, key[0])])
	}
	return name, best, ok && best <= limit
}

// nearest ranks names for "did you mean": names that share a word, then names
// that are spelled alike.
func (x *nameIndex) nearest(said string, n int) []string {
	key := squash(said)
	if key == "" {
		return nil
	}
	type scored struct {
		name string
		d    int
	}
	best := map[string]int{}
	note := func(i int32, d int) {
		c := x.names[i].canonical
		if old, ok := best[c]; !ok || d < old {
			best[c] = d
		}
	}
	limit := max(2, len(key)/2)
	for l := max(1, len(key)-limit); l <= len(key)+limit; l++ {
		for _, i := range x.byLength[l] {
			if bits.OnesCount64(x.names[i].mask^letterMask(key)) <= 2*limit {
				if d := osa(x.names[i].squashed, key, limit); d <= limit {
					note(i, 2*d)
				}
			}
		}
	}
	for _, part := range strings.FieldsFunc(strings.ToLower(said), isSeparator) {
		for _, i := range x.bySuffix[part] {
			note(i, 3)
		}
	}
	out := make([]scored, 0, len(best))
	for name, d := range best {
		out = append(out, scored{name, d})
	}
	slices.SortFunc(out, func(a, b scored) int { return cmp.Or(cmp.Compare(a.d, b.d), strings.Compare(a.name, b.name)) })
	var names []string
	for _, s := range out[:min(n, len(out))] {
		names = append(names, s.name)
	}
	return names
}

func isSeparator(r rune) bool {
	return unicode.IsSpace(r) || r == '-' || r == '_' || r == '.' || r == '/' || r == ':'
}

// squash removes what is not heard of a name.
func squash(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || (c >= 'A' && c <= 'Z') || isSeparator(rune(c)) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	return strings.Map(func(r rune) rune {
		if isSeparator(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

func letterMask(s string) uint64 {
	var m uint64
	for i := 0; i < len(s); i++ {
		m |= 1 << (s[i] & 63)
	}
	return m
}

func digitsOf(s string) string {
	n := 0
	for i := 0; i < len(s); i++ {
		if isDigit(s[i]) {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	b := make([]byte, 0, n)
	for i := 0; i < len(s); i++ {
		if isDigit(s[i]) {
			b = append(b, s[i])
		}
	}
	return string(b)
}

// osa is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours; limit+1 where it is above limit. The
// Levenshtein library counts a swap as two, which is the commonest slip.
func osa(a, b string, limit int) int {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > limit {
		return limit + 1
	}
	if len(b) > 63 {
		if a == b {
			return 0
		}
		return limit + 1
	}
	var rows [3][64]int
	prev2, prev, cur := &rows[0], &rows[1], &rows[2]
	for j := 0; j <= len(b); j++ {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		lowest := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, prev2[j-2]+1)
			}
			cur[j] = d
			lowest = min(lowest, d)
		}
		if lowest > limit {
			return limit + 1
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return min(prev[len(b)], limit+1)
}
