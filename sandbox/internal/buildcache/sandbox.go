package buildcache

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// kubernetesModule is the line of go.mod that the version stamped into the
// sandbox comes from.
var kubernetesModule = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes\s+(v1\.(\d+)\.\d+\S*)`)

// Sandbox is the sandbox's own program; module is the folder of its module.
func Sandbox(module string) (Target, error) {
	flags, err := sandboxFlags(module)
	return Target{
		Name: "sandbox", Module: module, Package: "./cmd/sandbox", Flags: flags,
		About:   "the sandbox (a whole Kubernetes control plane)",
		Takes:   "5 to 7 minutes on two cores, seconds after a change",
		sources: sources,
	}, err
}

// sandboxFlags are those of "go build". Debug information would make the first
// build a quarter longer.
func sandboxFlags(module string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return nil, err
	}
	m := kubernetesModule.FindStringSubmatch(string(b))
	if m == nil {
		return nil, fmt.Errorf("%s names no version of k8s.io/kubernetes", filepath.Join(module, "go.mod"))
	}
	// Without these the version is a placeholder that kubectl cannot read.
	const v = "k8s.io/component-base/version"
	ld := fmt.Sprintf("-s -w -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s -X %s.gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion=%s",
		v, m[1], v, v, m[2], v, m[1])
	return []string{"-gcflags=all=-dwarf=false", "-ldflags=" + ld}, nil
}

// outside are the folders of the module that are not part of the sandbox's
// program: what only builds or starts it, the modules of the servers, and the
// tests that are a module of their own.
var outside = []string{"build", "demo", "serve", "servers", "parity", "internal/buildcache", "e2e"}

// sources are the files that the sandbox is made from, sorted.
func sources(module fs.FS) ([]string, error) {
	var files []string
	err := fs.WalkDir(module, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch {
			case slices.Contains(outside, p):
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
