package logs

import (
	"os"
	"strings"
	"testing"
	"time"
)

var testTime = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

// read gives the lines of a file, without empty ones.
func read(t testing.TB, name string) []string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.SplitSeq(string(b), "\n") {
		if line != "" {
			out = append(out, line)
		}
	}
	return out
}
