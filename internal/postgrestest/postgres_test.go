//go:build unix

package postgrestest_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/postgrestest"
)

func folders(t *testing.T) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "firstmate-postgres-*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func TestAServerLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", anybodys(t))
	stale := filepath.Join(os.TempDir(), "firstmate-postgres-999999999-x")
	if err := os.Mkdir(stale, 0o700); err != nil {
		t.Fatal(err)
	}
	var s postgrestest.Server
	a, b := s.DSN(t), s.DSN(t)
	if err := errors.Join(postgrestest.Exec(t.Context(), a, "CREATE TABLE x (y int)"), postgrestest.Exec(t.Context(), b, "CREATE TABLE x (y int)")); err != nil || a == b {
		t.Errorf("%s and %s are not two databases: %v", a, b, err)
	}
	if left := folders(t); len(left) != 1 || left[0] == stale {
		t.Errorf("while it runs there are %q", left)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if left := folders(t); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if err := postgrestest.Exec(t.Context(), a, "SELECT 1"); err == nil {
		t.Error("it still answers")
	}
}

// anybodys is a folder that the server, which is not root, may look into.
func anybodys(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "firstmate-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
