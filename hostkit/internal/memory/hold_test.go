package memory

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestHeldMemoryIsPrivateToEachAndWrittenByNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const size = 8 << 20
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("frozen"), 5<<20); err != nil {
		t.Fatal(err)
	}
	var held Held
	at, err := held.Hold(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := held.Hold(path); err != nil || again != at {
		t.Errorf("held twice: %s and %s (%v)", at, again, err)
	}
	// As QEMU does: for writing, though it maps it privately.
	opened, err := os.OpenFile(at, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if _, err := opened.WriteAt([]byte("x"), 5<<20); err == nil {
		t.Error("it can be written to")
	}
	if err := opened.Truncate(0); err == nil {
		t.Error("it can be cut")
	}
	if _, err := syscall.Mmap(int(opened.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED); err == nil {
		t.Error("it can be mapped for all to see what one writes")
	}
	one := private(t, opened, size)
	other := private(t, opened, size)
	copy(one[5<<20:], "melted")
	if got := other[5<<20 : 5<<20+6]; !bytes.Equal(got, []byte("frozen")) {
		t.Errorf("the other sees %q", got)
	}
	if one[0] != 0 || other[size-1] != 0 {
		t.Error("a hole is not empty")
	}
	if err := held.Release(path); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(at); err == nil {
		t.Error("it is still held")
	}
	if got := other[5<<20 : 5<<20+6]; !bytes.Equal(got, []byte("frozen")) {
		t.Errorf("after the release: %q", got)
	}
}

func TestAnotherFileAtThePathIsHeldAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory")
	var held Held
	for _, content := range []string{"first", "other"} {
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		at, err := held.Hold(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(at); err != nil || string(got) != content {
			t.Errorf("%q (%v)", got, err)
		}
	}
	if _, err := held.Hold(filepath.Join(t.TempDir(), "missing")); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}

func private(t *testing.T, file *os.File, size int) []byte {
	t.Helper()
	memory, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(memory) })
	return memory
}
