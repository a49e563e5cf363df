package memory

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

const pageSize = 4096

var (
	zeros      [pageSize]byte
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// checksum is of the pages that are not zero and of where they lie, so that it is the same however a file system keeps holes. It is there to find damage, and
// as fast as memory is; who could write to the file on purpose could also write the sum.
type checksum struct {
	crc   uint32
	bytes uint64
}

// data takes whole pages, in order, and hands on each run of those that are not zero.
func (c *checksum) data(at uint64, pages []byte, each func(data []byte, at uint64) error) error {
	for begin := 0; begin < len(pages); {
		end := begin
		for end < len(pages) && !bytes.Equal(pages[end:end+pageSize], zeros[:]) {
			c.page(at+uint64(end), pages[end:end+pageSize])
			end += pageSize
		}
		if end > begin {
			if err := each(pages[begin:end], at+uint64(begin)); err != nil {
				return err
			}
		}
		begin = end + pageSize
	}
	return nil
}

func (c *checksum) page(at uint64, page []byte) {
	var place [8]byte
	binary.LittleEndian.PutUint64(place[:], at)
	c.crc = crc32.Update(c.crc, castagnoli, place[:])
	c.crc = crc32.Update(c.crc, castagnoli, page)
	c.bytes += pageSize
}

func (c *checksum) saved() Saved { return Saved{fmt.Sprintf("crc32c:%08x", c.crc), c.bytes} }
