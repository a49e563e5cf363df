package netlink

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"unsafe"
)

// ifreq of netdevice(7), as far as SIOCGIFINDEX uses it.
type ifreq struct {
	name  [syscall.IFNAMSIZ]byte
	value [24]byte
}

func indexBy(fd int, name string) (int, error) {
	if len(name) >= syscall.IFNAMSIZ {
		return 0, fmt.Errorf("link name %q: %w", name, syscall.EINVAL)
	}
	var request ifreq
	copy(request.name[:], name)
	_, _, failed := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCGIFINDEX, uintptr(unsafe.Pointer(&request)))
	if failed != 0 {
		return 0, fmt.Errorf("link %s: %w", name, failed)
	}
	return int(binary.LittleEndian.Uint32(request.value[:4])), nil
}
