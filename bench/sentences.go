package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tally is what the tests of intents leave as an attribute: how a set of
// sentences, or a part of it, was understood.
type tally struct {
	Set, Of                              string
	N, Exact, Intent, Wrong, Asks, Aside int
	Sentences, NotRight, Mutants, Act    int // of the mutation check
	Exceptions                           int
	Rules                                map[string]int
}

// sentences scores the recogniser and measures it, by running the tests and
// benchmarks of intents: they own the sentences and say what is right.
func sentences(w io.Writer) error {
	all, err := scored()
	if err != nil {
		return err
	}
	sets := map[string]tally{}
	parts := map[string][]tally{}
	for _, t := range all {
		if t.Of == "" {
			sets[t.Set] = t
		} else {
			parts[t.Set] = append(parts[t.Set], t)
		}
	}
	fmt.Fprint(w, "### What is understood\n\n| sentences | | exact | intent | asks back | wrong acts | budget | |\n|---|--:|--:|--:|--:|--:|---|---|\n")
	for _, s := range []struct {
		set, what, budget string
		exact             float64
	}{
		{"own", "the project's own", "≥ 99 % exact, 0 wrong acts", 99},
		{"never", "own ones that must not act", "0 wrong acts", 0},
		{"outside", "by outsiders who had seen no template, looked at since", "0 wrong acts", 0},
		{"heldout", "held out: written before the templates were seen, never tuned on", "0 wrong acts", 0},
		{"noise", "own ones, through noise", "≥ 90 % exact, 0 wrong acts", 90},
	} {
		t, ok := sets[s.set]
		if !ok {
			fmt.Fprintf(w, "| %s | | | | | | %s | **not measured** |\n", s.what, s.budget)
			continue
		}
		fmt.Fprintf(w, "| %s %s | %s |\n", line(s.what+aside(t), t), s.budget, verdict(t.Wrong == 0 && share(t.Exact, t.N) >= s.exact))
	}
	if m, ok := sets["mutation"]; ok {
		fmt.Fprintf(w, "\nEach word of %d right sentences taken away, and replaced in turn, makes %d sentences. %d of them act without asking:\n", m.Sentences, m.Mutants, m.Act)
		var by []string
		for _, rule := range slices.SortedFunc(maps.Keys(m.Rules), func(a, b string) int { return cmp.Or(m.Rules[b]-m.Rules[a], strings.Compare(a, b)) }) {
			by = append(by, fmt.Sprintf("%s %d", rule, m.Rules[rule]))
		}
		fmt.Fprintf(w, "as what they say by then (%s), as listed exceptions %d, and as **acts that nobody asked for: %d** (budget 0, %s).\n", strings.Join(by, ", "), m.Exceptions, m.Wrong, verdict(m.Wrong == 0))
	}
	for _, s := range []struct{ set, title string }{{"heldout", "Held out, by intent"}, {"own", "Own, by intent"}, {"noise", "Noise, by kind"}} {
		if len(parts[s.set]) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n<details><summary>%s</summary>\n\n| | | exact | intent | asks back | wrong acts |\n|---|--:|--:|--:|--:|--:|\n", s.title)
		slices.SortFunc(parts[s.set], func(a, b tally) int { return strings.Compare(a.Of, b.Of) })
		for _, t := range parts[s.set] {
			fmt.Fprintf(w, "| %s |\n", strings.TrimSuffix(line(t.Of, t), "|"))
		}
		fmt.Fprint(w, "\n</details>\n")
	}
	return speed(w)
}

func line(what string, t tally) string {
	return fmt.Sprintf("%s | %d | %.1f %% | %.1f %% | %d | %d |", what, t.N, share(t.Exact, t.N), share(t.Intent, t.N), t.Asks, t.Wrong)
}

// aside tells of sentences that are not scored, where there are any.
func aside(t tally) string {
	if t.Aside == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d more are of intents that do not exist yet)", t.Aside)
}

func share(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "**missed**"
}

// scored runs the tests that score sentences and reads what they leave. That
// one of them fails is no reason to hide its numbers.
func scored() ([]tally, error) {
	out, err := goTest("-json", "-run", "^(TestOwnSet|TestOutside|TestHeldOut|TestNoise|TestMutations)$")
	var all []tally
	for l := range bytes.Lines(out) {
		var e struct{ Action, Key, Value string }
		if json.Unmarshal(l, &e) != nil || e.Action != "attr" || e.Key != "measured" {
			continue
		}
		var t tally
		if err := json.Unmarshal([]byte(e.Value), &t); err != nil {
			return nil, fmt.Errorf("attribute %s: %w", e.Value, err)
		}
		all = append(all, t)
	}
	if len(all) == 0 {
		return nil, errors.Join(errors.New("the tests of intents left no numbers"), err)
	}
	return all, nil
}

func goTest(args ...string) ([]byte, error) {
	cmd := exec.Command("go", append(append([]string{"test", "-count=1"}, args...), "./intents")...)
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

// figures are the metrics of one benchmark by unit.
type figures map[string]float64

// benchmarks reads the lines of `go test -bench`.
func benchmarks(out []byte) map[string]figures {
	all := map[string]figures{}
	sc := bufio.NewScanner(bytes.NewReader(out))
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		m := figures{}
		for i := 2; i+1 < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i], 64); err == nil {
				m[f[i+1]] = v
			}
		}
		all[strings.TrimPrefix(f[0], "Benchmark")] = m
	}
	return all
}

// speed measures on one core.
func speed(w io.Writer) error {
	out, err := goTest("-run", "^$", "-cpu", "1", "-bench", "^Benchmark(Mix|Short|Long|Misspelt|Compile|Load|Inventory)$", "-benchtime", "3s", "-benchmem")
	if err != nil {
		return fmt.Errorf("benchmarks: %w\n%s", err, out)
	}
	worst, err := goTest("-run", "^$", "-cpu", "1", "-bench", "^BenchmarkWorst$", "-benchtime", "0.3s", "-benchmem")
	if err != nil {
		return fmt.Errorf("benchmarks: %w\n%s", err, worst)
	}
	b := benchmarks(out)
	mix := b["Mix"]
	fmt.Fprint(w, "\n### Speed\n\nOne core, 5,000 workloads in 500 namespaces, the own sentences of all intents in turn, half of them with names of that cluster.\n\n| what | measured | budget | |\n|---|---|---|---|\n")
	row := func(what, measured, budget string, ok bool) {
		v := ""
		if budget != "" {
			v = verdict(ok)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", what, measured, budget, v)
	}
	row("a sentence, p50", micro(mix["p50-ns"]), "", true)
	row("a sentence, p99", micro(mix["p99-ns"]), "< 1 ms", mix["p99-ns"] < 1e6)
	row("sentences a second", fmt.Sprintf("%.0f", mix["sentences/s"]), "≥ 20,000", mix["sentences/s"] >= 20000)
	row("the same, each sentence at its fastest: p99; a second", fmt.Sprintf("%s; %.0f", micro(mix["quiet-p99-ns"]), mix["quiet-sentences/s"]), "", true)
	row("allocated a sentence", fmt.Sprintf("%.0f B in %.0f pieces", mix["B/op"], mix["allocs/op"]), "", true)
	for _, k := range []struct{ name, what string }{{"Short", "short ones (“scale web to five”)"}, {"Long", "a long one (19 words)"}, {"Misspelt", "names misspelt or unknown"}} {
		row(k.what+", mean", fmt.Sprintf("%s, %.0f B", micro(b[k.name]["ns/op"]), b[k.name]["B/op"]), "", true)
	}
	row("index of the inventory, made new", micro(b["Inventory"]["ns/op"]), "< 100 ms", b["Inventory"]["ns/op"] < 100e6)
	load, compile := b["Load"]["ns/op"], b["Compile"]["ns/op"]
	row("catalogue, read and compiled", fmt.Sprintf("%s + %s", micro(load), micro(compile)), "< 200 ms", load+compile < 200e6)
	fmt.Fprint(w, "\nThe longest sentence there may be (1,000 characters), of one nasty kind each; the ratio is to one half as long, so 2 is linear.\n\n| kind | 1,000 characters | ratio |\n|---|--:|--:|\n")
	kinds := benchmarks(worst)
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(w, "| %s | %s | %.1f |\n", strings.ReplaceAll(strings.TrimPrefix(name, "Worst/"), "_", " "), micro(kinds[name]["full-ns"]), kinds[name]["ratio"])
	}
	fmt.Fprintln(w)
	return nil
}

// micro writes nanoseconds for people.
func micro(ns float64) string {
	d := time.Duration(ns)
	switch {
	case d < 100*time.Microsecond:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f µs", ns/1e3)
	default:
		return fmt.Sprintf("%.1f ms", ns/1e6)
	}
}
