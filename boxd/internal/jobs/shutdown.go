package jobs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Shutdown refuses new commands, asks every process of the box to end, kills what is left after the grace, and returns when
// nothing is left. As process 1 that means all processes; else those that descend from this one.
func (t *Table) Shutdown(grace time.Duration) {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.signalAll(syscall.SIGTERM)
	t.signalAll(syscall.SIGCONT)
	deadline := time.Now().Add(grace)
	for pause := time.Millisecond; time.Now().Before(deadline); {
		if !t.anyLeft() {
			return
		}
		time.Sleep(pause)
		if pause < 20*time.Millisecond {
			pause *= 2
		}
	}
	for try := 0; try < 100 && t.anyLeft(); try++ {
		t.signalAll(syscall.SIGKILL)
		time.Sleep(10 * time.Millisecond)
	}
}

func (t *Table) signalAll(signal syscall.Signal) {
	if os.Getpid() == 1 {
		_ = syscall.Kill(-1, signal)
		return
	}
	t.reaping.RLock()
	defer t.reaping.RUnlock()
	for _, pid := range descendants(os.Getpid()) {
		_ = syscall.Kill(pid, signal)
	}
}

func (t *Table) anyLeft() bool {
	t.Reap()
	if os.Getpid() == 1 {
		return syscall.Kill(-1, 0) == nil && anyProcess("/proc")
	}
	return len(descendants(os.Getpid())) > 0
}

// kernelThread is PF_KTHREAD of linux/sched.h. In a machine of its own boxd sees the kernel's threads, which signals reach as if they were
// processes, and which never end.
const kernelThread = 0x0020_0000

// anyProcess tells whether anything but this process and the kernel's threads runs. Where it cannot be told, something does.
func anyProcess(proc string) bool {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return true
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if flags, ok := statField(proc, pid, 6); ok && flags&kernelThread == 0 {
			return true
		}
	}
	return false
}

// descendants finds the children of a process, and theirs.
func descendants(root int) []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if parent, ok := parentOf(pid); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	var found []int
	for queue := children[root]; len(queue) > 0; queue = queue[1:] {
		found = append(found, queue[0])
		queue = append(queue, children[queue[0]]...)
	}
	return found
}

func parentOf(pid int) (int, bool) { return statField("/proc", pid, 1) }

// statField reads a number of /proc/<pid>/stat, counted from the third field, since the second, in brackets, may hold anything.
func statField(proc string, pid, index int) (int, bool) {
	data, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false
	}
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) <= index {
		return 0, false
	}
	value, err := strconv.Atoi(fields[index])
	return value, err == nil
}
