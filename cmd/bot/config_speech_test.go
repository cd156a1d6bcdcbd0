package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

func TestSpeechConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*SpeechConfig)
		want   string
	}{
		"the defaults":    {func(*SpeechConfig) {}, ""},
		"nothing listens": {func(c *SpeechConfig) { c.Engines = nil }, ""},
		"unknown engine":  {func(c *SpeechConfig) { c.Engines = []string{"offlin"} }, "offlin"},
		"twice":           {func(c *SpeechConfig) { c.Engines = []string{"offline", "offline"} }, "twice"},
		"no time":         {func(c *SpeechConfig) { c.Timeout = time.Millisecond }, "speech.timeout"},
		"no address":      {func(c *SpeechConfig) { c.OpenAI.URL = "api.openai.com" }, "speech.openai.url"},
	} {
		c := speechDefaults()
		tt.change(&c)
		err := c.check()
		if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestConfiguredEndpointListens holds that the configured key and model reach the
// configured endpoint, and that without engines nothing listens.
func TestConfiguredEndpointListens(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/audio/transcriptions" || r.Header.Get("Authorization") != "Bearer k" || r.FormValue("model") != "small" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(`{"text":"restart web"}`))
	}))
	defer srv.Close()
	c := speechDefaults()
	c.Engines = []string{"openai"}
	if l, err := c.listening(nil, nil, slog.New(slog.DiscardHandler)); err != nil || l.ears != nil {
		t.Errorf("without an address: %+v, %v", l, err)
	}
	c.OpenAI = SpeechOpenAIConfig{URL: srv.URL + "/v1", Key: "k", Model: "small"}
	l, err := c.listening(nil, nil, slog.New(slog.DiscardHandler))
	if err != nil || l.ears == nil {
		t.Fatalf("%+v, %v", l, err)
	}
	if got, err := l.ears.Recognize(t.Context(), speech.Audio{Format: speech.WAV}, speech.Hints{}); err != nil || got.Text != "restart web" || got.Engine != "openai" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSpokenNames(t *testing.T) {
	n := kube.Names{Namespaces: []string{"shop"}, Workloads: []kube.Ref{{Namespace: "a", Name: "agent"}, {Namespace: "shop", Name: "web"}, {Namespace: "a", Name: "web"}, {Namespace: "shop", Name: "cart"}}}
	if got := spokenNames(n, "shop", false); strings.Join(got.Names, " ") != "web cart agent" || len(got.Places) != 1 {
		t.Errorf("%+v", got)
	}
	fires := []observability.Alert{{Name: "HighErrorRate"}, {Name: "HighErrorRate"}, {}}
	if got := spokenNames(kube.Names{Nodes: []string{"node-1"}}, "shop", false, fires...); strings.Join(got.Nodes, " ") != "node-1" || strings.Join(got.Alerts, " ") != "HighErrorRate" {
		t.Errorf("%+v", got)
	}
	if got := spokenNames(n, "shop", true, fires...); len(got.Alerts) > 0 {
		t.Errorf("%+v", got)
	}
	if got := spokenNames(n, "shop", true); len(got.Names)+len(got.Places) != 0 {
		t.Errorf("names that may not be known are given away: %+v", got)
	}
}
