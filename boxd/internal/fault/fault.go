// Package fault holds the one error type of boxd: a code of the shared error table and a message for a person.
package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Codes of packages/contract/src/errors.ts that boxd answers with.
const (
	InvalidRequest   = "invalid_request"
	InvalidPath      = "invalid_path"
	PermissionDenied = "permission_denied"
	FileNotFound     = "file_not_found"
	JobNotFound      = "job_not_found"
	NotFound         = "not_found"
	FileConflict     = "file_conflict"
	WrongState       = "wrong_state"
	PayloadTooLarge  = "payload_too_large"
	CommandNotFound  = "command_not_found"
	UserNotFound     = "user_not_found"
	LimitReached     = "limit_reached"
	BoxdUnreachable  = "boxd_unreachable"
	PortClosed       = "port_closed"
	DiskFull         = "disk_full"
	Internal         = "internal"
)

// Error is what a caller of boxd gets to see.
type Error struct {
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Message }

// New makes an error with a code.
func New(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Of turns any error into one with a code. what names the thing in question, such as a path.
func Of(err error, what string) *Error {
	var coded *Error
	if errors.As(err, &coded) {
		return coded
	}
	code, reason := classify(err)
	return New(code, "%s: %s", what, reason)
}

func classify(err error) (code, reason string) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return FileNotFound, "does not exist"
		case errors.Is(err, fs.ErrExist):
			return FileConflict, "exists already"
		case errors.Is(err, fs.ErrPermission):
			return PermissionDenied, "permission denied"
		}
		return Internal, err.Error()
	}
	switch errno {
	case syscall.ENOENT:
		return FileNotFound, "does not exist"
	case syscall.EACCES, syscall.EPERM, syscall.EROFS:
		return PermissionDenied, errno.Error()
	case syscall.EEXIST, syscall.EISDIR, syscall.ENOTDIR, syscall.ENOTEMPTY, syscall.EBUSY, syscall.ETXTBSY:
		return FileConflict, errno.Error()
	case syscall.ENOSPC, syscall.EDQUOT:
		return DiskFull, errno.Error()
	case syscall.EFBIG:
		return PayloadTooLarge, errno.Error()
	case syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL, syscall.EILSEQ:
		return InvalidPath, errno.Error()
	case syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN, syscall.ENOMEM:
		return LimitReached, errno.Error()
	}
	return Internal, errno.Error()
}
