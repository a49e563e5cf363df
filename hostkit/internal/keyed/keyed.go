// Package keyed keeps calls apart that are about the same thing.
package keyed

import "sync"

// Lock is one lock for each key that is in use. The zero value is ready.
type Lock struct {
	lock  sync.Mutex
	inUse map[string]*counted
}

type counted struct {
	sync.Mutex
	users int
}

// Do calls work while no other work with this key runs.
func (l *Lock) Do(key string, work func() error) error {
	l.lock.Lock()
	if l.inUse == nil {
		l.inUse = map[string]*counted{}
	}
	one := l.inUse[key]
	if one == nil {
		one = &counted{}
		l.inUse[key] = one
	}
	one.users++
	l.lock.Unlock()

	one.Lock()
	defer func() {
		one.Unlock()
		l.lock.Lock()
		defer l.lock.Unlock()
		if one.users--; one.users == 0 {
			delete(l.inUse, key)
		}
	}()
	return work()
}
