package rootfs

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// joinedBytes is more than any file has whose entries are joined.
const joinedBytes = 64 << 20

const sparseKey = "GNU.sparse.realsize"

type layer struct {
	root   string
	buffer []byte
	// The root has nothing of its own: it becomes what the stream says.
	bare bool
	// Times of directories are set last: whatever is put in one changes it.
	directories map[string]time.Time
	report      *Report
}

// Lay puts the tree of a stream over a root that has a system of its own: what the stream has is as there, what it does not have stays, and what the system
// needs of itself does too. A stream that is not whole is an error; what came before it is there then.
func Lay(root string, from io.Reader) (Report, error) {
	report, err := (&layer{root: root}).lay(from)
	if err != nil {
		return Report{}, err
	}
	if root == "/" {
		// The libraries of both are found.
		_ = exec.Command("/sbin/ldconfig").Run()
	}
	syscall.Sync()
	return report, nil
}

// Fill puts the tree of a stream into a root that has nothing of its own, or into what an earlier stream of the same tree has made there. Devices and the
// attributes of overlays below are left out, since they mean something to the host.
func Fill(root string, from io.Reader) (Report, error) {
	report, err := (&layer{root: root, bare: true}).lay(from)
	if err != nil {
		return Report{}, err
	}
	return report, syncDisk(root)
}

func (l *layer) lay(from io.Reader) (Report, error) {
	l.buffer, l.directories = make([]byte, copyBytes), map[string]time.Time{}
	in := tar.NewReader(from)
	for {
		header, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return Report{}, fmt.Errorf("the stream: %w", err)
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			if text, ok := header.PAXRecords[ReportKey]; ok {
				l.report = &Report{}
				if err := json.Unmarshal([]byte(text), l.report); err != nil {
					return Report{}, err
				}
			}
			if name, ok := header.PAXRecords[goneKey]; ok {
				if err := l.remove(name); err != nil {
					return Report{}, err
				}
			}
			continue
		}
		if err := l.entry(header, in); err != nil {
			return Report{}, fmt.Errorf("%s: %w", header.Name, err)
		}
	}
	if l.report == nil {
		return Report{}, errors.New("the stream is cut off: it has no report at its end")
	}
	if _, err := io.Copy(io.Discard, from); err != nil {
		return Report{}, err
	}
	for file, modified := range l.directories {
		setTimes(file, modified)
	}
	return *l.report, nil
}

// remove takes away what an earlier stream has laid. What the machine needs of itself stays.
func (l *layer) remove(name string) error {
	name = strings.TrimPrefix(filepath.Clean("/"+name), "/")
	_, both := joined[name]
	if name == "" || within(name, ofTheShape) || (!l.bare && (both || within(name, ofTheSystem))) {
		return nil
	}
	return os.RemoveAll(l.place(name))
}

func (l *layer) place(name string) string { return filepath.Join(l.root, filepath.Clean("/"+name)) }

func (l *layer) entry(header *tar.Header, body io.Reader) error {
	name := strings.TrimPrefix(filepath.Clean("/"+header.Name), "/")
	file := l.place(header.Name)
	var there syscall.Stat_t
	exists := syscall.Lstat(file, &there) == nil
	if name == "" || within(name, ofTheShape) || (!l.bare && exists && within(name, ofTheSystem)) {
		return nil
	}
	if l.bare && (header.Typeflag == tar.TypeChar || header.Typeflag == tar.TypeBlock) {
		return nil
	}
	if header.Typeflag == tar.TypeDir {
		return l.directory(file, header, exists, &there)
	}
	if exists && there.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		if err := os.RemoveAll(file); err != nil {
			return err
		}
	}
	// A tree names directories before what is in them; one that the shape keeps for itself may be missing.
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(file), fmt.Sprintf(".gibil-tmp-%d", time.Now().UnixNano()))
	defer os.Remove(temporary)
	if err := l.make(temporary, file, name, header, body); err != nil {
		return err
	}
	if header.Typeflag != tar.TypeLink {
		if err := l.dress(temporary, header); err != nil {
			return err
		}
	}
	return os.Rename(temporary, file)
}

func (l *layer) directory(file string, header *tar.Header, exists bool, there *syscall.Stat_t) error {
	kind := there.Mode & syscall.S_IFMT
	// Merged directories of a system (/bin, /lib) are links, and stay so.
	if !l.bare && exists && kind == syscall.S_IFLNK {
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			return nil
		}
	}
	if exists && kind != syscall.S_IFDIR {
		if err := os.Remove(file); err != nil {
			return err
		}
		exists = false
	}
	if !exists {
		if err := os.MkdirAll(file, 0o700); err != nil {
			return err
		}
	}
	l.directories[file] = header.ModTime
	return l.dress(file, header)
}

func (l *layer) make(temporary, file, name string, header *tar.Header, body io.Reader) error {
	mode := uint32(header.Mode) & 0o7777
	device := int(uint64(header.Devminor)&0xff | uint64(header.Devmajor&0xfff)<<8 | uint64(header.Devminor&^0xff)<<12)
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeRegA, tar.TypeGNUSparse: //nolint:staticcheck // old archives have it
		if join, ok := joined[name]; ok && !l.bare {
			return joinInto(temporary, file, join, body)
		}
		return l.regular(temporary, header, body)
	case tar.TypeLink:
		return os.Link(l.place(header.Linkname), temporary)
	case tar.TypeSymlink:
		return os.Symlink(header.Linkname, temporary)
	case tar.TypeFifo:
		return syscall.Mknod(temporary, syscall.S_IFIFO|mode, 0)
	case tar.TypeChar:
		return syscall.Mknod(temporary, syscall.S_IFCHR|mode, device)
	case tar.TypeBlock:
		return syscall.Mknod(temporary, syscall.S_IFBLK|mode, device)
	}
	return fmt.Errorf("an entry of the unknown kind %q", header.Typeflag)
}

func (l *layer) regular(temporary string, header *tar.Header, body io.Reader) error {
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, sparse := header.PAXRecords[sparseKey]; sparse {
		return withHoles(file, header.Size, body, l.buffer)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{body}, l.buffer)
	return err
}

// withHoles writes what is not zero.
func withHoles(file *os.File, size int64, body io.Reader, buffer []byte) error {
	const page = 4096
	for at := int64(0); at < size; {
		n, err := io.ReadFull(body, buffer[:min(size-at, int64(len(buffer)))])
		if err != nil {
			return err
		}
		for begin := 0; begin < n; begin += page {
			part := buffer[begin:min(int64(begin+page), int64(n))]
			if string(part) == string(zeros[:len(part)]) {
				continue
			}
			if _, err := file.WriteAt(part, at+int64(begin)); err != nil {
				return err
			}
		}
		at += int64(n)
	}
	return file.Truncate(size)
}

func joinInto(temporary, file string, join rule, body io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(body, joinedBytes))
	if err != nil {
		return err
	}
	if other, err := os.ReadFile(file); err == nil {
		text = []byte(join.join(string(text), string(other)))
	}
	return os.WriteFile(temporary, text, 0o600)
}

// dress gives what was made its owner, mode, attributes and time.
func (l *layer) dress(file string, header *tar.Header) error {
	if err := os.Lchown(file, header.Uid, header.Gid); err != nil {
		return err
	}
	if header.Typeflag != tar.TypeSymlink {
		if err := syscall.Chmod(file, uint32(header.Mode)&0o7777); err != nil {
			return err
		}
		// After the owner, since a change of that takes capabilities away.
		for key, value := range header.PAXRecords {
			name := strings.TrimPrefix(key, "SCHILY.xattr.")
			if name == key || !isOwn(name) || (l.bare && strings.HasPrefix(name, "trusted.")) {
				continue
			}
			if err := syscall.Setxattr(file, name, []byte(value), 0); err != nil {
				return fmt.Errorf("attribute %s: %w", name, err)
			}
		}
	}
	setTimes(file, header.ModTime)
	return nil
}

// setTimes is of a file itself, not of what it leads to.
func setTimes(file string, modified time.Time) {
	path, err := syscall.BytePtrFromString(file)
	if err != nil {
		return
	}
	spec := syscall.NsecToTimespec(modified.UnixNano())
	times := [2]syscall.Timespec{spec, spec}
	const cwd, noFollow = -0x64, 0x100
	here := cwd
	_, _, _ = syscall.Syscall6(syscall.SYS_UTIMENSAT, uintptr(here), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(&times)), noFollow, 0, 0)
}
