package server

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script is a program that stands in for a server that behaves badly.
func script(t *testing.T, text string) Options {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return Options{Binary: path, Dir: filepath.Join(dir, "state with 'signs'")}
}

func TestAServerThatEndsSaysWhy(t *testing.T) {
	o := script(t, "echo no disk >&2; exit 3")
	_, err := Start(t.Context(), "loki", o)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("Start() = %v", err)
	}
	if _, err := Start(t.Context(), "nonsense", o); err == nil {
		t.Error("a server that is none was started")
	}
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	o := script(t, "trap '' TERM\nwhile :; do sleep 0.1; done")
	ctx := t.Context()
	done := make(chan error, 1)
	// Never ready: the context ends the wait, and the process with it.
	limited, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	go func() { _, err := Start(limited, "loki", o); done <- err }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("it was said to be ready")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Start does not return")
	}
}

func TestConfigurationIsFilledIn(t *testing.T) {
	o := Options{
		Dir: t.TempDir(), Alertmanager: "http://127.0.0.1:9", Rules: []string{"/it's/rules.yaml"},
		Scrapes: []Scrape{{Job: "a", Address: "127.0.0.1:1", HonorLabels: true}, {Job: "b", Address: "127.0.0.1:2", Keep: "up|x.*", CAFile: "/ca", CertFile: "/c", KeyFile: "/k"}},
		Webhook: "http://127.0.0.1:8/alerts",
	}
	later := Options{Dir: t.TempDir(), WebhookFile: "/it's/alert-webhook"}
	if _, err := describe("alertmanager", later); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(later.Dir, "alertmanager.yaml")); err != nil || !strings.Contains(string(b), "[{url_file: '/it''s/alert-webhook', send_resolved: true}]") {
		t.Errorf("%s, %v", b, err)
	}
	for name, want := range map[string][]string{
		"prometheus": {
			"alertmanagers: [{static_configs: [{targets: ['127.0.0.1:9']}]}]", "rule_files: ['/it''s/rules.yaml']",
			"{job_name: 'a', honor_labels: true, static_configs: [{targets: ['127.0.0.1:1']}]}",
			"scheme: https, tls_config: {ca_file: '/ca', cert_file: '/c', key_file: '/k'}", "regex: 'up|x.*', action: keep",
		},
		"loki":         {"path_prefix: '" + filepath.Join(o.Dir, "data") + "'"},
		"alertmanager": {"[{url: 'http://127.0.0.1:8/alerts', send_resolved: true}]"},
	} {
		if _, err := describe(name, o); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(o.Dir, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range want {
			if !strings.Contains(string(b), line) {
				t.Errorf("%s lacks %s:\n%s", name, line, b)
			}
		}
		if strings.Contains(string(b), "[["+"P") || strings.Contains(string(b), "[[D") {
			t.Errorf("%s is not filled in:\n%s", name, b)
		}
	}
}
