// Package memory keeps contents of files as sealed memory: many machines map it privately, and none of them, whatever it has become, can
// change what the others see, although each has it open for writing.
package memory

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"gibil.dev/hostkit/internal/errno"
)

const (
	memfdFlags = 0x1 | 0x2 // MFD_CLOEXEC | MFD_ALLOW_SEALING, linux/memfd.h
	addSeals   = 1033      // F_ADD_SEALS, linux/fcntl.h
	everySeal  = 0x1 | 0x2 | 0x4 | 0x8
	seekData   = 3
	seekHole   = 4
	memfdName  = "gibil-memory"
	copyAtOnce = 1 << 20
)

// Held are the contents that this process keeps, by the paths of their files.
type Held struct {
	lock sync.Mutex
	by   map[string]held
}

type held struct {
	memory *os.File
	source os.FileInfo
}

// Hold returns a path at which the content of the file can be opened. The same file is held once; another one at that path is held anew.
func (h *Held) Hold(path string) (string, error) {
	if err := errno.CheckPath(path); err != nil {
		return "", err
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	path = filepath.Clean(path)
	source, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return "", err
	}
	if there, ok := h.by[path]; ok {
		if os.SameFile(there.source, info) && there.source.ModTime().Equal(info.ModTime()) {
			return pathOf(there.memory), nil
		}
		h.drop(path)
	}
	memory, err := sealed(source, info.Size())
	if err != nil {
		return "", fmt.Errorf("hold %s: %w", path, err)
	}
	if h.by == nil {
		h.by = map[string]held{}
	}
	h.by[path] = held{memory, info}
	return pathOf(memory), nil
}

// Release lets go of the content; who has it open keeps it. Fine when it is not held.
func (h *Held) Release(path string) error {
	if err := errno.CheckPath(path); err != nil {
		return err
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	h.drop(filepath.Clean(path))
	return nil
}

func (h *Held) drop(path string) {
	if there, ok := h.by[path]; ok {
		_ = there.memory.Close()
		delete(h.by, path)
	}
}

func pathOf(file *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd()) }

func sealed(source *os.File, size int64) (*os.File, error) {
	name, err := syscall.BytePtrFromString(memfdName)
	if err != nil {
		return nil, err
	}
	fd, _, failed := syscall.Syscall(sysMemfdCreate, uintptr(unsafe.Pointer(name)), memfdFlags, 0)
	if failed != 0 {
		return nil, os.NewSyscallError("memfd_create", failed)
	}
	memory := os.NewFile(fd, memfdName)
	err = memory.Truncate(size)
	if err == nil {
		err = copyData(memory, source, size)
	}
	if err == nil {
		if _, _, failed := syscall.Syscall(syscall.SYS_FCNTL, fd, addSeals, everySeal); failed != 0 {
			err = os.NewSyscallError("F_ADD_SEALS", failed)
		}
	}
	if err != nil {
		_ = memory.Close()
		return nil, err
	}
	runtime.KeepAlive(memory)
	return memory, nil
}

// copyData copies what is there and leaves out the holes.
func copyData(to, from *os.File, size int64) error {
	for at := int64(0); at < size; {
		begin, err := from.Seek(at, seekData)
		if errors.Is(err, syscall.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		end, err := from.Seek(begin, seekHole)
		if err != nil {
			return err
		}
		piece := io.NewSectionReader(from, begin, end-begin)
		if _, err := io.CopyBuffer(struct{ io.Writer }{&writerAt{to, begin}}, piece, make([]byte, copyAtOnce)); err != nil {
			return err
		}
		at = end
	}
	return nil
}

type writerAt struct {
	file *os.File
	at   int64
}

func (w *writerAt) Write(data []byte) (int, error) {
	count, err := w.file.WriteAt(data, w.at)
	w.at += int64(count)
	return count, err
}
