//go:build amd64

package remap

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

const (
	size          = 4 << 20
	childVariable = "GIBIL_TEST_REMAP"
	memfdCreate   = 319
	childFile     = 3
)

// TestMain is also the process whose memory is replaced: it says what it sees each time that it is asked, and writes over it.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	name, _ := syscall.BytePtrFromString("memory-backend-memfd")
	fd, _, failed := syscall.Syscall(memfdCreate, uintptr(unsafe.Pointer(name)), 0, 0)
	if failed != 0 || syscall.Ftruncate(int(fd), size) != nil {
		os.Exit(1)
	}
	memory, err := syscall.Mmap(int(fd), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		os.Exit(1)
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Printf("%q\n", memory[size/2:size/2+4])
		copy(memory[size/2:], lines.Text())
		var stat syscall.Stat_t
		_ = syscall.Fstat(int(fd), &stat)
		fmt.Println(stat.Blocks)
	}
	os.Exit(0)
}

func TestMemoryIsReplacedInARunningProcess(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	path := filepath.Join(t.TempDir(), "memory")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte("base"), size/2); err != nil {
		t.Fatal(err)
	}
	fd := childFile
	for want, request := range map[string]Request{`"base"`: {FD: &fd}, `"\x00\x00\x00\x00"`: {}} {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childVariable+"=1")
		readOnly, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer readOnly.Close()
		child.ExtraFiles = []*os.File{readOnly}
		input, _ := child.StdinPipe()
		output, _ := child.StdoutPipe()
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(output)
		ask := func(text string) (seen, blocks string) {
			fmt.Fprintln(input, text)
			lines.Scan()
			seen = lines.Text()
			lines.Scan()
			return seen, lines.Text()
		}
		lines.Scan()
		request.Pid = child.Process.Pid
		region, err := Replace(request)
		if err != nil || region.Bytes != size {
			t.Fatalf("%v (%v)", region, err)
		}
		if seen, _ := ask("mine"); seen != want {
			t.Errorf("it sees %s instead of %s", seen, want)
		}
		if seen, blocks := ask(""); seen != `"mine"` || blocks != "0" {
			t.Errorf("it sees %s, and its own memory has %s blocks", seen, blocks)
		}
		got := make([]byte, 4)
		if _, err := file.ReadAt(got, size/2); err != nil || string(got) != "base" {
			t.Errorf("the file says %q (%v)", got, err)
		}
		if _, err := Replace(request); err == nil || !strings.Contains(err.Error(), "has no") {
			t.Errorf("replaced twice: %v", err)
		}
		_ = input.Close()
		if err := child.Wait(); err != nil {
			t.Errorf("the process did not go on well: %v", err)
		}
	}
}

func TestAFileOfAnotherSizeIsRefused(t *testing.T) {
	if _, err := Replace(Request{Pid: 1}); err == nil {
		t.Error("the first process has memory to replace")
	}
	if _, err := Replace(Request{Pid: os.Getpid()}); err == nil {
		t.Error("what has no such memory can be given another")
	}
}
