package jobs

import (
	"os"
	"syscall"
	"unsafe"

	"gibil.dev/boxd/internal/fault"
)

// Size of a terminal in characters.
type Size struct {
	Cols int `json:"cols"`
	Rows int `json:"rows"`
}

func (s Size) check() error {
	if s.Cols < 1 || s.Cols > 1000 || s.Rows < 1 || s.Rows > 1000 {
		return fault.New(fault.InvalidRequest, "A terminal has 1 to 1000 columns and rows, not %d by %d.", s.Cols, s.Rows)
	}
	return nil
}

const tiocgptpeer = 0x5441 // linux/asm-generic/ioctls.h: opens the other end without any path

// openPty opens a new terminal pair. The slave belongs to the user, as login(1) does it.
func openPty(size Size, uid uint32) (master, slave int, err error) {
	master, err = syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, 0, fault.New(fault.LimitReached, "No terminal can be opened in this box: %v", err)
	}
	fail := func(err error) (int, int, error) {
		syscall.Close(master)
		return 0, 0, fault.New(fault.Internal, "The terminal could not be set up: %v", err)
	}
	var unlock int32
	if err := ioctl(uintptr(master), syscall.TIOCSPTLCK, uintptr(unsafe.Pointer(&unlock))); err != nil {
		return fail(err)
	}
	peer, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(master), tiocgptpeer,
		syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC)
	if errno != 0 {
		return fail(errno)
	}
	slave = int(peer)
	if os.Geteuid() == 0 {
		_ = syscall.Fchown(slave, int(uid), -1)
	}
	_ = syscall.Fchmod(slave, 0o620)
	if err := setSize(uintptr(master), size); err != nil {
		syscall.Close(slave)
		return fail(err)
	}
	return master, slave, nil
}

func setSize(fd uintptr, size Size) error {
	window := struct{ rows, cols, x, y uint16 }{rows: uint16(size.Rows), cols: uint16(size.Cols)}
	return ioctl(fd, syscall.TIOCSWINSZ, uintptr(unsafe.Pointer(&window)))
}

// buffered says how many bytes can be read at once.
func buffered(fd uintptr) int {
	var n int32
	if ioctl(fd, syscall.TIOCINQ, uintptr(unsafe.Pointer(&n))) != nil || n < 0 {
		return 0
	}
	return int(n)
}

func ioctl(fd, request, argument uintptr) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, argument); errno != 0 {
		return errno
	}
	return nil
}
