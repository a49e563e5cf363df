package files

import (
	"errors"
	"os"
	"reflect"
	"syscall"
	"testing"

	"gibil.dev/boxd/internal/fault"
)

func TestDescribeTellsWhereLinksLead(t *testing.T) {
	tree, dir := newTree(t)
	put(t, dir+"/real/file", "x")
	must(t, os.Symlink("real", dir+"/one"))
	must(t, os.Symlink("one/file", dir+"/two"))
	must(t, os.Symlink("nowhere", dir+"/broken"))
	want := map[string]*Resolved{
		"two":    {Path: dir + "/real/file", Kind: "file", Mode: 0o644},
		"one":    {Path: dir + "/real", Kind: "directory", Mode: 0o755},
		"broken": nil,
		"real":   nil,
	}
	for name, resolved := range want {
		info, err := tree.Stat(dir+"/"+name, false)
		must(t, err)
		tree.Describe(&info, Details{Links: true})
		if !reflect.DeepEqual(info.Resolved, resolved) {
			t.Errorf("%s leads to %+v, want %+v", name, info.Resolved, resolved)
		}
	}
}

func TestAttributesOfAPrefixAreReplaced(t *testing.T) {
	tree, dir := newTree(t)
	path := dir + "/file"
	put(t, path, "x")
	if err := syscall.Setxattr(path, "user.other", []byte("kept"), 0); errors.Is(err, syscall.ENOTSUP) {
		t.Skip("no extended attributes in " + dir)
	}
	must(t, tree.SetAttributes(path, "user.a.", map[string]string{"one": "1", "two": "2"}))
	must(t, tree.SetAttributes(path, "user.a.", map[string]string{"two": "zwei", "three": ""}))
	info, err := tree.Stat(path, false)
	must(t, err)
	tree.Describe(&info, Details{Prefix: "user.a."})
	if want := map[string]string{"two": "zwei", "three": ""}; !reflect.DeepEqual(info.Attributes, want) {
		t.Errorf("got %v, want %v", info.Attributes, want)
	}
	if other := attributesOf(path, "user."); other["other"] != "kept" {
		t.Errorf("an attribute without the prefix is %q", other["other"])
	}
	wantCode(t, tree.SetAttributes(dir+"/none", "user.a.", map[string]string{"x": "y"}), fault.FileNotFound)
	for _, prefix := range []string{"", "user.", "user.a", "trusted.a.", "security."} {
		wantCode(t, CheckPrefix(prefix), fault.InvalidRequest)
	}
}
