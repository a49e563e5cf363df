package guest

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"syscall"

	"gibil.dev/boxd/internal/fault"
)

// umountNoFollow is of linux/fs.h.
const umountNoFollow = 8

// Disk is one that the host serves and that is mounted in this machine, to be read.
type Disk struct {
	Path string `json:"path"`
	// Port of the host's side of the control link.
	Port int `json:"port"`
	// Label is the host's own word for it.
	Label string `json:"label"`
}

type mountedDisk struct {
	Disk
	device *nbdDevice
	// made: the directory was made for it, and goes with it.
	made bool
}

// Disks are those that are mounted now. They last as long as this process.
type Disks struct {
	// listener is in the namespace of the control link.
	listener net.Listener
	lock     sync.Mutex
	mounted  map[string]*mountedDisk
}

// List is sorted by path.
func (d *Disks) List() []Disk {
	d.lock.Lock()
	defer d.lock.Unlock()
	list := make([]Disk, 0, len(d.mounted))
	for _, disk := range d.mounted {
		list = append(list, disk.Disk)
	}
	sort.Slice(list, func(a, b int) bool { return list[a].Path < list[b].Path })
	return list
}

// Mount mounts the disk that the host serves at a port. Its file system first repairs itself from its journal, as after a loss of power; the server
// forgets what that writes.
func (d *Disks) Mount(disk Disk) error {
	if !filepath.IsAbs(disk.Path) || disk.Port < 1 || disk.Port > 65_535 {
		return fault.New(fault.InvalidRequest, "A disk has an absolute path and a port.")
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	path, made, err := placeFor(disk.Path)
	if err != nil {
		return err
	}
	disk.Path = path
	device, err := d.attach(disk.Port)
	if err == nil {
		if err = mountReadOnly(device, path); err != nil {
			device.close()
		}
	}
	if err != nil {
		if made {
			_ = os.Remove(path)
		}
		return err
	}
	mounted := &mountedDisk{disk, device, made}
	if d.mounted == nil {
		d.mounted = map[string]*mountedDisk{}
	}
	d.mounted[path] = mounted
	go d.watch(mounted)
	return nil
}

func (d *Disks) attach(port int) (*nbdDevice, error) {
	socket, err := dialDisk(d.listener, port)
	if err != nil {
		return nil, err
	}
	bytes, err := shakeHands(socket)
	if err == nil {
		err = setPatience(socket, 0)
	}
	var device *nbdDevice
	if err == nil {
		device, err = openNBD(socket, bytes)
	}
	if err != nil {
		socket.Close()
	}
	return device, err
}

func mountReadOnly(device *nbdDevice, path string) error {
	flags := uintptr(syscall.MS_RDONLY | syscall.MS_NOSUID | syscall.MS_NODEV)
	if err := syscall.Mount(device.path, path, "ext4", flags, ""); err != nil {
		return &os.PathError{Op: "mount", Path: path, Err: err}
	}
	err := device.seal()
	if err != nil {
		_ = syscall.Unmount(path, syscall.MNT_DETACH|umountNoFollow)
	}
	return err
}

// placeFor makes the directory, or finds an empty one that nothing is mounted on. It returns where that is without links.
func placeFor(path string) (place string, made bool, err error) {
	parent := filepath.Dir(filepath.Clean(path))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", false, err
	}
	if parent, err = filepath.EvalSymlinks(parent); err != nil {
		return "", false, err
	}
	place = filepath.Join(parent, filepath.Base(path))
	if err := os.Mkdir(place, 0o755); err == nil {
		return place, true, nil
	} else if !os.IsExist(err) {
		return "", false, err
	}
	if place, err = filepath.EvalSymlinks(place); err != nil {
		return "", false, err
	}
	entries, err := os.ReadDir(place)
	if err != nil {
		return "", false, err
	}
	if len(entries) > 0 || place == "/" {
		return "", false, fault.New(fault.FileConflict, "%s is not empty.", place)
	}
	return place, false, nil
}

// Unmount fails with file_conflict while a process uses it.
func (d *Disks) Unmount(path string) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	disk := d.mounted[filepath.Clean(path)]
	if disk == nil {
		return fault.New(fault.FileNotFound, "No disk is mounted at %s.", path)
	}
	return d.take(disk, 0)
}

// Drop lets go of all, whatever uses them: this machine has become another box.
func (d *Disks) Drop() {
	d.lock.Lock()
	defer d.lock.Unlock()
	for _, disk := range d.mounted {
		_ = d.take(disk, syscall.MNT_DETACH)
	}
}

// watch takes a disk away when its server is gone: reading from it gives EIO from then on, and so nobody is led to.
func (d *Disks) watch(disk *mountedDisk) {
	<-disk.device.ended
	d.lock.Lock()
	defer d.lock.Unlock()
	if d.mounted[disk.Path] == disk {
		_ = d.take(disk, syscall.MNT_DETACH)
	}
}

func (d *Disks) take(disk *mountedDisk, flags int) error {
	// What a process of the box has mounted over it, or put in its place, is not ours to take.
	if ours(disk) {
		if err := syscall.Unmount(disk.Path, flags|umountNoFollow); err != nil && !errors.Is(err, syscall.EINVAL) {
			return &os.PathError{Op: "unmount", Path: disk.Path, Err: err}
		}
	}
	delete(d.mounted, disk.Path)
	disk.device.close()
	if disk.made {
		_ = os.Remove(disk.Path)
	}
	return nil
}

func ours(disk *mountedDisk) bool {
	var stat syscall.Stat_t
	number, err := disk.device.number()
	return err == nil && syscall.Lstat(disk.Path, &stat) == nil && stat.Dev == number
}
