// Package sys holds the system calls that package syscall of Go's standard library lacks. Their numbers are the same on amd64 and arm64, but for setns.
package sys

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

const (
	sysOpenTree     = 428 // Linux 5.2
	sysMoveMount    = 429 // Linux 5.2
	sysPidfdOpen    = 434 // Linux 5.3
	sysCloseRange   = 436 // Linux 5.9, with the flag below 5.11
	sysMountSetattr = 442 // Linux 5.12

	atFDCWD     = -100
	atEmptyPath = 0x1000

	openTreeClone       = 1
	openTreeCloexec     = syscall.O_CLOEXEC
	moveMountFEmptyPath = 0x04
	moveMountTEmptyPath = 0x40

	// AttrReadOnly and the others are of linux/mount.h.
	AttrReadOnly = 0x1
	AttrNoSUID   = 0x2
	AttrNoDev    = 0x4
	attrIDMap    = 0x100000

	// OPath opens a place without opening the file there.
	OPath = 0x200000
	// OTmpfile makes a file that has no name yet.
	OTmpfile = 0x400000 | syscall.O_DIRECTORY
	// UmountNoFollow makes umount2 refuse a symbolic link.
	UmountNoFollow = 8
)

type mountAttr struct {
	set, clear, propagation, usernsFD uint64
}

// Tree is a mount that is not attached anywhere; it ends when it is closed, unless it was attached.
type Tree struct{ file *os.File }

// CloneTree makes a detached copy of the mount at a path, with that path as its root and without the mounts below it.
func CloneTree(path string) (Tree, error) {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return Tree{}, err
	}
	cwd := atFDCWD
	fd, _, number := syscall.Syscall(sysOpenTree, uintptr(cwd), uintptr(unsafe.Pointer(name)), openTreeClone|openTreeCloexec)
	if number != 0 {
		return Tree{}, &os.PathError{Op: "open_tree", Path: path, Err: number}
	}
	return Tree{os.NewFile(fd, path)}, nil
}

// Close lets go of the tree.
func (t Tree) Close() error { return t.file.Close() }

// FD is its descriptor, valid until Close.
func (t Tree) FD() int { return int(t.file.Fd()) }

// Configure turns on attributes of the mount and, with a user namespace, makes it show its ids through that one's map.
func (t Tree) Configure(attributes uint64, userns *os.File) error {
	attr := mountAttr{set: attributes}
	if userns != nil {
		attr.set |= attrIDMap
		attr.usernsFD = uint64(userns.Fd())
		defer runtime.KeepAlive(userns)
	}
	return t.setAttr(attr)
}

// MakePrivate ends what a copy shares with its original: mounts below the one would else appear below the other.
func (t Tree) MakePrivate() error { return t.setAttr(mountAttr{propagation: syscall.MS_PRIVATE}) }

func (t Tree) setAttr(attr mountAttr) error {
	var empty [1]byte
	_, _, number := syscall.Syscall6(sysMountSetattr, t.file.Fd(), uintptr(unsafe.Pointer(&empty[0])), atEmptyPath,
		uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if number != 0 {
		return &os.PathError{Op: "mount_setattr", Path: t.file.Name(), Err: number}
	}
	return nil
}

// Attach puts the tree at a path, over what is mounted there.
func (t Tree) Attach(path string) error {
	cwd := atFDCWD
	return t.attachAt(uintptr(cwd), path)
}

// AttachBelow puts the tree at a path that is relative to the root of another one.
func (t Tree) AttachBelow(root Tree, path string) error {
	defer runtime.KeepAlive(root.file)
	return t.attachAt(root.file.Fd(), path)
}

// AttachTo puts the tree over a directory that is open.
func (t Tree) AttachTo(place *os.File) error {
	defer runtime.KeepAlive(place)
	return t.attachAt(place.Fd(), "")
}

func (t Tree) attachAt(directory uintptr, path string) error {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	var empty [1]byte
	_, _, number := syscall.Syscall6(sysMoveMount, t.file.Fd(), uintptr(unsafe.Pointer(&empty[0])), directory,
		uintptr(unsafe.Pointer(name)), moveMountFEmptyPath|toEmptyPath(path), 0)
	if number != 0 {
		return &os.PathError{Op: "move_mount", Path: path, Err: number}
	}
	return nil
}

func toEmptyPath(path string) uintptr {
	if path == "" {
		return moveMountTEmptyPath
	}
	return 0
}

// PidfdOpen returns a descriptor that becomes readable when the process ends.
func PidfdOpen(pid int) (int, error) {
	fd, _, number := syscall.Syscall(sysPidfdOpen, uintptr(pid), 0, 0)
	if number != 0 {
		return -1, number
	}
	return int(fd), nil
}

// KeepInherited makes every descriptor but the three standard ones end with this program, so that no command gets one that this
// process was given by accident: a box must not find a descriptor of the host among its own.
func KeepInherited() error {
	const cloexec = 4
	if _, _, number := syscall.Syscall(sysCloseRange, 3, ^uintptr(0)>>32, cloexec); number != 0 {
		return os.NewSyscallError("close_range", number)
	}
	return nil
}

// Ioctl calls ioctl(2) with an argument that is a number.
func Ioctl(file *os.File, request, argument uintptr) (int, error) {
	value, _, number := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), request, argument)
	runtime.KeepAlive(file)
	if number != 0 {
		return 0, number
	}
	return int(value), nil
}

// SyncFS writes what is not yet written of the file system that a file is on.
func SyncFS(file *os.File) error {
	_, _, number := syscall.Syscall(sysSyncfs, file.Fd(), 0, 0)
	runtime.KeepAlive(file)
	if number != 0 {
		return os.NewSyscallError("syncfs", number)
	}
	return nil
}

// LinkFile gives a file that has no name (OTmpfile) its name. EEXIST when the name is taken.
func LinkFile(file *os.File, path string) error {
	from, err := syscall.BytePtrFromString(FDPath(int(file.Fd())))
	if err != nil {
		return err
	}
	to, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	const followSymlink = 0x400
	cwd := atFDCWD
	_, _, number := syscall.Syscall6(syscall.SYS_LINKAT, uintptr(cwd), uintptr(unsafe.Pointer(from)), uintptr(cwd),
		uintptr(unsafe.Pointer(to)), followSymlink, 0)
	runtime.KeepAlive(file)
	if number != 0 {
		return &os.LinkError{Op: "link", Old: file.Name(), New: path, Err: number}
	}
	return nil
}
