// Package relay leads from a unix socket of the host to the boxd of a virtual machine, which only the network namespace of that machine's
// process reaches.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/procs"
	"gibil.dev/hostkit/internal/run"
)

const (
	// boxdAddress is where boxd listens in every machine (boxd/internal/guest).
	boxdAddress = "169.254.77.2"
	boxdPort    = 1
	// patience is how long boxd may take to accept. A machine that still boots drops what is sent to it, so a try is short; each
	// further one is longer, for one that is merely slow.
	firstTry = 100 * time.Millisecond
	patience = 3 * time.Second
	// lastBytes is how long what an ended machine has sent may take to be passed on.
	lastBytes = 200 * time.Millisecond
)

// Open is a relay to make: connections to Socket go to boxd of the machine whose process is Pid.
type Open struct {
	Socket string `json:"socket"`
	Pid    int    `json:"pid"`
}

type relay struct {
	pid       int
	listener  net.Listener
	namespace *os.File
	// ended is closed when the machine's process has ended.
	ended chan struct{}
}

// Relays are those that this process has open, by their sockets.
type Relays struct {
	lock sync.Mutex
	open map[string]*relay
}

// Open makes a relay; one to the same process that is there is fine, one to another is replaced.
func (r *Relays) Open(o Open) error {
	if err := errno.CheckPath(o.Socket); err != nil {
		return err
	}
	if o.Pid < 2 {
		return errno.Invalidf("%d is no process of a machine", o.Pid)
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	path := filepath.Clean(o.Socket)
	if there := r.open[path]; there != nil {
		if _, err := os.Lstat(path); err == nil && there.pid == o.Pid {
			return nil
		}
		r.drop(path)
	}
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", o.Pid))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("process %d: %w", o.Pid, syscall.ESRCH)
		}
		return err
	}
	if own, err := sameNamespace(namespace); err != nil || own {
		_ = namespace.Close()
		if err == nil {
			err = errno.Invalidf("process %d is in the network namespace of the host", o.Pid)
		}
		return err
	}
	listener, err := run.Listen(path)
	if err != nil {
		_ = namespace.Close()
		return err
	}
	made := &relay{o.Pid, listener, namespace, make(chan struct{})}
	if r.open == nil {
		r.open = map[string]*relay{}
	}
	r.open[path] = made
	go made.serve()
	go func() {
		// What fails to be watched is left to its own end, as is every connection of a relay that is closed.
		if procs.Wait(context.Background(), o.Pid) == nil {
			close(made.ended)
		}
	}()
	return nil
}

// Close ends a relay and what goes through it stays until its ends close. Fine when there is none.
func (r *Relays) Close(socket string) error {
	if err := errno.CheckPath(socket); err != nil {
		return err
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	path := filepath.Clean(socket)
	r.drop(path)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func (r *Relays) drop(path string) {
	if there := r.open[path]; there != nil {
		_ = there.listener.Close()
		_ = there.namespace.Close()
		delete(r.open, path)
	}
}

func sameNamespace(namespace *os.File) (bool, error) {
	there, err := namespace.Stat()
	if err != nil {
		return false, err
	}
	here, err := os.Stat("/proc/self/ns/net")
	return err == nil && os.SameFile(there, here), err
}

func (r *relay) serve() {
	for {
		connection, err := r.listener.Accept()
		if err != nil {
			return
		}
		go r.lead(connection)
	}
}

// lead copies both ways until both ends have said all. A boxd that cannot be reached is one that closes at once.
func (r *relay) lead(near net.Conn) {
	defer near.Close()
	far, err := r.dial()
	if err != nil {
		return
	}
	defer far.Close()
	over := make(chan struct{})
	defer close(over)
	go r.cutWhenEnded(far, over)
	done := make(chan struct{})
	go func() {
		pass(far, near)
		close(done)
	}()
	pass(near, far)
	<-done
}

// cutWhenEnded ends a connection whose machine is gone: its kernel says no goodbye, and TCP would wait for it for ever. What it had sent before is passed on.
func (r *relay) cutWhenEnded(far net.Conn, over <-chan struct{}) {
	select {
	case <-r.ended:
		_ = far.SetDeadline(time.Now().Add(lastBytes))
	case <-over:
	}
}

type halfCloser interface{ CloseWrite() error }

func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(halfCloser)
	if err != nil || !ok {
		// One side broke: what the other still sends has nowhere to go.
		_ = to.Close()
		_ = from.Close()
		return
	}
	_ = half.CloseWrite()
}

// dial connects on a thread in the machine's namespace. The thread ends with it: a socket stays in the namespace it was made in.
func (r *relay) dial() (net.Conn, error) {
	type result struct {
		connection net.Conn
		err        error
	}
	results := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		connection, err := connect(r.namespace)
		results <- result{connection, err}
	}()
	got := <-results
	return got.connection, got.err
}

func connect(namespace *os.File) (net.Conn, error) {
	if _, _, failed := syscall.RawSyscall(sysSetns, namespace.Fd(), syscall.CLONE_NEWNET, 0); failed != 0 {
		return nil, os.NewSyscallError("setns", failed)
	}
	begin := time.Now()
	for limit := firstTry; ; limit *= 2 {
		connection, err := try(limit)
		if err == nil || time.Since(begin) > patience {
			return connection, err
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil, err
		}
	}
}

func try(limit time.Duration) (net.Conn, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "boxd")
	defer file.Close()
	// A connect that blocks waits as long as a send may.
	wait := syscall.NsecToTimeval(limit.Nanoseconds())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &wait); err != nil {
		return nil, err
	}
	address := syscall.SockaddrInet4{Port: boxdPort}
	copy(address.Addr[:], net.ParseIP(boxdAddress).To4())
	if err := syscall.Connect(fd, &address); err != nil {
		return nil, err
	}
	return net.FileConn(file)
}
