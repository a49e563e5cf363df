package guest

import (
	"errors"
	"os"
	"path/filepath"
	"sort"
	"syscall"
	"unsafe"
)

// moduleDir holds kernel modules whose names begin with their place in the order of loading.
const moduleDir = "/modules"

func loadModules() error {
	files, err := filepath.Glob(moduleDir + "/*.ko")
	if err != nil {
		return err
	}
	sort.Strings(files)
	for _, file := range files {
		if err := loadModule(file); err != nil {
			return &os.PathError{Op: "load", Path: file, Err: err}
		}
	}
	return os.RemoveAll(moduleDir)
}

func loadModule(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var parameters [1]byte
	_, _, errno := syscall.Syscall(sysFinitModule, file.Fd(), uintptr(unsafe.Pointer(&parameters[0])), 0)
	if errno != 0 && !errors.Is(errno, syscall.EEXIST) {
		return errno
	}
	return nil
}
