package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// trial is a fault of the sandbox and what is to be said of it.
type trial struct {
	fault   string
	target  string // the workload on which it shows
	symptom string // what is wrong with it, as somebody would say
	rules   []string
	about   []string // what the first cause is about, any of them; none: anything
	spare   string   // a workload that was rolled out meanwhile, and is innocent
}

// ask is the question.
func (t trial) ask() string { return "why is " + t.target + " " + t.symptom + "?" }

// result is what came of a trial.
type result struct {
	trial
	said    string
	verdict diagnosis.Verdict
	right   bool
	blamed  bool // an innocent was
	took    time.Duration
	replays bool // the recorded case gives the same verdict
	err     error
}

// faulted is how a sandbox is started with something wrong in it.
type faulted struct {
	sandbox, prometheus string // the programs
	bot                 string
	ago                 string // since when it is wrong
	keep                string // folder for the evidence
}

// diagnoses starts a sandbox with each fault, asks, and compares.
func diagnoses(ctx context.Context, out io.Writer, f faulted, only []string) error {
	if err := os.MkdirAll(f.keep, 0o700); err != nil {
		return err
	}
	var results []result
	for _, t := range trials() {
		if len(only) > 0 && !slices.Contains(only, t.fault) {
			continue
		}
		r := f.attempt(ctx, t)
		fmt.Fprintf(os.Stderr, "%-20s right=%v blamed=%v %v %s\n", t.fault, r.right, r.blamed, r.err, r.said)
		results = append(results, r)
	}
	return report(out, results)
}

// settle is how long controllers, kubelets and scrapes take to have had their say.
const settle = 25 * time.Second

func (f faulted) attempt(ctx context.Context, t trial) (r result) {
	r.trial = t
	args := []string{"up", "--with-parent", "--history", "3h", "--server", "prometheus=" + f.prometheus, "--fault", t.fault, "--fault-ago", f.ago}
	s, err := start(nil, "READY", f.sandbox, args...)
	if err != nil {
		r.err = err
		return r
	}
	defer s.stop()
	time.Sleep(settle)
	dir, err := os.MkdirTemp("", "firstmate-bench-")
	if err != nil {
		r.err = err
		return r
	}
	defer func() { _ = os.RemoveAll(dir) }()
	env := append(os.Environ(), "KUBECONFIG="+s.vars["KUBECONFIG"], "PROMETHEUS_URL="+s.vars["PROMETHEUS_URL"], "XDG_STATE_HOME="+dir)
	var k diagnosis.Case
	if r.verdict, k, r.err = f.diagnosed(ctx, env, t); r.err != nil {
		return r
	}
	r.replays = same(r.verdict, diagnosis.Rank(k))
	r.said, r.took, r.err = f.say(ctx, env, t)
	r.right = t.right(r.verdict)
	for _, c := range r.verdict.Causes {
		if t.spare != "" && c.About.Name == t.spare && strings.HasPrefix(c.Rule, "bad_release") && c.Score >= r.verdict.Causes[0].Score {
			r.blamed = true
		}
	}
	return r
}

// right reports whether a verdict names the true cause first.
func (t trial) right(v diagnosis.Verdict) bool {
	if len(t.rules) == 0 {
		return v.Outcome == diagnosis.Nothing
	}
	if len(v.Causes) == 0 {
		return false
	}
	c := v.Causes[0]
	return slices.Contains(t.rules, c.Rule) && (len(t.about) == 0 || slices.ContainsFunc(t.about, func(n string) bool { return strings.HasPrefix(c.About.Name, n) }))
}

// diagnosed asks bot diagnose, which keeps the case in a file.
func (f faulted) diagnosed(ctx context.Context, env []string, t trial) (v diagnosis.Verdict, k diagnosis.Case, err error) {
	name := filepath.Join(f.keep, t.fault+".json")
	cmd := exec.CommandContext(ctx, f.bot, "diagnose", "--json", "-n", "shop", "--symptom", string(t.asked()), "--record", name, t.target)
	var errOut bytes.Buffer
	// What is true is asked apart from how fast it is found: on a busy machine
	// nothing answers within two seconds.
	cmd.Env, cmd.Stderr = append(slices.Clone(env), "FIRSTMATE_DIAGNOSIS_DEADLINE=40s", "FIRSTMATE_OBSERVABILITY_TIMEOUT=20s"), &errOut
	b, err := cmd.Output()
	if e := (*exec.ExitError)(nil); errors.As(err, &e) && e.ExitCode() == 4 && len(b) > 0 {
		err = nil // not enough evidence is an answer
	}
	if err != nil {
		return v, k, fmt.Errorf("bot diagnose %s: %w: %s", t.target, err, errOut.String())
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, k, err
	}
	file, err := os.Open(name)
	if err != nil {
		return v, k, err
	}
	defer func() { _ = file.Close() }()
	k, err = diagnosis.ReadCase(file)
	return v, k, err
}

// asked is the symptom as the recogniser names it.
func (t trial) asked() diagnosis.Symptom {
	switch t.symptom {
	case "not starting":
		return diagnosis.SymptomNotStarting
	case "crashing":
		return diagnosis.SymptomCrash
	}
	return diagnosis.Symptom(t.symptom)
}

func same(a, b diagnosis.Verdict) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// say asks as a person does, and gives what is said aloud.
func (f faulted) say(ctx context.Context, env []string, t trial) (speech string, took time.Duration, err error) {
	begun := time.Now()
	cmd := exec.CommandContext(ctx, f.bot, "ask", "--json", "--conversation", "bench-"+t.fault, t.ask())
	cmd.Env = env
	b, err := cmd.Output()
	took = time.Since(begun)
	var r dialogue.Reply
	if json.Unmarshal(b, &r) == nil && r.Speech != "" {
		return r.Speech, took, nil
	}
	return "", took, err
}

// report writes the results as Markdown.
func report(out io.Writer, results []result) error {
	var b strings.Builder
	right, blamed, replay, with := 0, 0, 0, 0
	b.WriteString("| fault | asked | first cause | how sure | right | it said |\n|---|---|---|---|---|---|\n")
	var took []time.Duration
	for _, r := range results {
		first, how, mark := string(r.verdict.Outcome), "", "yes"
		if len(r.verdict.Causes) > 0 {
			c := r.verdict.Causes[0]
			first, how = c.Rule+" · "+c.About.Name, fmt.Sprintf("%s (%.2f)", c.Sure, c.Score)
		}
		switch {
		case r.err != nil:
			mark, first = "not run", "("+strings.ReplaceAll(r.err.Error(), "\n", " ")+")"
		case !r.right:
			mark = "**no**"
		}
		if r.err == nil {
			with++
			took = append(took, r.took)
		}
		if r.right {
			right++
		}
		if r.blamed {
			blamed++
		}
		if r.replays {
			replay++
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.fault, r.ask(), first, how, mark, strings.ReplaceAll(r.said, "|", "/"))
	}
	slices.Sort(took)
	fmt.Fprintf(&b, "\n**%d of %d** true causes first, %d innocent blamed; %d of %d recorded cases replay to the same verdict.", right, len(results), blamed, replay, with)
	if n := len(took); n > 0 {
		fmt.Fprintf(&b, " `bot ask`, the whole process, took %v (median), %v (longest).", took[n/2].Round(time.Millisecond), took[n-1].Round(time.Millisecond))
	}
	b.WriteString("\n")
	_, err := io.WriteString(out, b.String())
	return err
}
