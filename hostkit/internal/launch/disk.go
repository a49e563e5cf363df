package launch

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

const (
	// maxWritten bounds what a client may have such a program write, in bytes: a journal that is replayed. The program ends at that.
	maxWritten      = 2 << 30
	setNoNewPrivs   = 38 // PR_SET_NO_NEW_PRIVS, linux/prctl.h
	clientsThatWait = 1
	firstUserID     = 1000
	firstPort       = 1024
)

// Disk is a program that serves a disk to one virtual machine, and to nobody else: it is in the network namespace of that machine's process. At descriptor 4 it
// finds its scratch file, and then its files.
type Disk struct {
	Program
	// Machine is the process whose network namespace it is in.
	Machine int `json:"machine"`
	// Port of the host's side of the control link.
	Port int `json:"port"`
	// UID is the user and group that the program runs as.
	UID int `json:"uid"`
	// Scratch is a file that the program may write to, its first one. It loses its name, so that it goes with the program.
	Scratch string `json:"scratch"`
}

func (d Disk) check() error {
	if d.Machine < 2 || d.Port < firstPort || d.Port > 65_535 || d.UID < firstUserID {
		return errno.Invalidf("a disk has a machine's process, a port from %d and a user id from %d", firstPort, firstUserID)
	}
	if err := errno.CheckPath(d.Scratch); err != nil {
		return err
	}
	return d.Program.check()
}

// become does not return when all goes well, as that of a machine. The program finds its socket as systemd would give it: sd_listen_fds(3).
func (d Disk) become() error {
	files, err := d.prepare()
	if err != nil {
		return err
	}
	scratch, err := d.openScratch()
	if err != nil {
		return err
	}
	if err := enter(d.Machine); err != nil {
		return err
	}
	socket, err := listen(d.Port)
	if err != nil {
		return err
	}
	if err := d.giveUp(); err != nil {
		return err
	}
	if err := inherit(socketFD, append([]*os.File{socket, scratch}, files...)); err != nil {
		return err
	}
	return d.execute(append(os.Environ(), "LISTEN_FDS=1", "LISTEN_PID="+strconv.Itoa(os.Getpid())))
}

func (d Disk) openScratch() (*os.File, error) {
	file, err := os.OpenFile(d.Scratch, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	// The program opens it anew by its descriptor, as the user that it is then.
	if err := file.Chown(d.UID, d.UID); err != nil {
		return nil, err
	}
	return file, os.Remove(d.Scratch)
}

func enter(pid int) error {
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer namespace.Close()
	there, err := namespace.Stat()
	if err != nil {
		return err
	}
	here, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		return err
	}
	if os.SameFile(there, here) {
		return errno.Invalidf("process %d is in the network namespace of the host", pid)
	}
	return sys.Enter(namespace, syscall.CLONE_NEWNET)
}

func listen(port int) (*os.File, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	socket := os.NewFile(uintptr(fd), "disk")
	// One that served there a moment ago may have left connections that linger.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	address := syscall.SockaddrInet4{Port: port}
	copy(address.Addr[:], net.ParseIP(controlHost).To4())
	if err := syscall.Bind(fd, &address); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	return socket, os.NewSyscallError("listen", syscall.Listen(fd, clientsThatWait))
}

// giveUp leaves the program nothing but what is open: no user that anything belongs to, no way to become another, and a bound to what it writes.
func (d Disk) giveUp() error {
	limit := syscall.Rlimit{Cur: maxWritten, Max: maxWritten}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return os.NewSyscallError("setrlimit", err)
	}
	if err := syscall.Setgroups(nil); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	if err := syscall.Setresgid(d.UID, d.UID, d.UID); err != nil {
		return os.NewSyscallError("setresgid", err)
	}
	if err := syscall.Setresuid(d.UID, d.UID, d.UID); err != nil {
		return os.NewSyscallError("setresuid", err)
	}
	if _, _, failed := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0); failed != 0 {
		return os.NewSyscallError("prctl", failed)
	}
	return nil
}
