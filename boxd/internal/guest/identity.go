package guest

import (
	"encoding/base64"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"gibil.dev/boxd/internal/fault"
)

// Network is how the box's own link is set. Addresses are IPv4; the gateway is on the link.
type Network struct {
	Address string `json:"address"`
	Gateway string `json:"gateway"`
	MAC     string `json:"mac"`
	MTU     int    `json:"mtu"`
}

// Identity is what makes a machine this box and no other, also when its memory was another's before. What is absent stays as it is.
type Identity struct {
	Hostname string `json:"hostname"`
	// Etc are files of /etc by name. With them a machine that has an init of its own also makes anew what that made: SSH host key, boot id.
	Etc map[string]string `json:"etc"`
	// Network null: the box has none. Used only with Hostname.
	Network *Network `json:"network"`
	// Entropy is base64 of random bytes of the host; the kernel's generator starts anew from it.
	Entropy string `json:"entropy"`
	// Time is what time it is.
	Time time.Time `json:"time"`
}

// etcNames may be given: what a container driver writes too.
var etcNames = map[string]bool{"hostname": true, "hosts": true, "resolv.conf": true, "machine-id": true}

const (
	rndAddEntropy = 0x40085203 // linux/random.h
	rndReseedCRNG = 0x5207
	routeAdd      = syscall.SIOCADDRT
)

// Take gives this machine its identity. It may be taken again.
func Take(id Identity) error {
	for name := range id.Etc {
		if !etcNames[name] {
			return fault.New(fault.InvalidRequest, "%q is no file of /etc that the host gives.", name)
		}
	}
	entropy, err := base64.StdEncoding.DecodeString(id.Entropy)
	if err != nil || len(entropy) > 512 {
		return fault.New(fault.InvalidRequest, "entropy is base64 of at most 512 bytes.")
	}
	if !id.Time.IsZero() {
		now := syscall.NsecToTimeval(id.Time.UnixNano())
		if err := syscall.Settimeofday(&now); err != nil {
			return os.NewSyscallError("settimeofday", err)
		}
	}
	if len(entropy) > 0 {
		if err := reseed(entropy); err != nil {
			return err
		}
	}
	if id.Hostname == "" {
		return nil
	}
	if err := syscall.Sethostname([]byte(id.Hostname)); err != nil {
		return os.NewSyscallError("sethostname", err)
	}
	for name, text := range id.Etc {
		if err := writeEtc(name, text); err != nil {
			return err
		}
	}
	if len(id.Etc) > 0 && os.Getpid() != 1 {
		if err := renew(); err != nil {
			return err
		}
	}
	return id.Network.apply()
}

// reseed makes the kernel's random numbers differ from those of every machine that had the same memory.
func reseed(entropy []byte) error {
	random, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer random.Close()
	info := make([]byte, 8+len(entropy))
	binary.LittleEndian.PutUint32(info, uint32(8*len(entropy)))
	binary.LittleEndian.PutUint32(info[4:], uint32(len(entropy)))
	copy(info[8:], entropy)
	if err := ioctl(random, rndAddEntropy, unsafe.Pointer(&info[0])); err != nil {
		return os.NewSyscallError("RNDADDENTROPY", err)
	}
	if err := ioctl(random, rndReseedCRNG, nil); err != nil {
		return os.NewSyscallError("RNDRESEEDCRNG", err)
	}
	return nil
}

// writeEtc writes the file in place, which takes a file system much less than to replace it: a box's first answer waits for this. Never through a
// link that the image has laid.
func writeEtc(name, text string) error {
	path := filepath.Join("/etc", name)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return nil
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	} else if os.IsNotExist(err) {
		if err := os.MkdirAll("/etc", 0o755); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if info, failed := file.Stat(); err == nil && (failed != nil || info.Size() > int64(len(text))) {
		err = file.Truncate(int64(len(text)))
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// apply sets up the box's link; without a network it is taken down.
func (n *Network) apply() error {
	if n == nil {
		return setDown(boxLink)
	}
	address, gateway := net.ParseIP(n.Address).To4(), net.ParseIP(n.Gateway).To4()
	mac, err := net.ParseMAC(n.MAC)
	if address == nil || gateway == nil || err != nil || len(mac) != 6 || n.MTU < 68 || n.MTU > 65_535 {
		return fault.New(fault.InvalidRequest, "A network has two IPv4 addresses, a hardware address and an MTU.")
	}
	for _, step := range []func() error{
		func() error { return setDown(boxLink) },
		func() error { return setHardware(boxLink, mac) },
		func() error { return setMTU(boxLink, n.MTU) },
		func() error { return setAddress(boxLink, address, 32) },
		func() error { return setUp(boxLink) },
		func() error { return addRoute(gateway, nil) },
		func() error { return addRoute(net.IPv4zero, gateway) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// route is struct rtentry of linux/route.h on 64-bit machines.
type route struct {
	_                             uint64
	destination, gateway, genmask [16]byte
	flags                         uint16
	_                             int16
	_, _                          uint64
	metric                        int16
	device                        *byte
	_, _                          uint64
	_                             uint16
}

// addRoute routes one address by the box's link or, by a gateway, everything.
func addRoute(destination, gateway net.IP) error {
	device, err := syscall.BytePtrFromString(boxLink)
	if err != nil {
		return err
	}
	r := route{flags: syscall.RTF_UP, device: device}
	putAddress(r.destination[:], destination)
	if gateway == nil {
		r.flags |= syscall.RTF_HOST
	} else {
		r.flags |= syscall.RTF_GATEWAY
		putAddress(r.gateway[:], gateway)
		putAddress(r.genmask[:], net.IPv4zero)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), routeAdd, uintptr(unsafe.Pointer(&r)))
	runtime.KeepAlive(device)
	if errno != 0 && errno != syscall.EEXIST {
		return os.NewSyscallError("SIOCADDRT", errno)
	}
	return nil
}
