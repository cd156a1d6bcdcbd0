//go:build unix && !linux

package server

import "syscall"

// attributes keep Ctrl-C in a terminal from the server: it is stopped after what
// uses it. Only Linux can also end it with this process.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
