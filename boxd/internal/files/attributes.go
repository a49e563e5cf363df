package files

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gibil.dev/boxd/internal/fault"
)

const (
	// maxAttribute is more than a value of the kernel's has (XATTR_SIZE_MAX, linux/limits.h), maxNames than all its names.
	maxAttribute = 64 << 10
	maxNames     = 64 << 10
)

// Details is what is told of a file beside Info when it is asked for.
type Details struct {
	// Prefix of the extended attributes to tell, such as "user.e2b."; none when empty.
	Prefix string
	// Links: where symbolic links lead to.
	Links bool
}

// Resolved is what a symbolic link leads to in the end.
type Resolved struct {
	Path string `json:"path"`
	Kind string `json:"kind"`
	Mode uint32 `json:"mode"`
}

// Describe adds details. What cannot be read is left out: the file may have gone meanwhile.
func (t *Tree) Describe(info *Info, details Details) {
	if details.Links && info.Kind == "symlink" {
		info.Resolved = t.resolved(info.Path)
	}
	if details.Prefix != "" && (info.Kind == "file" || info.Kind == "directory") {
		info.Attributes = attributesOf(info.Path, details.Prefix)
	}
}

func (t *Tree) resolved(path string) *Resolved {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil
	}
	var st syscall.Stat_t
	if syscall.Lstat(target, &st) != nil {
		return nil
	}
	info := t.info(target, &st)
	return &Resolved{Path: target, Kind: info.Kind, Mode: info.Mode}
}

// CheckPrefix refuses attributes that are not their user's own (xattr(7)).
func CheckPrefix(prefix string) error {
	if strings.HasPrefix(prefix, "user.") && strings.HasSuffix(prefix, ".") && len(prefix) > len("user.") {
		return nil
	}
	return fault.New(fault.InvalidRequest, "Attributes have a prefix such as \"user.x.\", not %q.", prefix)
}

// SetAttributes makes those with a prefix the given ones, and no others. Names are without the prefix.
func (t *Tree) SetAttributes(path, prefix string, set map[string]string) error {
	for name := range attributesOf(path, prefix) {
		if _, kept := set[name]; kept {
			continue
		}
		if err := syscall.Removexattr(path, prefix+name); err != nil && !errors.Is(err, syscall.ENODATA) {
			return fault.Of(&os.PathError{Op: "removexattr", Path: path, Err: err}, path)
		}
	}
	for name, value := range set {
		if err := syscall.Setxattr(path, prefix+name, []byte(value), 0); err != nil {
			return fault.Of(&os.PathError{Op: "setxattr", Path: path, Err: err}, path)
		}
	}
	return nil
}

func attributesOf(path, prefix string) map[string]string {
	names := make([]byte, maxNames)
	length, err := syscall.Listxattr(path, names)
	if err != nil || length == 0 {
		return nil
	}
	var found map[string]string
	for _, name := range strings.Split(strings.TrimSuffix(string(names[:length]), "\x00"), "\x00") {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		value := make([]byte, maxAttribute)
		size, err := syscall.Getxattr(path, name, value)
		if err != nil {
			continue
		}
		if found == nil {
			found = map[string]string{}
		}
		found[strings.TrimPrefix(name, prefix)] = string(value[:size])
	}
	return found
}
