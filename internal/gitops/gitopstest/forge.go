// Package gitopstest is a forge for tests: real bare Git repositories behind
// the program git's own HTTP server, and as much of GitHub's API as firstmate
// uses. What it answers was checked against GitHub's own OpenAPI description;
// see docs/gitops.md.
package gitopstest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Forge is a running forge.
type Forge struct {
	URL   string // as gitops.github.url
	Token string // what it lets in

	dir string
	srv *httptest.Server

	mu      sync.Mutex
	pulls   []*pull
	checks  map[string][]check // by commit
	calls   map[string]int     // by method and path
	same    int                // answers that said that nothing is new
	refuse  int                // how many of the next requests fail
	version int                // grows with every change, for ETags
}

type pull struct {
	repo                    string
	number                  int
	title, body, head, base string
	sha                     string
	state                   string
	created                 time.Time
	closed, merged          time.Time
}

type check struct{ name, status, conclusion string }

// New starts a forge that keeps its repositories in a folder. Close stops it.
func New(dir, token string) (*Forge, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("the forge needs the program git: %w", err)
	}
	backend := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		return nil, err
	}
	f := &Forge{Token: token, dir: dir, checks: map[string][]check{}, calls: map[string]int{}}
	mux := http.NewServeMux()
	git := &cgi.Handler{
		Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=firstmate"},
		InheritEnv: []string{"PATH"}, Stderr: io.Discard,
	}
	mux.HandleFunc("/{owner}/{repo}/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != f.Token {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
			http.Error(w, "Repository not found.", http.StatusUnauthorized)
			return
		}
		git.ServeHTTP(w, r)
	})
	f.api(mux)
	f.srv = httptest.NewServer(mux)
	f.URL = f.srv.URL
	return f, nil
}

// Close stops the forge.
func (f *Forge) Close() { f.srv.Close() }

// git runs the program git.
func (f *Forge) git(in string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{
		"-c", "init.defaultBranch=main", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "core.autocrlf=false", "-c", "commit.gpgsign=false",
	}, args...)...)
	cmd.Dir = in
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func (f *Forge) bare(repo string) string { return filepath.Join(f.dir, repo+".git") }

// Create makes a repository, as OWNER/NAME, whose branch main has these files.
func (f *Forge) Create(repo string, files map[string]string) error {
	if err := os.MkdirAll(f.bare(repo), 0o700); err != nil {
		return err
	}
	if _, err := f.git(f.bare(repo), "init", "--bare", "-q"); err != nil {
		return err
	}
	if _, err := f.git(f.bare(repo), "config", "http.receivepack", "true"); err != nil {
		return err
	}
	return f.inClone(repo, "", func(dir string) error { return f.write(dir, files, "Begin") })
}

// Commit puts files on the branch main, as somebody else would.
func (f *Forge) Commit(repo string, files map[string]string) error {
	return f.inClone(repo, "main", func(dir string) error { return f.write(dir, files, "Something else") })
}

func (f *Forge) write(dir string, files map[string]string, message string) error {
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"add", "-A"}, {"commit", "-q", "-m", message}, {"push", "-q", "origin", "HEAD:main"}} {
		if _, err := f.git(dir, args...); err != nil {
			return err
		}
	}
	return nil
}

// inClone runs something in a clone that is thrown away.
func (f *Forge) inClone(repo, branch string, do func(dir string) error) (err error) {
	dir, err := os.MkdirTemp(f.dir, "clone-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	args := []string{"clone", "-q", f.bare(repo), dir}
	if branch != "" {
		args = append(args, "-b", branch)
	}
	if _, err := f.git(f.dir, args...); err != nil {
		return err
	}
	return do(dir)
}

// Show gives a file of a branch, byte for byte.
func (f *Forge) Show(repo, branch, name string) (string, error) {
	return f.git(f.bare(repo), "show", branch+":"+name)
}

// Branches lists the branches besides main.
func (f *Forge) Branches(repo string) ([]string, error) {
	out, err := f.git(f.bare(repo), "for-each-ref", "--format=%(refname:short)", "refs/heads")
	return slices.DeleteFunc(strings.Fields(out), func(b string) bool { return b == "main" }), err
}

// Log tells of the newest commit of a branch: its author, its committer, its
// message, and the files that it changed.
func (f *Forge) Log(repo, branch string) (string, error) {
	return f.git(f.bare(repo), "log", "-1", "--name-status", "--format=%an <%ae>%n%cn <%ce>%n%B", branch)
}

// Merge merges a pull request, as a person would on its page.
func (f *Forge) Merge(number int) error {
	p, err := f.find(number)
	if err != nil {
		return err
	}
	err = f.inClone(p.repo, "main", func(dir string) error {
		for _, args := range [][]string{{"merge", "-q", "--no-ff", "-m", "Merge pull request", "origin/" + p.head}, {"push", "-q", "origin", "HEAD:main"}} {
			if _, err := f.git(dir, args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	p.state, p.merged = "closed", time.Now()
	p.closed = p.merged
	return nil
}

// CloseUnmerged closes a pull request without merging it.
func (f *Forge) CloseUnmerged(number int) error {
	p, err := f.find(number)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	p.state, p.closed = "closed", time.Now()
	return nil
}

// Check sets a check run of a pull request: its status and, once that is
// "completed", its conclusion.
func (f *Forge) Check(number int, name, status, conclusion string) error {
	p, err := f.find(number)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	f.checks[p.sha] = append(slices.DeleteFunc(f.checks[p.sha], func(c check) bool { return c.name == name }), check{name, status, conclusion})
	return nil
}

// Pull is a pull request as a test looks at it.
type Pull struct {
	Number                         int
	Title, Body, Head, Base, State string
	Merged                         bool
}

// Pulls lists all pull requests, oldest first.
func (f *Forge) Pulls() []Pull {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Pull
	for _, p := range f.pulls {
		out = append(out, Pull{p.number, p.title, p.body, p.head, p.base, p.state, !p.merged.IsZero()})
	}
	return out
}

// Calls is how often a method of the API was called, as "POST …/pulls"; and
// Same how often the answer was that nothing is new.
func (f *Forge) Calls(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[what]
}

// Same is how often an answer was that nothing is new.
func (f *Forge) Same() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.same
}

// Fail lets the next calls of the API fail as a GitHub in trouble does.
func (f *Forge) Fail(calls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = calls
}

func (f *Forge) find(number int) (*pull, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if number < 1 || number > len(f.pulls) {
		return nil, fmt.Errorf("there is no pull request %d", number)
	}
	return f.pulls[number-1], nil
}
