package watch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// collector gathers events in the background.
type collector struct {
	t      *testing.T
	root   string
	events chan Event
	seen   []string
}

func watching(t *testing.T, path string, recursive bool) *collector {
	t.Helper()
	w, err := Open(path, recursive)
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{t: t, root: path, events: make(chan Event, 100_000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(c.events)
		for {
			events, err := w.Next()
			if err != nil || len(events) == 0 {
				return
			}
			for _, event := range events {
				c.events <- event
			}
		}
	}()
	t.Cleanup(func() { w.Interrupt(); <-done; w.Close() })
	return c
}

// wait reads events until one is as wanted: "create a/b".
func (c *collector) wait(want string) {
	c.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case event, ok := <-c.events:
			if !ok {
				c.t.Fatalf("the watch ended without %q; seen %q", want, c.seen)
			}
			text := event.Type + " " + strings.TrimPrefix(strings.TrimPrefix(event.Path, c.root), "/")
			if c.seen = append(c.seen, text); text == want {
				return
			}
		case <-timeout:
			c.t.Fatalf("%q never came; seen %q", want, c.seen)
		}
	}
}

func (c *collector) saw(text string) bool {
	for _, seen := range c.seen {
		if seen == text {
			return true
		}
	}
	return false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachKindOfChange(t *testing.T) {
	dir := t.TempDir()
	c := watching(t, dir, false)
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte("text"), 0o644))
	c.wait("create file")
	c.wait("write file")
	must(t, os.Chmod(file, 0o600))
	c.wait("chmod file")
	must(t, os.Rename(file, filepath.Join(dir, "moved")))
	c.wait("rename file")
	c.wait("create moved")
	must(t, os.Remove(filepath.Join(dir, "moved")))
	c.wait("remove moved")
	must(t, os.Remove(dir))
	c.wait("remove ")
	if _, more := <-c.events; more {
		t.Fatal("the watch goes on without its directory")
	}
}

func TestNewDirectoriesAreWatchedToo(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "old/deep"), 0o755))
	c := watching(t, dir, true)
	must(t, os.WriteFile(filepath.Join(dir, "old/deep/file"), nil, 0o644))
	c.wait("create old/deep/file")
	// All at once: what is made before the new directory is watched must be told too.
	must(t, os.MkdirAll(filepath.Join(dir, "new/a/b"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "new/a/b/first"), nil, 0o644))
	c.wait("create new/a/b/first")
	must(t, os.WriteFile(filepath.Join(dir, "new/a/b/second"), []byte("x"), 0o644))
	c.wait("create new/a/b/second")
	must(t, os.Remove(filepath.Join(dir, "new/a/b/first")))
	c.wait("remove new/a/b/first")
}

func TestDirectoriesThatMove(t *testing.T) {
	parent := t.TempDir()
	dir, outside := filepath.Join(parent, "dir"), filepath.Join(parent, "outside")
	must(t, os.MkdirAll(filepath.Join(dir, "a/sub"), 0o755))
	must(t, os.MkdirAll(filepath.Join(outside, "in/sub"), 0o755))
	c := watching(t, dir, true)
	must(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	c.wait("create b")
	must(t, os.WriteFile(filepath.Join(dir, "b/sub/file"), nil, 0o644))
	c.wait("create b/sub/file")
	must(t, os.Rename(filepath.Join(dir, "b"), filepath.Join(outside, "gone")))
	c.wait("rename b")
	must(t, os.Rename(filepath.Join(outside, "in"), filepath.Join(dir, "in")))
	c.wait("create in/sub")
	must(t, os.WriteFile(filepath.Join(outside, "gone/sub/unseen"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "in/sub/seen"), nil, 0o644))
	c.wait("create in/sub/seen")
	for _, seen := range c.seen {
		if strings.Contains(seen, "unseen") {
			t.Fatalf("a directory that moved away is still watched: %q", c.seen)
		}
	}
}

func TestNotRecursive(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	c := watching(t, dir, false)
	must(t, os.WriteFile(filepath.Join(dir, "sub/file"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "last"), nil, 0o644))
	c.wait("create last")
	if c.saw("create sub/file") {
		t.Fatal("it looked below")
	}
}

func TestOneFileAlsoWhenItIsReplaced(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o644))
	c := watching(t, file, true)
	for round := 0; round < 2; round++ {
		must(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o644))
		must(t, os.Rename(filepath.Join(dir, "new"), file))
		c.wait("create ")
	}
	must(t, os.WriteFile(file, []byte("x"), 0o644))
	c.wait("write ")
}

func TestUnfinishedFilesAreNotTold(t *testing.T) {
	dir := t.TempDir()
	c := watching(t, dir, true)
	temporary := filepath.Join(dir, ".gibil-tmp-0123")
	must(t, os.WriteFile(temporary, []byte("x"), 0o644))
	must(t, os.Rename(temporary, filepath.Join(dir, "file")))
	c.wait("create file")
	if len(c.seen) != 1 {
		t.Fatalf("%q", c.seen)
	}
}

func TestOverflowIsToldAndSurvived(t *testing.T) {
	dir := t.TempDir()
	names := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	for _, name := range names {
		must(t, os.WriteFile(name, nil, 0o644))
	}
	w, err := Open(dir, true)
	must(t, err)
	t.Cleanup(w.Close)
	// Nobody reads meanwhile; two files in turn, since the kernel merges equal events.
	for i := 0; i < 20_000; i++ {
		must(t, os.Chmod(names[i%2], 0o600))
	}
	must(t, os.MkdirAll(filepath.Join(dir, "unseen/sub"), 0o755))
	overflow := false
	for !overflow {
		events, err := w.Next()
		must(t, err)
		for _, event := range events {
			overflow = overflow || event == Event{"overflow", dir}
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "unseen/sub/file"), nil, 0o644))
	for {
		events, err := w.Next()
		must(t, err)
		for _, event := range events {
			if event == (Event{"create", filepath.Join(dir, "unseen/sub/file")}) {
				return
			}
		}
	}
}

func TestWhatCannotBeWatched(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none"), true); err == nil {
		t.Fatal("something that is not there is watched")
	}
}
