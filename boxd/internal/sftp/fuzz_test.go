package sftp

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// packetOf is a packet as it is on the wire.
func packetOf(kind byte, body ...byte) []byte {
	packet := binary.BigEndian.AppendUint32(nil, uint32(len(body)+1))
	return append(append(packet, kind), body...)
}

// FuzzServe: whatever comes, each answer is a whole packet, and nothing panics. What is asked for is only read.
func FuzzServe(f *testing.F) {
	f.Add(packetOf(fxpInit, 0, 0, 0, 3))
	f.Add(packetOf(fxpStat, 0, 0, 0, 1, 0, 0, 0, 1, '/'))
	f.Add(packetOf(fxpRead, 0, 0, 0, 1, 255, 255, 255, 255))
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 4 {
			switch input[4] {
			case fxpInit, fxpClose, fxpRead, fxpLstat, fxpFstat, fxpReaddir, fxpRealpath, fxpStat, fxpReadlink:
			default:
				t.Skip()
			}
			// One packet alone: a second might change something.
			if length := binary.BigEndian.Uint32(input); int64(length) < int64(len(input))-4 {
				input = input[:4+length]
			}
		}
		var output bytes.Buffer
		Serve(bytes.NewReader(input), &output)
		for left := output.Bytes(); len(left) > 0; {
			if len(left) < 5 {
				t.Fatalf("a rest of %d bytes", len(left))
			}
			length := int(binary.BigEndian.Uint32(left))
			if length < 5 || length > len(left)-4 {
				t.Fatalf("a length of %d in %d bytes", length, len(left))
			}
			left = left[4+length:]
		}
	})
}
