// Package files reads and changes the files of the box.
package files

import (
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/users"
)

const (
	// MaxListed bounds what one listing gives.
	MaxListed = 100_000
	// MaxDepth is more than any path has levels.
	MaxDepth = 4096
	// tempPrefix starts the name of what is not yet in place.
	tempPrefix = ".gibil-tmp-"
)

// IsTemporary says whether a file is one that boxd is still writing.
func IsTemporary(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// Info describes a file.
type Info struct {
	Path       string  `json:"path"`
	Name       string  `json:"name"`
	Kind       string  `json:"kind"`
	Size       int64   `json:"size"`
	Mode       uint32  `json:"mode"`
	User       string  `json:"user"`
	Group      string  `json:"group"`
	ModifiedAt string  `json:"modifiedAt"`
	Target     *string `json:"target,omitempty"`
	// The two below only when they are asked for.
	Resolved   *Resolved         `json:"resolved,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Tree is the filesystem of the box as its users name it.
type Tree struct {
	Users *users.DB
	// DefaultUser owns what is created, and relative paths start at its home.
	DefaultUser func() string
	// replacing is held from the look at what a file is to its replacement, so that no write is lost between two.
	replacing sync.Mutex
}

// Resolve makes a path absolute. Throws invalid_path and, for a relative path, user_not_found.
func (t *Tree) Resolve(path string) (string, error) {
	if path == "" {
		return "", fault.New(fault.InvalidPath, "The path is empty.")
	}
	if strings.IndexByte(path, 0) >= 0 {
		return "", fault.New(fault.InvalidPath, "The path holds a NUL byte.")
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	user, err := t.Users.Lookup(t.DefaultUser())
	if err != nil {
		return "", err
	}
	if path == "~" || strings.HasPrefix(path, "~/") {
		path = path[1:]
	}
	return filepath.Join("/", user.Home, path), nil
}

// Owner finds who is to own what is created.
func (t *Tree) Owner(name string) (users.User, error) {
	if name == "" {
		name = t.DefaultUser()
	}
	return t.Users.Lookup(name)
}

// Stat describes one file; with follow, what a symlink leads to.
func (t *Tree) Stat(path string, follow bool) (Info, error) {
	var st syscall.Stat_t
	stat := syscall.Lstat
	if follow {
		stat = syscall.Stat
	}
	if err := stat(path, &st); err != nil {
		return Info{}, fault.Of(err, path)
	}
	t.Users.Refresh()
	return t.info(path, &st), nil
}

func (t *Tree) info(path string, st *syscall.Stat_t) Info {
	modified := time.Unix(int64(st.Mtim.Sec), int64(st.Mtim.Nsec)).UTC()
	if year := modified.Year(); year < 0 || year > 9999 {
		modified = time.Unix(0, 0).UTC() // RFC 3339 has four digits
	}
	info := Info{
		Path: path, Name: filepath.Base(path), Kind: "other", Size: st.Size, Mode: st.Mode & 0o7777,
		User: t.Users.UserName(st.Uid), Group: t.Users.GroupName(st.Gid), ModifiedAt: modified.Format("2006-01-02T15:04:05.000Z"),
	}
	switch {
	case isRegular(st):
		info.Kind = "file"
	case isDir(st):
		info.Kind = "directory"
	case isLink(st):
		info.Kind = "symlink"
		if target, err := os.Readlink(path); err == nil {
			info.Target = &target
		}
	}
	return info
}

// List describes what is below a directory, so many levels deep, sorted by path.
func (t *Tree) List(path string, depth int) ([]Info, error) {
	t.Users.Refresh()
	list := []Info{}
	var walk func(dir string, depth int) error
	walk = func(dir string, depth int) error {
		names, err := namesIn(dir)
		if err != nil {
			return err
		}
		if len(list)+len(names) > MaxListed {
			return fault.New(fault.PayloadTooLarge, "%s holds more than %d entries; list less deep.", path, MaxListed)
		}
		for _, name := range names {
			file := filepath.Join(dir, name)
			var st syscall.Stat_t
			if syscall.Lstat(file, &st) != nil {
				continue // removed meanwhile
			}
			list = append(list, t.info(file, &st))
			if depth > 1 && isDir(&st) {
				// A directory that vanished or may not be read does not spoil the rest.
				if err := walk(file, depth-1); err != nil && fault.Of(err, "").Code == fault.PayloadTooLarge {
					return err
				}
			}
		}
		return nil
	}
	if err := walk(path, depth); err != nil {
		return nil, fault.Of(err, path)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
	return list, nil
}

func namesIn(dir string) ([]string, error) {
	file, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names, err := file.Readdirnames(MaxListed + 1)
	if err == io.EOF {
		err = nil
	}
	return names, err
}

func modTime(st *syscall.Stat_t) time.Time { return time.Unix(int64(st.Mtim.Sec), int64(st.Mtim.Nsec)) }
