package files

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gibil.dev/boxd/internal/fault"
	"gibil.dev/boxd/internal/users"
)

func newTree(t *testing.T) (*Tree, string) {
	t.Helper()
	return &Tree{Users: users.System(), DefaultUser: func() string { return strconv.Itoa(os.Getuid()) }}, t.TempDir()
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var refused *fault.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Fatalf("got %v, want the code %s", err, code)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func wantText(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Fatalf("%s holds %q (%v), want %q", path, got, err, want)
	}
}

// wantEntries checks all that is below a directory, as relative paths.
func wantEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	got := []string{}
	must(t, filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if path != dir {
			got = append(got, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}))
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("%s holds %q, want %q", dir, got, want)
	}
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}
