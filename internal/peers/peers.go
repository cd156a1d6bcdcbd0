//go:build unix

// Package peers gives tests clients that others wrote: npm packages that play
// the other side of a protocol. A fake of ours that they do not get along with
// is wrong.
//
// Each peer is a folder here: package.json, package-lock.json with exact
// versions, and the scripts that use them. What the lock file names is
// installed once, into the user's cache; from then on no network is needed.
package peers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

//go:embed */package.json */package-lock.json */*.js
var folders embed.FS

const (
	// installLimit is how long the packages of one peer may take to come, with
	// the wait for another process that installs.
	installLimit = 5 * time.Minute
	// inUse is how long packages of an older lock file stay after their last use.
	inUse = 24 * time.Hour
)

// errNone says that a peer cannot be had on this machine.
var errNone = errors.New("not to be had here")

// Node returns a folder with the scripts of a peer, where Node finds the
// packages that they import. It skips the test, visibly, with -short and where
// there is neither Node nor a registry; a peer that is there and broken fails it.
func Node(t testing.TB, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs npm packages: run without -short")
	}
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), installLimit)
	defer cancel()
	peer, err := fs.Sub(folders, name)
	if err != nil {
		t.Fatal(err)
	}
	modules, err := install(ctx, cache, name, peer)
	if errors.Is(err, errNone) {
		t.Skipf("the npm packages of %s are %v", name, err)
	}
	if err != nil {
		t.Fatalf("the npm packages of %s: %v", name, err)
	}
	dir := t.TempDir()
	if err := scripts(peer, dir, modules); err != nil {
		t.Fatal(err)
	}
	return dir
}

// cacheDir is where the sandbox keeps what it built, too.
func cacheDir() (string, error) {
	if dir := os.Getenv("FIRSTMATE_CACHE"); dir != "" {
		return filepath.Abs(filepath.Join(dir, "firstmate", "peers"))
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w; set FIRSTMATE_CACHE to a folder", err)
	}
	return filepath.Join(dir, "firstmate", "peers"), nil
}

// scripts puts a peer's scripts beside its packages, as Node looks for them.
func scripts(peer fs.FS, dir, modules string) error {
	found, err := fs.Glob(peer, "*.js*")
	if err != nil {
		return err
	}
	for _, name := range found {
		b, err := fs.ReadFile(peer, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return os.Symlink(modules, filepath.Join(dir, "node_modules"))
}

// install returns the folder node_modules of a peer, after npm filled it if
// need be. Processes that want the same wait for each other.
func install(ctx context.Context, cache, name string, peer fs.FS) (string, error) {
	sum, err := key(ctx, peer)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, name+"-"+sum)
	modules := filepath.Join(dir, "node_modules")
	if there(dir) {
		return modules, nil
	}
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(cache, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }() // which unlocks
	if err := wait(ctx, lock); err != nil {
		return "", err
	}
	if there(dir) { // meanwhile
		return modules, nil
	}
	tmp, err := os.MkdirTemp(cache, name+".installing-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // gone already where all went well
	if err := ci(ctx, peer, tmp); err != nil {
		return "", err
	}
	prune(cache, name)
	return modules, os.Rename(tmp, dir)
}

// there says whether packages are installed, and notes that they are used.
func there(dir string) bool {
	now := time.Now()
	return os.Chtimes(dir, now, now) == nil
}

// key is what the packages depend on: the lock file, and the Node that runs them.
func key(ctx context.Context, peer fs.FS) (string, error) {
	node, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%w: Node is missing (Debian's packages nodejs and npm): %w", errNone, err)
	}
	lock, err := fs.ReadFile(peer, "package-lock.json")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	major, _, _ := strings.Cut(string(node), ".")
	fmt.Fprintf(h, "%s %s/%s\n%s", major, runtime.GOOS, runtime.GOARCH, lock)
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

func wait(ctx context.Context, lock *os.File) error {
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another process holds %s: %w", lock.Name(), context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// ci installs exactly what the lock file names, and runs none of its scripts.
func ci(ctx context.Context, peer fs.FS, dir string) error {
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := fs.ReadFile(peer, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, path.Base(name)), b, 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error", "--fetch-retries=1")
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: npm is missing (Debian's package npm)", errNone)
	case err != nil && unreachable(said.String()):
		return fmt.Errorf("%w: the registry does not answer: %s", errNone, lastLines(said.String()))
	case err != nil:
		return fmt.Errorf("npm ci: %w: %s", err, lastLines(said.String()))
	}
	return os.MkdirAll(filepath.Join(dir, "node_modules"), 0o750) // npm makes none for nothing
}

// unreachable tells a registry that cannot be had from packages that are wrong.
func unreachable(said string) bool {
	for _, code := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH", "ERR_SOCKET_TIMEOUT", "E502", "E503", "E504", "E429"} {
		if strings.Contains(said, "code "+code) {
			return true
		}
	}
	return false
}

func lastLines(said string) string {
	const most = 600
	said = strings.TrimSpace(said)
	return said[max(0, len(said)-most):]
}

// prune removes packages that nobody used for a while. What cannot be removed
// stays, which costs nothing but room.
func prune(cache, name string) {
	found, err := filepath.Glob(filepath.Join(cache, name+"*"))
	if err != nil {
		return // the pattern is right
	}
	for _, dir := range found {
		at, err := os.Stat(dir)
		ours := strings.HasPrefix(filepath.Base(dir), name+"-") || strings.HasPrefix(filepath.Base(dir), name+".installing-")
		if err == nil && ours && at.IsDir() && time.Since(at.ModTime()) > inUse {
			_ = os.RemoveAll(dir)
		}
	}
}
