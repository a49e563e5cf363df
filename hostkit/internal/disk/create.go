// Package disk makes and mounts the disks of boxes: sparse files that hold an ext4.
package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
)

const (
	ficlone  = 0x40049409
	seekData = 3
	seekHole = 4
)

// Create makes a file of so many MiB with an empty ext4 in it, by copying a prepared file of that size or by mkfs.ext4. It
// has another name until it is whole. Fine when the image is there already with that size.
func Create(image string, sizeMib int64, from string) error {
	if sizeMib < 1 || image == "" {
		return errno.Invalidf("a disk wants an image and a size of at least 1 MiB")
	}
	size := sizeMib << 20
	if info, err := os.Stat(image); err == nil {
		if info.Size() == size {
			return nil
		}
		return errno.Invalidf("%s has %d bytes, not %d", image, info.Size(), size)
	}
	file, err := os.CreateTemp(filepath.Dir(image), filepath.Base(image)+".new-")
	if err != nil {
		return err
	}
	temporary := file.Name()
	defer file.Close()
	fill := func() error { return format(temporary) }
	if from != "" {
		fill = func() error { return copySparse(file, from, size) }
	}
	if err = file.Truncate(size); err == nil {
		err = fill()
	}
	if err == nil {
		err = os.Rename(temporary, image)
	}
	if err != nil {
		_ = os.Remove(temporary)
		return fmt.Errorf("make disk %s: %w", image, err)
	}
	return nil
}

// format makes the file system. No blocks are kept for the host's root; a small journal keeps the user's data whole when the
// host dies; nothing is written ahead, so that the file stays sparse.
func format(path string) error {
	program, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/mkfs.ext4"); err != nil {
			return errno.MissingTool{Program: "mkfs.ext4"}
		}
	}
	var stderr bytes.Buffer
	command := exec.Command(program, "-q", "-F", "-m", "0", "-J", "size=4", "-O", "^resize_inode,sparse_super2", "-i", "16384",
		"-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0", path)
	command.Stderr = &stderr
	if err := command.Run(); err != nil {
		if strings.Contains(stderr.String(), "No space left") {
			return syscall.ENOSPC
		}
		return fmt.Errorf("mkfs.ext4: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// copySparse copies only what the source holds; on file systems that can, it shares the blocks instead.
func copySparse(to *os.File, path string, size int64) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	if info, err := from.Stat(); err != nil || info.Size() != size {
		return errno.Invalidf("%s is not a disk of %d bytes", path, size)
	}
	if _, _, number := syscall.Syscall(syscall.SYS_IOCTL, to.Fd(), ficlone, from.Fd()); number == 0 {
		return nil
	}
	for end := int64(0); ; {
		begin, err := from.Seek(end, seekData)
		if errors.Is(err, syscall.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		if end, err = from.Seek(begin, seekHole); err != nil {
			return err
		}
		if _, err := from.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err := to.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		// io.CopyN uses copy_file_range between files.
		if _, err := io.CopyN(to, from, end-begin); err != nil {
			return err
		}
	}
}
