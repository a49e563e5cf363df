package disk

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
	"gibil.dev/hostkit/internal/userns"
)

const (
	// always: deleted data goes back to the host (discard), and inode tables stay unwritten until used (noinit_itable): writing them
	// ahead would fill the sparse file.
	always = "discard,noinit_itable"
	// The disk carries an overlay's upper directory; programs run through the overlay, which has flags of its own.
	attributes = sys.AttrNoAtime | sys.AttrNoDev | sys.AttrNoSUID
	// clearLimit is how long a device that is on its way out is waited for.
	clearLimit = 2 * time.Second
)

var namespaces userns.Cache

// Mount mounts the ext4 of a disk image; the target is made. The loop device ends with the mount. Options are further ones of ext4(5). With
// a map, the ids on the disk appear shifted there. Fine when it is mounted there already.
func Mount(image, target, options string, shift *userns.Map) error {
	for _, path := range []string{image, target} {
		if err := errno.CheckPath(path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if there, err := mounted(image, target); err != nil || there {
		return err
	}
	loop, err := device(image)
	if err != nil {
		return fmt.Errorf("attach %s to a loop device: %w", image, err)
	}
	defer loop.Close()
	// Two calls at once for one disk find the same device; the slower one finds the mount of the other here.
	if there, err := mounted(image, target); err != nil || there {
		return err
	}
	tree, err := sys.NewTree("ext4", loop.Name(), always+","+options, attributes)
	if err != nil {
		return fmt.Errorf("mount %s at %s: %w", image, target, err)
	}
	defer tree.Close()
	if shift != nil {
		shifted := func(namespace *os.File) error { return tree.Configure(0, namespace) }
		if err := namespaces.With(*shift, shifted); err != nil {
			return fmt.Errorf("shift the ids of %s: %w", image, err)
		}
	}
	return tree.Attach(target)
}

// device returns a loop device over the image: a new one, or the one that has it. The file system of a device that is mounted elsewhere, or is
// still in use though it was unmounted, is the same one for all its mounts.
func device(image string) (*os.File, error) {
	deadline := time.Now().Add(clearLimit)
	for {
		loop, err := attach(image)
		if !errors.Is(err, errInUse) {
			return loop, err
		}
		if loop, err = deviceOf(image); err != nil || loop != nil {
			return loop, err
		}
		// Locked, but no device has it: the device is being attached or is clearing itself.
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("another process holds a lock on it: %w", syscall.EBUSY)
		}
		time.Sleep(time.Millisecond)
	}
}

// mounted: this image is mounted at the target. Anything else that is mounted there is in the way.
func mounted(image, target string) (bool, error) {
	place, err := sys.StatPlace(target)
	if err != nil || !place.MountRoot {
		return false, err
	}
	if place.Major == loopMajor {
		loop, err := openDevice(int(place.Minor), os.O_RDONLY)
		if err != nil {
			return false, err
		}
		defer loop.Close()
		if same, err := hasImage(loop, image); err != nil || same {
			return same, err
		}
	}
	return false, fmt.Errorf("something else is mounted at %s: %w", target, syscall.EBUSY)
}

// Direct says whether the disk that is mounted at the target is read and written past the host's page cache.
func Direct(target string) (bool, error) {
	place, err := sys.StatPlace(target)
	if err != nil {
		return false, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/loop/dio", place.Major, place.Minor))
	if err != nil {
		return false, err
	}
	return strings.TrimSpace(string(text)) == "1", nil
}
