package frames

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

// FuzzFrames reads any bytes as frames, whole and one byte at a time: both must see the same, and never more than they may.
func FuzzFrames(f *testing.F) {
	f.Add(JSON(Resize, map[string]int{"cols": 80, "rows": 24}))
	f.Add(append(JSON(Signal, map[string]string{"signal": "SIGTERM"}), 0, 0, 0, 0, 3, 'a', 'b'))
	f.Add([]byte{Stdin, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{StdinEnd, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := readAll(t, bytes.NewReader(data))
		split := readAll(t, iotest.OneByteReader(bytes.NewReader(data)))
		if whole != split {
			t.Fatalf("%+v read whole, %+v read byte by byte", whole, split)
		}
	})
}

type seen struct {
	frames, bytes int
	failure       string
}

func readAll(t *testing.T, r io.Reader) (s seen) {
	for {
		kind, length, err := ReadHeader(r)
		if err != nil {
			s.failure = err.Error()
			return s
		}
		if length < 0 || length > MaxPayload {
			t.Fatalf("a frame of %d bytes was taken", length)
		}
		if kind == Resize || kind == Signal {
			var into map[string]any
			err = ReadJSON(r, length, &into)
		} else {
			_, err = io.CopyN(io.Discard, r, int64(length))
		}
		if err != nil {
			s.failure = err.Error()
			return s
		}
		s.frames++
		s.bytes += length
	}
}
