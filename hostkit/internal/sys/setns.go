package sys

import (
	"os"
	"runtime"
	"syscall"
)

// Enter puts the calling thread into a namespace, given as an open file of /proc/<pid>/ns. Lock the goroutine to its thread first.
func Enter(namespace *os.File, kind uintptr) error {
	_, _, number := syscall.RawSyscall(sysSetns, namespace.Fd(), kind, 0)
	runtime.KeepAlive(namespace)
	if number != 0 {
		return &os.PathError{Op: "setns", Path: namespace.Name(), Err: number}
	}
	return nil
}
