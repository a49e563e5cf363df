package mount

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// IsMountpoint says whether a file system is mounted at a directory: it then lies on another device than its parent. (A bind of the
// same file system looks like no mount; nothing here makes one over a directory.)
func IsMountpoint(path string) (bool, error) {
	var self, parent syscall.Stat_t
	if err := syscall.Lstat(path, &self); err != nil {
		if err == syscall.ENOENT {
			return false, nil
		}
		return false, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	if err := syscall.Lstat(filepath.Dir(path), &parent); err != nil {
		return false, &os.PathError{Op: "lstat", Path: filepath.Dir(path), Err: err}
	}
	return self.Dev != parent.Dev, nil
}

// Table lists the mount points of this process that start with a prefix, in the order they were mounted.
func Table(prefix string) ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	points := []string{}
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), " ", 6)
		if len(fields) < 6 {
			continue
		}
		if point := unescape(fields[4]); strings.HasPrefix(point, prefix) {
			points = append(points, point)
		}
	}
	return points, lines.Err()
}

// unescape reads the octal escapes that the kernel writes for blanks and backslashes.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if value, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(value))
				i += 3
				continue
			}
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// busyLimit is how long a mount may stay in use before it is detached from the tree and left to end by itself.
const busyLimit = 2 * time.Second

// Unmount removes what is mounted at the target, and with recursive all below it; fine when there is nothing.
func Unmount(target string, recursive bool) error {
	target = filepath.Clean(target)
	if !recursive {
		return unmountAll(target)
	}
	points, err := Table(target)
	if err != nil {
		return err
	}
	for i := len(points) - 1; i >= 0; i-- {
		if points[i] == target || strings.HasPrefix(points[i], target+"/") {
			if err := unmountOne(points[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// unmountAll takes away every mount at one path: several may lie over each other.
func unmountAll(target string) error {
	for {
		mounted, err := IsMountpoint(target)
		if err != nil || !mounted {
			return err
		}
		if err := unmountOne(target); err != nil {
			return err
		}
	}
}

func unmountOne(point string) error {
	const noFollow = 8 // UMOUNT_NOFOLLOW
	deadline := time.Now().Add(busyLimit)
	for wait := time.Millisecond; ; wait *= 2 {
		err := syscall.Unmount(point, noFollow)
		switch {
		case err == nil, err == syscall.EINVAL, err == syscall.ENOENT:
			return nil
		case err != syscall.EBUSY:
			return &os.PathError{Op: "unmount", Path: point, Err: err}
		case time.Now().After(deadline):
			if err := syscall.Unmount(point, noFollow|syscall.MNT_DETACH); err != nil && err != syscall.EINVAL {
				return &os.PathError{Op: "unmount", Path: point, Err: err}
			}
			return nil
		}
		time.Sleep(wait)
	}
}
