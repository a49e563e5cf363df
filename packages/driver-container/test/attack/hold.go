package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

const mib = 1 << 20

// hold takes memory of one kind until it gets no more, and prints after each MiB how much it has: the last number counts, for the kernel may end it.
func hold(kind string) {
	take := map[string]func() int{
		"heap": func() int {
			block, err := syscall.Mmap(-1, 0, mib, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_POPULATE)
			if err != nil {
				return 0
			}
			return len(block)
		},
		"shared": func() int {
			block, err := syscall.Mmap(-1, 0, mib, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_SHARED|syscall.MAP_POPULATE)
			if err != nil {
				return 0
			}
			return len(block)
		},
		"sysv": func() int {
			id, _, errno := syscall.Syscall(syscall.SYS_SHMGET, 0, mib, 0o1600)
			if errno != 0 {
				return 0
			}
			at, _, errno := syscall.Syscall(syscall.SYS_SHMAT, id, 0, 0)
			if errno != 0 {
				return 0
			}
			for offset := uintptr(0); offset < mib; offset += 4096 {
				*(*byte)(unsafe.Pointer(at + offset)) = 1
			}
			return mib
		},
		"pipes": func() int {
			var ends [2]int
			if syscall.Pipe2(ends[:], syscall.O_NONBLOCK) != nil {
				return 0
			}
			return fill(ends[1])
		},
		"sockets": func() int {
			ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
			if err != nil {
				return 0
			}
			return fill(ends[0])
		},
		"files": func() int {
			// The table and the open file itself; about 256 bytes each.
			for count := 0; count < mib/256; count++ {
				if _, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0); err != nil {
					return count * 256
				}
			}
			return mib
		},
	}[kind]
	total := 0
	for {
		got := take()
		total += got
		if got == 0 {
			break
		}
		fmt.Fprintln(os.Stdout, total/1024)
	}
	fmt.Fprintln(os.Stdout, total/1024)
}

func fill(fd int) int {
	block, total := make([]byte, 4096), 0
	for {
		count, err := syscall.Write(fd, block)
		if err != nil {
			return total
		}
		total += count
	}
}
