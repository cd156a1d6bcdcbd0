package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
	"github.com/firstmate-ops/firstmate/internal/observability/podlogs"
)

// What the logs of pods are merged of.
const (
	mergedPods  = 50
	mergedLines = 20_000 // of each
	mergedPairs = 7      // and one to warm up
	mergedName  = "merged"
	mergedSpace = "shop"
)

// readMerged prints all lines of a deployment's pods as one stream: what `bot
// ask "logs of …"` reads, without the part that picks the few lines to show.
func readMerged(ctx context.Context, out io.Writer, namespace, name string) error {
	f, err := kube.NewFleet([]kube.Member{{Name: "bench", Connect: func() (*kube.Cluster, error) { return kube.Connect("", "", "") }}},
		kube.FleetOptions{ReaderOptions: kube.ReaderOptions{NoPods: true}, Wait: true}, slog.New(slog.DiscardHandler))
	if err == nil {
		err = f.Start(ctx)
	}
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(out, 64<<10)
	q := logs.Query{Target: observability.Target{Namespace: namespace, Kind: kube.Deployment, Name: name}}
	var b []byte
	for l, err := range podlogs.New(f, podlogs.Options{}).Lines(ctx, q) {
		if err != nil {
			return errors.Join(err, w.Flush())
		}
		b = l.At.AppendFormat(b[:0], "2006-01-02T15:04:05.000000000Z ")
		b = append(append(b, l.Pod...), ' ')
		b = append(append(b, l.Container...), ' ')
		b = append(append(b, l.Raw...), '\n')
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return w.Flush()
}

// merged measures readMerged beside stern, in turn, as whole processes that
// write to a pipe.
func merged(ctx context.Context, out io.Writer, sandbox, stern string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cluster, err := start(nil, "READY", sandbox, "up", "--with-parent")
	if err != nil {
		return err
	}
	defer cluster.stop()
	env := []string{"KUBECONFIG=" + cluster.vars["KUBECONFIG"]}
	names, err := (&bench{sandbox: sandbox, env: env}).chatty(filepath.Dir(cluster.vars["KUBECONFIG"]))
	if err != nil {
		return err
	}
	programs := []program{
		{name: self, args: []string{"-merge", mergedSpace + "/" + mergedName}, stamped: true},
		{name: stern, args: []string{"--no-follow", "--tail", "-1", "--max-log-requests", strconv.Itoa(mergedPods), "--color", "never", "--namespace", mergedSpace, "--selector", "app=" + mergedName}},
	}
	runs := make([][]reading, len(programs))
	for i := range mergedPairs + 1 {
		for k, p := range programs {
			r, err := p.read(ctx, env, names)
			if err != nil {
				return fmt.Errorf("%s: %w", filepath.Base(p.name), err)
			}
			fmt.Fprintf(os.Stderr, "%-8s %6.2f s, %5.2f s of processor\n", filepath.Base(p.name), r.took.Seconds(), r.cpu.Seconds())
			if i > 0 {
				runs[k] = append(runs[k], r)
			}
		}
	}
	var ratios, cpu []float64
	for i := range runs[0] {
		ratios = append(ratios, runs[1][i].took.Seconds()/runs[0][i].took.Seconds())
		cpu = append(cpu, runs[1][i].cpu.Seconds()/runs[0][i].cpu.Seconds())
	}
	verdict := "ok"
	if middle(ratios) < 1.5 {
		verdict = "**missed**"
	}
	fmt.Fprintf(out, "| %d pods, %d lines each | firstmate | stern | ratio, pair by pair | budget | |\n|---|--:|--:|--:|---|---|\n", mergedPods, mergedLines)
	fmt.Fprintf(out, "| lines per second, whole process | %.0f | %.0f | %s | ≥ 1.5 | %s |\n", rate(runs[0]), rate(runs[1]), spread(ratios), verdict)
	fmt.Fprintf(out, "| processor time of it, median | %.2f s | %.2f s | %s | | |\n", cpuOf(runs[0]), cpuOf(runs[1]), spread(cpu))
	fmt.Fprintf(out, "| every line of every pod once, byte by byte | yes | yes | | | ok |\n")
	fmt.Fprintf(out, "| lines that came after a later one of another pod | 0 | not known: it prints no times unless told | | | ok |\n")
	return nil
}

// chatty makes the pods, and writes their logs where their nodes keep them.
func (b *bench) chatty(dir string) (names []string, err error) {
	manifest := strings.NewReplacer("NAME", mergedName, "COUNT", strconv.Itoa(mergedPods)).Replace(
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME}, spec: {replicas: COUNT, selector: {matchLabels: {app: NAME}}, template: {metadata: {labels: {app: NAME}}, spec: {containers: [{name: NAME, image: "registry.example.com/shop/NAME:1.0"}]}}}}`)
	file := filepath.Join(dir, "merged.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"apply", "-f", file}, {"rollout", "status", "deployment/" + mergedName, "--timeout=120s"}} {
		if _, err := b.kubectl(append([]string{"-n", mergedSpace}, args...)...); err != nil {
			return nil, err
		}
	}
	list, err := b.kubectl("-n", mergedSpace, "get", "pods", "-l", "app="+mergedName, "-o", "jsonpath={.items[*].metadata.name}")
	if err != nil {
		return nil, err
	}
	names = strings.Fields(list)
	if len(names) != mergedPods {
		return nil, fmt.Errorf("%d pods, not %d", len(names), mergedPods)
	}
	from := time.Now().Add(-30 * time.Minute).UTC()
	for i, name := range names {
		folder := filepath.Join(dir, "nodes", "pods", mergedSpace+"_"+name+"_"+mergedName)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
		var text []byte
		for n := range mergedLines {
			at := from.Add(time.Duration(n*50+(i*37)%50) * time.Millisecond)
			text = at.AppendFormat(text, "2006-01-02T15:04:05.000000000Z stdout F ")
			text = append(says(text, i, n), '\n')
		}
		if err := os.WriteFile(filepath.Join(folder, "0.log"), text, 0o600); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// says appends line n of pod i: JSON, logfmt and prose, as a shop's services
// write.
func says(b []byte, i, n int) []byte {
	num := func(v int) { b = strconv.AppendInt(b, int64(v), 10) }
	switch n % 4 {
	case 0, 1:
		b = append(b, `{"level":"info","msg":"order placed","order":"`...)
		num(100000 + (n*7919+i)%900000)
		b = append(b, `","items":`...)
		num(1 + n%9)
		b = append(b, `,"total":"12.40 EUR","took_ms":`...)
		num(3 + (n*31+i)%180)
		b = append(b, `,"seq":`...)
		num(n)
		return append(b, '}')
	case 2:
		b = append(b, `level=info msg="charge authorised" charge=ch_`...)
		num(n*131 + i)
		b = append(b, ` amount=18.20 currency=EUR took=`...)
		num(3 + (n*17+i)%180)
		b = append(b, "ms seq="...)
	default:
		b = append(b, `10.250.1.7 "GET /products/`...)
		num(100000 + (n*104729+i)%900000)
		b = append(b, ` HTTP/1.1" 200 1832 14ms `...)
	}
	num(n)
	return b
}

// program is one of the two.
type program struct {
	name    string
	args    []string
	stamped bool // its lines begin with their time, and are in its order
}

// reading is one run of a program.
type reading struct{ took, cpu time.Duration }

// read runs a program, and looks at every line that it writes.
func (p program) read(ctx context.Context, env, names []string) (r reading, err error) {
	cmd := exec.CommandContext(ctx, p.name, p.args...)
	cmd.Env = append(os.Environ(), env...)
	var said bytes.Buffer
	cmd.Stderr = &said
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return r, err
	}
	wrong := p.check(pipe, names)
	if wrong != nil {
		_ = cmd.Process.Kill()
	}
	err = cmd.Wait()
	r.took = time.Since(begun)
	if wrong != nil || err != nil {
		return r, fmt.Errorf("%w\n%s", errors.Join(wrong, err), said.String())
	}
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r, nil
}

// check reads lines, each "POD CONTAINER TEXT", and says what is wrong with them.
func (p program) check(from io.Reader, names []string) error {
	index := map[string]int{}
	for i, n := range names {
		index[n] = i
	}
	next := make([]int, len(names))
	br := bufio.NewReaderSize(from, 1<<20)
	var last, want []byte
	for {
		line, err := br.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		if err != nil {
			return err
		}
		line = line[:len(line)-1]
		if p.stamped {
			at, rest, _ := bytes.Cut(line, []byte(" "))
			if bytes.Compare(at, last) < 0 {
				return fmt.Errorf("%s after %s", at, last)
			}
			last, line = append(last[:0], at...), rest
		}
		pod, rest, _ := bytes.Cut(line, []byte(" "))
		i, ok := index[string(pod)]
		_, text, _ := bytes.Cut(rest, []byte(" "))
		if want = says(want[:0], i, next[i]); !ok || !bytes.Equal(text, want) {
			return fmt.Errorf("%q, not line %d of pod %d", line, next[i], i)
		}
		next[i]++
	}
	for i, n := range next {
		if n != mergedLines {
			return fmt.Errorf("%d lines of %s", n, names[i])
		}
	}
	return nil
}

func middle(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

func spread(v []float64) string {
	return fmt.Sprintf("%.2f (%.2f … %.2f)", middle(v), slices.Min(v), slices.Max(v))
}

func rate(runs []reading) float64 {
	var v []float64
	for _, r := range runs {
		v = append(v, mergedPods*mergedLines/r.took.Seconds())
	}
	return middle(v)
}

func cpuOf(runs []reading) float64 {
	var v []float64
	for _, r := range runs {
		v = append(v, r.cpu.Seconds())
	}
	return middle(v)
}
