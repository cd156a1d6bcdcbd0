package intents

import (
	"slices"
	"strings"
)

// maxSound is the distance, as a share of the longer sound, up to which a name
// may have been misheard. At 0.30 thirty noisy names were told apart with none
// taken for another; 0.26 leaves room for inventories larger than that one.
const maxSound = 0.26

// soundMargin is how much nearer the best name must be than the second.
const soundMargin = 0.08

// soundOf writes a squashed name the way it sounds, in a small alphabet: lower
// case consonants, C for ch, S for sh, T for th, and a, e, o for the vowels.
// English spelling is read by its commonest rules only; what matters is that a
// name and what a recogniser writes for it come out alike.
func soundOf(s string) string {
	var b [64]byte
	n := 0
	put := func(c byte) {
		if n < len(b) && (n == 0 || b[n-1] != c) { // doubled sounds are one
			b[n] = c
			n++
		}
	}
	at := func(i int) byte {
		if i >= 0 && i < len(s) {
			return s[i]
		}
		return 0
	}
	for i := 0; i < len(s); i++ {
		c, next := s[i], at(i+1)
		switch c {
		case 'a':
			put('a')
		case 'e':
			if i == len(s)-1 && n > 1 && !isVowel(at(i-1)) {
				continue // silent
			}
			put('e')
		case 'i':
			if strings.HasPrefix(s[i:], "ight") {
				put('e')
				i += 2
				continue
			}
			put('e')
		case 'y':
			if i == 0 {
				put('y')
			} else {
				put('e')
			}
		case 'o', 'u':
			put('o')
		case 'b', 'd', 'f', 'j', 'l', 'm', 'n', 'r', 'v', 'z':
			put(c)
		case 'p':
			if next == 'h' {
				put('f')
				i++
			} else {
				put('p')
			}
		case 'c':
			switch {
			case next == 'h' && at(i+2) == 'e' && at(i+3) == 0 && n > 0:
				put('S') // cache
				i++
			case next == 'h':
				put('C')
				i++
			case next == 'k':
				put('k')
				i++
			case next == 'e' || next == 'i' || next == 'y':
				put('s')
			default:
				put('k')
			}
		case 'q':
			put('k')
			if next == 'u' {
				put('w')
				i++
			}
		case 'k':
			if i == 0 && next == 'n' {
				continue
			}
			put('k')
		case 'x':
			put('k')
			put('s')
		case 'g':
			switch {
			case next == 'h':
				i++ // night, though
			case next == 'e' || next == 'i' || next == 'y':
				put('j')
			default:
				put('g')
			}
		case 's':
			if next == 'h' {
				put('S')
				i++
			} else if strings.HasPrefix(s[i:], "sion") {
				put('S')
			} else {
				put('s')
			}
		case 't':
			switch {
			case next == 'h':
				put('T')
				i++
			case strings.HasPrefix(s[i:], "tion"):
				put('S')
			case strings.HasPrefix(s[i:], "tch"):
				put('C')
				i += 2
			default:
				put('t')
			}
		case 'w':
			if i == 0 && next == 'r' {
				continue
			}
			if n > 0 && isVowel(b[n-1]) && !isVowel(next) {
				continue // low, new
			}
			put('w')
			if next == 'h' {
				i++
			}
		case 'h':
			if n > 0 && !isVowel(next) {
				continue
			}
			put('h')
		default:
			put(c) // digits
		}
	}
	return string(b[:n])
}

func isVowel(c byte) bool { return c != 0 && strings.IndexByte("aeiouy", c) >= 0 }

// swapCost is what taking one sound for another costs, in hundredths.
func swapCost(a, b byte) int {
	if a == b {
		return 0
	}
	if isVowel(a) && isVowel(b) {
		return 30
	}
	if a > b {
		a, b = b, a
	}
	switch [2]byte{a, b} {
	case [2]byte{'b', 'p'}, [2]byte{'d', 't'}, [2]byte{'g', 'k'}, [2]byte{'f', 'v'}, [2]byte{'s', 'z'}, [2]byte{'C', 'j'}, [2]byte{'C', 'S'}, [2]byte{'m', 'n'}, [2]byte{'S', 's'}:
		return 40
	case [2]byte{'T', 't'}, [2]byte{'T', 'f'}, [2]byte{'T', 's'}, [2]byte{'T', 'd'}, [2]byte{'S', 'j'}, [2]byte{'b', 'v'}, [2]byte{'v', 'w'}, [2]byte{'C', 't'}, [2]byte{'g', 'j'}, [2]byte{'C', 'k'}:
		return 60
	case [2]byte{'l', 'r'}:
		return 70
	}
	if isDigit(a) || isDigit(b) {
		return 1000
	}
	return 100
}

func dropCost(c byte) int {
	switch {
	case isDigit(c):
		return 1000
	case isVowel(c):
		return 40
	case c == 'h' || c == 'w' || c == 'y':
		return 50
	}
	return 100
}

// soundCosts holds swapCost and dropCost for the letters of sounds.
type soundCosts struct {
	swap [128][128]uint16
	drop [128]uint16
}

func newSoundCosts() *soundCosts {
	t := &soundCosts{}
	for a := range 128 {
		t.drop[a] = uint16(dropCost(byte(a)))
		for b := range 128 {
			t.swap[a][b] = uint16(swapCost(byte(a), byte(b)))
		}
	}
	return t
}

// maxSoundEdits bounds the distance in hundredths, however long a name is.
const maxSoundEdits = 200

// maxSoundLen bounds the sounds that are compared.
const maxSoundLen = 40

// soundRows compares one sound with others, one after the other, by the
// weighted edit distance in hundredths of a sound. What a sound has in common
// with the beginning of the one before is not reckoned again.
type soundRows struct {
	costs *soundCosts
	said  string
	rows  [maxSoundLen + 1][maxSoundLen + 1]int32
	good  int // rows that are reckoned
	over  int // the row from which on all is above the limit, 0 for none
}

func (t *soundRows) start(costs *soundCosts, said string) {
	t.costs, t.said = costs, said
	for j := 1; j <= len(said); j++ {
		t.rows[0][j] = t.rows[0][j-1] + int32(costs.drop[said[j-1]&127])
	}
}

// next turns to a sound that begins like the one before in so many places. It
// reports whether that beginning is too far away already.
func (t *soundRows) next(alike int) (over bool) {
	t.good = min(t.good, alike)
	if t.over > t.good {
		t.over = 0
	}
	return t.over > 0
}

// distance is that of the sound that next turned to; above limit, which must not
// grow from one sound to the next, it stops and returns more than limit.
func (t *soundRows) distance(sound string, limit int32) int32 {
	n := len(t.said)
	for i := t.good + 1; i <= len(sound); i++ {
		c := sound[i-1] & 127
		drop, swap := int32(t.costs.drop[c]), &t.costs.swap[c]
		prev, cur := t.rows[i-1][:n+1], t.rows[i][:n+1]
		left := prev[0] + drop
		cur[0] = left
		lowest := left
		for j := 1; j < len(cur); j++ {
			d := t.said[j-1] & 127
			left = min(prev[j-1]+int32(swap[d]), prev[j]+drop, left+int32(t.costs.drop[d]))
			cur[j] = left
			lowest = min(lowest, left)
		}
		t.good = i
		if lowest > limit {
			t.over = i
			return limit + 1
		}
	}
	return t.rows[len(sound)][n]
}

// soundCounts is how often each class of consonants occurs in a sound, and at
// the end any digit. Sounds often taken for one another share a class.
type soundCounts [9]int8

func countSounds(sound string) (n soundCounts) {
	for i := 0; i < len(sound); i++ {
		if class := soundClass(sound[i]); class >= 0 {
			n[class]++
		} else if isDigit(sound[i]) {
			n[8] += int8(sound[i]-'0') + 16
		}
	}
	return n
}

// soundClass groups consonants that are taken for one another; -1 is none.
func soundClass(c byte) int {
	switch c {
	case 'b', 'p', 'v', 'f', 'w':
		return 0
	case 'd', 't', 'T':
		return 1
	case 'g', 'k':
		return 2
	case 's', 'z', 'S', 'C', 'j':
		return 3
	case 'm', 'n':
		return 4
	case 'l', 'r':
		return 5
	}
	return -1
}

// firstClass is the class of the first consonant: what is misheard keeps it.
func firstClass(sound string) int {
	for i := 0; i < len(sound); i++ {
		if class := soundClass(sound[i]); class >= 0 {
			return class
		}
	}
	return -1
}

// soundKey is where names are looked up by sound.
type soundKey uint32

func newSoundKey(length, first int) soundKey { return soundKey(length)<<8 | soundKey(first+1) }

// apart is a lower bound, in whole sounds, of how far two sounds can be apart.
func (n *soundCounts) apart(o *soundCounts) int {
	more, less := 0, 0
	for i := range 6 {
		if d := int(n[i]) - int(o[i]); d > 0 {
			more += d
		} else {
			less -= d
		}
	}
	if n[8] != o[8] {
		return 100
	}
	return max(more, less)
}

// soundName is a name among those that it is looked up with by its sound.
type soundName struct {
	sound  string
	counts soundCounts
	alike  int8 // in how many places it begins like the one before
	name   int32
}

// sortSounds puts names that begin alike next to each other.
func (x *nameIndex) sortSounds() {
	for _, list := range x.bySound {
		slices.SortStableFunc(list, func(a, b soundName) int { return strings.Compare(a.sound, b.sound) })
		for i := 1; i < len(list); i++ {
			a, b := list[i-1].sound, list[i].sound
			for k := 0; k < len(a) && a[k] == b[k]; k++ {
				list[i].alike++
			}
		}
	}
}

// sounds finds the one name that key was misheard for. distance is a share of
// the longer sound. Two names that sound about as near are none.
func (x *nameIndex) sounds(key string, furthest float32) (name string, distance float32, ok bool) {
	said := soundOf(key)
	if len(said) < 3 || len(said) > maxSoundLen {
		return "", 0, false
	}
	counts := countSounds(said)
	best, second := 1000, 1000
	first := firstClass(said)
	var rows soundRows
	rows.start(x.costs, said)
	for l := max(2, len(said)-4); l <= min(len(said)+4, maxSoundLen); l++ {
		longer := max(l, len(said))
		rows.next(0)
		list := x.bySound[newSoundKey(l, first)]
		for i := range list {
			s := &list[i]
			if rows.next(int(s.alike)) {
				continue
			}
			limit := min(int(100*(furthest+soundMargin)*float32(longer))+1, maxSoundEdits, (best+int(100*soundMargin)+1)*longer)
			if s.counts.apart(&counts)*60 > limit {
				continue
			}
			d := int(rows.distance(s.sound, int32(limit)))
			if d > limit {
				continue
			}
			n := &x.names[s.name]
			share := d / longer // hundredths
			switch {
			case n.canonical == name:
				best = min(best, share)
			case share < best:
				best, second, name, ok = share, best, n.canonical, !n.clash
			default:
				second = min(second, share)
			}
		}
	}
	if !ok || float32(best) > 100*furthest || float32(second-best) < 100*soundMargin {
		return "", 0, false
	}
	return name, float32(best) / 100, true
}
