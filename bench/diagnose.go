package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
)

// trial is a fault of the sandbox and what is to be said of it.
type trial struct {
	fault   string
	target  string // the workload on which it shows
	symptom string // what is wrong with it, as somebody would say
	rules   []string
	about   []string      // what the first cause is about, any of them; none: anything
	spare   string        // a workload that is innocent, whatever it looks like
	shows   time.Duration // how long it takes to show, where that is longer than a scrape
}

// ask is the question.
func (t trial) ask() string { return "why is " + t.target + " " + t.symptom + "?" }

// result is what came of a trial.
type result struct {
	trial
	said    string
	verdict diagnosis.Verdict // within the deadline that is configured
	patient diagnosis.Verdict // with all the time in the world, where that was not right
	right   bool
	blamed  string        // the innocent that was
	asked   time.Duration // until the collectors had answered
	took    time.Duration // the turn of a server that runs
	replays bool          // the recorded case gives the same verdict
	err     error
}

// faulted is how a sandbox is started with something wrong in it.
type faulted struct {
	sandbox, prometheus, loki string // the programs
	bot                       string
	ago                       string        // since when it is wrong
	keep                      string        // folder for the evidence
	within                    time.Duration // after which no other fault is begun; 0: no limit
}

// diagnoses starts a sandbox with each fault, asks, and compares.
func diagnoses(ctx context.Context, out io.Writer, f faulted, only []string) error {
	if err := os.MkdirAll(f.keep, 0o700); err != nil {
		return err
	}
	all := trials()
	if len(only) > 0 { // in the order in which they are named
		all = slices.DeleteFunc(all, func(t trial) bool { return !slices.Contains(only, t.fault) })
		slices.SortStableFunc(all, func(a, b trial) int {
			return cmp.Compare(slices.Index(only, a.fault), slices.Index(only, b.fault))
		})
	}
	var results []result
	begun := time.Now()
	for _, t := range all {
		if f.within > 0 && time.Since(begun) > f.within {
			fmt.Fprintf(os.Stderr, "%-20s left out: the time is over\n", t.fault)
			continue
		}
		begun := time.Now()
		r := f.attempt(ctx, t)
		fmt.Fprintf(os.Stderr, "%-20s right=%v blamed=%q %v (%v) %s\n", t.fault, r.right, r.blamed, r.err, time.Since(begun).Round(time.Second), r.said)
		results = append(results, r)
	}
	return report(out, results)
}

// settle is how long scrapes take to have had their say.
const settle = 5 * time.Second

func (f faulted) attempt(ctx context.Context, t trial) (r result) {
	r.trial = t
	args := []string{"up", "--with-parent", "--history", "3h", "--server", "prometheus=" + f.prometheus, "--fault", t.fault, "--fault-ago", f.ago}
	if f.loki != "" {
		args = append(args, "--server", "loki="+f.loki)
	}
	s, err := start(nil, "READY", f.sandbox, args...)
	if err != nil { // which says nothing about what is measured here
		fmt.Fprintf(os.Stderr, "%-20s again: %v\n", t.fault, err)
		s, err = start(nil, "READY", f.sandbox, args...)
	}
	if err != nil {
		r.err = err
		return r
	}
	defer s.stop()
	if err := t.complaint(ctx, s.vars["SANDBOX_URL"]); err != nil {
		r.err = err
		return r
	}
	r.trial = t
	time.Sleep(max(settle, t.shows))
	dir, err := os.MkdirTemp("", "firstmate-bench-")
	if err != nil {
		r.err = err
		return r
	}
	defer func() { _ = os.RemoveAll(dir) }()
	env := append(os.Environ(), "KUBECONFIG="+s.vars["KUBECONFIG"], "PROMETHEUS_URL="+s.vars["PROMETHEUS_URL"], "LOKI_URL="+s.vars["LOKI_URL"], "XDG_STATE_HOME="+dir)
	var k diagnosis.Case
	if r.verdict, k, r.err = f.diagnosed(ctx, env, t, t.fault); r.err != nil {
		return r
	}
	r.asked, r.replays = k.Took, same(r.verdict, diagnosis.Rank(k))
	r.said, r.took, r.err = f.say(env, t)
	r.right, r.blamed = t.right(r.verdict), t.blames(r.verdict)
	if !r.right {
		// What is true is asked apart from how fast it is found.
		slow := append(slices.Clone(env), "FIRSTMATE_DIAGNOSIS_DEADLINE=30s", "FIRSTMATE_OBSERVABILITY_TIMEOUT=20s")
		r.patient, _, err = f.diagnosed(ctx, slow, t, t.fault+"-patient")
		r.err = errors.Join(r.err, err)
	}
	return r
}

// complaint asks the sandbox what somebody who suffers from the fault would ask.
func (t *trial) complaint(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/faults", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var all []struct {
		Name  string
		On    bool
		Asked struct{ Workload, Symptom string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return err
	}
	for _, a := range all {
		if a.Name != t.fault {
			continue
		}
		if !a.On {
			return fmt.Errorf("the sandbox's fault %s is not on", t.fault)
		}
		t.target, t.symptom = cmp.Or(a.Asked.Workload, "checkout"), cmp.Or(a.Asked.Symptom, "slow")
		return nil
	}
	return fmt.Errorf("the sandbox has no fault %s", t.fault)
}

// right reports whether a verdict names the true cause first.
func (t trial) right(v diagnosis.Verdict) bool {
	if len(t.rules) == 0 {
		return v.Outcome == diagnosis.Nothing
	}
	return v.Outcome == diagnosis.Found && t.names(v.Causes[0])
}

// names reports whether a cause is the true one.
func (t trial) names(c diagnosis.Cause) bool {
	return slices.Contains(t.rules, c.Rule) && c.About.Name != t.spare &&
		(len(t.about) == 0 || slices.ContainsFunc(t.about, func(n string) bool { return strings.HasPrefix(c.About.Name, n) }))
}

// blames is what a verdict wrongly names: whatever comes first and is not it, or
// the innocent bystander anywhere.
func (t trial) blames(v diagnosis.Verdict) string {
	for i, c := range v.Causes {
		if i == 0 && v.Outcome == diagnosis.Found && !t.names(c) || t.spare != "" && c.About.Name == t.spare {
			return c.Rule + " · " + c.About.Name
		}
	}
	return ""
}

// diagnosed asks bot diagnose, which keeps the case in a file.
func (f faulted) diagnosed(ctx context.Context, env []string, t trial, file string) (v diagnosis.Verdict, k diagnosis.Case, err error) {
	name := filepath.Join(f.keep, file+".json")
	cmd := exec.CommandContext(ctx, f.bot, "diagnose", "--json", "-n", "shop", "--symptom", string(t.asked()), "--record", name, t.target)
	var errOut bytes.Buffer
	cmd.Env, cmd.Stderr = env, &errOut
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
	recorded, err := os.Open(name)
	if err != nil {
		return v, k, err
	}
	defer func() { _ = recorded.Close() }()
	k, err = diagnosis.ReadCase(recorded)
	return v, k, err
}

// asked is the symptom as the recogniser names it.
func (t trial) asked() diagnosis.Symptom {
	if t.symptom == "not starting" {
		return diagnosis.SymptomNotStarting
	}
	return diagnosis.Symptom(t.symptom)
}

func same(a, b diagnosis.Verdict) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// say asks a server that runs, as a person does, and gives what is said aloud.
func (f faulted) say(env []string, t trial) (speech string, took time.Duration, err error) {
	s, err := start(env, "FIRSTMATE_URL=", f.bot, "serve", "--listen", "127.0.0.1:0")
	if err != nil {
		return "", 0, err
	}
	defer s.stop()
	b := &bench{url: s.vars["FIRSTMATE_URL"]}
	// One that runs has been asked something before.
	if _, err := b.turn("how is "+t.target+"?", ""); err != nil {
		return "", 0, err
	}
	begun := time.Now()
	r, err := b.turn(t.ask(), "")
	return cmp.Or(r.Speech, r.Text), time.Since(begun), err
}

// report writes the results as Markdown.
func report(out io.Writer, results []result) error {
	var b strings.Builder
	faults, right, blamed, replay, late := 0, 0, 0, 0, 0
	b.WriteString("| fault | asked | first cause | how sure | right | it said | collectors of `bot diagnose` | turn |\n|---|---|---|---|---|---|---|---|\n")
	var took []time.Duration
	for _, r := range results {
		first, how := firstOf(r.verdict)
		mark := "yes"
		switch {
		case r.err != nil:
			mark, first = "not run", "("+strings.ReplaceAll(r.err.Error(), "\n", " ")+")"
		case !r.right && r.trial.right(r.patient):
			mark = "**no**; yes with 30 s to collect"
			late++
		case !r.right:
			patient, _ := firstOf(r.patient)
			mark = "**no**; with 30 s: " + patient
		}
		if r.blamed != "" {
			mark += "; blames " + r.blamed
			blamed++
		}
		if len(r.rules) > 0 {
			faults++
		}
		if r.right && len(r.rules) > 0 {
			right++
		}
		if r.replays {
			replay++
		}
		took = append(took, r.took)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.fault, r.ask(), first, how, mark,
			strings.ReplaceAll(r.said, "|", "/"), seconds(r.asked), seconds(r.took))
	}
	fmt.Fprintf(&b, "\n**%d of %d** true causes first (%d more where the collectors had 30 s), %d innocent blamed; %d of %d recorded cases replay to the same verdict.",
		right, faults, late, blamed, replay, len(results))
	if len(took) > 0 {
		fmt.Fprintf(&b, " A turn of a server that runs took %s (median), %s (longest).", seconds(at(took, .5)), seconds(slices.Max(took)))
	}
	b.WriteString("\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// firstOf is the first cause of a verdict and how sure it is.
func firstOf(v diagnosis.Verdict) (cause, sure string) {
	if v.Outcome == diagnosis.Nothing {
		return "nothing is wrong", ""
	}
	if len(v.Causes) == 0 {
		return string(v.Outcome), ""
	}
	c := v.Causes[0]
	cause = c.Rule + " · " + c.About.Name
	if v.Outcome != diagnosis.Found {
		cause = string(v.Outcome) + " (" + cause + ")"
	}
	return cause, fmt.Sprintf("%s (%.2f)", c.Sure, c.Score)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
