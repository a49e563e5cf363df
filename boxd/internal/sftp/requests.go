package sftp

import (
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Flags of open.
const (
	openRead     = 1
	openWrite    = 2
	openAppend   = 4
	openCreate   = 8
	openTruncate = 16
	openNew      = 32
)

// maxData is what one read gives at most, so that it fits a packet.
const maxData = maxPacket - 1024

// do carries out one request. Without an answer of its own, the answer is the status.
func (s *server) do(kind byte, id uint32, r *request) (*reply, error) {
	switch kind {
	case fxpOpen:
		return s.open(id, r)
	case fxpClose:
		h, name, err := s.handle(r)
		if err != nil {
			return nil, err
		}
		delete(s.handles, name)
		return nil, h.file.Close()
	case fxpRead:
		return s.read(id, r)
	case fxpWrite:
		return nil, s.write(r)
	case fxpOpendir:
		file, err := os.OpenFile(r.path(), os.O_RDONLY|syscall.O_DIRECTORY, 0)
		if err != nil {
			return nil, err
		}
		return s.keep(id, file, false)
	case fxpReaddir:
		return s.readdir(id, r)
	case fxpStat:
		return attributesOf(id)(os.Stat(r.path()))
	case fxpLstat:
		return attributesOf(id)(os.Lstat(r.path()))
	case fxpFstat:
		h, _, err := s.handle(r)
		if err != nil {
			return nil, err
		}
		return attributesOf(id)(h.file.Stat())
	case fxpSetstat:
		path := r.path()
		if wanted := r.attributes(); !r.bad {
			return nil, wanted.apply(path)
		}
		return nil, errBadMessage
	case fxpFsetstat:
		h, _, err := s.handle(r)
		if wanted := r.attributes(); err == nil && !r.bad {
			return nil, wanted.apply("/proc/self/fd/" + strconv.Itoa(int(h.file.Fd())))
		}
		return nil, err
	case fxpRealpath:
		return s.realpath(id, r.path())
	case fxpReadlink:
		target, err := os.Readlink(r.path())
		return nameOf(id, target), err
	}
	return s.change(kind, id, r)
}

// change is for requests about names.
func (s *server) change(kind byte, id uint32, r *request) (*reply, error) {
	switch kind {
	case fxpRemove:
		return nil, pathError("remove", syscall.Unlink(r.path()))
	case fxpRmdir:
		return nil, pathError("rmdir", syscall.Rmdir(r.path()))
	case fxpMkdir:
		path := r.path()
		mode := uint32(0o777)
		if wanted := r.attributes(); wanted.flags&hasMode != 0 {
			mode = wanted.mode & modeBits
		}
		if r.bad {
			return nil, errBadMessage
		}
		return nil, pathError("mkdir", syscall.Mkdir(path, mode))
	case fxpRename:
		// The plain rename of version 3 replaces nothing.
		from, to := r.path(), r.path()
		if r.bad {
			return nil, errBadMessage
		}
		if _, err := os.Lstat(to); err == nil {
			return nil, pathError("rename", syscall.EEXIST)
		}
		return nil, os.Rename(from, to)
	case fxpSymlink:
		// OpenSSH has the two the other way round than the draft, and everyone follows it.
		target, link := r.text(), r.path()
		if r.bad {
			return nil, errBadMessage
		}
		return nil, os.Symlink(target, link)
	case fxpExtended:
		return s.extended(id, r)
	}
	return nil, errUnsupported
}

// path is one of a request, as a system call takes it: the working directory is the home.
func (r *request) path() string {
	if path := r.text(); path != "" {
		return path
	}
	return "."
}

func pathError(what string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: what, Path: "", Err: err}
}

func (s *server) open(id uint32, r *request) (*reply, error) {
	path, wanted := r.path(), r.uint32()
	attributes := r.attributes()
	if r.bad {
		return nil, errBadMessage
	}
	flags := os.O_RDONLY
	if wanted&openWrite != 0 {
		if flags = os.O_WRONLY; wanted&openRead != 0 {
			flags = os.O_RDWR
		}
	}
	for bit, flag := range map[uint32]int{openAppend: os.O_APPEND, openCreate: os.O_CREATE, openTruncate: os.O_TRUNC, openNew: os.O_EXCL} {
		if wanted&bit != 0 {
			flags |= flag
		}
	}
	mode := uint32(0o666)
	if attributes.flags&hasMode != 0 {
		mode = attributes.mode & modeBits
	}
	// As open(2) itself, which takes bits that os.OpenFile has elsewhere; and what is no file must not make this wait.
	fd, err := syscall.Open(path, flags|syscall.O_CLOEXEC|syscall.O_NONBLOCK, mode)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return s.keep(id, os.NewFile(uintptr(fd), path), wanted&openAppend != 0)
}

func (s *server) read(id uint32, r *request) (*reply, error) {
	h, _, err := s.handle(r)
	offset, length := r.uint64(), r.uint32()
	if err != nil || r.bad {
		return nil, err
	}
	if length > maxData {
		length = maxData
	}
	data := make([]byte, length)
	n, err := h.file.ReadAt(data, int64(offset))
	if n == 0 && err != nil {
		return nil, err
	}
	return newReply(fxpData, id).text(string(data[:n])), nil
}

func (s *server) write(r *request) error {
	h, _, err := s.handle(r)
	offset, data := r.uint64(), r.bytes()
	if err != nil || r.bad {
		return err
	}
	if h.append {
		_, err = h.file.Write(data)
	} else {
		_, err = h.file.WriteAt(data, int64(offset))
	}
	return err
}

func (s *server) readdir(id uint32, r *request) (*reply, error) {
	h, _, err := s.handle(r)
	if err != nil {
		return nil, err
	}
	entries, err := h.file.ReadDir(listedAtOnce)
	if len(entries) == 0 {
		if err == nil {
			err = io.EOF
		}
		return nil, err
	}
	answer := newReply(fxpName, id)
	at, count := len(answer.data), uint32(0)
	answer.uint32(0)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			continue // gone since
		}
		answer.text(entry.Name()).text(longName(info, s.names)).attributes(info)
		count++
	}
	copy(answer.data[at:], (&reply{}).uint32(count).data)
	return answer, nil
}

func attributesOf(id uint32) func(fs.FileInfo, error) (*reply, error) {
	return func(info fs.FileInfo, err error) (*reply, error) {
		if err != nil {
			return nil, err
		}
		return newReply(fxpAttrs, id).attributes(info), nil
	}
}

// nameOf answers with one name, whose attributes nobody looks at.
func nameOf(id uint32, name string) *reply {
	return newReply(fxpName, id).uint32(1).text(name).text(name).uint32(0)
}

// realpath makes a path absolute and free of links, as far as it exists.
func (s *server) realpath(id uint32, asked string) (*reply, error) {
	absolute, err := filepath.Abs(asked)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(absolute); err == nil {
		return nameOf(id, real), nil
	}
	parent, err := filepath.EvalSymlinks(path.Dir(absolute))
	if err != nil {
		return nameOf(id, absolute), nil
	}
	return nameOf(id, path.Join(parent, path.Base(absolute))), nil
}

func (s *server) extended(id uint32, r *request) (*reply, error) {
	switch r.text() {
	case "posix-rename@openssh.com":
		from, to := r.path(), r.path()
		if r.bad {
			return nil, errBadMessage
		}
		return nil, pathError("rename", syscall.Rename(from, to))
	case "hardlink@openssh.com":
		from, to := r.path(), r.path()
		if r.bad {
			return nil, errBadMessage
		}
		return nil, os.Link(from, to)
	case "fsync@openssh.com":
		h, _, err := s.handle(r)
		if err != nil {
			return nil, err
		}
		return nil, h.file.Sync()
	case "expand-path@openssh.com":
		return s.realpath(id, s.expand(r.path()))
	case "limits@openssh.com":
		return newReply(fxpExtendedReply, id).uint64(maxPacket).uint64(maxData).uint64(maxData).uint64(maxHandles), nil
	case "statvfs@openssh.com":
		var st syscall.Statfs_t
		if err := syscall.Statfs(r.path(), &st); err != nil {
			return nil, pathError("statvfs", err)
		}
		answer := newReply(fxpExtendedReply, id).uint64(uint64(st.Bsize)).uint64(uint64(st.Frsize)).uint64(st.Blocks).uint64(st.Bfree)
		return answer.uint64(st.Bavail).uint64(st.Files).uint64(st.Ffree).uint64(st.Ffree).uint64(0).uint64(0).uint64(uint64(st.Namelen)), nil
	}
	return nil, errUnsupported
}

// expand gives the place of ~ and ~name.
func (s *server) expand(path string) string {
	if !strings.HasPrefix(path, "~") {
		return path
	}
	name, rest, _ := strings.Cut(path[1:], "/")
	home := os.Getenv("HOME")
	if name != "" {
		user, err := s.names.Lookup(name)
		if err != nil {
			return path
		}
		home = user.Home
	}
	return filepath.Join(home, rest)
}
