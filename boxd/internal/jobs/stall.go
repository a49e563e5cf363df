package jobs

import (
	"net"
	"syscall"
	"time"
	"unsafe"
)

const (
	// stallCheck is how often a client that takes nothing is looked at.
	stallCheck = 30 * time.Second
	// silence is how long a machine may say nothing at all before it counts as gone. One that is alive but takes nothing
	// answers window probes, at most 2 minutes apart.
	silence = 5 * time.Minute
)

// peerGone tells a client that is stuck (it stalls the command, as a pipe would) from a machine that vanished without a FIN.
// The kernel itself gives up only after some 15 minutes.
func peerGone(conn net.Conn) bool {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return false // the other end of a unix socket cannot vanish unnoticed
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	var info syscall.TCPInfo
	size := uint32(unsafe.Sizeof(info))
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	return err != nil || errno != 0 || time.Duration(info.Last_ack_recv)*time.Millisecond > silence
}
