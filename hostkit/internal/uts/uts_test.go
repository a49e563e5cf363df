package uts

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gibil.dev/hostkit/internal/hosttest"
)

func TestNamesTheHostOfAnotherNamespaceOnly(t *testing.T) {
	hosttest.Root(t)
	before, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	// It tells its host name each time that it reads a line.
	command := exec.Command("sh", "-c", "while read line; do hostname; done")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUTS}
	in, _ := command.StdinPipe()
	out, _ := command.StdoutPipe()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = command.Wait() }()

	dir := t.TempDir()
	file, link := filepath.Join(dir, "hostname"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("a longer text than the new one"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := Name(Naming{Pid: command.Process.Pid, Hostname: "other", Root: dir, Files: map[string]string{"hostname": "other\n"}}); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file); string(text) != "other\n" {
		t.Errorf("the file says %q", text)
	}
	// What a box could lay: a link to a file, a directory that is one, and ways out.
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "hostname"), []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "etc")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"link", "missing", "etc/hostname", "../" + filepath.Base(outside) + "/hostname", filepath.Join(outside, "hostname")} {
		if err := Name(Naming{Pid: command.Process.Pid, Hostname: "other", Root: dir, Files: map[string]string{path: "x"}}); err == nil {
			t.Errorf("%s was written", path)
		}
	}
	if text, _ := os.ReadFile(filepath.Join(outside, "hostname")); string(text) != "of the host" {
		t.Errorf("the file outside says %q", text)
	}
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "other" {
		t.Errorf("the namespace is called %q (%v)", line, err)
	}
	if after, _ := os.Hostname(); after != before {
		t.Errorf("this host was renamed to %q", after)
	}
}

func TestRefusesToRenameThisHost(t *testing.T) {
	before, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if err := setHostname(os.Getpid(), "stolen"); err == nil || !strings.Contains(err.Error(), "no host name of its own") {
		t.Errorf("got %v", err)
	}
	if after, _ := os.Hostname(); after != before {
		t.Errorf("this host was renamed to %q", after)
	}
	for _, name := range []string{"", "two\nlines", strings.Repeat("x", nameMax+1)} {
		if err := setHostname(os.Getpid(), name); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}
