package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExport(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"alexa", filepath.Join(dir, "a")}, 0, "Wrote 3 files to"},
		{[]string{"dialogflow", filepath.Join(dir, "d")}, 0, "Wrote "},
		{[]string{"discord", filepath.Join(dir, "c")}, 0, "Wrote 1 file to"},
		{[]string{"alexa", dir}, 2, "is not empty"},
		{[]string{"cortana", dir}, 2, "I can export to alexa"},
		{[]string{"alexa"}, 2, "Usage: bot export"},
	} {
		var out, errOut bytes.Buffer
		status := run(context.Background(), append([]string{"export"}, tt.args...), vars{}.get, strings.NewReader(""), &out, &errOut)
		if status != tt.status || !strings.Contains(out.String()+errOut.String(), tt.says) {
			t.Errorf("bot export %v: exit %d, said %q%q; want %d, %q", tt.args, status, out.String(), errOut.String(), tt.status, tt.says)
		}
	}
	for _, f := range []string{"a/interactionModels/custom/en-US.json", "d/agent.json", "d/intents/scale_usersays_en.json", "d/entities/workload_entries_en.json", "d/firstmate-es.zip", "d/firstmate-cx.zip", "d/cx/agent.json", "c/commands.json"} {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			t.Error(err)
		}
	}
}
