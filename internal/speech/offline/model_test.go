package offline

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/intents"
)

// small is a grammar of a few sentences: scale NAME to COUNT, yes.
func small() *intents.Grammar {
	return &intents.Grammar{Nodes: []intents.GrammarNode{
		{Arcs: []intents.GrammarArc{{Word: "scale", To: 1}, {Word: "yes", To: 4}}},
		{Arcs: []intents.GrammarArc{{Type: "target", To: 2}}},
		{Arcs: []intents.GrammarArc{{Word: "to", To: 3}}},
		{Arcs: []intents.GrammarArc{{Type: "int", To: 4}}},
		{End: true},
	}}
}

// says reports whether a network has a way for the words.
func (n *network) says(words []string, at int) bool {
	if len(words) == 0 {
		return n.ends[at]
	}
	for _, a := range n.arcs[at] {
		if a.word == words[0] && n.says(words[1:], a.to) {
			return true
		}
	}
	return false
}

// TestNodesAndAlertsAreNames: they are said where a command is about one, and not
// where there are none.
func TestNodesAndAlertsAreNames(t *testing.T) {
	g := &intents.Grammar{Nodes: []intents.GrammarNode{
		{Arcs: []intents.GrammarArc{{Word: "drain", To: 1}, {Word: "acknowledge", To: 2}}},
		{Arcs: []intents.GrammarArc{{Type: "node", To: 3}}},
		{Arcs: []intents.GrammarArc{{Type: "alert", To: 3}}},
		{End: true},
	}}
	n := expand(g, vocabulary{names: [][]string{{"web"}}, nodes: saidName("node-1"), alerts: saidName(apart("HighErrorRate"))})
	for text, want := range map[string]bool{"drain node one": true, "acknowledge high error rate": true, "drain web": false, "drain high error rate": false, "acknowledge node one": false} {
		if got := n.says(strings.Fields(text), 0); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	if n := expand(g, vocabulary{}); n.says([]string{"drain", "node", "one"}, 0) {
		t.Error("a node is said that is not there")
	}
}

func TestNetwork(t *testing.T) {
	n := expand(small(), vocabulary{names: [][]string{{"web"}, {"web", "admin"}, {"payments", "api"}}})
	for text, want := range map[string]bool{
		"scale web to five": true, "scale web admin to twenty five": true, "scale payments api to two": true, "yes": true,
		"scale payments to two": false, "scale api to two": false, "scale web to": false, "yes scale": false,
	} {
		if got := n.says(strings.Fields(text), 0); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	kinds := map[string]int{}
	n.sample(1000, func(words []string) {
		if !n.says(words, 0) {
			t.Errorf("%q is sampled, and not in the grammar", words)
		}
		kinds[words[0]]++
	})
	if kinds["yes"] < 400 || kinds["scale"] < 400 {
		t.Errorf("unevenly sampled: %v", kinds)
	}
	var b bytes.Buffer
	if err := n.writeFSG(&b); err != nil || !strings.Contains(b.String(), "TRANSITION 0 1 1.0 scale\n") || !strings.HasSuffix(b.String(), "FSG_END\n") {
		t.Errorf("%v, %s", err, b.String())
	}
}

// TestTrigram reads the model back: after any two words, what may follow adds up to 1.
func TestTrigram(t *testing.T) {
	m := newTrigram()
	for _, s := range []string{"scale web to five", "scale web to two", "scale cart to five", "yes", "yes please", "restart web"} {
		m.add(strings.Fields(s))
	}
	var b bytes.Buffer
	if err := m.write(&b); err != nil {
		t.Fatal(err)
	}
	p, back := map[string]float64{}, map[string]float64{}
	order := 0
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "\\") && strings.HasSuffix(line, "-grams:") {
			order, _ = strconv.Atoi(line[1:2])
			continue
		}
		f := strings.Fields(line)
		if order == 0 || len(f) <= order {
			continue
		}
		v, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		key := strings.Join(f[1:1+order], " ")
		p[key] = math.Pow(10, v)
		back[key] = 1
		if len(f) > 1+order {
			w, err := strconv.ParseFloat(f[1+order], 64)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			back[key] = math.Pow(10, w)
		}
	}
	two := func(h, w string) float64 {
		if v, ok := p[h+" "+w]; ok {
			return v
		}
		return back[h] * p[w]
	}
	for _, h := range []string{"<s> scale", "scale web", "web to", "<s> yes", "to two"} {
		sum := 0.0
		for w := range m.one {
			_, last, _ := strings.Cut(h, " ")
			if v, ok := p[h+" "+w]; ok {
				sum += v
			} else {
				sum += back[h] * two(last, w)
			}
		}
		if sum < 0.9 || sum > 1.02 { // a part is left for words that were never said
			t.Errorf("after %q the probabilities add up to %.3f", h, sum)
		}
	}
	if p["<s> scale web"] <= p["<s> scale cart"] {
		t.Error("what was said more often is not likelier")
	}
}

func TestArpabet(t *testing.T) {
	for in, want := range map[string]string{
		"p_ˈeɪ_m_ə_n_t_s":   "P EY M AH N T S",
		"ɹ_ˈoʊ_l_aʊ_t":      "R OW L AW T",
		"k_aʊ_ˈɔ_l_s_k_ɪ":   "K AW AO L S K IH",
		"d_ˈʌ_b_əl j_ˌuː":   "D AH B AH L Y UW",
		"tʃ_ɛ_k_ˈaʊ_t":      "CH EH K AW T",
		"☃_ˈ":               "",
		"z_ɔː_ɹ_☃_m_ɪ_t_\n": "Z AO R M IH T",
	} {
		if got := arpabet(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSaidName(t *testing.T) {
	for in, want := range map[string]string{
		"payments-api": "payments api", "worker-2": "worker two", "db-migrate-0042": "db migrate zero zero four two", "web2": "web two", "☃": "", "checkout-7d9f8b6c5d-x2x4z": "checkout",
	} {
		var got string
		if ways := saidName(in); len(ways) > 0 {
			got = strings.Join(ways[0], " ")
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
