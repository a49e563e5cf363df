package mountns

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gibil.dev/hostkit/internal/hosttest"
)

func mountTmpfs(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", path, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) })
}

// seen is what a command that is started with the view prints.
func seen(t *testing.T, view View, argv ...string) string {
	t.Helper()
	var out strings.Builder
	command := exec.Command(argv[0], argv[1:]...)
	command.Stdout, command.Stderr = &out, &out
	if err := view.In(command.Start); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return out.String()
}

func TestACommandSeesWhatItNeedsAndNoOtherMounts(t *testing.T) {
	dir := hosttest.Dir(t)
	holder, own, other := filepath.Join(dir, "holder"), filepath.Join(dir, "holder", "own"), filepath.Join(dir, "holder", "other")
	mountTmpfs(t, holder)
	mountTmpfs(t, own)
	mountTmpfs(t, other)
	for _, place := range []string{holder, own, other} {
		if err := os.WriteFile(filepath.Join(place, "file"), []byte(filepath.Base(place)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	view := View{Keep: []string{filepath.Join(holder, "file")}, Add: []string{own}}
	for _, line := range strings.Split(seen(t, view, "cat", "/proc/self/mountinfo"), "\n") {
		if strings.Contains(line, other) {
			t.Errorf("another's mount is seen: %s", line)
		}
	}
	if got := seen(t, view, "cat", filepath.Join(holder, "file"), filepath.Join(own, "file")); got != "holderown" {
		t.Errorf("what it needs is not all there: %q", got)
	}
	if got := seen(t, view, "ls", other); got != "" {
		t.Errorf("another's files are seen: %q", got)
	}
	// The system is there as on the host.
	if got := seen(t, view, "sh", "-c", "ls /dev/null /proc/1/stat /etc/passwd && grep -c ' /sys/fs/cgroup' /proc/self/mountinfo"); got == "" {
		t.Error("the system is not there")
	}
	for _, point := range []string{own, other} {
		if lines := hosttest.Mounts(t, point); len(lines) != 1 {
			t.Errorf("the host's table has changed: %v", lines)
		}
	}
}

func TestManyViewsAtOnceLeaveNothing(t *testing.T) {
	dir := hosttest.Dir(t)
	before := hosttest.Mounts(t, dir)
	var group sync.WaitGroup
	for i := 0; i < 16; i++ {
		place := filepath.Join(dir, string(rune('a'+i)))
		mountTmpfs(t, place)
		group.Add(1)
		go func(name string) {
			defer group.Done()
			for round := 0; round < 5; round++ {
				view := View{Keep: []string{dir}, Add: []string{place}}
				if got := seen(t, view, "grep", "-c", dir, "/proc/self/mountinfo"); got != "1\n" {
					t.Errorf("%s: %q mounts", name, got)
				}
			}
		}(place)
	}
	group.Wait()
	if after := hosttest.Mounts(t, dir); len(after) != len(before)+16 {
		t.Errorf("%d mounts before, %d after", len(before), len(after))
	}
	root, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := filepath.Glob("/proc/self/task/*/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if where, err := os.Readlink(task); err == nil && where != root {
			t.Errorf("%s is in %s", task, where)
		}
	}
}

func TestRefusesWhatIsNotThere(t *testing.T) {
	dir := hosttest.Dir(t)
	never := func() error { t.Error("called"); return nil }
	for _, view := range []View{{Keep: []string{filepath.Join(dir, "none")}}, {Add: []string{filepath.Join(dir, "none")}}} {
		if err := view.In(never); !os.IsNotExist(err) && !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%v", err)
		}
	}
	if err := (View{Keep: []string{"relative"}}).In(never); err == nil {
		t.Error("a relative path was taken")
	}
}
