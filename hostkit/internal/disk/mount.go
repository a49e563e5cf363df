package disk

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"gibil.dev/hostkit/internal/mount"
)

// From linux/loop.h; LOOP_CONFIGURE came with Linux 5.8.
const (
	loopMajor        = 7
	loopCtlGetFree   = 0x4C82
	loopConfigure    = 0x4C0A
	loopAutoclear    = 4
	loopAttempts     = 64
	defaultOptions   = "discard,noinit_itable"
	mountFlags       = syscall.MS_NOATIME | syscall.MS_NODEV
	loopInfoFileName = 64
)

type loopInfo64 struct {
	device, inode, rdevice, offset, sizeLimit  uint64
	number, encryptType, encryptKeySize, flags uint32
	fileName, cryptName                        [loopInfoFileName]byte
	encryptKey                                 [32]byte
	init                                       [2]uint64
}

type loopConfig struct {
	fd, blockSize uint32
	info          loopInfo64
	reserved      [8]uint64
}

// Mount mounts the ext4 of a disk image. The loop device ends with the mount. Deleted data goes back to the host (`discard`), and inode
// tables stay unwritten until used (`noinit_itable`): writing them ahead would fill the sparse file. Fine when mounted already.
func Mount(image, target, options string) error {
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	if mounted, err := mount.IsMountpoint(target); err != nil || mounted {
		return err
	}
	if options == "" {
		options = defaultOptions
	}
	backing, err := os.OpenFile(image, os.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer backing.Close()
	loop, device, err := attach(backing, image)
	if err != nil {
		return fmt.Errorf("attach %s to a loop device: %w", image, err)
	}
	defer loop.Close()
	if err := syscall.Mount(device, target, "ext4", mountFlags, options); err != nil {
		return fmt.Errorf("mount %s at %s: %w", image, target, err)
	}
	return nil
}

// attach takes a free loop device; another process may take the same one first, so it tries again.
func attach(backing *os.File, name string) (*os.File, string, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, "", err
	}
	defer control.Close()
	config := loopConfig{fd: uint32(backing.Fd())}
	config.info.flags = loopAutoclear
	copy(config.info.fileName[:loopInfoFileName-1], name)
	for attempt := 0; attempt < loopAttempts; attempt++ {
		number, _, failed := syscall.Syscall(syscall.SYS_IOCTL, control.Fd(), loopCtlGetFree, 0)
		if failed != 0 {
			return nil, "", failed
		}
		device := fmt.Sprintf("/dev/loop%d", number)
		loop, err := openDevice(device, int(number))
		if err != nil {
			return nil, "", err
		}
		_, _, failed = syscall.Syscall(syscall.SYS_IOCTL, loop.Fd(), loopConfigure, uintptr(unsafe.Pointer(&config)))
		if failed == 0 {
			return loop, device, nil
		}
		loop.Close()
		if failed != syscall.EBUSY {
			return nil, "", failed
		}
	}
	return nil, "", syscall.EBUSY
}

// openDevice opens a loop device, making its node where no udev or devtmpfs does.
func openDevice(device string, number int) (*os.File, error) {
	loop, err := os.OpenFile(device, os.O_RDWR|syscall.O_CLOEXEC, 0)
	if err == nil || !os.IsNotExist(err) {
		return loop, err
	}
	node := loopMajor<<8 | number&0xff | (number&^0xff)<<12
	if err := syscall.Mknod(device, syscall.S_IFBLK|0o600, node); err != nil && err != syscall.EEXIST {
		return nil, &os.PathError{Op: "mknod", Path: device, Err: err}
	}
	return os.OpenFile(device, os.O_RDWR|syscall.O_CLOEXEC, 0)
}
