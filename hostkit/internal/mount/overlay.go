// Package mount makes and removes mounts.
package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
)

// Overlay is an overlay mount to make. Lower lists the layers, top first; with an IDMap the lower layers appear shifted, while the
// upper one keeps shifted ids on its disk (an id-mapped upper layer cannot be written by the mounter, whose id it does not map).
type Overlay struct {
	Target string   `json:"target"`
	Lower  []string `json:"lower"`
	Upper  string   `json:"upper"`
	Work   string   `json:"work"`
	IDMap  *IDMap   `json:"idmap"`
}

// Mount makes the overlay; fine when it is mounted already.
func (o Overlay) Mount() (err error) {
	if len(o.Lower) == 0 || o.Target == "" || o.Upper == "" || o.Work == "" {
		return errno.Invalidf("an overlay wants target, lower, upper and work")
	}
	if err := os.MkdirAll(o.Target, 0o755); err != nil {
		return err
	}
	if mounted, err := IsMountpoint(o.Target); err != nil || mounted {
		return err
	}
	if err := o.prepareUpper(); err != nil {
		return err
	}
	// Short names: all options must fit in one page. The overlay keeps private copies of these mounts, so that they can go at once.
	layers, err := os.MkdirTemp("/run", "hostkit-")
	if err != nil {
		return err
	}
	defer func() {
		if clean := removeLayers(layers); err == nil {
			err = clean
		}
	}()
	lower := make([]string, len(o.Lower))
	for i, source := range o.Lower {
		lower[i] = filepath.Join(layers, strconv.Itoa(i))
		if err := os.Mkdir(lower[i], 0o700); err != nil {
			return err
		}
		if err := bindMapped(source, lower[i], o.IDMap); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,index=off,redirect_dir=off,metacopy=off",
		strings.Join(lower, ":"), escape(o.Upper), escape(o.Work))
	if len(options) >= os.Getpagesize() {
		return errno.Invalidf("%d layers and these paths do not fit in the options of one overlay", len(lower))
	}
	if err := syscall.Mount("overlay", o.Target, "overlay", syscall.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount overlay at %s: %w", o.Target, err)
	}
	return nil
}

// prepareUpper makes the upper directory look like the root of the layers, since the root that is seen is the upper one's.
func (o Overlay) prepareUpper() error {
	if err := os.Mkdir(o.Upper, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	if err := os.Mkdir(o.Work, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	if o.IDMap == nil {
		return nil
	}
	return os.Lchown(o.Upper, o.IDMap.Base, o.IDMap.Base)
}

// escape protects what the option parser takes for a separator.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `:`, `\:`).Replace(path)
}

func removeLayers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil && err != syscall.EINVAL {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
		// Not a recursive removal: were it still mounted, this fails and leaves the image alone.
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}

// Bind mounts one directory or file over another; fine when something is mounted there already.
func Bind(source, target string, readonly bool) error {
	if mounted, err := IsMountpoint(target); err != nil || mounted {
		return err
	}
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s at %s: %w", source, target, err)
	}
	if !readonly {
		return nil
	}
	if err := syscall.Mount("", target, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV, ""); err != nil {
		_ = syscall.Unmount(target, syscall.MNT_DETACH)
		return fmt.Errorf("make %s read-only: %w", target, err)
	}
	return nil
}
