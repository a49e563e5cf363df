// Package frames is the wire form of a command stream: type (1 byte), length (4 bytes, big endian), payload.
package frames

import (
	"encoding/binary"
	"encoding/json"
	"io"

	"gibil.dev/boxd/internal/fault"
)

// Frame types; the same numbers as packages/contract/src/frame.ts.
const (
	Stdin    = 0
	StdinEnd = 1
	Resize   = 2
	Signal   = 3
	Stdout   = 16
	Stderr   = 17
	Exit     = 18
	Started  = 19
	Gap      = 20
	Error    = 21
)

const (
	// HeaderBytes is the length of what precedes each payload.
	HeaderBytes = 5
	// MaxPayload bounds each frame.
	MaxPayload = 1 << 20
	// maxControl bounds the JSON of a resize or signal frame.
	maxControl = 4 << 10
)

// Header writes type and length before a payload.
func Header(kind byte, length int) [HeaderBytes]byte {
	var header [HeaderBytes]byte
	header[0] = kind
	binary.BigEndian.PutUint32(header[1:], uint32(length))
	return header
}

// JSON makes a whole frame with a JSON payload.
func JSON(kind byte, value any) []byte {
	payload, err := json.Marshal(value)
	if err != nil {
		panic(err) // our own types only
	}
	header := Header(kind, len(payload))
	return append(header[:], payload...)
}

// ReadHeader reads the type and length of the next frame. io.EOF means the other side ended between frames.
func ReadHeader(r io.Reader) (kind byte, length int, err error) {
	var header [HeaderBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, 0, err
	}
	size := binary.BigEndian.Uint32(header[1:])
	if size > MaxPayload {
		return 0, 0, fault.New(fault.InvalidRequest, "A frame of %d bytes is longer than 1 MiB.", size)
	}
	return header[0], int(size), nil
}

// ReadJSON reads the payload of a control frame.
func ReadJSON(r io.Reader, length int, into any) error {
	if length > maxControl {
		return fault.New(fault.InvalidRequest, "A control frame of %d bytes is too long.", length)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return err
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return fault.New(fault.InvalidRequest, "A control frame is not the JSON it must be: %v", err)
	}
	return nil
}
