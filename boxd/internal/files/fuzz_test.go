package files

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gibil.dev/boxd/internal/fault"
)

// FuzzUnpack unpacks any bytes, and archives of any entries, beside a file that must stay as it is.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte("not tar"), "../outside", "x", byte(tar.TypeReg), "out", "a")
	f.Add([]byte{}, "link/file", "../", byte(tar.TypeSymlink), "link", "link")
	f.Add([]byte{0}, "a", "../outside", byte(tar.TypeLink), "b", "/outside")
	f.Add([]byte{}, "a/b/c", "", byte(tar.TypeDir), "a/b", "x")
	f.Add([]byte{}, "./.", "", byte(tar.TypeFifo), "\x00", "")
	f.Fuzz(func(t *testing.T, raw []byte, first, link string, kind byte, second, third string) {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, header := range []*tar.Header{
			{Name: first, Linkname: link, Typeflag: kind, Mode: 0o7777},
			{Name: second, Linkname: third, Typeflag: tar.TypeSymlink},
			{Name: second + "/" + third, Typeflag: tar.TypeReg, Size: 4},
			{Name: first, Typeflag: tar.TypeReg, Size: 4},
			{Name: third, Linkname: first, Typeflag: tar.TypeLink},
		} {
			if w.WriteHeader(header) == nil && header.Size > 0 {
				_, _ = w.Write([]byte("evil"))
			}
		}
		_ = w.Close()
		for _, data := range [][]byte{raw, out.Bytes(), append(out.Bytes()[:len(out.Bytes())/2:len(out.Bytes())/2], raw...)} {
			unpackSafely(t, data)
		}
	})
}

func unpackSafely(t *testing.T, data []byte) {
	tree, dir := newTree(t)
	outside := filepath.Join(dir, "outside")
	put(t, outside, "untouched")
	must(t, os.Mkdir(filepath.Join(dir, "to"), 0o755))
	err := tree.Unpack(filepath.Join(dir, "to"), "", bytes.NewReader(data))
	var known *fault.Error
	if err != nil && !errors.As(err, &known) {
		t.Fatalf("a failure without a code: %v", err)
	}
	if known != nil && known.Code == fault.Internal {
		t.Fatalf("a hostile archive is no fault of ours: %v", err)
	}
	wantText(t, outside, "untouched")
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 2 {
		t.Fatalf("something was made beside the target: %v", entries)
	}
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm()&0o022 != 0 {
		t.Fatalf("the file outside has other rights: %v, %v", info, err)
	}
}
