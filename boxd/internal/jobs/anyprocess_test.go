package jobs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestThreadsOfTheKernelAreNoProcesses(t *testing.T) {
	proc := t.TempDir()
	write := func(pid int, flags int) {
		dir := filepath.Join(proc, fmt.Sprint(pid))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		stat := fmt.Sprintf("%d (a) name) S 2 0 0 0 -1 %d 0 0\n", pid, flags)
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(os.Getpid(), 0x40_0000)
	write(2_000_001, kernelThread|0x40)
	if anyProcess(proc) {
		t.Error("a thread of the kernel counts")
	}
	write(2_000_002, 0x40_0000)
	if !anyProcess(proc) {
		t.Error("a process does not count")
	}
	if !anyProcess(filepath.Join(proc, "missing")) {
		t.Error("where nothing can be seen, nothing is known to have ended")
	}
}
