package sys

import (
	"os"
	"strings"
	"syscall"
	"unsafe"
)

const (
	sysFsopen   = 430 // Linux 5.2, as those below
	sysFsconfig = 431
	sysFsmount  = 432

	fsopenCloexec  = 1
	fsmountCloexec = 1
	// Commands of fsconfig, from linux/mount.h.
	configFlag   = 0
	configString = 1
	configCreate = 6

	// AttrNoAtime is of linux/mount.h, as the others.
	AttrNoAtime = 0x10
)

// NewTree makes a mount of a file system on a device, attached nowhere. Options are those of the file system, as after `mount -o`.
func NewTree(kind, device, options string, attributes uint64) (Tree, error) {
	name, err := syscall.BytePtrFromString(kind)
	if err != nil {
		return Tree{}, err
	}
	fd, _, number := syscall.Syscall(sysFsopen, uintptr(unsafe.Pointer(name)), fsopenCloexec, 0)
	if number != 0 {
		return Tree{}, os.NewSyscallError("fsopen", number)
	}
	context := os.NewFile(fd, kind)
	defer context.Close()
	for _, option := range append([]string{"source=" + device}, strings.Split(options, ",")...) {
		if option == "" {
			continue
		}
		if err := configure(context, option); err != nil {
			return Tree{}, err
		}
	}
	if err := fsconfig(context, configCreate, nil, nil); err != nil {
		return Tree{}, err
	}
	fd, _, number = syscall.Syscall(sysFsmount, context.Fd(), fsmountCloexec, uintptr(attributes))
	if number != 0 {
		return Tree{}, os.NewSyscallError("fsmount", number)
	}
	return Tree{os.NewFile(fd, device)}, nil
}

func configure(context *os.File, option string) error {
	key, value, valued := strings.Cut(option, "=")
	name, err := syscall.BytePtrFromString(key)
	if err != nil {
		return err
	}
	if !valued {
		return fsconfig(context, configFlag, name, nil)
	}
	text, err := syscall.BytePtrFromString(value)
	if err != nil {
		return err
	}
	return fsconfig(context, configString, name, text)
}

func fsconfig(context *os.File, command uintptr, key, value *byte) error {
	_, _, number := syscall.Syscall6(sysFsconfig, context.Fd(), command, uintptr(unsafe.Pointer(key)),
		uintptr(unsafe.Pointer(value)), 0, 0)
	if number != 0 {
		return os.NewSyscallError("fsconfig", number)
	}
	return nil
}
