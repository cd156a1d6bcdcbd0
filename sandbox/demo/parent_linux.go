package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dieWithParent has the kernel send the child a signal when this process ends,
// however it does.
func dieWithParent(cmd *exec.Cmd, sig syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = sig
}

var errLauncherGone = errors.New("the process that started the demo is gone")

// watchLauncher returns a context that ends when the "go run" or "make" that
// started the demo does: "go run" does not pass SIGTERM on, it just ends.
func watchLauncher(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	chain := launchers(os.Getppid(), ancestor)
	if len(chain) > 0 {
		go func() {
			tick := time.NewTicker(200 * time.Millisecond)
			defer tick.Stop()
			for intact(os.Getppid(), chain) {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
			cancel(errLauncherGone)
		}()
	}
	return ctx, func() { cancel(nil) }
}

// launchers are the processes above this one that the demo should not outlive:
// "go run", and everything up to a "make". A shell that a person started the
// demo from is none of them: they may want it in the background.
func launchers(ppid int, look func(pid int) (name string, ppid int)) []int {
	var all []int
	n := 0
	for pid := ppid; pid > 1 && len(all) < 5; {
		name, next := look(pid)
		all = append(all, pid)
		if name == "make" || name == "gmake" || name == "go" && len(all) == 1 {
			n = len(all)
		}
		pid = next
	}
	return all[:n]
}

// intact says whether each process still has the next one as its parent.
func intact(ppid int, chain []int) bool {
	for i, pid := range chain {
		if i > 0 {
			_, ppid = ancestor(chain[i-1])
		}
		if ppid != pid {
			return false
		}
	}
	return true
}

// ancestor returns the name and the parent of a process.
func ancestor(pid int) (name string, ppid int) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", 0
	}
	// pid (name) state ppid …, where the name may hold anything.
	s := string(b)
	open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 0 || end < open {
		return "", 0
	}
	fields := strings.Fields(s[end+1:])
	if len(fields) < 2 {
		return "", 0
	}
	ppid, _ = strconv.Atoi(fields[1])
	return s[open+1 : end], ppid
}
