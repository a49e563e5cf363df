package main

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"
)

// files looks for any file of the kernel that it may open to write, and makes a few tries by name.
func files() {
	for _, top := range []string{"/sys", "/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/scsi"} {
		seen, writable := 0, []string{}
		_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return nil
			}
			seen++
			if fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
				syscall.Close(fd)
				writable = append(writable, path)
			}
			return nil
		})
		fmt.Fprintf(out, "writable below %s\t%s\n", top, strings.Join(writable, " "))
		fmt.Fprintf(out, "seen below %s\t%d\n", top, seen)
	}
	for _, path := range []string{"/proc/sysrq-trigger", "/proc/kmsg", "/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/loop0",
		"/dev/loop-control", "/sys/kernel/uevent_helper", "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/memory/release_agent", "/sys/kernel/debug",
		"/run/gibil/boxd"} {
		fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			syscall.Close(fd)
		}
		say("write "+path, err)
	}
	for _, path := range []string{"/sys/fs/cgroup/new", "/sys/fs/cgroup/memory/new", "/sys/fs/cgroup/cpu/new", "/proc/new"} {
		say("mkdir "+path, syscall.Mkdir(path, 0o755))
	}
	for _, path := range []string{"/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/timer_list", "/proc/interrupts", "/proc/sched_debug"} {
		bytes, err := os.ReadFile(path)
		if err != nil {
			bytes = nil
		}
		fmt.Fprintf(out, "read %s\t%d\n", path, len(bytes))
	}
	out.Flush()
}

// devices makes nodes of devices that would open the host, and lists those that are there.
func devices() {
	type node struct {
		name         string
		mode         uint32
		major, minor uint32
	}
	for _, node := range []node{
		{"mem", syscall.S_IFCHR, 1, 1}, {"port", syscall.S_IFCHR, 1, 4}, {"kmsg", syscall.S_IFCHR, 1, 11}, {"loop0", syscall.S_IFBLK, 7, 0},
		{"loop-control", syscall.S_IFCHR, 10, 237}, {"fuse", syscall.S_IFCHR, 10, 229}, {"kvm", syscall.S_IFCHR, 10, 232},
		{"tun", syscall.S_IFCHR, 10, 200}, {"sda", syscall.S_IFBLK, 8, 0}, {"vda", syscall.S_IFBLK, 254, 0}, {"console", syscall.S_IFCHR, 5, 1},
		{"null", syscall.S_IFCHR, 1, 3},
	} {
		for _, directory := range []string{"/tmp", "/dev", "/dev/shm"} {
			path := directory + "/made-" + node.name
			err := syscall.Mknod(path, node.mode|0o666, int(node.major<<8|node.minor))
			if err == nil {
				// A node alone is no harm where devices cannot be opened.
				_, err = syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
				_ = os.Remove(path)
			}
			say(path, err)
		}
	}
	_ = filepath.WalkDir("/dev", func(path string, _ fs.DirEntry, _ error) error {
		// The entry itself tells of the file that a node is mounted over.
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeDevice != 0 {
			fmt.Fprintf(out, "node\t%s\n", path)
		}
		return nil
	})
	out.Flush()
}

// neighbour tries to reach a process by the number that it has on the host.
func neighbour(pid int) {
	say("kill", syscall.Kill(pid, 0))
	say("ptrace", syscall.PtraceAttach(pid))
	number := uintptr(310)
	if runtime.GOARCH == "arm64" {
		number = 270
	}
	here := make([]byte, 8)
	local := syscall.Iovec{Base: &here[0], Len: 8}
	remote := [2]uintptr{0x400000, 8}
	_, _, errno := syscall.Syscall6(number, uintptr(pid), uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
	say("process_vm_readv", errno)
	_, _, errno = syscall.Syscall(434, uintptr(pid), 0, 0)
	say("pidfd_open", errno)
	for _, name := range []string{"root", "mem", "environ", "ns/mnt", "fd", "cwd"} {
		_, err := syscall.Open(fmt.Sprintf("/proc/%d/%s", pid, name), syscall.O_RDONLY, 0)
		say("/proc/PID/"+name, err)
	}
}

// abstract connects to a unix socket that has no place in any file system.
func abstract(name string) {
	_, err := net.Dial("unix", "@"+name)
	if err == nil {
		say("connect", nil)
		return
	}
	say("connect", err.(*net.OpError).Err.(*os.SyscallError).Err)
}
