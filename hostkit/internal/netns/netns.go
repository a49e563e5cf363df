// Package netns makes the network of one box: a named namespace and a routed pair of links.
package netns

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/netlink"
)

// dir is where iproute2 looks for named namespaces.
const dir = "/run/netns"

// Network is what to make. Addresses are IPv4.
type Network struct {
	Netns        string `json:"netns"`
	Host         string `json:"host"`
	Guest        string `json:"guest"`
	GuestAddress string `json:"guestAddress"`
	Gateway      string `json:"gateway"`
	MAC          string `json:"mac"`
	MTU          int    `json:"mtu"`
}

type parsed struct {
	Network
	address, gateway net.IP
	mac              net.HardwareAddr
}

func (n Network) parse() (parsed, error) {
	mac, err := net.ParseMAC(n.MAC)
	if err != nil {
		return parsed{}, errno.Invalidf("mac: %v", err)
	}
	p := parsed{Network: n, address: net.ParseIP(n.GuestAddress).To4(), gateway: net.ParseIP(n.Gateway).To4(), mac: mac}
	if p.address == nil || p.gateway == nil {
		return p, errno.Invalidf("guestAddress and gateway are IPv4 addresses")
	}
	if err := checkName(n.Netns); err != nil {
		return p, err
	}
	for _, link := range []string{n.Host, n.Guest} {
		if link == "" || len(link) >= syscall.IFNAMSIZ {
			return p, errno.Invalidf("a link name has 1 to 15 characters, not %q", link)
		}
	}
	if n.MTU < 68 || n.MTU > 65535 {
		return p, errno.Invalidf("mtu is 68 to 65535")
	}
	return p, nil
}

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || name != filepath.Base(name) {
		return errno.Invalidf("a namespace name is one path element, not %q", name)
	}
	return nil
}

// Create makes the whole network anew: what an earlier try left is removed first, so that a half-made one never counts.
func Create(n Network) error {
	p, err := n.parse()
	if err != nil {
		return err
	}
	if complete(p) {
		return nil
	}
	if err := Destroy(n.Netns, n.Host); err != nil {
		return err
	}
	if err = create(p); err != nil {
		_ = Destroy(n.Netns, n.Host)
	}
	return err
}

// complete: the host's link is set last of all, so an address route by it means that nothing is missing.
func complete(p parsed) bool {
	mounted, err := isNamespace(filepath.Join(dir, p.Netns))
	if err != nil || !mounted {
		return false
	}
	link, err := net.InterfaceByName(p.Host)
	if err != nil || link.Flags&net.FlagUp == 0 {
		return false
	}
	addresses, err := link.Addrs()
	if err != nil {
		return false
	}
	for _, address := range addresses {
		if ip, _, err := net.ParseCIDR(address.String()); err == nil && ip.Equal(p.gateway) {
			return true
		}
	}
	return false
}

func create(p parsed) error {
	host, err := netlink.Open()
	if err != nil {
		return err
	}
	defer host.Close()
	if err := inNewNamespace(p.Netns, func(namespace *os.File) error {
		veth := netlink.Veth{Name: p.Host, Peer: p.Guest, PeerNS: int(namespace.Fd()), PeerMAC: p.mac, MTU: p.MTU}
		if err := host.AddVeth(veth); err != nil {
			return err
		}
		return setUpGuest(p)
	}); err != nil {
		return err
	}
	return setUpHost(host, p)
}

// inNewNamespace does its work on a thread in a new network namespace that is kept under the name. The thread ends with it, so no
// other work of this process can land there.
func inNewNamespace(name string, work func(namespace *os.File) error) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- func() error {
			if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
				return fmt.Errorf("new network namespace: %w", err)
			}
			path := filepath.Join(dir, name)
			point, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
			if err != nil {
				return err
			}
			point.Close()
			if err := syscall.Mount("/proc/thread-self/ns/net", path, "", syscall.MS_BIND, ""); err != nil {
				return fmt.Errorf("keep network namespace %s: %w", name, err)
			}
			namespace, err := os.Open("/proc/thread-self/ns/net")
			if err != nil {
				return err
			}
			defer namespace.Close()
			return work(namespace)
		}()
	}()
	return <-result
}

func setUpGuest(p parsed) error {
	// Before the link is up, so that it never gets an IPv6 address. A box's user namespace does not own this namespace: without the
	// last two, its root could neither bind port 80 nor ping.
	for _, setting := range [][2]string{
		{"ipv6/conf/all/disable_ipv6", "1"},
		{"ipv6/conf/default/disable_ipv6", "1"},
		{"ipv4/ip_unprivileged_port_start", "0"},
		{"ipv4/ping_group_range", "0 2147483647"},
	} {
		if err := writeSysctl(setting[0], setting[1]); err != nil {
			return err
		}
	}
	guest, err := netlink.Open()
	if err != nil {
		return err
	}
	defer guest.Close()
	loopback, err := netlink.Index("lo")
	if err != nil {
		return err
	}
	link, err := netlink.Index(p.Guest)
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return guest.SetUp(loopback) },
		func() error { return guest.AddAddress(link, p.address) },
		func() error { return guest.SetUp(link) },
		func() error { return guest.AddDefaultRoute(link, p.gateway) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func setUpHost(host *netlink.Conn, p parsed) error {
	for _, setting := range [][2]string{
		{"ipv6/conf/" + p.Host + "/disable_ipv6", "1"},
		{"ipv4/conf/" + p.Host + "/rp_filter", "1"},
		{"ipv4/conf/" + p.Host + "/accept_redirects", "0"},
		{"ipv4/conf/" + p.Host + "/send_redirects", "0"},
		{"ipv4/conf/" + p.Host + "/proxy_arp", "0"},
	} {
		if err := writeSysctl(setting[0], setting[1]); err != nil {
			return err
		}
	}
	link, err := netlink.Index(p.Host)
	if err != nil {
		return err
	}
	if err := host.SetUp(link); err != nil {
		return err
	}
	if err := host.AddHostRoute(link, p.address); err != nil {
		return err
	}
	return host.AddAddress(link, p.gateway)
}

// writeSysctl sets a value in the network namespace of the calling thread. A kernel without IPv6 has no such files, which is as good.
func writeSysctl(name, value string) error {
	err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
	if os.IsNotExist(err) && name[:4] == "ipv6" {
		return nil
	}
	return err
}

// Destroy removes a named namespace and a link of this side; either may be empty or gone.
func Destroy(name, host string) error {
	if host != "" {
		connection, err := netlink.Open()
		if err != nil {
			return err
		}
		defer connection.Close()
		if err := connection.DeleteLink(host); err != nil {
			return err
		}
	}
	if name == "" {
		return nil
	}
	if err := checkName(name); err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil && err != syscall.EINVAL && err != syscall.ENOENT {
		return &os.PathError{Op: "unmount", Path: path, Err: err}
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// isNamespace: a namespace file lies on nsfs (magic 0x6e736673), an empty mount point does not.
func isNamespace(path string) (bool, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		if err == syscall.ENOENT {
			return false, nil
		}
		return false, err
	}
	return stat.Type == 0x6e736673, nil
}
