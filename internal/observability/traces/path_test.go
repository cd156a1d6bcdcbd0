package traces_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/traces"
)

// trace reads spans, one a line: id parent service start-end, in milliseconds; a
// ! behind it is a failure.
func trace(text string) []observability.Span {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	var out []observability.Span
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		var s observability.Span
		var from, to int
		l = strings.TrimSpace(l)
		l, s.Failed = strings.TrimSuffix(l, "!"), strings.HasSuffix(l, "!")
		if _, err := fmt.Sscanf(l, "%s %s %s %d-%d", &s.ID, &s.Parent, &s.Service, &from, &to); err != nil {
			panic(l)
		}
		s.Parent = strings.Trim(s.Parent, ".")
		s.Trace, s.Name = "t", s.Service+"/"+s.ID
		s.Start, s.Duration = at.Add(time.Duration(from)*time.Millisecond), time.Duration(to-from)*time.Millisecond
		out = append(out, s)
	}
	return out
}

func shares(spans []observability.Span) string {
	var out []string
	for _, s := range traces.CriticalPath(spans) {
		out = append(out, fmt.Sprintf("%s %.0f%%", s.Service, 100*s.Ratio))
	}
	return strings.Join(out, ", ")
}

func TestCriticalPath(t *testing.T) {
	for name, tt := range map[string]struct{ spans, want string }{
		"alone":               {"a . web 0-100", "web 100%"},
		"one behind another":  {"a . web 0-100\nb a cart 10-40\nc a pay 40-90", "pay 50%, cart 30%, web 20%"},
		"deeper":              {"a . web 0-100\nb a cart 10-90\nc b db 20-80", "db 60%, cart 20%, web 20%"},
		"beside each other":   {"a . web 0-100\nb a cart 10-60\nc a pay 10-90", "pay 80%, web 20%, cart 0%"},
		"partly beside":       {"a . web 0-100\nb a cart 0-60\nc a pay 30-90", "pay 60%, web 40%, cart 0%"},
		"a hair of overlap":   {"a . web 0-100\nb a cart 0-51\nc a pay 50-100", "cart 50%, pay 50%, web 0%"},
		"a clock ahead":       {"a . web 0-100\nb a cart 500-540", "web 60%, cart 40%"},
		"a clock behind":      {"a . web 0-100\nb a cart -500--460\nc b db -490--470", "web 60%, cart 20%, db 20%"},
		"longer than asked":   {"a . web 0-100\nb a cart -50-250", "cart 100%, web 0%"},
		"parts are missing":   {"a . web 0-100\nb x cart 10-40", "web 100%"},
		"nothing but orphans": {"b x cart 10-40\nc b db 20-30", "cart 67%, db 33%"},
		"a circle":            {"a b web 0-100\nb a cart 10-40", "web 100%"},
		"no time":             {"a . web 0-0", ""},
	} {
		if got := shares(trace(tt.spans)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	two := append(trace("a . web 0-100\nb a cart 0-50!"), trace("a . web 0-300")...)
	for i := range two[2:] {
		two[2+i].Trace = "u"
	}
	got := traces.CriticalPath(two)
	if len(got) != 2 || got[0].Self != 175*time.Millisecond || got[1].Self != 25*time.Millisecond || got[1].Ratio != 0.125 || got[1].Failed != 1 || got[1].Name != "cart/b" {
		t.Errorf("of two traces: %+v", got)
	}
}

// TestSharesAddUpToOne makes trees at random, with clocks that are wrong, spans
// that are missing and times that overlap.
func TestSharesAddUpToOne(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		var spans []observability.Span
		roots := map[string]time.Duration{}
		for n := range 1 + r.IntN(40) {
			s := observability.Span{
				Trace: fmt.Sprint(r.IntN(3)), ID: fmt.Sprint(n), Service: fmt.Sprint("s", r.IntN(5)), Start: time.Unix(0, r.Int64N(1e9)), Duration: time.Duration(r.Int64N(1e9)), Failed: r.IntN(5) == 0,
			}
			if roots[s.Trace] != 0 {
				s.Parent = fmt.Sprint(r.IntN(n + 3)) // some are not there, some are of another trace, some are its own
			}
			roots[s.Trace] += s.Duration
			spans = append(spans, s)
		}
		got := traces.CriticalPath(spans)
		sum := 0.0
		for _, s := range got {
			if sum += s.Ratio; s.Ratio < 0 || s.Self < 0 || s.Failed < 0 || s.Failed > 1 {
				t.Fatalf("seed %d: %+v", seed, s)
			}
		}
		if len(got) > 0 && math.Abs(sum-1) > 1e-9 {
			t.Fatalf("seed %d: the shares add up to %v", seed, sum)
		}
	}
}

func TestOfAndCalls(t *testing.T) {
	spans := trace(`
		a . web 0-100
		b a checkout 10-60
		c b db 20-50!
		d a checkout 60-90
		e d pay 65-85
		f e pay 70-80
		g b db 50-55`)
	if got, want := shares(traces.Of(spans, "checkout")), "db 44%, checkout 31%, pay 25%"; got != want {
		t.Errorf("within checkout: %s", got)
	}
	if got := traces.Of(spans, "nobody"); len(got) != 0 {
		t.Errorf("within nobody: %v", got)
	}
	var calls []string
	for _, c := range traces.Calls(spans) {
		calls = append(calls, fmt.Sprintf("%s→%s %d %.2f %v %v", c.From, c.To, c.Count, c.Failed, c.Median, c.P95))
	}
	if got, want := strings.Join(calls, ", "), "checkout→db 2 0.50 5ms 30ms, web→checkout 2 0.00 30ms 50ms, checkout→pay 1 0.00 20ms 20ms"; got != want {
		t.Errorf("calls: %s", got)
	}
}
