package ports

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func FuzzReadTable(f *testing.F) {
	f.Add("  sl  local_address\n   0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 1000 0 12345 1\n")
	f.Add(" 0: 00000000000000000000000001000000:0016 x 0A a b c d e f g\n")
	f.Add("0: :FFFFF x 0A a b c d e f\n0: zz:1 x 0A a b c d e f")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "tcp")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		found := map[string]Port{}
		readTable(path, found)
		for inode, port := range found {
			if port.Port < 0 || port.Port > 65535 || net.ParseIP(port.Address) == nil {
				t.Fatalf("%s: %+v", inode, port)
			}
		}
	})
}
