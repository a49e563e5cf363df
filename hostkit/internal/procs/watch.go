// Package procs tells when processes end, without polling and without a thread for each.
package procs

import (
	"context"
	"fmt"
	"sync"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

// watcher waits for all processes in one place.
var watcher struct {
	sync.Mutex
	epoll   int
	started bool
	last    uint64
	waiting map[uint64]*wait
}

type wait struct {
	fd    int
	ended chan struct{}
}

// Wait returns when the process has ended; at once when there is none with this id.
func Wait(ctx context.Context, pid int) error {
	if pid < 1 {
		return errno.Invalidf("%d is no process id", pid)
	}
	fd, err := sys.PidfdOpen(pid)
	if err == syscall.ESRCH {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pidfd_open %d: %w", pid, err)
	}
	token, ended, err := register(fd)
	if err != nil {
		_ = syscall.Close(fd)
		return fmt.Errorf("watch process %d: %w", pid, err)
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		finish(token)
		return ctx.Err()
	}
}

func register(fd int) (token uint64, ended chan struct{}, err error) {
	watcher.Lock()
	defer watcher.Unlock()
	if !watcher.started {
		epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
		if err != nil {
			return 0, nil, err
		}
		watcher.epoll, watcher.started, watcher.waiting = epoll, true, map[uint64]*wait{}
		go loop(epoll)
	}
	// Known by a number that is never used again: an event that was read before its process was given up must not count for another
	// process that has the same descriptor since.
	watcher.last++
	token = watcher.last
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(token), Pad: int32(token >> 32)}
	if err := syscall.EpollCtl(watcher.epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
		return 0, nil, err
	}
	ended = make(chan struct{})
	watcher.waiting[token] = &wait{fd, ended}
	return token, ended, nil
}

func loop(epoll int) {
	events := make([]syscall.EpollEvent, 64)
	for {
		count, err := syscall.EpollWait(epoll, events, -1)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			panic(fmt.Sprintf("epoll_wait: %v", err)) // nobody would learn of an end any more
		}
		for _, event := range events[:count] {
			finish(uint64(uint32(event.Fd)) | uint64(uint32(event.Pad))<<32)
		}
	}
}

// finish stops watching and releases the waiter, once.
func finish(token uint64) {
	watcher.Lock()
	defer watcher.Unlock()
	one, found := watcher.waiting[token]
	if !found {
		return
	}
	delete(watcher.waiting, token)
	_ = syscall.EpollCtl(watcher.epoll, syscall.EPOLL_CTL_DEL, one.fd, nil)
	_ = syscall.Close(one.fd)
	close(one.ended)
}
