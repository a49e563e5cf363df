package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Attribute numbers of linux/if_link.h and linux/veth.h that package syscall lacks.
const (
	iflaLinkInfo = 18
	iflaNetNsPid = 19
	iflaNetNsFd  = 28
	infoKind     = 1
	infoData     = 2
	vethInfoPeer = 1
)

// Veth is a pair of links: one here, one in another namespace.
type Veth struct {
	Name    string
	Peer    string
	PeerNS  int // file descriptor of its network namespace
	PeerMAC net.HardwareAddr
	MTU     int
}

func linkHeader(index int32, flags, change uint32) []byte {
	out := make([]byte, syscall.SizeofIfInfomsg)
	binary.LittleEndian.PutUint32(out[4:], uint32(index))
	binary.LittleEndian.PutUint32(out[8:], flags)
	binary.LittleEndian.PutUint32(out[12:], change)
	return out
}

// AddVeth makes the pair, the peer directly in its namespace.
func (c *Conn) AddVeth(v Veth) error {
	mtu := attribute(syscall.IFLA_MTU, number(uint32(v.MTU)))
	peer := join(linkHeader(0, 0, 0),
		attribute(syscall.IFLA_IFNAME, text(v.Peer)),
		attribute(syscall.IFLA_ADDRESS, v.PeerMAC),
		attribute(iflaNetNsFd, number(uint32(v.PeerNS))),
		mtu)
	info := join(attribute(infoKind, text("veth")), attribute(infoData, attribute(vethInfoPeer, peer)))
	body := join(linkHeader(0, 0, 0), attribute(syscall.IFLA_IFNAME, text(v.Name)), mtu, attribute(iflaLinkInfo, info))
	if err := c.order(syscall.RTM_NEWLINK, syscall.NLM_F_CREATE|syscall.NLM_F_EXCL, body); err != nil {
		return fmt.Errorf("make link %s: %w", v.Name, err)
	}
	return nil
}

// SetUp brings a link up.
func (c *Conn) SetUp(index int) error {
	if err := c.order(syscall.RTM_NEWLINK, 0, linkHeader(int32(index), syscall.IFF_UP, syscall.IFF_UP)); err != nil {
		return fmt.Errorf("bring up link %d: %w", index, err)
	}
	return nil
}

// Rename gives a link another name. It is down for a moment: its routes are gone then, its addresses stay.
func (c *Conn) Rename(index int, name string) error {
	down := linkHeader(int32(index), 0, syscall.IFF_UP)
	if err := c.order(syscall.RTM_NEWLINK, 0, down); err != nil {
		return fmt.Errorf("take down link %d: %w", index, err)
	}
	if err := c.order(syscall.RTM_NEWLINK, 0, join(linkHeader(int32(index), 0, 0), attribute(syscall.IFLA_IFNAME, text(name)))); err != nil {
		return fmt.Errorf("name link %d %s: %w", index, name, err)
	}
	return c.SetUp(index)
}

// Move puts a link into the network namespace of a process. It is down there, and has no addresses and routes.
func (c *Conn) Move(index, pid int) error {
	body := join(linkHeader(int32(index), 0, 0), attribute(iflaNetNsPid, number(uint32(pid))))
	if err := c.order(syscall.RTM_NEWLINK, 0, body); err != nil {
		return fmt.Errorf("move link %d to process %d: %w", index, pid, err)
	}
	return nil
}

// DeleteLink removes a link by name; its peer goes with it. Fine when it is gone.
func (c *Conn) DeleteLink(name string) error {
	err := c.order(syscall.RTM_DELLINK, 0, join(linkHeader(0, 0, 0), attribute(syscall.IFLA_IFNAME, text(name))))
	if err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("remove link %s: %w", name, err)
	}
	return nil
}
