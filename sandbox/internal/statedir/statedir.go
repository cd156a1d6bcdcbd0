// Package statedir looks after the folder in which a sandbox keeps its state.
package statedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// marker tells a sandbox's folder from any other: only folders that have it
	// (or are empty) are written to.
	marker = "sandbox.json"
	// tempPrefix begins the names of temporary state folders.
	tempPrefix = "firstmate-sandbox-"
	// maxSocketPath is what fits in a sockaddr_un on every system.
	maxSocketPath = 103
)

// ErrInUse says that another sandbox runs in the folder.
var ErrInUse = errors.New("another sandbox is running in this folder")

// Facts are what a sandbox remembers about itself in its folder.
type Facts struct {
	// Version is that of the layout of the folder.
	Version int `json:"version"`
	// Nodes is the number of nodes made.
	Nodes int `json:"nodes"`
	// Filled is set once the sample objects were applied.
	Filled bool `json:"filled"`
}

const layoutVersion = 1

// Dir is an open state folder. Close it.
type Dir struct {
	// Path is absolute.
	Path string
	// Temporary folders are removed by Close.
	Temporary bool
	// Facts are what was found; Save writes them.
	Facts Facts
	// Reused says that a sandbox ran here before.
	Reused bool

	lock    *os.File
	sockets string
}

// Open opens the named folder, made if need be, or a new temporary one for "".
// A folder that holds other things is refused and not touched.
func Open(path string) (*Dir, error) {
	if path == "" {
		removeAbandoned()
		tmp, err := os.MkdirTemp("", tempPrefix)
		if err != nil {
			return nil, fmt.Errorf("making a folder for the sandbox's state: %w", err)
		}
		d := &Dir{Path: tmp, Temporary: true}
		if err := d.open(); err != nil {
			os.RemoveAll(tmp)
			return nil, err
		}
		return d, nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{Path: abs}
	if err := d.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, err
	}
	return d, d.open()
}

// check refuses a folder that is not a sandbox's.
func (d *Dir) check() error {
	entries, err := os.ReadDir(d.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	b, err := os.ReadFile(d.File(marker))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not empty and not a sandbox's state folder; name another one (nothing was changed)", d.Path)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &d.Facts); err != nil {
		return fmt.Errorf("%s: %w", d.File(marker), err)
	}
	if d.Facts.Version != layoutVersion {
		return fmt.Errorf("%s was written by another version of the sandbox (layout %d, this one uses %d); name another folder", d.Path, d.Facts.Version, layoutVersion)
	}
	d.Reused = true
	return nil
}

func (d *Dir) open() error {
	lock, err := tryLock(d.File("lock"))
	if err != nil {
		return fmt.Errorf("%s: %w", d.Path, err)
	}
	d.lock = lock
	d.Facts.Version = layoutVersion
	if err := d.Save(); err != nil {
		lock.Close()
		return err
	}
	return nil
}

// Save writes the facts.
func (d *Dir) Save() error {
	b, err := json.MarshalIndent(d.Facts, "", "  ")
	if err != nil {
		return err
	}
	tmp := d.File(marker + ".new")
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, d.File(marker))
}

// File is the path of a file or folder in the state folder.
func (d *Dir) File(elem ...string) string {
	return filepath.Join(append([]string{d.Path}, elem...)...)
}

// Socket is a path for a unix socket: in the state folder, or, because paths of
// sockets must be short, in a temporary folder.
func (d *Dir) Socket(name string) (string, error) {
	if d.sockets == "" {
		d.sockets = d.Path
		if len(d.File(name)) > maxSocketPath-8 {
			var err error
			for _, base := range []string{"", "/tmp"} {
				if d.sockets, err = os.MkdirTemp(base, "fm-"); err == nil && len(filepath.Join(d.sockets, name)) <= maxSocketPath {
					break
				}
				os.Remove(d.sockets)
			}
			if err != nil {
				return "", fmt.Errorf("making a folder for sockets: %w", err)
			}
		}
	}
	p := filepath.Join(d.sockets, name)
	if len(p) > maxSocketPath {
		return "", fmt.Errorf("%s is too long for a unix socket: set TMPDIR to a shorter path", p)
	}
	os.Remove(p) // left by a sandbox that was killed; the lock is ours
	return p, nil
}

// Close releases the folder. A temporary one is removed unless keep is set.
func (d *Dir) Close(keep bool) error {
	var err error
	if d.Temporary && !keep {
		err = removeAll(d.Path)
	}
	if d.sockets != "" && d.sockets != d.Path {
		err = errors.Join(err, removeAll(d.sockets))
	}
	return errors.Join(err, d.lock.Close())
}

// removeAll tries again: a component that is just ending may still write.
func removeAll(path string) (err error) {
	for range 5 {
		if err = os.RemoveAll(path); err == nil {
			return nil
		}
	}
	return err
}

// removeAbandoned removes temporary folders whose sandbox was killed. Errors do
// not matter: the folder may be another person's.
func removeAbandoned() {
	entries, err := os.ReadDir(os.TempDir())
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		path := filepath.Join(os.TempDir(), e.Name())
		if _, err := os.Stat(filepath.Join(path, marker)); err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(path, KeepFile)); err == nil {
			continue
		}
		if lock, err := tryLock(filepath.Join(path, "lock")); err == nil {
			os.RemoveAll(path)
			lock.Close()
		}
	}
}

// KeepFile marks a temporary folder that a later sandbox must not clean up.
const KeepFile = "keep"

// tryLock takes a lock that ends with the process, however it ends.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, err
	}
	return f, nil
}
