package rootfs

import (
	"os"
	"syscall"
)

// syncDisk has the filesystem of a directory write what it has to its disk, and no other one. What could not be written is an error.
func syncDisk(directory string) error {
	file, err := os.Open(directory)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, _, errno := syscall.Syscall(sysSyncfs, file.Fd(), 0, 0); errno != 0 {
		return &os.PathError{Op: "syncfs", Path: directory, Err: errno}
	}
	return nil
}
