package files

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"gibil.dev/boxd/internal/fault"
)

// maxHardLinks bounds how many files with several names are remembered; others are packed once for each name.
const maxHardLinks = 100_000

type packer struct {
	tree    *Tree
	out     *tar.Writer
	exclude []string
	links   map[[2]uint64]string
	buffer  []byte
}

// CheckPack refuses what Pack cannot begin with.
func CheckPack(path string, exclude []string) error {
	for _, pattern := range exclude {
		if _, err := filepath.Match(pattern, "x"); err != nil || pattern == "" {
			return fault.New(fault.InvalidRequest, "%q is not a pattern.", pattern)
		}
	}
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return fault.Of(err, path)
	}
	if !isDir(&st) && !isRegular(&st) {
		return fault.New(fault.FileConflict, "%s is neither a directory nor a regular file.", path)
	}
	return nil
}

// Pack writes a tar stream of what is in a directory, or of one file under its own name. A pattern without a slash leaves out
// every entry of that name, one with a slash the entry at that place; with a directory goes all that is in it.
func (t *Tree) Pack(root string, exclude []string, to io.Writer) error {
	t.Users.Refresh()
	p := &packer{tree: t, out: tar.NewWriter(to), exclude: exclude, links: map[[2]uint64]string{}, buffer: make([]byte, copyBytes)}
	var st syscall.Stat_t
	if err := syscall.Stat(root, &st); err != nil {
		return err
	}
	var err error
	if isDir(&st) {
		err = p.below(root, "")
	} else {
		err = p.entry(root, filepath.Base(root), true)
	}
	if err != nil {
		return err
	}
	return p.out.Close()
}

func (p *packer) below(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(prefix, entry.Name())
		if p.excluded(name) || IsTemporary(entry.Name()) {
			continue
		}
		err := p.entry(filepath.Join(dir, entry.Name()), name, false)
		if os.IsNotExist(err) {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) excluded(name string) bool {
	for _, pattern := range p.exclude {
		subject := path.Base(name)
		if strings.Contains(strings.Trim(pattern, "/"), "/") || strings.HasPrefix(pattern, "/") {
			subject = name
		}
		if match, _ := path.Match(strings.Trim(pattern, "/"), subject); match {
			return true
		}
	}
	return false
}

func (p *packer) entry(file, name string, follow bool) error {
	var st syscall.Stat_t
	stat := syscall.Lstat
	if follow {
		stat = syscall.Stat
	}
	if err := stat(file, &st); err != nil {
		return err
	}
	info := p.tree.info(file, &st)
	header := &tar.Header{
		Name: name, Mode: int64(info.Mode), Uid: int(st.Uid), Gid: int(st.Gid), Uname: info.User, Gname: info.Group,
		ModTime: modTime(&st), Format: tar.FormatPAX,
	}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return p.regular(file, header, &st, follow)
	case syscall.S_IFDIR:
		header.Typeflag = tar.TypeDir
		header.Name += "/"
		if err := p.out.WriteHeader(header); err != nil {
			return err
		}
		return p.below(file, name)
	case syscall.S_IFLNK:
		if info.Target == nil {
			return nil
		}
		header.Typeflag = tar.TypeSymlink
		header.Linkname = *info.Target
	case syscall.S_IFIFO:
		header.Typeflag = tar.TypeFifo
	default:
		return nil // sockets and devices mean nothing elsewhere
	}
	return p.out.WriteHeader(header)
}

func (p *packer) regular(file string, header *tar.Header, st *syscall.Stat_t, follow bool) error {
	key := [2]uint64{uint64(st.Dev), st.Ino}
	if st.Nlink > 1 {
		if first, ok := p.links[key]; ok {
			header.Typeflag, header.Linkname = tar.TypeLink, first
			return p.out.WriteHeader(header)
		}
	}
	flags := os.O_RDONLY | syscall.O_NONBLOCK
	if !follow {
		flags |= syscall.O_NOFOLLOW
	}
	source, err := os.OpenFile(file, flags, 0)
	if err != nil {
		return err
	}
	defer source.Close()
	header.Typeflag, header.Size = tar.TypeReg, st.Size
	if err := p.out.WriteHeader(header); err != nil {
		return err
	}
	if st.Nlink > 1 && len(p.links) < maxHardLinks {
		p.links[key] = header.Name
	}
	// The size is promised already. A file that grows is cut there; one that shrinks would shift all that follows.
	copied, err := io.CopyBuffer(struct{ io.Writer }{p.out}, io.LimitReader(source, st.Size), p.buffer)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if copied < st.Size {
		return fmt.Errorf("%s became shorter while it was read", file)
	}
	return nil
}
