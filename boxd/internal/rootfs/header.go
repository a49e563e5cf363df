package rootfs

import (
	"fmt"
	"strconv"
	"time"
)

const block = 512

// entry is one of a tar stream. archive/tar writes no sparse files, so the headers are our own (POSIX.1-2001 pax interchange format; GNU tar's format 1.0 of
// sparse files).
type entry struct {
	name, link   string
	flag         byte
	mode         uint32
	uid, gid     uint32
	size         int64
	modified     time.Time
	major, minor uint32
	attributes   map[string]string
	// realSize is that of a sparse file, whose name is kept beside it; 0 for others.
	realSize int64
	sparse   bool
}

const (
	maxOctal7  = 0o7777777
	maxOctal11 = 0o77777777777
)

// encode is what comes before the content.
func (e entry) encode() []byte {
	records := ""
	record := func(key, value string) { records += paxRecord(key, value) }
	name := e.name
	if e.sparse {
		record("GNU.sparse.major", "1")
		record("GNU.sparse.minor", "0")
		record("GNU.sparse.name", e.name)
		record("GNU.sparse.realsize", strconv.FormatInt(e.realSize, 10))
		name = "GNUSparseFile.0/sparse"
	} else if len(name) > 100 {
		record("path", name)
	}
	if len(e.link) > 100 {
		record("linkpath", e.link)
	}
	if e.uid > maxOctal7 {
		record("uid", strconv.FormatUint(uint64(e.uid), 10))
	}
	if e.gid > maxOctal7 {
		record("gid", strconv.FormatUint(uint64(e.gid), 10))
	}
	if e.size > maxOctal11 {
		record("size", strconv.FormatInt(e.size, 10))
	}
	seconds, rest := e.modified.Unix(), e.modified.Nanosecond()
	if rest != 0 || seconds < 0 || seconds > maxOctal11 {
		// A fraction counts away from zero, also before 1970.
		if seconds < 0 && rest != 0 {
			record("mtime", fmt.Sprintf("-%d.%09d", -seconds-1, 1_000_000_000-rest))
		} else {
			record("mtime", fmt.Sprintf("%d.%09d", seconds, rest))
		}
	}
	for key, value := range e.attributes {
		record("SCHILY.xattr."+key, value)
	}
	plain := e.plain(name)
	if records == "" {
		return plain
	}
	return append(paxBlock('x', records), plain...)
}

// paxRecord begins with its own length, that of the number included.
func paxRecord(key, value string) string {
	rest := len(key) + len(value) + 3
	length := rest + len(strconv.Itoa(rest))
	if len(strconv.Itoa(length)) > len(strconv.Itoa(rest)) {
		length++
	}
	return fmt.Sprintf("%d %s=%s\n", length, key, value)
}

// paxBlock is records as an entry of their own: 'x' for the next one, 'g' for all that follow.
func paxBlock(flag byte, records string) []byte {
	header := entry{flag: flag, mode: 0o644, size: int64(len(records)), modified: time.Unix(0, 0)}.plain("pax")
	return append(append(header, records...), make([]byte, padding(int64(len(records))))...)
}

func (e entry) plain(name string) []byte {
	header := make([]byte, block)
	octal := func(at, digits int, value int64) { copy(header[at:], fmt.Sprintf("%0*o", digits, value)) }
	copy(header[:100], name)
	octal(100, 7, int64(e.mode))
	octal(108, 7, min(int64(e.uid), maxOctal7))
	octal(116, 7, min(int64(e.gid), maxOctal7))
	octal(124, 11, min(e.size, maxOctal11))
	octal(136, 11, min(max(e.modified.Unix(), 0), maxOctal11))
	copy(header[148:], "        ")
	header[156] = e.flag
	copy(header[157:257], e.link)
	copy(header[257:], "ustar\x0000")
	octal(329, 7, int64(e.major))
	octal(337, 7, int64(e.minor))
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
	return header
}

func padding(size int64) int64 { return (block - size%block) % block }
