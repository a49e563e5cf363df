package metrics

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// unlimited: cgroup v1 writes no limit as the largest number of pages, some 2^63 bytes.
const unlimited = 1 << 60

// cgroup reads the cgroup of this process, version 2 or 1. Page cache that can be dropped at once does not count as used.
func (r *Reader) cgroup() (usage time.Duration, memory, limit int64, ok bool) {
	if dir, found := r.cgroupDir(""); found {
		if usage, memory, limit, ok = r.version2(dir); ok {
			return usage, memory, limit, true
		}
	}
	return r.version1()
}

func (r *Reader) version2(dir string) (usage time.Duration, memory, limit int64, ok bool) {
	cpu, cpuOk := r.text(dir, "cpu.stat")
	current, memoryOk := r.number(dir, "memory.current")
	if !cpuOk || !memoryOk {
		return 0, 0, 0, false
	}
	if stat, ok := r.text(dir, "memory.stat"); ok {
		current -= keyed(stat)["inactive_file"]
	}
	limit, _ = r.number(dir, "memory.max") // "max" is no number
	return time.Duration(keyed(cpu)["usage_usec"]) * time.Microsecond, atLeast0(current), limit, true
}

func (r *Reader) version1() (usage time.Duration, memory, limit int64, ok bool) {
	cpuDir, cpuFound := r.cgroupDir("cpuacct")
	memoryDir, memoryFound := r.cgroupDir("memory")
	if !cpuFound || !memoryFound {
		return 0, 0, 0, false
	}
	nanoseconds, cpuOk := r.number(cpuDir, "cpuacct.usage")
	current, memoryOk := r.number(memoryDir, "memory.usage_in_bytes")
	if !cpuOk || !memoryOk {
		return 0, 0, 0, false
	}
	if stat, ok := r.text(memoryDir, "memory.stat"); ok {
		current -= keyed(stat)["total_inactive_file"]
	}
	limit, _ = r.number(memoryDir, "memory.limit_in_bytes")
	if limit >= unlimited {
		limit = 0
	}
	return time.Duration(nanoseconds), atLeast0(current), limit, true
}

func (r *Reader) number(path ...string) (int64, bool) {
	text, ok := r.text(path...)
	value, err := strconv.ParseInt(text, 10, 64)
	return value, ok && err == nil
}

func atLeast0(n int64) int64 {
	if n < 0 {
		return 0
	}
	return n
}

// cgroupDir finds the directory of this process's cgroup for a controller of version 1, or of version 2 for "".
func (r *Reader) cgroupDir(controller string) (string, bool) {
	own, ok := r.ownCgroup(controller)
	if !ok {
		return "", false
	}
	mounts, _ := r.text("proc/self/mountinfo")
	for _, line := range strings.Split(mounts, "\n") {
		// id parent major:minor root mountpoint options … - type source superoptions
		left, right, found := strings.Cut(line, " - ")
		before, after := strings.Fields(left), strings.Fields(right)
		if !found || len(before) < 5 || len(after) < 3 {
			continue
		}
		version2 := after[0] == "cgroup2"
		if (controller == "") != version2 || (!version2 && (after[0] != "cgroup" || !listed(after[2], controller))) {
			continue
		}
		root, point := before[3], before[4]
		if relative, err := filepath.Rel(root, own); err == nil && relative != ".." && !strings.HasPrefix(relative, "../") {
			return filepath.Join(point, relative), true
		}
		return point, true // the mount shows another part of the tree; its top is the nearest thing
	}
	return "", false
}

// ownCgroup reads /proc/self/cgroup: lines of hierarchy, controllers and path.
func (r *Reader) ownCgroup(controller string) (string, bool) {
	text, _ := r.text("proc/self/cgroup")
	for _, line := range strings.Split(text, "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) == 3 && (controller == "" && parts[0] == "0" && parts[1] == "" || controller != "" && listed(parts[1], controller)) {
			return parts[2], true
		}
	}
	return "", false
}

func listed(list, name string) bool {
	for _, entry := range strings.Split(list, ",") {
		if entry == name {
			return true
		}
	}
	return false
}
