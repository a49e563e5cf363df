package inside

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

const directory = sys.OPath | syscall.O_DIRECTORY

// apart does the work on a thread that ends with it, so that nothing else of this process can land where it went.
func apart(work func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- work()
	}()
	return <-result
}

// in does the work on a thread in the mount namespace of a container. Refused for a process in hostkit's own: an id that was given to another process
// meanwhile must not have the host's mounts changed.
func in(pid int, work func(root *os.File) error) error {
	if pid < 1 {
		return errno.Invalidf("%d is no process id", pid)
	}
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	if err != nil {
		return err
	}
	defer namespace.Close()
	theirs, err := namespace.Stat()
	if err != nil {
		return err
	}
	own, err := os.Stat("/proc/self/ns/mnt")
	if err != nil {
		return err
	}
	if os.SameFile(theirs, own) {
		return errno.Invalidf("process %d has no mounts of its own", pid)
	}
	return apart(func() error {
		// A thread that shares its root directory with others may not go to another mount namespace.
		if err := syscall.Unshare(syscall.CLONE_FS); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		if err := sys.Enter(namespace, syscall.CLONE_NEWNS); err != nil {
			return err
		}
		root, err := os.OpenFile("/", directory|syscall.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer root.Close()
		return work(root)
	})
}

// placeFor opens a directory of the container that is empty and nobody's mount, or makes it, and those that lead to it, for the container's root.
func placeFor(root *os.File, path string, owner int) (place *os.File, made bool, err error) {
	place, err = sys.OpenInside(root, ".", directory)
	if err != nil {
		return nil, false, err
	}
	sofar := "."
	for _, name := range strings.Split(strings.Trim(filepath.Clean(path), "/"), "/") {
		if name == "" {
			break
		}
		sofar += "/" + name
		next, err := sys.OpenAsRoot(root, sofar, directory)
		made = errors.Is(err, syscall.ENOENT)
		if made {
			next, err = makeDirectory(place, name, owner)
		}
		place.Close()
		if err != nil {
			return nil, false, err
		}
		place = next
	}
	if err := checkFree(place); err != nil {
		place.Close()
		return nil, false, err
	}
	return place, made, nil
}

func makeDirectory(parent *os.File, name string, owner int) (*os.File, error) {
	if err := syscall.Mkdirat(int(parent.Fd()), name, 0o755); err != nil {
		return nil, &os.PathError{Op: "mkdir", Path: name, Err: err}
	}
	const noFollow = 0x100 // AT_SYMLINK_NOFOLLOW
	if err := syscall.Fchownat(int(parent.Fd()), name, owner, owner, noFollow); err != nil {
		return nil, &os.PathError{Op: "chown", Path: name, Err: err}
	}
	return sys.OpenInside(parent, name, directory)
}

func checkFree(place *os.File) error {
	found, err := sys.StatOpen(place)
	if err != nil {
		return err
	}
	if found.MountRoot {
		return fmt.Errorf("something is mounted there: %w", syscall.EBUSY)
	}
	readable, err := sys.OpenInside(place, ".", syscall.O_RDONLY|syscall.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer readable.Close()
	if _, err := readable.Readdirnames(1); err != io.EOF {
		if err == nil {
			err = fmt.Errorf("the directory is not empty: %w", syscall.ENOTEMPTY)
		}
		return err
	}
	return nil
}

// removeDirectory takes away an empty one; no part of its path may be a link.
func removeDirectory(root *os.File, path string) {
	parent, name, err := parentOf(root, path)
	if err != nil {
		return
	}
	defer parent.Close()
	if syscall.Fchdir(int(parent.Fd())) == nil {
		_ = syscall.Rmdir(name)
		_ = syscall.Chdir("/")
	}
}

func parentOf(root *os.File, path string) (parent *os.File, name string, err error) {
	inside := strings.Trim(filepath.Clean(path), "/")
	if inside == "" {
		return nil, "", errno.Invalidf("%q is the root", path)
	}
	parent, err = sys.OpenInside(root, filepath.Join(".", filepath.Dir(inside)), directory)
	return parent, filepath.Base(inside), err
}
