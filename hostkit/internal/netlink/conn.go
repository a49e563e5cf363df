// Package netlink speaks as much of NETLINK_ROUTE (rtnetlink(7)) as boxes' networks need.
package netlink

import (
	"encoding/binary"
	"fmt"
	"sync"
	"syscall"
)

const (
	solNetlink    = 270 // linux/socket.h
	optionExtAck  = 11  // NETLINK_EXT_ACK: the kernel says in words what it did not like
	optionCapAck  = 10  // NETLINK_CAP_ACK: without repeating the request
	flagAckTLVs   = 0x200
	attrAckText   = 1 // NLMSGERR_ATTR_MSG
	ackHeaderSize = 4 + syscall.NLMSG_HDRLEN
)

// Conn is a socket in the network namespace of the thread that opened it. Calls are serialised.
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
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("bind netlink socket: %w", err)
	}
	// Both only make errors clearer.
	_ = syscall.SetsockoptInt(fd, solNetlink, optionExtAck, 1)
	_ = syscall.SetsockoptInt(fd, solNetlink, optionCapAck, 1)
	return &Conn{fd: fd}, nil
}

// Close closes the socket.
func (c *Conn) Close() { _ = syscall.Close(c.fd) }

// Refused is what the kernel answered to a request.
type Refused struct {
	Errno  syscall.Errno
	Reason string
}

func (r Refused) Error() string {
	if r.Reason == "" {
		return r.Errno.Error()
	}
	return r.Errno.Error() + ": " + r.Reason
}

func (r Refused) Unwrap() error { return r.Errno }

// order sends one message and returns what the kernel acknowledges it with. The kernel has done all of it when the send returns, so that there
// is nothing to wait for.
func (c *Conn) order(kind, flags uint16, body []byte) error {
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
		messages, err := syscall.ParseNetlinkMessage(buffer[:count])
		if err != nil {
			return err
		}
		for _, answer := range messages {
			if answer.Header.Seq == c.seq && answer.Header.Type == syscall.NLMSG_ERROR {
				return verdict(answer)
			}
		}
	}
}

func verdict(answer syscall.NetlinkMessage) error {
	if len(answer.Data) < 4 {
		return syscall.EBADMSG
	}
	number := int32(binary.LittleEndian.Uint32(answer.Data))
	if number == 0 {
		return nil
	}
	refused := Refused{Errno: syscall.Errno(-number)}
	if answer.Header.Flags&flagAckTLVs != 0 && len(answer.Data) > ackHeaderSize {
		reason := find(answer.Data[ackHeaderSize:], attrAckText)
		if len(reason) > 0 {
			refused.Reason = string(reason[:len(reason)-1])
		}
	}
	return refused
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

// find returns the value of the first attribute of a kind, or nil.
func find(attributes []byte, kind uint16) []byte {
	for len(attributes) >= 4 {
		length := int(binary.LittleEndian.Uint16(attributes))
		if length < 4 || length > len(attributes) {
			return nil
		}
		if binary.LittleEndian.Uint16(attributes[2:]) == kind {
			return attributes[4:length]
		}
		padded := (length + 3) &^ 3
		if padded > len(attributes) {
			return nil
		}
		attributes = attributes[padded:]
	}
	return nil
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
