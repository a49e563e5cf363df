package netlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"syscall"
	"testing"
)

func TestAttributesArePaddedAndFound(t *testing.T) {
	list := join(attribute(1, []byte("a")), attribute(2, nil), attribute(3, number(0x01020304)))
	if len(list)%4 != 0 {
		t.Fatalf("%d bytes", len(list))
	}
	if got := find(list, 1); !bytes.Equal(got, []byte("a")) {
		t.Errorf("1: %q", got)
	}
	if got := find(list, 3); !bytes.Equal(got, []byte{4, 3, 2, 1}) {
		t.Errorf("3: %v", got)
	}
	if find(list, 4) != nil {
		t.Error("4 is not there")
	}
}

func TestFindStopsAtDamage(t *testing.T) {
	whole := join(attribute(1, []byte("abc")), attribute(9, []byte("x")))
	for length := 0; length <= len(whole); length++ {
		_ = find(whole[:length], 9) // must not go beyond the end
	}
	short := append([]byte{}, whole...)
	binary.LittleEndian.PutUint16(short, 3) // shorter than its own header
	if find(short, 9) != nil {
		t.Error("nothing can follow an attribute without a length")
	}
}

func TestTheKernelSaysWhy(t *testing.T) {
	connection, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	// Not allowed, or there is none: in both cases an errno.
	err = connection.order(syscall.RTM_SETLINK, 0, linkHeader(0x7ffffff0, 0, 0))
	var number syscall.Errno
	if !errors.As(err, &number) {
		t.Fatalf("%v", err)
	}
	if err := connection.DeleteLink("no-such-link"); os.Getuid() == 0 && err != nil {
		t.Errorf("a link that is gone is fine: %v", err)
	}
}

func TestAsksForOneLink(t *testing.T) {
	if index, err := Index("lo"); err != nil || index < 1 {
		t.Errorf("lo is %d (%v)", index, err)
	}
	if address, err := Address("lo"); err == nil && !address.IsLoopback() {
		t.Errorf("lo has %s", address)
	}
	if _, err := Index("no-such-link"); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("%v", err)
	}
	if _, err := Address("a-name-that-is-too-long"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("%v", err)
	}
}
