// Package parent notices that the process which started this one is gone.
package parent

import (
	"context"
	"io"
	"os"
	"time"
)

// Watch returns a context that ends when the parent process does, also when it
// was killed: the kernel then gives this process another parent, and closes a
// pipe that the parent held open as this one's standard input.
//
// PR_SET_PDEATHSIG would be simpler, but follows the parent's thread: a parent
// written in Go may end threads at any time.
func Watch(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	ppid := os.Getppid()
	go func() {
		defer cancel()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for os.Getppid() == ppid {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	if stdinIsPipe() {
		go func() {
			defer cancel()
			io.Copy(io.Discard, os.Stdin)
		}()
	}
	return ctx, cancel
}

func stdinIsPipe() bool {
	fi, err := os.Stdin.Stat()
	return err == nil && fi.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}
