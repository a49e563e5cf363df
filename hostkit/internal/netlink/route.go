package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"
)

const rtnhOnLink = 4

// AddAddress gives a link an IPv4 address of its own (/32). Fine when it has it.
func (c *Conn) AddAddress(index int, address net.IP) error {
	header := make([]byte, syscall.SizeofIfAddrmsg)
	header[0], header[1] = syscall.AF_INET, 32
	binary.LittleEndian.PutUint32(header[4:], uint32(index))
	ip := address.To4()
	body := join(header, attribute(syscall.IFA_LOCAL, ip), attribute(syscall.IFA_ADDRESS, ip))
	err := c.order(syscall.RTM_NEWADDR, syscall.NLM_F_CREATE|syscall.NLM_F_REPLACE, body)
	if err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("add address %s: %w", address, err)
	}
	return nil
}

// AddHostRoute routes one address by a link.
func (c *Conn) AddHostRoute(index int, address net.IP) error {
	body := join(routeHeader(32, syscall.RT_SCOPE_LINK, 0), attribute(syscall.RTA_DST, address.To4()), attribute(syscall.RTA_OIF, number(uint32(index))))
	return c.addRoute(body, address.String())
}

// AddDefaultRoute routes everything by a gateway that is taken to be on the link.
func (c *Conn) AddDefaultRoute(index int, gateway net.IP) error {
	body := join(routeHeader(0, syscall.RT_SCOPE_UNIVERSE, rtnhOnLink), attribute(syscall.RTA_GATEWAY, gateway.To4()), attribute(syscall.RTA_OIF, number(uint32(index))))
	return c.addRoute(body, "default")
}

func (c *Conn) addRoute(body []byte, name string) error {
	if err := c.order(syscall.RTM_NEWROUTE, syscall.NLM_F_CREATE|syscall.NLM_F_REPLACE, body); err != nil {
		return fmt.Errorf("add route %s: %w", name, err)
	}
	return nil
}

func routeHeader(prefix, scope byte, flags uint32) []byte {
	header := make([]byte, syscall.SizeofRtMsg)
	header[0], header[1] = syscall.AF_INET, prefix
	header[4], header[5], header[6], header[7] = syscall.RT_TABLE_MAIN, syscall.RTPROT_STATIC, scope, syscall.RTN_UNICAST
	binary.LittleEndian.PutUint32(header[8:], flags)
	return header
}
