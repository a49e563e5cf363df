package guest

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	// waitOption of the kernel's command line: the disk is still being filled, and is to be left alone until it begins with filled. The first 1024 bytes of a
	// disk are none of ext4's.
	waitOption = "gibil.wait"
	filled     = "gibil: filled\n"
	// waiting is told to the host by the console.
	waiting    = "gibil: waits for its disk"
	filledPoll = 10 * time.Millisecond
	// ioctl of linux/fs.h: forget what was read of a disk.
	blkFlushBuffers = 0x1261
)

// awaitDisk returns once the root disk may be mounted, which the host says on it.
func awaitDisk() error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil || !strings.Contains(string(line), waitOption) {
		return err
	}
	if err := appear(rootDisk); err != nil {
		return err
	}
	disk, err := os.OpenFile(rootDisk, os.O_RDONLY|syscall.O_DIRECT, 0)
	if err != nil {
		return err
	}
	defer disk.Close()
	// Past what is cached, and aligned as that wants it.
	block, err := syscall.Mmap(-1, 0, blockSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return err
	}
	defer func() { _ = syscall.Munmap(block) }()
	fmt.Println(waiting)
	for {
		if _, err := syscall.Pread(int(disk.Fd()), block, 0); err != nil {
			return fmt.Errorf("%s: %w", rootDisk, err)
		}
		if strings.HasPrefix(string(block), filled) {
			// The kernel looked for partitions when there was nothing yet.
			return ioctl(disk, blkFlushBuffers, unsafe.Pointer(nil))
		}
		time.Sleep(filledPoll)
	}
}
