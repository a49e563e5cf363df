package guest

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
)

const (
	// diskHost is the host's side of the control link, where it serves disks to this machine (hostkit/internal/launch).
	diskHost = "169.254.77.1"
	// socketNamespace is SIOCGSKNS of linux/sockios.h: the network namespace of a socket.
	socketNamespace = 0x894c
	diskPatience    = 10 * time.Second
	// A server that is gone without a word, as where this machine went on as a copy of another, is noticed within 25 s.
	keepIdle, keepInterval, keepCount = 10, 5, 3
)

// dialDisk connects to a port of the host by the control link, which the listener's namespace alone has.
func dialDisk(listener net.Listener, port int) (*os.File, error) {
	raw, err := listener.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var namespace uintptr
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) { namespace, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, socketNamespace, 0) })
	if err != nil {
		return nil, err
	}
	if errno != 0 {
		return nil, os.NewSyscallError("SIOCGSKNS", errno)
	}
	defer syscall.Close(int(namespace))
	type result struct {
		socket *os.File
		err    error
	}
	results := make(chan result, 1)
	go func() {
		// Never unlocked: the thread ends with this, and a socket stays in the namespace it was made in.
		runtime.LockOSThread()
		socket, err := connectIn(namespace, port)
		results <- result{socket, err}
	}()
	got := <-results
	return got.socket, got.err
}

func connectIn(namespace uintptr, port int) (*os.File, error) {
	if _, _, errno := syscall.RawSyscall(sysSetns, namespace, syscall.CLONE_NEWNET, 0); errno != 0 {
		return nil, os.NewSyscallError("setns", errno)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	socket := os.NewFile(uintptr(fd), "disk")
	err = setPatience(socket, diskPatience)
	if err == nil {
		address := syscall.SockaddrInet4{Port: port}
		copy(address.Addr[:], net.ParseIP(diskHost).To4())
		err = syscall.Connect(fd, &address)
	}
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("connect to port %d of the host: %w", port, err)
	}
	for option, value := range map[int]int{
		syscall.TCP_NODELAY: 1, syscall.TCP_KEEPIDLE: keepIdle, syscall.TCP_KEEPINTVL: keepInterval, syscall.TCP_KEEPCNT: keepCount,
	} {
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, option, value)
	}
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	return socket, nil
}

// setPatience bounds every wait on a socket; 0 is none.
func setPatience(socket *os.File, limit time.Duration) error {
	wait := syscall.NsecToTimeval(limit.Nanoseconds())
	for _, option := range []int{syscall.SO_RCVTIMEO, syscall.SO_SNDTIMEO} {
		if err := syscall.SetsockoptTimeval(int(socket.Fd()), syscall.SOL_SOCKET, option, &wait); err != nil {
			return err
		}
	}
	return nil
}
