//go:build unix && !linux

package main

import (
	"context"
	"os/exec"
	"syscall"
)

// dieWithParent does nothing: only Linux can.
func dieWithParent(*exec.Cmd, syscall.Signal) {}

// watchLauncher only passes the context on.
func watchLauncher(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}
