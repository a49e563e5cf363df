package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
	"gibil.dev/hostkit/internal/userns"
)

// Overlay is an overlay mount to make. Lower lists the layers, top first; with an IDMap the lower layers appear shifted, while the
// upper one keeps shifted ids on its disk (an id-mapped upper layer cannot be written by the mounter, whose id it does not map).
type Overlay struct {
	Target string      `json:"target"`
	Lower  []string    `json:"lower"`
	Upper  string      `json:"upper"`
	Work   string      `json:"work"`
	IDMap  *userns.Map `json:"idmap"`
}

const (
	// stageName is the directory in Work below which layers are attached while the overlay is made, on kernels that need that.
	stageName = "layers"
	// overlayMagic is OVERLAYFS_SUPER_MAGIC of linux/magic.h.
	overlayMagic = 0x794c7630
	// The options are given each by name, so that a kernel's build or a module's parameter changes nothing. No redirect is made or
	// followed: with redirects, renaming a directory of a layer would store a path of the layer in the upper one.
	fixedOptions = "index=off,redirect_dir=nofollow,metacopy=off,nfs_export=off,xino=auto"
)

var namespaces userns.Cache

// Prepare makes the user namespace for a map before an overlay needs it.
func Prepare(m userns.Map) error {
	return namespaces.With(m, func(*os.File) error { return nil })
}

// Mount makes the overlay; fine when one is mounted there already.
func (o Overlay) Mount() error {
	for _, path := range append([]string{o.Target, o.Upper, o.Work}, o.Lower...) {
		if err := errno.CheckPath(path); err != nil {
			return err
		}
	}
	if len(o.Lower) == 0 {
		return errno.Invalidf("an overlay has at least one lower layer")
	}
	if err := os.MkdirAll(o.Target, 0o755); err != nil {
		return err
	}
	if there, err := o.mounted(); err != nil || there {
		return err
	}
	// Without their parents: where these lie is a disk of the caller, which must be there.
	if err := os.Mkdir(o.Upper, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	if err := os.Mkdir(o.Work, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	stage := filepath.Join(o.Work, stageName)
	if err := clearStage(stage); err != nil {
		return err
	}
	layers, err := o.open()
	defer layers.Close()
	if err != nil {
		return err
	}
	if err := o.adoptRoot(layers); err != nil {
		return err
	}
	if err := layers.configure(o.IDMap); err != nil {
		return err
	}
	options := layers.options()
	if len(options) >= os.Getpagesize() {
		return errno.Invalidf("%d layers do not fit in the options of one overlay", len(o.Lower))
	}
	if detachedLayers.usable() {
		err = o.make(options)
		// Before Linux 6.15 a layer must be attached somewhere, else EINVAL. An overlay may get EINVAL for other reasons, which the
		// second try then gets as well.
		if !errors.Is(err, syscall.EINVAL) {
			return err
		}
	}
	if err := layers.attach(stage); err != nil {
		_ = clearStage(stage)
		return err
	}
	err = o.make(options)
	if err == nil {
		detachedLayers.refuse()
	}
	if clean := clearStage(stage); err == nil && clean != nil {
		_ = syscall.Unmount(o.Target, sys.UmountNoFollow|syscall.MNT_DETACH)
		err = clean
	}
	return err
}

func (o Overlay) make(options string) error {
	if err := syscall.Mount("overlay", o.Target, "overlay", syscall.MS_NODEV|syscall.MS_NOATIME, options); err != nil {
		return fmt.Errorf("mount an overlay of %d layers at %s: %w", len(o.Lower), o.Target, err)
	}
	return nil
}

// mounted: an overlay is there. Anything else that is mounted there is in the way.
func (o Overlay) mounted() (bool, error) {
	place, err := sys.StatPlace(o.Target)
	if err != nil || !place.MountRoot {
		return false, err
	}
	var kind syscall.Statfs_t
	if err := syscall.Statfs(o.Target, &kind); err != nil {
		return false, &os.PathError{Op: "statfs", Path: o.Target, Err: err}
	}
	if kind.Type != overlayMagic {
		return false, fmt.Errorf("something else is mounted at %s: %w", o.Target, syscall.EBUSY)
	}
	return true, nil
}

// layers holds descriptors on all directories of an overlay. The overlay is given them as paths in /proc/self/fd: these are short whatever
// the directories are called, need no escapes, and keep the host's paths out of what a box reads in its own mountinfo.
type layers struct {
	trees       []sys.Tree
	upper, work *os.File
}

func (o Overlay) open() (l layers, err error) {
	if l.upper, err = openDirectory(o.Upper); err != nil {
		return l, err
	}
	if l.work, err = openDirectory(o.Work); err != nil {
		return l, err
	}
	for _, path := range o.Lower {
		tree, err := sys.CloneTree(path)
		if err != nil {
			return l, err
		}
		l.trees = append(l.trees, tree)
	}
	return l, nil
}

func openDirectory(path string) (*os.File, error) {
	return os.OpenFile(path, sys.OPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
}

// configure makes the copies of the layers read-only and shifts their ids.
func (l layers) configure(idmap *userns.Map) error {
	configure := func(namespace *os.File) error {
		for _, tree := range l.trees {
			if err := tree.Configure(sys.AttrReadOnly|sys.AttrNoDev, namespace); err != nil {
				return err
			}
		}
		return nil
	}
	if idmap == nil {
		return configure(nil)
	}
	return namespaces.With(*idmap, configure)
}

func (l layers) options() string {
	lower := make([]string, len(l.trees))
	for i, tree := range l.trees {
		lower[i] = sys.FDPath(tree.FD())
	}
	return fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,%s", strings.Join(lower, ":"),
		sys.FDPath(int(l.upper.Fd())), sys.FDPath(int(l.work.Fd())), fixedOptions)
}

// attach stacks the layers over one another at one place: each is reached by its descriptor. The overlay takes copies of
// its own, so that these can go at once.
func (l layers) attach(stage string) error {
	if err := os.Mkdir(stage, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	for _, tree := range l.trees {
		if err := tree.Attach(stage); err != nil {
			return err
		}
	}
	return nil
}

func (l layers) Close() {
	for _, tree := range l.trees {
		_ = tree.Close()
	}
	for _, file := range []*os.File{l.upper, l.work} {
		if file != nil {
			_ = file.Close()
		}
	}
}

// clearStage takes away attached layers, of this call or of one that was killed. Fine when there are none.
func clearStage(stage string) error {
	for {
		err := syscall.Unmount(stage, sys.UmountNoFollow|syscall.MNT_DETACH)
		if err == syscall.ENOENT {
			return nil
		}
		if err == syscall.EINVAL {
			break
		}
		if err != nil {
			return &os.PathError{Op: "unmount", Path: stage, Err: err}
		}
	}
	// As an empty directory: were a layer still there, this fails and leaves the image alone.
	if err := syscall.Rmdir(stage); err != nil && err != syscall.ENOENT {
		return &os.PathError{Op: "rmdir", Path: stage, Err: err}
	}
	return nil
}

// adoptRoot makes the upper directory look like the root of the top layer, since the root that is seen is the upper one's.
func (o Overlay) adoptRoot(l layers) error {
	var top, upper syscall.Stat_t
	if err := syscall.Stat(sys.FDPath(l.trees[0].FD()), &top); err != nil {
		return &os.PathError{Op: "stat", Path: o.Lower[0], Err: err}
	}
	uid, gid := int(top.Uid), int(top.Gid)
	if m := o.IDMap; m != nil {
		if uid >= m.Count || gid >= m.Count {
			return errno.Invalidf("%s belongs to %d:%d, which the idmap of %d ids does not hold", o.Lower[0], uid, gid, m.Count)
		}
		uid, gid = uid+m.Base, gid+m.Base
	}
	path := sys.FDPath(int(l.upper.Fd()))
	if err := syscall.Stat(path, &upper); err != nil {
		return &os.PathError{Op: "stat", Path: o.Upper, Err: err}
	}
	// Only once: later it is the box's own to change.
	if upper.Uid != 0 || uid == 0 {
		return nil
	}
	if err := syscall.Chmod(path, top.Mode&0o7777); err != nil {
		return &os.PathError{Op: "chmod", Path: o.Upper, Err: err}
	}
	if err := syscall.Chown(path, uid, gid); err != nil {
		return &os.PathError{Op: "chown", Path: o.Upper, Err: err}
	}
	return nil
}

// detachedLayers remembers whether this kernel takes layers that are attached nowhere (Linux 6.15), which saves attaching and detaching.
var detachedLayers memory

type memory struct {
	lock    sync.Mutex
	refused bool
}

func (m *memory) usable() bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	return !m.refused
}

func (m *memory) refuse() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.refused = true
}
