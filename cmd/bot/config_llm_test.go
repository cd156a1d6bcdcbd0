package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/llm/llmtest"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

func modelAt(m *llmtest.Server) LLMConfig {
	c := llmDefaults()
	c.URL, c.Key, c.Model, c.Sentences = m.Base(), llmtest.Key, llmtest.Model, true
	return c
}

func TestLLMConfig(t *testing.T) {
	m := llmtest.New(t)
	for name, tt := range map[string]struct {
		change func(*LLMConfig)
		want   string
	}{
		"as it is":        {func(*LLMConfig) {}, ""},
		"off":             {func(c *LLMConfig) { *c = llmDefaults() }, ""},
		"off, half there": {func(c *LLMConfig) { c.Sentences, c.URL, c.Timeout = false, "", 0 }, ""},
		"no address":      {func(c *LLMConfig) { c.URL = "" }, "llm.url"},
		"an odd one":      {func(c *LLMConfig) { c.URL = "ftp://model" }, "llm.url"},
		"no model":        {func(c *LLMConfig) { c.Model = "" }, "llm.model"},
		"no time":         {func(c *LLMConfig) { c.Timeout = time.Millisecond }, "llm.timeout"},
		"for ever":        {func(c *LLMConfig) { c.Timeout = time.Hour }, "llm.timeout"},
		"no budget":       {func(c *LLMConfig) { c.Day = 5 }, "day_tokens"},
		"too small":       {func(c *LLMConfig) { c.Answer = 1 }, "answer_tokens"},
	} {
		c := modelAt(m)
		tt.change(&c)
		if err := c.check(); (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c := llmDefaults(); c.on() || c.URL != "" {
		t.Errorf("it is on by default: %+v", c)
	}
}

// TestEachUseHasItsOwnSwitch holds that what is off is not there at all.
func TestEachUseHasItsOwnSwitch(t *testing.T) {
	catalogue, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	r := intents.NewRecognizer(catalogue)
	for _, c := range []LLMConfig{{}, {Sentences: true}, {Diagnoses: true}} {
		var e dialogue.Engine
		crew := skill.NewCrew(nil, nil, catalogue)
		m := newMetrics(nil, nil)
		if err := c.use(&e, crew, catalogue, r, m.model, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if e.HasFallback() != c.Sentences || crew.HasWording() != c.Diagnoses {
			t.Errorf("%+v: sentences %v, diagnoses %v", c, e.HasFallback(), crew.HasWording())
		}
	}
}

func TestDoctorAsksTheModel(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*LLMConfig, *llmtest.Server)
		want   []string
		fails  bool
	}{
		"off":       {func(c *LLMConfig, _ *llmtest.Server) { c.Sentences = false }, []string{"✔ language model: off", "stay in the house"}, false},
		"by schema": {func(_ *LLMConfig, m *llmtest.Server) { m.Says(`{"ok":true}`) }, []string{"✔ language model: test-model answers at http://", "by schema; there go sentences that are not understood"}, false},
		"no schema": {func(c *LLMConfig, m *llmtest.Server) { m.KnowsNoSchema(); m.Says(`{"ok":true}`); c.Diagnoses = true }, []string{"! language model", "by no schema", "and diagnoses"}, false},
		"key":       {func(c *LLMConfig, _ *llmtest.Server) { c.Key = "sk-wrong" }, []string{"✘", "does not take my key"}, true},
		"model":     {func(c *LLMConfig, _ *llmtest.Server) { c.Model = "gone" }, []string{"✘", "no such model"}, true},
		"nobody":    {func(c *LLMConfig, _ *llmtest.Server) { c.URL = "http://127.0.0.1:1/v1" }, []string{"✘", "cannot be reached"}, true},
	} {
		m := llmtest.New(t)
		c := modelAt(m)
		tt.change(&c, m)
		var out bytes.Buffer
		d := &doctor{out: &out}
		d.model(t.Context(), c)
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q is missing from %s", name, want, out.String())
			}
		}
		if (d.worst != "") != tt.fails || strings.Contains(out.String(), "sk-") {
			t.Errorf("%s: %s, %s", name, d.worst, out.String())
		}
	}
}
