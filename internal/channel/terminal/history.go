package terminal

import (
	"os"
	"path/filepath"
	"strings"
)

// maxHistory is how many lines are remembered.
const maxHistory = 500

// history is the lines typed in this chat and those before, in a file that
// only its owner can read. It does as much as it can: a chat is not refused
// because a line cannot be remembered.
type history struct {
	path  string   // "" remembers within this chat only
	lines []string // oldest first
}

// openHistory reads the file and shortens it where it has grown too long.
func openHistory(path string) *history {
	h := &history{path: path}
	if path == "" {
		return h
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return h
	}
	for line := range strings.Lines(string(b)) {
		if line = oneLine(line, 0); line != "" {
			h.lines = append(h.lines, line)
		}
	}
	if len(h.lines) > maxHistory {
		h.lines = h.lines[len(h.lines)-maxHistory:]
		h.rewrite()
	}
	return h
}

// rewrite replaces the file as a whole, so that it is never half written.
func (h *history) rewrite() {
	f, err := os.CreateTemp(filepath.Dir(h.path), ".history-*") // made with 0600
	if err != nil {
		return
	}
	_, err = f.WriteString(strings.Join(h.lines, "\n") + "\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), h.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}

// Add remembers a line, unless it repeats the last one.
func (h *history) Add(entry string) {
	entry = oneLine(entry, 0)
	if entry == "" || masked(entry) || len(h.lines) > 0 && h.lines[len(h.lines)-1] == entry {
		return
	}
	h.lines = append(h.lines, entry)
	if len(h.lines) > maxHistory {
		h.lines = h.lines[1:]
	}
	if h.path == "" {
		return
	}
	_ = os.MkdirAll(filepath.Dir(h.path), 0o700)
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_ = f.Chmod(0o600) // a file from elsewhere may be more open
	_, _ = f.WriteString(entry + "\n")
	_ = f.Close()
}

// Len is how many lines are remembered.
func (h *history) Len() int { return len(h.lines) }

// At returns a line; 0 is the newest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
