// Package disk makes and mounts the disks of boxes: sparse files that hold an ext4.
package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

const (
	// leastMib is what an ext4 with a journal takes with some room to spare.
	leastMib = 16
	mostMib  = 16 << 20

	ficlone  = 0x40049409 // linux/fs.h
	seekData = 3          // lseek(2)
	seekHole = 4
)

// Create makes a file of so many MiB with an empty ext4 in it, by copying a prepared file of that size or by mkfs.ext4. Nobody sees it
// before it is whole. Fine when the image is there already with that size.
func Create(image string, sizeMib int64, from string) error {
	if err := errno.CheckPath(image); err != nil {
		return err
	}
	if sizeMib < leastMib || sizeMib > mostMib {
		return errno.Invalidf("a disk has %d MiB to 16 TiB, not %d MiB", leastMib, sizeMib)
	}
	size := sizeMib << 20
	if there, err := exists(image, size); err != nil || there {
		return err
	}
	file, err := openNew(image)
	if err != nil {
		return err
	}
	defer file.discard()
	if err := fill(file.File, from, size); err != nil {
		return fmt.Errorf("make disk %s: %w", image, err)
	}
	err = file.publish()
	if errors.Is(err, syscall.EEXIST) {
		// Another call was faster.
		_, err = exists(image, size)
	}
	return err
}

func exists(image string, size int64) (bool, error) {
	info, err := os.Stat(image)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() || info.Size() != size {
		return false, fmt.Errorf("%s is there and is no file of %d bytes: %w", image, size, syscall.EEXIST)
	}
	return true, nil
}

func fill(file *os.File, from string, size int64) error {
	if err := file.Truncate(size); err != nil {
		return err
	}
	if from != "" {
		return copySparse(file, from, size)
	}
	if err := format(file, size); err != nil {
		return err
	}
	// Prepared files outlive a power cut, and a torn one would spoil every box made from it. A box's own copy needs no flush: the first
	// one from within the box flushes it.
	return file.Sync()
}

// newFile is a file that gets its name when it is whole. Where the file system can, it has none until then and goes by itself, also
// when this process is killed; on others, such as NFS, it has a temporary one.
type newFile struct {
	*os.File
	path, temporary string
}

func openNew(path string) (newFile, error) {
	dir := filepath.Dir(path)
	fd, err := syscall.Open(dir, sys.OTmpfile|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err == nil {
		return newFile{File: os.NewFile(uintptr(fd), path), path: path}, nil
	}
	if err != syscall.EOPNOTSUPP && err != syscall.EISDIR {
		return newFile{}, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	file, err := os.CreateTemp(dir, filepath.Base(path)+".new-")
	if err != nil {
		return newFile{}, err
	}
	return newFile{File: file, path: path, temporary: file.Name()}, nil
}

// publish gives the file its name. EEXIST when that is taken.
func (f newFile) publish() error {
	if f.temporary == "" {
		return sys.LinkFile(f.File, f.path)
	}
	return os.Link(f.temporary, f.path)
}

func (f newFile) discard() {
	if f.temporary != "" {
		_ = os.Remove(f.temporary)
	}
	_ = f.File.Close()
}

// copySparse copies only what the source holds; on file systems that can, it shares the blocks instead.
func copySparse(to *os.File, path string, size int64) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	if info, err := from.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() != size {
		return errno.Invalidf("%s is not a disk of %d bytes", path, size)
	}
	if _, err := sys.Ioctl(to, ficlone, from.Fd()); err == nil {
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
