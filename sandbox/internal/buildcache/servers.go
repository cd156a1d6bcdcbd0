package buildcache

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Servers are the names of the programs that run beside the control plane, in
// the order in which they are built.
func Servers() []string { return []string{"prometheus", "loki", "jaeger", "alertmanager"} }

// Server is one of the Servers. module is the folder of the sandbox's module; each
// server has a module of its own below it, which only says what to build, because
// no two of them agree about the versions of what they need.
func Server(module, name string) (Target, error) {
	t := Target{
		Name: name, Module: filepath.Join(module, "servers", name),
		// No debug information, and no symbols: it is built sooner, and half as large.
		Flags: []string{"-gcflags=all=-dwarf=false", "-ldflags=-s"},
		sources: func(fs.FS) ([]string, error) {
			return []string{"go.mod", "go.sum"}, nil
		},
	}
	switch name {
	case "prometheus":
		t.Package = "github.com/prometheus/prometheus/cmd/prometheus"
		// Not the clients of twenty clouds, to find targets there.
		t.Flags = append(t.Flags, "-tags=remove_all_sd")
		t.About, t.Takes = "Prometheus", "about 5 minutes"
	case "loki":
		t.Package = "github.com/grafana/loki/v3/cmd/loki"
		t.About, t.Takes = "Loki", "about 7 minutes"
	case "jaeger":
		t.Package = "github.com/jaegertracing/jaeger/cmd/all-in-one"
		t.About, t.Takes = "Jaeger", "about 5 minutes"
	case "alertmanager":
		t.Package = alertmanager + "/cmd/alertmanager"
		t.About, t.Takes = "Alertmanager", "about 3 minutes"
		t.prepare, t.otherwise = withPage, fromDebian
	default:
		return t, fmt.Errorf("there is no server %q; there are %s", name, strings.Join(Servers(), ", "))
	}
	return t, nil
}

const alertmanager = "github.com/prometheus/alertmanager"

// withPage lets Alertmanager be built from its module. That lacks the web page,
// which is made by Node.js and embedded: a copy of the module gets a small one.
func withPage(ctx context.Context, c *Cache, t Target, dir string) ([]string, error) {
	source, err := moduleFolder(ctx, c, t, dir)
	if err != nil {
		return nil, err
	}
	copied := filepath.Join(dir, "alertmanager")
	if err := os.CopyFS(copied, os.DirFS(source)); err != nil {
		return nil, err
	}
	dist := filepath.Join(copied, "ui", "app", "dist")
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return nil, err
	}
	var page bytes.Buffer
	z := gzip.NewWriter(&page)
	fmt.Fprint(z, "<!doctype html><title>Alertmanager</title><p>This Alertmanager has no page; its API is below <a href=\"api/v2/status\">api/v2</a>.")
	if err := z.Close(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dist, "index.html.gz"), page.Bytes(), 0o644); err != nil {
		return nil, err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	mod = fmt.Appendf(mod, "\nreplace %s => %s\n", alertmanager, copied)
	return []string{"-modfile=" + filepath.Join(dir, "go.mod")}, os.WriteFile(filepath.Join(dir, "go.mod"), mod, 0o644)
}

// moduleFolder downloads Alertmanager's module and returns where it is. Copies of
// the files that name it are left in dir.
func moduleFolder(ctx context.Context, c *Cache, t Target, dir string) (string, error) {
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(t.Module, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return "", err
		}
	}
	out, err := c.command(ctx, t, "mod", "download", "-json", alertmanager).Output()
	if err != nil {
		return "", fmt.Errorf("downloading %s: %w", alertmanager, withStderr(err))
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return "", err
	}
	return downloaded.Dir, nil
}

// fromDebian takes Alertmanager from Debian's package, without installing it.
func fromDebian(ctx context.Context, c *Cache, path string) error {
	for _, tool := range []string{"apt-get", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("Debian's package prometheus-alertmanager cannot be had either: there is no %s here", tool)
		}
	}
	done := c.Progress.During("downloading Debian's package prometheus-alertmanager instead")
	defer done()
	dir, err := os.MkdirTemp(filepath.Dir(path), "debian-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	run := func(name string, args ...string) error {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
		}
		return nil
	}
	if err := run("apt-get", "download", "prometheus-alertmanager"); err != nil {
		return fmt.Errorf("Debian's package prometheus-alertmanager cannot be had either: %w", err)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(packages) != 1 {
		return errors.Join(fmt.Errorf("apt-get download left %q", packages), err)
	}
	if err := run("dpkg", "-x", packages[0], "root"); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, "root", "usr", "bin", "prometheus-alertmanager"), path)
}

// All are the sandbox and its servers.
func All(module string) ([]Target, error) {
	sandbox, err := Sandbox(module)
	if err != nil {
		return nil, err
	}
	all := []Target{sandbox}
	for _, name := range Servers() {
		t, err := Server(module, name)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// Find picks the targets with the names; "all" and "servers" stand for several.
func Find(module string, names ...string) ([]Target, error) {
	all, err := All(module)
	if err != nil {
		return nil, err
	}
	var found []Target
	for _, name := range names {
		n := len(found)
		for _, t := range all {
			if name == "all" || name == t.Name || name == "servers" && slices.Contains(Servers(), t.Name) {
				found = append(found, t)
			}
		}
		if len(found) == n {
			return nil, fmt.Errorf("there is no program %q; there are sandbox, %s", name, strings.Join(Servers(), ", "))
		}
	}
	return found, nil
}
