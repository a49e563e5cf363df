// Package inside mounts in a container that runs what was saved of one, to be read. The mounts are made where nobody sees them and are then put into the
// container's own table: the host's never has them, and they end with the container, whoever else dies before.
package inside

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gibil.dev/hostkit/internal/disk"
	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
	"gibil.dev/hostkit/internal/userns"
)

// Snapshot is what was saved, and where to show it.
type Snapshot struct {
	// Pid is a process of the container.
	Pid int `json:"pid"`
	// Path in the container.
	Path string `json:"path"`
	// Name of the mount's source in the container's table of mounts.
	Name string `json:"name"`
	// Image is the disk with the directory `upper`, whose file system is clean. It is not written to.
	Image string `json:"image"`
	// From is the first of the ids that own what is on the disk.
	From int `json:"from"`
	// Layers below it, top first.
	Layers []string `json:"layers"`
	// IDMap holds the ids of the container.
	IDMap userns.Map `json:"idmap"`
}

// Made is appended to the name where the directory was made for the mount, with which it goes.
const Made = ":made"

const (
	readOnly = sys.AttrReadOnly | sys.AttrNoDev
	// As for the root of a container (package mount): no default of the kernel decides.
	overlayOptions = "index=off,redirect_dir=nofollow,metacopy=off,nfs_export=off,xino=auto"
	mountFlags     = syscall.MS_RDONLY | syscall.MS_NODEV | syscall.MS_NOSUID | syscall.MS_NOATIME
)

var namespaces userns.Cache

// Mount makes the directory, or takes an empty one. EBUSY where something is mounted, ENOTEMPTY where something is.
func Mount(s Snapshot) error {
	for _, path := range append([]string{s.Path, s.Image}, s.Layers...) {
		if err := errno.CheckPath(path); err != nil {
			return err
		}
	}
	if len(s.Layers) == 0 || s.Name == "" || strings.HasSuffix(s.Name, Made) {
		return errno.Invalidf("a snapshot has a name and at least one layer")
	}
	return in(s.Pid, func(root *os.File) error {
		place, made, err := placeFor(root, s.Path, s.IDMap.Base)
		if err != nil {
			return err
		}
		defer place.Close()
		if made {
			s.Name += Made
		}
		// On a thread of its own: this one is in the container.
		var tree sys.Tree
		err = apart(func() (err error) {
			tree, err = s.assemble()
			return err
		})
		if err == nil {
			err = tree.AttachTo(place)
			_ = tree.Close()
		}
		if err != nil && made {
			removeDirectory(root, s.Path)
		}
		return err
	})
}

// assemble makes the mounts over one another at one place of a table that ends with this thread, and returns a copy of the last one, which then holds the others.
func (s Snapshot) assemble() (sys.Tree, error) {
	if err := syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS); err != nil {
		return sys.Tree{}, os.NewSyscallError("unshare", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return sys.Tree{}, &os.PathError{Op: "make private", Path: "/", Err: err}
	}
	device, err := disk.ReadOnly(s.Image)
	if err != nil {
		return sys.Tree{}, fmt.Errorf("attach %s to a loop device: %w", s.Image, err)
	}
	defer device.Close()
	stage := filepath.Dir(s.Image)
	trees := []sys.Tree{}
	defer func() {
		for _, tree := range trees {
			_ = tree.Close()
		}
	}()
	for _, path := range s.Layers {
		tree, err := sys.CloneTree(path)
		if err != nil {
			return sys.Tree{}, err
		}
		trees = append(trees, tree)
		if err := shift(tree, s.IDMap); err != nil {
			return sys.Tree{}, err
		}
	}
	if err := syscall.Mount(device.Name(), stage, "ext4", mountFlags, ""); err != nil {
		return sys.Tree{}, fmt.Errorf("mount %s: %w", s.Image, err)
	}
	upper, err := sys.CloneTree(filepath.Join(stage, "upper"))
	if err != nil {
		return sys.Tree{}, err
	}
	trees = append([]sys.Tree{upper}, trees...)
	if err := s.configureUpper(upper); err != nil {
		return sys.Tree{}, err
	}
	lower := make([]string, len(trees))
	for i, tree := range trees {
		// Before Linux 6.15 a layer must be attached somewhere.
		if err := tree.Attach(stage); err != nil {
			return sys.Tree{}, err
		}
		lower[i] = sys.FDPath(tree.FD())
	}
	options := "lowerdir=" + strings.Join(lower, ":") + "," + overlayOptions
	if len(options) >= os.Getpagesize() {
		return sys.Tree{}, errno.Invalidf("%d layers do not fit in the options of one overlay", len(lower))
	}
	if err := syscall.Mount(s.Name, stage, "overlay", mountFlags, options); err != nil {
		return sys.Tree{}, fmt.Errorf("mount an overlay of %d layers: %w", len(lower), err)
	}
	return sys.CloneTree(stage)
}

// configureUpper shows what was the container's own with the ids that this one has.
func (s Snapshot) configureUpper(upper sys.Tree) error {
	if s.From == s.IDMap.Base {
		return upper.Configure(readOnly, nil)
	}
	return shift(upper, userns.Map{From: s.From, Base: s.IDMap.Base, Count: s.IDMap.Count})
}

func shift(tree sys.Tree, ids userns.Map) error {
	return namespaces.With(ids, func(namespace *os.File) error { return tree.Configure(readOnly, namespace) })
}
