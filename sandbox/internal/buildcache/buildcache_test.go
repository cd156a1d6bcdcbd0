package buildcache

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestSources(t *testing.T) {
	files, err := sources(fstest.MapFS{
		"go.mod":                            {},
		"go.sum":                            {},
		"README.md":                         {},
		"build/main.go":                     {},
		"demo/main.go":                      {},
		"e2e/e2e_test.go":                   {},
		"cmd/sandbox/main.go":               {},
		"cmd/sandbox/main_test.go":          {},
		"internal/buildcache/buildcache.go": {},
		"internal/shop/apply.go":            {},
		"internal/shop/manifests/a.yaml":    {},
		"internal/shop/testdata/b.yaml":     {},
		"internal/x.yaml":                   {},
		".hidden/x.go":                      {},
		"servers/loki/go.mod":               {},
		"parity/go.mod":                     {},
		"serve/main.go":                     {},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "cmd/sandbox/main.go go.mod go.sum internal/shop/apply.go internal/shop/manifests/a.yaml"
	if got := strings.Join(files, " "); got != want {
		t.Errorf("sources are %s\nwant %s", got, want)
	}
}

func TestKeyChangesWithWhatGoesIn(t *testing.T) {
	c, target := testCache(t)
	key := func() string {
		t.Helper()
		k, err := c.Key(target)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := key()
	if again := key(); again != first {
		t.Errorf("the key changed by itself: %s, %s", first, again)
	}
	write(t, target.Module, "demo/main.go", "package main // changed")
	write(t, target.Module, "cmd/sandbox/main_test.go", "package main")
	if k := key(); k != first {
		t.Error("the key changed with a file that is not compiled in")
	}
	write(t, target.Module, "cmd/sandbox/main.go", "package main // changed")
	second := key()
	if second == first {
		t.Error("the key did not change with a source")
	}
	c.GoVersion = "go1.99"
	if key() == second {
		t.Error("the key did not change with the Go version")
	}
}

func TestFlagsStampTheVersionOfGoMod(t *testing.T) {
	_, target := testCache(t)
	flags := target.Flags
	for _, want := range []string{
		"k8s.io/component-base/version.gitVersion=v1.36.3", "gitMajor=1 ", "gitMinor=36 ",
		"k8s.io/client-go/pkg/version.gitVersion=v1.36.3",
	} {
		if !strings.Contains(strings.Join(flags, " "), want) {
			t.Errorf("flags %q do not have %s", flags, want)
		}
	}
}

func TestFind(t *testing.T) {
	module, err := FindModule()
	if err != nil {
		t.Fatal(err)
	}
	for names, want := range map[string]string{
		"loki": "loki", "loki sandbox": "loki sandbox", "servers": "prometheus loki jaeger alertmanager",
		"all": "sandbox prometheus loki jaeger alertmanager", "nonsense": "",
	} {
		found, err := Find(module, strings.Fields(names)...)
		var got []string
		for _, t := range found {
			got = append(got, t.Name)
		}
		if strings.Join(got, " ") != want || (err == nil) != (want != "") {
			t.Errorf("Find(%s) = %v, %v", names, got, err)
		}
		for _, target := range found {
			if files, err := target.sources(os.DirFS(target.Module)); err != nil || len(files) < 2 {
				t.Errorf("%s is made of %v, %v", target.Name, files, err)
			} else if _, err := (&Cache{GoVersion: "go1.26"}).Key(target); err != nil {
				t.Errorf("%s: %v", target.Name, err)
			}
		}
	}
}

// Where the build fails, what Debian has is taken; where that fails too, both
// reasons are told.
func TestOtherwise(t *testing.T) {
	c, target := testCache(t) // it does not compile
	target.otherwise = func(_ context.Context, _ *Cache, path string) error {
		return os.WriteFile(path, []byte("#!/bin/sh"), 0o755)
	}
	p, err := c.Build(t.Context(), target)
	if err != nil || filepath.Base(p) != "sandbox" {
		t.Fatalf("Build() = %q, %v", p, err)
	}
	c, target = testCache(t)
	target.otherwise = func(context.Context, *Cache, string) error { return os.ErrPermission }
	if _, err := c.Build(t.Context(), target); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "main") {
		t.Errorf("Build() = %v", err)
	}
}

func TestBuildReturnsWhatIsThere(t *testing.T) {
	c, target := testCache(t)
	p, ok, err := c.Lookup(target)
	if err != nil || ok {
		t.Fatalf("Lookup in an empty cache: %v, %v", ok, err)
	}
	write(t, filepath.Dir(p), "sandbox", "#!/bin/sh")
	got, err := c.Build(context.Background(), target)
	if err != nil || got != p {
		t.Errorf("Build() = %q, %v; want %q", got, err, p)
	}
}

func TestLockIsForOneAtATime(t *testing.T) {
	c, _ := testCache(t)
	unlock, err := c.lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.lock(ctx); err == nil {
		t.Fatal("the lock was given twice")
	}
	unlock()
	unlock, err = c.lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	c, target := testCache(t) // its main.go does not compile: no func main
	_, err := c.Build(context.Background(), target)
	if err == nil || !strings.Contains(err.Error(), "main") {
		t.Errorf("Build() = %v, want the compiler's complaint", err)
	}
	entries, _ := os.ReadDir(c.Dir)
	for _, e := range entries {
		if e.Name() != "build.lock" {
			t.Errorf("%s was left in the cache", e.Name())
		}
	}
}

func TestBuildMakesTheBinaryOnce(t *testing.T) {
	c, target := testCache(t)
	write(t, target.Module, "cmd/sandbox/main.go", "package main\n\nfunc main() {}\n")
	results := make(chan string, 2)
	for range 2 {
		go func() {
			p, err := c.Build(context.Background(), target)
			if err != nil {
				t.Error(err)
			}
			results <- p
		}()
	}
	if a, b := <-results, <-results; a != b {
		t.Errorf("two paths: %s, %s", a, b)
	}
	if p, ok, err := c.Lookup(target); !ok || err != nil {
		t.Errorf("%s is not there: %v", p, err)
	}
}

func TestPruneKeepsTwo(t *testing.T) {
	c, _ := testCache(t)
	now := time.Now()
	for i, name := range []string{"sandbox-new", "sandbox-before", "sandbox-old", "sandbox-older", "sandbox-x-1", "loki-1", "building-1", "bot"} {
		dir := filepath.Join(c.Dir, name)
		write(t, dir, "sandbox", "")
		if err := os.Chtimes(dir, now, now.Add(-time.Duration(i)*inUse)); err != nil {
			t.Fatal(err)
		}
	}
	c.prune("sandbox", filepath.Join(c.Dir, "sandbox-new"))
	var left []string
	entries, _ := os.ReadDir(c.Dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got, want := strings.Join(left, " "), "bot loki-1 sandbox-before sandbox-new sandbox-x-1"; got != want {
		t.Errorf("left are %s, want %s", got, want)
	}
}

func TestBuildErrors(t *testing.T) {
	for output, want := range map[string]string{
		"write /x: no space left on device":               "the disk is full",
		"dial tcp: lookup proxy.golang.org: no such host": "downloading Go modules failed",
		"./main.go:3: undefined: x":                       "undefined: x",
	} {
		if err := buildError(Target{About: "it"}, os.ErrInvalid, output); !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %q, want %q in it", output, err, want)
		}
	}
}

func TestProgressCountsPackages(t *testing.T) {
	var out bytes.Buffer
	p := &Progress{w: &out, every: time.Hour}
	rest := p.follow(strings.NewReader("go: downloading k8s.io/api v0.36.3\nk8s.io/api/core/v1\nfmt\n# example\n./main.go:1:1: broken\n"), 2)
	if want := "# example\n./main.go:1:1: broken"; rest != want {
		t.Errorf("follow() = %q, want %q", rest, want)
	}
}

// testCache is the cache of a small module that looks like the sandbox's.
func testCache(t *testing.T) (*Cache, Target) {
	t.Helper()
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GOPROXY", "off")
	module := t.TempDir()
	// Replaced by an empty folder: nothing is downloaded for it.
	write(t, module, "k8s/go.mod", "module k8s.io/kubernetes\n")
	write(t, module, "go.mod", "module github.com/firstmate-ops/firstmate/sandbox\n\ngo 1.26\n\n"+
		"require (\n\tk8s.io/kubernetes v1.36.3\n)\n\nreplace k8s.io/kubernetes => ./k8s\n")
	write(t, module, "go.sum", "")
	write(t, module, "cmd/sandbox/main.go", "package main\n")
	target, err := Sandbox(module)
	if err != nil {
		t.Fatal(err)
	}
	return &Cache{Dir: t.TempDir(), GoVersion: "go1.26", Progress: &Progress{w: &bytes.Buffer{}, every: time.Hour}}, target
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
