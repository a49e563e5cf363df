package sys

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

const (
	sysOpenat2 = 437 // Linux 5.6
	// RESOLVE_NO_SYMLINKS and RESOLVE_BENEATH of linux/openat2.h.
	resolveInside = 0x04 | 0x08
	// RESOLVE_NO_MAGICLINKS and RESOLVE_IN_ROOT.
	resolveAsRoot = 0x02 | 0x10
)

type openHow struct{ flags, mode, resolve uint64 }

// OpenInside opens a path below a directory whose content may be hostile: no part of it may be a link or lead out.
func OpenInside(root *os.File, path string, flags int) (*os.File, error) {
	return openat2(root, path, flags, resolveInside)
}

// OpenAsRoot opens a path as a process would see it whose root that directory is: links are followed, and none leads out.
func OpenAsRoot(root *os.File, path string, flags int) (*os.File, error) {
	return openat2(root, path, flags, resolveAsRoot)
}

func openat2(root *os.File, path string, flags int, resolve uint64) (*os.File, error) {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return nil, err
	}
	how := openHow{flags: uint64(flags | syscall.O_CLOEXEC), resolve: resolve}
	fd, _, number := syscall.Syscall6(sysOpenat2, root.Fd(), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0)
	runtime.KeepAlive(root)
	if number != 0 {
		return nil, &os.PathError{Op: "openat2", Path: path, Err: number}
	}
	return os.NewFile(fd, path), nil
}
