package rootfs

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// left are programs of a machine with an init of its own that are not stopped: the way in, and what init would take for hung.
var left = []string{"systemd", "sshd", "dbus-daemon", "(sd-pam)", "agetty"}

const (
	stillRounds   = 20
	stillPatience = 2 * time.Second
)

// Still stops every process of the box but boxd, and returns what lets them go on. One that was stopped already stays so. What is started meanwhile by
// boxd is not stopped.
func Still() (goOn func()) {
	stopped := map[int]bool{}
	goOn = func() {
		for pid := range stopped {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
	deadline := time.Now().Add(stillPatience)
	// A process that was forked between the look and the stop is found by the next look.
	for round := 0; round < stillRounds; round++ {
		found, unsettled := 0, 0
		for _, pid := range others() {
			state := stateOf(pid)
			if state == 'T' || state == 'Z' || state == 'X' || state == 0 {
				continue
			}
			if stopped[pid] {
				unsettled++
				continue
			}
			if syscall.Kill(pid, syscall.SIGSTOP) == nil {
				stopped[pid] = true
				found++
			}
		}
		if found == 0 && (unsettled == 0 || time.Now().After(deadline)) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	// From here on a write to mapped memory shows in the time of its file, too.
	_ = syncDisk("/")
	return goOn
}

// others are the processes that may be stopped: none of the kernel's, none that boxd needs.
func others() []int {
	self := os.Getpid()
	spared := map[int]bool{1: true, self: true}
	for pid := self; pid > 1; pid = parentOf(pid) {
		spared[pid] = true
	}
	found := []int{}
	names, err := namesIn("/proc")
	if err != nil {
		return nil
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || spared[pid] || isKernel(pid) || (self != 1 && isLeft(pid)) {
			continue
		}
		found = append(found, pid)
	}
	return found
}

func isLeft(pid int) bool {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	name := strings.TrimSpace(string(text))
	for _, one := range left {
		if strings.HasPrefix(name, one) {
			return true
		}
	}
	return false
}

// A thread of the kernel has no command line and no program.
func isKernel(pid int) bool {
	_, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	return os.IsNotExist(err) && stateOf(pid) != 'Z'
}

// fields of /proc/pid/stat from the third on (proc(5)); what comes before is the name, which may hold anything.
func fields(pid int) [][]byte {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	return bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
}

func stateOf(pid int) byte {
	if all := fields(pid); len(all) > 0 {
		return all[0][0]
	}
	return 0
}

func parentOf(pid int) int {
	if all := fields(pid); len(all) > 1 {
		parent, _ := strconv.Atoi(string(all[1]))
		return parent
	}
	return 0
}
