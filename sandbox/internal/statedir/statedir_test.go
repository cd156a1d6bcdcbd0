package statedir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTemporaryFolderIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	d, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	if d.Reused || !d.Temporary {
		t.Errorf("%+v", d)
	}
	if err := d.Close(false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", d.Path, err)
	}
}

func TestNamedFolderIsKeptAndReused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d.Facts.Nodes, d.Facts.Filled = 3, true
	if err := d.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrInUse) {
		t.Errorf("a second sandbox in the folder: %v", err)
	}
	if err := d.Close(false); err != nil {
		t.Fatal(err)
	}
	d, err = Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(false)
	if !d.Reused || d.Facts.Nodes != 3 || !d.Facts.Filled {
		t.Errorf("%+v", d)
	}
}

func TestForeignFolderIsRefusedUntouched(t *testing.T) {
	path := t.TempDir()
	precious := filepath.Join(path, "precious")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "not a sandbox's state folder") {
		t.Errorf("Open() = %v", err)
	}
	entries, _ := os.ReadDir(path)
	if len(entries) != 1 {
		t.Errorf("the folder holds %v", entries)
	}
}

func TestOtherLayoutIsRefused(t *testing.T) {
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, marker), []byte(`{"version": 99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "layout 99") {
		t.Errorf("Open() = %v", err)
	}
}

func TestAbandonedFoldersAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	open := func() *Dir {
		t.Helper()
		d, err := Open("")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	running, killed, kept := open(), open(), open()
	killed.lock.Close() // as the kernel does
	kept.lock.Close()
	if err := os.WriteFile(kept.File(KeepFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	defer open().Close(false)
	defer running.Close(false)
	for d, want := range map[*Dir]bool{running: true, killed: false, kept: true} {
		if _, err := os.Stat(d.Path); (err == nil) != want {
			t.Errorf("%s: %v, want it to be there: %v", d.Path, err, want)
		}
	}
}

func TestSocketPathsAreShort(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	d, err := Open(long)
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.Socket("etcd.sock")
	if err != nil {
		t.Fatal(err)
	}
	if len(p) > maxSocketPath {
		t.Errorf("%s has %d bytes", p, len(p))
	}
	if err := d.Close(false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(p)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder for sockets is still there: %v", err)
	}
}
