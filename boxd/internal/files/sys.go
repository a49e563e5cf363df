package files

import (
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

const (
	oPath             = 0x200000 // O_PATH, fcntl.h
	atSymlinkNofollow = 0x100
	resolveBeneath    = 0x08 // linux/openat2.h
	renameNoreplace   = 1    // linux/fs.h
)

// openBeneath opens a directory below root. Symlinks are followed as long as they stay below it; EXDEV says that one does not.
func openBeneath(root int, name string) (int, error) {
	how := struct{ flags, mode, resolve uint64 }{oPath | syscall.O_DIRECTORY | syscall.O_CLOEXEC, 0, resolveBeneath}
	path, err := syscall.BytePtrFromString(name)
	if err != nil {
		return -1, err
	}
	for try := 0; ; try++ {
		fd, _, errno := syscall.Syscall6(sysOpenat2, uintptr(root), uintptr(unsafe.Pointer(path)),
			uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0)
		switch {
		case errno == 0:
			return int(fd), nil
		case errno == syscall.EAGAIN && try < 16: // something was renamed meanwhile
		case errno == syscall.EINTR:
		default:
			return -1, errno
		}
	}
}

// hasOpenat2 is false on kernels before 5.6 and where a filter forbids it.
var hasOpenat2 = func() bool {
	fd, err := openBeneath(atCwd, ".")
	if err == nil {
		syscall.Close(fd)
	}
	return err == nil
}()

const atCwd = -0x64

func symlinkat(target string, dir int, name string) error {
	a, b, err := twoPaths(target, name)
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall(syscall.SYS_SYMLINKAT, uintptr(unsafe.Pointer(a)), uintptr(dir), uintptr(unsafe.Pointer(b)))
	return failure(errno)
}

func linkat(fromDir int, from string, dir int, name string) error {
	a, b, err := twoPaths(from, name)
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall6(syscall.SYS_LINKAT, uintptr(fromDir), uintptr(unsafe.Pointer(a)),
		uintptr(dir), uintptr(unsafe.Pointer(b)), 0, 0)
	return failure(errno)
}

// renameNew renames, unless something is there already: EEXIST.
func renameNew(from, to string) error {
	a, b, err := twoPaths(from, to)
	if err != nil {
		return err
	}
	cwd := atCwd
	_, _, errno := syscall.Syscall6(sysRenameat2, uintptr(cwd), uintptr(unsafe.Pointer(a)),
		uintptr(cwd), uintptr(unsafe.Pointer(b)), renameNoreplace, 0)
	return failure(errno)
}

func twoPaths(first, second string) (a, b *byte, err error) {
	if a, err = syscall.BytePtrFromString(first); err != nil {
		return nil, nil, err
	}
	b, err = syscall.BytePtrFromString(second)
	return a, b, err
}

func failure(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

// setTimes sets when the open file was modified.
func setTimes(fd int, modified time.Time) {
	spec := syscall.NsecToTimespec(modified.UnixNano())
	times := [2]syscall.Timespec{spec, spec}
	_, _, _ = syscall.Syscall6(syscall.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
}

// byFd names an open file by a path, for calls that take no descriptor opened with O_PATH.
func byFd(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// statAt is lstat relative to a directory.
func statAt(dir int, name string) (syscall.Stat_t, error) {
	var st syscall.Stat_t
	fd, err := syscall.Openat(dir, name, oPath|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return st, err
	}
	defer syscall.Close(fd)
	return st, syscall.Fstat(fd, &st)
}

func isDir(st *syscall.Stat_t) bool     { return st.Mode&syscall.S_IFMT == syscall.S_IFDIR }
func isRegular(st *syscall.Stat_t) bool { return st.Mode&syscall.S_IFMT == syscall.S_IFREG }
func isLink(st *syscall.Stat_t) bool    { return st.Mode&syscall.S_IFMT == syscall.S_IFLNK }
