package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"
)

const (
	blockSize = 4096
	// ioctls of linux/fs.h and fs/ext4/ext4.h.
	blkGetSize64     = 0x80081272
	ext4ResizeFS     = 0x40086610
	diskWait         = 10 * time.Second
	standardMountSec = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
)

type mount struct {
	source, target, kind string
	flags                uintptr
	options              string
}

func (m mount) do() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount(m.source, m.target, m.kind, m.flags, m.options); err != nil {
		return &os.PathError{Op: "mount " + m.kind, Path: m.target, Err: err}
	}
	return nil
}

// mountFirst mounts what the other steps need to see.
func mountFirst() error {
	for _, m := range []mount{
		{"dev", "/dev", "devtmpfs", syscall.MS_NOSUID, "mode=755"},
		{"proc", "/proc", "proc", standardMountSec, ""},
		{"sys", "/sys", "sysfs", standardMountSec, ""},
	} {
		if err := m.do(); err != nil {
			return err
		}
	}
	return nil
}

// mountRoot mounts the disk of the box. It may be larger than the file system that was made for it, which then grows.
func mountRoot() error {
	if err := appear(rootDisk); err != nil {
		return err
	}
	// Where the file system has grown, its new tables are not written over in the background: each box would do that again.
	root := mount{rootDisk, newRoot, "ext4", syscall.MS_NOATIME, "discard,noinit_itable"}
	if err := root.do(); err != nil {
		return err
	}
	return grow()
}

// appear returns once a disk is there.
func appear(device string) error {
	for deadline := time.Now().Add(diskWait); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(device); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("there is no %s", device)
		}
	}
}

func grow() error {
	disk, err := os.Open(rootDisk)
	if err != nil {
		return err
	}
	defer disk.Close()
	var bytes uint64
	if err := ioctl(disk, blkGetSize64, unsafe.Pointer(&bytes)); err != nil {
		return fmt.Errorf("size of %s: %w", rootDisk, err)
	}
	root, err := os.Open(newRoot)
	if err != nil {
		return err
	}
	defer root.Close()
	blocks := bytes / blockSize
	if err := ioctl(root, ext4ResizeFS, unsafe.Pointer(&blocks)); err != nil {
		return fmt.Errorf("grow to %d MiB: %w", bytes>>20, err)
	}
	return nil
}

// mountModules puts the kernel's modules where modprobe looks for them. What an image has there is for other kernels.
func mountModules() error {
	if _, err := os.Stat(moduleDisk); os.IsNotExist(err) {
		return nil
	}
	return mount{moduleDisk, "/lib/modules", "ext4", syscall.MS_RDONLY | syscall.MS_NOSUID | syscall.MS_NODEV, ""}.do()
}

// enterRoot makes the disk the root of all that this process starts, and takes the first file systems along.
func enterRoot() error {
	for _, name := range []string{"dev", "proc", "sys"} {
		target := filepath.Join(newRoot, name)
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("/"+name, target, "", syscall.MS_MOVE, ""); err != nil {
			return &os.PathError{Op: "move", Path: target, Err: err}
		}
	}
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	// The initial root cannot be unmounted, so it is covered, as switch_root(8) does.
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move root: %w", err)
	}
	if err := syscall.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}

func mountRest() error {
	for _, m := range []mount{
		{"devpts", "/dev/pts", "devpts", syscall.MS_NOSUID | syscall.MS_NOEXEC, "mode=620,ptmxmode=666,gid=5"},
		{"shm", "/dev/shm", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=1777"},
		{"mqueue", "/dev/mqueue", "mqueue", standardMountSec, ""},
		{"cgroup", "/sys/fs/cgroup", "cgroup2", standardMountSec, ""},
	} {
		if err := m.do(); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, "/dev/"+name); err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}

func ioctl(file *os.File, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
