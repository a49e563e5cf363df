package netns

import (
	"net"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/netlink"
)

// HostLink is this side of a box's network where a program, and no second link, is the other side.
type HostLink struct {
	Name         string `json:"name"`
	GuestAddress string `json:"guestAddress"`
	Gateway      string `json:"gateway"`
}

// SetUp gives the link, which is there, what the host's end of a pair gets: the gateway's address, a route, no redirects.
func (l HostLink) SetUp() error {
	p := parsed{address: net.ParseIP(l.GuestAddress).To4(), gateway: net.ParseIP(l.Gateway).To4()}
	if p.address == nil || p.gateway == nil {
		return errno.Invalidf("guestAddress and gateway are IPv4 addresses")
	}
	p.Host = l.Name
	host, err := netlink.Open()
	if err != nil {
		return err
	}
	defer host.Close()
	return setUpHost(host, p)
}

// CheckLink refuses what cannot be the name of a link.
func CheckLink(name string) error { return checkLink(name) }
