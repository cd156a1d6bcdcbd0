package main

import (
	"bytes"
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
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// trial is a fault of the sandbox and what is to be said of it.
type trial struct {
	fault  string
	ask    string // the question, about the workload on which it shows
	target string
	rules  []string // by which rules the true cause may go
	about  []string // what the first cause is about: names, any of them
	// wait is how long it takes to show: objects at once, measures once there are
	// a few minutes of them, a leak once it has leaked.
	wait time.Duration
	// spare is what must not be blamed: a workload that was rolled out meanwhile.
	spare string
}

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

// diagnoses switches on each fault, asks, compares, switches it off again.
func diagnoses(ctx context.Context, out io.Writer, bot, keep string, only []string) error {
	sandbox := os.Getenv("SANDBOX_URL")
	if sandbox == "" {
		return errors.New("SANDBOX_URL, KUBECONFIG and PROMETHEUS_URL say where the demo runs: see bench/diagnose.sh")
	}
	if err := os.MkdirAll(keep, 0o700); err != nil {
		return err
	}
	var results []result
	for _, t := range trials() {
		if len(only) > 0 && !slices.Contains(only, t.fault) {
			continue
		}
		r := attempt(ctx, sandbox, bot, keep, t)
		fmt.Fprintf(os.Stderr, "%-20s right=%v blamed=%v %v %s\n", t.fault, r.right, r.blamed, r.err, r.said)
		results = append(results, r)
	}
	return report(out, results)
}

func attempt(ctx context.Context, sandbox, bot, keep string, t trial) (r result) {
	r.trial = t
	if r.err = switchFault(ctx, http.MethodPut, sandbox, t.fault); r.err != nil {
		return r
	}
	defer func() {
		r.err = errors.Join(r.err, switchFault(ctx, http.MethodDelete, sandbox, t.fault))
		r.err = errors.Join(r.err, settle(ctx, bot, t))
	}()
	// As somebody would: once it shows, or after a while.
	deadline := time.Now().Add(t.wait)
	for {
		time.Sleep(min(15*time.Second, max(time.Second, time.Until(deadline))))
		var k diagnosis.Case
		if r.verdict, k, r.err = diagnosed(ctx, bot, keep, t); r.err != nil {
			return r
		}
		r.replays = same(r.verdict, diagnosis.Rank(k))
		if time.Now().After(deadline) {
			break
		}
	}
	r.right = t.right(r.verdict)
	r.said, r.took, r.err = say(ctx, bot, t)
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

// settle waits until nothing is wrong any more, or two minutes.
func settle(ctx context.Context, bot string, t trial) error {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Second) {
		v, _, err := diagnosed(ctx, bot, "", t)
		if err == nil && !slices.ContainsFunc(v.Shows, func(e diagnosis.Evidence) bool { return e.Kind == diagnosis.Replicas || e.Kind == diagnosis.Endpoints }) {
			return nil
		}
	}
	return nil
}

// diagnosed asks bot diagnose, which keeps the case in a file.
func diagnosed(ctx context.Context, bot, keep string, t trial) (v diagnosis.Verdict, k diagnosis.Case, err error) {
	args := []string{"diagnose", "--json", "-n", "shop"}
	file := ""
	if keep != "" {
		file = filepath.Join(keep, t.fault+".json")
		args = append(args, "--record", file)
	}
	cmd := exec.CommandContext(ctx, bot, append(args, t.target)...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
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
	if file == "" {
		return v, k, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return v, k, err
	}
	defer func() { _ = f.Close() }()
	k, err = diagnosis.ReadCase(f)
	return v, k, err
}

func same(a, b diagnosis.Verdict) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

func switchFault(ctx context.Context, method, sandbox, name string) error {
	req, err := http.NewRequestWithContext(ctx, method, sandbox+"/faults/"+name, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s /faults/%s: %s: %s", method, name, resp.Status, b)
	}
	return nil
}

// report writes the results as Markdown.
func report(out io.Writer, results []result) error {
	var b strings.Builder
	right, blamed, replay, with := 0, 0, 0, 0
	b.WriteString("| fault | asked | first cause | how sure | right | it said |\n|---|---|---|---|---|---|\n")
	var took []time.Duration
	for _, r := range results {
		first, how := string(r.verdict.Outcome), ""
		if len(r.verdict.Causes) > 0 {
			c := r.verdict.Causes[0]
			first, how = c.Rule+" · "+c.About.Name, fmt.Sprintf("%s (%.2f)", c.Sure, c.Score)
		}
		mark := "yes"
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
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.fault, r.ask, first, how, mark, strings.ReplaceAll(r.said, "|", "/"))
	}
	slices.Sort(took)
	fmt.Fprintf(&b, "\n**%d of %d** true causes first (%d faults asked for), %d innocent blamed; %d of %d recorded cases replay to the same verdict.", right, with, len(results), blamed, replay, with)
	if n := len(took); n > 0 {
		fmt.Fprintf(&b, " A turn took %v (median), %v (longest).", took[n/2].Round(time.Millisecond), took[n-1].Round(time.Millisecond))
	}
	b.WriteString("\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// say asks as a person does, and gives what is said aloud.
func say(ctx context.Context, bot string, t trial) (speech string, took time.Duration, err error) {
	begun := time.Now()
	cmd := exec.CommandContext(ctx, bot, "ask", "--json", "--conversation", "bench-"+t.fault, t.ask)
	b, err := cmd.Output()
	took = time.Since(begun)
	var r dialogue.Reply
	if json.Unmarshal(b, &r) == nil && r.Speech != "" {
		return r.Speech, took, nil
	}
	return "", took, err
}
