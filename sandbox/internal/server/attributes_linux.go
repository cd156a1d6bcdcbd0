package server

import "syscall"

// attributes let the kernel kill the server when this process ends, however it
// does, and keep Ctrl-C in a terminal from it: it is stopped after what uses it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
