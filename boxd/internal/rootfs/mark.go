package rootfs

import (
	"strings"
	"syscall"
	"time"
)

// A file that changed shortly before a mark could change again within one stamp of its filesystem.
const (
	// More than a tick of the kernel (10 ms at most), by which stamps are coarse.
	slack = 100 * time.Millisecond
	// More than the second that filesystems without fractions of it have.
	slackOfSeconds = 2 * time.Second
)

// Mark is what a tree was when its stream was taken from a box that goes on: enough to tell later what has changed. All that changes a file gives it another
// time of change (ctime), which no program can set; writing to mapped memory does so after a sync, with which a mark begins.
type Mark struct {
	exclude []string
	began   time.Time
	seen    []seen
}

type seen struct {
	// The name with NUL for each slash, which sorts as a walk goes.
	key   string
	print fingerprint
}

type fingerprint struct {
	device, inode uint64
	changed, size int64
	mode          uint32
}

func keyOf(name string) string { return strings.ReplaceAll(name, "/", "\x00") }

func printOf(st *syscall.Stat_t) fingerprint {
	return fingerprint{uint64(st.Dev), st.Ino, syscall.TimespecToNsec(st.Ctim), st.Size, st.Mode}
}

// settledAt tells whether any change from that moment on gives the file another print.
func (p fingerprint) settledAt(moment time.Time) bool {
	margin := slack
	if p.changed%int64(time.Second) == 0 {
		margin = slackOfSeconds
	}
	return p.changed < moment.Add(-margin).UnixNano()
}

func (m *Mark) note(name string, st *syscall.Stat_t) {
	m.seen = append(m.seen, seen{keyOf(name), printOf(st)})
}

// since goes through a mark beside a walk.
type since struct {
	mark *Mark
	at   int
	// What is below it is gone with it.
	gone string
}

// reach tells what of the mark is gone up to a name, and whether what has that name now is what it was. An empty name is the end.
func (s *since) reach(name string, st *syscall.Stat_t, gone func(name string) error) (same bool, err error) {
	key := keyOf(name)
	for ; s.at < len(s.mark.seen); s.at++ {
		old := s.mark.seen[s.at]
		if name != "" && old.key > key {
			return false, nil
		}
		if old.key == key && old.print.mode&syscall.S_IFMT == st.Mode&syscall.S_IFMT {
			s.at++
			return old.print == printOf(st) && old.print.settledAt(s.mark.began), nil
		}
		if s.gone == "" || !strings.HasPrefix(old.key, s.gone) {
			s.gone = old.key + "\x00"
			if err := gone(strings.ReplaceAll(old.key, "\x00", "/")); err != nil {
				return false, err
			}
		}
		if old.key == key {
			s.at++
			return false, nil
		}
	}
	return false, nil
}
