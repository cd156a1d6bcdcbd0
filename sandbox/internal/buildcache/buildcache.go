// Package buildcache builds the sandbox's binary once and keeps it. The binary
// holds a whole Kubernetes control plane and takes minutes to compile, so it is
// built only when its sources, the Go version or the flags change.
//
// The package uses the standard library alone: the programs that need it run
// from source, and must not compile Kubernetes to say that they are about to.
package buildcache

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// keep is how many binaries stay in the cache: this one and the one before,
	// for going back and forth between two branches.
	keep = 2
	// binary is the name of the program in its folder.
	binary = "sandbox"
	prefix = "sandbox-"
)

// kubernetesModule is the line of go.mod that the version stamped into the
// binary comes from.
var kubernetesModule = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes\s+(v1\.(\d+)\.\d+\S*)`)

// Cache builds and keeps binaries of one module.
type Cache struct {
	// Module is the folder of the sandbox's module.
	Module string
	// Dir is the cache folder.
	Dir string
	// GoVersion is "go env GOVERSION" of the compiler in use.
	GoVersion string
	// Progress receives what a person should see.
	Progress *Progress
}

// New returns the cache for the module in the folder.
func New(ctx context.Context, module string, progress *Progress) (*Cache, error) {
	dir, err := DefaultDir()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	cmd.Dir = module
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("asking for the version of Go: %w", withStderr(err))
	}
	return &Cache{Module: module, Dir: dir, GoVersion: strings.TrimSpace(string(out)), Progress: progress}, nil
}

// DefaultDir is $FIRSTMATE_CACHE, or "firstmate" in the user's cache folder.
func DefaultDir() (string, error) {
	if dir := os.Getenv("FIRSTMATE_CACHE"); dir != "" {
		return filepath.Abs(filepath.Join(dir, "firstmate"))
	}
	dir := os.Getenv("XDG_CACHE_HOME")
	if dir == "" {
		var err error
		if dir, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("%w; set FIRSTMATE_CACHE to a folder", err)
		}
	}
	return filepath.Abs(filepath.Join(dir, "firstmate"))
}

// flags are those of "go build". Debug information would make the first build a
// quarter longer.
func (c *Cache) flags() ([]string, error) {
	b, err := os.ReadFile(filepath.Join(c.Module, "go.mod"))
	if err != nil {
		return nil, err
	}
	m := kubernetesModule.FindStringSubmatch(string(b))
	if m == nil {
		return nil, fmt.Errorf("%s names no version of k8s.io/kubernetes", filepath.Join(c.Module, "go.mod"))
	}
	// Without these the version is a placeholder that kubectl cannot read.
	const v = "k8s.io/component-base/version"
	ld := fmt.Sprintf("-s -w -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s -X %s.gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion=%s",
		v, m[1], v, v, m[2], v, m[1])
	return []string{"-gcflags=all=-dwarf=false", "-ldflags=" + ld}, nil
}

// Key names the binary that the present sources give.
func (c *Cache) Key() (string, error) {
	flags, err := c.flags()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %s/%s %q\n", c.GoVersion, goos(), goarch(), flags)
	files, err := sources(os.DirFS(c.Module))
	if err != nil {
		return "", err
	}
	for _, name := range files {
		b, err := os.ReadFile(filepath.Join(c.Module, filepath.FromSlash(name)))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %x\n", name, sha256.Sum256(b))
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

func goos() string   { return env("GOOS", runtime.GOOS) }
func goarch() string { return env("GOARCH", runtime.GOARCH) }

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// sources are the files that the binary is made from, sorted. Tests, and the
// programs that only build or start it, are not among them.
func sources(module fs.FS) ([]string, error) {
	var files []string
	err := fs.WalkDir(module, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch {
			case p == "build", p == "demo", p == "internal/buildcache", p == "e2e":
				return fs.SkipDir
			case p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case p == "go.mod", p == "go.sum":
		case strings.HasSuffix(p, "_test.go"):
			return nil
		case path.Ext(p) == ".go":
		case path.Ext(p) == ".yaml" && strings.Contains(p, "/manifests/"):
		default:
			return nil
		}
		files = append(files, p)
		return nil
	})
	slices.Sort(files)
	return files, err
}

// Lookup returns the path of the present binary, and whether it is there.
func (c *Cache) Lookup() (string, bool, error) {
	key, err := c.Key()
	if err != nil {
		return "", false, err
	}
	p := filepath.Join(c.Dir, prefix+key, binary)
	fi, err := os.Stat(p)
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	return p, err == nil && fi.Mode().IsRegular(), err
}

// Build returns the path of the binary, after building it if need be. Calls at
// the same time, in any process, wait for each other and build once.
func (c *Cache) Build(ctx context.Context) (string, error) {
	if p, ok, err := c.Lookup(); err != nil || ok {
		return p, err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return "", explain(err)
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	p, ok, err := c.Lookup() // another process may have built it meanwhile
	if err != nil || ok {
		return p, err
	}
	if err := c.build(ctx, p); err != nil {
		return "", err
	}
	c.prune(filepath.Dir(p))
	return p, nil
}

// lock waits for the cache's lock, which ends with the process at the latest.
func (c *Cache) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.Dir, "build.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, explain(err)
	}
	for told := false; ; {
		ok, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		if ok {
			return func() { f.Close() }, nil
		}
		if !told {
			c.Progress.Say("another process is building the sandbox; waiting for it")
			told = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// build makes the binary at p. It appears there whole or not at all.
func (c *Cache) build(ctx context.Context, p string) error {
	flags, err := c.flags()
	if err != nil {
		return err
	}
	c.Progress.Say("building the sandbox (a whole Kubernetes control plane): the first time takes 5 to 7 minutes on two cores, later ones seconds")
	tmp, err := os.MkdirTemp(c.Dir, "building-")
	if err != nil {
		return explain(err)
	}
	defer os.RemoveAll(tmp)

	const target = "./cmd/sandbox"
	total := c.stale(ctx, flags, target)
	args := append([]string{"build", "-v"}, flags...)
	cmd := c.command(ctx, append(args, "-o", filepath.Join(tmp, binary), target)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said := c.Progress.follow(stderr, total)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("building the sandbox: %w", context.Cause(ctx))
		}
		return buildError(err, said)
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Dir(p)); err != nil {
		return explain(err)
	}
	return nil
}

// stale counts the packages to compile, 0 if that cannot be told; it downloads
// the modules, so that the build does not look stuck while it does.
func (c *Cache) stale(ctx context.Context, flags []string, target string) int {
	done := c.Progress.During("looking what to compile; modules are downloaded the first time (670 MB)")
	defer done()
	args := append([]string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, flags...)
	out, err := c.command(ctx, append(args, target)...).Output()
	if err != nil {
		return 0 // the build says why, better
	}
	return len(strings.Fields(string(out)))
}

// command is a go command in the module. A workspace or vendor setting of the
// person's must not change what is built.
func (c *Cache) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = c.Module
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if os.Getenv("GOGC") == "" {
		// The compiler then spends a tenth less time, for more memory.
		cmd.Env = append(cmd.Env, "GOGC=400")
	}
	stopTogether(cmd)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// prune removes all but the newest binaries, and what killed builds left. The
// caller holds the lock. What cannot be removed is tried again next time.
func (c *Cache) prune(current string) {
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return
	}
	type candidate struct {
		path string
		used time.Time
	}
	var old []candidate
	for _, e := range entries {
		p := filepath.Join(c.Dir, e.Name())
		switch {
		case !e.IsDir() || p == current:
		case strings.HasPrefix(e.Name(), "building-"):
			os.RemoveAll(p)
		case strings.HasPrefix(e.Name(), prefix):
			if fi, err := e.Info(); err == nil {
				old = append(old, candidate{p, fi.ModTime()})
			}
		}
	}
	slices.SortFunc(old, func(a, b candidate) int { return b.used.Compare(a.used) })
	for i, o := range old {
		if i >= keep-1 {
			os.RemoveAll(o.path)
		}
	}
}

// buildError makes the usual failures readable.
func buildError(err error, output string) error {
	lower := strings.ToLower(output)
	switch {
	case strings.Contains(lower, "no space left on device"):
		return fmt.Errorf("the disk is full: the first build needs about 4 GB in the Go caches (see \"go env GOCACHE GOMODCACHE\")\n%s", output)
	case regexp.MustCompile(`dial tcp|no such host|proxy\.golang\.org|i/o timeout|connection refused|tls: |module lookup disabled`).MatchString(lower):
		return fmt.Errorf("downloading Go modules failed; check the network, or GOPROXY\n%s", output)
	}
	return fmt.Errorf("building the sandbox: %w\n%s", err, output)
}

func explain(err error) error {
	if errors.Is(err, errNoSpace) {
		return fmt.Errorf("the disk is full: %w", err)
	}
	return fmt.Errorf("the cache folder: %w; set FIRSTMATE_CACHE to another one", err)
}

func withStderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}

// FindModule looks for the sandbox's module from the working folder upwards, and
// in its folder "sandbox".
func FindModule() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		for _, candidate := range []string{d, filepath.Join(d, "sandbox")} {
			if isModule(candidate) {
				return candidate, nil
			}
		}
		if filepath.Dir(d) == d {
			return "", fmt.Errorf("the sandbox's module is not in %s or above it: run this in the folder \"sandbox\" of the repository", dir)
		}
	}
}

func isModule(dir string) bool {
	f, err := os.Open(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	defer f.Close()
	line, _ := bufio.NewReader(io.LimitReader(f, 200)).ReadString('\n')
	return strings.TrimSpace(line) == "module github.com/firstmate-ops/firstmate/sandbox"
}
