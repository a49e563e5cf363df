package netlink

import (
	"encoding/binary"
	"fmt"
	"net"
	"syscall"
	"unsafe"
)

// ifreq of netdevice(7), as far as it is used here.
type ifreq struct {
	name  [syscall.IFNAMSIZ]byte
	value [24]byte
}

// ask makes an ioctl about one link of the calling thread's namespace. Unlike a netlink dump, that takes the same time however many links there are,
// and does not wait for the lock that changes of links hold.
func ask(name string, what uintptr) (ifreq, error) {
	request := ifreq{}
	if len(name) >= len(request.name) {
		return request, fmt.Errorf("link name %q: %w", name, syscall.EINVAL)
	}
	copy(request.name[:], name)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return request, err
	}
	defer syscall.Close(fd)
	if _, _, failed := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), what, uintptr(unsafe.Pointer(&request))); failed != 0 {
		return request, fmt.Errorf("link %s: %w", name, failed)
	}
	return request, nil
}

// Index is the number of a link in the namespace of the calling thread. ENODEV when there is none.
func Index(name string) (int, error) {
	answer, err := ask(name, syscall.SIOCGIFINDEX)
	if err != nil {
		return 0, err
	}
	return int(binary.LittleEndian.Uint32(answer.value[:])), nil
}

// Address is the first IPv4 address of a link in the namespace of the calling thread. ENODEV without the link, EADDRNOTAVAIL without an address.
func Address(name string) (net.IP, error) {
	answer, err := ask(name, syscall.SIOCGIFADDR)
	if err != nil {
		return nil, err
	}
	// A sockaddr_in: family, port, address.
	return net.IP(append([]byte{}, answer.value[4:8]...)), nil
}
