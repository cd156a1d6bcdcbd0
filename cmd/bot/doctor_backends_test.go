package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

func TestDoctorLooksAtBackEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		text   string
		worst  fault.Kind
		say    []string
	}{
		{"well", 200, `{"status":"success","data":{"version":"3.5.0"}}`, "", []string{"✔ Prometheus answers at", "version 3.5.0"}},
		{"of no version", 200, `{}`, "", []string{"✔ Prometheus answers at"}},
		{"another server", 404, ``, "", []string{"! Prometheus: answers", "observability.prometheus.url"}},
		{"a login page", 200, `<html>`, fault.Unavailable, []string{"✘ Prometheus at", "I do not understand", "→ curl -i http"}},
		{"locked", 401, ``, fault.Usage, []string{"✘ Prometheus", "under observability.prometheus"}},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.text))
		}))
		var out bytes.Buffer
		d := &doctor{out: &out}
		d.backends(t.Context(), ObservabilityConfig{Timeout: time.Second, Prometheus: PrometheusConfig{BackendConfig: BackendConfig{URL: s.URL}}})
		for _, want := range tt.say {
			if !strings.Contains(out.String(), want) || d.worst != tt.worst {
				t.Errorf("%s: %s (%s); want %q, %s", tt.name, out.String(), d.worst, want, tt.worst)
			}
		}
		s.Close()
	}
	var out bytes.Buffer
	d := &doctor{out: &out}
	d.backends(t.Context(), ObservabilityConfig{Timeout: time.Second})
	if d.worst != "" || !strings.Contains(out.String(), "Prometheus: off, observability.prometheus.url is not set") {
		t.Error(out.String())
	}
	out.Reset()
	d.backends(t.Context(), ObservabilityConfig{Timeout: time.Second, Prometheus: PrometheusConfig{BackendConfig: BackendConfig{URL: "http://127.0.0.1:1", Username: "u", Password: "hunter2"}}})
	if d.worst != fault.Unavailable || !strings.Contains(out.String(), "Prometheus does not answer") || strings.Contains(out.String(), "hunter2") {
		t.Error(out.String())
	}
}

func TestDoctorAsksARealPrometheus(t *testing.T) {
	s := sandboxtest.Prometheus(t)
	var out bytes.Buffer
	d := &doctor{out: &out}
	d.backends(t.Context(), ObservabilityConfig{Timeout: 5 * time.Second, Prometheus: PrometheusConfig{BackendConfig: BackendConfig{URL: s.URL}}})
	if d.worst != "" || !strings.Contains(out.String(), "✔ Prometheus answers at "+s.URL) {
		t.Error(out.String())
	}
}
