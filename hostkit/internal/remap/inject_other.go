//go:build !amd64

package remap

import (
	"fmt"
	"syscall"
)

func mmapIn(int, [6]uint64) (uint64, error) {
	return 0, fmt.Errorf("replace the memory of a process: %w", syscall.ENOTSUP)
}
