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
		if err := loadModule(file, ""); err != nil {
			return &os.PathError{Op: "load", Path: file, Err: err}
		}
	}
	return os.RemoveAll(moduleDir)
}

func loadModule(path, parameters string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := syscall.BytePtrFromString(parameters)
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall(sysFinitModule, file.Fd(), uintptr(unsafe.Pointer(text)), 0)
	if errno != 0 && !errors.Is(errno, syscall.EEXIST) {
		return errno
	}
	return nil
}
