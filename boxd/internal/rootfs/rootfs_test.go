package rootfs

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func lay(t *testing.T, root string, stream io.Reader) {
	t.Helper()
	_, err := Lay(root, stream)
	must(t, err)
}

func put(t *testing.T, root, name, text string) string {
	t.Helper()
	file := filepath.Join(root, name)
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte(text), 0o644))
	return file
}

// described is all that has to survive, one line for each entry.
func described(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	must(t, newWalker(root, nil).each(func(file, name string, st *syscall.Stat_t) error {
		content := ""
		switch st.Mode & syscall.S_IFMT {
		case syscall.S_IFREG:
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			content = fmt.Sprint(len(text), string(text[:min(int64(len(text)), 20)]), st.Nlink)
		case syscall.S_IFLNK:
			content, _ = os.Readlink(file)
		}
		fmt.Fprintf(&out, "%s %o %d:%d %d.%d %x %v %s\n", name, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec, st.Rdev,
			attributesOf(file), content)
		return nil
	}))
	return out.String()
}

func odd(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	root := t.TempDir()
	must(t, syscall.Chmod(root, 0o755))
	file := put(t, root, "home/agent/project/a file", "hello")
	must(t, os.Link(file, filepath.Join(root, "home/agent/project/zz-same")))
	must(t, os.Chown(file, 100_000, 4_000_000_000))
	must(t, syscall.Chmod(file, 0o4750))
	must(t, syscall.Setxattr(file, "user.note", []byte("a\x00b"), 0))
	must(t, os.Symlink("../nowhere", filepath.Join(root, "link")))
	must(t, os.Lchown(filepath.Join(root, "link"), 7, 8))
	must(t, syscall.Mknod(filepath.Join(root, "pipe"), syscall.S_IFIFO|0o600, 0))
	must(t, syscall.Mknod(filepath.Join(root, "null"), syscall.S_IFCHR|0o666, 1<<8|3))
	put(t, root, strings.Repeat("long/", 60)+"name", "deep")
	put(t, root, "bytes-\xff-that-are-no-text", "x")
	put(t, root, "opt/tool", "tool")
	capability := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	must(t, syscall.Setxattr(filepath.Join(root, "opt/tool"), "security.capability", capability, 0))
	sparse, err := os.Create(filepath.Join(root, "sparse"))
	must(t, err)
	_, err = sparse.WriteAt([]byte("in the middle"), 5<<20)
	must(t, err)
	must(t, sparse.Truncate(64<<20))
	must(t, sparse.Close())
	for _, name := range []string{"home", "opt", "link", "sparse", "home/agent/project/a file"} {
		setTimes(filepath.Join(root, name), time.Unix(1_000_000_000, 123_456_789))
	}
	setTimes(filepath.Join(root, "pipe"), time.Unix(-5, 250_000_000))
	return root
}

func TestATreeIsTheSameAfterAStream(t *testing.T) {
	root, other := odd(t), t.TempDir()
	var stream bytes.Buffer
	must(t, Pack(root, nil, &stream))
	if stream.Len() > 4<<20 {
		t.Fatalf("the holes of a sparse file are in the stream: %d bytes", stream.Len())
	}
	lay(t, other, &stream)
	if a, b := described(t, root), described(t, other); a != b {
		t.Fatalf("before:\n%s\nafter:\n%s", a, b)
	}
	var st syscall.Stat_t
	must(t, syscall.Stat(filepath.Join(other, "sparse"), &st))
	if st.Blocks*512 > 1<<20 {
		t.Fatalf("the sparse file takes %d bytes", st.Blocks*512)
	}
}

func TestGnuTarReadsTheStream(t *testing.T) {
	root, other := odd(t), t.TempDir()
	must(t, syscall.Chmod(other, 0o755))
	var stream bytes.Buffer
	must(t, Pack(root, nil, &stream))
	command := exec.Command("tar", "-xpf", "-", "-C", other, "--numeric-owner", "--xattrs", "--xattrs-include=*", "--delay-directory-restore")
	command.Stdin = &stream
	said, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if a, b := described(t, root), described(t, other); a != b {
		t.Fatalf("before:\n%s\nafter:\n%s\ntar: %s", a, b, said)
	}
}

func TestWhatIsOfTheShapeStays(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	for _, name := range []string{"etc/hostname", "etc/ssh/ssh_host_ed25519_key", "boot/vmlinuz", "usr/lib/modules/6/x", "run/y", "etc/mine", "etc/ssh/sshd_config", "etc/gibil/instance"} {
		put(t, root, name, "of the box")
		put(t, other, name, "of the machine")
	}
	put(t, other, "etc/only-here", "of the machine")
	put(t, root, "etc/passwd", "root:x:0:0\nagent:x:1000:1000:mine\n")
	put(t, other, "etc/passwd", "root:x:0:0:other\nagent:x:1000:1000\nsshd:x:101:1\n")
	put(t, root, "var/lib/dpkg/status", "Package: bash\nVersion: 5\n\nPackage: jq\nVersion: 1\n\n")
	put(t, other, "var/lib/dpkg/status", "Package: bash\nVersion: 4\n\nPackage: systemd\nVersion: 252\n\n")
	var stream bytes.Buffer
	must(t, Pack(root, nil, &stream))
	lay(t, other, &stream)
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(other, name))
		must(t, err)
		return string(text)
	}
	for name, want := range map[string]string{
		"etc/hostname": "of the machine", "etc/ssh/ssh_host_ed25519_key": "of the machine", "boot/vmlinuz": "of the machine",
		"usr/lib/modules/6/x": "of the machine", "run/y": "of the machine", "etc/ssh/sshd_config": "of the machine",
		"etc/only-here": "of the machine", "etc/mine": "of the box", "etc/gibil/instance": "of the machine",
		"etc/passwd":          "root:x:0:0\nagent:x:1000:1000:mine\nsshd:x:101:1\n",
		"var/lib/dpkg/status": "Package: bash\nVersion: 5\n\nPackage: jq\nVersion: 1\n\nPackage: systemd\nVersion: 252\n\n",
	} {
		if got := read(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

// writer changes a file each time something of it is read.
type writer struct {
	bytes.Buffer
	change func()
}

func (w *writer) Write(p []byte) (int, error) {
	w.change()
	return w.Buffer.Write(p)
}

func reportOf(t *testing.T, stream io.Reader) (last *tar.Header, entries map[string]int) {
	t.Helper()
	entries = map[string]int{}
	in := tar.NewReader(stream)
	for {
		header, err := in.Next()
		if err == io.EOF {
			return last, entries
		}
		must(t, err)
		last = header
		entries[header.Name]++
	}
}

func TestAFileThatChangesIsToldAndTheStreamStaysWhole(t *testing.T) {
	root := t.TempDir()
	file := put(t, root, "log", strings.Repeat("x", 1<<20))
	put(t, root, "zz", "still")
	size := int64(1 << 20)
	out := &writer{change: func() {
		size -= 1000
		must(t, os.Truncate(file, size))
	}}
	must(t, Pack(root, nil, out))
	last, entries := reportOf(t, &out.Buffer)
	if report := last.PAXRecords[ReportKey]; !strings.Contains(report, `"changedCount":1`) || !strings.Contains(report, file) {
		t.Fatalf("the report says %s", report)
	}
	if entries["log"] != reads || entries["zz"] != 1 {
		t.Fatalf("entries: %v", entries)
	}
}

func TestAFileThatChangedOnceIsReadAgain(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	file := put(t, root, "data", "before")
	changed := false
	out := &writer{change: func() {
		if !changed {
			changed = true
			must(t, os.WriteFile(file, []byte("after!"), 0o644))
		}
	}}
	must(t, Pack(root, nil, out))
	lay(t, other, bytes.NewReader(out.Bytes()))
	if text, _ := os.ReadFile(filepath.Join(other, "data")); string(text) != "after!" {
		t.Fatalf("it is %q", text)
	}
	last, _ := reportOf(t, bytes.NewReader(out.Bytes()))
	if !strings.Contains(last.PAXRecords[ReportKey], `"changedCount":0`) {
		t.Fatalf("the report says %s", last.PAXRecords[ReportKey])
	}
}

func TestAStreamThatIsCutOffIsAnError(t *testing.T) {
	root := t.TempDir()
	put(t, root, "one", "1")
	put(t, root, "two", "2")
	var stream bytes.Buffer
	must(t, Pack(root, nil, &stream))
	// The report is a header and a block; after it comes nothing but the end.
	for cut := 0; cut < stream.Len()-4*block; cut += 256 {
		if _, err := Lay(t.TempDir(), bytes.NewReader(stream.Bytes()[:cut])); err == nil {
			t.Fatalf("cut at %d it is taken for whole", cut)
		}
	}
}

func TestASurveyCountsWhatIsThere(t *testing.T) {
	root := odd(t)
	survey, err := Look(root, nil)
	must(t, err)
	if survey.MaxID != 4_000_000_000 || !strings.HasSuffix(survey.MaxIDPath, "project/a file") {
		t.Errorf("the largest id is %d of %s", survey.MaxID, survey.MaxIDPath)
	}
	if survey.Bytes < 4096 || survey.Bytes > 4<<20 {
		t.Errorf("%d bytes", survey.Bytes)
	}
}
