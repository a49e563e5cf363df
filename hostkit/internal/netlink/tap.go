package netlink

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"syscall"
	"unsafe"
)

const (
	tunDevice       = "/dev/net/tun"
	tunSetIff       = 0x400454ca // TUNSETIFF of linux/if_tun.h
	tapFlags        = 0x0002 | 0x1000 | 0x4000
	tunExcl         = 0x8000 // IFF_TUN_EXCL: not one that is there already
	siocSetMTU      = 0x8922 // linux/sockios.h
	siocSetHardware = 0x8924
	siocQueue       = 0x8943 // SIOCSIFTXQLEN
	queueLength     = 1000
	// linux/neighbour.h
	neighbourPermanent = 0x80
	neighbourAddress   = 1
	neighbourHardware  = 2
)

// Tap makes a link in the calling thread's namespace whose other side is the returned file, with a header before each packet
// (IFF_VNET_HDR). It is gone when the last copy of the file is closed. EBUSY when the name is taken.
func Tap(name string, mtu int) (*os.File, error) {
	file, err := os.OpenFile(tunDevice, os.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	request := ifreq{}
	copy(request.name[:syscall.IFNAMSIZ-1], name)
	binary.LittleEndian.PutUint16(request.value[:], tapFlags|tunExcl)
	// Not by file.Fd of a file that Go polls: it was opened blocking.
	if _, _, failed := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), tunSetIff, uintptr(unsafe.Pointer(&request))); failed != 0 {
		_ = file.Close()
		return nil, fmt.Errorf("make link %s: %w", name, failed)
	}
	for what, number := range map[uintptr]uint32{siocSetMTU: uint32(mtu), siocQueue: queueLength} {
		value := [24]byte{}
		binary.LittleEndian.PutUint32(value[:], number)
		if err := change(name, what, value); err != nil {
			_ = file.Close()
			return nil, err
		}
	}
	return file, nil
}

func change(name string, what uintptr, value [24]byte) error {
	request := ifreq{value: value}
	copy(request.name[:syscall.IFNAMSIZ-1], name)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	if _, _, failed := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), what, uintptr(unsafe.Pointer(&request))); failed != 0 {
		return fmt.Errorf("link %s: %w", name, failed)
	}
	return nil
}

// SetHardware gives a link of the calling thread's namespace another hardware address.
func SetHardware(name, mac string) error {
	address, err := net.ParseMAC(mac)
	if err != nil {
		return err
	}
	value := [24]byte{}
	binary.LittleEndian.PutUint16(value[:], syscall.ARPHRD_ETHER)
	copy(value[2:], address)
	return change(name, siocSetHardware, value)
}

// AddNeighbour says for good which hardware address an address on a link has.
func (c *Conn) AddNeighbour(index int, address net.IP, mac string) error {
	hardware, err := net.ParseMAC(mac)
	if err != nil {
		return err
	}
	// struct ndmsg of linux/neighbour.h: family, interface, state.
	header := make([]byte, 12)
	header[0] = syscall.AF_INET
	binary.LittleEndian.PutUint32(header[4:], uint32(index))
	binary.LittleEndian.PutUint16(header[8:], neighbourPermanent)
	body := join(header, attribute(neighbourAddress, address.To4()), attribute(neighbourHardware, hardware))
	if err := c.order(syscall.RTM_NEWNEIGH, syscall.NLM_F_CREATE|syscall.NLM_F_REPLACE, body); err != nil {
		return fmt.Errorf("add neighbour %s: %w", address, err)
	}
	return nil
}
