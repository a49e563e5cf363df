package disk

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

const (
	fifreeze = 0xC0045877 // linux/fs.h
	fithaw   = 0xC0045878
)

// Save copies a disk image to a new file, as it is at one moment: while it is mounted at the target, its file system is frozen for as long as
// the copy takes, with all that was written before in it. Without a target it must not be mounted. Nobody sees the file before it is
// whole and on the host's disk. Fine when it is there already.
func Save(image, to, target string) error {
	for _, path := range []string{image, to} {
		if err := errno.CheckPath(path); err != nil {
			return err
		}
	}
	info, err := os.Lstat(image)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errno.Invalidf("%s is no disk image", image)
	}
	if there, err := exists(to, info.Size()); err != nil || there {
		return err
	}
	file, err := openNew(to)
	if err != nil {
		return err
	}
	defer file.discard()
	if err := file.Truncate(info.Size()); err != nil {
		return err
	}
	copied := func() error { return copySparse(file.File, image, info.Size()) }
	if target == "" {
		err = copied()
	} else {
		err = frozen(image, target, copied)
	}
	if err != nil {
		return fmt.Errorf("save disk %s: %w", image, err)
	}
	if err := file.Sync(); err != nil {
		return err
	}
	err = file.publish()
	if errors.Is(err, syscall.EEXIST) {
		_, err = exists(to, info.Size())
	}
	return err
}

// stopped are the file systems that this process has frozen, by where they are mounted: they would stay so after its end.
var stopped = struct {
	lock  sync.Mutex
	roots map[string]*os.File
}{roots: map[string]*os.File{}}

// frozen does something while nothing is written to the disk that is mounted at the target.
func frozen(image, target string, work func() error) (err error) {
	there, err := mounted(image, target)
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("it is not mounted at %s: %w", target, syscall.EINVAL)
	}
	root, err := os.OpenFile(target, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer root.Close()
	// Most of what has to be written is written while others still may write.
	if err := sys.SyncFS(root); err != nil {
		return err
	}
	stopped.lock.Lock()
	_, err = sys.Ioctl(root, fifreeze, 0)
	// EBUSY: frozen already, by a call whose process was killed.
	if err == nil || errors.Is(err, syscall.EBUSY) {
		stopped.roots[target] = root
		err = nil
	}
	stopped.lock.Unlock()
	if err != nil {
		return fmt.Errorf("freeze the disk at %s: %w", target, err)
	}
	defer func() {
		stopped.lock.Lock()
		defer stopped.lock.Unlock()
		delete(stopped.roots, target)
		if failure := thaw(root); err == nil {
			err = failure
		}
	}()
	return work()
}

// Thaw lets a disk go on that a killed process has left frozen. Fine when it is not, or nothing is mounted there.
func Thaw(target string) error {
	if err := errno.CheckPath(target); err != nil {
		return err
	}
	place, err := sys.StatPlace(target)
	if os.IsNotExist(err) || err == nil && (!place.MountRoot || place.Major != loopMajor) {
		return nil
	}
	if err != nil {
		return err
	}
	root, err := os.OpenFile(target, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer root.Close()
	return thaw(root)
}

// ThawAll lets every disk go on that is frozen at the end of this process. No other is frozen after it.
func ThawAll() {
	stopped.lock.Lock()
	// Held for good.
	for _, root := range stopped.roots {
		_ = thaw(root)
	}
}

func thaw(root *os.File) error {
	if _, err := sys.Ioctl(root, fithaw, 0); err != nil && !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("thaw the disk at %s: %w", root.Name(), err)
	}
	return nil
}
