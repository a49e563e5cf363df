package guest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"gibil.dev/boxd/internal/fault"
)

// ioctls of linux/nbd.h and linux/fs.h.
const (
	nbdSetSock       = 0xab00
	nbdSetBlockSize  = 0xab01
	nbdDoIt          = 0xab03
	nbdClearSock     = 0xab04
	nbdSetSizeBlocks = 0xab07
	nbdSetTimeout    = 0xab09
	nbdSetFlags      = 0xab0a
	blkSetReadOnly   = 0x125d
)

const (
	// nbdDevices is as many as the module is told to make: each takes memory and a thread of the kernel.
	nbdDevices = 4
	nbdModule  = "/lib/modules/%s/kernel/drivers/block/nbd.ko"
	// nbdTimeout is how many seconds a read may take before it fails with EIO, and with it the device.
	nbdTimeout = 30
	nbdReady   = 10 * time.Second
)

// nbdDevice is a block device whose blocks come from a server by a socket.
type nbdDevice struct {
	path   string
	file   *os.File
	socket *os.File
	// ended is closed when the device has no server any more.
	ended chan struct{}
}

// openNBD gives a socket, behind the handshake, to the first device that nobody uses, and waits until it can be read. The socket is the device's when
// there is no error.
func openNBD(socket *os.File, bytes uint64) (*nbdDevice, error) {
	if err := loadNBD(); err != nil {
		return nil, err
	}
	for index := 0; index < nbdDevices; index++ {
		device := &nbdDevice{path: fmt.Sprintf("/dev/nbd%d", index), socket: socket, ended: make(chan struct{})}
		free, err := device.open()
		if err != nil {
			return nil, err
		}
		if !free {
			continue
		}
		err = device.begin(bytes)
		if err == nil {
			return device, nil
		}
		device.file.Close()
		if err != syscall.EBUSY {
			return nil, err
		}
	}
	return nil, fault.New(fault.LimitReached, "The box has %d snapshots mounted already, as many as it can.", nbdDevices)
}

// loadNBD loads the kernel's part at first need, since most boxes have none.
func loadNBD() error {
	if _, err := os.Stat("/dev/nbd0"); err == nil {
		return nil
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	path := fmt.Sprintf(nbdModule, strings.TrimSpace(string(release)))
	if err := loadModule(path, fmt.Sprintf("nbds_max=%d max_part=0", nbdDevices)); err != nil {
		return fmt.Errorf("load %s: %w", path, err)
	}
	return nil
}

// open tells whether the device is free. A file system that was detached and is still in use keeps it: mounting it again would show what that one knew.
func (d *nbdDevice) open() (bool, error) {
	alone, err := os.OpenFile(d.path, os.O_RDONLY|syscall.O_EXCL, 0)
	if err != nil {
		if errors.Is(err, syscall.EBUSY) {
			return false, nil
		}
		return false, err
	}
	alone.Close()
	d.file, err = os.OpenFile(d.path, os.O_RDWR, 0)
	return err == nil, err
}

func (d *nbdDevice) begin(bytes uint64) error {
	set := make(chan error, 1)
	go d.serve(bytes, set)
	if err := <-set; err != nil {
		return err
	}
	for deadline := time.Now().Add(nbdReady); ; time.Sleep(time.Millisecond) {
		var there uint64
		if err := ioctl(d.file, blkGetSize64, unsafe.Pointer(&there)); err != nil {
			return err
		}
		if there == bytes {
			return nil
		}
		if time.Now().After(deadline) {
			d.end()
			return fmt.Errorf("%s does not become ready", d.path)
		}
	}
}

// serve is the device's own thread: the kernel wants all of this from one, which it keeps for as long as the device has its server.
func (d *nbdDevice) serve(bytes uint64, set chan<- error) {
	// Never unlocked, so that the thread, which takes no signals, ends with this. To the kernel a signal would be a wish to end the device.
	runtime.LockOSThread()
	all := ^uint64(0)
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, 0, uintptr(unsafe.Pointer(&all)), 0, 8, 0, 0)
	err := d.setUp(bytes)
	set <- err
	if err != nil {
		return
	}
	_ = d.do(nbdDoIt, 0)
	_ = d.do(nbdClearSock, 0)
	close(d.ended)
}

func (d *nbdDevice) setUp(bytes uint64) error {
	if err := d.do(nbdSetSock, d.socket.Fd()); err != nil {
		return err
	}
	writable := 0
	err := ioctl(d.file, blkSetReadOnly, unsafe.Pointer(&writable))
	for _, step := range []struct{ request, argument uintptr }{
		{nbdSetBlockSize, blockSize},
		{nbdSetSizeBlocks, uintptr(bytes / blockSize)},
		{nbdSetTimeout, nbdTimeout},
		{nbdSetFlags, flagHas | flagFlush},
	} {
		if err == nil {
			err = d.do(step.request, step.argument)
		}
	}
	if err != nil {
		_ = d.do(nbdClearSock, 0)
	}
	return err
}

func (d *nbdDevice) do(request, argument uintptr) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, d.file.Fd(), request, argument); errno != 0 {
		return errno
	}
	return nil
}

// seal lets nobody write to the device. Before, its file system has repaired itself from its journal.
func (d *nbdDevice) seal() error {
	sealed := 1
	return ioctl(d.file, blkSetReadOnly, unsafe.Pointer(&sealed))
}

func (d *nbdDevice) number() (uint64, error) {
	var stat syscall.Stat_t
	err := syscall.Fstat(int(d.file.Fd()), &stat)
	return stat.Rdev, err
}

// end takes the device's server away: what still reads from it fails. The server sees that its client is gone, and ends.
func (d *nbdDevice) end() {
	_ = syscall.Shutdown(int(d.socket.Fd()), syscall.SHUT_RDWR)
	<-d.ended
}

func (d *nbdDevice) close() {
	d.end()
	d.file.Close()
	d.socket.Close()
}

// The handshake of the NBD protocol (doc/proto.md of the project nbd), in its shortest form: the one export without a name.
const (
	nbdMagic      = "NBDMAGICIHAVEOPT"
	optionMagic   = "IHAVEOPT"
	optionExport  = 1
	fixedNewstyle = 1
	noZeroes      = 2
	flagHas       = 1
	flagFlush     = 4
)

// shakeHands returns the size of the server's disk.
func shakeHands(socket *os.File) (uint64, error) {
	var hello [18]byte
	if _, err := io.ReadFull(socket, hello[:]); err != nil {
		return 0, err
	}
	if string(hello[:16]) != nbdMagic || binary.BigEndian.Uint16(hello[16:])&(fixedNewstyle|noZeroes) != fixedNewstyle|noZeroes {
		return 0, fault.New(fault.BoxdUnreachable, "What serves the disk does not speak NBD.")
	}
	ask := binary.BigEndian.AppendUint32(nil, fixedNewstyle|noZeroes)
	ask = append(ask, optionMagic...)
	ask = binary.BigEndian.AppendUint32(ask, optionExport)
	ask = binary.BigEndian.AppendUint32(ask, 0)
	if _, err := socket.Write(ask); err != nil {
		return 0, err
	}
	var export [10]byte
	if _, err := io.ReadFull(socket, export[:]); err != nil {
		return 0, err
	}
	bytes := binary.BigEndian.Uint64(export[:])
	if bytes == 0 || bytes%blockSize != 0 {
		return 0, fault.New(fault.BoxdUnreachable, "A disk of %d bytes cannot be mounted.", bytes)
	}
	return bytes, nil
}
