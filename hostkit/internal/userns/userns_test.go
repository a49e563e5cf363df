package userns

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"

	"gibil.dev/hostkit/internal/hosttest"
)

func TestMain(m *testing.M) { hosttest.Main(m) }

func inode(t *testing.T, file *os.File) uint64 {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Ino
}

func get(t *testing.T, cache *Cache, m Map) (id uint64) {
	t.Helper()
	if err := cache.With(m, func(file *os.File) error {
		id = inode(t, file)
		return nil
	}); err != nil {
		t.Error(err)
	}
	return id
}

func TestOneNamespaceForEachMap(t *testing.T) {
	hosttest.Root(t)
	var cache Cache
	own, err := os.Open("/proc/self/ns/user")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	a, b := Map{Base: 1 << 30, Count: 65536}, Map{Base: 1<<30 + 65536, Count: 65536}
	ids := make([]uint64, 16)
	var group sync.WaitGroup
	for i := range ids {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			ids[i] = get(t, &cache, []Map{a, b}[i%2])
		}(i)
	}
	group.Wait()
	for i, id := range ids {
		if id != ids[i%2] || id == inode(t, own) {
			t.Errorf("call %d has namespace %d", i, id)
		}
	}
	if ids[0] == ids[1] {
		t.Error("two maps share a namespace")
	}
}

func TestTheLongestUnusedIsClosedAndNoneInUse(t *testing.T) {
	hosttest.Root(t)
	var cache Cache
	first := Map{Base: 1 << 30, Count: 1}
	err := cache.With(first, func(file *os.File) error {
		for i := 1; i <= kept; i++ {
			get(t, &cache, Map{Base: 1<<30 + i, Count: 1})
		}
		_ = inode(t, file) // fails when it was closed meanwhile
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(cache.entries) != kept || len(cache.order) != kept || cache.entries[first] != nil {
		t.Errorf("%d entries, %d in order", len(cache.entries), len(cache.order))
	}
	for m, e := range cache.entries {
		if e.users != 0 || e.file == nil {
			t.Errorf("%v has %d users", m, e.users)
		}
		_ = e.file.Close()
	}
}

func TestAFailureIsNotRemembered(t *testing.T) {
	var cache Cache
	if err := cache.With(Map{Base: 1, Count: 1}, func(*os.File) error { return fmt.Errorf("by the caller") }); os.Getuid() == 0 && err.Error() != "by the caller" {
		t.Errorf("%v", err)
	}
	for _, m := range []Map{{0, 0, 65536}, {0, -1, 1}, {0, 1, 0}, {0, 1 << 32, 1}, {0, 1<<32 - 10, 100}, {-1, 1, 1}, {1, 1 << 30, 1}, {1 << 30, 1, 1}, {1<<32 - 10, 1, 100}} {
		if err := cache.With(m, func(*os.File) error { return nil }); err == nil {
			t.Errorf("%v passes", m)
		}
		if cache.entries[m] != nil {
			t.Errorf("%v is kept", m)
		}
	}
}
