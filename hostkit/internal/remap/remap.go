// Package remap gives a virtual machine that does not run yet other memory than it has made for itself. QEMU leaves memory out of a saved state only when it
// believes that others share it, and memory that others share could not be one that begins as the copy of another's. So QEMU makes an empty memfd,
// which it shares with nobody, and what lies at that address is replaced here before the guest writes to it: by a private copy of a file, or by nothing.
package remap

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"gibil.dev/hostkit/internal/errno"
)

// made is what /proc/PID/maps calls the memory of QEMU's memory-backend-memfd.
const made = "/memfd:memory-backend-memfd"

const (
	anonymous = ^uint64(0)
	// PROT_READ | PROT_WRITE, and MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, asm-generic/mman-common.h.
	readWrite = 0x1 | 0x2
	private   = 0x2 | 0x10 | 0x4000
	mapAnon   = 0x20
)

// Request says which process, and which of its descriptors is the file that its memory is to be a copy of; none for memory that is empty.
type Request struct {
	Pid int  `json:"pid"`
	FD  *int `json:"fd"`
}

// Region is where the memory lies in the process.
type Region struct {
	Address uint64 `json:"address"`
	Bytes   uint64 `json:"bytes"`
}

// Replace does it. The process stands still for less than a millisecond.
func Replace(r Request) (Region, error) {
	if r.Pid <= 1 || (r.FD != nil && *r.FD < 0) {
		return Region{}, errno.Invalidf("pid %d has no memory to replace", r.Pid)
	}
	region, err := find(r.Pid)
	if err != nil {
		return Region{}, err
	}
	fd, flags := anonymous, uint64(private|mapAnon)
	if r.FD != nil {
		fd, flags = uint64(*r.FD), private
		// A file that is too short would end the machine later, at its first touch of what is missing.
		info, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%d", r.Pid, *r.FD))
		if err != nil {
			return Region{}, err
		}
		if uint64(info.Size()) != region.Bytes {
			return Region{}, errno.Invalidf("the file has %d bytes, the machine %d", info.Size(), region.Bytes)
		}
	}
	at, err := mmapIn(r.Pid, [6]uint64{region.Address, region.Bytes, readWrite, flags, fd, 0})
	if err == nil && at != region.Address {
		err = fmt.Errorf("memory of process %d was mapped elsewhere", r.Pid)
	}
	return region, err
}

func find(pid int) (Region, error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return Region{}, err
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		line := lines.Text()
		if !strings.Contains(line, made) {
			continue
		}
		from, to, _ := strings.Cut(strings.Fields(line)[0], "-")
		begin, first := strconv.ParseUint(from, 16, 64)
		end, second := strconv.ParseUint(to, 16, 64)
		if first != nil || second != nil {
			return Region{}, fmt.Errorf("cannot read %q", line)
		}
		return Region{begin, end - begin}, nil
	}
	if err := lines.Err(); err != nil {
		return Region{}, err
	}
	return Region{}, errno.Invalidf("process %d has no %s", pid, made)
}
