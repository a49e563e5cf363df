// Package mountns gives a command a table of mounts of its own, which does not grow with what else is mounted on the host.
package mountns

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

// View is what a command sees of the host's mounts: the system's directories (see system), what holds the paths of Keep, and what is mounted at
// those of Add, in their order. Keep is for what stays the same from call to call: the part of the view without Add is made once. A runtime that starts
// a box copies the whole table and reads it several times, which at 500 boxes with three mounts each would take as long as all the rest.
type View struct {
	Keep []string `json:"keep"`
	Add  []string `json:"add"`
}

// In does the work on a thread that has the view, and so has every command that is started there.
func (v View) In(work func() error) error {
	for _, path := range append(append([]string{}, v.Keep...), v.Add...) {
		if err := errno.CheckPath(path); err != nil {
			return err
		}
	}
	base, err := baseOf(v.Keep)
	if err != nil {
		return fmt.Errorf("make a view of the mounts: %w", err)
	}
	added := make([]sys.Tree, 0, len(v.Add))
	defer func() {
		for _, tree := range added {
			_ = tree.Close()
		}
	}()
	for _, path := range v.Add {
		tree, err := sys.CloneTree(path)
		if err != nil {
			return err
		}
		added = append(added, tree)
		if err := tree.MakePrivate(); err != nil {
			return err
		}
	}
	return onThread(func() error {
		// A thread that shares its root directory with others may not go to another mount namespace.
		if err := syscall.Unshare(syscall.CLONE_FS); err != nil {
			return fmt.Errorf("unshare a thread's directories: %w", err)
		}
		if err := base.enter(); err != nil {
			return err
		}
		if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
			return fmt.Errorf("new mount namespace: %w", err)
		}
		for i, tree := range added {
			if err := tree.Attach(v.Add[i]); err != nil {
				return err
			}
		}
		return work()
	})
}

// onThread ends the thread with the work, so that nothing else of this process can land in its namespaces.
func onThread(work func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- work()
	}()
	return <-result
}

// bases are kept as long as the process lives. The driver always asks for the same one.
var bases struct {
	lock  sync.Mutex
	known map[string]*base
}

func baseOf(keep []string) (*base, error) {
	bases.lock.Lock()
	defer bases.lock.Unlock()
	key := strings.Join(keep, "\x00")
	if known, ok := bases.known[key]; ok {
		return known, nil
	}
	real := []string{}
	for _, path := range keep {
		resolved, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, err
		}
		real = append(real, resolved)
	}
	var made *base
	err := onThread(func() (err error) {
		made, err = makeBase(real)
		return err
	})
	if err != nil {
		return nil, err
	}
	if bases.known == nil {
		bases.known = map[string]*base{}
	}
	bases.known[key] = made
	return made, nil
}
