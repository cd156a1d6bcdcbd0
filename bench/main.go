// Command bench measures firstmate against the sandbox, side by side with
// kubectl doing the same, or the recogniser by itself, and prints Markdown. See
// run.sh.
//
// Each comparison runs the two in turn, A B A B …, and gives the ratio pair by
// pair: it holds when the machine's speed drifts.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	reads  = 500 // turns that read, after warming up
	warmup = 20
	pairs  = 25 // of whole processes
)

func main() {
	sandbox := flag.String("sandbox", "", "the sandbox binary")
	bot := flag.String("bot", "bin/bot", "the bot binary")
	pods := flag.Int("pods", 0, "pods beside the sample shop")
	only := flag.Bool("recogniser", false, "score and measure the recogniser, without a cluster")
	faults := flag.Bool("diagnose", false, "start a sandbox with each of its faults, the named ones or all, and ask why")
	prometheus := flag.String("prometheus", "", "with -diagnose: the Prometheus binary")
	loki := flag.String("loki", "", "with -diagnose: the Loki binary; without, logs are read from the pods")
	keep := flag.String("keep", "", "with -diagnose: where to keep the evidence")
	within := flag.Duration("within", 0, "with -diagnose: begin with no other fault after that long")
	volume := flag.Int("log-volume", 0, "with -diagnose: instead, ask in one sandbox with -pods and so many MiB of log lines, and time it")
	stern := flag.String("stern", "", "the stern binary: merge the logs of many pods beside it")
	merge := flag.String("merge", "", "print the logs of a deployment's pods, NAMESPACE/NAME, as one stream; what -stern measures")
	calls := flag.Bool("phone", false, "say commands over a telephone, and listen; no cluster")
	fresh := flag.Bool("fresh", false, "with -phone: only the commands of somebody who had not seen the grammar")
	verbose := flag.Bool("v", false, "with -phone: say on standard error what was misheard")
	flag.Parse()
	if *stern != "" || *merge != "" {
		ctx, read := context.Background(), func(ctx context.Context) error { return merged(ctx, os.Stdout, *sandbox, *stern) }
		if namespace, name, ok := strings.Cut(*merge, "/"); ok {
			read = func(ctx context.Context) error { return readMerged(ctx, os.Stdout, namespace, name) }
		}
		if err := read(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if *calls {
		if err := phone(os.Stdout, *verbose, *fresh, flag.Args()); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if *faults {
		f := faulted{sandbox: *sandbox, prometheus: *prometheus, loki: *loki, bot: *bot, ago: "11m", keep: *keep, within: *within}
		ask := func(ctx context.Context) error { return diagnoses(ctx, os.Stdout, f, flag.Args()) }
		if *volume > 0 {
			ask = func(ctx context.Context) error { return large(ctx, os.Stdout, f, *pods, *volume) }
		}
		if err := ask(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if *only {
		if err := sentences(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(context.Background(), *sandbox, *bot, *pods); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// server is a process that prints NAME=value lines.
type server struct {
	cmd  *exec.Cmd
	vars map[string]string
	took time.Duration // from start to the line that was waited for
}

// start runs a command until it prints a line that begins with until.
func start(env []string, until string, name string, args ...string) (*server, error) {
	s := &server{cmd: exec.Command(name, args...), vars: map[string]string{}}
	s.cmd.Env = append(os.Environ(), env...)
	var said lastWords
	s.cmd.Stderr = &said
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		if k, v, ok := strings.Cut(sc.Text(), "="); ok {
			s.vars[k] = v
		}
		if strings.HasPrefix(sc.Text(), until) {
			s.took = time.Since(begun)
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return s, nil
		}
	}
	err = s.cmd.Wait()
	return nil, errors.Join(fmt.Errorf("%s ended before it printed %s: %s", name, until, &said), err)
}

// lastWords is the end of what a program says.
type lastWords struct{ text []byte }

// Write takes more of it.
func (l *lastWords) Write(p []byte) (int, error) {
	l.text = append(l.text, p...)
	if most := 2000; len(l.text) > most {
		l.text = slices.Clone(l.text[len(l.text)-most:])
	}
	return len(p), nil
}

func (l *lastWords) String() string { return strings.TrimSpace(string(l.text)) }

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
}

// memory reads a figure of /proc/PID/status in MB.
func (s *server) memory(field string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

func run(ctx context.Context, sandbox, bot string, pods int) error {
	cluster, err := start(nil, "READY", sandbox, "up", "--with-parent", "--pods", strconv.Itoa(pods))
	if err != nil {
		return err
	}
	defer cluster.stop()
	dir, err := os.MkdirTemp("", "firstmate-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	config := filepath.Join(dir, "c.yaml")
	yaml := "state: {path: " + filepath.Join(dir, "x.db") + "}\naccess: {limits: {person_reads: 0, person_writes: 0, channel_reads: 0, channel_writes: 0}, people: [{name: bench, speakers: ['web:*'], user: demo, groups: [shop-operators], write: true}]}\n"
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		return err
	}
	env := []string{"KUBECONFIG=" + cluster.vars["KUBECONFIG"], "XDG_STATE_HOME=" + dir}
	var ready []time.Duration
	for range 4 { // the last one stays
		s, err := start(env, "FIRSTMATE_URL=", bot, "serve", "--config", config, "--listen", "127.0.0.1:0")
		if err != nil {
			return err
		}
		ready = append(ready, s.took)
		s.stop()
	}
	s, err := start(env, "FIRSTMATE_URL=", bot, "serve", "--config", config, "--listen", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer s.stop()
	ready = append(ready, s.took)
	b := &bench{sandbox: sandbox, bot: bot, url: s.vars["FIRSTMATE_URL"], env: append(env, "FIRSTMATE_URL="+s.vars["FIRSTMATE_URL"])}

	total, err := b.kubectl("get", "pods", "-A", "-o", "name")
	if err != nil {
		return err
	}
	fmt.Printf("### With %d pods\n\n| what | measured | budget | |\n|---|---|---|---|\n", strings.Count(total, "pod/"))
	row("`bot serve`, start → ready, slowest of 5", fmt.Sprintf("%.2f s", slices.Max(ready).Seconds()), "< 3 s", slices.Max(ready) < 3*time.Second)

	read, err := b.turns("how is web?", reads)
	if err != nil {
		return err
	}
	row("turn “how is web?” over HTTP, p50", ms(at(read, .5)), "", true)
	row("turn “how is web?” over HTTP, p99", ms(at(read, .99)), "< 10 ms", at(read, .99) < 10*time.Millisecond)
	row("`bot serve` RSS after that", fmt.Sprintf("%.0f MB (peak %.0f MB)", s.memory("VmRSS"), s.memory("VmHWM")), "< 120 MB", s.memory("VmRSS") < 120)

	if err := b.compare(ctx); err != nil {
		return err
	}
	row("`bot serve` RSS at the end", fmt.Sprintf("%.0f MB (peak %.0f MB)", s.memory("VmRSS"), s.memory("VmHWM")), "< 120 MB", s.memory("VmRSS") < 120)
	fmt.Println()
	return nil
}

func row(what, measured, budget string, ok bool) {
	verdict := "ok"
	switch {
	case budget == "":
		verdict = ""
	case !ok:
		verdict = "**missed**"
	}
	fmt.Printf("| %s | %s | %s | %s |\n", what, measured, budget, verdict)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// at is a quantile of durations.
func at(d []time.Duration, q float64) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// bench is what the measurements share.
type bench struct {
	sandbox, bot, url string
	env               []string
	n                 int // replicas that were asked for last
}

func (b *bench) kubectl(args ...string) (string, error) {
	cmd := exec.Command(b.sandbox, append([]string{"kubectl"}, args...)...)
	cmd.Env = append(os.Environ(), b.env...)
	out, err := cmd.Output()
	return string(out), err
}

// reply is what the measurements read of an answer.
type reply struct {
	Text     string
	Speech   string
	Proposal *struct{ ID string }
	Outcome  string
	Fault    string
}

func (b *bench) turn(text, confirm string) (reply, error) {
	body, err := json.Marshal(map[string]string{"conversation": "bench", "text": text, "confirm": confirm})
	if err != nil {
		return reply{}, err
	}
	resp, err := http.Post(b.url+"/api/v1/turns", "application/json", bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	var r reply
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		return r, err
	}
	if r.Fault != "" {
		return r, fmt.Errorf("%q: %s", text, r.Text)
	}
	return r, nil
}

// turns times turns over one HTTP connection.
func (b *bench) turns(text string, n int) ([]time.Duration, error) {
	var out []time.Duration
	for i := range n + warmup {
		begun := time.Now()
		if _, err := b.turn(text, ""); err != nil {
			return nil, err
		}
		if i >= warmup {
			out = append(out, time.Since(begun))
		}
	}
	return out, nil
}

// timed runs a whole process and times it until it ends.
func (b *bench) timed(name string, args ...string) (time.Duration, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), b.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s %v: %w\n%s", filepath.Base(name), args, err, out.String())
	}
	return time.Since(begun), nil
}

// accepted runs `bot ask --yes` and times it until it says that the cluster
// has the change (its first line of progress), and until it ends.
func (b *bench) accepted(text string) (accepted, done time.Duration, err error) {
	cmd := exec.Command(b.bot, "ask", "--yes", text)
	cmd.Env = append(os.Environ(), b.env...)
	progress, err := cmd.StderrPipe()
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	sc := bufio.NewScanner(progress)
	for sc.Scan() {
		if accepted == 0 {
			accepted = time.Since(begun)
		}
	}
	if err := cmd.Wait(); err != nil {
		return 0, 0, fmt.Errorf("bot ask --yes %q: %w", text, err)
	}
	done = time.Since(begun)
	if accepted == 0 {
		accepted = done // it was over before progress could be told
	}
	return accepted, done, nil
}

// next is a number of replicas that differs from the one before.
func (b *bench) next() string {
	if b.n == 5 {
		b.n = 4
	} else {
		b.n = 5
	}
	return strconv.Itoa(b.n)
}

// settled waits until web's roll-out is over, so that the next run starts even.
func (b *bench) settled() error {
	_, err := b.kubectl("rollout", "status", "deploy/web", "--timeout=60s")
	return err
}

// compare runs firstmate and kubectl in turn.
func (b *bench) compare(_ context.Context) error {
	var readA, readB, scaleA, scaleB, doneA, doneB, server, alone []time.Duration
	for i := range pairs + 2 {
		a, err := b.timed(b.bot, "ask", "how is web?")
		if err != nil {
			return err
		}
		k, err := b.timed(b.sandbox, "kubectl", "get", "deployment", "web")
		if err != nil {
			return err
		}
		own, err := b.timed(b.bot, "ask", "--server", "", "how is web?")
		if err != nil {
			return err
		}
		acc, done, err := b.accepted("scale web to " + b.next())
		if err != nil {
			return err
		}
		if err := b.settled(); err != nil {
			return err
		}
		ks, err := b.timed(b.sandbox, "kubectl", "scale", "deployment/web", "--replicas="+b.next())
		if err != nil {
			return err
		}
		kw, err := b.timed(b.sandbox, "kubectl", "rollout", "status", "deployment/web", "--timeout=60s")
		if err != nil {
			return err
		}
		begun := time.Now()
		p, err := b.turn("scale web to "+b.next(), "")
		if err != nil {
			return err
		}
		if p.Proposal == nil {
			return fmt.Errorf("no proposal: %s", p.Text)
		}
		if _, err := b.turn("yes", p.Proposal.ID); err != nil {
			return err
		}
		both := time.Since(begun)
		if err := b.settled(); err != nil {
			return err
		}
		if i < 2 {
			continue // warming up
		}
		readA, readB, alone = append(readA, a), append(readB, k), append(alone, own)
		scaleA, scaleB = append(scaleA, acc), append(scaleB, ks)
		doneA, doneB = append(doneA, done), append(doneB, ks+kw)
		server = append(server, both)
	}
	row("two turns over HTTP: “scale web to five” (dry-run, read-back) and “yes”, p50", ms(at(server, .5)), "", true)
	pair("`bot ask \"how is web?\"` / `kubectl get deployment web`, whole process", readA, readB, "", 0)
	pair("the same without a server, the process talks to the cluster itself", alone, readB, "", 0)
	pair("`bot ask --yes \"scale web to five\"` until the cluster has it / `kubectl scale`, whole process", scaleA, scaleB, "< 0.5", .5)
	pair("the same until rolled out / `kubectl scale` and `kubectl rollout status`", doneA, doneB, "", 0)
	return nil
}

// pair prints medians and the median of the ratios pair by pair.
func pair(what string, a, b []time.Duration, budget string, limit float64) {
	var ratios []float64
	for i := range a {
		ratios = append(ratios, a[i].Seconds()/b[i].Seconds())
	}
	slices.Sort(ratios)
	r := ratios[len(ratios)/2]
	row(what, fmt.Sprintf("%s / %s, ratio %.2f (%.2f … %.2f)", ms(at(a, .5)), ms(at(b, .5)), r, ratios[0], ratios[len(ratios)-1]), budget, limit == 0 || r < limit)
}
