package keyed

import (
	"errors"
	"sync"
	"testing"
)

func TestOneAtATimeForEachKey(t *testing.T) {
	var lock Lock
	counts := map[string]*int{"a": new(int), "b": new(int)}
	var group sync.WaitGroup
	for i := 0; i < 400; i++ {
		key := []string{"a", "b"}[i%2]
		group.Add(1)
		go func() {
			defer group.Done()
			_ = lock.Do(key, func() error {
				*counts[key]++ // the race detector, or a lost count, would tell
				return nil
			})
		}()
	}
	group.Wait()
	if *counts["a"] != 200 || *counts["b"] != 200 {
		t.Errorf("a %d, b %d", *counts["a"], *counts["b"])
	}
	if len(lock.inUse) != 0 {
		t.Errorf("%d locks are kept", len(lock.inUse))
	}
}

func TestKeysDoNotWaitForEachOtherAndErrorsPass(t *testing.T) {
	var lock Lock
	err := lock.Do("a", func() error {
		return lock.Do("b", func() error { return errors.New("inner") })
	})
	if err == nil || err.Error() != "inner" {
		t.Fatalf("%v", err)
	}
}

func TestAPanicLetsGo(t *testing.T) {
	var lock Lock
	func() {
		defer func() { _ = recover() }()
		_ = lock.Do("a", func() error { panic("oh") })
	}()
	if err := lock.Do("a", func() error { return nil }); err != nil {
		t.Fatal(err)
	}
}
