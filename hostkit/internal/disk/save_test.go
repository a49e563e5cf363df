package disk

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gibil.dev/hostkit/internal/hosttest"
	"gibil.dev/hostkit/internal/mount"
	"gibil.dev/hostkit/internal/userns"
)

func newDisk(t *testing.T, image string) {
	t.Helper()
	if err := Create(image, 64, ""); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
}

func mustMount(t *testing.T, image, target string, shift *userns.Map) {
	t.Helper()
	if err := Mount(image, target, "", shift); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = mount.Unmount(target, true) })
}

func TestASavedDiskHasAllThatWasWrittenAndIsClean(t *testing.T) {
	dir := hosttest.Dir(t)
	image, target, to := filepath.Join(dir, "image"), filepath.Join(dir, "disk"), filepath.Join(dir, "saved")
	newDisk(t, image)
	mustMount(t, image, target, nil)
	text := bytes.Repeat([]byte("written "), 1<<17)
	if err := os.WriteFile(filepath.Join(target, "file"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 2; i++ {
		if err := Save(image, to, target); err != nil {
			t.Fatal(err)
		}
	}
	// Frozen in order, not cut off: there is no journal to replay, so the check changes nothing.
	if said, err := exec.Command("/sbin/e2fsck", "-fn", to).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	if err := os.WriteFile(filepath.Join(target, "file"), []byte("changed"), 0o600); err != nil {
		t.Fatalf("the disk does not go on: %v", err)
	}
	copied := filepath.Join(dir, "copied")
	mustMount(t, to, copied, nil)
	if found, err := os.ReadFile(filepath.Join(copied, "file")); err != nil || !bytes.Equal(found, text) {
		t.Errorf("%d bytes (%v)", len(found), err)
	}
}

func TestASaveThatFailsLeavesNothingAndTheDiskGoesOn(t *testing.T) {
	dir := hosttest.Dir(t)
	image, other, target := filepath.Join(dir, "image"), filepath.Join(dir, "other"), filepath.Join(dir, "disk")
	newDisk(t, image)
	newDisk(t, other)
	mustMount(t, image, target, nil)
	if err := os.Symlink(image, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"no image":              Save(filepath.Join(dir, "none"), filepath.Join(dir, "a"), ""),
		"a link":                Save(filepath.Join(dir, "link"), filepath.Join(dir, "b"), ""),
		"another disk is there": Save(other, filepath.Join(dir, "c"), target),
		"nothing is there":      Save(image, filepath.Join(dir, "d"), filepath.Join(dir, "nowhere")),
		"the name is a folder":  Save(image, target, target),
		"no folder":             Save(image, filepath.Join(dir, "none", "e"), target),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := os.WriteFile(filepath.Join(target, "file"), nil, 0o600); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v (%v)", entries, err)
	}
}

func TestADiskThatWasLeftFrozenIsThawed(t *testing.T) {
	dir := hosttest.Dir(t)
	image, target := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	newDisk(t, image)
	mustMount(t, image, target, nil)
	root, err := os.Open(target)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, _, number := syscall.Syscall(syscall.SYS_IOCTL, root.Fd(), fifreeze, 0); number != 0 {
		t.Fatal(number)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(filepath.Join(target, "file"), nil, 0o600) }()
	select {
	case err := <-written:
		t.Errorf("written to a frozen disk (%v)", err)
	case <-time.After(100 * time.Millisecond):
	}
	for i := 0; i < 2; i++ {
		if err := Thaw(target); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	if err := Thaw(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	if err := Thaw("/"); err != nil {
		t.Errorf("the host's own file system: %v", err)
	}
}

func TestAShiftedDiskShowsItsIdsAsAnothers(t *testing.T) {
	dir := hosttest.Dir(t)
	image, target := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	newDisk(t, image)
	const before, after = 1 << 30, 1<<30 + 1<<20
	mustMount(t, image, target, nil)
	for name, id := range map[string]int{"root": 0, "user": before + 1000, "host": 65534, "else": 1 << 20} {
		if err := os.WriteFile(filepath.Join(target, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(target, name), id, id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := mount.Unmount(target, true); err != nil {
		t.Fatal(err)
	}
	shift := &userns.Map{From: before, Base: after, Count: 65536}
	mustMount(t, image, target, shift)
	owner := func(name string) uint32 {
		var stat syscall.Stat_t
		if err := syscall.Lstat(filepath.Join(target, name), &stat); err != nil {
			t.Fatal(err)
		}
		return stat.Uid
	}
	if owner("root") != 0 || owner("user") != after+1000 || owner("host") != 65534 || owner("else") != 65534 {
		t.Errorf("%d %d %d", owner("root"), owner("user"), owner("else"))
	}
	if err := os.WriteFile(filepath.Join(target, "made"), nil, 0o600); err != nil {
		t.Errorf("root cannot write: %v", err)
	}
	for name, mayWrite := range map[string]bool{"host": true, "else": false} {
		if err := os.WriteFile(filepath.Join(target, name), nil, 0o600); (err == nil) != mayWrite {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Chown(filepath.Join(target, "made"), after+7, after+7); err != nil {
		t.Error(err)
	}
	if err := os.Chown(filepath.Join(target, "made"), before, before); !errors.Is(err, syscall.EOVERFLOW) {
		t.Errorf("an id that the disk cannot hold: %v", err)
	}
}
