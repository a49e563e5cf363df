package selftest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"gibil.dev/hostkit/internal/disk"
	"gibil.dev/hostkit/internal/mount"
	"gibil.dev/hostkit/internal/mountns"
	"gibil.dev/hostkit/internal/netns"
	"gibil.dev/hostkit/internal/procs"
	"gibil.dev/hostkit/internal/run"
	"gibil.dev/hostkit/internal/userns"
)

// shifted is above what daemons give to boxes, and as wide as a box's map.
var shifted = userns.Map{Base: 0x7fff_0000, Count: 0x1_0000}

func unmount(target string, err *error) {
	if _, problem := mount.Unmount(target, true); *err == nil {
		*err = problem
	}
}

func tryDisk(root string) (detail string, err error) {
	template, image, target := filepath.Join(root, "template.img"), filepath.Join(root, "disk.img"), filepath.Join(root, "disk")
	if err := disk.Create(template, 16, ""); err != nil {
		return "", err
	}
	if err := disk.Create(image, 16, template); err != nil {
		return "", err
	}
	if err := disk.Mount(image, target, "", nil); err != nil {
		return "", err
	}
	defer unmount(target, &err)
	if err := os.WriteFile(filepath.Join(target, "small"), []byte("written"), 0o600); err != nil {
		return "", err
	}
	// The limit must hold: this is what keeps a box from filling the host.
	err = os.WriteFile(filepath.Join(target, "large"), bytes.Repeat([]byte{1}, 16<<20), 0o600)
	if pathError, ok := err.(*os.PathError); !ok || pathError.Err != syscall.ENOSPC {
		return "", fmt.Errorf("16 MiB on a disk of 16 MiB should end in ENOSPC, not %v", err)
	}
	direct, err := disk.Direct(target)
	if err != nil {
		return "", err
	}
	if !direct {
		return "ext4 on a loop device, without direct I/O: what boxes read is cached twice", nil
	}
	return "ext4 on a loop device with direct I/O", nil
}

func tryUserNamespace(string) (string, error) {
	var cache userns.Cache
	return "with a map of 65536 ids", cache.With(shifted, func(*os.File) error { return nil })
}

func tryOverlay(root string) (detail string, err error) {
	lower, upper, target := filepath.Join(root, "lower"), filepath.Join(root, "upper"), filepath.Join(root, "merged")
	if err := os.Mkdir(lower, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(lower, "file"), []byte("from below"), 0o644); err != nil {
		return "", err
	}
	over := mount.Overlay{Target: target, Lower: []string{lower}, Upper: upper, Work: filepath.Join(root, "work"), IDMap: &shifted}
	if err := over.Mount(); err != nil {
		return "", fmt.Errorf("%w (Linux 5.19 is the first that can do this)", err)
	}
	defer unmount(target, &err)
	if err := os.WriteFile(filepath.Join(target, "file"), []byte("from above"), 0o644); err != nil {
		return "", err
	}
	var stat syscall.Stat_t
	if err := syscall.Stat(filepath.Join(upper, "file"), &stat); err != nil {
		return "", err
	}
	if int(stat.Uid) != shifted.Base {
		return "", fmt.Errorf("root's file of a layer belongs to %d in the box's disk, not to %d", stat.Uid, shifted.Base)
	}
	return "over an id-mapped layer", nil
}

func tryNetwork(string) (detail string, err error) {
	name := fmt.Sprintf("selftest%d", os.Getpid())
	// Addresses of a net for benchmarks (RFC 2544), which hardly anything else uses.
	network := netns.Network{Netns: name, Host: "gst" + fmt.Sprint(os.Getpid()), Guest: "eth0", GuestAddress: "198.19.255.250",
		Gateway: "198.19.255.249", MAC: "02:00:00:00:00:01", MTU: 1500}
	if err := netns.Create(network); err != nil {
		return "", err
	}
	return "with a routed veth pair", netns.Destroy(network.Netns, network.Host)
}

func tryCommand(root string) (string, error) {
	command := run.Command{Argv: []string{"/proc/self/exe", "--version"}, Cwd: "/", Log: filepath.Join(root, "log"),
		Socket: filepath.Join(root, "socket"), TimeoutMs: int(tryLimit.Milliseconds()),
		Mounts: &mountns.View{Keep: []string{root}}}
	result, err := run.Start(context.Background(), command)
	if err != nil {
		return "", err
	}
	if result.ExitCode != 0 || !strings.HasPrefix(result.Stderr, "hostkit") {
		return "", fmt.Errorf("exit status %d: %s", result.ExitCode, result.Stderr)
	}
	return "with an inherited socket and a table of mounts of its own", nil
}

func tryWatching(string) (string, error) {
	child := exec.Command("/proc/self/exe", "hold")
	stdin, err := child.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := child.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- procs.Wait(context.Background(), child.Process.Pid) }()
	_ = stdin.Close()
	err = <-ended
	_ = child.Wait()
	return "by pidfd", err
}
