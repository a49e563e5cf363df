// Package memory writes the memory of a virtual machine to a sparse file, and tells whether such a file is still what was written.
package memory

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
)

// Request says what to save and where.
type Request struct {
	Pid int `json:"pid"`
	// Address and Bytes are where the memory lies in the process.
	Address uint64 `json:"address"`
	Bytes   uint64 `json:"bytes"`
	Path    string `json:"path"`
}

// Saved is what `memory.check` needs to know of the file again.
type Saved struct {
	Sum string `json:"sum"`
	// Data is how many bytes of it are not zero.
	Data uint64 `json:"data"`
}

// atOnce pages are looked at together: 1 MiB.
const atOnce = 256

// Save writes what a process that does not run sees there: pages of its own, and where it has none the file that its memory is a private copy of.
// Pages of zeros are holes. The file is on the disk when this returns; when it fails, there is none.
func Save(r Request) (Saved, error) {
	if err := errno.CheckPath(r.Path); err != nil {
		return Saved{}, err
	}
	if r.Pid <= 1 || r.Bytes == 0 || r.Address%pageSize != 0 || r.Bytes%pageSize != 0 {
		return Saved{}, errno.Invalidf("%d bytes at %#x of process %d are no memory", r.Bytes, r.Address, r.Pid)
	}
	to, err := os.OpenFile(r.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return Saved{}, err
	}
	saved, err := r.into(to)
	if err == nil {
		err = to.Sync()
	}
	if closed := to.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(r.Path)
		return Saved{}, fmt.Errorf("save the memory of process %d: %w", r.Pid, err)
	}
	return saved, nil
}

func (r Request) into(to *os.File) (Saved, error) {
	from, err := openSource(r)
	if err != nil {
		return Saved{}, err
	}
	defer from.close()
	if err := to.Truncate(int64(r.Bytes)); err != nil {
		return Saved{}, err
	}
	var sum checksum
	buffer := make([]byte, atOnce*pageSize)
	for at := uint64(0); at < r.Bytes; at += uint64(len(buffer)) {
		if left := r.Bytes - at; left < uint64(len(buffer)) {
			buffer = buffer[:left]
		}
		err := from.pieces(at, uint64(len(buffer)), func(reader io.ReaderAt, readAt int64, begin, end uint64) error {
			piece := buffer[:end-begin]
			if _, err := reader.ReadAt(piece, readAt); err != nil {
				return err
			}
			return sum.data(begin, piece, func(data []byte, at uint64) error {
				_, err := to.WriteAt(data, int64(at))
				return err
			})
		})
		if err != nil {
			return Saved{}, err
		}
	}
	return sum.saved(), nil
}

// Check tells whether a file holds what was saved; all of it is read, holes apart.
func Check(path string) (Saved, error) {
	if err := errno.CheckPath(path); err != nil {
		return Saved{}, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return Saved{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Saved{}, err
	}
	if info.Size()%pageSize != 0 {
		return Saved{}, errno.Invalidf("%s holds no memory", path)
	}
	var sum checksum
	buffer := make([]byte, atOnce*pageSize)
	err = extents(file, 0, uint64(info.Size()), func(begin, end uint64) error {
		for at := begin; at < end; at += uint64(len(buffer)) {
			piece := buffer
			if left := end - at; left < uint64(len(piece)) {
				piece = piece[:left]
			}
			if _, err := file.ReadAt(piece, int64(at)); err != nil {
				return err
			}
			if err := sum.data(at, piece, func([]byte, uint64) error { return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	return sum.saved(), err
}

const (
	seekData = 3
	seekHole = 4
)

// extents calls back with each part of [begin, end) that a file has data in, in order, in whole pages.
func extents(file *os.File, begin, end uint64, each func(begin, end uint64) error) error {
	for at := begin; at < end; {
		data, err := file.Seek(int64(at), seekData)
		if errors.Is(err, syscall.ENXIO) || (err == nil && uint64(data) >= end) {
			return nil
		}
		if err != nil {
			return err
		}
		hole, err := file.Seek(data, seekHole)
		if err != nil {
			return err
		}
		first := uint64(data) / pageSize * pageSize
		last := (uint64(hole) + pageSize - 1) / pageSize * pageSize
		if last > end {
			last = end
		}
		if err := each(first, last); err != nil {
			return err
		}
		at = last
	}
	return nil
}
