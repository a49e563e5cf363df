package guest

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

const (
	// boxLink is the box's own network link, as it is called in a container too.
	boxLink = "eth0"
	// The two links are told apart by their hardware addresses, which the host gives the machine.
	controlMAC = "02:67:69:62:69:01"
	boxMAC     = "02:67:69:62:69:02"
	// controlAddress is on a link between this machine and its host alone, so it can be the same in every box.
	controlAddress = "169.254.77.2"
	controlPort    = 1
	controlMTU     = 65_000

	ioctlSetName     = 0x8923 // linux/sockios.h
	ioctlSetHardware = 0x8924
	iflaNetNsFd      = 28 // linux/if_link.h
)

// request is struct ifreq of netdevice(7).
type request struct {
	name  [syscall.IFNAMSIZ]byte
	value [24]byte
}

func newRequest(link string) *request {
	r := &request{}
	copy(r.name[:syscall.IFNAMSIZ-1], link)
	return r
}

func (r *request) send(what uintptr) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), what, uintptr(unsafe.Pointer(r))); errno != 0 {
		return fmt.Errorf("ioctl %#x of link %s: %w", what, string(r.name[:]), errno)
	}
	return nil
}

func setFlags(link string, flags uint16) error {
	r := newRequest(link)
	binary.LittleEndian.PutUint16(r.value[:], flags)
	return r.send(syscall.SIOCSIFFLAGS)
}

func setUp(link string) error   { return setFlags(link, syscall.IFF_UP) }
func setDown(link string) error { return setFlags(link, 0) }

func setAddress(link string, address net.IP, maskBits int) error {
	r := newRequest(link)
	putAddress(r.value[:], address)
	if err := r.send(syscall.SIOCSIFADDR); err != nil {
		return err
	}
	if address.IsUnspecified() {
		return nil
	}
	r = newRequest(link)
	putAddress(r.value[:], net.IP(net.CIDRMask(maskBits, 32)))
	return r.send(syscall.SIOCSIFNETMASK)
}

func setMTU(link string, mtu int) error {
	r := newRequest(link)
	binary.LittleEndian.PutUint32(r.value[:], uint32(mtu))
	return r.send(syscall.SIOCSIFMTU)
}

func setHardware(link string, mac net.HardwareAddr) error {
	r := newRequest(link)
	binary.LittleEndian.PutUint16(r.value[:], syscall.ARPHRD_ETHER)
	copy(r.value[2:], mac)
	return r.send(ioctlSetHardware)
}

func rename(link, name string) error {
	r := newRequest(link)
	copy(r.value[:syscall.IFNAMSIZ-1], name)
	return r.send(ioctlSetName)
}

// putAddress writes a sockaddr_in with that address.
func putAddress(to []byte, address net.IP) {
	binary.LittleEndian.PutUint16(to, syscall.AF_INET)
	copy(to[4:8], address.To4())
}

// linkOf finds a link by its hardware address.
func linkOf(mac string) (net.Interface, error) {
	links, err := net.Interfaces()
	if err != nil {
		return net.Interface{}, err
	}
	for _, link := range links {
		if link.HardwareAddr.String() == mac {
			return link, nil
		}
	}
	return net.Interface{}, fmt.Errorf("no link has the hardware address %s", mac)
}

// listenApart listens on the control link, which it first moves into a network namespace of its own. Nothing is in there but the listening socket,
// which keeps it: no process of the box sees the link or can connect to the socket, root included.
func listenApart() (net.Listener, error) {
	control, err := linkOf(controlMAC)
	if err != nil {
		return nil, err
	}
	if link, err := linkOf(boxMAC); err == nil && link.Name != boxLink {
		if control.Name == boxLink {
			if err := rename(boxLink, "control"); err != nil {
				return nil, err
			}
		}
		if err := rename(link.Name, boxLink); err != nil {
			return nil, err
		}
	}
	if err := setUp("lo"); err != nil {
		return nil, err
	}
	outside, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer outside.Close()
	type result struct {
		listener net.Listener
		err      error
	}
	results := make(chan result, 1)
	go func() {
		// Never unlocked: the thread ends with this, so that nothing else runs in the namespace.
		runtime.LockOSThread()
		listener, err := listenInNamespace(outside, control.Index)
		results <- result{listener, err}
	}()
	got := <-results
	return got.listener, got.err
}

func listenInNamespace(outside *os.File, index int) (net.Listener, error) {
	mover, err := openRoute()
	if err != nil {
		return nil, err
	}
	defer syscall.Close(mover)
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return nil, err
	}
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer here.Close()
	if err := withoutIPv6(); err != nil {
		return nil, err
	}
	if err := moveLink(mover, index, here); err != nil {
		return nil, fmt.Errorf("move link: %w", err)
	}
	link, err := linkOf(controlMAC)
	if err != nil {
		return nil, err
	}
	if err := setMTU(link.Name, controlMTU); err != nil {
		return nil, err
	}
	if err := setAddress(link.Name, net.ParseIP(controlAddress), 30); err != nil {
		return nil, err
	}
	if err := setUp(link.Name); err != nil {
		return nil, err
	}
	return net.Listen("tcp4", fmt.Sprintf("%s:%d", controlAddress, controlPort))
}

// openRoute opens a netlink socket of the namespace that the thread is in now.
func openRoute() (int, error) {
	return syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
}

// moveLink moves a link of the socket's namespace into another: RTM_NEWLINK of rtnetlink(7) with one attribute.
func moveLink(fd, index int, namespace *os.File) error {
	message := make([]byte, 40)
	order := binary.LittleEndian
	order.PutUint32(message[0:], uint32(len(message)))
	order.PutUint16(message[4:], syscall.RTM_NEWLINK)
	order.PutUint16(message[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_ACK)
	order.PutUint32(message[20:], uint32(index))
	order.PutUint16(message[32:], 8)
	order.PutUint16(message[34:], iflaNetNsFd)
	order.PutUint32(message[36:], uint32(namespace.Fd()))
	if err := syscall.Sendto(fd, message, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	count, _, err := syscall.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if count < 20 || order.Uint16(answer[4:]) != syscall.NLMSG_ERROR {
		return syscall.EBADMSG
	}
	if code := int32(order.Uint32(answer[16:])); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}
