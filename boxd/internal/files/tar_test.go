package files

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gibil.dev/boxd/internal/fault"
)

type entry struct {
	name string
	kind byte
	link string
	text string
	size int64
	mode int64
}

func archive(t *testing.T, entries ...entry) *bytes.Reader {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		kind := e.kind
		if kind == 0 {
			kind = tar.TypeReg
		}
		if e.mode == 0 {
			e.mode = 0o644
		}
		header := &tar.Header{Name: e.name, Typeflag: kind, Linkname: e.link, Mode: e.mode, Size: e.size + int64(len(e.text))}
		must(t, w.WriteHeader(header))
		_, err := io.Copy(w, io.MultiReader(strings.NewReader(e.text), io.LimitReader(zeros{}, e.size)))
		must(t, err)
	}
	must(t, w.Close())
	return bytes.NewReader(out.Bytes())
}

func TestPackAndUnpack(t *testing.T) {
	tree, dir := newTree(t)
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	long := strings.Repeat("long name ", 15) + "ä"
	put(t, filepath.Join(from, "sub/file"), "text")
	put(t, filepath.Join(from, long), "long")
	must(t, os.Chmod(filepath.Join(from, "sub/file"), 0o751))
	must(t, os.Link(filepath.Join(from, "sub/file"), filepath.Join(from, "twin")))
	must(t, os.Symlink("/absolute/target", filepath.Join(from, "link")))
	must(t, os.Mkdir(filepath.Join(from, "empty"), 0o700))
	must(t, syscall.Mkfifo(filepath.Join(from, "fifo"), 0o600))
	put(t, filepath.Join(from, "node_modules/x"), "")
	put(t, filepath.Join(from, "sub/node_modules/x"), "")
	put(t, filepath.Join(from, "sub/only"), "")
	var out bytes.Buffer
	must(t, tree.Pack(from, []string{"node_modules", "sub/only"}, &out))
	must(t, tree.Unpack(to, "", &out))
	wantEntries(t, to, "empty", "fifo", "link", long, "sub", "sub/file", "twin")
	wantText(t, filepath.Join(to, "sub/file"), "text")
	wantText(t, filepath.Join(to, long), "long")
	if link, _ := os.Readlink(filepath.Join(to, "link")); link != "/absolute/target" {
		t.Fatalf("link to %q", link)
	}
	var a, b syscall.Stat_t
	must(t, syscall.Stat(filepath.Join(to, "sub/file"), &a))
	must(t, syscall.Stat(filepath.Join(to, "twin"), &b))
	if a.Ino != b.Ino || a.Mode&0o777 != 0o751 {
		t.Fatalf("inodes %d and %d, mode %o", a.Ino, b.Ino, a.Mode)
	}
	var old syscall.Stat_t
	must(t, syscall.Stat(filepath.Join(from, "sub/file"), &old))
	if a.Mtim.Sec != old.Mtim.Sec {
		t.Fatal("the time was not kept")
	}
}

func TestPackOneFile(t *testing.T) {
	tree, dir := newTree(t)
	put(t, filepath.Join(dir, "a/file"), "text")
	var out bytes.Buffer
	must(t, tree.Pack(filepath.Join(dir, "a/file"), nil, &out))
	must(t, tree.Unpack(filepath.Join(dir, "b"), "", &out))
	wantEntries(t, filepath.Join(dir, "b"), "file")
	wantCode(t, CheckPack(filepath.Join(dir, "none"), nil), fault.FileNotFound)
	wantCode(t, CheckPack(dir, []string{"[a"}), fault.InvalidRequest)
	wantCode(t, CheckPack("/dev/null", nil), fault.FileConflict)
}

func TestUnpackRefusesToLeave(t *testing.T) {
	for name, entries := range map[string][]entry{
		"parent":                    {{name: "../stolen", text: "x"}},
		"parent in the middle":      {{name: "a/../../stolen", text: "x"}},
		"absolute":                  {{name: "/stolen", text: "x"}},
		"symlink from the stream":   {{name: "out", kind: tar.TypeSymlink, link: "../outside"}, {name: "out/stolen", text: "x"}},
		"absolute symlink":          {{name: "out", kind: tar.TypeSymlink, link: "OUTSIDE"}, {name: "out/stolen", text: "x"}},
		"symlink there before":      {{name: "before/stolen", text: "x"}},
		"chain of symlinks":         {{name: "a", kind: tar.TypeSymlink, link: "b"}, {name: "b", kind: tar.TypeSymlink, link: ".."}, {name: "a/outside/stolen", text: "x"}},
		"directory through symlink": {{name: "before/stolen", kind: tar.TypeDir}},
		"hard link to the parent":   {{name: "in", kind: tar.TypeLink, link: "../outside/secret"}},
		"hard link through symlink": {{name: "in", kind: tar.TypeLink, link: "before/secret"}},
		"absolute hard link":        {{name: "in", kind: tar.TypeLink, link: "/etc/passwd"}},
		"symlink below a symlink":   {{name: "before/stolen", kind: tar.TypeSymlink, link: "x"}},
		"only dots":                 {{name: "..", kind: tar.TypeDir}},
	} {
		t.Run(name, func(t *testing.T) {
			tree, dir := newTree(t)
			inside, outside := filepath.Join(dir, "inside"), filepath.Join(dir, "outside")
			put(t, filepath.Join(outside, "secret"), "secret")
			must(t, os.Mkdir(inside, 0o755))
			must(t, os.Symlink("../outside", filepath.Join(inside, "before")))
			for i := range entries {
				entries[i].link = strings.Replace(entries[i].link, "OUTSIDE", outside, 1)
			}
			for _, withOpenat2 := range []bool{hasOpenat2, false} {
				was := hasOpenat2
				hasOpenat2 = withOpenat2
				err := tree.Unpack(inside, "", archive(t, entries...))
				hasOpenat2 = was
				wantCode(t, err, fault.InvalidPath)
				wantEntries(t, outside, "secret")
				wantText(t, filepath.Join(outside, "secret"), "secret")
				if _, err := os.Lstat(filepath.Join(inside, "in")); err == nil {
					t.Fatal("a hard link was made")
				}
			}
		})
	}
}

func TestUnpackReplacesALinkInsteadOfFollowingIt(t *testing.T) {
	tree, dir := newTree(t)
	inside, secret := filepath.Join(dir, "inside"), filepath.Join(dir, "secret")
	put(t, secret, "secret")
	must(t, os.Mkdir(inside, 0o755))
	must(t, os.Symlink(secret, filepath.Join(inside, "file")))
	must(t, tree.Unpack(inside, "", archive(t, entry{name: "file", text: "new"})))
	wantText(t, secret, "secret")
	wantText(t, filepath.Join(inside, "file"), "new")
}

func TestUnpackGoesThroughSymlinksThatStay(t *testing.T) {
	if !hasOpenat2 {
		t.Skip("this kernel has no openat2")
	}
	tree, dir := newTree(t)
	must(t, os.MkdirAll(filepath.Join(dir, "real"), 0o755))
	must(t, os.Symlink("real", filepath.Join(dir, "alias")))
	must(t, tree.Unpack(dir, "", archive(t, entry{name: "alias/", kind: tar.TypeDir}, entry{name: "alias/sub/file", text: "x"})))
	wantText(t, filepath.Join(dir, "real/sub/file"), "x")
}

func TestUnpackReplacesFilesAndKeepsDirectories(t *testing.T) {
	tree, dir := newTree(t)
	put(t, filepath.Join(dir, "d/file"), "old")
	put(t, filepath.Join(dir, "d/other"), "other")
	must(t, os.Chmod(filepath.Join(dir, "d"), 0o711))
	must(t, tree.Unpack(dir, "", archive(t, entry{name: "./"}.dir(), entry{name: "./d/"}.dir(), entry{name: "./d/file", text: "new"})))
	wantText(t, filepath.Join(dir, "d/file"), "new")
	wantText(t, filepath.Join(dir, "d/other"), "other")
	if info, _ := tree.Stat(filepath.Join(dir, "d"), true); info.Mode != 0o711 {
		t.Fatalf("%+v", info)
	}
	wantCode(t, tree.Unpack(dir, "", archive(t, entry{name: "d", text: "file"})), fault.FileConflict)
	wantCode(t, tree.Unpack(dir, "", archive(t, entry{name: "d/file/x", text: "file"})), fault.FileConflict)
	wantCode(t, tree.Unpack(dir, "", archive(t, entry{name: "d/file"}.dir())), fault.FileConflict)
}

func (e entry) dir() entry {
	e.kind, e.mode = tar.TypeDir, 0o755
	return e
}

func TestUnpackOwner(t *testing.T) {
	needsRoot(t)
	tree, dir := newTree(t)
	to := filepath.Join(dir, "new")
	must(t, tree.Unpack(to, "1234:5678", archive(t, entry{name: "d/file", text: "x"}, entry{name: "d/link", kind: tar.TypeSymlink, link: "file"})))
	for _, name := range []string{"", "d", "d/file", "d/link"} {
		if info, err := tree.Stat(filepath.Join(to, name), false); err != nil || info.User != "1234" || info.Group != "5678" {
			t.Fatalf("%q: %+v %v", name, info, err)
		}
	}
}

func TestUnpackRefusesDevicesAndBrokenStreams(t *testing.T) {
	tree, dir := newTree(t)
	wantCode(t, tree.Unpack(dir, "", archive(t, entry{name: "null", kind: tar.TypeChar})), fault.InvalidRequest)
	wantCode(t, tree.Unpack(dir, "", strings.NewReader("this is no tar stream, "+strings.Repeat("x", 1024))), fault.InvalidRequest)
	whole, err := io.ReadAll(archive(t, entry{name: "file", size: 100_000}))
	must(t, err)
	wantCode(t, tree.Unpack(dir, "", bytes.NewReader(whole[:50_000])), fault.InvalidRequest)
	wantCode(t, tree.Unpack(dir, "", failing{bytes.NewReader(whole[:50_000])}), fault.InvalidRequest)
}

func TestUnpackManyDirectoriesLeavesNoDescriptorOpen(t *testing.T) {
	tree, dir := newTree(t)
	var entries []entry
	for _, a := range "abcdefghij" {
		for _, b := range "abcdefghij" {
			name := string(a) + "/" + string(b)
			entries = append(entries, entry{name: name + "/file", text: "x"}, entry{name: name + "/twin", kind: tar.TypeLink, link: "a/a/file"})
		}
	}
	before := openFiles(t)
	must(t, tree.Unpack(dir, "", archive(t, entries...)))
	if after := openFiles(t); after > before {
		t.Fatalf("%d descriptors before, %d after", before, after)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(fds)
}
