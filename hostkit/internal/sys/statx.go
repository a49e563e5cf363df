package sys

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

const (
	statxAttrMountRoot = 0x2000 // Linux 5.8
	atSymlinkNoFollow  = 0x100
	atNoAutomount      = 0x800
	statxBasicStats    = 0x7ff
	statxMountID       = 0x1000 // Linux 5.8
)

// statx of linux/stat.h, as far as it is used here.
type statxBuffer struct {
	mask, blockSize               uint32
	attributes                    uint64
	links, uid, gid               uint32
	mode, _                       uint16
	inode, size, blocks, attrMask uint64
	times                         [4][2]uint64
	rdevMajor, rdevMinor          uint32
	deviceMajor, deviceMinor      uint32
	mountID                       uint64
	_                             [13]uint64
}

// Place says what is at a path, without following a last symbolic link.
type Place struct {
	// MountRoot: something is mounted here.
	MountRoot    bool
	Major, Minor uint32
	Inode        uint64
	// Mount is the id of the mount that it is on, as in proc_pid_mountinfo(5).
	Mount uint64
}

// StatPlace looks at a path. ENOENT when there is nothing.
func StatPlace(path string) (Place, error) {
	cwd := atFDCWD
	return statPlace(uintptr(cwd), path, atSymlinkNoFollow)
}

// StatOpen looks at what is open.
func StatOpen(file *os.File) (Place, error) {
	defer runtime.KeepAlive(file)
	return statPlace(file.Fd(), "", atEmptyPath)
}

func statPlace(directory uintptr, path string, flags uintptr) (Place, error) {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return Place{}, err
	}
	var buffer statxBuffer
	_, _, number := syscall.Syscall6(sysStatx, directory, uintptr(unsafe.Pointer(name)), flags|atNoAutomount,
		statxBasicStats|statxMountID, uintptr(unsafe.Pointer(&buffer)), 0)
	if number != 0 {
		return Place{}, &os.PathError{Op: "statx", Path: path, Err: number}
	}
	if buffer.attrMask&statxAttrMountRoot == 0 {
		return Place{}, &os.PathError{Op: "statx: this kernel does not tell mount points", Path: path, Err: syscall.ENOSYS}
	}
	return Place{
		MountRoot: buffer.attributes&statxAttrMountRoot != 0,
		Major:     buffer.deviceMajor,
		Minor:     buffer.deviceMinor,
		Inode:     buffer.inode,
		Mount:     buffer.mountID,
	}, nil
}

// FDPath is a path that leads to what a descriptor of this process is open on, also when that has no name or a long one.
func FDPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
