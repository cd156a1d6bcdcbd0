package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
)

// What was recorded is ranked again without a cluster, with the same verdict.
func TestDiagnosisIsReplayed(t *testing.T) {
	b, err := os.ReadFile("../../internal/diagnosis/testdata/cases/bad-release-latency.json")
	if err != nil {
		t.Fatal(err)
	}
	var filed struct{ Case diagnosis.Case }
	if err := json.Unmarshal(b, &filed); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "case.json")
	if err := record(name, filed.Case); err != nil {
		t.Fatal(err)
	}
	if s, err := os.Stat(name); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("the file may be read by others: %v %v", s.Mode(), err)
	}
	bot := func(args ...string) (int, string, string) {
		var out, errOut bytes.Buffer
		code := run(t.Context(), append([]string{"diagnose"}, args...), func(string) string { return "" }, strings.NewReader(""), &out, &errOut)
		return code, out.String(), errOut.String()
	}
	code, out, errOut := bot("--replay", name)
	if code != 0 || !strings.Contains(out, "because version 2.3, rolled out four minutes before, is slower: its p99 went from 200 ms to 840 ms") {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
	code, out, _ = bot("--replay", name, "--json")
	var v diagnosis.Verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 {
		t.Fatalf("%d %v\n%s", code, err, out)
	}
	want, err := json.Marshal(diagnosis.Rank(filed.Case))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(v); err != nil || string(got) != string(want) {
		t.Errorf("%v\n%s\nis not\n%s", err, got, want)
	}
	if err := os.WriteFile(name, []byte(`{"format": 99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--replay", name}, {"--replay", filepath.Join(dir, "none.json")}, {"--replay", name, "checkout"}, {"--replay", name, "--record", "x"}, {}, {"checkout", "--symptom", "sad"}, {"checkout", "--since", "1s"}, {"a", "b"}} {
		if code, _, errOut := bot(args...); code != 2 || errOut == "" {
			t.Errorf("%q: %d %s", args, code, errOut)
		}
	}
}
