// Package procs tells when processes end, without polling and without a thread for each.
package procs

import (
	"fmt"
	"sync"
	"syscall"
)

const sysPidfdOpen = 434

var watcher struct {
	sync.Mutex
	epoll   int
	started bool
	waiting map[int32]chan struct{}
}

// Wait returns when the process has ended; at once when there is none with this id.
func Wait(pid int) error {
	fd, _, number := syscall.Syscall(sysPidfdOpen, uintptr(pid), 0, 0)
	if number == syscall.ESRCH {
		return nil
	}
	if number != 0 {
		return fmt.Errorf("pidfd_open %d: %w", pid, number)
	}
	defer syscall.Close(int(fd))
	ended, err := register(int32(fd))
	if err != nil {
		return err
	}
	<-ended
	return nil
}

func register(fd int32) (chan struct{}, error) {
	watcher.Lock()
	defer watcher.Unlock()
	if !watcher.started {
		epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
		if err != nil {
			return nil, err
		}
		watcher.epoll, watcher.started, watcher.waiting = epoll, true, map[int32]chan struct{}{}
		go loop(epoll)
	}
	ended := make(chan struct{})
	watcher.waiting[fd] = ended
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: fd}
	if err := syscall.EpollCtl(watcher.epoll, syscall.EPOLL_CTL_ADD, int(fd), &event); err != nil {
		delete(watcher.waiting, fd)
		return nil, err
	}
	return ended, nil
}

func loop(epoll int) {
	events := make([]syscall.EpollEvent, 64)
	for {
		count, err := syscall.EpollWait(epoll, events, -1)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return
		}
		for _, event := range events[:count] {
			finish(epoll, event.Fd)
		}
	}
}

func finish(epoll int, fd int32) {
	watcher.Lock()
	defer watcher.Unlock()
	// Taken out before the waiter closes it: a closed number may come back for another process.
	_ = syscall.EpollCtl(epoll, syscall.EPOLL_CTL_DEL, int(fd), nil)
	if ended, found := watcher.waiting[fd]; found {
		delete(watcher.waiting, fd)
		close(ended)
	}
}
