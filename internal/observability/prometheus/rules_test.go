package prometheus_test

import (
	"slices"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/prometheus"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

func TestAlertNamesOfTheRealOne(t *testing.T) {
	s := sandboxtest.PrometheusWithRules(t)
	b, err := backend.New(backend.Options{Name: "Prometheus", URL: s.URL, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	names, err := prometheus.New(b, nil).AlertNames(t.Context())
	if err != nil || !slices.Contains(names, "HighErrorRate") || !slices.Contains(names, "KubePodCrashLooping") || !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("%v, %v", names, err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if names, err := prometheus.New(b, nil).AlertNames(t.Context()); err == nil {
		t.Errorf("of one that is gone: %v", names)
	}
}
