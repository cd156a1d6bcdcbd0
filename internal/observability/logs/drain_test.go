package logs

import (
	"fmt"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

func TestPatterns(t *testing.T) {
	var lines []observability.LogLine
	add := func(n int, format string) {
		for i := range n {
			lines = append(lines, Parse(testTime.Add(time.Duration(len(lines))*time.Second), fmt.Sprintf(format, 1000+i*37)))
		}
	}
	add(50, `{"level":"error","msg":"dial tcp 10.0.0.1:%d: connect: connection refused"}`)
	add(30, `level=info msg="order %d placed in 12ms"`)
	add(20, `WARN  cart.service - price of sku %d changed`)
	add(3, `ERROR:  deadlock detected (process %d)`)
	ps := Patterns(lines)
	want := []struct {
		template string
		count    int
		level    observability.Level
	}{
		{"dial tcp <*>: connect: connection refused", 50, "error"}, {"order <*> placed in <*>", 30, "info"},
		{"cart.service - price of sku <*> changed", 20, "warning"}, {"deadlock detected (process <*>)", 3, "error"},
	}
	if len(ps) != len(want) {
		t.Fatalf("%d patterns: %+v", len(ps), ps)
	}
	for i, w := range want {
		p := ps[i]
		if p.Template != w.template || p.Count != w.count || p.Level != w.level {
			t.Errorf("%q %d %s, want %q %d %s", p.Template, p.Count, p.Level, w.template, w.count, w.level)
		}
		if p.Example.Message == "" || p.Last.Before(p.First) {
			t.Errorf("%+v", p)
		}
	}
	if ps[0].First != testTime || ps[0].Last != testTime.Add(49*time.Second) {
		t.Errorf("from %s to %s", ps[0].First, ps[0].Last)
	}
}

// TestPatternsAreBounded holds that lines which are all different do not grow
// the memory without end.
func TestPatternsAreBounded(t *testing.T) {
	var g Grouper
	for i := range 50_000 {
		g.Add(observability.LogLine{Message: fmt.Sprintf("%s %s %s", word(i), word(i*7+1), word(i*13+5))})
	}
	n, total := len(g.groups), 0
	for _, p := range g.Patterns() {
		total += p.Count
	}
	if n > maxPatterns+maxChildren*maxChildren+10 || total != 50_000 {
		t.Errorf("%d groups of %d lines", n, total)
	}
}

// word is letters without digits, another for each number.
func word(i int) string {
	b := []byte("abcdef")
	for k := range b {
		b[k] = byte('g' + i%17)
		i /= 17
	}
	return string(b)
}

func BenchmarkPatterns(b *testing.B) {
	var lines []observability.LogLine
	for i := range 1000 {
		lines = append(lines, Parse(testTime, fmt.Sprintf(`{"level":"info","msg":"order %d placed","n":%d}`, i, i)), Parse(testTime, fmt.Sprintf("ERROR cart.http - GET /cart/%06x 500 in %d ms: redis: i/o timeout", i*7919, i)))
	}
	for b.Loop() {
		Patterns(lines)
	}
	b.ReportMetric(float64(b.N*len(lines))/b.Elapsed().Seconds(), "lines/s")
}
