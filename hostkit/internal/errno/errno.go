// Package errno turns Go errors into the codes of the hostkit protocol.
package errno

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
)

var names = map[syscall.Errno]string{
	syscall.EACCES: "EACCES", syscall.EADDRINUSE: "EADDRINUSE", syscall.EADDRNOTAVAIL: "EADDRNOTAVAIL", syscall.EAGAIN: "EAGAIN",
	syscall.EBADF: "EBADF", syscall.EBUSY: "EBUSY", syscall.ECHILD: "ECHILD", syscall.EEXIST: "EEXIST", syscall.EFBIG: "EFBIG",
	syscall.EINTR: "EINTR", syscall.EINVAL: "EINVAL", syscall.EIO: "EIO", syscall.EISDIR: "EISDIR", syscall.ELOOP: "ELOOP",
	syscall.EMFILE: "EMFILE", syscall.ENAMETOOLONG: "ENAMETOOLONG", syscall.ENETUNREACH: "ENETUNREACH", syscall.ENFILE: "ENFILE",
	syscall.ENODEV: "ENODEV", syscall.ENOENT: "ENOENT", syscall.ENOEXEC: "ENOEXEC", syscall.ENOMEM: "ENOMEM", syscall.ENOSPC: "ENOSPC",
	syscall.ENOSYS: "ENOSYS", syscall.ENOTDIR: "ENOTDIR", syscall.ENOTEMPTY: "ENOTEMPTY", syscall.ENXIO: "ENXIO",
	syscall.EOPNOTSUPP: "EOPNOTSUPP", syscall.EOVERFLOW: "EOVERFLOW", syscall.EPERM: "EPERM", syscall.EROFS: "EROFS",
	syscall.ESRCH: "ESRCH", syscall.ESTALE: "ESTALE", syscall.ETIMEDOUT: "ETIMEDOUT", syscall.EUSERS: "EUSERS",
	syscall.EAFNOSUPPORT: "EAFNOSUPPORT", syscall.EBADMSG: "EBADMSG", syscall.ECANCELED: "ECANCELED", syscall.EDQUOT: "EDQUOT",
	syscall.EHOSTUNREACH: "EHOSTUNREACH", syscall.ENETDOWN: "ENETDOWN", syscall.ENOBUFS: "ENOBUFS", syscall.ENODATA: "ENODATA",
	syscall.ENOTBLK: "ENOTBLK", syscall.EPIPE: "EPIPE", syscall.EUCLEAN: "EUCLEAN", syscall.EXDEV: "EXDEV",
}

// Invalid is an argument that no call can be made with.
type Invalid struct{ Message string }

func (e Invalid) Error() string { return e.Message }

// Invalidf makes an Invalid error.
func Invalidf(format string, args ...any) error { return Invalid{fmt.Sprintf(format, args...)} }

// CheckPath refuses what is no absolute path.
func CheckPath(path string) error {
	if !filepath.IsAbs(path) || strings.IndexByte(path, 0) >= 0 {
		return Invalidf("%q is not an absolute path", path)
	}
	return nil
}

// TooMuch is the refusal of one request more.
func TooMuch(what string) error { return fmt.Errorf("%s: %w", what, syscall.EAGAIN) }

// MissingTool is a program that is not installed.
type MissingTool struct{ Program string }

func (e MissingTool) Error() string { return e.Program + " is not installed" }

// Code is the protocol's code of an error: an errno name, `invalid`, `missing_tool` or `failed`.
func Code(err error) string {
	var invalid Invalid
	if errors.As(err, &invalid) {
		return "invalid"
	}
	var missing MissingTool
	if errors.As(err, &missing) {
		return "missing_tool"
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		if name, known := names[number]; known {
			return name
		}
		return fmt.Sprintf("errno-%d", int(number))
	}
	if errors.Is(err, context.Canceled) {
		return "ECANCELED"
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "ENOENT"
	}
	return "failed"
}
