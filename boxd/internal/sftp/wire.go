package sftp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// Packets of draft-ietf-secsh-filexfer-02, which is version 3: what OpenSSH speaks.
const (
	fxpInit          = 1
	fxpVersion       = 2
	fxpOpen          = 3
	fxpClose         = 4
	fxpRead          = 5
	fxpWrite         = 6
	fxpLstat         = 7
	fxpFstat         = 8
	fxpSetstat       = 9
	fxpFsetstat      = 10
	fxpOpendir       = 11
	fxpReaddir       = 12
	fxpRemove        = 13
	fxpMkdir         = 14
	fxpRmdir         = 15
	fxpRealpath      = 16
	fxpStat          = 17
	fxpRename        = 18
	fxpReadlink      = 19
	fxpSymlink       = 20
	fxpStatus        = 101
	fxpHandle        = 102
	fxpData          = 103
	fxpName          = 104
	fxpAttrs         = 105
	fxpExtended      = 200
	fxpExtendedReply = 201
)

// maxPacket is as in OpenSSH, sftp-common.h.
const maxPacket = 256 << 10

var errBadMessage = errors.New("bad message")

// readPacket gives a packet without its length.
func readPacket(in *bufio.Reader) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(header[:])
	if length == 0 || length > maxPacket {
		return nil, errBadMessage
	}
	packet := make([]byte, length)
	_, err := io.ReadFull(in, packet)
	return packet, err
}

// request is a packet that is read field by field; what is missing makes it bad, and reads as nothing.
type request struct {
	left []byte
	bad  bool
}

func (r *request) take(n int) []byte {
	if n > len(r.left) {
		r.bad, r.left = true, nil
		return make([]byte, n)
	}
	taken := r.left[:n]
	r.left = r.left[n:]
	return taken
}

func (r *request) uint32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *request) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }
func (r *request) text() string   { return string(r.bytes()) }
func (r *request) bytes() []byte {
	n := r.uint32()
	if int64(n) > int64(len(r.left)) {
		r.bad, r.left = true, nil
		return nil
	}
	return r.take(int(n))
}

// reply is a packet that is being written.
type reply struct{ data []byte }

func newReply(kind byte, id uint32) *reply {
	r := &reply{data: make([]byte, 4, 64)}
	r.data = append(r.data, kind)
	return r.uint32(id)
}

func (r *reply) uint32(v uint32) *reply { r.data = binary.BigEndian.AppendUint32(r.data, v); return r }
func (r *reply) uint64(v uint64) *reply { r.data = binary.BigEndian.AppendUint64(r.data, v); return r }
func (r *reply) text(s string) *reply {
	r.uint32(uint32(len(s)))
	r.data = append(r.data, s...)
	return r
}

func (r *reply) bytes() []byte {
	binary.BigEndian.PutUint32(r.data, uint32(len(r.data)-4))
	return r.data
}
