// Package mount makes and removes mounts.
package mount

import (
	"bufio"
	"io"
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

// Entry is one mount of a table.
type Entry struct {
	ID            uint64
	Point, Source string
}

// Read reads the table in a file of the form of proc_pid_mountinfo(5).
func Read(table io.Reader) ([]Entry, error) {
	entries := []Entry{}
	lines := bufio.NewScanner(table)
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for lines.Scan() {
		left, right, _ := strings.Cut(lines.Text(), " - ")
		point, whole := mountPoint(left + " ")
		fields := strings.Fields(right)
		number, _, _ := strings.Cut(left, " ")
		id, err := strconv.ParseUint(number, 10, 64)
		if whole && err == nil && len(fields) > 1 {
			entries = append(entries, Entry{id, point, unescape(fields[1])})
		}
	}
	return entries, lines.Err()
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
