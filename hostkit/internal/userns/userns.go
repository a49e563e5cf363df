// Package userns makes user namespaces that hold nothing but a map of ids, for id-mapped mounts.
package userns

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
)

// Map shifts the ids From..From+Count to Base..Base+Count. With a From, the host's own ids (below 65536) stay what they are, so
// that what root and its programs make there remains theirs.
type Map struct {
	From  int `json:"from"`
	Base  int `json:"base"`
	Count int `json:"count"`
}

// Check refuses a map that would reach the host's own users or leave the 32 bits of an id (of which the last is no id).
func (m Map) Check() error {
	if m.From < 0 || m.From+m.Count > 1<<32-1 || m.From > 0 && (m.From < hostIDs || m.Base < hostIDs) {
		return errno.Invalidf("an idmap cannot shift %d ids from %d on", m.Count, m.From)
	}
	if m.Base < 1 || m.Count < 1 || m.Base+m.Count > 1<<32-1 {
		return errno.Invalidf("an idmap needs base and count of at least 1 that stay below 2^32, not %d and %d", m.Base, m.Count)
	}
	return nil
}

// hostIDs are those that the host's own users have.
const hostIDs = 1 << 16

// kept bounds the cache. A box's slot, and with it its map, is used again and again, and making a namespace costs a process.
const kept = 256

type entry struct {
	made sync.Once
	file *os.File
	err  error
	// users counts the calls that have the file now; dropped is set when the cache no longer has it.
	users   int
	dropped bool
}

// Cache holds namespaces by their maps.
type Cache struct {
	lock    sync.Mutex
	entries map[Map]*entry
	order   []Map // the longest unused first
}

// With calls use with a namespace of that map, which stays open until use returns.
func (c *Cache) With(m Map, use func(namespace *os.File) error) error {
	if err := m.Check(); err != nil {
		return err
	}
	e := c.take(m)
	e.made.Do(func() { e.file, e.err = create(m) })
	defer c.release(m, e)
	if e.err != nil {
		return e.err
	}
	return use(e.file)
}

func (c *Cache) take(m Map) *entry {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.entries == nil {
		c.entries = map[Map]*entry{}
	}
	e, found := c.entries[m]
	if found {
		c.forgetOrder(m)
	} else {
		e = &entry{}
		c.entries[m] = e
	}
	c.order = append(c.order, m)
	e.users++
	if len(c.order) > kept {
		c.drop(c.order[0])
	}
	return e
}

func (c *Cache) release(m Map, e *entry) {
	c.lock.Lock()
	defer c.lock.Unlock()
	e.users--
	// A failure is not remembered: the next call tries again.
	if e.err != nil && c.entries[m] == e {
		c.drop(m)
	}
	e.close()
}

// drop needs the lock.
func (c *Cache) drop(m Map) {
	e := c.entries[m]
	delete(c.entries, m)
	c.forgetOrder(m)
	e.dropped = true
	e.close()
}

func (c *Cache) forgetOrder(m Map) {
	for i, other := range c.order {
		if other == m {
			c.order = append(c.order[:i], c.order[i+1:]...)
			return
		}
	}
}

func (e *entry) close() {
	if e.dropped && e.users == 0 && e.file != nil {
		_ = e.file.Close()
		e.file = nil
	}
}

// create holds a process in a new user namespace just long enough to open the namespace: it exists as long as anything refers to it.
// The process is this program itself, which waits for the end of its input; any program would do, but this one is there.
func create(m Map) (*os.File, error) {
	holder := exec.Command("/proc/self/exe", "hold")
	stdin, err := holder.StdinPipe()
	if err != nil {
		return nil, err
	}
	ids := []syscall.SysProcIDMap{{ContainerID: m.From, HostID: m.Base, Size: m.Count}}
	if m.From > 0 {
		ids = append(ids, syscall.SysProcIDMap{ContainerID: 0, HostID: 0, Size: hostIDs})
	}
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids}
	holder.Env = []string{}
	if err := holder.Start(); err != nil {
		_ = stdin.Close()
		return nil, fmt.Errorf("make a user namespace: %w", err)
	}
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", holder.Process.Pid))
	_ = holder.Process.Kill()
	_ = stdin.Close()
	_ = holder.Wait()
	if err != nil {
		return nil, fmt.Errorf("open a user namespace: %w", err)
	}
	return file, nil
}
