package rootfs

import (
	"strings"
	"syscall"
	"time"
)

// slack is more than the clock by which a kernel stamps changes is coarse: a file that changed so shortly before a mark could change again within one stamp.
const slack = time.Second

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
			return old.print == printOf(st) && old.print.changed < s.mark.began.Add(-slack).UnixNano(), nil
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
