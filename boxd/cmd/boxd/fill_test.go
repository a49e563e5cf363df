package main

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoStreamReachesTheHost(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	boxd := filepath.Join(t.TempDir(), "boxd")
	// As scripts/build-go.sh builds it: with C, a process cannot give up its capabilities in all of its threads.
	build := exec.Command("go", "build", "-o", boxd, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	outside := t.TempDir()
	mine := filepath.Join(outside, "mine")
	must(t, os.WriteFile(mine, []byte("mine"), 0o644))
	gone := func(name string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"GIBIL.gone": name}}
	}
	for _, hostile := range []*tar.Header{
		{Name: "way/theirs", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "up/theirs", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "up/mine", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "../" + outside + "/theirs", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "same", Linkname: "way/mine", Typeflag: tar.TypeLink},
		{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666},
		gone("way/mine"), gone("up/mine"), gone("../" + outside + "/mine"), gone("way"), gone(""),
	} {
		inside := t.TempDir()
		var stream bytes.Buffer
		out := tar.NewWriter(&stream)
		for _, header := range []*tar.Header{
			{Name: "way", Typeflag: tar.TypeSymlink, Linkname: outside},
			{Name: "up", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("../", 20) + outside},
			hostile,
			{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"GIBIL.report": "{}"}},
		} {
			must(t, out.WriteHeader(header))
		}
		must(t, out.Close())
		command := exec.Command(boxd, "--fill", inside)
		command.Stdin = &stream
		said, err := command.CombinedOutput()
		t.Logf("%+v: %v %s", hostile, err, said)
		if filled, _ := os.ReadDir(inside); len(filled) == 0 {
			t.Fatal("nothing was filled at all")
		}
		names, err := os.ReadDir(outside)
		must(t, err)
		if text, err := os.ReadFile(mine); err != nil || string(text) != "mine" || len(names) != 1 {
			t.Fatalf("%+v: the host has %v now, and %q of its file: %v", hostile, names, text, err)
		}
		if _, err := os.Lstat(filepath.Join(inside, "null")); !os.IsNotExist(err) {
			t.Error("a device was made")
		}
	}
}
