// Package selftest tries each operation once for real, in a folder of its own, and removes all of it.
package selftest

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gibil.dev/hostkit/internal/disk"
	"gibil.dev/hostkit/internal/mount"
	"gibil.dev/hostkit/internal/netns"
	"gibil.dev/hostkit/internal/procs"
)

// Item is one thing that was tried.
type Item struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Run tries everything below dir.
func Run(dir string) ([]Item, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp(dir, "selftest-")
	if err != nil {
		return nil, err
	}
	// Mount points are taken away by the tries themselves; a recursive removal must not meet one.
	defer os.RemoveAll(root)
	items := []Item{}
	try := func(name, detail string, work func() error) {
		begin := time.Now()
		if err := work(); err != nil {
			items = append(items, Item{name, false, err.Error()})
			return
		}
		items = append(items, Item{name, true, fmt.Sprintf("%s (%.1f ms)", detail, float64(time.Since(begin).Microseconds())/1000)})
	}
	try("disk images", "ext4 on a loop device", func() error { return tryDisk(root) })
	try("overlay", "over an id-mapped layer", func() error { return tryOverlay(root) })
	try("network namespaces", "with a veth pair", tryNetwork)
	try("process watching", "by pidfd", func() error { return procs.Wait(1 << 22) })
	return items, nil
}

func tryDisk(root string) (err error) {
	image, target := filepath.Join(root, "disk.img"), filepath.Join(root, "disk")
	if err := disk.Create(image, 64, ""); err != nil {
		return err
	}
	if err := disk.Mount(image, target, ""); err != nil {
		return err
	}
	defer func() {
		if clean := mount.Unmount(target, true); err == nil {
			err = clean
		}
	}()
	return os.WriteFile(filepath.Join(target, "file"), []byte("written"), 0o600)
}

func tryOverlay(root string) (err error) {
	const base = 1_879_048_192
	lower, target := filepath.Join(root, "lower"), filepath.Join(root, "merged")
	if err := os.MkdirAll(lower, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(lower, "file"), []byte("from below"), 0o644); err != nil {
		return err
	}
	over := mount.Overlay{Target: target, Lower: []string{lower}, Upper: filepath.Join(root, "upper"), Work: filepath.Join(root, "work"),
		IDMap: &mount.IDMap{Base: base, Count: 65536}}
	if err := over.Mount(); err != nil {
		return err
	}
	defer func() {
		if clean := mount.Unmount(target, true); err == nil {
			err = clean
		}
	}()
	return os.WriteFile(filepath.Join(target, "file"), []byte("from above"), 0o644)
}

func tryNetwork() error {
	name := fmt.Sprintf("selftest%d", os.Getpid())
	network := netns.Network{Netns: name, Host: name[:min(len(name), 15)], Guest: "eth0", GuestAddress: "192.0.2.250", Gateway: "192.0.2.249",
		MAC: "02:00:00:00:00:01", MTU: 1500}
	if err := netns.Create(network); err != nil {
		return err
	}
	return netns.Destroy(network.Netns, network.Host)
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}
