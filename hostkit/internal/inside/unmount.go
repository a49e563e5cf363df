package inside

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/mount"
	"gibil.dev/hostkit/internal/sys"
)

// Mounted is a mount of a snapshot in a container.
type Mounted struct {
	Path string `json:"path"`
	// Name that it was given.
	Name string `json:"name"`
}

// Place is where a snapshot is mounted.
type Place struct {
	Pid  int    `json:"pid"`
	Path string `json:"path"`
	// Name is what the names of mounts of snapshots begin with. Nothing else is unmounted.
	Name string `json:"name"`
}

// List tells what a container's table of mounts has of snapshots.
func List(pid int, name string) ([]Mounted, error) {
	entries, err := table(pid)
	if err != nil {
		return nil, err
	}
	found := []Mounted{}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Source, name) {
			found = append(found, Mounted{entry.Point, strings.TrimSuffix(entry.Source, Made)})
		}
	}
	return found, nil
}

func table(pid int) ([]mount.Entry, error) {
	if pid < 1 {
		return nil, errno.Invalidf("%d is no process id", pid)
	}
	file, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return mount.Read(file)
}

// Unmount fails with EBUSY while a process uses it, and with ENOENT when no snapshot is mounted there.
func Unmount(p Place) error {
	if err := errno.CheckPath(p.Path); err != nil {
		return err
	}
	entries, err := table(p.Pid)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Point == p.Path && strings.HasPrefix(entry.Source, p.Name) {
			return in(p.Pid, func(root *os.File) error { return unmount(root, entry) })
		}
	}
	return fmt.Errorf("no snapshot is mounted at %s: %w", p.Path, syscall.ENOENT)
}

// unmount goes by the parent directory that it holds: what a process of the container puts in the place of a part of the path, such as a link to
// another mount, changes nothing.
func unmount(root *os.File, entry mount.Entry) error {
	parent, name, err := parentOf(root, entry.Point)
	if err != nil {
		return err
	}
	defer parent.Close()
	place, err := sys.OpenInside(parent, name, directory)
	if err != nil {
		return err
	}
	found, err := sys.StatOpen(place)
	// Open, it would be in use.
	_ = place.Close()
	if err != nil {
		return err
	}
	if found.Mount != entry.ID {
		return fmt.Errorf("another mount is at %s: %w", entry.Point, syscall.ENOENT)
	}
	if err := syscall.Fchdir(int(parent.Fd())); err != nil {
		return err
	}
	if err := syscall.Unmount(name, sys.UmountNoFollow); err != nil {
		return &os.PathError{Op: "unmount", Path: entry.Point, Err: err}
	}
	if strings.HasSuffix(entry.Source, Made) {
		_ = syscall.Rmdir(name)
	}
	return syscall.Chdir("/")
}
