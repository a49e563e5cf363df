// Package metrics says what the box uses.
package metrics

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Metrics of the whole box.
type Metrics struct {
	CPUPercent       float64 `json:"cpuPercent"`
	CPUUsageMs       float64 `json:"cpuUsageMs"`
	MemoryBytes      int64   `json:"memoryBytes"`
	MemoryLimitBytes *int64  `json:"memoryLimitBytes"`
	DiskBytes        int64   `json:"diskBytes"`
	DiskLimitBytes   int64   `json:"diskLimitBytes"`
	Processes        int     `json:"processes"`
	UptimeMs         float64 `json:"uptimeMs"`
}

// Reader reads the metrics and remembers the last reading.
type Reader struct {
	root string
	// wholeBox: the box is the cgroup of this process. In a VM it is the machine, whatever cgroup boxd's own service is in.
	wholeBox bool
	started  time.Time
	now      func() time.Time

	mu        sync.Mutex
	last      time.Time
	lastUsage time.Duration
}

// New reads below root ("/"). wholeBox says that the cgroup of this process is that of the whole box.
func New(root string, wholeBox bool, now func() time.Time) *Reader {
	return &Reader{root: root, wholeBox: wholeBox, started: now(), last: now(), now: now}
}

// Read gives the metrics of this moment; cpuPercent is over the time since the last reading, the first since New.
func (r *Reader) Read() Metrics {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	usage, memory, limit := r.machine()
	uptime := now.Sub(r.started)
	if r.wholeBox {
		if u, m, l, ok := r.cgroup(); ok {
			usage, memory, limit = u, m, l
		}
	} else if seconds, ok := r.uptime(); ok {
		uptime = seconds
	}
	metrics := Metrics{
		CPUUsageMs: ms(usage), MemoryBytes: memory, Processes: r.processes(), UptimeMs: ms(uptime),
	}
	if limit > 0 {
		metrics.MemoryLimitBytes = &limit
	}
	if passed := now.Sub(r.last); passed > 0 && usage >= r.lastUsage {
		metrics.CPUPercent = float64(usage-r.lastUsage) / float64(passed) * 100
	}
	r.last, r.lastUsage = now, usage
	var fs syscall.Statfs_t
	if syscall.Statfs(r.root, &fs) == nil {
		block := int64(fs.Bsize)
		metrics.DiskBytes = int64(fs.Blocks-fs.Bfree) * block
		metrics.DiskLimitBytes = int64(fs.Blocks) * block
	}
	return metrics
}

// Start takes the first reading, so that the next has something to compare with.
func (r *Reader) Start() *Reader {
	r.Read()
	return r
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (r *Reader) text(path ...string) (string, bool) {
	data, err := os.ReadFile(filepath.Join(append([]string{r.root}, path...)...))
	return strings.TrimSpace(string(data)), err == nil
}

// machine reads /proc/stat and /proc/meminfo: the whole machine. No limit there: what it has is the limit.
func (r *Reader) machine() (usage time.Duration, memory, limit int64) {
	if stat, ok := r.text("proc/stat"); ok {
		line, _, _ := strings.Cut(stat, "\n")
		fields := strings.Fields(line)
		// user nice system idle iowait irq softirq steal, in ticks of 10 ms
		for i, field := range fields {
			if i == 0 || i == 4 || i == 5 || i > 8 {
				continue
			}
			ticks, _ := strconv.ParseInt(field, 10, 64)
			usage += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	if meminfo, ok := r.text("proc/meminfo"); ok {
		values := keyed(meminfo)
		limit = values["MemTotal:"] << 10
		memory = limit - values["MemAvailable:"]<<10
	}
	return usage, memory, limit
}

func (r *Reader) uptime() (time.Duration, bool) {
	text, ok := r.text("proc/uptime")
	first, _, _ := strings.Cut(text, " ")
	seconds, err := strconv.ParseFloat(first, 64)
	return time.Duration(seconds * float64(time.Second)), ok && err == nil
}

func (r *Reader) processes() int {
	entries, err := os.ReadDir(filepath.Join(r.root, "proc"))
	if err != nil {
		return 0
	}
	count := 0
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err == nil {
			count++
		}
	}
	return count
}

// keyed reads lines of a name and a number.
func keyed(text string) map[string]int64 {
	values := map[string]int64{}
	for _, line := range strings.Split(text, "\n") {
		if fields := strings.Fields(line); len(fields) >= 2 {
			if value, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				values[fields[0]] = value
			}
		}
	}
	return values
}
