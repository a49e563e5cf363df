package mount

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzMountPoint escapes a path as the kernel does, and must read it back; any line at all must do no harm.
func FuzzMountPoint(f *testing.F) {
	f.Add("/run/gibil a", "36 35 98:0 /mnt1 /mnt2 rw")
	f.Add(`/a\b`, `1 2 3 4 /a\04`)
	f.Add("/new\nline", `1 2 3 4 \`)
	f.Fuzz(func(t *testing.T, path, line string) {
		_, _ = mountPoint(line)
		if path == "" || strings.HasSuffix(path, "//deleted") {
			return
		}
		got, ok := mountPoint("36 35 98:0 / " + escape(path) + " rw shared:1 - ext4 /dev/x rw")
		if !ok || got != path {
			t.Fatalf("%q came back as %q", path, got)
		}
	})
}

// escape does what mangle_path of the kernel does with " \t\n\\".
func escape(path string) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if strings.IndexByte(" \t\n\\", path[i]) >= 0 {
			fmt.Fprintf(&out, `\%03o`, path[i])
		} else {
			out.WriteByte(path[i])
		}
	}
	return out.String()
}
