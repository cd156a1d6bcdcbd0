package podlogs_test

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
	"github.com/firstmate-ops/firstmate/internal/observability/podlogs"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

var sandbox *sandboxtest.Sandbox

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(sandboxtest.Main(m, func(s *sandboxtest.Sandbox) { sandbox = s }))
}

func fleet(t *testing.T, opt kube.ReaderOptions) *kube.Fleet {
	t.Helper()
	sandboxtest.Need(t, sandbox)
	f, err := kube.NewFleet([]kube.Member{{Name: "sandbox", Connect: func() (*kube.Cluster, error) { return kube.Connect(sandbox.Kubeconfig, "", "") }}}, kube.FleetOptions{ReaderOptions: opt}, slog.New(slog.DiscardHandler))
	if err == nil {
		err = f.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func kubectl(t *testing.T, input string, args ...string) string {
	t.Helper()
	out, err := sandbox.Kubectl(t.Context(), input, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// TestTheSameAsKubectl holds against a real API server that nothing is missing
// and nothing invented: all lines of all pods as kubectl shows them one by one.
func TestTheSameAsKubectl(t *testing.T) {
	for name, f := range map[string]*kube.Fleet{"watching": fleet(t, kube.ReaderOptions{}), "asking": fleet(t, kube.ReaderOptions{NoPods: true})} {
		t.Run(name, func(t *testing.T) {
			q := logs.Query{Target: observability.Target{Namespace: "shop", Kind: kube.Deployment, Name: "checkout"}}
			q.Window.To = time.Now().Add(-time.Second)
			q.Window.From = q.Window.To.Add(-20 * time.Minute)
			got, err := collect(t, t.Context(), podlogs.New(f, podlogs.Options{}), q)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for pod := range strings.FieldsSeq(kubectl(t, "", "-n", "shop", "get", "pods", "-l", "app.kubernetes.io/name=checkout", "-o", "jsonpath={.items[*].metadata.name}")) {
				for line := range strings.SplitSeq(kubectl(t, "", "-n", "shop", "logs", pod, "-c", "checkout", "--timestamps"), "\n") {
					at, text, _ := strings.Cut(line, " ")
					if when, err := time.Parse(time.RFC3339Nano, at); err == nil && !when.Before(q.Window.From) && !when.After(q.Window.To) {
						want = append(want, when.UTC().Format("2006-01-02T15:04:05.000000000")+" "+pod+" "+text)
					}
				}
			}
			slices.Sort(want)
			var have []string
			for _, l := range got {
				if l.Container == "checkout" {
					have = append(have, l.At.Format("2006-01-02T15:04:05.000000000")+" "+l.Pod+" "+l.Raw)
				}
			}
			if !slices.IsSorted(have) {
				t.Error("not in the order of time")
			}
			if len(want) < 50 || !slices.Equal(have, want) {
				t.Errorf("%d lines, kubectl has %d", len(have), len(want))
			}
		})
	}
}

const deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME}, spec: {replicas: 2, selector: {matchLabels: {app: NAME}},
  template: {metadata: {labels: {app: NAME}}, spec: {containers: [{name: NAME, image: "registry.example.com/shop/NAME:TAG"}]}}}}`

// TestFollowingARollOut holds on the real thing that pods which come are
// followed and those which go do no harm.
func TestFollowingARollOut(t *testing.T) {
	f := fleet(t, kube.ReaderOptions{})
	kubectl(t, strings.NewReplacer("NAME", "tailed", "TAG", "1.0").Replace(deployment), "-n", "shop", "apply", "-f", "-")
	t.Cleanup(func() {
		_, _ = sandbox.Kubectl(context.Background(), "", "-n", "shop", "delete", "deployment", "tailed")
	})
	kubectl(t, "", "-n", "shop", "rollout", "status", "deployment/tailed", "--timeout=60s")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	q := logs.Query{Target: observability.Target{Namespace: "shop", Kind: kube.Deployment, Name: "tailed"}, Follow: true}
	seen := map[string]int{}
	for l, err := range podlogs.New(f, podlogs.Options{}).Lines(ctx, q) {
		if err != nil {
			t.Fatal(err)
		}
		seen[l.Pod]++
		if len(seen) == 2 && seen[l.Pod] == 1 {
			kubectl(t, "", "-n", "shop", "rollout", "restart", "deployment/tailed")
		}
		if len(seen) >= 4 {
			return
		}
	}
	t.Errorf("lines came of %v", seen)
}

// TestTheRunBefore reads what a container said before it crashed, as one entry
// with its stack trace.
func TestTheRunBefore(t *testing.T) {
	f := fleet(t, kube.ReaderOptions{})
	kubectl(t, strings.NewReplacer("NAME", "broken", "TAG", "1.0-crash").Replace(deployment), "-n", "shop", "apply", "-f", "-")
	t.Cleanup(func() {
		_, _ = sandbox.Kubectl(context.Background(), "", "-n", "shop", "delete", "deployment", "broken")
	})
	q := logs.Query{Target: observability.Target{Namespace: "shop", Kind: kube.Deployment, Name: "broken"}, Previous: true}
	r := podlogs.New(f, podlogs.Options{})
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(time.Second) {
		got, err := collect(t, t.Context(), r, q)
		if len(got) == 0 {
			if err != nil && fault.KindOf(err) != fault.NotFound {
				t.Fatal(err)
			}
			continue
		}
		last := got[len(got)-1]
		for _, l := range got {
			if strings.Contains(l.Stack, "main.go:87") {
				last = l
			}
		}
		if last.Level != observability.LevelError && last.Level != observability.LevelFatal || !strings.Contains(last.Stack, "main.go:41") {
			t.Errorf("%+v", last)
		}
		return
	}
	t.Error("no previous log came")
}
