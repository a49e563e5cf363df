package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gibil.dev/hostkit/internal/hosttest"
	"gibil.dev/hostkit/internal/userns"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

var shifted = userns.Map{Base: 0x7fff_0000, Count: 0x1_0000}

func TestMountPointsAreReadAsTheyAre(t *testing.T) {
	for line, wanted := range map[string]string{
		`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`:       "/mnt2",
		`36 35 98:0 / /a\040b\134c\011d rw - ext4 /dev/x rw`:                   "/a b\\c\td",
		`36 35 98:0 / /gone//deleted rw - ext4 /dev/x rw`:                      "/gone",
		`36 35 98:0 / /end\0 rw - ext4 /dev/x rw`:                              `/end\0`,
		`36 35 0:3 net:[4026532] /run/netns/a rw shared:5 - nsfs nsfs rw,size`: "/run/netns/a",
	} {
		if got, ok := mountPoint(line); !ok || got != wanted {
			t.Errorf("%s: %q", line, got)
		}
	}
	if _, ok := mountPoint("cut off"); ok {
		t.Error("half a line is none")
	}
}

// layered makes folders for an overlay of so many layers, each with a file of its own and one in all of them.
func layered(t *testing.T, dir string, count int) Overlay {
	t.Helper()
	o := Overlay{Target: filepath.Join(dir, "merged"), Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work"), IDMap: &shifted}
	for i := 0; i < count; i++ {
		layer := filepath.Join(dir, fmt.Sprintf("layer, %d:%s", i, strings.Repeat("x", 100)))
		if err := os.Mkdir(layer, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"all", fmt.Sprint(i)} {
			if err := os.WriteFile(filepath.Join(layer, name), []byte(fmt.Sprint(i)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		o.Lower = append(o.Lower, layer)
	}
	return o
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// everyWay runs a test as kernels from Linux 6.15 on do it, and as those before.
func everyWay(t *testing.T, work func(t *testing.T)) {
	for _, attached := range []bool{false, true} {
		t.Run(fmt.Sprintf("attached=%v", attached), func(t *testing.T) {
			detachedLayers.refused = attached
			defer func() { detachedLayers.refused = false }()
			work(t)
		})
	}
}

func TestOverlaysOfManyLayers(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		dir := hosttest.Dir(t)
		o := layered(t, dir, 200)
		if err := o.Mount(); err != nil {
			t.Fatal(err)
		}
		defer Unmount(o.Target, true)
		if top, lowest := read(t, filepath.Join(o.Target, "all")), read(t, filepath.Join(o.Target, "199")); top != "0" || lowest != "199" {
			t.Errorf("the top is %s, the lowest %s", top, lowest)
		}
		var stat syscall.Stat_t
		if err := syscall.Stat(filepath.Join(o.Target, "199"), &stat); err != nil || int(stat.Uid) != shifted.Base {
			t.Errorf("owner %d (%v)", stat.Uid, err)
		}
		if lines := hosttest.Mounts(t, dir); len(lines) != 1 {
			t.Errorf("besides the overlay is mounted: %v", lines)
		}
		if _, err := os.Lstat(filepath.Join(o.Work, stageName)); !os.IsNotExist(err) {
			t.Errorf("the stage is left: %v", err)
		}
	})
}

func TestTheSecondWayIsFoundByItself(t *testing.T) {
	dir := hosttest.Dir(t)
	o := layered(t, dir, 2)
	detachedLayers.refused = false
	defer func() { detachedLayers.refused = false }()
	// EINVAL on every kernel: upper and work on different mounts, so both ways are tried.
	o.Work = filepath.Join(dir, "elsewhere", "work")
	if err := os.Mkdir(filepath.Dir(o.Work), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", filepath.Dir(o.Work), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer Unmount(filepath.Dir(o.Work), true)
	if err := o.Mount(); !errors.Is(err, syscall.EINVAL) {
		t.Fatalf("%v", err)
	}
	if detachedLayers.refused {
		t.Error("a failure for another reason says nothing about the kernel")
	}
	if lines := hosttest.Mounts(t, dir); len(lines) != 1 {
		t.Errorf("left: %v", lines)
	}
}

func TestLayersOfAKilledCallAreTakenAway(t *testing.T) {
	dir := hosttest.Dir(t)
	o := layered(t, dir, 2)
	stage := filepath.Join(o.Work, stageName)
	for _, made := range []string{o.Upper, o.Work, stage} {
		if err := os.Mkdir(made, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, layer := range o.Lower {
		if err := syscall.Mount(layer, stage, "", syscall.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Mount(); err != nil {
		t.Fatal(err)
	}
	if lines := hosttest.Mounts(t, dir); len(lines) != 1 {
		t.Errorf("left: %v", lines)
	}
	if got := read(t, filepath.Join(o.Lower[0], "0")); got != "0" {
		t.Errorf("a layer lost its file: %q", got)
	}
	if _, err := Unmount(o.Target, true); err != nil {
		t.Fatal(err)
	}
}

func TestManyCallsForOneOverlay(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		dir := hosttest.Dir(t)
		overlays := make([]Overlay, 8)
		for i := range overlays {
			place := filepath.Join(dir, fmt.Sprint(i))
			if err := os.Mkdir(place, 0o755); err != nil {
				t.Fatal(err)
			}
			overlays[i] = layered(t, place, 3)
		}
		var group sync.WaitGroup
		for i := range overlays {
			group.Add(1)
			go func(o Overlay) {
				defer group.Done()
				for round := 0; round < 5; round++ {
					if err := o.Mount(); err != nil {
						t.Error(err)
					}
					if err := o.Mount(); err != nil {
						t.Error("again:", err)
					}
					if _, err := Unmount(o.Target, true); err != nil {
						t.Error(err)
					}
				}
			}(overlays[i])
		}
		group.Wait()
	})
}

func TestUnmountTakesWhatLiesOverEachOtherAndBelow(t *testing.T) {
	dir := hosttest.Dir(t)
	target := filepath.Join(dir, "a b")
	deep := filepath.Join(target, "c", "d")
	mountAt := func(path string) {
		t.Helper()
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("none", path, "tmpfs", 0, "size=1m"); err != nil {
			t.Fatal(err)
		}
	}
	mountAt(target)
	mountAt(deep)
	mountAt(deep)
	mountAt(target) // covers the two
	mountAt(deep)
	neighbour := target + "2"
	mountAt(neighbour)
	// By a way with a symbolic link in it.
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if lazy, err := Unmount(filepath.Join(link, "a b"), true); err != nil || lazy {
		t.Fatalf("lazy %v, %v", lazy, err)
	}
	if lines := hosttest.Mounts(t, dir); len(lines) != 1 || !strings.Contains(lines[0], "b2") {
		t.Errorf("the neighbour alone should be left: %v", lines)
	}
	if _, err := Unmount(neighbour, false); err != nil {
		t.Fatal(err)
	}
	if lazy, err := Unmount(filepath.Join(dir, "none", "deeper"), true); err != nil || lazy {
		t.Errorf("what is not there is fine: %v", err)
	}
}

func TestALastSymbolicLinkIsNotFollowed(t *testing.T) {
	dir := hosttest.Dir(t)
	place, link := filepath.Join(dir, "place"), filepath.Join(dir, "link")
	if err := os.Mkdir(place, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", place, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	defer Unmount(place, true)
	if err := os.Symlink(place, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Unmount(link, true); err != nil {
		t.Fatal(err)
	}
	if lines := hosttest.Mounts(t, place); len(lines) != 1 {
		t.Errorf("%v", lines)
	}
}

func TestRefusesWhatIsNoOverlay(t *testing.T) {
	whole := Overlay{Target: "/t", Lower: []string{"/l"}, Upper: "/u", Work: "/w"}
	for name, change := range map[string]func(*Overlay){
		"no layer":       func(o *Overlay) { o.Lower = nil },
		"relative":       func(o *Overlay) { o.Target = "t" },
		"relative layer": func(o *Overlay) { o.Lower = []string{"l"} },
		"NUL":            func(o *Overlay) { o.Upper = "/u\x00" },
	} {
		o := whole
		change(&o)
		if err := o.Mount(); err == nil || !strings.Contains(err.Error(), "absolute") && !strings.Contains(err.Error(), "layer") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
