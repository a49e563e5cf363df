// Package mount makes and removes mounts.
package mount

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// Table lists the mount points of this process that start with a prefix, in the order of the kernel's table.
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
		if point, ok := mountPoint(lines.Text()); ok && strings.HasPrefix(point, prefix) {
			points = append(points, point)
		}
	}
	return points, lines.Err()
}

// mountPoint is the fifth field of a line of proc_pid_mountinfo(5). A mount point that was removed meanwhile has a mark at its end.
func mountPoint(line string) (string, bool) {
	fields := strings.SplitN(line, " ", 6)
	if len(fields) < 6 {
		return "", false
	}
	return strings.TrimSuffix(unescape(fields[4]), "//deleted"), true
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
