package launch

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
)

// mostFiles are fewer than the descriptors between those that a program finds and the ones that inherit uses.
const (
	mostFiles = 32
	highFD    = 64
)

// Program is what a process becomes.
type Program struct {
	Argv []string `json:"argv"`
	// Cgroups are directories of cgroups to join.
	Cgroups []string `json:"cgroups"`
	// Files are open for reading, one after another.
	Files []string `json:"files"`
}

func (p Program) check() error {
	if len(p.Argv) == 0 || !filepath.IsAbs(p.Argv[0]) {
		return errno.Invalidf("argv begins with the absolute path of a program")
	}
	if len(p.Files) > mostFiles {
		return errno.Invalidf("at most %d files", mostFiles)
	}
	for _, cgroup := range p.Cgroups {
		if !strings.HasPrefix(filepath.Clean(cgroup), cgroupRoot) {
			return errno.Invalidf("%q is no cgroup", cgroup)
		}
	}
	return nil
}

// prepare joins the cgroups and opens the files.
func (p Program) prepare() ([]*os.File, error) {
	for _, cgroup := range p.Cgroups {
		if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte("0"), 0); err != nil {
			return nil, err
		}
	}
	files := []*os.File{}
	for _, path := range p.Files {
		file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

func (p Program) execute(env []string) error {
	return os.NewSyscallError("exec", syscall.Exec(p.Argv[0], p.Argv, env))
}

// inherit puts the files where the program looks for them, from a descriptor on.
func inherit(first int, files []*os.File) error {
	// First out of the way: one may lie where another goes.
	high := []int{}
	for _, file := range files {
		fd, _, failed := syscall.Syscall(syscall.SYS_FCNTL, file.Fd(), syscall.F_DUPFD_CLOEXEC, highFD)
		if failed != 0 {
			return os.NewSyscallError("fcntl", failed)
		}
		high = append(high, int(fd))
	}
	for i, fd := range high {
		if err := syscall.Dup3(fd, first+i, 0); err != nil {
			return os.NewSyscallError("dup3", err)
		}
	}
	return nil
}
