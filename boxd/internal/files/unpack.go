package files

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/users"
)

// Unpack unpacks a tar stream below a directory, which is made when it is missing. Everything belongs to the owner; a
// directory that is there already keeps its owner and mode, a file is replaced. No entry is written outside: neither by its
// name nor through a symlink, be it from the stream, from before, or swapped in meanwhile.
func (t *Tree) Unpack(path, userName string, from io.Reader) error {
	owner, err := t.Owner(userName)
	if err != nil {
		return err
	}
	if err := MakeDirs(path, 0o755, owner); err != nil {
		return err
	}
	root, err := syscall.Open(path, oPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fault.Of(err, path)
	}
	defer syscall.Close(root)
	u := &unpacker{root: root, lastFd: -1, owner: owner, buffer: make([]byte, copyBytes)}
	defer u.forgetLast()
	in := tar.NewReader(readsBody{from})
	for {
		header, err := in.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, from) // padding after the end
			return err
		}
		if err != nil {
			return badStream(err)
		}
		if err := u.entry(header, in); err != nil {
			return badEntry(err, header.Name)
		}
	}
}

// readsBody marks failures of the stream, so that they are not taken for failures of a file.
type readsBody struct{ io.Reader }

func (r readsBody) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = readFailure{err}
	}
	return n, err
}

func badStream(err error) error {
	return fault.New(fault.InvalidRequest, "The body is not a whole tar stream: %v", err)
}

func badEntry(err error, name string) error {
	var failed readFailure
	if errors.As(err, &failed) || errors.Is(err, io.ErrUnexpectedEOF) {
		return badStream(err)
	}
	if errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.ELOOP) {
		return fault.New(fault.InvalidPath, "The entry %q passes through a symlink that leaves the directory.", name)
	}
	return fault.Of(err, name)
}

type unpacker struct {
	root   int
	owner  users.User
	buffer []byte
	// The directory of the last entry: most have it in common with the next.
	lastName string
	lastFd   int
}

func (u *unpacker) forgetLast() {
	if u.lastFd >= 0 {
		syscall.Close(u.lastFd)
		u.lastFd = -1
	}
}

// inside splits the name of an entry. An empty base is the directory itself.
func inside(name string) (dir, base string, err error) {
	if strings.HasPrefix(name, "/") || strings.IndexByte(name, 0) >= 0 {
		return "", "", fault.New(fault.InvalidPath, "The entry %q is not a relative path.", name)
	}
	var parts []string
	for _, part := range strings.Split(name, "/") {
		switch part {
		case "", ".":
		case "..":
			return "", "", fault.New(fault.InvalidPath, "The entry %q leaves the directory.", name)
		default:
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return "", "", nil
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], "/"), parts[last], nil
}

func (u *unpacker) entry(header *tar.Header, body io.Reader) error {
	if header.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	dirName, base, err := inside(header.Name)
	if err != nil {
		return err
	}
	if base == "" {
		if header.Typeflag == tar.TypeDir {
			return nil
		}
		return fault.New(fault.InvalidPath, "The entry %q has no name.", header.Name)
	}
	dir, err := u.dir(dirName)
	if err != nil {
		return err
	}
	mode := uint32(header.Mode) & 0o7777
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeRegA: //nolint:staticcheck // old archives have it
		return u.regular(dir, base, header, mode, body)
	case tar.TypeDir:
		return u.directory(dir, base, mode)
	case tar.TypeSymlink:
		err := replacing(dir, base, func() error { return symlinkat(header.Linkname, dir, base) })
		if err != nil {
			return err
		}
		return u.give(dir, base)
	case tar.TypeLink:
		return u.hardLink(dir, base, header.Linkname)
	case tar.TypeFifo:
		if err := replacing(dir, base, func() error { return syscall.Mknodat(dir, base, syscall.S_IFIFO|mode&0o777, 0) }); err != nil {
			return err
		}
		return u.give(dir, base)
	}
	return fault.New(fault.InvalidRequest, "The entry %q is a device or of an unknown kind.", header.Name)
}

// dir opens a directory below the root, and makes it and its parents when they are missing. The descriptor stays ours.
func (u *unpacker) dir(name string) (int, error) {
	if name == "" {
		return u.root, nil
	}
	if u.lastFd >= 0 && u.lastName == name {
		return u.lastFd, nil
	}
	fd, err := u.open(name)
	if err == syscall.ENOENT {
		fd, err = u.make(name)
	}
	if err != nil {
		return -1, err
	}
	u.forgetLast()
	u.lastName, u.lastFd = name, fd
	return fd, nil
}

func (u *unpacker) make(name string) (int, error) {
	parentName, base, err := inside(name)
	if err != nil {
		return -1, err
	}
	parent, err := u.dir(parentName)
	if err != nil {
		return -1, err
	}
	if err := u.directory(parent, base, 0o755); err != nil {
		return -1, err
	}
	return u.open(name)
}

func (u *unpacker) open(name string) (int, error) {
	if hasOpenat2 {
		return openBeneath(u.root, name)
	}
	// Without openat2 no symlink at all is passed through.
	dir := u.root
	for _, part := range strings.Split(name, "/") {
		fd, err := syscall.Openat(dir, part, oPath|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
		if err == syscall.ENOTDIR {
			if st, statErr := statAt(dir, part); statErr == nil && isLink(&st) {
				err = syscall.ELOOP
			}
		}
		if dir != u.root {
			syscall.Close(dir)
		}
		if err != nil {
			return -1, err
		}
		dir = fd
	}
	return dir, nil
}

// directory makes one, unless it, or a symlink to one, is there.
func (u *unpacker) directory(dir int, base string, mode uint32) error {
	err := syscall.Mkdirat(dir, base, 0o700)
	if err == syscall.EEXIST {
		st, err := statAt(dir, base)
		if err == nil && !isDir(&st) && !isLink(&st) {
			return syscall.ENOTDIR
		}
		return err
	}
	if err != nil {
		return err
	}
	fd, err := syscall.Openat(dir, base, syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	if err := giveTo(fd, u.owner.UID, u.owner.GID); err != nil {
		return err
	}
	return syscall.Fchmod(fd, mode)
}

func (u *unpacker) regular(dir int, base string, header *tar.Header, mode uint32, body io.Reader) error {
	var fd int
	err := replacing(dir, base, func() (err error) {
		fd, err = syscall.Openat(dir, base, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), base)
	defer file.Close()
	if header.Size > 0 {
		buffer := u.buffer
		if header.Size < int64(len(buffer)) {
			buffer = buffer[:header.Size]
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{body}, buffer); err != nil {
			return err
		}
	}
	if err := giveTo(fd, u.owner.UID, u.owner.GID); err != nil {
		return err
	}
	if err := syscall.Fchmod(fd, mode); err != nil {
		return err
	}
	if !header.ModTime.IsZero() {
		setTimes(fd, header.ModTime)
	}
	return nil
}

func (u *unpacker) hardLink(dir int, base, target string) error {
	targetDirName, targetBase, err := inside(target)
	if err != nil {
		return err
	}
	if targetBase == "" {
		return fault.New(fault.InvalidPath, "A hard link leads to nothing.")
	}
	// Looking up the other directory may drop the one kept, so this entry gets its own copy.
	own, err := syscall.Dup(dir)
	if err != nil {
		return err
	}
	defer syscall.Close(own)
	syscall.CloseOnExec(own)
	targetDir, err := u.dir(targetDirName)
	if err != nil {
		return err
	}
	return replacing(own, base, func() error { return linkat(targetDir, targetBase, own, base) })
}

// give changes the owner of what is not opened.
func (u *unpacker) give(dir int, base string) error {
	st, err := statAt(dir, base)
	if err != nil || (st.Uid == u.owner.UID && st.Gid == u.owner.GID) {
		return err
	}
	return syscall.Fchownat(dir, base, int(u.owner.UID), int(u.owner.GID), atSymlinkNofollow)
}

// replacing removes what is in the way, unless that is a directory.
func replacing(dir int, base string, create func() error) error {
	err := create()
	for try := 0; err == syscall.EEXIST && try < 8; try++ {
		st, statErr := statAt(dir, base)
		if statErr == nil && isDir(&st) {
			return syscall.EISDIR
		}
		if err := syscall.Unlinkat(dir, base); err != nil && err != syscall.ENOENT {
			return err
		}
		err = create()
	}
	return err
}
