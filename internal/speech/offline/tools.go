// Package offline hears and speaks by programs of Debian's packages, without any
// service: pocketsphinx, which expects what the catalogue of intents and the names
// that exist let it expect, and flite and espeak-ng. They are run as processes,
// with arguments and never through a shell; a process ends with its context.
package offline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Tools are the programs, and what they need to run. One that is not there is "".
type Tools struct {
	Sphinx  string // pocketsphinx_batch
	Model   string // the folder of its American English
	Flite   string
	Espeak  string // espeak-ng
	Opusenc string
	FFmpeg  string
	env     []string
}

// Cache is the folder that install.sh unpacks packages into, where it may not
// install them: firstmate/speech in the user's cache folder.
func Cache(getenv func(string) string) string {
	base := getenv("XDG_CACHE_HOME")
	if base == "" {
		base = filepath.Join(getenv("HOME"), ".cache")
	}
	return filepath.Join(base, "firstmate", "speech")
}

// Find looks for the programs in the system's folders and in a cache.
func Find(getenv func(string) string) Tools {
	root := filepath.Join(Cache(getenv), "root")
	dirs := append(filepath.SplitList(getenv("PATH")), "/usr/bin", "/usr/local/bin")
	var t Tools
	cached := false
	find := func(name string) string {
		for _, d := range dirs {
			if p := filepath.Join(d, name); filepath.IsAbs(d) && executable(p) {
				return p
			}
		}
		if p := filepath.Join(root, "usr", "bin", name); executable(p) {
			cached = true
			return p
		}
		return ""
	}
	t.Sphinx, t.Flite, t.Espeak, t.Opusenc, t.FFmpeg = find("pocketsphinx_batch"), find("flite"), find("espeak-ng"), find("opusenc"), find("ffmpeg")
	for _, r := range []string{"/", root} {
		m := filepath.Join(r, "usr", "share", "pocketsphinx", "model", "en-us")
		if _, err := os.Stat(filepath.Join(m, "en-us", "mdef")); err == nil {
			t.Model = m
			break
		}
	}
	if cached {
		libs, _ := filepath.Glob(filepath.Join(root, "usr", "lib", "*-linux-*")) // the pattern is well-formed
		var path []string
		for _, l := range libs {
			path = append(path, l, filepath.Join(l, "blas"), filepath.Join(l, "lapack"), filepath.Join(l, "pulseaudio"))
			if data := filepath.Join(l, "espeak-ng-data"); t.Espeak != "" && strings.HasPrefix(t.Espeak, root) {
				if _, err := os.Stat(data); err == nil {
					t.env = append(t.env, "ESPEAK_DATA_PATH="+l)
				}
			}
		}
		t.env = append(t.env, "LD_LIBRARY_PATH="+strings.Join(path, ":"))
	}
	t.env = append(t.env, "LC_ALL=C.UTF-8", "HOME=/nonexistent", "PATH=/usr/bin:/bin")
	return t
}

func executable(p string) bool {
	i, err := os.Stat(p)
	return err == nil && i.Mode().IsRegular() && i.Mode()&0o111 != 0
}

// Hears reports whether what a recogniser needs is there, and what is to be
// installed otherwise.
func (t Tools) Hears() (bool, []string) {
	return t.lack(map[string]string{"pocketsphinx": t.Sphinx, "pocketsphinx-en-us": t.Model, "espeak-ng": t.Espeak})
}

// Speaks reports whether what an English voice needs is there, and what is to be
// installed otherwise. Without flite espeak-ng speaks English too, less well.
func (t Tools) Speaks() (bool, []string) {
	if t.Flite != "" || t.Espeak != "" {
		return true, nil
	}
	return t.lack(map[string]string{"flite": t.Flite, "espeak-ng": t.Espeak})
}

// Converts reports whether sound from browsers and chats can be read and written.
func (t Tools) Converts() (bool, []string) {
	return t.lack(map[string]string{"ffmpeg": t.FFmpeg, "opus-tools": t.Opusenc})
}

func (t Tools) lack(need map[string]string) (bool, []string) {
	var out []string
	for _, p := range []string{"pocketsphinx", "pocketsphinx-en-us", "flite", "espeak-ng", "ffmpeg", "opus-tools"} {
		if path, ok := need[p]; ok && path == "" {
			out = append(out, p)
		}
	}
	return len(out) == 0, out
}

// What one run of a program may give, and how long it may go on after it was told
// to end.
const (
	maxOutput = 32 << 20
	waitDelay = 500 * time.Millisecond
)

var errTooMuch = errors.New("too much output")

// run runs a program on what it reads from standard input.
func (t Tools) run(ctx context.Context, program string, args []string, in []byte) ([]byte, error) {
	if program == "" {
		return nil, fault.New(fault.Unavailable, "The programs that hear and speak are not installed. “bot doctor” says which.")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = t.env
	cmd.Dir = os.TempDir()
	cmd.Stdin = bytes.NewReader(in)
	var out, complaint limited
	out.left, complaint.left = maxOutput, 8<<10
	complaint.drop = true
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.WaitDelay = waitDelay
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(program), ctx.Err())
		}
		lines := strings.Split(strings.TrimSpace(complaint.b.String()), "\n")
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(program), err, lines[len(lines)-1])
	}
	return out.b.Bytes(), nil
}

// limited keeps so much of what is written; more is an error, or dropped.
type limited struct {
	b    bytes.Buffer
	left int
	drop bool
}

func (l *limited) Write(p []byte) (int, error) {
	n := len(p)
	if n > l.left {
		if !l.drop {
			return 0, errTooMuch
		}
		p = p[:l.left]
	}
	l.left -= len(p)
	_, err := l.b.Write(p)
	return n, err
}
