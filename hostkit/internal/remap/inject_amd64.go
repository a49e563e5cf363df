package remap

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// linux/ptrace.h
const (
	ptraceSeize     = 0x4206
	ptraceInterrupt = 0x4207
	// exitKill ends the process with this one, lest it go on with the registers of a call that was cut off.
	exitKill = 0x100000
)

// syscallInstruction is what a program asks the kernel by.
var syscallInstruction = []byte{0x0f, 0x05}

// mostStops bounds how many other stops are met before the one that is waited for.
const mostStops = 64

// mmapIn has the first thread of a process call mmap: that thread is stopped where it waits, made to execute one instruction in the kernel's own page of
// code, and put back. What it waited for goes on as after a signal that nobody handles.
func mmapIn(pid int, args [6]uint64) (uint64, error) {
	at, err := findSyscall(pid)
	if err != nil {
		return 0, err
	}
	// Only the thread that traces may ask.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := ptrace(ptraceSeize, pid, exitKill); err != nil {
		return 0, fmt.Errorf("trace process %d: %w", pid, err)
	}
	pending := syscall.Signal(0)
	defer func() { detach(pid, pending) }()
	if err := ptrace(ptraceInterrupt, pid, 0); err != nil {
		return 0, fmt.Errorf("stop process %d: %w", pid, err)
	}
	if _, err := stopped(pid); err != nil {
		return 0, err
	}
	var before syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(pid, &before); err != nil {
		return 0, os.NewSyscallError("PTRACE_GETREGS", err)
	}
	call := before
	call.Rip = at
	call.Rax, call.Orig_rax = syscall.SYS_MMAP, ^uint64(0)
	call.Rdi, call.Rsi, call.Rdx = args[0], args[1], args[2]
	call.R10, call.R8, call.R9 = args[3], args[4], args[5]
	if err := syscall.PtraceSetRegs(pid, &call); err != nil {
		return 0, os.NewSyscallError("PTRACE_SETREGS", err)
	}
	pending, err = step(pid)
	if err != nil {
		return 0, err
	}
	var after syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(pid, &after); err != nil {
		return 0, os.NewSyscallError("PTRACE_GETREGS", err)
	}
	if err := syscall.PtraceSetRegs(pid, &before); err != nil {
		return 0, os.NewSyscallError("PTRACE_SETREGS", err)
	}
	if result := int64(after.Rax); result < 0 && result >= -4095 {
		return 0, fmt.Errorf("mmap in process %d: %w", pid, syscall.Errno(-result))
	}
	return after.Rax, nil
}

// step executes the instruction, and returns a signal that came in between.
func step(pid int) (syscall.Signal, error) {
	pending := syscall.Signal(0)
	for i := 0; i < mostStops; i++ {
		if err := syscall.PtraceSingleStep(pid); err != nil {
			return pending, os.NewSyscallError("PTRACE_SINGLESTEP", err)
		}
		signal, err := stopped(pid)
		if err != nil || signal == syscall.SIGTRAP {
			return pending, err
		}
		pending = signal
	}
	return pending, fmt.Errorf("process %d does not come to a stop", pid)
}

func stopped(pid int) (syscall.Signal, error) {
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(pid, &status, syscall.WALL, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, os.NewSyscallError("wait4", err)
		}
		if !status.Stopped() {
			return 0, fmt.Errorf("process %d ended: %w", pid, syscall.ESRCH)
		}
		return status.StopSignal(), nil
	}
}

func ptrace(request uintptr, pid int, data uintptr) error {
	if _, _, failed := syscall.RawSyscall6(syscall.SYS_PTRACE, request, uintptr(pid), 0, data, 0, 0); failed != 0 {
		return failed
	}
	return nil
}

func detach(pid int, signal syscall.Signal) {
	_ = ptrace(syscall.PTRACE_DETACH, pid, uintptr(signal))
}

// findSyscall looks in the page of code that the kernel gives to every process: there it is whatever the program.
func findSyscall(pid int) (uint64, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(maps), "\n") {
		if !strings.HasSuffix(line, "[vdso]") {
			continue
		}
		from, to, _ := strings.Cut(strings.Fields(line)[0], "-")
		begin, _ := strconv.ParseUint(from, 16, 64)
		end, _ := strconv.ParseUint(to, 16, 64)
		memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
		if err != nil {
			return 0, err
		}
		defer memory.Close()
		code := make([]byte, end-begin)
		if _, err := memory.ReadAt(code, int64(begin)); err != nil {
			return 0, err
		}
		if found := bytes.Index(code, syscallInstruction); found >= 0 {
			return begin + uint64(found), nil
		}
	}
	return 0, fmt.Errorf("process %d has no code of the kernel: %w", pid, syscall.ENOTSUP)
}
