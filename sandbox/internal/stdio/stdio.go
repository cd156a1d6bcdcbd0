// Package stdio separates what the sandbox says from what its components log:
// they all write to standard error.
package stdio

import (
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Divert makes file descriptor 2 the file (appended to) and returns the former
// standard error. A crash of the program is reported on both.
func Divert(path string) (*os.File, error) {
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("keeping standard error: %w", err)
	}
	stderr := os.NewFile(uintptr(fd), "stderr")
	if err := redirect(int(log.Fd()), 2); err != nil {
		return nil, fmt.Errorf("sending logs to %s: %w", path, err)
	}
	return stderr, debug.SetCrashOutput(stderr, debug.CrashOptions{})
}
