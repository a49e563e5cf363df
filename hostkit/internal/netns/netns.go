// Package netns makes the network of one box: a named namespace and a routed pair of links.
package netns

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/keyed"
	"gibil.dev/hostkit/internal/netlink"
)

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
		if err := checkLink(link); err != nil {
			return p, err
		}
	}
	if n.MTU < 68 || n.MTU > 65535 {
		return p, errno.Invalidf("mtu is 68 to 65535")
	}
	return p, nil
}

// checkLink is dev_valid_name of the kernel.
func checkLink(name string) error {
	if name == "" || name == "." || name == ".." || len(name) >= syscall.IFNAMSIZ || strings.ContainsAny(name, "/: \t\n\v\f\r\x00") {
		return errno.Invalidf("%q is not a name of a link: 1 to 15 characters without blanks, \"/\" and \":\"", name)
	}
	return nil
}

// busy keeps calls about one namespace apart.
var busy keyed.Lock

// Create makes the whole network; what an earlier try left is removed first, so that a half-made one never counts.
func Create(n Network) error {
	p, err := n.parse()
	if err != nil {
		return err
	}
	return busy.Do(n.Netns, func() error {
		named, linked, err := remains(p)
		if err != nil {
			return err
		}
		if named && linked && complete(p) {
			return nil
		}
		if named || linked {
			if err := destroy(n.Netns, n.Host); err != nil {
				return err
			}
		}
		if err = create(p); err != nil {
			_ = destroy(n.Netns, n.Host)
		}
		return err
	})
}

// remains tells what of the network is there, in whatever state.
func remains(p parsed) (named, linked bool, err error) {
	if _, err := os.Lstat(filepath.Join(dir, p.Netns)); err == nil {
		named = true
	} else if !os.IsNotExist(err) {
		return false, false, err
	}
	_, err = netlink.Index(p.Host)
	if err != nil && !errors.Is(err, syscall.ENODEV) {
		return false, false, err
	}
	return named, err == nil, nil
}

// complete: the gateway's address is set last of all, so when the host's link has it nothing is missing.
func complete(p parsed) bool {
	if there, err := isNamespace(p.Netns); err != nil || !there {
		return false
	}
	address, err := netlink.Address(p.Host)
	return err == nil && address.Equal(p.gateway)
}

func create(p parsed) error {
	host, err := netlink.Open()
	if err != nil {
		return err
	}
	defer host.Close()
	if err := inNewNamespace(p.Netns, func(namespace *os.File) error {
		// The peer is made directly in the namespace: moving a link makes the kernel wait for all of its users.
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

// Renaming gives the host's end of a box's link another name: names carry what a box may reach.
type Renaming struct {
	From         string `json:"from"`
	To           string `json:"to"`
	GuestAddress string `json:"guestAddress"`
}

// Rename changes the name and gives the link its route again, which it loses meanwhile. Fine when it is done already; no packet passes while it is not.
func Rename(r Renaming) error {
	address := net.ParseIP(r.GuestAddress).To4()
	if address == nil {
		return errno.Invalidf("guestAddress is an IPv4 address")
	}
	for _, link := range []string{r.From, r.To} {
		if err := checkLink(link); err != nil {
			return err
		}
	}
	connection, err := netlink.Open()
	if err != nil {
		return err
	}
	defer connection.Close()
	link, err := netlink.Index(r.From)
	switch {
	case err == nil:
		if err := connection.Rename(link, r.To); err != nil {
			return err
		}
	case errors.Is(err, syscall.ENODEV):
		if link, err = netlink.Index(r.To); err != nil {
			return err
		}
		// An earlier try may have ended between the name and the rest.
		if err := connection.SetUp(link); err != nil {
			return err
		}
	default:
		return err
	}
	return connection.AddHostRoute(link, address)
}

// Withdrawal takes the host's end of a machine's link away from the host while the machine's process goes on to hold it.
type Withdrawal struct {
	Host string `json:"host"`
	Pid  int    `json:"pid"`
}

// Withdraw moves the link to where that process is, which nothing else is: it leads nowhere then. Fine when it is gone already.
func Withdraw(w Withdrawal) error {
	if err := checkLink(w.Host); err != nil {
		return err
	}
	if w.Pid < 2 {
		return errno.Invalidf("%d is no process of a machine", w.Pid)
	}
	connection, err := netlink.Open()
	if err != nil {
		return err
	}
	defer connection.Close()
	link, err := netlink.Index(w.Host)
	if errors.Is(err, syscall.ENODEV) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := connection.Move(link, w.Pid); err != nil {
		return err
	}
	if _, err := netlink.Index(w.Host); err == nil {
		return errno.Invalidf("process %d is in the network namespace of the host", w.Pid)
	}
	return nil
}

// Destroy removes a named namespace and a link of this side; either may be empty or gone.
func Destroy(name, host string) error {
	if name != "" {
		if err := checkName(name); err != nil {
			return err
		}
	}
	if host != "" {
		if err := checkLink(host); err != nil {
			return err
		}
	}
	return busy.Do(name, func() error { return destroy(name, host) })
}

func destroy(name, host string) error {
	if host != "" {
		if err := removeLink(host); err != nil {
			return err
		}
	}
	if name == "" {
		return nil
	}
	return forget(name)
}

// removeLink returns as soon as the link is gone for everybody who looks. The kernel goes on for some 15 ms, in which it waits for its own readers
// (netdev_run_todo); that takes the thread which asked, and nobody else needs to wait for it.
func removeLink(name string) error {
	if _, err := netlink.Index(name); errors.Is(err, syscall.ENODEV) {
		return nil
	}
	connection, err := netlink.Open()
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		defer connection.Close()
		done <- connection.DeleteLink(name)
	}()
	for wait := 200 * time.Microsecond; ; {
		select {
		case err := <-done:
			return err
		case <-time.After(wait):
		}
		if gone(name) {
			return nil
		}
		if wait < 5*time.Millisecond {
			wait *= 2
		}
	}
}

// gone: neither the name nor its directory in sysfs is there.
func gone(name string) bool {
	if _, err := netlink.Index(name); !errors.Is(err, syscall.ENODEV) {
		return false
	}
	_, err := os.Lstat("/sys/class/net/" + name)
	return os.IsNotExist(err)
}
