// Package hosttest helps the tests that change the host: they need root, a holder for user namespaces, and must leave nothing.
package hosttest

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// As in hostkit itself: work that changes its thread's namespace must not land on the main thread, which cannot end.
func init() { runtime.LockOSThread() }

// Main runs a package's tests, or, when a user namespace needs its holder, is that: the program of a test is hostkit to the code under test.
func Main(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "hold" {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Root skips the test unless it may change the host.
func Root(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: this test makes mounts and needs root")
	}
}

// Dir is a folder of which nothing may be mounted, and no file in a loop device, when the test is over.
func Dir(t testing.TB) string {
	t.Helper()
	Root(t)
	dir := t.TempDir()
	t.Cleanup(func() {
		if left := Mounts(t, dir); len(left) > 0 {
			t.Errorf("left mounted: %v", left)
			detach(left)
		}
		deadline := time.Now().Add(5 * time.Second)
		for len(Loops(t, dir)) > 0 && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond) // a device clears itself just after its last user
		}
		if left := Loops(t, dir); len(left) > 0 {
			t.Errorf("left in loop devices: %v", left)
		}
	})
	return dir
}

// detach tidies up after a test that did not.
func detach(lines []string) {
	for i := len(lines) - 1; i >= 0; i-- {
		point := strings.ReplaceAll(strings.Fields(lines[i])[4], `\040`, " ")
		_ = syscall.Unmount(point, syscall.MNT_DETACH)
	}
}

// Mounts are the lines of the table of mounts that name the folder.
func Mounts(t testing.TB, dir string) []string {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, line := range strings.Split(string(table), "\n") {
		if strings.Contains(line, dir) {
			found = append(found, line)
		}
	}
	return found
}

// Loops are the files below the folder that loop devices have.
func Loops(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(string(text), dir) {
			found = append(found, strings.TrimSpace(string(text)))
		}
	}
	return found
}
