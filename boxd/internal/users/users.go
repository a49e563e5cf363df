// Package users reads /etc/passwd and /etc/group, without cgo and with a cache that notices changes.
package users

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"gibil.dev/boxd/internal/fault"
)

// noID is no id of anybody: setuid(2) and chown(2) take it for "leave as it is", which would be root.
const noID = 1<<32 - 1

// User is who a command runs as, or who owns a file.
type User struct {
	Name   string
	UID    uint32
	GID    uint32
	Home   string
	Shell  string
	Groups []uint32
}

// DB answers from two files in the formats of passwd(5) and group(5).
type DB struct {
	passwd, group string

	mu          sync.Mutex
	stamps      [2]stamp
	byName      map[string]User
	userNames   map[uint32]string
	groupNames  map[uint32]string
	memberships map[string][]uint32
}

type stamp struct {
	ino         uint64
	size, mtime int64
	mtimeNano   int64
}

// Open reads from the given files, which need not exist.
func Open(passwd, group string) *DB { return &DB{passwd: passwd, group: group} }

// System reads the files of this machine.
func System() *DB { return Open("/etc/passwd", "/etc/group") }

// Lookup finds a user by name, uid, or uid:gid. A number needs no entry: it then has the home "/" and a group of the same number.
func (db *DB) Lookup(spec string) (User, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.refresh()
	if user, ok := db.byName[spec]; ok {
		user.Groups = db.groupsOf(user)
		return user, nil
	}
	uidText, gidText, hasGroup := strings.Cut(spec, ":")
	uid, err := strconv.ParseUint(uidText, 10, 32)
	if err != nil || uid == noID {
		return User{}, fault.New(fault.UserNotFound, "The box has no user %q.", spec)
	}
	user := User{Name: uidText, UID: uint32(uid), GID: uint32(uid), Home: "/", Shell: "/bin/sh"}
	if name, ok := db.userNames[user.UID]; ok {
		user = db.byName[name]
	}
	if !hasGroup {
		user.Groups = db.groupsOf(user)
		return user, nil
	}
	gid, err := strconv.ParseUint(gidText, 10, 32)
	if err != nil || gid == noID {
		return User{}, fault.New(fault.UserNotFound, "%q is not a user: the group must be a number.", spec)
	}
	user.GID = uint32(gid)
	user.Groups = []uint32{user.GID}
	return user, nil
}

// UserName gives the name of a uid, or its number as text.
func (db *DB) UserName(uid uint32) string {
	return db.name(uid, func() map[uint32]string { return db.userNames })
}

// GroupName gives the name of a gid, or its number as text.
func (db *DB) GroupName(gid uint32) string {
	return db.name(gid, func() map[uint32]string { return db.groupNames })
}

func (db *DB) name(id uint32, names func() map[uint32]string) string {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.byName == nil {
		db.refresh()
	}
	if name, ok := names()[id]; ok {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}

// Refresh reads the files again when they changed; names given for ids are those of the last refresh or lookup.
func (db *DB) Refresh() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.refresh()
}

func (db *DB) groupsOf(user User) []uint32 {
	groups := []uint32{user.GID}
	for _, gid := range db.memberships[user.Name] {
		if gid != user.GID {
			groups = append(groups, gid)
		}
	}
	return groups
}

func (db *DB) refresh() {
	stamps := [2]stamp{stampOf(db.passwd), stampOf(db.group)}
	if db.byName != nil && stamps == db.stamps {
		return
	}
	db.stamps = stamps
	db.byName = map[string]User{}
	db.userNames = map[uint32]string{}
	db.groupNames = map[uint32]string{}
	db.memberships = map[string][]uint32{}
	eachLine(db.passwd, 7, func(f []string) {
		uid, uidErr := strconv.ParseUint(f[2], 10, 32)
		gid, gidErr := strconv.ParseUint(f[3], 10, 32)
		if uidErr != nil || gidErr != nil || uid == noID || gid == noID {
			return
		}
		user := User{Name: f[0], UID: uint32(uid), GID: uint32(gid), Home: f[5], Shell: f[6]}
		if user.Home == "" {
			user.Home = "/"
		}
		if user.Shell == "" {
			user.Shell = "/bin/sh"
		}
		if _, ok := db.byName[user.Name]; !ok {
			db.byName[user.Name] = user
		}
		if _, ok := db.userNames[user.UID]; !ok {
			db.userNames[user.UID] = user.Name
		}
	})
	eachLine(db.group, 4, func(f []string) {
		gid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil || gid == noID {
			return
		}
		if _, ok := db.groupNames[uint32(gid)]; !ok {
			db.groupNames[uint32(gid)] = f[0]
		}
		for _, member := range strings.Split(f[3], ",") {
			if member != "" {
				db.memberships[member] = append(db.memberships[member], uint32(gid))
			}
		}
	})
}

func stampOf(path string) stamp {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return stamp{}
	}
	return stamp{ino: st.Ino, size: st.Size, mtime: int64(st.Mtim.Sec), mtimeNano: int64(st.Mtim.Nsec)}
}

// maxLine bounds a line: a group can have many members.
const maxLine = 1 << 20

func eachLine(path string, fields int, use func([]string)) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if parts := strings.Split(lines.Text(), ":"); len(parts) >= fields && parts[0] != "" {
			use(parts)
		}
	}
}
