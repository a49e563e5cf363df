// Package watch reports changes of files by inotify(7).
package watch

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/files"
)

// Event is one change. Overflow says that changes below path were missed.
type Event struct {
	Type string `json:"type"`
	Path string `json:"path"`
}

const (
	mask = syscall.IN_CREATE | syscall.IN_MODIFY | syscall.IN_ATTRIB | syscall.IN_DELETE | syscall.IN_MOVED_FROM |
		syscall.IN_MOVED_TO | syscall.IN_DELETE_SELF | syscall.IN_MOVE_SELF | syscall.IN_ONLYDIR | syscall.IN_EXCL_UNLINK
	maxWatches  = 1 << 17
	bufferBytes = 64 << 10
)

// Watcher watches one directory, with recursive all below it too, or one file.
type Watcher struct {
	file      *os.File
	fd        int
	root      string
	only      string // the name of the one file
	recursive bool
	paths     map[int32]string
	watches   map[string]int32
	pending   []Event
	ended     bool
}

// Open starts to watch: what happens after it is reported. Throws file_not_found, limit_reached.
func Open(path string, recursive bool) (*Watcher, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return nil, fault.Of(err, path)
	}
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, fault.New(fault.LimitReached, "Files cannot be watched: %v (see fs.inotify.max_user_instances).", err)
	}
	w := &Watcher{
		file: os.NewFile(uintptr(fd), "inotify"), fd: fd, root: path, recursive: recursive,
		paths: map[int32]string{}, watches: map[string]int32{},
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		// The directory is watched, since a file that is replaced atomically would take its own watch with it.
		w.root, w.only, w.recursive = filepath.Dir(path), filepath.Base(path), false
	}
	if err := w.add(w.root, false); err != nil {
		w.Close()
		if err == syscall.ENOSPC {
			return nil, fault.New(fault.LimitReached, "Too many directories are watched (see fs.inotify.max_user_watches).")
		}
		return nil, fault.Of(err, path)
	}
	return w, nil
}

// Close ends it. Nobody may be in Next.
func (w *Watcher) Close() { w.file.Close() }

// Interrupt makes a Next that waits, and each after it, return an error.
func (w *Watcher) Interrupt() { _ = w.file.SetReadDeadline(time.Unix(1, 0)) }

// add watches a directory and what is below it. With report, what is found inside is told as created: it came before the watch.
func (w *Watcher) add(dir string, report bool) error {
	if len(w.paths) >= maxWatches {
		return syscall.ENOSPC
	}
	flags := uint32(mask)
	if dir != w.root {
		flags |= syscall.IN_DONT_FOLLOW
	}
	id, err := syscall.InotifyAddWatch(w.fd, dir, flags)
	if err != nil {
		return err
	}
	if old, ok := w.paths[int32(id)]; ok && old != dir {
		delete(w.watches, old)
	}
	w.paths[int32(id)] = dir
	w.watches[dir] = int32(id)
	if !w.recursive {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // removed meanwhile
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if report && !files.IsTemporary(entry.Name()) {
			w.tell("create", path)
		}
		if entry.IsDir() {
			if err := w.add(path, report); err == syscall.ENOSPC {
				return err
			}
		}
	}
	return nil
}

// drop forgets the watches of a directory that was moved away, and of all below it.
func (w *Watcher) drop(dir string) {
	for path, id := range w.watches {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			_, _ = syscall.InotifyRmWatch(w.fd, uint32(id))
			delete(w.watches, path)
			delete(w.paths, id)
		}
	}
}

// tell adds an event, unless it says again what the last one said.
func (w *Watcher) tell(kind, path string) {
	if n := len(w.pending); n > 0 && w.pending[n-1] == (Event{kind, path}) {
		return
	}
	w.pending = append(w.pending, Event{kind, path})
}

// Next waits for changes. It gives none and no error when the watched directory itself is gone.
func (w *Watcher) Next() ([]Event, error) {
	var buffer [bufferBytes]byte
	for !w.ended {
		n, err := w.file.Read(buffer[:])
		if err != nil {
			return nil, err
		}
		w.pending = nil
		for rest := buffer[:n]; len(rest) >= syscall.SizeofInotifyEvent; {
			raw := (*syscall.InotifyEvent)(unsafe.Pointer(&rest[0]))
			end := syscall.SizeofInotifyEvent + int(raw.Len)
			name := strings.TrimRight(string(rest[syscall.SizeofInotifyEvent:end]), "\x00")
			w.handle(raw.Wd, raw.Mask, name)
			rest = rest[end:]
		}
		if len(w.pending) > 0 {
			return w.pending, nil
		}
	}
	return nil, nil
}

func (w *Watcher) handle(id int32, what uint32, name string) {
	if what&syscall.IN_Q_OVERFLOW != 0 {
		w.overflow()
		return
	}
	dir, known := w.paths[id]
	if !known {
		return
	}
	if what&syscall.IN_IGNORED != 0 {
		delete(w.paths, id)
		if w.watches[dir] == id {
			delete(w.watches, dir)
		}
		return
	}
	if name == "" {
		if dir == w.root && what&(syscall.IN_DELETE_SELF|syscall.IN_MOVE_SELF) != 0 {
			w.tell("remove", dir)
			w.ended = true
		} else if dir == w.root && what&syscall.IN_ATTRIB != 0 && w.only == "" {
			w.tell("chmod", dir)
		}
		return
	}
	if files.IsTemporary(name) || (w.only != "" && name != w.only) {
		return
	}
	w.change(filepath.Join(dir, name), what)
}

func (w *Watcher) change(path string, what uint32) {
	isDir := what&syscall.IN_ISDIR != 0
	switch {
	case what&(syscall.IN_CREATE|syscall.IN_MOVED_TO) != 0:
		w.tell("create", path)
		if isDir && w.recursive {
			if w.add(path, true) == syscall.ENOSPC {
				w.tell("overflow", path)
			}
		}
	case what&syscall.IN_MOVED_FROM != 0:
		w.tell("rename", path)
		if isDir {
			w.drop(path)
		}
	case what&syscall.IN_DELETE != 0:
		w.tell("remove", path)
	case what&syscall.IN_MODIFY != 0:
		w.tell("write", path)
	case what&syscall.IN_ATTRIB != 0:
		w.tell("chmod", path)
	}
}

// overflow watches the whole tree anew: directories may have come unseen.
func (w *Watcher) overflow() {
	w.tell("overflow", w.root)
	if w.recursive {
		w.drop(w.root)
	}
	if w.add(w.root, false) != nil {
		w.ended = true
	}
}
