// Package guest makes a virtual machine a box: where the kernel starts boxd as its first program, this sets up what a container has from
// its runtime (modules, root disk, mounts, control link), and later gives the box its identity.
package guest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

const (
	// program is where the kernel finds boxd in the initial root file system; nothing else is called so.
	program = "/init"
	// rootDisk is the first disk of the machine.
	rootDisk = "/dev/vda"
	// moduleDisk is the second one: all modules of the kernel.
	moduleDisk = "/dev/vdb"
	newRoot    = "/root"
)

// Starting tells whether the kernel of a virtual machine has just started this process as its first.
func Starting() bool { return os.Getpid() == 1 && os.Args[0] == program }

type step struct {
	name string
	do   func() error
}

func do(steps []step) error {
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// Boot sets up the machine around this process and returns the listener of its control link, and the disks that come by it. The process then is in the root file system of the
// box, as its first process. In a machine with an init of its own it does not return: that is the first process then, and has boxd Join it.
func Boot() (net.Listener, *Disks, error) {
	err := do([]step{
		{"first file systems", mountFirst},
		{"modules", loadModules},
		{"probe", endProbe},
		{"filled disk", awaitDisk},
		{"root disk", mountRoot},
		{"init", handOver},
		{"change of root", enterRoot},
		{"file systems", mountRest},
		{"kernel modules", mountModules},
	})
	if err != nil {
		return nil, nil, err
	}
	return Join()
}

// Join takes the control link of a machine that runs, and sets for it what containers get from outside.
func Join() (net.Listener, *Disks, error) {
	if err := do([]step{{"settings", tune}}); err != nil {
		return nil, nil, err
	}
	listener, err := listenApart()
	if err != nil {
		return nil, nil, fmt.Errorf("control link: %w", err)
	}
	return listener, &Disks{listener: listener}, nil
}

// endProbe ends a machine that was booted only to see whether it boots.
func endProbe() error {
	line, err := os.ReadFile("/proc/cmdline")
	if err == nil && strings.Contains(string(line), "gibil.probe") {
		return errors.New("gibil: boots")
	}
	return err
}

// tune: no IPv6, any port and ping for everybody.
func tune() error {
	if err := withoutIPv6(); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"net/ipv4/ip_unprivileged_port_start": "0",
		"net/ipv4/ping_group_range":           "0 2147483647",
		// Errors, such as processes that were killed for want of memory, are for the console that the host keeps.
		"kernel/printk": "4",
	} {
		if err := set(name, value); err != nil {
			return err
		}
	}
	return nil
}

// withoutIPv6 keeps the links of the thread's network namespace from it: each that comes up would otherwise look for neighbours and routers for a
// while.
func withoutIPv6() error {
	for _, links := range []string{"all", "default"} {
		if err := set("net/ipv6/conf/"+links+"/disable_ipv6", "1"); err != nil {
			return err
		}
	}
	return nil
}

func set(name, value string) error {
	err := os.WriteFile("/proc/sys/"+name, []byte(value), 0)
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// PowerOff writes what is not yet on the disk and ends the machine, which is how its host learns that the box has ended.
func PowerOff() {
	syscall.Sync()
	// Read-only, so that the disk is whole and needs no recovery at the next start; busy files may hinder it, then the journal does that.
	_ = syscall.Mount("", "/", "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	syscall.Sync()
	// The host is told not to begin again.
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
}
