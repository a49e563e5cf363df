package users

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"gibil.dev/boxd/internal/fault"
)

func fixture(t *testing.T) (*DB, string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "passwd"), "root:x:0:0:root:/root:/bin/bash\nagent:x:1000:1000::/home/agent:\nbare:x:7:8:::\nbroken:x\n42:x:99:99::/named-42:/bin/sh\n")
	write(t, filepath.Join(dir, "group"), "root:x:0:\nagent:x:1000:\nsudo:x:27:agent,other\ndocker:x:999:agent\n")
	return Open(filepath.Join(dir, "passwd"), filepath.Join(dir, "group")), dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLookup(t *testing.T) {
	db, _ := fixture(t)
	for spec, want := range map[string]User{
		"agent":   {"agent", 1000, 1000, "/home/agent", "/bin/sh", []uint32{1000, 27, 999}},
		"1000":    {"agent", 1000, 1000, "/home/agent", "/bin/sh", []uint32{1000, 27, 999}},
		"1000:27": {"agent", 1000, 27, "/home/agent", "/bin/sh", []uint32{27}},
		"5000":    {"5000", 5000, 5000, "/", "/bin/sh", []uint32{5000}},
		"5000:6":  {"5000", 5000, 6, "/", "/bin/sh", []uint32{6}},
		"bare":    {"bare", 7, 8, "/", "/bin/sh", []uint32{8}},
		"42":      {"42", 99, 99, "/named-42", "/bin/sh", []uint32{99}}, // a name wins over a number
	} {
		if got, err := db.Lookup(spec); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v; want %+v", spec, got, err, want)
		}
	}
}

func TestLookupRefuses(t *testing.T) {
	db, _ := fixture(t)
	for _, spec := range []string{"", "nobody", "-1", "4294967295", "1000:sudo", "1000:-1", "agent:27", "broken"} {
		_, err := db.Lookup(spec)
		var refused *fault.Error
		if !errors.As(err, &refused) || refused.Code != fault.UserNotFound {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

func TestChangesAreNoticed(t *testing.T) {
	db, dir := fixture(t)
	if _, err := db.Lookup("late"); err == nil {
		t.Fatal("found before it was there")
	}
	write(t, filepath.Join(dir, "passwd"), "late:x:1234:1234::/late:/bin/sh\n")
	if user, err := db.Lookup("late"); err != nil || user.UID != 1234 {
		t.Fatalf("%+v %v", user, err)
	}
	if db.UserName(1234) != "late" || db.UserName(0) != "0" || db.GroupName(27) != "sudo" {
		t.Fatalf("%s %s %s", db.UserName(1234), db.UserName(0), db.GroupName(27))
	}
}

func TestNoFilesAtAll(t *testing.T) {
	db := Open("/no/such/passwd", "/no/such/group")
	if user, err := db.Lookup("0"); err != nil || user.Home != "/" || db.UserName(0) != "0" {
		t.Fatalf("%+v %v", user, err)
	}
}
