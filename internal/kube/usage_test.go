package kube_test

import (
	"slices"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// What is used comes from the sandbox's real metrics-server.
func TestUsageOfTheRealMetricsServer(t *testing.T) {
	t.Parallel()
	ref := create(t, space(t), kube.Deployment, "acme/web:1")
	settled(t, ref)
	c := cluster(t)
	f := get[*kube.Fleet](t)(kube.NewFleet([]kube.Member{{Name: c.Name, Connect: func() (*kube.Cluster, error) { return c, nil }}}, kube.FleetOptions{}, discard))
	ok(t, f.Start(t.Context()))
	var pods []kube.Usage
	// It looks four times a minute, and needs two looks.
	for end := time.Now().Add(2 * time.Minute); len(pods) < 2; time.Sleep(time.Second) {
		var err error
		pods, err = f.Usage(t.Context(), kube.UsageQuery{Namespace: ref.Namespace, Labels: map[string]string{"app": "web"}})
		if err != nil && fault.KindOf(err) != fault.Unavailable || time.Now().After(end) {
			t.Fatalf("%+v, %v", pods, err)
		}
	}
	for _, p := range pods {
		if p.Ref.Kind != kube.Pod || p.Ref.Namespace != ref.Namespace || p.CPU <= 0 || p.CPU > 64 || p.Memory < 1<<20 || time.Since(p.At).Abs() > 5*time.Minute {
			t.Errorf("%+v", p)
		}
	}
	none, err := f.Usage(t.Context(), kube.UsageQuery{Namespace: ref.Namespace, Labels: map[string]string{"app": "other"}})
	if err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
	nodes, err := f.Usage(t.Context(), kube.UsageQuery{Nodes: true})
	if err != nil || !slices.ContainsFunc(nodes, func(u kube.Usage) bool { return u.Ref.Kind == kube.Node && u.CPU > 0 && u.Memory > 1<<20 }) {
		t.Errorf("%+v, %v", nodes, err)
	}
	for _, ns := range []string{"../secrets", "a/b", "A B", "x?y=z"} {
		if got, err := f.Usage(t.Context(), kube.UsageQuery{Namespace: ns}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%q: %v, %v", ns, got, err)
		}
	}
}
