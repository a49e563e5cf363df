// Package sftp serves files to one client of SFTP version 3, with the rights of the process that it runs in.
package sftp

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"

	"gibil.dev/boxd/internal/users"
)

const (
	statusOK          = 0
	statusEOF         = 1
	statusNoSuchFile  = 2
	statusDenied      = 3
	statusFailure     = 4
	statusBadMessage  = 5
	statusUnsupported = 8
)

const (
	// maxHandles bounds what one client has open.
	maxHandles = 1024
	// listedAtOnce is how many names one answer holds, as in OpenSSH.
	listedAtOnce = 100
)

var errUnsupported = errors.New("operation unsupported")

// handle is an open file, or a directory that is being read.
type handle struct {
	file   *os.File
	append bool
}

type server struct {
	out     *bufio.Writer
	names   *users.DB
	handles map[string]*handle
	next    uint64
}

// Serve answers until its input ends, or is no SFTP.
func Serve(input io.Reader, output io.Writer) {
	_ = os.Chdir(os.Getenv("HOME")) // which relative paths are relative to; a user need not have one
	in := bufio.NewReaderSize(input, 64<<10)
	s := &server{out: bufio.NewWriterSize(output, 64<<10), names: users.System(), handles: map[string]*handle{}}
	for {
		packet, err := readPacket(in)
		if err != nil {
			return
		}
		if _, err := s.out.Write(s.answer(packet)); err != nil {
			return
		}
		// More is waiting to be answered: one write for all of it.
		if in.Buffered() > 0 {
			continue
		}
		if s.out.Flush() != nil {
			return
		}
	}
}

func (s *server) answer(packet []byte) []byte {
	kind := packet[0]
	r := &request{left: packet[1:]}
	if kind == fxpInit {
		return version()
	}
	id := r.uint32()
	answer, err := s.do(kind, id, r)
	if r.bad {
		answer, err = nil, errBadMessage
	}
	if answer != nil && err == nil {
		return answer.bytes()
	}
	return status(id, err)
}

func version() []byte {
	v := newReply(fxpVersion, 3)
	for _, name := range []string{"posix-rename@openssh.com", "hardlink@openssh.com", "fsync@openssh.com"} {
		v.text(name).text("1")
	}
	return v.text("statvfs@openssh.com").text("2").text("expand-path@openssh.com").text("1").text("limits@openssh.com").text("1").bytes()
}

func status(id uint32, err error) []byte {
	code, message := uint32(statusOK), "Success"
	if err != nil {
		code, message = codeOf(err), err.Error()
	}
	return newReply(fxpStatus, id).uint32(code).text(message).text("").bytes()
}

func codeOf(err error) uint32 {
	switch {
	case errors.Is(err, io.EOF):
		return statusEOF
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		return statusNoSuchFile
	case errors.Is(err, os.ErrPermission):
		return statusDenied
	case errors.Is(err, errBadMessage):
		return statusBadMessage
	case errors.Is(err, errUnsupported):
		return statusUnsupported
	}
	return statusFailure
}

func (s *server) keep(id uint32, file *os.File, appends bool) (*reply, error) {
	if len(s.handles) >= maxHandles {
		file.Close()
		return nil, syscall.EMFILE
	}
	s.next++
	name := strconv.FormatUint(s.next, 10)
	s.handles[name] = &handle{file, appends}
	return newReply(fxpHandle, id).text(name), nil
}

func (s *server) handle(r *request) (*handle, string, error) {
	name := r.text()
	if h, ok := s.handles[name]; ok {
		return h, name, nil
	}
	return nil, "", errors.New("no such handle")
}
