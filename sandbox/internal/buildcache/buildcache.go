// Package buildcache builds the sandbox's programs once and keeps them: the
// sandbox itself, which holds a whole Kubernetes control plane, and the servers
// beside it. Each takes minutes to compile, so it is built only when its
// sources, the Go version or the flags change.
//
// The package uses the standard library alone: the programs that need it run
// from source, and must not compile Kubernetes to say that they are about to.
package buildcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// keep is how many builds of a program stay in the cache: this one and the
	// one before, for going back and forth between two branches.
	keep = 2
	// inUse is how long a build stays after its last use in any case: several
	// checkouts may take turns.
	inUse = 24 * time.Hour
)

// Target is a program that the cache can build.
type Target struct {
	// Name is that of the program.
	Name string
	// Module is the folder of its module, Package what to build there.
	Module, Package string
	// Flags are those of "go build".
	Flags []string
	// About and Takes say what is built, and how long it takes the first time.
	About, Takes string
	// sources lists the files of the module that the program is made from.
	sources func(fs.FS) ([]string, error)
	// prepare makes in a temporary folder what the build needs besides, and
	// returns flags for it.
	prepare func(ctx context.Context, c *Cache, t Target, dir string) ([]string, error)
	// otherwise makes the program at a path in another way where the build fails.
	otherwise func(ctx context.Context, c *Cache, path string) error
}

// Cache builds and keeps programs.
type Cache struct {
	// Dir is the cache folder.
	Dir string
	// GoVersion is "go env GOVERSION" of the compiler in use.
	GoVersion string
	// Progress receives what a person should see.
	Progress *Progress
}

// New returns the cache, for the compiler that the module in the folder uses.
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
	return &Cache{Dir: dir, GoVersion: strings.TrimSpace(string(out)), Progress: progress}, nil
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

// Key names the build that the present sources give.
func (c *Cache) Key(t Target) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s/%s %q\n", c.GoVersion, goos(), goarch(), t.Flags)
	files, err := t.sources(os.DirFS(t.Module))
	if err != nil {
		return "", err
	}
	for _, name := range files {
		b, err := os.ReadFile(filepath.Join(t.Module, filepath.FromSlash(name)))
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

// Lookup returns the path of the program's present build, and whether it is there.
func (c *Cache) Lookup(t Target) (string, bool, error) {
	key, err := c.Key(t)
	if err != nil {
		return "", false, err
	}
	p := filepath.Join(c.Dir, t.Name+"-"+key, t.Name)
	fi, err := os.Stat(p)
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err != nil || !fi.Mode().IsRegular() {
		return p, false, err
	}
	// That it was used just now; an error makes it look older than it is.
	now := time.Now()
	_ = os.Chtimes(filepath.Dir(p), now, now)
	return p, true, nil
}

// Build returns the path of the program, after building it if need be. Calls at
// the same time, in any process, wait for each other and build once; one program
// is built at a time.
func (c *Cache) Build(ctx context.Context, t Target) (string, error) {
	if p, ok, err := c.Lookup(t); err != nil || ok {
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
	p, ok, err := c.Lookup(t) // another process may have built it meanwhile
	if err != nil || ok {
		return p, err
	}
	if err := c.build(ctx, t, p); err != nil {
		return "", err
	}
	c.prune(t.Name, filepath.Dir(p))
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
			c.Progress.Say("another process is building; waiting for it")
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

// build makes the program at p. It appears there whole or not at all.
func (c *Cache) build(ctx context.Context, t Target, p string) error {
	c.Progress.Say(fmt.Sprintf("building %s, once: %s", t.About, t.Takes))
	tmp, err := os.MkdirTemp(c.Dir, "building-")
	if err != nil {
		return explain(err)
	}
	defer os.RemoveAll(tmp)
	out := filepath.Join(tmp, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		return explain(err)
	}
	err = c.compile(ctx, t, tmp, filepath.Join(out, t.Name))
	if err != nil && ctx.Err() == nil && t.otherwise != nil {
		c.Progress.Say(err.Error())
		if other := t.otherwise(ctx, c, filepath.Join(out, t.Name)); other != nil {
			err = errors.Join(err, other)
		} else {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	if err := os.Rename(out, filepath.Dir(p)); err != nil {
		return explain(err)
	}
	return nil
}

// compile builds the program at out; tmp is for files that the build needs.
func (c *Cache) compile(ctx context.Context, t Target, tmp, out string) error {
	flags := t.Flags
	if t.prepare != nil {
		more, err := t.prepare(ctx, c, t, tmp)
		if err != nil {
			return fmt.Errorf("preparing the build of %s: %w", t.About, err)
		}
		flags = slices.Concat(flags, more)
	}
	total := c.stale(ctx, t, flags)
	args := append([]string{"build", "-v"}, flags...)
	cmd := c.command(ctx, t, append(args, "-o", out, t.Package)...)
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
			return fmt.Errorf("building %s: %w", t.About, context.Cause(ctx))
		}
		return buildError(t, err, said)
	}
	return nil
}

// stale counts the packages to compile, 0 if that cannot be told; it downloads
// the modules, so that the build does not look stuck while it does.
func (c *Cache) stale(ctx context.Context, t Target, flags []string) int {
	done := c.Progress.During("looking what to compile; modules are downloaded the first time (hundreds of MB)")
	defer done()
	args := append([]string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, flags...)
	out, err := c.command(ctx, t, append(args, t.Package)...).Output()
	if err != nil {
		return 0 // the build says why, better
	}
	return len(strings.Fields(string(out)))
}

// command is a go command in the module. A workspace or vendor setting of the
// person's must not change what is built.
func (c *Cache) command(ctx context.Context, t Target, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = t.Module
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if os.Getenv("GOGC") == "" {
		// The compiler then spends a tenth less time, for more memory.
		cmd.Env = append(cmd.Env, "GOGC=400")
	}
	stopTogether(cmd)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// prune removes all but the newest builds of a program, and what killed builds
// left. The caller holds the lock. What cannot be removed is tried again next time.
func (c *Cache) prune(name, current string) {
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
		case buildOf(name, e.Name()):
			if fi, err := e.Info(); err == nil {
				old = append(old, candidate{p, fi.ModTime()})
			}
		}
	}
	slices.SortFunc(old, func(a, b candidate) int { return b.used.Compare(a.used) })
	for i, o := range old {
		if i >= keep-1 && time.Since(o.used) > inUse {
			os.RemoveAll(o.path)
		}
	}
}

// buildOf says whether a folder of the cache holds a build of the program.
func buildOf(name, folder string) bool {
	key, ok := strings.CutPrefix(folder, name+"-")
	return ok && !strings.Contains(key, "-")
}

// buildError makes the usual failures readable.
func buildError(t Target, err error, output string) error {
	lower := strings.ToLower(output)
	switch {
	case strings.Contains(lower, "no space left on device"):
		return fmt.Errorf("the disk is full: the first build needs about 4 GB in the Go caches (see \"go env GOCACHE GOMODCACHE\")\n%s", output)
	case regexp.MustCompile(`dial tcp|no such host|proxy\.golang\.org|i/o timeout|connection refused|tls: |module lookup disabled`).MatchString(lower):
		return fmt.Errorf("downloading Go modules failed; check the network, or GOPROXY\n%s", output)
	}
	return fmt.Errorf("building %s: %w\n%s", t.About, err, output)
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
