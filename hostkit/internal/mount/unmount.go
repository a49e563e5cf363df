package mount

import (
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
	if !nothingThere(err) && err != syscall.EBUSY {
		return false, &os.PathError{Op: "unmount", Path: point, Err: err}
	}
	return clearTree(point, deadline)
}

// clearTree goes over the table again and again, since a mount may cover others that can only be reached when it is gone.
func clearTree(point string, deadline time.Time) (lazy bool, err error) {
	for wait := firstWait; ; {
		points, err := tree(point)
		if err != nil || len(points) == 0 {
			return lazy, err
		}
		late := time.Now().After(deadline)
		progress, busy := false, false
		for _, place := range points {
			err := syscall.Unmount(place, unmountFlags(late))
			switch {
			case err == nil:
				progress, lazy = true, lazy || late
			case err == syscall.EBUSY:
				busy = true
			case !nothingThere(err):
				return lazy, &os.PathError{Op: "unmount", Path: place, Err: err}
			}
		}
		if progress {
			continue
		}
		if !busy || late {
			return lazy, nil // what is left lies under a mount above the target
		}
		wait = pause(wait)
	}
}

// tree lists the mount points at and below a path, deepest first.
func tree(path string) ([]string, error) {
	points, err := Table(path)
	if err != nil {
		return nil, err
	}
	inside := points[:0]
	for _, point := range points {
		if point == path || strings.HasPrefix(point, path+"/") {
			inside = append(inside, point)
		}
	}
	sort.SliceStable(inside, func(i, j int) bool { return strings.Count(inside[i], "/") > strings.Count(inside[j], "/") })
	return inside, nil
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
	for wait := firstWait; ; {
		late := time.Now().After(deadline)
		err := syscall.Unmount(point, unmountFlags(late))
		switch {
		case err == nil:
			lazy = lazy || late
		case nothingThere(err):
			return lazy, nil
		case err == syscall.EBUSY && !late:
			wait = pause(wait)
		default:
			return lazy, &os.PathError{Op: "unmount", Path: point, Err: err}
		}
	}
}

func unmountFlags(late bool) int {
	if late {
		return sys.UmountNoFollow | syscall.MNT_DETACH
	}
	return sys.UmountNoFollow
}

// nothingThere: the path is no mount point, or none at all.
func nothingThere(err error) bool {
	return err == syscall.EINVAL || err == syscall.ENOENT || err == syscall.ENOTDIR
}

const firstWait = time.Millisecond

// pause sleeps, and returns how long to sleep the next time.
func pause(wait time.Duration) time.Duration {
	time.Sleep(wait)
	if wait < 50*time.Millisecond {
		wait *= 2
	}
	return wait
}
