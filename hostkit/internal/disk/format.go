package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/sys"
)

const (
	// features are given in full, so that the host's mke2fs.conf changes nothing: newer ones turn on what older kernels cannot mount.
	features = "none,has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize,sparse_super,large_file,filetype," +
		"dir_index,ext_attr"
	// prezeroed tells that what was never written reads as zero, so that no inode table needs to be written, now or later. mke2fs of
	// e2fsprogs before 1.47 does not know it; the mount option noinit_itable does as well.
	prezeroed = "assume_storage_prezeroed=1"
	extended  = "nodiscard,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0"
	// bytesPerInode is half of what mke2fs takes: trees of dependencies have many small files. Inode tables count as used space, 3 %.
	bytesPerInode = "8192"
)

// journalMib: a journal is what keeps the disk whole when the host dies. It fills up with use, so that each box takes this much of the host.
// Without one, untarring is no faster and, with discard, removing a tree takes ten times as long.
func journalMib(size int64) int {
	if size < 1<<30 {
		return 4
	}
	return 16
}

// format makes the file system. No blocks are kept for the host's root, and nothing is written ahead, so that the file stays sparse.
func format(file *os.File, size int64) error {
	program, err := findTool("mkfs.ext4")
	if err != nil {
		return err
	}
	journal := fmt.Sprintf("size=%d", journalMib(size))
	make := func(options string) (string, error) {
		var stderr bytes.Buffer
		// The file has no name yet: it is the child's first descriptor after the standard ones.
		command := exec.Command(program, "-q", "-F", "-b", "4096", "-I", "256", "-i", bytesPerInode, "-m", "0", "-J", journal,
			"-O", features, "-E", options, sys.FDPath(3))
		command.ExtraFiles, command.Stderr = []*os.File{file}, &stderr
		command.Env = []string{"LC_ALL=C"}
		err := command.Run()
		return strings.TrimSpace(stderr.String()), err
	}
	said, err := make(extended + "," + prezeroed)
	if err != nil && strings.Contains(said, "assume_storage_prezeroed") {
		said, err = make(extended)
	}
	if err == nil {
		return nil
	}
	if strings.Contains(said, "No space left") {
		return syscall.ENOSPC
	}
	return fmt.Errorf("mkfs.ext4: %w: %s", err, said)
}

// findTool looks also where root's programs are, which a daemon's PATH may lack.
func findTool(name string) (string, error) {
	for _, path := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		found, err := exec.LookPath(path)
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", errno.MissingTool{Program: name}
}
