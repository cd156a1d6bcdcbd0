package offline

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
)

// vocabulary is what may be said in the place of slots, as words.
type vocabulary struct {
	names  [][]string // of workloads
	places [][]string // namespaces
	nodes  [][]string
	alerts [][]string
}

// said are the ways to say a value of a type; none where it cannot be heard.
func (v vocabulary) said(typ string) [][]string {
	switch typ {
	case "target", "known", "listed":
		return v.names
	case "namespace":
		return v.places
	case "node":
		return v.nodes
	case "alert":
		return v.alerts
	case "int", "less", "number":
		return counts()
	case "percent", "percent_up", "percent_down", "percent_of":
		return following([][]string{{"five"}, {"ten"}, {"twenty"}, {"twenty", "five"}, {"thirty"}, {"forty"}, {"fifty"}, {"seventy", "five"}, {"eighty"}, {"ninety"}, {"a", "hundred"}}, "percent")
	case "version", "vtag":
		return versions(typ == "version")
	case "duration":
		return durations()
	case "period":
		return append(slices.DeleteFunc(durations(), func(w []string) bool { return !strings.HasSuffix(w[len(w)-1], "s") }), []string{"hour"}, []string{"day"}, []string{"week"}, []string{"minute"})
	case "clock", "moment", "hour":
		return clocks()
	case "percentile":
		return [][]string{{"p", "ninety", "nine"}, {"p", "ninety", "five"}, {"p", "fifty"}}
	}
	return nil
}

// hears reports whether there is a way to say a type at all.
func (v vocabulary) hears(typ string) bool { return len(v.said(typ)) > 0 }

func following(all [][]string, w string) [][]string {
	out := make([][]string, 0, len(all))
	for _, s := range all {
		out = append(out, append(slices.Clone(s), w))
	}
	return out
}

func digits() []string {
	return []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"}
}

// counts are one to thirty, and the tens.
func counts() [][]string {
	var out [][]string
	for _, w := range append(digits()[1:], "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety") {
		out = append(out, []string{w})
	}
	return append(out, []string{"twenty", "five"}, []string{"twenty", "four"}, []string{"a", "hundred"}, []string{"one", "hundred"}, []string{"zero"}, []string{"a", "dozen"})
}

// versions are said as "version two point three", "v two", "two ten one".
func versions(bare bool) [][]string {
	out := [][]string{{"latest"}}
	for i, w := range digits() {
		if i > 0 {
			out = append(out, []string{"v", w})
		}
		for k, u := range digits() {
			if k < 11 {
				out = append(out, []string{w, "point", u})
			}
		}
		if bare && i > 0 {
			out = append(out, []string{w})
		}
	}
	return out
}

func durations() [][]string {
	var out [][]string
	for _, n := range []string{"two", "three", "five", "ten", "fifteen", "twenty", "thirty", "forty", "forty five", "ninety"} {
		out = append(out, append(strings.Fields(n), "minutes"))
	}
	for _, n := range []string{"two", "three", "four", "six", "eight", "twelve", "twenty four"} {
		out = append(out, append(strings.Fields(n), "hours"))
	}
	for _, n := range []string{"one minute", "one hour", "an hour", "half an hour", "one day", "two days", "three days", "seven days", "a week", "thirty seconds"} {
		out = append(out, strings.Fields(n))
	}
	return out
}

func clocks() [][]string {
	var out [][]string
	for _, n := range []string{"yesterday", "today", "this morning", "last night", "noon", "midnight", "monday", "friday", "an hour ago"} {
		out = append(out, strings.Fields(n))
	}
	for _, w := range digits()[1:] {
		out = append(out, []string{w, "o'clock"})
	}
	return out
}

// network is a grammar with everything written out: an automaton over words.
type network struct {
	arcs [][]arc // by node; the start is 0
	ends []bool
}

type arc struct {
	word  string
	to    int
	share float64 // of those who come by: all values of a slot together are one word
}

// expand writes out the slots of a grammar. A node's values share the words they
// begin with.
func expand(g *intents.Grammar, v vocabulary) *network {
	n := &network{arcs: make([][]arc, len(g.Nodes)), ends: make([]bool, len(g.Nodes))}
	for i, node := range g.Nodes {
		n.ends[i] = node.End
		for _, a := range node.Arcs {
			if a.Word != "" {
				n.arcs[i] = append(n.arcs[i], arc{a.Word, a.To, 1})
				continue
			}
			begun := map[string]int{}
			values := v.said(a.Type)
			for _, words := range values {
				share := 1 / float64(len(values))
				at := i
				for k, w := range words {
					if k == len(words)-1 {
						n.arcs[at] = append(n.arcs[at], arc{w, a.To, share})
						break
					}
					key := strings.Join(words[:k+1], " ")
					next, ok := begun[key]
					if !ok {
						next = len(n.arcs)
						begun[key] = next
						n.arcs, n.ends = append(n.arcs, nil), append(n.ends, false)
						n.arcs[at] = append(n.arcs[at], arc{w, next, share})
					}
					at = next
				}
			}
		}
	}
	return n
}

// words are all words of the network, sorted.
func (n *network) words() []string {
	seen := map[string]bool{}
	for _, arcs := range n.arcs {
		for _, a := range arcs {
			seen[a.word] = true
		}
	}
	out := make([]string, 0, len(seen))
	for w := range seen {
		out = append(out, w)
	}
	slices.Sort(out)
	return out
}

// writeFSG writes the network as Sphinx reads grammars: what a JSGF is compiled to.
func (n *network) writeFSG(to io.Writer) error {
	w := bufio.NewWriter(to)
	last := len(n.arcs)
	fmt.Fprintf(w, "FSG_BEGIN firstmate\nNUM_STATES %d\nSTART_STATE 0\nFINAL_STATE %d\n", last+1, last)
	for from, arcs := range n.arcs {
		if n.ends[from] {
			fmt.Fprintf(w, "TRANSITION %d %d 1.0\n", from, last)
		}
		for _, a := range arcs {
			fmt.Fprintf(w, "TRANSITION %d %d 1.0 %s\n", from, a.to, a.word)
		}
	}
	fmt.Fprintln(w, "FSG_END")
	return w.Flush()
}

// sample walks through the network: sentences as the grammar has them, always the
// same ones. A sentence ends in half of the places where it may.
func (n *network) sample(count int, each func(words []string)) {
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // it is to be the same each time
	for range count {
		var words []string
		for at := 0; ; {
			arcs := n.arcs[at]
			if len(arcs) == 0 || n.ends[at] && rnd.IntN(2) == 0 {
				break
			}
			a := arcs[pick(arcs, rnd.Float64())]
			words = append(words, a.word)
			at = a.to
		}
		if len(words) > 0 {
			each(words)
		}
	}
}

// pick chooses an arc by its share; at is from 0 to 1.
func pick(arcs []arc, at float64) int {
	total := 0.0
	for _, a := range arcs {
		total += a.share
	}
	at *= total
	for i, a := range arcs {
		if at -= a.share; at < 0 {
			return i
		}
	}
	return len(arcs) - 1
}

// trigram is a language model of sentences: how often words follow two others,
// smoothed as Witten and Bell do.
type trigram struct {
	one   map[string]int
	two   map[[2]string]int
	three map[[3]string]int
	total int
}

const (
	begin  = "<s>"
	finish = "</s>"
)

func newTrigram() *trigram {
	return &trigram{one: map[string]int{}, two: map[[2]string]int{}, three: map[[3]string]int{}}
}

func (m *trigram) add(words []string) {
	all := append(append([]string{begin}, words...), finish)
	for i, w := range all {
		if i > 0 {
			m.one[w]++
			m.total++
			m.two[[2]string{all[i-1], w}]++
		}
		if i > 1 {
			m.three[[3]string{all[i-2], all[i-1], w}]++
		}
	}
}

// write writes the model in ARPA's format.
func (m *trigram) write(to io.Writer) error {
	w := bufio.NewWriter(to)
	// How often, and by how many different words, a history is followed.
	follow1, kinds1 := map[string]int{}, map[string]int{}
	for k, n := range m.two {
		follow1[k[0]] += n
		kinds1[k[0]]++
	}
	follow2, kinds2 := map[[2]string]int{}, map[[2]string]int{}
	for k, n := range m.three {
		h := [2]string{k[0], k[1]}
		follow2[h] += n
		kinds2[h]++
	}
	p1 := func(w string) float64 { return (float64(m.one[w]) + 1) / float64(m.total+len(m.one)+1) }
	back1 := func(h string) float64 { return float64(kinds1[h]) / float64(follow1[h]+kinds1[h]) }
	p2 := func(h, w string) float64 {
		return float64(m.two[[2]string{h, w}])/float64(follow1[h]+kinds1[h]) + back1(h)*p1(w)
	}
	back2 := func(h [2]string) float64 { return float64(kinds2[h]) / float64(follow2[h]+kinds2[h]) }
	log := func(p float64) float64 { return math.Max(-99, math.Log10(p)) }

	fmt.Fprintf(w, "\\data\\\nngram 1=%d\nngram 2=%d\nngram 3=%d\n\n\\1-grams:\n", len(m.one)+1, len(m.two), len(m.three))
	fmt.Fprintf(w, "%.4f %s %.4f\n", -99.0, begin, log(back1(begin)))
	for _, k := range sorted(m.one, strings.Compare) {
		if kinds1[k] == 0 {
			fmt.Fprintf(w, "%.4f %s\n", log(p1(k)), k)
			continue
		}
		fmt.Fprintf(w, "%.4f %s %.4f\n", log(p1(k)), k, log(back1(k)))
	}
	fmt.Fprint(w, "\n\\2-grams:\n")
	for _, k := range sorted(m.two, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		if kinds2[k] == 0 {
			fmt.Fprintf(w, "%.4f %s %s\n", log(p2(k[0], k[1])), k[0], k[1])
			continue
		}
		fmt.Fprintf(w, "%.4f %s %s %.4f\n", log(p2(k[0], k[1])), k[0], k[1], log(back2(k)))
	}
	fmt.Fprint(w, "\n\\3-grams:\n")
	for _, k := range sorted(m.three, func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		h := [2]string{k[0], k[1]}
		p := float64(m.three[k])/float64(follow2[h]+kinds2[h]) + back2(h)*p2(k[1], k[2])
		fmt.Fprintf(w, "%.4f %s %s %s\n", log(p), k[0], k[1], k[2])
	}
	fmt.Fprint(w, "\n\\end\\\n")
	return w.Flush()
}

func sorted[K comparable](m map[K]int, compare func(a, b K) int) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, compare)
	return out
}
