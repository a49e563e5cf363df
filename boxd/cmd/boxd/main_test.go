package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is boxd itself when it is started with this in its environment.
const asBoxd = "BOXD_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asBoxd) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	client *http.Client
	ended  chan error
}

// start runs boxd on a socket that it inherits, as process 1 of a new pid namespace if asked.
func start(t *testing.T, isolated bool) *process {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, ended: make(chan error, 1)}
	p.cmd = exec.Command(os.Args[0], "--fd", "3", "--user", strconv.Itoa(os.Getuid()))
	p.cmd.Env = append(os.Environ(), asBoxd+"=1")
	p.cmd.ExtraFiles = []*os.File{file}
	p.cmd.Stderr = os.Stderr
	if isolated {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	go func() { p.ended <- p.cmd.Wait() }()
	p.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) },
	}}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		listener.Close()
	})
	return p
}

func (p *process) call(method, path, body string) string {
	p.t.Helper()
	request, _ := http.NewRequest(method, "http://boxd/v1/"+path, strings.NewReader(body))
	response, err := p.client.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		p.t.Fatalf("%s %s: %d %s %v", method, path, response.StatusCode, text, err)
	}
	return string(text)
}

// waitFor reads until the answer to a call holds a text.
func (p *process) waitFor(path, want string) string {
	p.t.Helper()
	var text string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if text = p.call("GET", path, ""); strings.Contains(text, want) {
			return text
		}
	}
	p.t.Fatalf("%q never came; last %s", want, text)
	return ""
}

func (p *process) waitEnd() {
	p.t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		p.t.Fatal("boxd does not end")
	}
}

// children gives the processes whose parent is boxd, as seen from here.
func (p *process) children() []int {
	p.t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		p.t.Fatal(err)
	}
	var list []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(p.cmd.Process.Pid) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			list = append(list, pid)
		}
	}
	return list
}

func job(script string) string {
	return fmt.Sprintf(`{"argv":["sh","-c",%q],"cwd":"/"}`, script)
}

func TestInheritedSocketIsNotPassedOn(t *testing.T) {
	p := start(t, false)
	p.call("POST", "jobs", job("ls -l /proc/self/fd | grep -c socket"))
	p.waitFor("jobs", `"exitCode":1`)
}

func TestTerminateEndsAllThatDescends(t *testing.T) {
	p := start(t, false)
	// A grandchild in a session of its own, whose parents are gone.
	p.call("POST", "jobs", job("(setsid sh -c 'echo $$; exec sleep 1000' &)"))
	text := p.waitFor("jobs", `"exitCode":0`)
	if !strings.Contains(text, `"outputBytes":`) {
		t.Fatal(text)
	}
	orphans := p.children()
	if len(orphans) != 1 {
		t.Fatalf("boxd has the children %v", orphans)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.waitEnd()
	if syscall.Kill(orphans[0], 0) == nil {
		t.Fatal("the orphan lives on")
	}
}

func TestOtherSignalsDoNotEndIt(t *testing.T) {
	p := start(t, false)
	p.call("GET", "health", "")
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGPIPE} {
		if err := p.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	p.call("POST", "jobs", job("kill -INT $$"))
	p.waitFor("jobs", `"signal":"SIGINT"`) // and commands get theirs
	p.call("POST", "shutdown", "{}")
	p.waitEnd()
}

func TestAsProcess1(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	p := start(t, true)
	if text := p.call("GET", "health", ""); !strings.Contains(text, `"pid":1`) {
		t.Fatal(text)
	}
	// Orphans that end are reaped: /proc here is the outer one, so the children of boxd are counted from outside.
	p.call("POST", "jobs", job("for i in 1 2 3 4; do (sleep 0.1 &) ; done; trap '' TERM; sleep 0.5; sleep 1000 & exit 0"))
	p.waitFor("jobs", `"exitCode":0`)
	for deadline := time.Now().Add(20 * time.Second); len(p.children()) != 1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("boxd has the children %v", p.children()) // all but the one that sleeps on should be gone
		}
	}
	p.call("POST", "shutdown", `{"graceMs":100}`)
	p.waitEnd()
}

func TestFlags(t *testing.T) {
	run := func(args ...string) (string, error) {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), asBoxd+"=1")
		text, err := cmd.CombinedOutput()
		return string(text), err
	}
	if text, err := run("--version"); err != nil || strings.TrimSpace(text) != version {
		t.Fatal(text, err)
	}
	for _, args := range [][]string{{}, {"--listen", "nonsense"}, {"--listen", "udp:1"}, {"--fd", "3", "--listen", "unix:/x"}, {"--fd", "99"}} {
		if text, err := run(args...); err == nil || !strings.HasPrefix(text, "boxd:") {
			t.Fatalf("%v: %s %v", args, text, err)
		}
	}
}

func TestListenOnUnixSocketForOneselfOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := open(-1, "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
}
