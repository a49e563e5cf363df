package users

import (
	"path/filepath"
	"strings"
	"testing"
)

func FuzzLookup(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/bash\n", "root:x:0:\n", "root")
	f.Add("a:x:4294967295:4294967295::/:\n", "a:x:4294967295:a,a\n", "a")
	f.Add("a:x:1:1", "::::\n:x:1:a", "1:1")
	f.Fuzz(func(t *testing.T, passwd, group, spec string) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "passwd"), passwd)
		write(t, filepath.Join(dir, "group"), group)
		db := Open(filepath.Join(dir, "passwd"), filepath.Join(dir, "group"))
		user, err := db.Lookup(spec)
		if err != nil {
			return
		}
		if user.UID == noID || user.GID == noID || len(user.Groups) == 0 || user.Groups[0] != user.GID {
			t.Fatalf("%+v", user)
		}
		for _, gid := range user.Groups {
			if gid == noID {
				t.Fatalf("%+v", user)
			}
		}
		if user.Home == "" || user.Shell == "" {
			t.Fatalf("%+v", user)
		}
	})
}

// A user whose id means "leave as it is" would run as root.
func TestNobodyHasTheIDOfNobody(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "passwd"), "sly:x:4294967295:0::/:\nslyer:x:5:4294967295::/:\nagent:x:1000:1000::/:\n")
	members := strings.Repeat("someone,", 20_000)
	write(t, filepath.Join(dir, "group"), "crowd:x:7:"+members+"agent\nlast:x:8:agent\n")
	db := Open(filepath.Join(dir, "passwd"), filepath.Join(dir, "group"))
	for _, name := range []string{"sly", "slyer"} {
		if user, err := db.Lookup(name); err == nil {
			t.Errorf("%+v", user)
		}
	}
	if user, err := db.Lookup("agent"); err != nil || len(user.Groups) != 3 {
		t.Errorf("%+v, %v: a long line of a group hides what follows it", user, err)
	}
}
