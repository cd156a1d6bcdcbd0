package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// runAudit runs bot audit on the state directory of an environment.
func runAudit(v vars, in string, args ...string) (status int, out, errOut string) {
	var o, e bytes.Buffer
	status = run(context.Background(), append([]string{"audit"}, args...), v.get, strings.NewReader(in), &o, &e)
	return status, o.String(), e.String()
}

// auditLines keeps a trail of n lines, an hour apart, the last of them now.
func auditLines(t *testing.T, v vars, n int) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(v["XDG_STATE_HOME"], "firstmate", "firstmate.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for i := range n {
		b, err := audit.Event{Kind: audit.Said, At: time.Now().Add(time.Duration(i+1-n) * time.Hour), Said: fmt.Sprint("line ", i+1)}.Encode()
		if err == nil {
			err = s.AppendAudit(t.Context(), "", b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestTheTrailIsVerifiedAndExported(t *testing.T) {
	v := vars{"XDG_STATE_HOME": t.TempDir()}
	if status, out, _ := runAudit(v, "", "verify"); status != 0 || out != "The audit trail is empty.\n" {
		t.Errorf("before anything was said: %d %q", status, out)
	}
	if status, out, _ := runAudit(v, "", "export"); status != 0 || out != "" {
		t.Errorf("before anything was said: %d %q", status, out)
	}
	auditLines(t, v, 5)
	status, out, errOut := runAudit(v, "", "verify")
	_, head, ok := strings.Cut(strings.TrimSpace(out), "\nhead ")
	if status != 0 || !ok || !strings.Contains(out, "unbroken: lines to 5.") {
		t.Fatalf("%d %q %q", status, out, errOut)
	}
	if status, _, errOut := runAudit(v, "", "verify", "--head", head); status != 0 {
		t.Errorf("its own head: %d %s", status, errOut)
	}
	if status, _, errOut := runAudit(v, "", "verify", "--head", "6"+head[1:]); status != 5 || !strings.Contains(errOut, "line 6 is missing") {
		t.Errorf("a later head: %d %s", status, errOut)
	}
	if status, _, _ := runAudit(v, "", "verify", "--head", "nonsense"); status != 2 {
		t.Errorf("a head that is none: %d", status)
	}
	_, all, _ := runAudit(v, "", "export")
	if n := strings.Count(all, "\n"); n != 5 {
		t.Errorf("%d lines exported", n)
	}
	_, part, _ := runAudit(v, "", "export", "--since", "90m")
	if n := strings.Count(part, "\n"); n != 2 || !strings.Contains(part, "line 4") {
		t.Errorf("of 90 minutes: %s", part)
	}
	if _, none, _ := runAudit(v, "", "export", "--since", "2190-01-01"); none != "" {
		t.Errorf("of the future: %s", none)
	}
	if status, _, _ := runAudit(v, "", "export", "--since", "soon"); status != 2 {
		t.Errorf("since soon: %d", status)
	}
	for name, tt := range map[string]struct {
		trail  string
		status int
		says   string
	}{
		"all":     {all, 0, "lines to 5"},
		"a part":  {part, 0, "lines to 5"},
		"changed": {strings.Replace(all, "line 3", "line X", 1), 5, "line 3 was changed"},
		"removed": {strings.Replace(all, strings.SplitAfter(all, "\n")[1], "", 1), 5, "line 2 is missing"},
		"garbage": {all + "{}\n", 5, "line 6 of the file"},
		"cut off": {strings.Join(strings.SplitAfter(all, "\n")[:3], ""), 5, "cut off"},
	} {
		args := []string{"verify", "--file", "-"}
		if name == "cut off" {
			args = append(args, "--head", head)
		}
		if status, out, errOut := runAudit(v, tt.trail, args...); status != tt.status || !strings.Contains(out+errOut, tt.says) {
			t.Errorf("%s: %d %s%s", name, status, out, errOut)
		}
	}
}

func TestABrokenTrailIsNamed(t *testing.T) {
	v := vars{"XDG_STATE_HOME": t.TempDir()}
	s := auditLines(t, v, 4)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// What somebody could do with an editor: other letters in the file.
	path := filepath.Join(v["XDG_STATE_HOME"], "firstmate", "firstmate.db")
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(b, []byte("line 2")) {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte("line 2"), []byte("line Z")), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, errOut := runAudit(v, "", "verify"); status != 5 || !strings.Contains(errOut, "The audit trail is broken: line 2 was changed") {
		t.Errorf("%d %q %q", status, out, errOut)
	}
}
