package disk

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/hosttest"
	"gibil.dev/hostkit/internal/mount"
)

const mib = 1 << 20

func allocated(t *testing.T, path string) int64 {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Blocks * 512
}

func TestACopyHasTheSameBytesAndTheSameHoles(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	source, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	for offset, text := range map[int64]string{0: "first", 9*mib + 17: "middle", 32*mib - 4: "last"} {
		if _, err := source.WriteAt([]byte(text), offset); err != nil {
			t.Fatal(err)
		}
	}
	if err := Create(to, 32, from); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(from)
	b, _ := os.ReadFile(to)
	if len(b) != 32*mib || !bytes.Equal(a, b) {
		t.Error("the copy differs")
	}
	if allocated(t, to) > mib {
		t.Errorf("the copy takes %d bytes", allocated(t, to))
	}
}

func TestDisksAreSoundAndSmall(t *testing.T) {
	for _, size := range []int64{16, 1024, 65536} {
		image := filepath.Join(t.TempDir(), "disk")
		err := Create(image, size, "")
		var missing errno.MissingTool
		if errors.As(err, &missing) {
			t.Skipf("SKIPPED: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if took := allocated(t, image); took > 4*mib {
			t.Errorf("an empty disk of %d MiB takes %d KiB", size, took>>10)
		}
		if said, err := exec.Command("/sbin/e2fsck", "-fn", image).CombinedOutput(); err != nil {
			t.Errorf("%d MiB: %v\n%s", size, err, said)
		}
	}
}

func TestNothingIsSeenOfADiskThatCannotBeMade(t *testing.T) {
	dir := t.TempDir()
	small := filepath.Join(dir, "small")
	if err := os.WriteFile(small, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "image")
	for name, err := range map[string]error{
		"a template of another size": Create(image, 16, small),
		"no template":                Create(image, 16, filepath.Join(dir, "none")),
		"a folder as template":       Create(image, 16, dir),
		"too small":                  Create(image, 1, ""),
		"a name that is taken":       Create(small, 16, ""),
		"no folder":                  Create(filepath.Join(dir, "none", "image"), 16, small),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v (%v)", entries, err)
	}
}

func TestAFileWithATemporaryNameIsPublishedOrGone(t *testing.T) {
	// As on file systems that cannot make files without a name.
	dir := t.TempDir()
	for _, publish := range []bool{true, false} {
		path := filepath.Join(dir, "image")
		_ = os.Remove(path)
		temporary, err := os.CreateTemp(dir, "image.new-")
		if err != nil {
			t.Fatal(err)
		}
		file := newFile{File: temporary, path: path, temporary: temporary.Name()}
		if publish {
			if err := file.publish(); err != nil {
				t.Fatal(err)
			}
			if err := file.publish(); !errors.Is(err, syscall.EEXIST) {
				t.Errorf("a taken name: %v", err)
			}
		}
		file.discard()
		entries, err := os.ReadDir(dir)
		if err != nil || (len(entries) == 1) != publish || len(entries) > 1 {
			t.Errorf("publish %v: %v (%v)", publish, entries, err)
		}
	}
}

func TestManyCallsForOneDiskMakeOne(t *testing.T) {
	dir := t.TempDir()
	template, image := filepath.Join(dir, "template"), filepath.Join(dir, "image")
	if err := os.WriteFile(template, make([]byte, 16*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := 0; i < 16; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := Create(image, 16, template); err != nil {
				t.Error(err)
			}
		}()
	}
	group.Wait()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v (%v)", entries, err)
	}
}

func made(t *testing.T, dir, name string) string {
	t.Helper()
	image := filepath.Join(dir, name)
	if err := Create(image, 16, ""); err != nil {
		t.Fatal(err)
	}
	return image
}

func TestMountedDisksAreFlaggedAndDirect(t *testing.T) {
	dir := hosttest.Dir(t)
	image, target := made(t, dir, "image"), filepath.Join(dir, "disk")
	if err := Mount(image, target, "errors=remount-ro", nil); err != nil {
		t.Fatal(err)
	}
	defer mount.Unmount(target, true)
	lines := hosttest.Mounts(t, target)
	if len(lines) != 1 {
		t.Fatal(lines)
	}
	for _, wanted := range []string{"noatime", "nodev", "nosuid", "discard", "noinit_itable", "errors=remount-ro"} {
		if !strings.Contains(lines[0], wanted) {
			t.Errorf("%s is missing in %s", wanted, lines[0])
		}
	}
	if _, err := Direct(target); err != nil {
		t.Error(err)
	}
}

func TestAnImageThatSomebodyElseLocksIsLeftAlone(t *testing.T) {
	dir := hosttest.Dir(t)
	image := made(t, dir, "image")
	holder, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if err := syscall.Flock(int(holder.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := Mount(image, filepath.Join(dir, "disk"), "", nil); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("%v", err)
	}
	if err := syscall.Flock(int(holder.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := Mount(image, filepath.Join(dir, "disk"), "", nil); err != nil {
		t.Fatal(err)
	}
	// The loop device holds the lock now, though the call that took it is over.
	if err := syscall.Flock(int(holder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EWOULDBLOCK {
		t.Errorf("%v", err)
	}
	if _, err := mount.Unmount(filepath.Join(dir, "disk"), true); err != nil {
		t.Fatal(err)
	}
}

func TestManyDisksAtOnceGetADeviceEach(t *testing.T) {
	dir := hosttest.Dir(t)
	template := made(t, dir, "template")
	var group sync.WaitGroup
	for i := 0; i < 12; i++ {
		group.Add(1)
		go func(name string) {
			defer group.Done()
			image, target := filepath.Join(dir, name+".img"), filepath.Join(dir, name)
			for round := 0; round < 3; round++ {
				if err := Create(image, 16, template); err != nil {
					t.Error(err)
				}
				if err := Mount(image, target, "", nil); err != nil {
					t.Error(err)
				}
				note := filepath.Join(target, "note")
				if round > 0 {
					if text, err := os.ReadFile(note); err != nil || string(text) != name {
						t.Errorf("%s finds %q (%v)", name, text, err)
					}
				}
				if err := os.WriteFile(note, []byte(name), 0o600); err != nil {
					t.Error(err)
				}
				if _, err := mount.Unmount(target, true); err != nil {
					t.Error(err)
				}
			}
		}(string(rune('a' + i)))
	}
	group.Wait()
}
