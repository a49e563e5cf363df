package rootfs

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Capabilities of linux/capability.h: what it takes to give files owners, modes, attributes and names.
const (
	capChown       = 0
	capDacOverride = 1
	capFowner      = 3
	capFsetid      = 4
	capSetfcap     = 31

	capabilityVersion3 = 0x20080522
)

// Confine makes a directory all that this process sees of the filesystem, for good, and leaves it no power but over files: what it reads next comes from
// a box. No link of a tree leads out of it.
func Confine(directory string) error {
	if err := syscall.Chroot(directory); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	if err := syscall.Chdir("/"); err != nil {
		return err
	}
	header := struct {
		version uint32
		pid     int32
	}{capabilityVersion3, 0}
	type set struct{ effective, permitted, inheritable uint32 }
	var few uint32
	for _, bit := range []uint{capChown, capDacOverride, capFowner, capFsetid, capSetfcap} {
		few |= 1 << bit
	}
	sets := [2]set{{few, few, 0}, {}}
	_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0)
	if errno != 0 {
		return fmt.Errorf("capset: %w", errno)
	}
	return nil
}
