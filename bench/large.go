package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// round is a time in which something is wrong in a big cluster, and what is asked.
type round struct {
	fault string // "" is nothing
	asks  []string
}

// rounds are questions about those who suffer, about bystanders, and about the
// whole shop; each is asked once.
func rounds() []round {
	why := func(symptom string, names ...string) []string {
		var out []string
		for _, n := range names {
			out = append(out, "why is "+n+" "+symptom+"?")
		}
		return out
	}
	return []round{
		{"", slices.Concat(why("slow", "checkout", "catalog", "search", "gateway"), why("failing", "cart", "payments-api", "order-worker", "web", "load-0042"))},
		{"slow-database", slices.Concat(why("slow", "checkout", "payments-api", "gateway", "cart"), why("failing", "catalog", "frontend", "email-sender", "postgres", "load-0003"))},
		{"network-policy", slices.Concat(why("failing", "checkout", "gateway", "nginx", "web", "frontend"), why("slow", "cart", "search", "redis-cache", "load-0777"))},
		{"dns", slices.Concat(why("failing", "checkout", "gateway", "order-worker", "frontend"), why("slow", "payments-api", "cart", "search", "image-resizer", "web-admin"))},
		// Last, for to end it is a roll-out too, which would be taken into account.
		{"bad-release-errors", slices.Concat(why("failing", "checkout", "gateway", "frontend", "order-worker"), why("slow", "payments-api", "web", "catalog", "redis-cache", "load-0500"))},
	}
}

// shown is how long a fault needs until it shows in scrapes.
const shown = 60 * time.Second

// large asks a server that runs why things are as they are, in a cluster of many
// pods with a Prometheus and a Loki that have much to look through.
func large(ctx context.Context, out io.Writer, f faulted, pods, mib int) error {
	begun := time.Now()
	s, err := start(nil, "READY", f.sandbox, "up", "--with-parent", "--history", "24h", "--pods", strconv.Itoa(pods), "--log-volume", strconv.Itoa(mib),
		"--server", "prometheus="+f.prometheus, "--server", "loki="+f.loki)
	if err != nil {
		return err
	}
	defer s.stop()
	fmt.Fprintf(os.Stderr, "the sandbox is ready after %v\n", time.Since(begun).Round(time.Second))
	lines, err := counter(ctx, s.vars["LOKI_URL"]+"/metrics", "loki_distributor_bytes_received_total")
	if err != nil {
		return err
	}
	series, err := counter(ctx, s.vars["PROMETHEUS_URL"]+"/metrics", "prometheus_tsdb_head_series")
	if err != nil {
		return err
	}
	samples, err := counter(ctx, s.vars["PROMETHEUS_URL"]+"/metrics", "prometheus_tsdb_head_samples_appended_total")
	if err != nil {
		return err
	}
	var all []asked
	for i, r := range rounds() {
		some, err := f.round(ctx, s, r, i == 0)
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d pods beside the shop's; Loki has taken in %.2f GB of lines, Prometheus %.1f million samples, and has %.0f thousand series in its head.\n\n",
		pods, lines/1e9, samples/1e6, series/1e3)
	tell(&b, all)
	_, err = io.WriteString(out, b.String())
	return err
}

// asked is a question with what came of it.
type asked struct {
	fault, text string
	took        time.Duration
	said        string
	late        []string // collectors that did not have all
	thin        bool     // there was not enough evidence
}

// round switches a fault on and asks a new server, which knows nothing yet of
// what the back-ends have.
func (f faulted) round(ctx context.Context, s *server, r round, first bool) (out []asked, err error) {
	if r.fault != "" {
		if err := control(ctx, http.MethodPut, s.vars["SANDBOX_URL"]+"/faults/"+r.fault); err != nil {
			return nil, err
		}
		defer func() {
			err = errors.Join(err, control(context.WithoutCancel(ctx), http.MethodDelete, s.vars["SANDBOX_URL"]+"/faults/"+r.fault))
		}()
	}
	if r.fault != "" || first {
		time.Sleep(shown)
	}
	dir, err := os.MkdirTemp("", "firstmate-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	env := []string{"KUBECONFIG=" + s.vars["KUBECONFIG"], "PROMETHEUS_URL=" + s.vars["PROMETHEUS_URL"], "LOKI_URL=" + s.vars["LOKI_URL"], "XDG_STATE_HOME=" + filepath.Join(dir, "state")}
	bot, err := start(env, "FIRSTMATE_URL=", f.bot, "serve", "--listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer bot.stop()
	b := &bench{url: bot.vars["FIRSTMATE_URL"]}
	if _, err := b.turn("which namespaces are there?", ""); err != nil { // it watches by now
		return nil, err
	}
	for _, text := range r.asks {
		begun := time.Now()
		got, err := b.turn(text, "")
		a := asked{fault: cmp.Or(r.fault, "none"), text: text, took: time.Since(begun), said: cmp.Or(got.Speech, got.Text)}
		if err != nil {
			return nil, err
		}
		for _, m := range without.FindAllStringSubmatch(got.Text, -1) {
			a.late = append(a.late, m[1])
		}
		a.thin = strings.Contains(got.Text, "not enough evidence")
		fmt.Fprintf(os.Stderr, "%-20s %-36s %5.2f s late=%v %s\n", a.fault, a.text, a.took.Seconds(), a.late, a.said)
		out = append(out, a)
	}
	return out, nil
}

// without is how an answer names what it had not all of.
var without = regexp.MustCompile(`(?m)^Without ([a-z]+): `)

// tell writes what came of all questions: how long they took, what was late, and
// the answers.
func tell(b *strings.Builder, all []asked) {
	var took []time.Duration
	late := map[string]int{}
	whole, thin, over := 0, 0, 0
	for _, a := range all {
		took = append(took, a.took)
		for _, c := range a.late {
			late[c]++
		}
		if len(a.late) == 0 && !a.thin {
			whole++
		}
		if a.thin {
			thin++
		}
		if a.took >= 2*time.Second {
			over++
		}
	}
	hold := "holds"
	if at(took, .95) >= 2*time.Second {
		hold = "**missed**"
	}
	fmt.Fprintf(b, "| questions | p50 | p95 | longest | budget: p95 < 2 s | all evidence in time | not enough evidence |\n|---|---|---|---|---|---|---|\n| %d | %.2f s | %.2f s | %.2f s | %s; %d took 2 s or more | %d | %d |\n\n",
		len(all), at(took, .5).Seconds(), at(took, .95).Seconds(), slices.Max(took).Seconds(), hold, over, whole, thin)
	b.WriteString("Late, of all questions: ")
	if len(late) == 0 {
		b.WriteString("nothing")
	}
	for i, c := range slices.Sorted(maps.Keys(late)) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(b, "%s %d", c, late[c])
	}
	b.WriteString(".\n\n| fault | asked | turn | late | it said |\n|---|---|---|---|---|\n")
	for _, a := range all {
		fmt.Fprintf(b, "| %s | %s | %.2f s | %s | %s |\n", a.fault, a.text, a.took.Seconds(), strings.Join(a.late, ", "), strings.ReplaceAll(strings.ReplaceAll(a.said, "|", "/"), "\n", " "))
	}
}

// control asks the sandbox's own API.
func control(ctx context.Context, method, url string) error {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		text, err := io.ReadAll(io.LimitReader(resp.Body, 500))
		return errors.Join(fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, text), err)
	}
	return nil
}

// counter sums a metric of what a server says of itself.
func counter(ctx context.Context, url, name string) (float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	sum, found := 0.0, false
	sc := bufio.NewScanner(resp.Body)
	for sc.Scan() {
		rest, ok := strings.CutPrefix(sc.Text(), name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, errors.Join(fmt.Errorf("%s says nothing of %s", url, name), sc.Err())
	}
	return sum, nil
}
