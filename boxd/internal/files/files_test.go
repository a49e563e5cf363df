package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gibil.dev/boxd/internal/fault"
)

func TestResolve(t *testing.T) {
	tree, _ := newTree(t)
	user, err := tree.Owner("")
	must(t, err)
	for path, want := range map[string]string{
		"/a/../b/./c/": "/b/c", "~": user.Home, "~/x": filepath.Join(user.Home, "x"), "x/y": filepath.Join(user.Home, "x/y"), "/../..": "/",
	} {
		if got, err := tree.Resolve(path); err != nil || got != want {
			t.Errorf("%q is %q (%v), want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"", "a\x00b"} {
		_, err := tree.Resolve(path)
		wantCode(t, err, fault.InvalidPath)
	}
}

func TestWriteMakesParentsAndModes(t *testing.T) {
	tree, dir := newTree(t)
	path := filepath.Join(dir, "a/b/c")
	info, err := tree.Write(path, "", nil, "", strings.NewReader("one"))
	must(t, err)
	if info.Kind != "file" || info.Size != 3 || info.Mode != 0o644 || info.Name != "c" || info.Path != path {
		t.Fatalf("%+v", info)
	}
	mode := uint32(0o750)
	info, err = tree.Write(path, "", &mode, "", strings.NewReader("two"))
	must(t, err)
	if info.Mode != 0o750 {
		t.Fatalf("%+v", info)
	}
	info, err = tree.Write(path, "", nil, "", strings.NewReader("three"))
	must(t, err)
	if info.Mode != 0o750 {
		t.Fatalf("the mode was not kept: %+v", info)
	}
	wantText(t, path, "three")
	wantEntries(t, dir, "a", "a/b", "a/b/c")
}

type failing struct{ io.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestWriteThatFailsChangesNothing(t *testing.T) {
	tree, dir := newTree(t)
	path := filepath.Join(dir, "file")
	put(t, path, "old")
	_, err := tree.Write(path, "", nil, "", failing{strings.NewReader("half")})
	wantCode(t, err, fault.InvalidRequest)
	wantText(t, path, "old")
	wantEntries(t, dir, "file")
}

// watching reads the file in place while a new one is being written.
type watching struct {
	io.Reader
	look func()
}

func (w watching) Read(p []byte) (int, error) {
	w.look()
	return w.Reader.Read(p)
}

func TestWriteReplacesAtOnce(t *testing.T) {
	tree, dir := newTree(t)
	path := filepath.Join(dir, "file")
	put(t, path, "old")
	looked := 0
	body := watching{io.LimitReader(zeros{}, 3*copyBytes), func() { wantText(t, path, "old"); looked++ }}
	info, err := tree.Write(path, "", nil, "", body)
	must(t, err)
	if looked < 3 || info.Size != 3*copyBytes {
		t.Fatalf("looked %d times, size %d", looked, info.Size)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestWriteOnlyOfWhatItWas(t *testing.T) {
	tree, dir := newTree(t)
	path := filepath.Join(dir, "counter")
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	if _, err := tree.Write(path, "", nil, hash("x"), strings.NewReader("y")); err == nil {
		t.Fatal("a file that is not there was taken for one with content")
	}
	_, err := tree.Write(path, "", nil, "none", strings.NewReader("0"))
	must(t, err)
	_, err = tree.Write(path, "", nil, "none", strings.NewReader("again"))
	wantCode(t, err, fault.FileConflict)

	// Each adds one to what it has read, and begins anew when another was faster: none may be lost.
	var writers sync.WaitGroup
	for writer := 0; writer < 8; writer++ {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for added := 0; added < 10; {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Error(err)
					return
				}
				number, _ := strconv.Atoi(string(text))
				if _, err := tree.Write(path, "", nil, hash(string(text)), strings.NewReader(strconv.Itoa(number+1))); err == nil {
					added++
				}
			}
		}()
	}
	writers.Wait()
	if text, _ := os.ReadFile(path); string(text) != "80" {
		t.Fatalf("80 writes added %s", text)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestWriteFollowsSymlinks(t *testing.T) {
	tree, dir := newTree(t)
	put(t, filepath.Join(dir, "real/target"), "old")
	must(t, os.MkdirAll(filepath.Join(dir, "links"), 0o755))
	must(t, os.Symlink("../real/target", filepath.Join(dir, "links/one")))
	must(t, os.Symlink("../real/new", filepath.Join(dir, "links/dangling")))
	must(t, os.Symlink("loop", filepath.Join(dir, "links/loop")))
	_, err := tree.Write(filepath.Join(dir, "links/one"), "", nil, "", strings.NewReader("new"))
	must(t, err)
	wantText(t, filepath.Join(dir, "real/target"), "new")
	_, err = tree.Write(filepath.Join(dir, "links/dangling"), "", nil, "", strings.NewReader("made"))
	must(t, err)
	wantText(t, filepath.Join(dir, "real/new"), "made")
	if link, err := os.Readlink(filepath.Join(dir, "links/one")); err != nil || link != "../real/target" {
		t.Fatal("the symlink was replaced")
	}
	_, err = tree.Write(filepath.Join(dir, "links/loop"), "", nil, "", strings.NewReader("x"))
	wantCode(t, err, fault.InvalidPath)
}

func TestWriteRefusesWhatIsNoFile(t *testing.T) {
	tree, dir := newTree(t)
	must(t, os.Mkdir(filepath.Join(dir, "directory"), 0o755))
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	put(t, filepath.Join(dir, "file"), "")
	for _, name := range []string{"directory", "fifo", "file/below", "directory/../fifo"} {
		_, err := tree.Write(filepath.Join(dir, name), "", nil, "", strings.NewReader("x"))
		wantCode(t, err, fault.FileConflict)
	}
	_, err := tree.Write(filepath.Join(dir, strings.Repeat("x", 300)), "", nil, "", strings.NewReader("x"))
	wantCode(t, err, fault.InvalidPath)
}

func TestWriteOwners(t *testing.T) {
	needsRoot(t)
	tree, dir := newTree(t)
	path := filepath.Join(dir, "a/file")
	info, err := tree.Write(path, "1234:5678", nil, "", strings.NewReader("x"))
	must(t, err)
	if info.User != "1234" || info.Group != "5678" {
		t.Fatalf("%+v", info)
	}
	if parent, _ := tree.Stat(filepath.Dir(path), true); parent.User != "1234" {
		t.Fatalf("the parent that was made belongs to %s", parent.User)
	}
	info, err = tree.Write(path, "", nil, "", strings.NewReader("y"))
	must(t, err)
	if info.User != "1234" {
		t.Fatalf("the owner was not kept: %+v", info)
	}
	_, err = tree.Write(path, "no-such-user", nil, "", strings.NewReader("z"))
	wantCode(t, err, fault.UserNotFound)
	wantText(t, path, "y")
}

func TestFullDisk(t *testing.T) {
	needsRoot(t)
	tree, dir := newTree(t)
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	path := filepath.Join(dir, "file")
	put(t, path, "old")
	_, err := tree.Write(path, "", nil, "", io.LimitReader(zeros{}, 2<<20))
	wantCode(t, err, fault.DiskFull)
	wantText(t, path, "old")
	wantEntries(t, dir, "file")
	wantCode(t, tree.Unpack(dir, "", archive(t, entry{name: "big", size: 2 << 20})), fault.DiskFull)
}

func TestMissingRightsAreSaid(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("needs another user than root")
	}
	tree, _ := newTree(t)
	_, err := tree.Write("/etc/gibil-test", "", nil, "", strings.NewReader("x"))
	wantCode(t, err, fault.PermissionDenied)
	wantCode(t, tree.Remove("/etc/passwd", false), fault.PermissionDenied)
}

func TestStat(t *testing.T) {
	tree, dir := newTree(t)
	put(t, filepath.Join(dir, "file"), "text")
	must(t, os.Symlink("file", filepath.Join(dir, "link")))
	link := filepath.Join(dir, "link")
	if info, err := tree.Stat(link, true); err != nil || info.Kind != "file" || info.Size != 4 || info.Target != nil {
		t.Fatalf("%+v %v", info, err)
	}
	if info, err := tree.Stat(link, false); err != nil || info.Kind != "symlink" || *info.Target != "file" {
		t.Fatalf("%+v %v", info, err)
	}
	_, err := tree.Stat(filepath.Join(dir, "none"), true)
	wantCode(t, err, fault.FileNotFound)
	if info, err := tree.Stat("/dev/null", true); err != nil || info.Kind != "other" {
		t.Fatalf("%+v %v", info, err)
	}
}

func TestListIsSortedAndAsDeepAsAsked(t *testing.T) {
	tree, dir := newTree(t)
	for _, name := range []string{"b", "a/x", "a-b", "a/d/e/f"} {
		put(t, filepath.Join(dir, name), "")
	}
	must(t, os.Symlink(dir, filepath.Join(dir, "a/loop")))
	names := func(depth int) string {
		list, err := tree.List(dir, depth)
		must(t, err)
		var names []string
		for _, info := range list {
			names = append(names, strings.TrimPrefix(info.Path, dir+"/"))
		}
		return strings.Join(names, " ")
	}
	for depth, want := range map[int]string{1: "a a-b b", 2: "a a-b a/d a/loop a/x b", 99: "a a-b a/d a/d/e a/d/e/f a/loop a/x b"} {
		if got := names(depth); got != want {
			t.Errorf("depth %d: %s", depth, got)
		}
	}
	_, err := tree.List(filepath.Join(dir, "none"), 1)
	wantCode(t, err, fault.FileNotFound)
	_, err = tree.List(filepath.Join(dir, "b"), 1)
	wantCode(t, err, fault.FileConflict)
}

func TestRemove(t *testing.T) {
	tree, dir := newTree(t)
	outside := filepath.Join(dir, "outside/file")
	put(t, outside, "kept")
	put(t, filepath.Join(dir, "tree/a/b"), "")
	must(t, os.Symlink(filepath.Dir(outside), filepath.Join(dir, "tree/a/link")))
	wantCode(t, tree.Remove(filepath.Join(dir, "tree"), false), fault.FileConflict)
	must(t, tree.Remove(filepath.Join(dir, "tree"), true))
	wantText(t, outside, "kept")
	wantCode(t, tree.Remove(filepath.Join(dir, "tree"), true), fault.FileNotFound)
	wantCode(t, tree.Remove("/", true), fault.InvalidPath)
	wantEntries(t, dir, "outside", "outside/file")
}

func TestMove(t *testing.T) {
	tree, dir := newTree(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	put(t, at("a"), "a")
	put(t, at("b"), "b")
	wantCode(t, tree.Move(at("a"), at("b"), false), fault.FileConflict)
	wantText(t, at("b"), "b")
	must(t, tree.Move(at("a"), at("b"), true))
	wantText(t, at("b"), "a")
	must(t, tree.Move(at("b"), at("new/place/c"), false))
	wantText(t, at("new/place/c"), "a")
	must(t, tree.Move(at("new/place/c"), at("new/place/c"), false))
	wantCode(t, tree.Move(at("new"), at("new/place/inside"), false), fault.InvalidPath)
	wantCode(t, tree.Move(at("none"), at("x"), false), fault.FileNotFound)
	put(t, at("full/file"), "")
	wantCode(t, tree.Move(at("new"), at("full"), true), fault.FileConflict)
}

func TestMoveBetweenFilesystems(t *testing.T) {
	tree, dir := newTree(t)
	other, err := os.MkdirTemp("/dev/shm", "gibil-test-")
	if err != nil {
		t.Skip("no other filesystem: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	if err := syscall.Rename(dir, filepath.Join(other, "x")); !errors.Is(err, syscall.EXDEV) {
		t.Skip("/dev/shm is the same filesystem")
	}
	put(t, filepath.Join(dir, "tree/sub/file"), "text")
	must(t, os.Chmod(filepath.Join(dir, "tree/sub/file"), 0o751))
	must(t, os.Symlink("sub/file", filepath.Join(dir, "tree/link")))
	must(t, tree.Move(filepath.Join(dir, "tree"), filepath.Join(other, "moved"), false))
	wantEntries(t, dir)
	wantEntries(t, other, "moved", "moved/link", "moved/sub", "moved/sub/file")
	wantText(t, filepath.Join(other, "moved/link"), "text")
	if info, _ := tree.Stat(filepath.Join(other, "moved/sub/file"), false); info.Mode != 0o751 {
		t.Fatalf("%+v", info)
	}
	put(t, filepath.Join(dir, "file"), "new")
	wantCode(t, tree.Move(filepath.Join(dir, "file"), filepath.Join(other, "moved"), false), fault.FileConflict)
	wantEntries(t, dir, "file")
}

func TestChangeModeFollowsNoSymlinkBelow(t *testing.T) {
	tree, dir := newTree(t)
	outside := filepath.Join(dir, "outside")
	put(t, outside, "")
	put(t, filepath.Join(dir, "tree/a/file"), "")
	must(t, os.Symlink(outside, filepath.Join(dir, "tree/a/link")))
	must(t, tree.ChangeMode(filepath.Join(dir, "tree"), 0o700, true))
	for name, want := range map[string]uint32{"tree": 0o700, "tree/a": 0o700, "tree/a/file": 0o700, "outside": 0o644} {
		if info, err := tree.Stat(filepath.Join(dir, name), true); err != nil || info.Mode != want {
			t.Errorf("%s has %o (%v), want %o", name, info.Mode, err, want)
		}
	}
	wantCode(t, tree.ChangeMode(filepath.Join(dir, "none"), 0o700, false), fault.FileNotFound)
}

func TestMakeDirectory(t *testing.T) {
	tree, dir := newTree(t)
	mode := uint32(0o2770)
	must(t, tree.MakeDirectory(filepath.Join(dir, "a/b"), &mode, ""))
	must(t, tree.MakeDirectory(filepath.Join(dir, "a/b"), nil, ""))
	if info, _ := tree.Stat(filepath.Join(dir, "a/b"), true); info.Mode != 0o2770 {
		t.Fatalf("%+v", info)
	}
	put(t, filepath.Join(dir, "file"), "")
	wantCode(t, tree.MakeDirectory(filepath.Join(dir, "file"), nil, ""), fault.FileConflict)
	wantCode(t, tree.MakeDirectory(filepath.Join(dir, "file/x"), nil, ""), fault.FileConflict)
}
