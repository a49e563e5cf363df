package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

// Bind mounts a directory or file over another, without the mounts below it, never with set-user-id programs or devices. The target is
// made. Fine when the same is mounted there already.
func Bind(source, target string, readonly bool) error {
	for _, path := range []string{source, target} {
		if err := errno.CheckPath(path); err != nil {
			return err
		}
	}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if err := makeTarget(target, info.IsDir()); err != nil {
		return err
	}
	if there, err := bound(source, target, readonly); err != nil || there {
		return err
	}
	tree, err := sys.CloneTree(source)
	if err != nil {
		return err
	}
	defer tree.Close()
	attributes := uint64(sys.AttrNoSUID | sys.AttrNoDev)
	if readonly {
		attributes |= sys.AttrReadOnly
	}
	if err := tree.Configure(attributes, nil); err != nil {
		return err
	}
	return tree.Attach(target)
}

func makeTarget(target string, directory bool) error {
	if directory {
		return os.MkdirAll(target, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|syscall.O_CLOEXEC, 0o644)
	if os.IsExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

// bound: the same file or directory is mounted at the target in the same way. Anything else there is in the way.
func bound(source, target string, readonly bool) (bool, error) {
	at, err := sys.StatPlace(target)
	if err != nil || !at.MountRoot {
		return false, err
	}
	resolved, err := filepath.EvalSymlinks(source)
	if err != nil {
		return false, err
	}
	from, err := sys.StatPlace(resolved)
	if err != nil {
		return false, err
	}
	var stat syscall.Statfs_t
	if err := syscall.Statfs(target, &stat); err != nil {
		return false, &os.PathError{Op: "statfs", Path: target, Err: err}
	}
	same := at.Major == from.Major && at.Minor == from.Minor && at.Inode == from.Inode
	if !same || stat.Flags&syscall.MS_RDONLY != 0 != readonly {
		return false, fmt.Errorf("something else is mounted at %s: %w", target, syscall.EBUSY)
	}
	return true, nil
}
