package rootfs

import (
	"bufio"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// walker goes through the tree of a box: its root filesystem without what others are mounted over, and without what is of its shape.
type walker struct {
	root    string
	exclude []string
	mounted map[string]bool
}

func newWalker(root string, exclude []string) *walker {
	w := &walker{root: root, exclude: append(append([]string{}, ofTheShape...), exclude...), mounted: map[string]bool{}}
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return w
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		// proc(5): the fifth field is the place.
		if fields := strings.Fields(lines.Text()); len(fields) > 4 {
			w.mounted[unescape(fields[4])] = true
		}
	}
	return w
}

func unescape(text string) string {
	for at := strings.IndexByte(text, '\\'); at >= 0 && at+4 <= len(text); {
		code, err := strconv.ParseUint(text[at+1:at+4], 8, 8)
		if err != nil {
			break
		}
		text = text[:at] + string([]byte{byte(code)}) + text[at+4:]
		next := strings.IndexByte(text[at+1:], '\\')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return text
}

// each calls back for everything in the tree, directories before what is in them, by name. What vanishes meanwhile is left out.
func (w *walker) each(visit func(file, name string, st *syscall.Stat_t) error) error {
	return w.below(w.root, "", visit)
}

func (w *walker) below(dir, prefix string, visit func(file, name string, st *syscall.Stat_t) error) error {
	names, err := namesIn(dir)
	if err != nil {
		if os.IsNotExist(err) && prefix != "" {
			return nil
		}
		return err
	}
	for _, base := range names {
		file, name := filepath.Join(dir, base), path.Join(prefix, base)
		if matches(name, w.exclude) {
			continue
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(file, &st); err != nil {
			if os.IsNotExist(err) {
				continue
			}
			return &os.PathError{Op: "lstat", Path: file, Err: err}
		}
		isDir := st.Mode&syscall.S_IFMT == syscall.S_IFDIR
		mounted := w.mounted[file]
		if mounted && !isDir {
			continue
		}
		if err := visit(file, name, &st); err != nil {
			return err
		}
		if isDir && !mounted {
			if err := w.below(file, name, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func namesIn(dir string) ([]string, error) {
	file, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names, err := file.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}

// Survey is what a tree is, before any of it is taken.
type Survey struct {
	Entries int64 `json:"entries"`
	// Bytes on the disk; a file with several names counts once.
	Bytes int64 `json:"bytes"`
	// The largest user or group id, and what has it.
	MaxID     uint32 `json:"maxId"`
	MaxIDPath string `json:"maxIdPath"`
}

// Look surveys the tree below a root.
func Look(root string, exclude []string) (Survey, error) {
	survey := Survey{}
	seen := map[[2]uint64]bool{}
	err := newWalker(root, exclude).each(func(file, _ string, st *syscall.Stat_t) error {
		survey.Entries++
		if id := uint32(max(int64(st.Uid), int64(st.Gid))); id > survey.MaxID {
			survey.MaxID, survey.MaxIDPath = id, file
		}
		if st.Mode&syscall.S_IFMT == syscall.S_IFREG && st.Nlink > 1 {
			key := [2]uint64{uint64(st.Dev), st.Ino}
			if seen[key] {
				return nil
			}
			seen[key] = true
		}
		survey.Bytes += st.Blocks * 512
		return nil
	})
	return survey, err
}
