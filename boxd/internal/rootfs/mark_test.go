package rootfs

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// markOf is that of a tree in which nothing had changed of late.
func markOf(t *testing.T, root string, stream *bytes.Buffer) *Mark {
	t.Helper()
	mark, err := PackFirst(root, nil, stream)
	must(t, err)
	mark.began = time.Now().Add(time.Hour)
	return mark
}

// outlived is a tree that was filled by two streams, between which it changed.
func outlived(t *testing.T, root string, change func()) (after string, rest int) {
	t.Helper()
	other := t.TempDir()
	must(t, syscall.Chmod(other, 0o755))
	var stream bytes.Buffer
	mark := markOf(t, root, &stream)
	_, err := Fill(other, &stream)
	must(t, err)
	// A stamp of the kernel is as coarse as its ticks.
	time.Sleep(20 * time.Millisecond)
	change()
	must(t, mark.PackRest(root, &stream))
	rest = stream.Len()
	_, err = Fill(other, &stream)
	must(t, err)
	return described(t, other), rest
}

func TestTwoStreamsMakeWhatTheTreeHasBecome(t *testing.T) {
	root := odd(t)
	must(t, os.Remove(filepath.Join(root, "null"))) // no device is filled in
	put(t, root, "large", strings.Repeat("x", 1<<20))
	put(t, root, "dir/below/file", "1")
	put(t, root, "moved/deep/file", "2")
	linked := put(t, root, "moved/deep/linked", "3")
	must(t, os.Link(linked, filepath.Join(root, "zz-linked")))
	put(t, root, "a.b", "sorts behind a/x")
	put(t, root, "a/x", "x")
	put(t, root, "kind", "file")
	at := func(name string) string { return filepath.Join(root, name) }
	after, rest := outlived(t, root, func() {
		put(t, root, "home/agent/project/new", "new")
		must(t, os.WriteFile(at("opt/tool"), []byte("lot"), 0o644)) // of the same size
		must(t, os.RemoveAll(at("dir")))
		must(t, os.Symlink("/etc", at("dir")))
		must(t, os.Rename(at("moved"), at("a/moved")))
		must(t, os.Remove(at("kind")))
		put(t, root, "kind/now", "a directory")
		must(t, os.Remove(at("link")))
		put(t, root, "link/now", "a directory")
		must(t, syscall.Chmod(at("home"), 0o700))
		must(t, os.Remove(at("pipe")))
	})
	if before := described(t, root); before != after {
		t.Fatalf("the tree:\n%s\nwhat was made:\n%s", before, after)
	}
	if rest > 1<<20 {
		t.Errorf("%d bytes came again although little had changed", rest)
	}
}

func TestTwoStreamsByChance(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewSource(seed))
	for round := 0; round < 20; round++ {
		root := t.TempDir()
		must(t, syscall.Chmod(root, 0o755))
		some := func() string {
			name := root
			for depth := dice.Intn(3); depth >= 0; depth-- {
				name = filepath.Join(name, []string{"a", "a.b", "b", "c"}[dice.Intn(4)])
			}
			return name
		}
		step := func() {
			name, other := some(), some()
			switch dice.Intn(8) {
			case 0, 1:
				_ = os.MkdirAll(name, 0o755)
			case 2, 3:
				_ = os.WriteFile(name, []byte(fmt.Sprint(dice.Intn(1000))), 0o644)
			case 4:
				_ = os.Rename(name, other)
			case 5:
				_ = os.Link(name, other)
			case 6:
				_ = os.Symlink([]string{"a", "../b", "/c"}[dice.Intn(3)], name)
			case 7:
				_ = os.RemoveAll(name)
			}
		}
		change := func() {
			for i := 0; i < 40; i++ {
				step()
			}
		}
		change()
		if after, _ := outlived(t, root, change); after != described(t, root) {
			t.Fatalf("the tree:\n%s\nwhat was made:\n%s", described(t, root), after)
		}
	}
}

func TestAChangeWithinOneStampOfTheClockIsNotMissed(t *testing.T) {
	root := t.TempDir()
	put(t, root, "file", "1")
	var stream bytes.Buffer
	mark, err := PackFirst(root, nil, &stream)
	must(t, err)
	stream.Reset()
	must(t, mark.PackRest(root, &stream))
	if _, entries := reportOf(t, &stream); entries["file"] != 1 {
		t.Fatal("a file that was new when the first stream began has to come again")
	}
}

func TestAStampWithoutFractionsOfASecondIsTakenForACoarseOne(t *testing.T) {
	moment := time.Unix(1000, 0)
	for changed, settled := range map[time.Duration]bool{
		-50 * time.Millisecond: false, -150 * time.Millisecond: true, -time.Second: false, -3 * time.Second: true, time.Millisecond: false,
	} {
		if (fingerprint{changed: moment.Add(changed).UnixNano()}).settledAt(moment) != settled {
			t.Errorf("changed %s before: settled is not %t", -changed, settled)
		}
	}
}

// A program that has a file in its memory writes to it without a call, and the kernel notices once after each sync.
func TestAWriteToMappedMemoryIsNotMissed(t *testing.T) {
	root := t.TempDir()
	var kind syscall.Statfs_t
	must(t, syscall.Statfs(root, &kind))
	const tmpfs = 0x01021994
	if kind.Type == tmpfs {
		t.Skip("no box is on a tmpfs")
	}
	file, err := os.OpenFile(put(t, root, "file", strings.Repeat("1", 4096)), os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	memory, err := syscall.Mmap(int(file.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	must(t, err)
	defer func() { _ = syscall.Munmap(memory) }()
	memory[0] = '2'
	time.Sleep(slack + 100*time.Millisecond)
	for _, changed := range []int{0, 1} {
		var stream bytes.Buffer
		mark, err := PackFirst(root, nil, &stream)
		must(t, err)
		stream.Reset()
		time.Sleep(20 * time.Millisecond)
		if changed == 1 {
			memory[0] = '3'
		}
		must(t, mark.PackRest(root, &stream))
		if _, entries := reportOf(t, &stream); entries["file"] != changed {
			t.Fatalf("the file came %d times again, not %d", entries["file"], changed)
		}
	}
}
