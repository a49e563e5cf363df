package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"gibil.dev/hostkit/internal/sys"
)

// From linux/loop.h; LOOP_CONFIGURE came with Linux 5.8.
const (
	loopMajor       = 7
	loopCtlGetFree  = 0x4C82
	loopConfigure   = 0x4C0A
	loopGetStatus64 = 0x4C05
	flagAutoclear   = 4
	flagDirectIO    = 16
	// attempts to take a free device before another process does.
	attempts = 64
	// blockSize is that of the file system, which direct I/O then is aligned to on every host disk.
	blockSize = 4096
)

type loopInfo64 struct {
	device, inode, rdevice, offset, sizeLimit  uint64
	number, encryptType, encryptKeySize, flags uint32
	fileName, cryptName                        [64]byte
	encryptKey                                 [32]byte
	init                                       [2]uint64
}

type loopConfig struct {
	fd, blockSize uint32
	info          loopInfo64
	reserved      [8]uint64
}

// errInUse: another loop device has the image.
var errInUse = errors.New("the image is in use")

// attach puts a loop device over the image that clears itself with its last user, of which the returned file is the first. A second device
// over the same image would destroy the file system in it. So the image is locked: the lock belongs to the open file, and
// the device keeps that as long as it has the image, in whatever process.
func attach(image string) (*os.File, error) {
	backing, err := os.OpenFile(image, os.O_RDWR|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	if err := syscall.Flock(int(backing.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if err == syscall.EWOULDBLOCK {
			return nil, errInUse
		}
		return nil, &os.PathError{Op: "flock", Path: image, Err: err}
	}
	return over(backing, image)
}

// ReadOnly puts a loop device over an image that nobody writes to, which clears itself with its last user. It may have others.
func ReadOnly(image string) (*os.File, error) {
	backing, err := os.OpenFile(image, os.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	return over(backing, image)
}

// over makes a read-only device of a file that is open for reading.
func over(backing *os.File, image string) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	config := loopConfig{fd: uint32(backing.Fd()), blockSize: blockSize}
	// Where the host's file system cannot do direct I/O the kernel leaves it out by itself.
	config.info.flags = flagAutoclear | flagDirectIO
	copy(config.info.fileName[:len(config.info.fileName)-1], image)
	for attempt := 0; attempt < attempts; attempt++ {
		number, err := sys.Ioctl(control, loopCtlGetFree, 0)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		loop, err := configure(number, &config)
		if err == nil {
			return loop, nil
		}
		if !errors.Is(err, syscall.EBUSY) {
			return nil, fmt.Errorf("loop device %d: %w", number, err)
		}
	}
	return nil, fmt.Errorf("every free loop device was taken by others: %w", syscall.EBUSY)
}

// configure needs the device open for writing, else it is a read-only one. Some kernels do not mount a device that is open for writing
// (BLK_DEV_WRITE_MOUNTED), so what is returned is open for reading.
func configure(number int, config *loopConfig) (*os.File, error) {
	writable, err := openDevice(number, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	defer writable.Close()
	if _, err := sys.Ioctl(writable, loopConfigure, uintptr(unsafe.Pointer(config))); err != nil {
		return nil, err
	}
	return openDevice(number, os.O_RDONLY)
}

// openDevice opens a loop device, making its node where no udev or devtmpfs does.
func openDevice(number, mode int) (*os.File, error) {
	device := fmt.Sprintf("/dev/loop%d", number)
	loop, err := os.OpenFile(device, mode|syscall.O_CLOEXEC, 0)
	if err == nil || !os.IsNotExist(err) {
		return loop, err
	}
	node := loopMajor<<8 | number&0xff | (number&^0xff)<<12
	if err := syscall.Mknod(device, syscall.S_IFBLK|0o600, node); err != nil && err != syscall.EEXIST {
		return nil, &os.PathError{Op: "mknod", Path: device, Err: err}
	}
	return os.OpenFile(device, mode|syscall.O_CLOEXEC, 0)
}

// deviceOf opens the loop device that has the image, or returns nil when none has. Held open, it does not clear itself.
func deviceOf(image string) (*os.File, error) {
	paths, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		var number int
		if _, err := fmt.Sscanf(path, "/sys/block/loop%d/", &number); err != nil {
			continue
		}
		loop, err := openDevice(number, os.O_RDONLY)
		if err != nil {
			continue
		}
		if has, err := hasImage(loop, image); err == nil && has {
			return loop, nil
		}
		_ = loop.Close()
	}
	return nil, nil
}

func hasImage(loop *os.File, image string) (bool, error) {
	var info loopInfo64
	if _, err := sys.Ioctl(loop, loopGetStatus64, uintptr(unsafe.Pointer(&info))); err != nil {
		return false, err
	}
	var stat syscall.Stat_t
	if err := syscall.Stat(image, &stat); err != nil {
		return false, err
	}
	return info.device == stat.Dev && info.inode == stat.Ino, nil
}
