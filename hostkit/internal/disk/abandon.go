package disk

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

const (
	ext4Shutdown = 0x8004587D // EXT4_IOC_SHUTDOWN of linux/ext4.h
	// withoutLog: what is in memory is dropped, the journal's last transaction too.
	withoutLog = 2
)

// Abandon drops what was not written to a disk yet, of which a busy box may have gigabytes, so that removing the disk's mount does not write it.
// For a disk that is about to be deleted: every access fails from now on. Fine when nothing is mounted there.
func Abandon(target string) error {
	if err := errno.CheckPath(target); err != nil {
		return err
	}
	place, err := sys.StatPlace(target)
	if os.IsNotExist(err) || err == nil && !place.MountRoot {
		return nil
	}
	if err != nil {
		return err
	}
	// Never the host's own file system: only what lies on a loop device.
	if place.Major != loopMajor {
		return fmt.Errorf("what is mounted at %s is no disk image: %w", target, syscall.EBUSY)
	}
	dir, err := os.OpenFile(target, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	flags := uint32(withoutLog)
	if _, err := sys.Ioctl(dir, ext4Shutdown, uintptr(unsafe.Pointer(&flags))); err != nil {
		return fmt.Errorf("abandon %s: %w", target, err)
	}
	return nil
}
