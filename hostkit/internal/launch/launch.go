// Package launch starts the programs that are a virtual machine or serve disks to one. For a machine it joins the box's cgroups, makes its links, enters
// a network namespace in which nothing else is, and executes. All that it makes ends with that program.
package launch

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/netlink"
	"gibil.dev/hostkit/internal/netns"
)

// The program finds at these descriptors: the socket that this process was given, its two links, and then its files.
const (
	socketFD  = 3
	controlFD = 4
	boxFD     = 5
)

const (
	// controlHost is this side of the link by which boxd is reached. It is in the namespace of one box, so it is the same in all; so are the
	// hardware addresses, since a machine whose memory was another's remembers those of that one's link.
	controlHost    = "169.254.77.1"
	controlBox     = "169.254.77.2"
	controlHostMAC = "02:67:69:62:69:00"
	controlBoxMAC  = "02:67:69:62:69:01"
	// gatewayMAC is the host's side of a box's network, the same for each box and each of its lives, for the same reason: a machine that goes on
	// sends to the gateway that it remembers, and finds out only after half a minute that it is another.
	gatewayMAC = "02:67:69:62:69:02"
	controlMTU = 65_000
	cgroupRoot = "/sys/fs/cgroup/"
)

// Spec is the machine to become; its files are at descriptor 6 and above.
type Spec struct {
	Program
	// Link is the host's side of the box's network; absent, the box's link leads nowhere.
	Link *netns.HostLink `json:"link"`
	MTU  int             `json:"mtu"`
}

func (s Spec) check() error {
	if s.MTU < 68 || s.MTU > 65_535 {
		return errno.Invalidf("mtu is 68 to 65535")
	}
	if err := s.Program.check(); err != nil || s.Link == nil {
		return err
	}
	return netns.CheckLink(s.Link.Name)
}

// become does not return when all goes well. Its thread is locked to the calling goroutine, so that what it enters is what the program is in.
func (s Spec) become() error {
	files, err := s.prepare()
	if err != nil {
		return err
	}
	box, err := s.boxLink()
	if err != nil {
		return err
	}
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	control, err := controlLink()
	if err != nil {
		return err
	}
	if box == nil {
		if box, err = netlink.Tap("box", s.MTU); err != nil {
			return err
		}
	}
	if err := inherit(controlFD, append([]*os.File{control, box}, files...)); err != nil {
		return err
	}
	// The socket that this process was given.
	if _, _, failed := syscall.Syscall(syscall.SYS_FCNTL, socketFD, syscall.F_SETFD, 0); failed != 0 {
		return os.NewSyscallError("fcntl", failed)
	}
	return s.execute(os.Environ())
}

func (s Spec) boxLink() (*os.File, error) {
	if s.Link == nil {
		return nil, nil
	}
	tap, err := netlink.Tap(s.Link.Name, s.MTU)
	if err != nil {
		return nil, err
	}
	if err := netlink.SetHardware(s.Link.Name, gatewayMAC); err != nil {
		return nil, err
	}
	return tap, s.Link.SetUp()
}

// controlLink makes the host's side of the control link in the namespace that the thread is in now.
func controlLink() (*os.File, error) {
	for _, name := range []string{"all", "default"} {
		// So that the machine hears nothing from this side that it did not ask for.
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0); err != nil && !os.IsNotExist(err) {
			return nil, err
		}
	}
	tap, err := netlink.Tap("control", controlMTU)
	if err != nil {
		return nil, err
	}
	connection, err := netlink.Open()
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	link, err := netlink.Index("control")
	if err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error { return netlink.SetHardware("control", controlHostMAC) },
		func() error { return connection.AddAddress(link, net.ParseIP(controlHost)) },
		func() error { return connection.SetUp(link) },
		func() error { return connection.AddHostRoute(link, net.ParseIP(controlBox)) },
		// Known from the beginning: a machine that still boots would not answer who has the address, and the kernel asks but once a second.
		func() error { return connection.AddNeighbour(link, net.ParseIP(controlBox), controlBoxMAC) },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("control link: %w", err)
		}
	}
	return tap, nil
}
