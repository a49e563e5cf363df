package mountns

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"gibil.dev/hostkit/internal/mount"
	"gibil.dev/hostkit/internal/sys"
)

// system are the directories whose mounts every program may need: itself, its libraries, devices, cgroups. Others, such as a network
// file system that does not answer or a disk that somebody wants to unmount, are neither touched nor held.
var system = []string{"/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/nix", "/opt", "/sbin", "/sys", "/usr"}

// base is a mount namespace that exists as long as its file is open.
type base struct{ file *os.File }

func (b *base) enter() error {
	return sys.Enter(b.file, syscall.CLONE_NEWNS)
}

// wanted says whether what is mounted at a point belongs in a base.
func wanted(point string, keep []string) bool {
	if point == "/proc" {
		return true
	}
	for _, directory := range system {
		if within(point, directory) {
			return true
		}
	}
	for _, path := range keep {
		if within(path, point) {
			return true
		}
	}
	return false
}

// within: the path is the directory or below it.
func within(path, directory string) bool {
	return path == directory || strings.HasPrefix(path, strings.TrimSuffix(directory, "/")+"/")
}

// makeBase makes a new namespace on the calling thread, which must end with this: copies of the wanted mounts, one by one, around a copy of the
// root, which then takes the place of all that the new namespace began with.
func makeBase(keep []string) (*base, error) {
	points, err := mount.Table("/")
	if err != nil {
		return nil, err
	}
	if err := syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("new mount namespace: %w", err)
	}
	// Nothing that is done here may reach the host.
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return nil, &os.PathError{Op: "make private", Path: "/", Err: err}
	}
	root, err := sys.CloneTree("/")
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Over the root, where a path from there does not lead: "/x" is still that of the host.
	if err := root.Attach("/"); err != nil {
		return nil, err
	}
	for _, point := range points {
		if point == "/" || !wanted(point, keep) {
			continue
		}
		if err := copyInto(root, point); err != nil {
			return nil, err
		}
	}
	// pivot_root(2) describes this: the old root ends up over the new one, and goes.
	if err := syscall.Fchdir(root.FD()); err != nil {
		return nil, &os.PathError{Op: "chdir", Path: "the new root", Err: err}
	}
	if err := syscall.PivotRoot(".", "."); err != nil {
		return nil, &os.PathError{Op: "pivot_root", Path: "/", Err: err}
	}
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return nil, &os.PathError{Op: "unmount", Path: "the old root", Err: err}
	}
	if err := syscall.Chdir("/"); err != nil {
		return nil, err
	}
	file, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return nil, err
	}
	return &base{file}, nil
}

// copyInto puts a copy of what is mounted at a point of the host at the same place below the new root. A point that cannot be reached, since
// another mount covers it, or that was removed meanwhile, is left out.
func copyInto(root sys.Tree, point string) error {
	tree, err := sys.CloneTree(point)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	if err != nil {
		return err
	}
	defer tree.Close()
	err = tree.AttachBelow(root, strings.TrimPrefix(point, "/"))
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}
