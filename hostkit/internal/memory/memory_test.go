package memory

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"
)

const size = 8 << 20

func TestWhatIsSavedIsWhatTheProcessSees(t *testing.T) {
	for _, fromFile := range []bool{false, true} {
		dir := t.TempDir()
		memory := mapped(t, dir, fromFile)
		copy(memory[3*pageSize+100:], "own")
		copy(memory[size-pageSize:], "last")
		// One that the file has and the process has made zero, and one that it only looked at.
		memory[5*pageSize] = 0
		_ = memory[7*pageSize]
		path := filepath.Join(dir, "saved")
		saved, err := Save(Request{os.Getpid(), address(memory), size, path})
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, memory) {
			t.Errorf("from a file %v: another memory (%v)", fromFile, err)
		}
		if fromFile && !bytes.Contains(got, []byte("base")) {
			t.Error("nothing of the file is there")
		}
		if checked, err := Check(path); err != nil || checked != saved || saved.Data == 0 {
			t.Errorf("%v, then %v (%v)", saved, checked, err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if blocks := info.Sys().(*syscall.Stat_t).Blocks; blocks*512 > 64*pageSize {
			t.Errorf("%d blocks for a few pages", blocks)
		}
	}
}

func TestDamageIsSeen(t *testing.T) {
	dir := t.TempDir()
	memory := mapped(t, dir, true)
	path := filepath.Join(dir, "saved")
	saved, err := Save(Request{os.Getpid(), address(memory), size, path})
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(*os.File) error{
		"a bit":  func(f *os.File) error { _, err := f.WriteAt([]byte("bAse"), 5*pageSize); return err },
		"a page": func(f *os.File) error { _, err := f.WriteAt(make([]byte, pageSize), 5*pageSize); return err },
		"moved":  func(f *os.File) error { _, err := f.WriteAt([]byte("base"), 6*pageSize); return err },
		"cut":    func(f *os.File) error { return f.Truncate(pageSize) },
	} {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		broken := filepath.Join(dir, name)
		if err := os.WriteFile(broken, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(broken, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(file); err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
		if checked, err := Check(broken); err == nil && checked == saved {
			t.Errorf("%s is not seen", name)
		}
	}
}

func TestNothingIsLeftWhenItCannotBeSaved(t *testing.T) {
	dir := t.TempDir()
	memory := mapped(t, dir, false)
	path := filepath.Join(dir, "saved")
	if _, err := Save(Request{os.Getpid(), 1 << 40, size, path}); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
	if _, err := Save(Request{os.Getpid(), address(memory), 5, path}); err == nil {
		t.Error("half a page was saved")
	}
	if err := os.WriteFile(path, []byte("there"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Save(Request{os.Getpid(), address(memory), size, path}); !os.IsExist(err) {
		t.Errorf("%v", err)
	}
}

// mapped is memory of this process: empty, or a private copy of a file that says "base" in two places and has no name any more.
func mapped(t *testing.T, dir string, fromFile bool) []byte {
	t.Helper()
	fd, flags := -1, syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS
	if fromFile {
		file, err := os.Create(filepath.Join(dir, "base"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for _, page := range []int64{5, 7} {
			if _, err := file.WriteAt([]byte("base"), page*pageSize); err != nil {
				t.Fatal(err)
			}
		}
		if err := file.Truncate(size); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(file.Name()); err != nil {
			t.Fatal(err)
		}
		fd, flags = int(file.Fd()), syscall.MAP_PRIVATE
	}
	memory, err := syscall.Mmap(fd, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, flags)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(memory) })
	return memory
}

func address(memory []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&memory[0]))) }
