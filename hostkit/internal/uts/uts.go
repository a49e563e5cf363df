// Package uts changes the host name that a box sees.
package uts

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

// nameMax is __NEW_UTS_LEN of linux/utsname.h.
const nameMax = 64

// Naming is what a box is called, and the files in it that say so too.
type Naming struct {
	Pid      int    `json:"pid"`
	Hostname string `json:"hostname"`
	// Root is the box's root file system, in which the box may have put anything.
	Root string `json:"root"`
	// Files by path below Root, with their new content. They must be regular files that are there already.
	Files map[string]string `json:"files"`
}

// Name gives a box its name, in all the places where it stands.
func Name(n Naming) error {
	if err := setHostname(n.Pid, n.Hostname); err != nil {
		return err
	}
	if len(n.Files) == 0 {
		return nil
	}
	root, err := os.OpenFile(n.Root, syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer root.Close()
	for path, text := range n.Files {
		if err := writeOver(root, path, text); err != nil {
			return err
		}
	}
	return nil
}

// writeOver never makes a file, never passes through a link, and does not wait for a reader of a pipe.
func writeOver(root *os.File, path, text string) error {
	file, err := sys.OpenInside(root, path, os.O_WRONLY|os.O_TRUNC|syscall.O_NONBLOCK)
	if err != nil {
		return err
	}
	if _, err := file.WriteString(text); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// setHostname names the host in the UTS namespace of a process. Refused for a process that shares hostkit's own: an id
// that was given to another process meanwhile must not rename this machine.
func setHostname(pid int, name string) error {
	if pid < 1 {
		return errno.Invalidf("%d is no process id", pid)
	}
	if name == "" || len(name) > nameMax || strings.ContainsAny(name, "\x00\n") {
		return errno.Invalidf("a host name has 1 to %d bytes and no line end", nameMax)
	}
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/uts", pid))
	if err != nil {
		return err
	}
	defer namespace.Close()
	shared, err := isOwn(namespace)
	if err != nil {
		return err
	}
	if shared {
		return errno.Invalidf("process %d has no host name of its own", pid)
	}
	result := make(chan error, 1)
	go func() {
		// The thread ends with the goroutine, so nothing else runs in the box's namespace.
		runtime.LockOSThread()
		if err := sys.Enter(namespace, syscall.CLONE_NEWUTS); err != nil {
			result <- err
			return
		}
		if err := syscall.Sethostname([]byte(name)); err != nil {
			result <- os.NewSyscallError("sethostname", err)
			return
		}
		result <- nil
	}()
	return <-result
}

func isOwn(namespace *os.File) (bool, error) {
	theirs, err := namespace.Stat()
	if err != nil {
		return false, err
	}
	own, err := os.Stat("/proc/self/ns/uts")
	if err != nil {
		return false, err
	}
	return os.SameFile(theirs, own), nil
}
