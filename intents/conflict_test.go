package intents

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// slotWords are words for the slot types, taken in turn, so that two slots of one
// type get different values.
var slotWords = map[string][]string{
	"int": {"3", "7"}, "less": {"2"}, "signed": {"+2"}, "number": {"3"}, "times": {"3x"},
	"percent_up": {"50%"}, "percent_down": {"50%"}, "percent_of": {"50%"}, "percent": {"80%"},
	"pinned": {"web:2.1"}, "target": {"web", "checkout"}, "known": {"web", "checkout"}, "listed": {"web", "checkout"},
	"namespace": {"staging", "prod"}, "any_name": {"quux"}, "node": {"node-1"}, "cluster": {"edge"}, "alert": {"HighLatency"}, "any_alert": {"strange noise"},
	"sidecar": {"istio-proxy"}, "pod": {"web-7d9f8b6c5-x2k4q"}, "version": {"2.1", "1.9"}, "vtag": {"v2.1"}, "tag": {"2.1"},
	"image": {"nginx:1.25"}, "ref": {"ghcr.io/acme/web:2.1"}, "image_path": {"acme/api"}, "image_name": {"memcached"}, "container": {"web"},
	"duration": {"15m"}, "period": {"hour"}, "clock": {"15:00"}, "moment": {"yesterday"}, "hour": {"noon"}, "percentile": {"p99"},
	"quoted": {`"connection refused"`}, "phrase": {"timeout"}, "exception": {"TimeoutError"}, "port": {"8080"}, "new_name": {"quux"},
}

// maxSamples bounds the sentences that one template is tried with.
const maxSamples = 150

// samples writes sentences that the template accepts: every alternative and
// every optional part is in one of them at least.
func (r *Recognizer) samples(n *node, d *intentDef, used map[string]int) []string {
	switch n.kind {
	case nodeWord:
		return []string{n.word}
	case nodeFix:
		return []string{""}
	case nodeRule:
		return r.samples(r.c.rules[n.word].node, d, used)
	case nodeSlot:
		typ := n.typ
		if typ == "" {
			typ = d.slots[n.slot].typ
		}
		if list, ok := r.c.lists[typ]; ok {
			return []string{list[0].text}
		}
		words := slotWords[typ]
		if len(words) == 0 {
			return nil
		}
		used[typ]++
		return []string{words[(used[typ]-1)%len(words)]}
	case nodeOpt:
		return append([]string{""}, r.samples(n.kids[0], d, used)...)
	case nodeAlt:
		var out []string
		for _, k := range n.kids {
			out = append(out, r.samples(k, d, maps.Clone(used))...)
		}
		return out
	}
	parts := make([][]string, len(n.kids)) // in sequence; also for any order
	for i, k := range n.kids {
		if parts[i] = r.samples(k, d, used); len(parts[i]) == 0 {
			return nil
		}
	}
	at := func(change, to int) string {
		words := make([]string, len(parts))
		for i := range parts {
			words[i] = parts[i][0]
		}
		if change >= 0 {
			words[change] = parts[change][to]
		}
		return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	}
	out := []string{at(-1, 0)}
	for i := range parts {
		for j := 1; j < len(parts[i]) && len(out) < maxSamples; j++ {
			out = append(out, at(i, j))
		}
	}
	return out
}

// TestTemplatesHaveOneMeaning holds that no two intents accept a sentence
// equally well, and that every template is the reading of a sentence it accepts.
func TestTemplatesHaveOneMeaning(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	n := 0
	for i := range r.a.sentences {
		s := &r.a.sentences[i]
		if s.answer || s.frame != nil {
			continue
		}
		reached, tried := false, 0
		for _, text := range r.samples(s.node, r.c.intents[s.intent], map[string]int{}) {
			if text == "" {
				continue
			}
			n++
			tried++
			readings := r.Explain(text, inv, Expect{}).Readings
			for _, p := range readings {
				if p.At == s.at.String() || p.Intent == s.intent && len(readings) > 0 && p.Cost == readings[0].Cost {
					reached = true
				}
			}
			for _, p := range readings[min(1, len(readings)):] {
				first := readings[0]
				if p.Intent != first.Intent && p.Cost-first.Cost <= margin/2 && (p.At == s.at.String() || first.At == s.at.String()) {
					t.Errorf("%q is %s (%s) and just as well %s (%s)", text, first.Intent, first.At, p.Intent, p.At)
				}
			}
		}
		if !reached && tried > 0 {
			t.Errorf("%s: %s: template %q is never the reading of what it accepts, such as %q", s.at, s.intent, s.text, strings.Join(head(r.samples(s.node, r.c.intents[s.intent], map[string]int{}), 3), `", "`))
		}
	}
	t.Logf("%d sentences of %d templates", n, len(r.a.sentences))
}

func head(list []string, n int) []string { return list[:min(n, len(list))] }

// TestFillers holds that every built-in type that templates use has a filler.
func TestFillers(t *testing.T) {
	r := testRecognizer(t)
	for _, typ := range r.a.types {
		if _, list := r.c.lists[typ]; !list && len(slotWords[typ]) == 0 && typ != "choice" {
			t.Errorf("no filler for type %q", typ)
		}
	}
	for _, typ := range slices.Sorted(maps.Keys(slotWords)) {
		if _, ok := builtinTypes[typ]; !ok {
			t.Errorf("there is no type %q", typ)
		}
	}
}
