package netns

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

// dir is where iproute2 looks for named namespaces.
const dir = "/run/netns"

// nsfsMagic is NSFS_MAGIC of linux/magic.h: the file of a namespace lies on nsfs, an empty mount point does not.
const nsfsMagic = 0x6e736673

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || name != filepath.Base(name) {
		return errno.Invalidf("a namespace name is one path element, not %q", name)
	}
	return nil
}

var sharing sync.Mutex

// shareDir makes the directory of namespaces what `ip netns add` makes of it: a shared mount. Were it left to ip, the namespaces made before would
// be mounted twice from then on, and removing one would leave the other mount.
func shareDir() error {
	sharing.Lock()
	defer sharing.Unlock()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if place, err := sys.StatPlace(dir); err != nil || place.MountRoot {
		return err
	}
	// ip takes the same lock.
	lock, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return &os.PathError{Op: "flock", Path: dir, Err: err}
	}
	if place, err := sys.StatPlace(dir); err != nil || place.MountRoot {
		return err
	}
	if err := syscall.Mount(dir, dir, "none", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return &os.PathError{Op: "bind", Path: dir, Err: err}
	}
	if err := syscall.Mount("", dir, "none", syscall.MS_SHARED|syscall.MS_REC, ""); err != nil {
		return &os.PathError{Op: "share", Path: dir, Err: err}
	}
	return nil
}

// inNewNamespace does its work on a thread in a new network namespace that is kept under the name. The thread ends with it, so no
// other work of this process can land there.
func inNewNamespace(name string, work func(namespace *os.File) error) error {
	if err := shareDir(); err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- func() error {
			if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
				return fmt.Errorf("new network namespace: %w", err)
			}
			path := filepath.Join(dir, name)
			point, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY|syscall.O_CLOEXEC, 0o444)
			if err != nil {
				return err
			}
			_ = point.Close()
			if err := syscall.Mount("/proc/thread-self/ns/net", path, "", syscall.MS_BIND, ""); err != nil {
				return fmt.Errorf("keep network namespace %s: %w", name, err)
			}
			namespace, err := os.Open(path)
			if err != nil {
				return err
			}
			defer namespace.Close()
			return work(namespace)
		}()
	}()
	return <-result
}

func isNamespace(name string) (bool, error) {
	var stat syscall.Statfs_t
	path := filepath.Join(dir, name)
	if err := syscall.Statfs(path, &stat); err != nil {
		if err == syscall.ENOENT {
			return false, nil
		}
		return false, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return stat.Type == nsfsMagic, nil
}

// forget removes the name of a namespace, which ends when nothing is in it any more. Fine when it is gone.
func forget(name string) error {
	path := filepath.Join(dir, name)
	for {
		err := syscall.Unmount(path, syscall.MNT_DETACH|sys.UmountNoFollow)
		if err == syscall.EINVAL || err == syscall.ENOENT {
			break
		}
		if err != nil {
			return &os.PathError{Op: "unmount", Path: path, Err: err}
		}
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
