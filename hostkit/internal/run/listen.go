package run

import (
	"net"
	"os"
	"path/filepath"
	"syscall"

	"gibil.dev/hostkit/internal/sys"
)

// backlog is how many connections may wait while the command starts; the kernel lowers it to net.core.somaxconn.
const backlog = 512

// listen makes a socket that root alone may connect to. It is named by its directory's descriptor, since the path of a socket has 107
// bytes at most. A socket that is there already is one that nobody listens at any more.
func listen(path string) (*os.File, error) {
	dir, err := os.OpenFile(filepath.Dir(path), sys.OPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return nil, err
		}
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	socket := os.NewFile(uintptr(fd), path)
	// Before it has its name, so that there is no moment in which others may connect: bind takes the mode from here.
	if err := syscall.Fchmod(fd, 0o600); err != nil {
		_ = socket.Close()
		return nil, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: sys.FDPath(int(dir.Fd())) + "/" + filepath.Base(path)}); err != nil {
		_ = socket.Close()
		return nil, err
	}
	if err := syscall.Listen(fd, backlog); err != nil {
		_ = os.Remove(path)
		_ = socket.Close()
		return nil, err
	}
	return socket, nil
}

// Listen makes such a socket for this process itself.
func Listen(path string) (net.Listener, error) {
	socket, err := listen(path)
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	listener, err := net.FileListener(socket)
	if err != nil {
		_ = os.Remove(path)
	}
	return listener, err
}
