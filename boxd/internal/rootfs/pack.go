package rootfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"syscall"
	"time"
)

const (
	copyBytes = 256 << 10
	// reads is how often a file is read that changes meanwhile; the last reading counts.
	reads = 3
	// maxTold bounds the names in a report; the counts have all.
	maxTold      = 100
	maxAttribute = 64 << 10
	// maxPieces is how many a sparse file is told in; one with more is told as if it had no holes.
	maxPieces = 100_000
)

// Report is what has to be known of a stream beside what is in it. It is its last record, so a stream without one is not whole.
type Report struct {
	Entries int64 `json:"entries"`
	// Files that changed each time they were read: what is in the stream may be neither the one nor the other.
	Changed      []string `json:"changed"`
	ChangedCount int64    `json:"changedCount"`
	// Sockets are of a process and have no place in an archive.
	Sockets int64 `json:"sockets"`
}

// Names of what a stream tells in global headers: the report that ends it, and a name that an earlier stream had and the tree has no more.
const (
	ReportKey = "GIBIL.report"
	goneKey   = "GIBIL.gone"
)

type packer struct {
	out    io.Writer
	links  map[[2]uint64]firstName
	buffer []byte
	report Report
	// A stream that is the first of two notes what it saw, and the second one leaves out what is as it was.
	mark  *Mark
	since *since
}

// firstName is that of a file with several, and whether this stream has the file.
type firstName struct {
	name string
	here bool
}

// Pack writes the tree below a root as a tar stream: owners by number, hard links, extended attributes, devices, holes of sparse files.
func Pack(root string, exclude []string, to io.Writer) error {
	return newPacker(to).pack(root, exclude)
}

// PackFirst does so while the box goes on. A file that changes meanwhile is in the stream anyhow, and again in that of PackRest.
func PackFirst(root string, exclude []string, to io.Writer) (*Mark, error) {
	p := newPacker(to)
	p.mark = &Mark{exclude: exclude, began: time.Now()}
	if err := syncDisk(root); err != nil {
		return nil, err
	}
	return p.mark, p.pack(root, exclude)
}

// PackRest writes what has changed since PackFirst, every directory, and the names of what is gone.
func (m *Mark) PackRest(root string, to io.Writer) error {
	p := newPacker(to)
	p.since = &since{mark: m}
	return p.pack(root, m.exclude)
}

func newPacker(to io.Writer) *packer {
	report := Report{Changed: []string{}}
	return &packer{out: to, links: map[[2]uint64]firstName{}, buffer: make([]byte, copyBytes), report: report}
}

func (p *packer) pack(root string, exclude []string) error {
	if err := newWalker(root, exclude).each(p.entry); err != nil {
		return err
	}
	if p.since != nil {
		if _, err := p.since.reach("", nil, p.gone); err != nil {
			return err
		}
	}
	text, err := json.Marshal(p.report)
	if err != nil {
		return err
	}
	if err := p.tell(ReportKey, string(text)); err != nil {
		return err
	}
	_, err = p.out.Write(make([]byte, 2*block))
	return err
}

func (p *packer) gone(name string) error { return p.tell(goneKey, name) }

func (p *packer) tell(key, value string) error {
	_, err := p.out.Write(paxBlock('g', paxRecord(key, value)))
	return err
}

func (p *packer) entry(file, name string, st *syscall.Stat_t) error {
	e := entry{
		name: name, mode: st.Mode & 0o7777, uid: st.Uid, gid: st.Gid,
		modified: time.Unix(int64(st.Mtim.Sec), int64(st.Mtim.Nsec)),
	}
	kind := st.Mode & syscall.S_IFMT
	if p.mark != nil {
		p.mark.note(name, st)
	}
	same := false
	if p.since != nil {
		var err error
		if same, err = p.since.reach(name, st, p.gone); err != nil {
			return err
		}
	}
	if kind != syscall.S_IFDIR && st.Nlink > 1 {
		key := [2]uint64{uint64(st.Dev), st.Ino}
		if first, ok := p.links[key]; ok {
			if same && !first.here {
				return nil
			}
			e.flag, e.link = '1', first.name
			return p.write(e)
		}
		if kind != syscall.S_IFSOCK {
			p.links[key] = firstName{name, !same}
		}
	}
	// A directory is told again, since what is put into it changes its time.
	if same && kind != syscall.S_IFDIR {
		return nil
	}
	switch kind {
	case syscall.S_IFREG:
		return p.regular(file, e)
	case syscall.S_IFDIR:
		e.flag, e.name, e.attributes = '5', name+"/", attributesOf(file)
	case syscall.S_IFLNK:
		target, err := os.Readlink(file)
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		e.flag, e.link = '2', target
	case syscall.S_IFIFO:
		e.flag = '6'
	case syscall.S_IFCHR, syscall.S_IFBLK:
		e.flag = '3'
		if kind == syscall.S_IFBLK {
			e.flag = '4'
		}
		rdev := uint64(st.Rdev)
		// makedev(3) of glibc.
		e.major = uint32(rdev>>8)&0xfff | uint32(rdev>>32)&^0xfff
		e.minor = uint32(rdev)&0xff | uint32(rdev>>12)&^0xff
	default:
		p.report.Sockets++
		return nil
	}
	return p.write(e)
}

func (p *packer) write(e entry) error {
	p.report.Entries++
	_, err := p.out.Write(e.encode())
	return err
}

// regular writes a file; again when it changed while it was read, since the last entry of a name is the one that counts.
func (p *packer) regular(file string, e entry) error {
	source, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer source.Close()
	fd := int(source.Fd())
	for try := 1; ; try++ {
		var before, after syscall.Stat_t
		if err := syscall.Fstat(fd, &before); err != nil {
			return err
		}
		if before.Mode&syscall.S_IFMT != syscall.S_IFREG {
			return nil // it became another kind of thing meanwhile
		}
		e.flag, e.size, e.modified = '0', before.Size, time.Unix(int64(before.Mtim.Sec), int64(before.Mtim.Nsec))
		e.attributes = attributesOf(file)
		if err := p.content(source, e, before.Blocks*512 < before.Size); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := syscall.Fstat(fd, &after); err != nil {
			return err
		}
		if before.Size == after.Size && before.Mtim == after.Mtim && before.Ctim == after.Ctim {
			return nil
		}
		if p.mark != nil {
			return nil
		}
		if try == reads {
			p.report.ChangedCount++
			if len(p.report.Changed) < maxTold {
				p.report.Changed = append(p.report.Changed, file)
			}
			return nil
		}
	}
}

type piece struct{ at, size int64 }

var zeros = make([]byte, copyBytes)

func (p *packer) content(source *os.File, e entry, mayHaveHoles bool) error {
	pieces := []piece{{0, e.size}}
	head := ""
	if mayHaveHoles {
		if found := dataOf(source, e.size); found != nil {
			// GNU tar expects a last piece at the end, of nothing where that is a hole.
			pieces = append(found, piece{e.size, 0})
			var text strings.Builder
			fmt.Fprintf(&text, "%d\n", len(pieces))
			data := int64(0)
			for _, one := range pieces {
				fmt.Fprintf(&text, "%d\n%d\n", one.at, one.size)
				data += one.size
			}
			head = text.String()
			head += strings.Repeat("\x00", int(padding(int64(len(head)))))
			e.sparse, e.realSize, e.size = true, e.size, int64(len(head))+data
		}
	}
	if err := p.write(e); err != nil {
		return err
	}
	if _, err := io.WriteString(p.out, head); err != nil {
		return err
	}
	for _, one := range pieces {
		if err := p.copy(source, one); err != nil {
			return err
		}
	}
	_, err := p.out.Write(make([]byte, padding(e.size)))
	return err
}

// copy keeps the promise of a size: what a file lost meanwhile is zeros, and that it changed is noticed.
func (p *packer) copy(source *os.File, one piece) error {
	section := io.NewSectionReader(source, one.at, one.size)
	copied, err := io.CopyBuffer(struct{ io.Writer }{p.out}, struct{ io.Reader }{section}, p.buffer)
	if err != nil {
		return err
	}
	for missing := one.size - copied; missing > 0; {
		n, err := p.out.Write(zeros[:min(missing, int64(len(zeros)))])
		if err != nil {
			return err
		}
		missing -= int64(n)
	}
	return nil
}

const (
	seekData = 3 // SEEK_DATA, unistd.h
	seekHole = 4
)

// dataOf finds what of a file is no hole; nil when that cannot be told, or there is none.
func dataOf(file *os.File, size int64) []piece {
	pieces := []piece{}
	for at := int64(0); at < size; {
		begin, err := file.Seek(at, seekData)
		if errors.Is(err, syscall.ENXIO) {
			break // nothing but a hole follows
		}
		if err != nil {
			return nil
		}
		end, err := file.Seek(begin, seekHole)
		if err != nil || len(pieces) == maxPieces {
			return nil
		}
		pieces = append(pieces, piece{begin, min(end, size) - begin})
		at = end
	}
	if len(pieces) == 1 && pieces[0] == (piece{0, size}) {
		return nil
	}
	return pieces
}

// attributesOf reads those that are the file's own: what the kernel derives, and what is of an overlay below, is not among them.
func attributesOf(file string) map[string]string {
	buffer := make([]byte, maxAttribute)
	size, err := syscall.Listxattr(file, buffer)
	if err != nil || size <= 0 {
		return nil
	}
	names := strings.Split(strings.TrimRight(string(buffer[:size]), "\x00"), "\x00")
	sort.Strings(names)
	found := map[string]string{}
	for _, name := range names {
		if !isOwn(name) {
			continue
		}
		if size, err := syscall.Getxattr(file, name, buffer); err == nil {
			found[name] = string(buffer[:size])
		}
	}
	return found
}

func isOwn(name string) bool {
	return name == "security.capability" || strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "trusted.overlay.") ||
		name == "system.posix_acl_access" || name == "system.posix_acl_default"
}
