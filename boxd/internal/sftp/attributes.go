package sftp

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"gibil.dev/boxd/internal/users"
)

const (
	hasSize   = 1
	hasOwner  = 2
	hasMode   = 4
	hasTimes  = 8
	hasExtra  = 0x80000000
	modeBits  = 0o7777
	sixMonths = 182 * 24 * time.Hour
)

// attributes are what a client wants a file to be.
type attributes struct {
	flags        uint32
	size         uint64
	uid, gid     uint32
	mode         uint32
	atime, mtime uint32
}

func (r *request) attributes() (a attributes) {
	a.flags = r.uint32()
	if a.flags&hasSize != 0 {
		a.size = r.uint64()
	}
	if a.flags&hasOwner != 0 {
		a.uid, a.gid = r.uint32(), r.uint32()
	}
	if a.flags&hasMode != 0 {
		a.mode = r.uint32()
	}
	if a.flags&hasTimes != 0 {
		a.atime, a.mtime = r.uint32(), r.uint32()
	}
	if a.flags&hasExtra != 0 {
		for n := r.uint32(); n > 0 && !r.bad; n-- {
			r.bytes()
			r.bytes()
		}
	}
	return a
}

// apply changes a file by its path, or an open one by its place among the descriptors. Links are followed, as setstat does.
func (a attributes) apply(path string) error {
	if a.flags&hasSize != 0 {
		if err := os.Truncate(path, int64(a.size)); err != nil {
			return err
		}
	}
	if a.flags&hasMode != 0 {
		if err := syscall.Chmod(path, a.mode&modeBits); err != nil {
			return err
		}
	}
	if a.flags&hasTimes != 0 {
		if err := os.Chtimes(path, time.Unix(int64(a.atime), 0), time.Unix(int64(a.mtime), 0)); err != nil {
			return err
		}
	}
	if a.flags&hasOwner != 0 {
		return os.Chown(path, int(a.uid), int(a.gid))
	}
	return nil
}

func (r *reply) attributes(info fs.FileInfo) *reply {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return r.uint32(0)
	}
	return r.uint32(hasSize | hasOwner | hasMode | hasTimes).uint64(uint64(stat.Size)).uint32(stat.Uid).uint32(stat.Gid).
		uint32(stat.Mode).uint32(uint32(stat.Atim.Sec)).uint32(uint32(stat.Mtim.Sec))
}

// longName is a line as ls -l has it, which clients show as it is.
func longName(info fs.FileInfo, names *users.DB) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Name()
	}
	form := "Jan _2 15:04"
	if age := time.Since(info.ModTime()); age > sixMonths || age < -time.Hour {
		form = "Jan _2  2006"
	}
	return fmt.Sprintf("%s %3d %-8s %-8s %8d %s %s", modeText(stat.Mode), stat.Nlink, names.UserName(stat.Uid), names.GroupName(stat.Gid),
		stat.Size, info.ModTime().Format(form), info.Name())
}

func modeText(mode uint32) string {
	kinds := map[uint32]byte{
		syscall.S_IFDIR: 'd', syscall.S_IFLNK: 'l', syscall.S_IFSOCK: 's', syscall.S_IFIFO: 'p', syscall.S_IFCHR: 'c', syscall.S_IFBLK: 'b',
	}
	text := []byte("-rwxrwxrwx")
	if kind, ok := kinds[mode&syscall.S_IFMT]; ok {
		text[0] = kind
	}
	for bit := 0; bit < 9; bit++ {
		if mode&(1<<(8-bit)) == 0 {
			text[bit+1] = '-'
		}
	}
	special := func(at int, bit uint32, letter byte) {
		if mode&bit == 0 {
			return
		}
		if text[at] == '-' {
			letter -= 'a' - 'A'
		}
		text[at] = letter
	}
	special(3, syscall.S_ISUID, 's')
	special(6, syscall.S_ISGID, 's')
	special(9, syscall.S_ISVTX, 't')
	return string(text)
}
