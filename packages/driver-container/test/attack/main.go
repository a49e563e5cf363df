// Command attack tries to get out of the box that it runs in, or to take more than the box has, and prints a line for each try: its name, a tab, and what
// came of it (the name of an errno, or "done"). attack calls | files | devices | neighbour PID | hold KIND | unix NAME.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

var out = bufio.NewWriter(os.Stdout)

func say(name string, err error) {
	what := "done"
	if errno, ok := err.(syscall.Errno); ok && errno != 0 {
		what = errnoName(errno)
	} else if err != nil && err != syscall.Errno(0) {
		what = err.Error()
	}
	fmt.Fprintf(out, "%s\t%s\n", name, what)
	out.Flush()
}

func errnoName(errno syscall.Errno) string {
	names := map[syscall.Errno]string{
		syscall.EPERM: "EPERM", syscall.ENOSYS: "ENOSYS", syscall.EACCES: "EACCES", syscall.EROFS: "EROFS", syscall.ENOENT: "ENOENT",
		syscall.ESRCH: "ESRCH", syscall.EINVAL: "EINVAL", syscall.EFAULT: "EFAULT", syscall.ECONNREFUSED: "ECONNREFUSED",
		syscall.EAFNOSUPPORT: "EAFNOSUPPORT", syscall.EBADF: "EBADF", syscall.ENXIO: "ENXIO", syscall.ENODEV: "ENODEV",
	}
	if name, ok := names[errno]; ok {
		return name
	}
	return fmt.Sprintf("errno %d", int(errno))
}

func main() {
	switch os.Args[1] {
	case "calls":
		calls()
	case "files":
		files()
	case "devices":
		devices()
	case "neighbour":
		pid, _ := strconv.Atoi(os.Args[2])
		neighbour(pid)
	case "hold":
		hold(os.Args[2])
	case "unix":
		abstract(os.Args[2])
	}
}
