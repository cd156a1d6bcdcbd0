package main

import (
	"bufio"
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a child that says on its standard output what it is ready for.
type process struct {
	cmd   *exec.Cmd
	lines chan string
	done  chan struct{}
	err   error // of Wait, once done is closed
}

// startProcess must be called on main's thread: see init.
func startProcess(cmd *exec.Cmd) (*process, error) {
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, lines: make(chan string, 64), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		s := bufio.NewScanner(stdout)
		for s.Scan() {
			select {
			case p.lines <- s.Text():
			default: // nobody waits for lines any more
			}
		}
		p.err = cmd.Wait()
	}()
	return p, nil
}

// expect waits for a line that begins with the prefix and returns the rest.
func (p *process) expect(ctx context.Context, prefix string, limit time.Duration) (string, error) {
	var rest string
	return rest, p.read(ctx, limit, func(line string) (ok bool) {
		rest, ok = strings.CutPrefix(line, prefix)
		return ok
	})
}

// read hands over the process's lines until one of them is the last that is wanted.
func (p *process) read(ctx context.Context, limit time.Duration, last func(line string) bool) error {
	timeout := time.After(limit)
	for {
		select {
		case line := <-p.lines:
			if last(line) {
				return nil
			}
		case <-p.done:
			for len(p.lines) > 0 { // it may have said so just before it ended
				if last(<-p.lines) {
					return nil
				}
			}
			return p.failure()
		case <-timeout:
			return errTooLong
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// failure describes the end of a process that should not have ended.
func (p *process) failure() error {
	if p.err != nil {
		return p.err
	}
	return errors.New("exit status 0")
}

// terminate asks the process to stop, kills it if it does not in time, and says
// whether it stopped when asked.
func (p *process) terminate(patience time.Duration) bool {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return true
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.done
		return false
	}
}

// detach puts the child in a process group of its own: Ctrl-C in the terminal
// then reaches this program only, which stops things in the right order.
func detach(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}
