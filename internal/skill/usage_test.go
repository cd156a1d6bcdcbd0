package skill

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// meter is a metrics-server: what the real one says is tried where it is asked.
type meter []kube.Usage

func (m meter) Usage(_ context.Context, q kube.UsageQuery) ([]kube.Usage, error) {
	return slices.DeleteFunc(slices.Clone(m), func(u kube.Usage) bool {
		return (u.Ref.Kind == kube.Node) != q.Nodes || q.Namespace != "" && u.Ref.Namespace != q.Namespace || q.Labels["app"] != "" && !strings.HasPrefix(u.Ref.Name, q.Labels["app"]+"-")
	}), nil
}

func TestNumbersWithoutPrometheus(t *testing.T) {
	now := time.Now()
	pod := func(ns, name string, cpu, mib float64) kube.Usage {
		return kube.Usage{Ref: kube.Ref{Namespace: ns, Kind: kube.Pod, Name: name}, CPU: cpu, Memory: mib * (1 << 20), At: now}
	}
	say := gauged(t, Metrics{Now: func() time.Time { return now }, Source: NewMetered(meter{
		pod("shop", "web-1", 0.25, 100), pod("shop", "web-2", 0.25, 200), pod("shop", "cart-1", 1.5, 50), pod("staging", "web-3", 3, 10),
		{Ref: kube.Ref{Kind: kube.Node, Name: "node-1"}, CPU: 4.5, Memory: 1 << 30, At: now},
	}, func() time.Time { return now })})
	for text, want := range map[string][]string{
		"how much cpu does cart in shop use?":      {"The CPU usage of cart is 1.5 cores. ", "Measured by metrics-server.", "of this moment only", "observability.prometheus.url"},
		"memory of node-1":                         {"is 1 GiB", "of this moment only"},
		"which pods use the most memory in shop":   {"web-2 has the most, 200 MiB", "before web-1 with 100 MiB"},
		"which namespaces use the most cpu":        {"staging has the most"},
		"what is the error rate of cart in shop?":  {"Without Prometheus I know only the CPU and memory"},
		"cpu of cart in shop yesterday":            {"not what was"},
		"which workloads use the most cpu in shop": {"metrics-server does not say that"},
	} {
		r := say(text)
		for _, w := range want {
			if !strings.Contains(r.Text, w) {
				t.Errorf("%s\n%s\nlacks %q", text, r.Text, w)
			}
		}
		if strings.Contains(r.Text, "hour ago") || strings.Contains(r.Speech, "Prometheus") && r.Fault != fault.Usage {
			t.Errorf("%s\n%s\n%s", text, r.Speech, r.Text)
		}
	}
}
