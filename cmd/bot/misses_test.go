package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/misses"
	"github.com/firstmate-ops/firstmate/internal/store"

	"github.com/firstmate-ops/firstmate/intents"
)

// runMisses runs bot misses on the state directory of an environment.
func runMisses(t *testing.T, v vars, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	if status := run(context.Background(), append([]string{"misses"}, args...), v.get, strings.NewReader(""), &out, &errOut); status != 0 {
		t.Fatalf("bot misses %v: exit %d: %s", args, status, errOut.String())
	}
	return out.String()
}

// hear lets a listener of this configuration hear sentences that mean nothing.
func hear(t *testing.T, c MissesConfig, s misses.Store, sentences ...string) {
	t.Helper()
	catalogue, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	l := missListener(c, s, catalogue.Vocabulary, slog.New(slog.DiscardHandler))
	if l == nil {
		return
	}
	inv := intents.NewInventory(intents.InventoryData{Workloads: []intents.Workload{{Name: "payments-api"}}})
	r := intents.NewRecognizer(catalogue)
	for _, text := range sentences {
		read := r.Recognize(text, inv, intents.Expect{})
		l.Listen(context.Background(), dialogue.Heard{
			Request: dialogue.Request{Conversation: "c", Text: text}, Read: intents.Intent{Name: read.Intent, Slots: read.Slots},
			Inventory: inv, Reply: dialogue.Reply{Intent: read.Intent, Expect: dialogue.ExpectNone},
		})
	}
}

func TestMissesAreListedWhileTheyAreKept(t *testing.T) {
	v := vars{"XDG_STATE_HOME": t.TempDir()}
	if got := runMisses(t, v); got != "# Nothing was missed.\n" {
		t.Errorf("before anything was said: %q", got)
	}
	s, err := store.OpenSQLite(t.Context(), filepath.Join(v["XDG_STATE_HOME"], "firstmate", "firstmate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	hear(t, defaults().Misses, s, "skayl: \"x\" payments-api # now", "scale payments-api to five", "skayl it", "skayl it")

	var groups []misses.Group
	if err := json.Unmarshal([]byte(runMisses(t, v, "--json", "--since", "7d")), &groups); err != nil || len(groups) != 2 || groups[0].Count != 2 {
		t.Errorf("listed %+v, %v", groups, err)
	}
	text := runMisses(t, v)
	var file struct {
		Tests []struct {
			Intent string
			Slots  map[string]any
			Say    []string
		}
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil || len(file.Tests) != 2 {
		t.Fatalf("%v in\n%s", err, text)
	}
	if one := file.Tests[1]; one.Intent != "scale" || len(one.Say) != 1 || one.Say[0] != "skayl {quoted} web now" {
		t.Errorf("listed %+v in\n%s", one, text)
	}
	if strings.Contains(text, "payments") || strings.Count(text, "TODO") != 3 {
		t.Errorf("listed\n%s", text)
	}
	if got := runMisses(t, v, "--clear"); got != "Forgot 3.\n" {
		t.Errorf("said %q", got)
	}
	if got := runMisses(t, v, "--json"); got != "[]\n" {
		t.Errorf("still lists %q", got)
	}
}

func TestMissesCanBeSwitchedOff(t *testing.T) {
	c, err := loadConfig("", vars{"FIRSTMATE_MISSES_KEEP": "false"}.get)
	if err != nil || c.Misses.Keep {
		t.Fatal(c.Misses, err)
	}
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	hear(t, c.Misses, s, "skayl it")
	if kept, err := misses.Load(t.Context(), s, time.Time{}); len(kept) != 0 || err != nil {
		t.Errorf("kept %v, %v", kept, err)
	}
	if _, err := loadConfig(write(t, "misses: {max: 0}"), vars{}.get); err == nil || !strings.Contains(err.Error(), "misses.keep") {
		t.Errorf("max 0: %v", err)
	}
}

func TestParseAge(t *testing.T) {
	for in, want := range map[string]time.Duration{"": 0, "7d": 168 * time.Hour, "2w": 336 * time.Hour, "90m": 90 * time.Minute, "d": -1, "-1d": -1, "soon": -1, "99999d": -1} {
		got, err := parseAge(in)
		if (want < 0) != (err != nil) || want >= 0 && got != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}
