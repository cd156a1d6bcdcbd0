//go:build unix

package peers

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"testing/fstest"
	"time"
)

// TestThePeersAreWhatTheLockFilesSay holds that every peer's packages have exact
// versions and that a hash is written down for each.
func TestThePeersAreWhatTheLockFilesSay(t *testing.T) {
	locks, err := fs.Glob(folders, "*/package-lock.json")
	if err != nil || len(locks) == 0 {
		t.Fatalf("no peers: %v", err)
	}
	exact := regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)
	for _, name := range locks {
		var lock struct {
			Packages map[string]struct {
				Integrity    string            `json:"integrity"`
				Dependencies map[string]string `json:"dependencies"`
			} `json:"packages"`
		}
		b, err := fs.ReadFile(folders, name)
		if err == nil {
			err = json.Unmarshal(b, &lock)
		}
		if err != nil {
			t.Fatal(err)
		}
		for p, v := range lock.Packages["" /* the peer itself */].Dependencies {
			if !exact.MatchString(v) {
				t.Errorf("%s: %s has the version %q, which may be another tomorrow", name, p, v)
			}
		}
		for p, v := range lock.Packages {
			if p != "" && v.Integrity == "" {
				t.Errorf("%s: %s without a hash", name, p)
			}
		}
	}
}

func TestAWarmCacheNeedsNoNetwork(t *testing.T) {
	first := Node(t, "alexa") // fills the cache where it must
	t.Setenv("npm_config_registry", "http://127.0.0.1:9/")
	t.Setenv("npm_config_cache", t.TempDir())
	second := Node(t, "alexa")
	if first == second {
		t.Error("two tests share their scripts")
	}
	script := filepath.Join(second, "try.mjs")
	if err := os.WriteFile(script, []byte(`import "ask-sdk-express-adapter"; console.log("there")`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "node", script).CombinedOutput(); err != nil || string(out) != "there\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func peer(deps, packages string) fs.FS {
	return fstest.MapFS{
		"package.json":      {Data: []byte(`{"name":"x","version":"1.0.0","dependencies":{` + deps + `}}`)},
		"package-lock.json": {Data: []byte(`{"name":"x","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"x","version":"1.0.0","dependencies":{` + deps + `}}` + packages + `}}`)},
		"try.js":            {Data: []byte(`console.log("there")`)},
	}
}

func TestInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("needs npm: run without -short")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("needs npm:", err)
	}
	const one, locked = `"left":"1.0.0"`, `,"node_modules/left":{"version":"1.0.0","resolved":"http://127.0.0.1:9/left.tgz","integrity":"sha512-AAAA"}`
	cache := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	t.Setenv("npm_config_registry", "http://127.0.0.1:9/")
	t.Setenv("npm_config_cache", t.TempDir())

	old := filepath.Join(cache, "x-0000")
	err := errors.Join(os.Mkdir(old, 0o700), os.Chtimes(old, time.Time{}, time.Now().Add(-2*inUse)))
	if err != nil {
		t.Fatal(err)
	}
	if dir, err := install(ctx, cache, "x", peer("", "")); err != nil {
		t.Fatal(err)
	} else if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Error("what nobody uses stays:", err)
	}
	if _, err := install(ctx, cache, "x", peer(one, locked)); !errors.Is(err, errNone) {
		t.Errorf("without a registry: %v", err)
	}
	broken := fstest.MapFS{"package.json": {Data: []byte(`{"name":"x"}`)}, "package-lock.json": {Data: []byte(`no JSON`)}}
	if _, err := install(ctx, cache, "x", broken); err == nil || errors.Is(err, errNone) {
		t.Errorf("a lock file that is none: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "*installing*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
