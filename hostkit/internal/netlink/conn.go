// Package netlink speaks as much of NETLINK_ROUTE (rtnetlink(7)) as boxes' networks need.
package netlink

import (
	"encoding/binary"
	"fmt"
	"sync"
	"syscall"
)

// Conn is a socket in the network namespace in which it was opened. Calls are serialised.
type Conn struct {
	lock sync.Mutex
	fd   int
	seq  uint32
}

// Open opens a socket in the namespace of the calling thread.
func Open() (*Conn, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("bind netlink socket: %w", err)
	}
	return &Conn{fd: fd}, nil
}

// Close closes the socket.
func (c *Conn) Close() { syscall.Close(c.fd) }

// request sends one message that wants an acknowledgement, and returns the kernel's answer to it.
func (c *Conn) request(kind, flags uint16, body []byte) error {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.seq++
	message := make([]byte, syscall.NLMSG_HDRLEN, syscall.NLMSG_HDRLEN+len(body))
	binary.LittleEndian.PutUint32(message[0:], uint32(syscall.NLMSG_HDRLEN+len(body)))
	binary.LittleEndian.PutUint16(message[4:], kind)
	binary.LittleEndian.PutUint16(message[6:], flags|syscall.NLM_F_REQUEST|syscall.NLM_F_ACK)
	binary.LittleEndian.PutUint32(message[8:], c.seq)
	message = append(message, body...)
	if err := syscall.Sendto(c.fd, message, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}
	buffer := make([]byte, 16<<10)
	for {
		count, _, err := syscall.Recvfrom(c.fd, buffer, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		answers, err := syscall.ParseNetlinkMessage(buffer[:count])
		if err != nil {
			return err
		}
		for _, answer := range answers {
			if answer.Header.Seq != c.seq || answer.Header.Type != syscall.NLMSG_ERROR || len(answer.Data) < 4 {
				continue
			}
			if number := int32(binary.LittleEndian.Uint32(answer.Data)); number != 0 {
				return syscall.Errno(-number)
			}
			return nil
		}
	}
}

// attribute encodes one attribute: length, type, value, padding to four bytes.
func attribute(kind uint16, value []byte) []byte {
	out := make([]byte, 4, 4+len(value)+3)
	binary.LittleEndian.PutUint16(out[0:], uint16(4+len(value)))
	binary.LittleEndian.PutUint16(out[2:], kind)
	out = append(out, value...)
	for len(out)%4 != 0 {
		out = append(out, 0)
	}
	return out
}

func text(value string) []byte { return append([]byte(value), 0) }

func number(value uint32) []byte {
	out := make([]byte, 4)
	binary.LittleEndian.PutUint32(out, value)
	return out
}

func join(parts ...[]byte) []byte {
	out := []byte{}
	for _, part := range parts {
		out = append(out, part...)
	}
	return out
}
