package metrics

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// tree writes a root directory with the files of /proc and /sys that a test needs.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

const stat = "cpu  100 10 40 9999 50 1 2 3 0 0\ncpu0 1 1 1 1\n"
const meminfo = "MemTotal:        8000000 kB\nMemFree:  1 kB\nMemAvailable:    6000000 kB\n"

func TestWholeMachine(t *testing.T) {
	root := tree(t, map[string]string{
		"proc/stat": stat, "proc/meminfo": meminfo, "proc/uptime": "12.50 3.00\n", "proc/1/x": "", "proc/77/x": "",
		// The service's own cgroup is not the box.
		"proc/self/cgroup": "0::/system.slice/boxd.service\n", "proc/self/mountinfo": "25 20 0:22 / /cg rw - cgroup2 cgroup2 rw\n",
		"cg/system.slice/boxd.service/memory.current": "1\n", "cg/system.slice/boxd.service/cpu.stat": "usage_usec 1\n",
	})
	c := &clock{time.Unix(1000, 0)}
	m := New(root, false, c.now).Read()
	if m.CPUUsageMs != 1560 || m.MemoryBytes != 2_000_000<<10 || *m.MemoryLimitBytes != 8_000_000<<10 || m.UptimeMs != 12_500 || m.Processes != 2 {
		t.Fatalf("%+v", m)
	}
	if m.DiskLimitBytes <= 0 || m.DiskBytes <= 0 || m.DiskBytes > m.DiskLimitBytes {
		t.Fatalf("%+v", m)
	}
}

func TestVersion2(t *testing.T) {
	root := tree(t, map[string]string{
		"proc/stat": stat, "proc/meminfo": meminfo,
		"proc/self/cgroup":             "0::/\n",
		"proc/self/mountinfo":          "24 20 0:21 / /proc rw - proc proc rw\n25 20 0:22 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n",
		"sys/fs/cgroup/memory.current": "5000000\n", "sys/fs/cgroup/memory.max": "64000000\n",
		"sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 1000000\n", "sys/fs/cgroup/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
	})
	c := &clock{time.Unix(1000, 0)}
	reader := New(root, true, c.now).Start()
	c.at = c.at.Add(2 * time.Second)
	if err := os.WriteFile(filepath.Join(root, "sys/fs/cgroup/cpu.stat"), []byte("usage_usec 5500000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := reader.Read()
	if m.CPUUsageMs != 5500 || m.CPUPercent != 150 || m.MemoryBytes != 4_000_000 || *m.MemoryLimitBytes != 64_000_000 || m.UptimeMs != 2000 {
		t.Fatalf("%+v limit %d", m, *m.MemoryLimitBytes)
	}
}

func TestVersion1(t *testing.T) {
	root := tree(t, map[string]string{
		"proc/stat": stat, "proc/meminfo": meminfo,
		"proc/self/cgroup": "4:memory:/gibil/box\n3:cpu,cpuacct:/gibil/box\n0::/gibil/box\n",
		"proc/self/mountinfo": "30 20 0:30 /gibil/box /cg/memory ro - cgroup cgroup rw,memory\n" +
			"31 20 0:31 /gibil /cg/cpu ro - cgroup cgroup rw,cpu,cpuacct\n32 20 0:32 / /cg/unified ro - cgroup2 cgroup rw\n",
		"cg/memory/memory.usage_in_bytes": "3000000\n", "cg/memory/memory.limit_in_bytes": "9223372036854771712\n",
		"cg/memory/memory.stat": "inactive_file 7\ntotal_inactive_file 500000\n", "cg/cpu/box/cpuacct.usage": "1500000000\n",
	})
	m := New(root, true, time.Now).Read()
	if m.CPUUsageMs != 1500 || m.MemoryBytes != 2_500_000 || m.MemoryLimitBytes != nil {
		t.Fatalf("%+v", m)
	}
}

func TestNoCgroupInSight(t *testing.T) {
	root := tree(t, map[string]string{"proc/stat": stat, "proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": ""})
	if m := New(root, true, time.Now).Read(); m.CPUUsageMs != 1560 || m.MemoryBytes != 2_000_000<<10 {
		t.Fatalf("%+v", m)
	}
}
