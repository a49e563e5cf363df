package files

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/users"
)

const copyBytes = 256 << 10

// Write replaces a file with all of body, or leaves it as it was. A nil mode keeps what the file had, else it is 0644; a file
// that was there keeps its owner unless one is named. A symlink is followed. With ifHash, the SHA-256 of what the file has to be in hex, or "none"
// where there must be none, one that is something else stays and the answer is file_conflict.
func (t *Tree) Write(path, userName string, mode *uint32, ifHash string, body io.Reader) (Info, error) {
	owner, err := t.Owner(userName)
	if err != nil {
		return Info{}, err
	}
	target, err := followLinks(path)
	if err != nil {
		return Info{}, fault.Of(err, path)
	}
	perm, uid, gid := uint32(0o644), owner.UID, owner.GID
	var old syscall.Stat_t
	if err := syscall.Lstat(target, &old); err == nil {
		if !isRegular(&old) {
			return Info{}, fault.New(fault.FileConflict, "%s is there already and is not a regular file.", path)
		}
		perm = old.Mode & 0o7777
		if userName == "" {
			uid, gid = old.Uid, old.Gid
		}
	} else if err := MakeDirs(filepath.Dir(target), 0o755, owner); err != nil {
		return Info{}, err
	}
	if mode != nil {
		perm = *mode
	}
	temporary := temporaryBeside(target)
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return Info{}, fault.Of(err, path)
	}
	err = fill(file, body, uid, gid, perm)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = t.replace(temporary, target, ifHash)
	}
	if err != nil {
		_ = syscall.Unlink(temporary)
		return Info{}, bodyOrFile(err, path)
	}
	return t.Stat(target, false)
}

// replace puts a finished file in the place of another, if that is what it has to be.
func (t *Tree) replace(temporary, target, ifHash string) error {
	t.replacing.Lock()
	defer t.replacing.Unlock()
	if ifHash != "" {
		hash, err := hashOf(target)
		if err != nil {
			return err
		}
		if hash != ifHash {
			return fault.New(fault.FileConflict, "%s is not what it was: it has been changed meanwhile.", target)
		}
	}
	return syscall.Rename(temporary, target)
}

// hashOf is the SHA-256 of a file in hex, "none" where there is none.
func hashOf(path string) (string, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ENOENT) {
		return "none", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", fault.New(fault.FileConflict, "%s is not a regular file.", path)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func temporaryBeside(path string) string {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		panic(err) // the kernel always has random bytes
	}
	return filepath.Join(filepath.Dir(path), tempPrefix+hex.EncodeToString(random[:]))
}

// fill writes a new file and then gives it away: before that nobody else may open it.
func fill(file *os.File, body io.Reader, uid, gid, perm uint32) error {
	if err := copyInto(file, body); err != nil {
		return err
	}
	fd := int(file.Fd())
	if err := giveTo(fd, uid, gid); err != nil {
		return err
	}
	return syscall.Fchmod(fd, perm)
}

// giveTo changes the owner where boxd may and must.
func giveTo(fd int, uid, gid uint32) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || (st.Uid == uid && st.Gid == gid) {
		return err
	}
	return syscall.Fchown(fd, int(uid), int(gid))
}

type readFailure struct{ error }

func (e readFailure) Unwrap() error { return e.error }

// copyInto tells a body that failed from a file that did.
func copyInto(file io.Writer, body io.Reader) error {
	buffer := make([]byte, copyBytes)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if _, err := file.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return readFailure{err}
		}
	}
}

func bodyOrFile(err error, path string) error {
	var failed readFailure
	if errors.As(err, &failed) {
		return fault.New(fault.InvalidRequest, "The body ended too early: %v", failed.error)
	}
	return fault.Of(err, path)
}

// followLinks finds what a path leads to, also when that does not exist.
func followLinks(path string) (string, error) {
	for hops := 0; hops < 40; hops++ {
		var st syscall.Stat_t
		if syscall.Lstat(path, &st) != nil || !isLink(&st) {
			return path, nil
		}
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(target) {
			// "dir/../x" is not "x" where dir is a symlink.
			dir, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				return "", err
			}
			target = filepath.Join(dir, target)
		}
		path = target
	}
	return "", syscall.ELOOP
}

// MakeDirs makes a directory and its parents. What it makes belongs to the owner; what is there stays as it is.
func MakeDirs(path string, mode uint32, owner users.User) error {
	var st syscall.Stat_t
	err := syscall.Stat(path, &st)
	if err == nil && isDir(&st) {
		return nil
	}
	if err == nil {
		return fault.New(fault.FileConflict, "%s is there already and is not a directory.", path)
	}
	if err != syscall.ENOENT {
		return fault.Of(err, path)
	}
	if err := MakeDirs(filepath.Dir(path), 0o755, owner); err != nil {
		return err
	}
	if err := syscall.Mkdir(path, 0o700); err == syscall.EEXIST {
		if syscall.Stat(path, &st) == nil && isDir(&st) {
			return nil // another was faster
		}
		return fault.New(fault.FileConflict, "%s is there already and is not a directory.", path)
	} else if err != nil {
		return fault.Of(err, path)
	}
	fd, err := syscall.Open(path, syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fault.Of(err, path)
	}
	defer syscall.Close(fd)
	if err := giveTo(fd, owner.UID, owner.GID); err != nil {
		return fault.Of(err, path)
	}
	if err := syscall.Fchmod(fd, mode); err != nil {
		return fault.Of(err, path)
	}
	return nil
}

// MakeDirectory makes a directory with its parents; fine when it exists.
func (t *Tree) MakeDirectory(path string, mode *uint32, userName string) error {
	owner, err := t.Owner(userName)
	if err != nil {
		return err
	}
	perm := uint32(0o755)
	if mode != nil {
		perm = *mode
	}
	return MakeDirs(path, perm, owner)
}
