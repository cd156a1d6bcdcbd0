//go:build unix

package buildcache

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

var errNoSpace error = syscall.ENOSPC

// tryLock takes the file's lock, and says whether it did.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// stopTogether makes the end of the command that of its children as well: the
// compilers and linkers that "go build" runs, which it would leave behind.
func stopTogether(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}
