// Package rootfs takes the root filesystem of a box out as one tar stream, and lays one over a machine that has a system of its own.
package rootfs

import (
	"path"
	"strings"
)

// ofTheShape is what a box has from its shape or its place and not from its user: its kernel, its names and network, its way in. It stays where it is. Names
// are relative to the root; a pattern of path.Match. docs/moving.md says the same.
var ofTheShape = []string{
	"boot", "lib/modules", "usr/lib/modules", "lost+found", "swapfile", ".gibil-tmp-*",
	"etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/machine-id", "var/lib/dbus/machine-id",
	"etc/fstab", "etc/crypttab", "etc/default/grub", "etc/default/grub.d", "etc/network", "etc/netplan", "etc/systemd/network",
	"etc/udev/rules.d/70-persistent-net.rules", "etc/cloud", "var/lib/cloud", "var/log/cloud-init.log", "var/log/cloud-init-output.log",
	"etc/ssh/ssh_host_*", "etc/gibil/deadline", "etc/gibil/instance", "usr/local/lib/gibil", "etc/systemd/system/gibil-*", "etc/systemd/system/*.wants/gibil-*",
	"var/lib/systemd/random-seed", "var/log/journal", "run/*",
}

// ofTheSystem is what a machine with a system of its own keeps of that when a tree is laid over it, where it has it.
var ofTheSystem = []string{
	"etc/ssh/sshd_config", "etc/ssh/sshd_config.d", "etc/sudoers.d/90-cloud-init-users", "etc/ld.so.cache",
	"etc/pam.d/common-*", "etc/nsswitch.conf", "etc/mtab",
}

// joined is what both have entries in: those that only the machine has are added to those of the tree.
var joined = map[string]rule{
	"etc/passwd": byFirstField, "etc/group": byFirstField, "etc/shadow": byFirstField, "etc/gshadow": byFirstField,
	"etc/subuid": byFirstField, "etc/subgid": byFirstField,
	"var/lib/dpkg/status":             byPackage,
	"root/.ssh/authorized_keys":       byLine,
	"home/agent/.ssh/authorized_keys": byLine,
}

func matches(name string, patterns []string) bool {
	for _, pattern := range patterns {
		if strings.Count(pattern, "/") != strings.Count(name, "/") {
			continue
		}
		if match, _ := path.Match(pattern, name); match {
			return true
		}
	}
	return false
}

// within says whether a name is what a pattern names or lies in it.
func within(name string, patterns []string) bool {
	for ; name != "." && name != "/" && name != ""; name = path.Dir(name) {
		if matches(name, patterns) {
			return true
		}
	}
	return false
}
