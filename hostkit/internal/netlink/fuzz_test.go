package netlink

import (
	"bytes"
	"testing"
)

func FuzzAttributes(f *testing.F) {
	f.Add(attribute(1, []byte("abc")), uint16(1), []byte("value"))
	f.Add([]byte{3, 0, 1, 0}, uint16(9), []byte{})
	f.Add([]byte{0xff, 0xff, 1, 0, 5}, uint16(0), []byte{0})
	f.Fuzz(func(t *testing.T, damaged []byte, kind uint16, value []byte) {
		_ = find(damaged, kind)
		if len(value) > 60_000 {
			return
		}
		found := find(join(attribute(kind+1, []byte("before")), attribute(kind, value)), kind)
		if !bytes.Equal(found, value) {
			t.Fatalf("%q came back as %q", value, found)
		}
	})
}
