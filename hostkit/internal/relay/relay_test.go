package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gibil.dev/hostkit/internal/hosttest"
)

// As in hostkit itself: work that changes its thread's namespace must not land on the main thread, which is what /proc/self shows.
func init() { runtime.LockOSThread() }

// machine is a process in a network namespace of its own, where something listens that answers each connection with what it was sent, reversed.
func machine(t *testing.T) *exec.Cmd {
	t.Helper()
	command := exec.Command("sleep", "1000")
	type result struct {
		listener net.Listener
		err      error
	}
	results := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		listener, err := func() (net.Listener, error) {
			if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
				return nil, err
			}
			for _, arguments := range []string{"link set lo up", "address add " + boxdAddress + "/32 dev lo"} {
				if out, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
					return nil, fmt.Errorf("ip %s: %s", arguments, out)
				}
			}
			if err := command.Start(); err != nil {
				return nil, err
			}
			return net.Listen("tcp4", fmt.Sprintf("%s:%d", boxdAddress, boxdPort))
		}()
		results <- result{listener, err}
	}()
	got := <-results
	if got.err != nil {
		t.Fatal(got.err)
	}
	t.Cleanup(func() {
		_ = got.listener.Close()
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	go func() {
		for {
			connection, err := got.listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				text, _ := io.ReadAll(connection)
				for i, j := 0, len(text)-1; i < j; i, j = i+1, j-1 {
					text[i], text[j] = text[j], text[i]
				}
				_, _ = connection.Write(text)
			}()
		}
	}()
	return command
}

func ask(t *testing.T, socket, text string) string {
	t.Helper()
	connection, err := net.Dial("unix", socket)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer connection.Close()
	_, _ = io.WriteString(connection, text)
	_ = connection.(*net.UnixConn).CloseWrite()
	answer, err := io.ReadAll(connection)
	if err != nil {
		t.Error(err)
	}
	return string(answer)
}

func TestLeadsManyAtOnceIntoTheNamespaceOfAProcess(t *testing.T) {
	hosttest.Root(t)
	process := machine(t)
	socket := filepath.Join(t.TempDir(), "boxd.sock")
	var relays Relays
	open := Open{Socket: socket, Pid: process.Process.Pid}
	for i := 0; i < 2; i++ {
		if err := relays.Open(open); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v (%v)", info.Mode(), err)
	}
	var group sync.WaitGroup
	for i := 0; i < 16; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if got := ask(t, socket, "boxd"); got != "dxob" {
				t.Errorf("%q", got)
			}
		}()
	}
	group.Wait()
	if err := relays.Close(socket); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
	if err := relays.Close(socket); err != nil {
		t.Error(err)
	}
}

func TestRefusesWhatIsNoMachine(t *testing.T) {
	hosttest.Root(t)
	var relays Relays
	socket := filepath.Join(t.TempDir(), "boxd.sock")
	for name, open := range map[string]Open{
		"the host's own namespace": {Socket: socket, Pid: os.Getpid()},
		"no process":               {Socket: socket, Pid: 1 << 30},
		"process 1":                {Socket: socket, Pid: 1},
		"a relative path":          {Socket: "boxd.sock", Pid: os.Getpid()},
	} {
		if err := relays.Open(open); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("a socket is left: %v", err)
	}
}

func TestConnectionsEndWithTheirMachine(t *testing.T) {
	hosttest.Root(t)
	command := machine(t)
	var relays Relays
	socket := filepath.Join(t.TempDir(), "boxd.sock")
	if err := relays.Open(Open{socket, command.Process.Pid}); err != nil {
		t.Fatal(err)
	}
	connection, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
	// What listens in the machine's place is still there and says nothing, as the kernel of a machine that is gone.
	_ = connection.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := connection.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection outlived its machine")
	}
}
