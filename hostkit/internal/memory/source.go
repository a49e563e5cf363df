package memory

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// source is the memory of a process, and the file that it is a private copy of if there is one.
type source struct {
	address uint64
	memory  *os.File
	pagemap *os.File
	base    *os.File
	entries []byte
}

func openSource(r Request) (s *source, err error) {
	s = &source{address: r.Address, entries: make([]byte, atOnce*8)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.memory, err = os.Open(fmt.Sprintf("/proc/%d/mem", r.Pid)); err != nil {
		return nil, err
	}
	if s.pagemap, err = os.Open(fmt.Sprintf("/proc/%d/pagemap", r.Pid)); err != nil {
		return nil, err
	}
	s.base, err = openBase(r)
	return s, err
}

func (s *source) close() {
	for _, file := range []*os.File{s.memory, s.pagemap, s.base} {
		if file != nil {
			_ = file.Close()
		}
	}
}

// openBase finds the file by the mapping, since it may have no name any more.
func openBase(r Request) (*os.File, error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", r.Pid))
	if err != nil {
		return nil, err
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		var begin, end uint64
		if _, err := fmt.Sscanf(fields[0], "%x-%x", &begin, &end); err != nil {
			return nil, err
		}
		if r.Address < begin || r.Address >= end {
			continue
		}
		// The kernel may have joined empty memory with what lies beside it.
		if r.Address+r.Bytes > end {
			return nil, fmt.Errorf("memory at %#x is not in one piece: %w", r.Address, syscall.ENOTSUP)
		}
		const inode = 4
		if fields[inode] == "0" {
			return nil, nil
		}
		return os.Open(fmt.Sprintf("/proc/%d/map_files/%s", r.Pid, fields[0]))
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("nothing is mapped at %#x: %w", r.Address, syscall.ENOENT)
}

// Bits of an entry of /proc/PID/pagemap: Documentation/admin-guide/mm/pagemap.rst of Linux.
const (
	present  = 1 << 63
	swapped  = 1 << 62
	fileOnly = 1 << 61
)

// pieces calls back with each part of the memory that may hold something, in order: where to read it, and where it belongs.
func (s *source) pieces(at, length uint64, each func(from io.ReaderAt, readAt int64, begin, end uint64) error) error {
	entries := s.entries[:length/pageSize*8]
	if _, err := s.pagemap.ReadAt(entries, int64((s.address+at)/pageSize*8)); err != nil {
		return err
	}
	own := func(page uint64) bool {
		entry := binary.LittleEndian.Uint64(entries[page*8:])
		return entry&(present|swapped) != 0 && entry&fileOnly == 0
	}
	for begin := uint64(0); begin < length; {
		mine, end := own(begin/pageSize), begin+pageSize
		for end < length && own(end/pageSize) == mine {
			end += pageSize
		}
		var err error
		if mine {
			err = each(s.memory, int64(s.address+at+begin), at+begin, at+end)
		} else if s.base != nil {
			err = extents(s.base, at+begin, at+end, func(from, to uint64) error { return each(s.base, int64(from), from, to) })
		}
		if err != nil {
			return err
		}
		begin = end
	}
	return nil
}
