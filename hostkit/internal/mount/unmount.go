package mount

import (
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

// busyLimit is how long a mount may stay in use before it is detached from the tree and left to end by itself.
const busyLimit = 2 * time.Second

// Unmount removes every mount at the target, and with recursive all below it; fine when there is nothing. Lazy tells that something was
// still in use after two seconds: it is gone from the tree, and ends with its last user.
func Unmount(target string, recursive bool) (lazy bool, err error) {
	if err := errno.CheckPath(target); err != nil {
		return false, err
	}
	point, err := canonical(target)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	deadline := time.Now().Add(busyLimit)
	if !recursive {
		return clearPoint(point, deadline)
	}
	// Mostly there is one mount with nothing below: then the table, which is long on a host with many boxes, need not be read.
	err = syscall.Unmount(point, sys.UmountNoFollow)
	if err == nil {
		return clearPoint(point, deadline)
	}
	if err == syscall.ENOENT {
		return false, nil
	}
	if err != syscall.EBUSY && err != syscall.EINVAL {
		return false, &os.PathError{Op: "unmount", Path: point, Err: err}
	}
	below, err := tree(point)
	if err != nil {
		return false, err
	}
	for _, place := range append(below, point) {
		detached, err := clearPoint(place, deadline)
		if err != nil {
			return lazy, err
		}
		lazy = lazy || detached
	}
	return lazy, nil
}

// tree lists the mount points below a path, deepest first.
func tree(path string) ([]string, error) {
	points, err := Table(strings.TrimSuffix(path, "/") + "/")
	if err != nil {
		return nil, err
	}
	sort.SliceStable(points, func(i, j int) bool {
		return strings.Count(points[i], "/") > strings.Count(points[j], "/")
	})
	return points, nil
}

// canonical is the path as the kernel's table has it: without symbolic links, except that a last one is not followed.
func canonical(path string) (string, error) {
	path = filepath.Clean(path)
	if path == "/" {
		return "", errno.Invalidf("the root is not to be unmounted")
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// clearPoint takes away every mount at one path: several may lie over each other.
func clearPoint(point string, deadline time.Time) (lazy bool, err error) {
	wait := time.Millisecond
	for {
		flags := sys.UmountNoFollow
		late := time.Now().After(deadline)
		if late {
			flags |= syscall.MNT_DETACH
		}
		err := syscall.Unmount(point, flags)
		switch {
		case err == nil:
			lazy = lazy || late
			wait = time.Millisecond
		case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOENT):
			return lazy, nil // nothing is mounted there any more
		case errors.Is(err, syscall.EBUSY) && !late:
			time.Sleep(wait)
			if wait < 50*time.Millisecond {
				wait *= 2
			}
		default:
			return lazy, &os.PathError{Op: "unmount", Path: point, Err: err}
		}
	}
}
