package intents

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The cluster of the measurements: 5,000 workloads in 500 namespaces, with
// names as clusters have them, beside those of the test sentences.
const (
	manyWorkloads  = 5000
	manyNamespaces = 500
)

// manyNames is that cluster.
func manyNames(t testing.TB) InventoryData {
	d := fixture(t).Data()
	first := []string{"checkout", "payments", "search", "inventory", "catalog", "billing", "auth", "session", "gateway", "media", "report", "ledger",
		"pricing", "shipping", "fraud", "loyalty", "recommendation", "notification", "identity", "consent"}
	second := []string{"api", "worker", "web", "cache", "proxy", "sync", "index", "admin", "cron", "stream", "exporter", "gateway"}
	teams := []string{"atlas", "borealis", "cobalt", "delta", "ember", "falcon", "granite", "harbor", "indigo", "juniper", "krypton", "lagoon"}
	stages := []string{"dev", "qa", "staging", "prod", "canary"}
	for i := 0; len(d.Namespaces) < manyNamespaces; i++ {
		ns := teams[i%len(teams)] + "-" + stages[i/len(teams)%len(stages)]
		if k := i / len(teams) / len(stages); k > 0 {
			ns += fmt.Sprintf("-%d", k+1)
		}
		d.Namespaces = append(d.Namespaces, ns)
	}
	for i := 0; len(d.Workloads) < manyWorkloads; i++ {
		name := first[i%len(first)] + "-" + second[i/len(first)%len(second)]
		if k := i / len(first) / len(second); k > 0 {
			name = teams[k%len(teams)] + "-" + name
			if k >= len(teams) {
				name += fmt.Sprintf("-v%d", k/len(teams)+1)
			}
		}
		d.Workloads = append(d.Workloads, Workload{Name: name, Namespace: d.Namespaces[i%len(d.Namespaces)], Kind: "Deployment"})
	}
	return d
}

// mix is every own sentence; in every other one the names of the fixture give
// way to names of the large cluster, said with blanks or hyphens.
func mix(t testing.TB, inv *Inventory) []labelled {
	tests, never := ownSet(t)
	all := slices.Concat(tests, never)
	known := regexp.MustCompile(`\b(web|cart|checkout|search|worker|frontend)\b`)
	large := inv.Data().Workloads
	for i := range all {
		if i%2 == 0 {
			continue
		}
		n := 0
		all[i].text = known.ReplaceAllStringFunc(all[i].text, func(string) string {
			n++
			name := large[(i*7919+n*31)%len(large)].Name
			if i%4 == 1 {
				return strings.ReplaceAll(name, "-", " ")
			}
			return name
		})
	}
	return all
}

// BenchmarkMix is what serving costs: the sentences of all intents in a large
// cluster, one after the other on one core. The quiet metrics take each sentence
// at its fastest, which other work on the machine disturbs least; p99-ns and
// sentences/s are everything that happened, garbage collection included.
func BenchmarkMix(b *testing.B) {
	r, inv := testRecognizer(b), NewInventory(manyNames(b))
	all := mix(b, inv)
	took := make([]time.Duration, 0, 1<<20)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l := all[i%len(all)]
		begun := time.Now()
		r.Recognize(l.text, inv, l.open)
		took = append(took, time.Since(begun))
	}
	b.StopTimer()
	best := slices.Clone(took[:min(len(took), len(all))])
	for i, d := range took {
		best[i%len(all)] = min(best[i%len(all)], d)
	}
	if testing.Verbose() { // which of them are slow
		order := make([]int, len(best))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int { return cmp.Compare(best[j], best[i]) })
		for _, i := range order[:min(30, len(order))] {
			b.Logf("%v: %q", best[i], all[i].text)
		}
	}
	total := time.Duration(0)
	for _, d := range best {
		total += d
	}
	p := func(d []time.Duration, percent int) float64 { return float64(d[len(d)*percent/100].Nanoseconds()) }
	slices.Sort(took)
	b.ReportMetric(p(took, 50), "p50-ns")
	b.ReportMetric(p(took, 99), "p99-ns")
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "sentences/s")
	b.ReportMetric(float64(len(best))/total.Seconds(), "quiet-sentences/s")
	slices.Sort(best)
	b.ReportMetric(p(best, 99), "quiet-p99-ns")
}

func benchmark(b *testing.B, inv *Inventory, sentences ...string) {
	r := testRecognizer(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Recognize(sentences[i%len(sentences)], inv, Expect{})
	}
}

func BenchmarkShort(b *testing.B) {
	benchmark(b, NewInventory(manyNames(b)), "scale web to five", "restart web", "how is cart?", "roll back checkout api")
}

func BenchmarkLong(b *testing.B) {
	benchmark(b, NewInventory(manyNames(b)), "hey firstmate could you please go ahead and scale the checkout api deployment in the staging namespace up to twenty five replicas")
}

// BenchmarkMisspelt looks names up that are not quite right, or not there.
func BenchmarkMisspelt(b *testing.B) {
	benchmark(b, NewInventory(manyNames(b)), "scale atlas chekout worker to five", "restart pyaments-api please", "scale the frobnicator to five", "how is biling proxy?")
}

func BenchmarkCompile(b *testing.B) {
	c, err := English()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		NewRecognizer(c)
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := English(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInventory(b *testing.B) {
	d := manyNames(b)
	b.ReportAllocs()
	for b.Loop() {
		NewInventory(d)
	}
}

// nasty are sentences that give a reader much to try, by what they try.
func nasty() map[string]string {
	return map[string]string{
		"verbs":        "scale ",
		"courtesies":   "please ",
		"names":        "web and ",
		"commas":       "web, ",
		"nonsense":     "frobnicate ",
		"misspelt":     "chekcout-wroker ",
		"misheard":     "bacon chuck out ",
		"steps":        "restart web and then ",
		"numbers":      "five ",
		"point":        "two point three ",
		"hundreds":     "two hundred thousand ",
		"durations":    "two hours and ",
		"places":       "in staging ",
		"two words":    "search api ",
		"kinds":        "pods of the ",
		"no":           "no, ",
		"roles":        "to 5 ",
		"questions":    "why is web slow ",
		"search":       "containing the ",
		"one word":     "a",
		"hyphens":      "a-",
		"signs":        "=/",
		"apostrophes":  "web's ",
		"quotations":   `"web `,
		"combining":    "é ",
		"chain of two": "scale web to 3 and cart to 5, ",
	}
}

// repeated cuts a repetition at a length in characters.
func repeated(unit string, runes int) string {
	s := []rune(strings.Repeat(unit, runes/len([]rune(unit))+1))
	return string(s[:runes])
}

// BenchmarkWorst is the longest sentence there may be, of each nasty kind; the
// ratio is that to one half as long: 2 is linear.
func BenchmarkWorst(b *testing.B) {
	r, inv := testRecognizer(b), NewInventory(manyNames(b))
	kinds := nasty()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		b.Run(strings.ReplaceAll(kind, " ", "_"), func(b *testing.B) {
			long, half := repeated(kinds[kind], maxRunes), repeated(kinds[kind], maxRunes/2)
			var short []time.Duration
			var full []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				begun := time.Now()
				r.Recognize(long, inv, Expect{})
				middle := time.Now()
				r.Recognize(half, inv, Expect{})
				full, short = append(full, middle.Sub(begun)), append(short, time.Since(middle))
			}
			b.ReportMetric(float64(slices.Min(full).Nanoseconds()), "full-ns")
			b.ReportMetric(slices.Min(full).Seconds()/slices.Min(short).Seconds(), "ratio")
		})
	}
}
