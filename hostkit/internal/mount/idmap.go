package mount

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"unsafe"
)

// Numbers of the mount calls of Linux 5.2 and 5.12, the same on amd64 and arm64.
const (
	sysOpenTree     = 428
	sysMoveMount    = 429
	sysMountSetattr = 442

	openTreeClone       = 1
	openTreeCloexec     = 0x80000
	moveMountFEmptyPath = 4
	atEmptyPath         = 0x1000
	attrIDMap           = 0x100000
	atFDCWD             = -100
)

// IDMap shifts the ids 0..Count of a tree to Base..Base+Count.
type IDMap struct {
	Base  int `json:"base"`
	Count int `json:"count"`
}

// namespaces keeps one user namespace per map: making one costs a process, and a slot's map is used again and again.
var namespaces = struct {
	sync.Mutex
	files map[IDMap]*os.File
}{files: map[IDMap]*os.File{}}

// maxNamespaces bounds the cache; beyond it the map is emptied, which costs a process at the next use and nothing else.
const maxNamespaces = 256

// namespaceFor returns a user namespace with the map; the caller must not close it.
func namespaceFor(idmap IDMap) (*os.File, error) {
	namespaces.Lock()
	defer namespaces.Unlock()
	if file, found := namespaces.files[idmap]; found {
		return file, nil
	}
	file, err := makeNamespace(idmap)
	if err != nil {
		return nil, err
	}
	if len(namespaces.files) >= maxNamespaces {
		// Files in use by another call are closed by the collector once it is done with them.
		namespaces.files = map[IDMap]*os.File{}
	}
	namespaces.files[idmap] = file
	return file, nil
}

// makeNamespace holds a process in a new user namespace just long enough to open the namespace.
func makeNamespace(idmap IDMap) (*os.File, error) {
	holder := exec.Command("/proc/self/exe", "hold")
	stdin, err := holder.StdinPipe()
	if err != nil {
		return nil, err
	}
	mapping := []syscall.SysProcIDMap{{ContainerID: 0, HostID: idmap.Base, Size: idmap.Count}}
	holder.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: mapping,
		GidMappings: mapping,
		Pdeathsig:   syscall.SIGKILL,
	}
	if err := holder.Start(); err != nil {
		return nil, fmt.Errorf("make a user namespace: %w", err)
	}
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", holder.Process.Pid))
	_ = stdin.Close()
	_ = holder.Process.Kill()
	_ = holder.Wait()
	if err != nil {
		return nil, fmt.Errorf("open a user namespace: %w", err)
	}
	return file, nil
}

type mountAttr struct {
	set, clear, propagation, usernsFD uint64
}

// bindMapped mounts a copy of the source's mount at the target with its ids shifted. The source's submounts are left out.
func bindMapped(source, target string, idmap *IDMap) error {
	tree, err := openTree(source)
	if err != nil {
		return fmt.Errorf("open_tree %s: %w", source, err)
	}
	defer syscall.Close(tree)
	if idmap != nil {
		namespace, err := namespaceFor(*idmap)
		if err != nil {
			return err
		}
		attr := mountAttr{set: attrIDMap, usernsFD: uint64(namespace.Fd())}
		empty := [1]byte{}
		_, _, number := syscall.Syscall6(sysMountSetattr, uintptr(tree), uintptr(unsafe.Pointer(&empty[0])), atEmptyPath,
			uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
		if number != 0 {
			return fmt.Errorf("mount_setattr %s: %w", source, number)
		}
	}
	return moveMount(tree, target)
}

func openTree(path string) (int, error) {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	cwd := atFDCWD
	fd, _, number := syscall.Syscall(sysOpenTree, uintptr(cwd), uintptr(unsafe.Pointer(name)), openTreeClone|openTreeCloexec)
	if number != 0 {
		return -1, number
	}
	return int(fd), nil
}

func moveMount(tree int, target string) error {
	name, err := syscall.BytePtrFromString(target)
	if err != nil {
		return err
	}
	empty := [1]byte{}
	cwd := atFDCWD
	_, _, number := syscall.Syscall6(sysMoveMount, uintptr(tree), uintptr(unsafe.Pointer(&empty[0])), uintptr(cwd),
		uintptr(unsafe.Pointer(name)), moveMountFEmptyPath, 0)
	if number != 0 {
		return fmt.Errorf("move_mount %s: %w", target, number)
	}
	return nil
}
