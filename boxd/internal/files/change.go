package files

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gibil.dev/boxd/internal/fault"
)

// Remove deletes a file, or with recursive a directory and all that is in it.
func (t *Tree) Remove(path string, recursive bool) error {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return fault.Of(err, path)
	}
	if path == "/" {
		return fault.New(fault.InvalidPath, "The root directory cannot be removed.")
	}
	var err error
	switch {
	case recursive:
		err = os.RemoveAll(path) // walks by descriptors and follows no symlink
	case isDir(&st):
		err = syscall.Rmdir(path)
	default:
		err = syscall.Unlink(path)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOTEMPTY) {
		return fault.New(fault.FileConflict, "%s is a directory that is not empty.", path)
	}
	return fault.Of(err, path)
}

// Move renames, and makes the parents of the new place. Between filesystems it copies, and removes the old when the new is
// in place.
func (t *Tree) Move(from, to string, overwrite bool) error {
	var st syscall.Stat_t
	if err := syscall.Lstat(from, &st); err != nil {
		return fault.Of(err, from)
	}
	if to == from {
		return nil
	}
	if strings.HasPrefix(to, strings.TrimSuffix(from, "/")+"/") {
		return fault.New(fault.InvalidPath, "%s is inside %s.", to, from)
	}
	owner, err := t.Owner("")
	if err != nil {
		return err
	}
	if err := MakeDirs(filepath.Dir(to), 0o755, owner); err != nil {
		return err
	}
	err = place(from, to, overwrite)
	if err == syscall.EXDEV {
		err = moveByCopy(from, to, overwrite)
	}
	switch {
	case err == syscall.EEXIST && !overwrite:
		return fault.New(fault.FileConflict, "%s exists already.", to)
	case err != nil:
		return fault.Of(err, to)
	}
	return nil
}

func place(from, to string, overwrite bool) error {
	if overwrite {
		return syscall.Rename(from, to)
	}
	err := renameNew(from, to)
	if err == syscall.EINVAL || err == syscall.ENOSYS { // a filesystem that cannot refuse atomically
		var st syscall.Stat_t
		if syscall.Lstat(to, &st) == nil {
			return syscall.EEXIST
		}
		err = syscall.Rename(from, to)
	}
	return err
}

// moveByCopy is also needed within one overlay: a directory of a lower layer cannot be renamed there.
func moveByCopy(from, to string, overwrite bool) error {
	var st syscall.Stat_t
	if !overwrite && syscall.Lstat(to, &st) == nil {
		return syscall.EEXIST
	}
	temporary := temporaryBeside(to)
	err := copyTree(from, temporary)
	if err == nil {
		err = place(temporary, to, overwrite)
	}
	if err != nil {
		_ = os.RemoveAll(temporary)
		return err
	}
	return os.RemoveAll(from)
}

// copyTree copies files, directories, symlinks and pipes with owner, mode and time.
func copyTree(from, to string) error {
	var st syscall.Stat_t
	if err := syscall.Lstat(from, &st); err != nil {
		return err
	}
	switch {
	case isLink(&st):
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		if err := os.Symlink(target, to); err != nil {
			return err
		}
		return lchown(to, &st)
	case isDir(&st):
		if err := syscall.Mkdir(to, 0o700); err != nil {
			return err
		}
		entries, err := os.ReadDir(from)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if err := copyTree(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
				return err
			}
		}
	case isRegular(&st):
		if err := copyFile(from, to); err != nil {
			return err
		}
	default:
		if err := syscall.Mknod(to, st.Mode, int(st.Rdev)); err != nil {
			return err
		}
	}
	if err := lchown(to, &st); err != nil {
		return err
	}
	if err := syscall.Chmod(to, st.Mode&0o7777); err != nil {
		return err
	}
	return syscall.UtimesNano(to, []syscall.Timespec{st.Atim, st.Mtim})
}

func lchown(path string, st *syscall.Stat_t) error {
	if err := syscall.Lchown(path, int(st.Uid), int(st.Gid)); err != nil && os.Geteuid() == 0 {
		return err
	}
	return nil
}

func copyFile(from, to string) error {
	source, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if closed := target.Close(); err == nil {
		err = closed
	}
	return err
}

// ChangeMode sets the permission bits of a file, or with recursive of all below it too. No symlink below is followed.
func (t *Tree) ChangeMode(path string, mode uint32, recursive bool) error {
	if err := syscall.Chmod(path, mode); err != nil {
		return fault.Of(err, path)
	}
	var st syscall.Stat_t
	if !recursive || syscall.Stat(path, &st) != nil || !isDir(&st) {
		return nil
	}
	fd, err := syscall.Open(path, syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fault.Of(err, path)
	}
	if err := changeBelow(fd, mode); err != nil {
		return fault.Of(err, path)
	}
	return nil
}

// changeBelow takes over the descriptor. It walks by descriptors, so that nobody can swap a symlink in.
func changeBelow(dir int, mode uint32) error {
	file := os.NewFile(uintptr(dir), "directory")
	defer file.Close()
	names, err := file.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		fd, err := syscall.Openat(dir, name, oPath|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
		if err == syscall.ENOENT {
			continue
		}
		if err != nil {
			return err
		}
		err = changeEntry(dir, fd, name, mode)
		syscall.Close(fd)
		if err != nil {
			return err
		}
	}
	return nil
}

func changeEntry(dir, fd int, name string, mode uint32) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || isLink(&st) {
		return err
	}
	if isDir(&st) {
		// Opened before the change, which may take away the right to.
		below, err := syscall.Openat(dir, name, syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
		if err == syscall.ENOENT || err == syscall.ELOOP || err == syscall.ENOTDIR {
			return nil // swapped meanwhile
		}
		if err != nil {
			return err
		}
		if err := changeBelow(below, mode); err != nil {
			return err
		}
	}
	return syscall.Chmod(byFd(fd), mode)
}
