package collect

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// What was found by the deadline is given, also where the rest never comes.
func TestLateGivesWhatItFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		let := make(chan struct{})
		defer close(let)
		out := &found{source: "x"}
		got, err := out.until(ctx, func() {
			out.add(diagnosis.Evidence{Kind: diagnosis.Latency})
			<-let
		})
		if len(got) != 1 || err == nil {
			t.Errorf("%v, %v", got, err)
		}
		out = &found{source: "x"}
		if got, err := out.until(t.Context(), func() { out.add(diagnosis.Evidence{}) }); len(got) != 1 || err != nil {
			t.Errorf("in time: %v, %v", got, err)
		}
		defer func() {
			if recover() == nil {
				t.Error("a panic is swallowed")
			}
		}()
		_, _ = (&found{}).until(t.Context(), func() { panic("oops") })
	})
}

// crowd is a Prometheus that knows who uses a node.
type crowd struct{ asked []string }

func (c *crowd) Measure(context.Context, Question) (Answer, error) { return Answer{}, nil }

func (c *crowd) Instant(_ context.Context, expr string, _ time.Time) ([]observability.Series, error) {
	c.asked = append(c.asked, expr)
	if !strings.HasPrefix(expr, "topk") {
		return nil, nil
	}
	use := func(ns, pod string, v float64) observability.Series {
		return observability.Series{Labels: map[string]string{"namespace": ns, "pod": pod}, Points: []observability.Point{{Value: v}}}
	}
	return []observability.Series{use("reports", "export-5d4f9c8b7-x2x4z", 30), use("secret", "miner-5d4f9c8b7-abcde", 5), use("reports", "alone", 1), use("reports", "db-0", 1)}, nil
}

// hood is a cluster with workloads of which nobody watches the pods.
type hood struct {
	Cluster
	all []kube.Workload
}

func (h hood) Find(_ context.Context, q kube.Query) (out []kube.Workload, _ error) {
	for _, w := range h.all {
		if w.Ref.Namespace == q.Namespace && w.Ref.Name == q.Name {
			out = append(out, w)
		}
	}
	return out, nil
}

// Where no pods are watched the measures tell who is on a node; what whoever asks
// may not see is not told.
func TestStrangersOnANode(t *testing.T) {
	at := func(kind, name string) kube.Workload {
		return kube.Workload{Ref: kube.Ref{Namespace: "reports", Kind: kind, Name: name}}
	}
	prom := &crowd{}
	c := saturation{&look{Sources: Sources{Metrics: prom, Cluster: hood{all: []kube.Workload{at(kube.Deployment, "export"), at(kube.StatefulSet, "db")}}}}}
	out := &found{}
	node := diagnosis.Object{Kind: nodeKind, Name: "node-2"}
	c.neighbours(t.Context(), out, nil, node, observability.CPU, "cpu", observability.Window{To: time.Now()})
	got, err := out.give()
	if err != nil || len(got) != 2 || got[0].Owner.Name != "export" || got[0].Peer != node || *got[0].Value != 30 || got[1].Owner.Kind != kube.StatefulSet {
		t.Errorf("%v: %+v", err, got)
	}
	if !strings.Contains(prom.asked[0], `node="node-2"`) {
		t.Errorf("asked %s", prom.asked[0])
	}
}
