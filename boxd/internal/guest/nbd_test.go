package guest

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// served answers a handshake with these bytes, and tells what was asked.
func served(t *testing.T, answer string) (uint64, error) {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, far := os.NewFile(uintptr(pair[0]), "near"), os.NewFile(uintptr(pair[1]), "far")
	defer near.Close()
	if _, err := far.WriteString(answer); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Shutdown(pair[1], syscall.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	return shakeHands(near)
}

const hello = "NBDMAGICIHAVEOPT\x00\x03"

func TestHandshakeLearnsTheSizeOfTheDisk(t *testing.T) {
	bytes, err := served(t, hello+"\x00\x00\x00\x00\x20\x00\x00\x00\x00\x01")
	if err != nil || bytes != 512<<20 {
		t.Fatalf("%d bytes, %v", bytes, err)
	}
}

func TestHandshakeRefusesWhatIsNoServer(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":         "",
		"another":         strings.Repeat("x", 18),
		"an old one":      "NBDMAGIC\x00\x00\x42\x02\x81\x86\x12\x53\x00\x03",
		"cut short":       hello + "\x00",
		"an empty disk":   hello + strings.Repeat("\x00", 10),
		"half a block":    hello + "\x00\x00\x00\x00\x20\x00\x00\x01\x00\x01",
		"without options": "NBDMAGICIHAVEOPT\x00\x00",
	} {
		if bytes, err := served(t, answer); err == nil {
			t.Errorf("%s: took it for a disk of %d bytes", name, bytes)
		}
	}
}
