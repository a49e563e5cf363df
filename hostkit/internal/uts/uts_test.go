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
	if err := Name(Naming{Pid: command.Process.Pid, Hostname: "other", Files: map[string]string{file: "other\n"}}); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file); string(text) != "other\n" {
		t.Errorf("the file says %q", text)
	}
	for _, path := range []string{link, filepath.Join(dir, "missing")} {
		if err := Name(Naming{Pid: command.Process.Pid, Hostname: "other", Files: map[string]string{path: "x"}}); err == nil {
			t.Errorf("%s was written", path)
		}
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
